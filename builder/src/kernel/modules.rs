//! A kernel's modules: the directory that `make modules_install` leaves, and the lists of
//! depmod(8) that are added to it, so that no host needs depmod.
//!
//! The lists' formats are `init_core::module_index`'s. Absent: compressed and signed modules,
//! modules of other source trees.

use std::fs;
use std::path::{Path, PathBuf};

use init_core::modinfo::Modinfo;
use init_core::module_index::{self, Module};

use crate::error::{Error, IoContext, Result};

/// The modules in the order in which they were linked, written by kbuild.
const ORDER: &str = "modules.order";

/// Adds `modules.dep`, `modules.alias` and `modules.softdep` to a directory of modules.
///
/// # Errors
/// If a module is none, needs what is not there, or a list cannot be written.
pub fn write_lists(directory: &Path) -> Result<()> {
    let lists = module_index::write(&read(directory)?).map_err(|problems| {
        Error::failure(format!("the kernel's modules do not go together:\n{}", problems.join("\n")))
    })?;
    for (name, text) in [
        ("modules.dep", lists.dep),
        ("modules.alias", lists.alias),
        ("modules.softdep", lists.softdep),
    ] {
        let path = directory.join(name);
        fs::write(&path, text).at("write", &path)?;
    }
    Ok(())
}

/// Every module of a directory, in its order.
///
/// # Errors
/// If one cannot be read or is none.
pub fn read(directory: &Path) -> Result<Vec<Module>> {
    order(directory)?.lines().map(|path| read_one(directory, path)).collect()
}

/// How many modules a directory has.
///
/// # Errors
/// If their list cannot be read.
pub fn count(directory: &Path) -> Result<usize> {
    Ok(order(directory)?.lines().count())
}

fn order(directory: &Path) -> Result<String> {
    let path = directory.join(ORDER);
    fs::read_to_string(&path).at("read", &path)
}

fn read_one(directory: &Path, path: &str) -> Result<Module> {
    let file = directory.join(path);
    if !file.exists() {
        return Err(Error::failure(format!("{} is listed, but not there", file.display()))
            .hint("modules are not to be compressed: leave CONFIG_MODULE_COMPRESS unset"));
    }
    let bytes = fs::read(&file).at("read", &file)?;
    let info = Modinfo::of_file(&bytes)
        .map_err(|why| Error::failure(format!("{}: {why}", file.display())))?;
    Ok(Module { path: path.to_owned(), info })
}

/// Every regular file of a directory of modules, below it, sorted. A link is none of them: the
/// cache may hold kernels before Linux 6.6 with one to their source, which leads out of it.
///
/// # Errors
/// If a directory cannot be read.
pub fn files(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(next) = directories.pop() {
        for entry in fs::read_dir(&next).at("read", &next)? {
            let entry = entry.at("read", &next)?;
            let path = entry.path();
            let kind = entry.file_type().at("read", &path)?;
            if kind.is_dir() {
                directories.push(path);
            } else if kind.is_file()
                && let Ok(below) = path.strip_prefix(directory)
            {
                files.push(below.to_owned());
            }
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_listed_must_be_a_module() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        assert!(read(path).is_err());
        fs::write(path.join(ORDER), "kernel/a.ko\n").unwrap();
        let error = read(path).unwrap_err().to_string();
        assert!(error.contains("kernel/a.ko is listed, but not there"), "{error}");
        assert!(error.contains("MODULE_COMPRESS"), "{error}");
        fs::create_dir(path.join("kernel")).unwrap();
        fs::write(path.join("kernel/a.ko"), "#!/bin/sh\n").unwrap();
        let error = read(path).unwrap_err().to_string();
        assert!(error.contains("no 64-bit little-endian ELF file"), "{error}");
        fs::write(path.join(ORDER), "").unwrap();
        write_lists(path).unwrap();
        std::os::unix::fs::symlink("/", path.join("source")).unwrap();
        let found = files(path).unwrap();
        let expected =
            ["kernel/a.ko", "modules.alias", "modules.dep", "modules.order", "modules.softdep"];
        assert_eq!(found, expected.map(PathBuf::from));
    }
}
