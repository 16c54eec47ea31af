//! What the administrator says about modules: `*.conf` files of modprobe.d(5), and
//! `MODULE.PARAMETER=VALUE` and `modprobe.blacklist=` on the kernel command line.
//!
//! `alias`, `blacklist` and `options` lines are read; any other is a mistake. Absent:
//! `install`, `remove`, `softdep`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use init_core::cmdline;
use init_core::diagnostic::{Finding, Place, suggest};
use init_core::modinfo::{canonical, canonical_pattern};

/// Where files are, the first one's before those of the same name in later ones.
pub const DIRECTORIES: [&str; 3] = ["/etc/modprobe.d", "/run/modprobe.d", "/usr/lib/modprobe.d"];

/// The kernel command line.
const COMMAND_LINE: &str = "/proc/cmdline";

/// Longest file that is read, in bytes.
const FILE_BYTES_MAX: usize = 256 * 1024;

/// What a line begins with.
const WORDS: [&str; 3] = ["alias", "blacklist", "options"];

/// What all files say together.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Config {
    /// Patterns with what is meant by a name that matches.
    pub aliases: Vec<(String, String)>,
    /// Modules that no alias of their own leads to.
    pub blacklist: BTreeSet<String>,
    /// Parameters by module, in order.
    pub options: BTreeMap<String, Vec<String>>,
}

impl Config {
    /// Reads the files of this system and its command line. What is wrong in a file is
    /// among the findings; every other line of it counts.
    ///
    /// # Errors
    /// A directory or file that is there and cannot be read.
    pub fn of_system() -> io::Result<(Self, Vec<Finding>)> {
        let mut config = Self::default();
        let mut findings = Vec::new();
        for file in files(&DIRECTORIES.map(PathBuf::from))? {
            config.read(&file, &mut findings)?;
        }
        config.take_command_line(&fs::read_to_string(COMMAND_LINE).unwrap_or_default());
        Ok((config, findings))
    }

    /// Adds what the file says.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read(&mut self, file: &Path, findings: &mut Vec<Finding>) -> io::Result<()> {
        let bytes = fs::read(file)?;
        let shown = file.display().to_string();
        if bytes.len() > FILE_BYTES_MAX {
            let place = Place { file: shown, line: 1, column: 1 };
            findings.push(Finding::new(place, format!("it is longer than {FILE_BYTES_MAX} bytes")));
        } else {
            self.take(&shown, &String::from_utf8_lossy(&bytes), findings);
        }
        Ok(())
    }

    /// Adds what `text`, the content of `file`, says.
    pub fn take(&mut self, file: &str, text: &str, findings: &mut Vec<Finding>) {
        let mut lines = text.lines().zip(1..);
        while let Some((line, number)) = lines.next() {
            let mut line = line.to_owned();
            // A backslash at the end has the next line go on with this one.
            while line.ends_with('\\') {
                line.pop();
                let Some((next, _)) = lines.next() else { break };
                line.push_str(next);
            }
            let words: Vec<&str> = line.split_whitespace().collect();
            if let Err((message, hint)) = self.take_line(&words) {
                let place = Place { file: file.to_owned(), line: number, column: 1 };
                findings.push(Finding::new(place, message).with_hint(hint));
            }
        }
    }

    fn take_line(&mut self, words: &[&str]) -> Result<(), (String, String)> {
        match words {
            [] => {}
            [first, ..] if first.starts_with('#') => {}
            ["alias", pattern, module] => {
                self.aliases.push((canonical_pattern(pattern), canonical(module)));
            }
            ["blacklist", module] => {
                self.blacklist.insert(canonical(module));
            }
            ["options", module, first, more @ ..] => {
                let options = self.options.entry(canonical(module)).or_default();
                options.extend([first].into_iter().chain(more).map(|word| (*word).to_owned()));
            }
            ["alias", ..] => return Err(wrong("alias PATTERN MODULE")),
            ["blacklist", ..] => return Err(wrong("blacklist MODULE")),
            ["options", ..] => return Err(wrong("options MODULE PARAMETER=VALUE...")),
            [word, ..] => {
                let hint = match suggest(word, WORDS) {
                    Some(meant) => format!("did you mean `{meant}`?"),
                    None => format!("there are {}", WORDS.join(", ")),
                };
                return Err((format!("there is no `{word}`"), hint));
            }
        }
        Ok(())
    }

    /// Adds what the kernel command line says.
    pub fn take_command_line(&mut self, line: &str) {
        for word in cmdline::words(line) {
            if word.key == "--" && word.value.is_none() {
                break;
            }
            if word.key == "modprobe.blacklist" {
                let list = word.value.unwrap_or_default();
                self.blacklist.extend(list.split(',').map(canonical));
            } else if let Some((module, parameter)) = word.key.split_once('.') {
                let option = match word.value {
                    Some(value) if value.contains(char::is_whitespace) => {
                        format!("{parameter}=\"{value}\"")
                    }
                    Some(value) => format!("{parameter}={value}"),
                    None => parameter.to_owned(),
                };
                self.options.entry(canonical(module)).or_default().push(option);
            }
        }
    }
}

