//! The kernel's parameters: those of the definition, and those that find the root.

use std::fmt;

use init_core::diagnostic::Finding;

use crate::arch::Arch;
use crate::command_line::CommandLine;
use crate::definition::Image;
use crate::definition::raw::Located;
use crate::definition::resolved::DiskInitramfs;
use crate::error::{Error, Result};
use crate::format::guid::Guid;
use crate::format::{bootconfig, uki};
use crate::kernel::config::Config;

/// What the definition says, for one architecture.
#[must_use]
pub(super) fn of_definition(image: &Image, arch: Arch) -> CommandLine {
    CommandLine {
        kernel: image.kernel.parameters(arch).map(|word| word.value.clone()).collect(),
        init: image.kernel.init_arguments(arch).map(|word| word.value.clone()).collect(),
    }
}

/// The command line with which a kernel that has this initramfs finds the root, whose `PARTUUID`
/// this is. A `root=` of the definition's own stands.
#[must_use]
pub(super) fn of_disk(
    image: &Image,
    arch: Arch,
    initramfs: DiskInitramfs,
    root_partuuid: impl fmt::Display,
) -> CommandLine {
    let mut line = of_definition(image, arch);
    let words = &mut line.kernel;
    if initramfs != DiskInitramfs::System && !image.names_root(arch) {
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
    line
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
        let line = of_disk(image, *arch, image.boot_initramfs(), Guid::NIL).to_string();
        let error = uki::check_command_line(&line).err()?;
        Some(Finding::new(last.place.clone(), format!("{arch}: {error}")))
    })
}

/// That `uki.efi` would wait for a root for ever: it mounts the disk's, and there is no disk.
#[must_use]
pub(super) fn missing_root(image: &Image) -> Option<Finding> {
    let outputs = &image.outputs;
    let finds_root = outputs.has_disk()
        || image.disk.initramfs == DiskInitramfs::System
        || image.arches.iter().all(|arch| image.names_root(*arch));
    if !outputs.uki || finds_root {
        return None;
    }
    let message = "uki.efi looks for the root on the image's disk, which is not made";
    let hint = "with `disk.initramfs = \"system\"` it has the system with it; or let `outputs` \
                have \"disk\", or `kernel.command-line` name a root";
    Some(Finding::new(outputs.place.clone(), message).with_hint(hint))
}

/// What is wrong with the parameters that an initramfs of its own carries, each
/// with the word that does not go with those before it.
#[must_use]
pub(super) fn boot_configuration_findings(image: &Image, arch: Arch) -> Vec<Finding> {
    if !image.outputs.initramfs {
        return Vec::new();
    }
    let mut findings = Vec::new();
    let mut line = CommandLine::default();
    for word in image.kernel.parameters(arch) {
        line.kernel.push(word.value.clone());
        if let Some(finding) = unwritable(&line, word) {
            line.kernel.pop();
            findings.push(finding);
        }
    }
    for word in image.kernel.init_arguments(arch) {
        line.init.push(word.value.clone());
        if let Some(finding) = unwritable(&line, word) {
            line.init.pop();
            findings.push(finding);
        }
    }
    let last = image.kernel.parameters(arch).chain(image.kernel.init_arguments(arch)).last();
    let too_many = bootconfig::from_command_line(&line.to_string()).err();
    let too_many = last.zip(too_many).map(|(last, error)| {
        Finding::new(last.place.clone(), error.to_string())
            .with_hint("leave some out, or make a disk in place of the initramfs")
    });
    findings.extend(too_many);
    findings
}

