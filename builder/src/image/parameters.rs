//! The kernel's parameters: those of the definition, and those that find the root.

use init_core::diagnostic::Finding;

use crate::arch::Arch;
use crate::command_line::CommandLine;
use crate::definition::Image;
use crate::definition::resolved::DiskInitramfs;
use crate::error::{Error, Result};
use crate::format::guid::Guid;
use crate::format::uki;
use crate::kernel::config::Config;

/// What the definition says, for one architecture.
#[must_use]
pub(super) fn of_definition(image: &Image, arch: Arch) -> CommandLine {
    CommandLine {
        kernel: image.kernel.parameters(arch).map(|word| word.value.clone()).collect(),
        init: image.kernel.init_arguments(arch).map(|word| word.value.clone()).collect(),
    }
}

/// The command line with which firmware starts a kernel that has this initramfs
/// and whose root has this `PARTUUID`. A `root=` of the definition's own stands.
#[must_use]
pub(super) fn of_disk(
    image: &Image,
    arch: Arch,
    initramfs: DiskInitramfs,
    root_partuuid: Guid,
) -> String {
    let mut line = of_definition(image, arch);
    let words = &mut line.kernel;
    let has_root = words.iter().any(|word| word.starts_with("root="));
    if initramfs != DiskInitramfs::System && !has_root {
        words.push(format!("root=PARTUUID={root_partuuid}"));
        // The kernel looks once, PID 1 for a while.
        if initramfs == DiskInitramfs::None {
            words.push("rootwait".to_owned());
        }
    }
    // The power may go while the target writes its partition table: then the kernel is to
    // take the backup.
    if image.has_data && !words.iter().any(|word| word == "gpt") {
        words.push("gpt".to_owned());
    }
    line.to_string()
}

/// Refuses parameters that the kernel would cut off. On x86 it puts those that
/// are built into it in front and takes 2,047 bytes in all
/// (arch/x86/kernel/setup.c).
///
/// # Errors
/// If they are too long.
pub(super) fn check_room(arch: Arch, config: &Config, command_line: &str) -> Result<()> {
    let is_prefixed = arch == Arch::X86_64 && config.value("CMDLINE_BOOL") == "y";
    let built_in = if is_prefixed { config.value("CMDLINE").trim_matches('"') } else { "" };
    let len_bytes = match built_in.len() {
        0 => command_line.len(),
        len => len + 1 + command_line.len(),
    };
    if len_bytes <= uki::COMMAND_LINE_MAX_BYTES {
        return Ok(());
    }
    Err(Error::definition(format!(
        "the command line has {len_bytes} bytes with the {} built into the kernel, not at most {}",
        built_in.len(),
        uki::COMMAND_LINE_MAX_BYTES
    ))
    .hint("leave parameters out of `kernel.command-line`, or change CONFIG_CMDLINE"))
}

/// What is wrong with the parameters that go into an EFI application.
#[must_use]
pub(super) fn finding(image: &Image) -> Option<Finding> {
    if !image.outputs.has_boot_file() {
        return None;
    }
    image.arches.iter().find_map(|arch| {
        let last =
            image.kernel.parameters(*arch).chain(image.kernel.init_arguments(*arch)).last()?;
        let error =
            uki::check_command_line(&of_disk(image, *arch, image.disk.initramfs, Guid::NIL))
                .err()?;
        Some(Finding::new(last.place.clone(), format!("{arch}: {error}")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition::testing;

    #[test]
    fn what_finds_the_root_comes_before_what_is_inits() {
        let image = testing::image(
            "outputs = [\"disk\"]\n[kernel]\ncommand-line = [\"panic=10\", \"--\", \"root=x\", \"gpt\"]\n\
             x86_64.command-line = [\"console=ttyS0\", \"--\", \"last\"]\n\
             [data]\nwhere = \"/data\"\n",
        )
        .unwrap();
        let root = format!("root=PARTUUID={}", Guid::NIL);
        for (initramfs, root) in [
            (DiskInitramfs::None, format!(" {root} rootwait")),
            (DiskInitramfs::Root, format!(" {root}")),
            (DiskInitramfs::System, String::new()),
        ] {
            let line = |arch| of_disk(&image, arch, initramfs, Guid::NIL);
            let expected = format!("panic=10 console=ttyS0{root} gpt -- root=x gpt last");
            assert_eq!(line(Arch::X86_64), expected);
            assert_eq!(line(Arch::Aarch64), format!("panic=10{root} gpt -- root=x gpt"));
        }
    }

    #[test]
    fn what_is_built_in_counts_where_the_kernel_puts_it_in_front() {
        let config = Config::parse("CONFIG_CMDLINE_BOOL=y\nCONFIG_CMDLINE=\"console=ttyS0\"\n");
        let bare = Config::parse("# CONFIG_CMDLINE_BOOL is not set\n");
        let line = |len: usize| "x".repeat(len);
        for (arch, config, longest) in [
            (Arch::X86_64, &config, 2047 - 14),
            (Arch::X86_64, &bare, 2047),
            (Arch::Aarch64, &config, 2047),
        ] {
            assert!(check_room(arch, config, &line(longest)).is_ok(), "{arch} {longest}");
            assert!(check_room(arch, config, &line(longest + 1)).is_err(), "{arch} {longest}");
        }
    }
}
