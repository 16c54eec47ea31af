//! The file that keeps which links a person has switched off, so that the next `netd` leaves
//! them off: a name a line. It lies in the run directory and goes with the boot.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use services::whole_file;

/// Its name in the run directory.
const NAME: &str = "held-down";

/// The names that `run` has; none without the file.
///
/// # Errors
/// The file is there and cannot be read.
pub(crate) fn read(run: &Path) -> io::Result<BTreeSet<String>> {
    let text = whole_file::read(&run.join(NAME))?.unwrap_or_default();
    Ok(text.lines().map(str::to_owned).collect())
}

/// Has `run` keep `names`, in place of those it had.
///
/// # Errors
/// The file cannot be written.
pub(crate) fn write(run: &Path, names: &BTreeSet<String>) -> io::Result<()> {
    let text: String = names.iter().map(|name| format!("{name}\n")).collect();
    whole_file::write(&run.join(NAME), text.as_bytes(), 0o644)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_were_written() {
        let run = tempfile::tempdir().unwrap();
        assert_eq!(read(run.path()).unwrap(), BTreeSet::new());
        for names in [vec!["eth0", "lan.7"], vec![]] {
            let names: BTreeSet<String> = names.into_iter().map(str::to_owned).collect();
            write(run.path(), &names).unwrap();
            assert_eq!(read(run.path()).unwrap(), names);
        }
    }
}
