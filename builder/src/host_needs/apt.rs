//! Installing packages on Debian, Ubuntu and what derives from them.

use std::path::Path;

use crate::error::{Error, Result};
use crate::host::{Invocation, find_program};
use crate::shell::Shell;

const OS_RELEASE: &str = "/etc/os-release";
/// Where apt keeps the package lists that `apt-get update` fetches.
const LISTS: &str = "/var/lib/apt/lists";
const APT_GET: &str = "apt-get";

/// Whether this host has apt and is a Debian of some kind.
pub(super) fn is_this_hosts() -> bool {
    let os_release = std::fs::read_to_string(OS_RELEASE).unwrap_or_default();
    is_debian(&os_release) && find_program(APT_GET).is_some()
}

/// Whether os-release(5) names Debian as the system or one it is like.
fn is_debian(os_release: &str) -> bool {
    let fields = os_release.lines().filter_map(|line| line.split_once('='));
    fields
        .filter(|(key, _)| matches!(*key, "ID" | "ID_LIKE"))
        .flat_map(|(_, value)| value.trim_matches(['"', '\'']).split_whitespace())
        .any(|id| id == "debian" || id == "ubuntu")
}

/// The command a person would type.
pub(super) fn command_line(packages: &[&str]) -> String {
    let mut words = install_words(is_root());
    words.extend(packages);
    words.join(" ")
}

/// Installs packages, with sudo where the builder is not root.
///
/// # Errors
/// If the builder is not root and there is no sudo, or apt cannot install them.
pub(super) fn install(shell: &Shell, packages: &[&str]) -> Result<()> {
    if !is_root() && find_program("sudo").is_none() {
        return Err(Error::host(format!("only root can install {}", packages.join(", ")))
            .hint(format!("as root: `{APT_GET} install {}`", packages.join(" "))));
    }
    let had_lists = has_lists(Path::new(LISTS));
    if !had_lists {
        update(shell);
    }
    let first = install_once(shell, packages);
    match first {
        // Old lists name packages that the mirrors no longer have.
        Err(_) if had_lists => {
            shell.note("the package lists may be old: fetching new ones");
            update(shell);
            install_once(shell, packages)
        }
        result => result,
    }
}

/// Fetches package lists. An archive that cannot be had need not be the one that is needed:
/// whether enough came is for the installation to say.
fn update(shell: &Shell) {
    let words = privileged(&[APT_GET, "update"], is_root());
    if let Err(error) = run(shell, "fetch package lists", &words) {
        shell.warn(error.context("going on without some package lists"));
    }
}

fn install_once(shell: &Shell, packages: &[&str]) -> Result<()> {
    let mut words = install_words(is_root());
    words.extend(packages);
    run(shell, &format!("install {}", packages.join(", ")), &words)
}

fn run(shell: &Shell, name: &str, words: &[&str]) -> Result<()> {
    let step = shell.step(name);
    let [program, arguments @ ..] = words else {
        return Err(Error::internal("an empty command line"));
    };
    Invocation::new(program)
        .args(arguments)
        .run_lines(|line| step.set_message(line))
        .map_err(|error| Error::host(error.to_string()))?;
    step.done("");
    Ok(())
}

fn install_words(is_root: bool) -> Vec<&'static str> {
    privileged(&[APT_GET, "install", "--yes", "--no-install-recommends"], is_root)
}

/// With a variable for debconf, which sudo would not pass on from the environment.
fn privileged(words: &[&'static str], is_root: bool) -> Vec<&'static str> {
    let prefix: &[&str] = if is_root { &["env"] } else { &["sudo", "env"] };
    let variable = "DEBIAN_FRONTEND=noninteractive";
    prefix.iter().copied().chain([variable]).chain(words.iter().copied()).collect()
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Whether apt has lists of any archive.
fn has_lists(directory: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(directory) else { return false };
    entries.flatten().any(|entry| entry.file_name().to_string_lossy().contains("_Packages"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debian_and_its_kin_are_known() {
        assert!(is_debian("NAME=x\nID=debian\n"));
        assert!(is_debian("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n"));
        assert!(!is_debian("ID=fedora\nPRETTY_NAME=\"not debian\"\n"));
        assert!(!is_debian(""));
    }

    #[test]
    fn sudo_is_used_only_where_it_is_needed() {
        let words = |is_root| install_words(is_root).join(" ");
        assert!(words(true).starts_with("env DEBIAN_FRONTEND=noninteractive apt-get install"));
        assert!(words(false).starts_with("sudo env DEBIAN_FRONTEND=noninteractive apt-get"));
    }

    #[test]
    fn a_fresh_container_has_no_lists() {
        let directory = tempfile::tempdir().unwrap();
        assert!(!has_lists(&directory.path().join("none")));
        std::fs::write(directory.path().join("lock"), "").unwrap();
        assert!(!has_lists(directory.path()));
        std::fs::write(directory.path().join("deb_main_Packages.lz4"), "").unwrap();
        assert!(has_lists(directory.path()));
    }
}