fn wrong(form: &str) -> (String, String) {
    ("this line is not complete, or goes on too long".to_owned(), format!("write `{form}`"))
}

/// The files that count, sorted by name.
///
/// # Errors
/// If a directory is there and cannot be read.
pub fn files(directories: &[PathBuf]) -> io::Result<Vec<PathBuf>> {
    let mut by_name = BTreeMap::new();
    for directory in directories {
        let entries = match fs::read_dir(directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        for entry in entries {
            let entry = entry?;
            if entry.path().extension().is_some_and(|extension| extension == "conf") {
                by_name.entry(entry.file_name()).or_insert_with(|| entry.path());
            }
        }
    }
    Ok(by_name.into_values().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Config, Vec<String>) {
        let mut config = Config::default();
        let mut findings = Vec::new();
        config.take("f.conf", text, &mut findings);
        (config, findings.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn every_kind_of_line_is_read() {
        let (config, findings) = read(
            "# comment\n\n  blacklist virtio-rng\n\
             alias net-pf-[0-9] dummy-x\noptions dummy numdummies=2 \\\n  x=y\noptions dummy z\n",
        );
        assert_eq!(findings, Vec::<String>::new());
        assert!(config.blacklist.contains("virtio_rng"));
        assert_eq!(config.aliases, [("net_pf_[0-9]".to_owned(), "dummy_x".to_owned())]);
        assert_eq!(config.options["dummy"], ["numdummies=2", "x=y", "z"]);
    }

    #[test]
    fn mistakes_are_all_told_and_the_rest_counts() {
        let (config, findings) = read(
            "blacklst a\nblacklist\nblacklist b\ninstall a /bin/true\n\
             alias a\nalias a b c\noptions a\n",
        );
        let expected = [
            "f.conf:1:1: there is no `blacklst`\n  hint: did you mean `blacklist`?",
            "f.conf:2:1: this line is not complete, or goes on too long\n  hint: write `blacklist MODULE`",
            "f.conf:4:1: there is no `install`\n  hint: there are alias, blacklist, options",
            "f.conf:5:1: this line is not complete, or goes on too long\n  hint: write `alias PATTERN MODULE`",
            "f.conf:6:1: this line is not complete, or goes on too long\n  hint: write `alias PATTERN MODULE`",
            "f.conf:7:1: this line is not complete, or goes on too long\n  hint: write `options MODULE PARAMETER=VALUE...`",
        ];
        assert_eq!(findings, expected);
        assert!(config.blacklist.contains("b"));
    }

    #[test]
    fn the_command_line_has_a_say() {
        let mut config = Config::default();
        config.take_command_line(
            "root=/dev/vda ro usb-core.quirks=a:b dummy.numdummies=3 x.flag y.text=\"a b\" \
             modprobe.blacklist=e1000,snd-x -- z.not=1\n",
        );
        assert_eq!(config.options["usb_core"], ["quirks=a:b"]);
        assert_eq!(config.options["dummy"], ["numdummies=3"]);
        assert_eq!(config.options["x"], ["flag"]);
        assert_eq!(config.options["y"], ["text=\"a b\""]);
        assert!(!config.options.contains_key("z"));
        assert!(config.blacklist.contains("e1000") && config.blacklist.contains("snd_x"));
    }

    #[test]
    fn a_file_hides_one_of_the_same_name_behind_it() {
        let root = tempfile::tempdir().unwrap();
        let directories = ["etc", "run", "lib"].map(|name| root.path().join(name));
        for (path, text) in
            [("etc/b.conf", ""), ("lib/b.conf", ""), ("lib/a.conf", ""), ("lib/c", "")]
        {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let found = files(&directories).unwrap();
        assert_eq!(found, [root.path().join("lib/a.conf"), root.path().join("etc/b.conf")]);
    }
}
