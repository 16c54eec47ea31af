//! What operations need of the host, what of it is missing, and installing it.
//!
//! A need is a program, a header or a firmware with the package that brings it.
//! Operations collect [`Needs`] and call [`ensure`] before they begin, so that a
//! person hears of everything at once. Rust targets are the userland build's
//! own affair, which has a way without them.

mod apt;
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::arch::Arch;
use crate::error::{Error, Result};
use crate::host::find_program;
use crate::host::gnu::CrossTools;
use crate::qemu::firmware;
use crate::shell::Shell;

/// How it is found out whether the host has something.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Thing {
    /// A program in `PATH`.
    Program(&'static str),
    /// A C header in the compiler's default places.
    Header(&'static str),
    /// A C header in the default places of the cross compiler for this architecture.
    CrossHeader(Arch, &'static str),
    /// UEFI firmware for guests.
    Firmware(Arch),
}

/// Something an operation needs.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Need {
    /// What.
    pub thing: Thing,
    /// The package that brings it on Debian and Ubuntu.
    pub debian: &'static str,
    /// What it is for: a phrase such as "compiles the kernel".
    pub purpose: &'static str,
}

impl std::fmt::Display for Thing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Program(name) | Self::Header(name) => f.write_str(name),
            Self::CrossHeader(arch, name) => write!(f, "{name} for {arch}"),
            Self::Firmware(arch) => write!(f, "UEFI firmware for {arch}"),
        }
    }
}

/// What one or more operations need; each thing once.
#[derive(Clone, Default, Debug)]
pub struct Needs(BTreeMap<Thing, Need>);

impl Needs {
    /// Nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// And what configuring and compiling a kernel for `arch` needs.
    #[must_use]
    pub fn kernel(self, arch: Arch) -> Self {
        self.with(table::kernel(Arch::host(), arch))
    }

    /// And what static Rust binaries for `arch` need.
    #[must_use]
    pub fn userland(self, arch: Arch) -> Self {
        self.with(table::userland(Arch::host(), arch))
    }

    /// And what the BIOS loader of `arch` needs to be assembled, if it has one.
    #[must_use]
    pub fn bios_loader(self, arch: Arch) -> Self {
        self.with(table::bios_loader(Arch::host(), arch))
    }

    /// And what running a guest of `arch` needs.
    #[must_use]
    pub fn guest(self, arch: Arch, has_firmware: bool) -> Self {
        self.with(table::guest(arch, has_firmware))
    }

    /// And the foreign programs that tests check the builder's formats with.
    #[must_use]
    pub fn judges(self) -> Self {
        self.with(table::judges())
    }

    /// Every one, in a fixed order.
    pub fn iter(&self) -> impl Iterator<Item = &Need> {
        self.0.values()
    }

    /// Those that this host lacks.
    #[must_use]
    pub fn missing(&self) -> Vec<&Need> {
        self.missing_by(is_present)
    }

    fn missing_by(&self, is_present: impl Fn(&Thing) -> bool) -> Vec<&Need> {
        self.iter().filter(|need| !is_present(&need.thing)).collect()
    }

    fn with(mut self, needs: impl IntoIterator<Item = Need>) -> Self {
        for need in needs {
            self.0.entry(need.thing.clone()).or_insert(need);
        }
        self
    }
}

/// Whether this host has it.
#[must_use]
pub fn is_present(thing: &Thing) -> bool {
    match thing {
        Thing::Program(name) => find_program(name).is_some(),
        Thing::Header(name) => ["/usr/include", "/usr/local/include"]
            .iter()
            .any(|directory| Path::new(directory).join(name).is_file()),
        Thing::CrossHeader(arch, name) => {
            let triplet = CrossTools::of(*arch).triplet;
            [
                format!("/usr/{triplet}/include"),
                format!("/usr/{triplet}/sys-root/usr/include"),
                format!("/usr/include/{triplet}"),
            ]
            .iter()
            .any(|directory| Path::new(directory).join(name).is_file())
        }
        Thing::Firmware(arch) => firmware::find(*arch).is_some(),
    }
}

/// Makes sure the host has all of it; installs what is missing if `may_install`.
///
/// # Errors
/// If something is missing and may not or cannot be installed: then all of it
/// is named, with the one command that installs it.
pub fn ensure(shell: &Shell, needs: &Needs, may_install: bool) -> Result<()> {
    let missing = needs.missing();
    if missing.is_empty() {
        return Ok(());
    }
    let has_apt = apt::is_this_hosts();
    if !may_install || !has_apt {
        return Err(lacking(&missing, has_apt));
    }
    install_until_present(|| needs.missing(), |packages| apt::install(shell, packages))
}

