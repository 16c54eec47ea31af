//! The kernel's side: what is loaded (`/proc/modules`, `/sys/module`), finit_module(2) and
//! delete_module(2).

use std::ffi::CString;
use std::fs::{self, File};
use std::io;
use std::path::Path;

use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::system::{delete_module, finit_module};

use crate::problem::{Context, Problem, Result};

/// A module that is loaded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Loaded {
    /// Its name.
    pub name: String,
    /// What it takes of memory, in bytes.
    pub size_bytes: u64,
    /// How many users it has, modules and others; `None` if it cannot be unloaded.
    pub users: Option<u64>,
    /// The modules that use it.
    pub used_by: Vec<String>,
    /// `Live`, `Loading` or `Unloading`.
    pub state: String,
}

/// Every loaded module, the last one first.
///
/// # Errors
/// If `/proc/modules` cannot be read; a kernel without modules has no such file.
pub fn loaded() -> io::Result<Vec<Loaded>> {
    Ok(parse(&fs::read_to_string("/proc/modules")?))
}

/// Reads `/proc/modules`: name, size, users, `a,b,` or `-`, state, address.
fn parse(text: &str) -> Vec<Loaded> {
    let module = |line: &str| {
        let mut words = line.split_whitespace();
        let (name, size, users) = (words.next()?, words.next()?, words.next()?);
        let used_by = words.next()?.split(',');
        // `[permanent]` stands among the users of one that cannot be unloaded.
        let is_module = |name: &&str| !matches!(*name, "" | "-") && !name.starts_with('[');
        Some(Loaded {
            name: name.to_owned(),
            size_bytes: size.parse().ok()?,
            users: users.parse().ok(),
            used_by: used_by.filter(is_module).map(str::to_owned).collect(),
            state: words.next()?.to_owned(),
        })
    };
    text.lines().filter_map(module).collect()
}

/// Whether the module of this name is loaded and done with its start.
#[must_use]
pub fn is_live(name: &str) -> bool {
    let state = Path::new("/sys/module").join(name).join("initstate");
    fs::read_to_string(state).is_ok_and(|state| state.trim() == "live")
}

/// Has the kernel load the module in `file`. One that is loaded already is none the worse.
///
/// # Errors
/// The file cannot be read, or the kernel refuses it.
pub fn load(file: &Path, options: &[String]) -> Result<()> {
    let shown = file.display();
    let opened = File::open(file).context(|| format!("cannot open `{shown}`"))?;
    let options = CString::new(options.join(" "))
        .context(|| format!("cannot load `{shown}` with these parameters"))?;
    match finit_module(&opened, &options, 0) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(error) => {
            let problem = Problem::new(format!("cannot load `{shown}`: {error}"));
            Err(match remedy(error) {
                Some(remedy) => problem.with_hint(remedy),
                None => problem,
            })
        }
    }
}

const fn remedy(error: Errno) -> Option<&'static str> {
    match error {
        Errno::PERM => Some("only root may (CAP_SYS_MODULE)"),
        Errno::NOEXEC => Some("it is no module, or one of another kernel; `dmesg` has the reason"),
        Errno::NOENT | Errno::INVAL => {
            Some("it needs another module, or knows a parameter not; `dmesg` has the reason")
        }
        Errno::NODEV => Some("it found no device to drive"),
        Errno::NOSYS => Some("this kernel has no modules"),
        _ => None,
    }
}

/// Has the kernel unload a module.
///
/// # Errors
/// It is in use or not loaded, or the kernel refuses.
pub fn unload(name: &str) -> Result<()> {
    let c_name = CString::new(name).context(|| format!("`{name}` is no module's name"))?;
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    delete_module(&c_name, flags).map_err(|error| {
        let problem = Problem::new(format!("cannot unload `{name}`: {error}"));
        match error {
            Errno::PERM => problem.with_hint("only root may (CAP_SYS_MODULE)"),
            Errno::NOENT => problem.with_hint("it is not loaded; `lsmod` lists what is"),
            Errno::WOULDBLOCK | Errno::BUSY => {
                problem.with_hint("it is in use; `lsmod` lists the modules that use it")
            }
            Errno::NOSYS => problem.with_hint("this kernel unloads no modules"),
            _ => problem,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_list_is_read() {
        let text = "sr_mod 28672 0 - Live 0x0000000000000000\n\
                    cdrom 73728 1 sr_mod, Live 0x0000000000000000 (O)\n\
                    odd 1 2 [permanent], Loading 0x0\nshort 1\n\
                    fixed 4096 - - Live 0x0\n";
        let modules = parse(text);
        let names: Vec<&str> = modules.iter().map(|module| module.name.as_str()).collect();
        assert_eq!(names, ["sr_mod", "cdrom", "odd", "fixed"]);
        assert_eq!(modules[1].used_by, ["sr_mod"]);
        assert_eq!((modules[1].users, modules[3].users), (Some(1), None));
        assert!(modules[0].used_by.is_empty() && modules[2].used_by.is_empty());
        assert_eq!(modules[2].state, "Loading");
    }

    #[test]
    fn what_is_no_module_is_refused_with_its_name() {
        let problem = load(Path::new("/nowhere/x.ko"), &[]).unwrap_err();
        assert!(problem.to_string().contains("/nowhere/x.ko"), "{problem}");
        assert!(load(Path::new("/dev/null"), &["a\0b".to_owned()]).is_err());
        assert!(unload("a\0b").is_err());
    }
}
