//! `builder diff`: in what two images, kernels, programs, manifests or output directories differ.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::error::{Error, IoContext, Result};
use crate::format::source::FileSource;
use crate::inspect::{self, Difference, Report, differences};
use crate::ops::image_file;
use crate::shell::Shell;

/// Arguments of `builder diff`.
#[derive(Debug, clap::Args)]
#[command(after_help = "The exit code is 0 if nothing differs and 1 if something does.")]
pub struct Args {
    /// What `inspect` reads, or a directory of outputs such as out/standard/x86_64
    #[arg(value_name = "A")]
    old: PathBuf,
    /// The one to compare it with
    #[arg(value_name = "B")]
    new: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Prints everything that differs.
///
/// # Errors
/// If something differs; if one of the two cannot be read or is damaged.
pub fn run(shell: &Shell, args: &Args) -> Result<()> {
    let found = compare(&args.old, &args.new)?;
    let text = if args.json {
        let text = serde_json::to_string_pretty(&found)
            .map_err(|error| Error::internal(format!("cannot write JSON: {error}")))?;
        text + "\n"
    } else {
        found.iter().map(|one| format!("{one}\n")).collect()
    };
    shell.data(&text);
    match found.len() {
        0 => Ok(()),
        count => {
            let [old, new] = [&args.old, &args.new].map(|path| path.display());
            let things = if count == 1 { "thing" } else { "things" };
            Err(Error::failure(format!("{old} and {new} differ in {count} {things}")))
        }
    }
}

/// Compares two files, or the files of two directories by their names.
fn compare(old: &Path, new: &Path) -> Result<Vec<Difference>> {
    match (is_directory(old)?, is_directory(new)?) {
        (false, false) => compare_files(&Compared::open(old)?, &Compared::open(new)?),
        (true, true) => compare_directories(old, new),
        _ => {
            let [old, new] = [old, new].map(Path::display);
            Err(Error::definition(format!("of {old} and {new} only one is a directory"))
                .hint("name two files or two directories"))
        }
    }
}

fn is_directory(path: &Path) -> Result<bool> {
    Ok(fs::metadata(path).at("read", path)?.is_dir())
}

fn compare_directories(old: &Path, new: &Path) -> Result<Vec<Difference>> {
    let (of_old, of_new) = (outputs(old)?, outputs(new)?);
    let mut found = Vec::new();
    for name in of_old.union(&of_new) {
        let file = |directory: &Path, names: &BTreeSet<String>| {
            names.contains(name).then(|| Compared::open(&directory.join(name))).transpose()
        };
        let of_file = match (file(old, &of_old)?, file(new, &of_new)?) {
            (Some(old), Some(new)) => compare_files(&old, &new)?,
            (old, new) => vec![whole(old.as_ref(), new.as_ref())],
        };
        found.extend(of_file.into_iter().map(|mut difference| {
            difference.place.insert(0, name.clone());
            difference
        }));
    }
    Ok(found)
}

/// The names of a directory's files, but of those that the builder keeps for itself.
///
/// # Errors
/// If there are none, or directories among them: what is not compared would count as the same.
fn outputs(directory: &Path) -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    let hint = "name directories of files, as out/IMAGE/ARCH is";
    for entry in fs::read_dir(directory).at("read", directory)? {
        let entry = entry.at("read", directory)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') {
            continue;
        }
        if is_directory(&entry.path())? {
            let message = format!("{} is a directory in a directory", entry.path().display());
            return Err(Error::definition(message).hint(hint));
        }
        names.insert(name);
    }
    if names.is_empty() {
        let message = format!("{} has no files", directory.display());
        return Err(Error::definition(message).hint(hint));
    }
    Ok(names)
}

/// A file, and what all of it is.
struct Compared {
    name: String,
    source: FileSource,
    sha256: String,
}

impl Compared {
    fn open(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let source = image_file::open(path)?;
        let sha256 = inspect::sha256(&source).map_err(|error| error.context(name.clone()))?;
        Ok(Self { name, source, sha256 })
    }

