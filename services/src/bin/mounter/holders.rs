//! Who keeps a file system from being unmounted: processes with a file, a directory or a
//! mapping on it (proc(5)).

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Most processes that are named.
const NAMED_MAX: usize = 8;

/// The processes that use the file system at `target`, as `name (pid)`, at most 8 of them.
pub(crate) fn of(target: &str) -> Vec<String> {
    let Ok(device) = fs::metadata(target).map(|found| found.dev()) else { return Vec::new() };
    let mut holders = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(pid) = name.to_str().filter(|name| name.bytes().all(|b| b.is_ascii_digit()))
        else {
            continue;
        };
        if holders.len() < NAMED_MAX && uses(&entry.path(), device) {
            let comm = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
            holders.push(format!("{} ({pid})", comm.trim()));
        }
    }
    holders
}

/// Whether the process at `process` has anything on the file system of `device`.
fn uses(process: &Path, device: u64) -> bool {
    let is_on_it = |path: &Path| fs::metadata(path).is_ok_and(|found| found.dev() == device);
    if ["cwd", "root", "exe"].iter().any(|link| is_on_it(&process.join(link))) {
        return true;
    }
    let entries = |directory: &str| fs::read_dir(process.join(directory)).into_iter().flatten();
    entries("fd").chain(entries("map_files")).flatten().any(|entry| is_on_it(&entry.path()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_the_file_system_of_an_open_file() {
        let file = tempfile::tempfile().unwrap();
        let process = format!("/proc/{}", std::process::id());
        assert!(uses(Path::new(&process), file.metadata().unwrap().dev()));
        assert!(!uses(Path::new(&process), u64::MAX));
    }
}