/// What keeps a boot configuration from having this command line, whose last word is `word`.
fn unwritable(line: &CommandLine, word: &Located<String>) -> Option<Finding> {
    let problem = bootconfig::problems(&line.to_string()).into_iter().next()?;
    let message = format!("no boot configuration has the parameter {:?}: {problem}", word.value);
    let hint = "the initramfs carries its parameters as one: change this one, or leave it out";
    Some(Finding::new(word.place.clone(), message).with_hint(hint))
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
            let line = |arch| of_disk(&image, arch, initramfs, Guid::NIL).to_string();
            let expected = format!("panic=10 console=ttyS0{root} gpt -- root=x gpt last");
            assert_eq!(line(Arch::X86_64), expected);
            assert_eq!(line(Arch::Aarch64), format!("panic=10{root} gpt -- root=x gpt"));
        }
    }

    #[test]
    fn an_application_whose_root_is_nowhere_is_found() {
        let found = |text: &str| {
            missing_root(&testing::image(text).unwrap()).map(|finding| finding.place.to_string())
        };
        for outputs in ["[\"uki\"]", "[\"uki\", \"root\"]", "[\"uki\", \"iso\"]"] {
            let place = Some("images/a.toml:1:11".to_owned());
            assert_eq!(found(&format!("outputs = {outputs}\n")), place, "{outputs}");
        }
        for text in [
            "outputs = [\"uki\", \"disk\"]\n",
            "outputs = [\"root\"]\n",
            "outputs = [\"uki\"]\ndisk.initramfs = \"system\"\n",
            "outputs = [\"uki\"]\nkernel.command-line = [\"root=LABEL=there\"]\n",
        ] {
            assert_eq!(found(text), None, "{text}");
        }
    }

    #[test]
    fn a_cd_alone_boots_without_a_root() {
        for (outputs, expected) in [
            ("[\"iso\"]", DiskInitramfs::System),
            ("[\"iso\", \"disk\"]", DiskInitramfs::None),
            ("[\"uki\", \"disk\"]", DiskInitramfs::None),
        ] {
            let image = testing::image(&format!("outputs = {outputs}\n")).unwrap();
            assert_eq!(image.boot_initramfs(), expected, "{outputs}");
        }
    }

    #[test]
    fn each_parameter_that_no_boot_configuration_has_is_found_at_its_place() {
        let image = |outputs: &str| {
            testing::image(&format!(
                "outputs = [\"{outputs}\"]\n[kernel]\ncommand-line = [\"rootwait\", \"a..b=1\", \"quiet\"]\n\
                 x86_64.command-line = [\"rootwait=3\", \"--\", \"rootwait=3\", \".\"]\n"
            ))
            .unwrap()
        };
        let found = |image: &Image, arch| -> Vec<String> {
            let findings = boot_configuration_findings(image, arch);
            findings
                .iter()
                .map(|finding| format!("{}: {}", finding.place, finding.message))
                .collect()
        };
        let initramfs = image("initramfs");
        let x86_64 = found(&initramfs, Arch::X86_64);
        for (text, (place, part)) in x86_64.iter().zip([
            ("3:29", "\"a..b=1\": `a..b`: a name has words"),
            ("4:24", "\"rootwait=3\": `rootwait` is given both with and without a value"),
            ("4:58", "\".\": `.`: a name has words"),
        ]) {
            let start = format!("images/a.toml:{place}: no boot configuration has the parameter ");
            assert!(text.starts_with(&(start + part)), "{text}");
        }
        assert_eq!(x86_64.len(), 3, "{x86_64:?}");
        assert_eq!(found(&initramfs, Arch::Aarch64).len(), 1);
        assert_eq!(found(&image("disk"), Arch::X86_64), [""; 0], "it has none");
    }

    #[test]
    fn parameters_too_many_for_a_boot_configuration_are_found_at_the_last() {
        let words: Vec<String> = (0..600).map(|number| format!("\"p{number}=1\"")).collect();
        let text = format!("kernel.command-line = [{},\n\"last\"]\n", words.join(", "));
        let image = testing::image(&text).unwrap();
        let findings = boot_configuration_findings(&image, Arch::X86_64);
        let [finding] = &findings[..] else { panic!("{findings:?}") };
        assert_eq!(finding.place.to_string(), "images/a.toml:2:1");
        assert!(finding.message.contains("nodes"), "{finding}");
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
