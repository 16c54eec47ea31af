//! The kernel's settings by name: files below `/proc/sys` (proc_sys(5)).

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Component, Path, PathBuf};

use services::problem::{Problem, Result};

/// Where settings are.
pub(super) struct Kernel {
    root: PathBuf,
}

impl Kernel {
    /// The kernel that runs.
    pub(super) fn running() -> Self {
        Self { root: PathBuf::from("/proc/sys") }
    }

    #[cfg(test)]
    pub(super) fn at(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// Whether it has a setting of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        relative(name).is_ok_and(|path| self.root.join(path).is_file())
    }

    /// The value of a setting, without the last line's end.
    ///
    /// # Errors
    /// If there is none of this name, or it cannot be read.
    pub(super) fn read(&self, name: &str) -> Result<String> {
        let path = self.path(name)?;
        let value = fs::read(&path).map_err(|error| match error.kind() {
            ErrorKind::PermissionDenied => Problem::new(format!("cannot read `{name}`: {error}"))
                .with_hint("some can only be written, some only root may read"),
            _ => Problem::new(format!("cannot read `{name}`: {error}")),
        })?;
        Ok(String::from_utf8_lossy(&value).trim_end_matches('\n').to_owned())
    }

    /// Gives a setting another value.
    ///
    /// # Errors
    /// If there is none of this name, or the kernel refuses the value.
    pub(super) fn write(&self, name: &str, value: &str) -> Result<()> {
        let path = self.path(name)?;
        let refused = |error: std::io::Error| {
            let problem = Problem::new(format!("cannot set `{name}` to {value:?}: {error}"));
            match error.kind() {
                ErrorKind::PermissionDenied => problem.with_hint("only root may change settings"),
                ErrorKind::InvalidInput => problem.with_hint("the kernel takes other values there"),
                _ => problem,
            }
        };
        let mut file = File::options().write(true).open(path).map_err(refused)?;
        // At once: the kernel takes each write for the whole value.
        file.write_all(format!("{value}\n").as_bytes()).map_err(refused)
    }

    /// All that can be read, by name.
    pub(super) fn all(&self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        self.collect(Path::new(""), &mut found);
        found.sort();
        found
    }

    fn collect(&self, directory: &Path, found: &mut Vec<(String, String)>) {
        for entry in fs::read_dir(self.root.join(directory)).into_iter().flatten().flatten() {
            let path = directory.join(entry.file_name());
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                self.collect(&path, found);
            } else if let Ok(value) = self.read(&path.to_string_lossy()) {
                found.push((name_of(&path), value));
            }
        }
    }

    fn path(&self, name: &str) -> Result<PathBuf> {
        let path = self.root.join(relative(name)?);
        if path.is_file() {
            return Ok(path);
        }
        let hint = match path.is_dir() {
            true => "it is a group of settings: `sysctl -a` shows them all",
            false => "`sysctl -a` shows those that this kernel has",
        };
        Err(Problem::new(format!("there is no setting `{name}`")).with_hint(hint))
    }
}

/// The place of a setting below the root: dots separate, or slashes if one comes first.
///
/// # Errors
/// If it leads out of there.
pub(super) fn relative(name: &str) -> Result<PathBuf> {
    let by_slashes = name.contains('/') && name.find('/') < name.find('.').or(Some(usize::MAX));
    let swap = |character| match character {
        '.' => '/',
        '/' => '.',
        other => other,
    };
    let path: String = if by_slashes || !name.contains('.') {
        name.into()
    } else {
        name.chars().map(swap).collect()
    };
    let is_inside = Path::new(&path).components().all(|part| matches!(part, Component::Normal(_)));
    if path.is_empty() || !is_inside {
        return Err(Problem::new(format!("`{name}` is no name of a setting"))
            .with_hint("names are such as `net.ipv4.ip_forward`"));
    }
    Ok(PathBuf::from(path))
}

/// The name of the setting at this place, with dots.
pub(super) fn name_of(path: &Path) -> String {
    let swap = |character| match character {
        '.' => '/',
        '/' => '.',
        other => other,
    };
    path.to_string_lossy().chars().map(swap).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_separator_decides() {
        for (name, path) in [
            ("vm.swappiness", "vm/swappiness"),
            ("vm/swappiness", "vm/swappiness"),
            ("net.ipv4.conf.eth0/5.mtu", "net/ipv4/conf/eth0.5/mtu"),
            ("net/ipv4/conf/eth0.5/mtu", "net/ipv4/conf/eth0.5/mtu"),
            ("one", "one"),
        ] {
            assert_eq!(relative(name).unwrap(), Path::new(path), "{name}");
        }
        assert_eq!(name_of(Path::new("net/ipv4/conf/eth0.5/mtu")), "net.ipv4.conf.eth0/5.mtu");
        for outside in ["", ".", "..", "/etc/passwd", "vm/../../../etc/passwd", ".etc.passwd"] {
            assert!(relative(outside).is_err(), "{outside}");
        }
    }

    #[test]
    fn settings_are_read_written_and_listed() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("vm/group")).unwrap();
        fs::write(root.path().join("vm/b"), "0\n").unwrap();
        fs::write(root.path().join("vm/group/a"), "1\n2\n").unwrap();
        let kernel = Kernel::at(root.path());
        kernel.write("vm.b", "x").unwrap();
        assert_eq!(fs::read_to_string(root.path().join("vm/b")).unwrap(), "x\n");
        let all = [("vm.b", "x"), ("vm.group.a", "1\n2")];
        assert_eq!(kernel.all(), all.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let says = |name| kernel.read(name).unwrap_err().to_string();
        assert!(says("vm.c").contains("there is no setting `vm.c`"), "{}", says("vm.c"));
        assert!(says("vm.group").contains("a group of settings"), "{}", says("vm.group"));
        assert!(kernel.has("vm.b") && !kernel.has("vm.c") && !kernel.has("vm.group"));
    }
}