/// Installs what is missing. Twice if it must be: a package can take away another one that was
/// there and is needed too, as one of another release that gets in its way.
fn install_until_present<'a>(
    missing: impl Fn() -> Vec<&'a Need>,
    mut install: impl FnMut(&[&'static str]) -> Result<()>,
) -> Result<()> {
    for _ in 0..2 {
        let missing = missing();
        if missing.is_empty() {
            return Ok(());
        }
        install(&packages(&missing))?;
    }
    let missing = missing();
    if missing.is_empty() { Ok(()) } else { Err(lacking(&missing, true)) }
}

/// The Debian packages that bring these, sorted, each once.
#[must_use]
pub fn packages(needs: &[&Need]) -> Vec<&'static str> {
    needs.iter().map(|need| need.debian).collect::<BTreeSet<_>>().into_iter().collect()
}

/// What may help a crate that did not compile: the C compiler and headers for
/// `arch`, if this host lacks them. Most crates need neither.
#[must_use]
pub fn hint_for_crate(arch: Arch) -> Option<String> {
    let needs = Needs::new().userland(arch);
    let missing = needs.missing();
    (!missing.is_empty()).then(|| {
        let packages = packages(&missing).join(" ");
        format!(
            "it may have C in it, and this host lacks what compiles that for {arch}: {packages}"
        )
    })
}

/// The error that names all that is missing.
#[must_use]
pub fn lacking(missing: &[&Need], has_apt: bool) -> Error {
    let mut message = "the host lacks what this needs:".to_owned();
    for need in missing {
        message.push_str(&format!("\n  {} ({}), which {}", need.thing, need.debian, need.purpose));
    }
    let error = Error::host(message);
    if has_apt {
        error
            .hint(format!("install it with `{}`", apt::command_line(&packages(missing))))
            .hint("or give `--yes`, and the builder does")
    } else {
        error.hint("install it with this system's package manager; the names are Debian's")
    }
}

/// Whether this host's packages are installed by apt.
#[must_use]
pub fn can_install() -> bool {
    apt::is_this_hosts()
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::error::Kind;

    #[test]
    fn only_what_the_operation_needs_is_missed_and_all_of_it() {
        let guest = Needs::new().guest(Arch::X86_64, false);
        let missing = guest.missing_by(|_| false);
        assert_eq!(packages(&missing), ["qemu-system-x86"]);
        let all = Needs::new()
            .kernel(Arch::X86_64)
            .kernel(Arch::Aarch64)
            .userland(Arch::X86_64)
            .userland(Arch::Aarch64)
            .guest(Arch::X86_64, true)
            .guest(Arch::Aarch64, true)
            .judges();
        let missing = all.missing_by(|thing| *thing != Thing::Firmware(Arch::X86_64));
        assert_eq!(packages(&missing), ["ovmf"]);
        let names = packages(&all.missing_by(|_| false));
        for package in ["flex", "make", "ovmf", "qemu-efi-aarch64", "qemu-system-arm", "gdisk"] {
            assert!(names.contains(&package), "{package} in {names:?}");
        }
        assert!(all.missing_by(|_| true).is_empty());
    }

    #[test]
    fn what_an_installation_takes_away_is_installed_again() {
        let needs = Needs::new().guest(Arch::X86_64, true).judges();
        let installed = |first: &[&'static str], brings: bool| {
            let present = RefCell::new(BTreeSet::from_iter(first.iter().copied()));
            let calls = RefCell::new(Vec::new());
            let missing = || {
                let present = present.borrow();
                needs.iter().filter(|need| !present.contains(need.debian)).collect()
            };
            let result = install_until_present(missing, |packages| {
                calls.borrow_mut().push(packages.join(" "));
                if brings {
                    present.borrow_mut().extend(packages);
                }
                if packages.contains(&"qemu-system-x86") {
                    present.borrow_mut().remove("qemu-utils");
                }
                Ok(())
            });
            (result, calls.into_inner())
        };
        let all = packages(&needs.iter().collect::<Vec<_>>());
        let with_rival = installed(&["qemu-utils"], true);
        assert!(with_rival.0.is_ok());
        assert_eq!(with_rival.1.last().unwrap(), "qemu-utils");
        assert_eq!(with_rival.1.len(), 2);
        assert_eq!(installed(&all, true).1, Vec::<String>::new());
        let (result, calls) = installed(&[], false);
        assert_eq!((result.unwrap_err().kind(), calls.len()), (Kind::Host, 2));
    }

    #[test]
    fn the_error_names_everything_and_the_one_command() {
        let needs = Needs::new().guest(Arch::Aarch64, true);
        let error = lacking(&needs.missing_by(|_| false), true);
        assert_eq!(error.kind(), Kind::Host);
        let text = error.to_string();
        assert!(text.contains("qemu-system-aarch64 (qemu-system-arm), which"), "{text}");
        assert!(
            text.contains("apt-get install") && text.contains("qemu-efi-aarch64 qemu-system-arm`"),
            "{text}"
        );
        let text = lacking(&needs.missing_by(|_| false), false).to_string();
        assert!(!text.contains("apt-get"), "{text}");
    }
}
