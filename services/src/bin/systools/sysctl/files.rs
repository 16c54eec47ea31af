//! Files of settings, as sysctl.d(5) and sysctl.conf(5) have them.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use services::bounded_file;
use services::config_file::CONFIG_BYTES_MAX;
use services::problem::{Context, Problem, Result};

/// What the system has, later ones over earlier ones of the same name.
const DIRECTORIES: [&str; 2] = ["/usr/lib/sysctl.d", "/etc/sysctl.d"];

/// One setting.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Line {
    pub(super) name: String,
    pub(super) value: String,
    /// False with a `-` before the name.
    pub(super) errors_count: bool,
    /// Its file and line, for messages.
    pub(super) place: String,
}

/// The files of the system, in the order in which they count.
pub(super) fn of_system() -> Vec<PathBuf> {
    let mut files = in_order(&DIRECTORIES.map(Path::new));
    files.extend(Some(PathBuf::from(super::FILE)).filter(|file| file.exists()));
    files
}

/// The `*.conf` of these directories by name; of one name, that of the last directory.
fn in_order(directories: &[&Path]) -> Vec<PathBuf> {
    let mut files: BTreeMap<OsString, PathBuf> = BTreeMap::new();
    for directory in directories {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.extension().is_some_and(|extension| extension == "conf") {
                files.insert(entry.file_name(), path);
            }
        }
    }
    files.into_values().collect()
}

/// What the lines of a file say, in order, mistakes included.
///
/// # Errors
/// If it cannot be read.
pub(super) fn read(file: &Path) -> Result<Vec<Result<Line>>> {
    // As of sysctl.d(5): so a file of the distribution is switched off.
    if file.canonicalize().is_ok_and(|end| end == Path::new("/dev/null")) {
        return Ok(Vec::new());
    }
    let shown = file.display();
    let bytes =
        bounded_file::read(file, CONFIG_BYTES_MAX).context(|| format!("cannot read `{shown}`"))?;
    Ok(parse(&String::from_utf8_lossy(&bytes), &shown.to_string()))
}

fn parse(text: &str, file: &str) -> Vec<Result<Line>> {
    let mut lines = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        let place = format!("{file}:{}", index + 1);
        let (setting, errors_count) = match line.strip_prefix('-') {
            Some(rest) => (rest.trim_start(), false),
            None => (line, true),
        };
        lines.push(match setting.split_once('=') {
            Some((name, value)) if !name.trim().is_empty() => Ok(Line {
                name: name.trim().to_owned(),
                value: value.trim().to_owned(),
                errors_count,
                place,
            }),
            _ => Err(Problem::new(format!("{place}: a setting is `name = value`"))),
        });
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_settings_comments_or_mistakes() {
        let text = "# a\n; b\n\n vm.a = 1 2 \n-net/b=x=y\nvm.c\n= 1\nvm.d =\n";
        let shown: Vec<_> = parse(text, "f")
            .into_iter()
            .map(|line| match line {
                Ok(line) => {
                    format!("{} {}={} {}", line.place, line.name, line.value, line.errors_count)
                }
                Err(problem) => problem.message().to_owned(),
            })
            .collect();
        let expected = [
            "f:4 vm.a=1 2 true",
            "f:5 net/b=x=y false",
            "f:6: a setting is `name = value`",
            "f:7: a setting is `name = value`",
            "f:8 vm.d= true",
        ];
        assert_eq!(shown, expected);
    }

    #[test]
    fn what_is_no_file_is_not_waited_for_and_a_file_can_be_switched_off() {
        let root = tempfile::tempdir().unwrap();
        let (pipe, off) = (root.path().join("a.conf"), root.path().join("b.conf"));
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).unwrap();
        assert!(read(&pipe).unwrap_err().message().contains("it is no regular file"));
        std::os::unix::fs::symlink("/dev/null", &off).unwrap();
        assert!(read(&off).unwrap().is_empty());
    }

    #[test]
    fn files_count_by_name_and_the_later_directory_wins() {
        let root = tempfile::tempdir().unwrap();
        let [vendor, own, none] = ["vendor", "own", "none"].map(|name| root.path().join(name));
        for file in [
            "vendor/50-a.conf",
            "vendor/60-b.conf",
            "vendor/c.txt",
            "own/50-a.conf",
            "own/10-z.conf",
        ] {
            let path = root.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let found = in_order(&[&vendor, &own, &none]);
        let expected = [own.join("10-z.conf"), own.join("50-a.conf"), vendor.join("60-b.conf")];
        assert_eq!(found, expected);
    }
}