    fn report(&self) -> Result<Report> {
        inspect::inspect_content(&self.source).map_err(|error| error.context(self.name.clone()))
    }
}

/// Compares two files. What is no known format, and what differs where nothing is listed, is
/// told by its digest.
fn compare_files(old: &Compared, new: &Compared) -> Result<Vec<Difference>> {
    if old.sha256 == new.sha256 {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    if inspect::is_known(&old.source) && inspect::is_known(&new.source) {
        found = differences(&old.report()?, &new.report()?)?;
    }
    Ok(if found.is_empty() { vec![whole(Some(old), Some(new))] } else { found })
}

/// A difference of whole files.
fn whole(old: Option<&Compared>, new: Option<&Compared>) -> Difference {
    let sha256 = |file: &Compared| Value::String(file.sha256.clone());
    Difference { place: vec!["sha256".to_owned()], old: old.map(sha256), new: new.map(sha256) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_compared_by_their_names() {
        let directory = tempfile::tempdir().unwrap();
        let [old, new] = ["old", "new"].map(|name| directory.path().join(name));
        for (place, name, text) in [
            (&old, "vmlinuz", "a kernel"),
            (&new, "vmlinuz", "a kernel"),
            (&old, ".state.json", "{}"),
            (&new, ".state.json", "{\"a\": 1}"),
            (&old, "disk.qcow2", "QFI\u{fb} one"),
            (&new, "disk.qcow2", "QFI\u{fb} two"),
            (&old, "manifest.json", "{\"kernel\": {\"release\": \"6.6.1\"}, \"format\": 1}"),
            (&new, "manifest.json", "{\"kernel\": {\"release\": \"6.6.2\"}, \"format\": 1}"),
            (&new, "root.ext4", ""),
        ] {
            fs::create_dir_all(place).unwrap();
            fs::write(place.join(name), text).unwrap();
        }
        let lines = |old: &Path, new: &Path| -> Vec<String> {
            compare(old, new).unwrap().iter().map(ToString::to_string).collect()
        };
        let found = lines(&old, &new);
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found[0].starts_with("~ disk.qcow2 sha256: "), "{found:?}");
        assert_eq!(found[1], "~ manifest.json kernel release: `6.6.1` -> `6.6.2`");
        assert_eq!(found[2], "+ root.ext4 sha256: e3b0c44298fc…");
        assert_eq!(lines(&old, &old), [""; 0]);
        let [old, new] = [&old, &new].map(|place| place.join("manifest.json"));
        assert_eq!(lines(&old, &new), ["~ kernel release: `6.6.1` -> `6.6.2`"]);
    }

    #[test]
    fn what_differs_where_nothing_is_listed_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let [old, new] = ["old", "new"].map(|name| directory.path().join(name));
        fs::write(&old, "{\"a\": 1}").unwrap();
        fs::write(&new, "{ \"a\": 1 }").unwrap();
        let found = compare(&old, &new).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].place, ["sha256"]);
    }

    #[test]
    fn a_directory_is_not_compared_with_a_file_and_damage_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let [good, bad] = ["good", "bad"].map(|name| directory.path().join(name));
        fs::write(&good, "{}").unwrap();
        fs::write(&bad, "{").unwrap();
        let error = compare(directory.path(), &good).unwrap_err();
        assert!(error.to_string().contains("only one is a directory"), "{error}");
        let error = compare(&good, &bad).unwrap_err();
        assert!(error.to_string().contains(&bad.display().to_string()), "{error}");
        assert!(compare(&good, &directory.path().join("none")).is_err());
    }

    #[test]
    fn directories_without_files_are_not_the_same() {
        let directory = tempfile::tempdir().unwrap();
        let image = directory.path().join("server");
        for (made, expected) in [("", "has no files"), ("x86_64", "is a directory in a directory")]
        {
            fs::create_dir_all(image.join(made)).unwrap();
            let error = compare(&image, &image).unwrap_err().to_string();
            assert!(error.contains(expected) && error.contains("out/IMAGE/ARCH"), "{error}");
        }
    }
}
