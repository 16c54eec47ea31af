//! A TOML file that configures a daemon, read as strictly as a service description: every
//! value typed, every mistake reported with its place, a key that nobody knows is a mistake.
//!
//! The reader is PID 1's, [`init_core::parse::reader`].

use std::io::{self, ErrorKind};
use std::path::Path;

use init_core::diagnostic::Finding;
use init_core::parse::reader::read_file;
pub use init_core::parse::reader::{Reader, Section, Value};

use crate::bounded_file;
use crate::people::accounts::users;
use crate::problem::{Problem, Result};

/// Largest configuration file, in bytes.
pub const CONFIG_BYTES_MAX: usize = 256 * 1024;

/// Reads `text`, the content of `file`, by `read`. `page` is the page of documentation that
/// lists the keys.
///
/// # Errors
/// Everything that is wrong, in the order of the file; never an empty list.
pub fn parse<T>(
    file: &str,
    text: &str,
    page: &'static str,
    read: impl for<'t> FnOnce(&mut Reader<'t>, &Section<'t>) -> T,
) -> std::result::Result<T, Vec<Finding>> {
    read_file(file, text.as_bytes(), CONFIG_BYTES_MAX, page, |root, reader| read(reader, root))
}

/// The text of the configuration file `path`.
///
/// # Errors
/// It cannot be read, is no regular file, is larger than [`CONFIG_BYTES_MAX`], or is no UTF-8.
pub fn load(path: &Path) -> Result<String> {
    let shown = path.display();
    let bytes =
        bounded_file::read(path, CONFIG_BYTES_MAX).map_err(|error| unreadable(path, &error))?;
    if bytes.len() > CONFIG_BYTES_MAX {
        let limit = CONFIG_BYTES_MAX / 1024;
        return Err(Problem::new(format!("`{shown}` is larger than {limit} KiB"))
            .with_hint("no settings are; is it the right file?"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        Problem::new(format!("`{shown}` is not UTF-8 from byte {valid} on"))
    })
}

/// A daemon has given up root's rights before it reads, which nobody sees in the file.
fn unreadable(path: &Path, error: &io::Error) -> Problem {
    let shown = path.display();
    let problem = Problem::new(format!("cannot read `{shown}`: {error}"));
    if error.kind() == ErrorKind::PermissionDenied {
        let reader = own_user();
        return problem.with_hint(format!("{reader} reads it: `chmod a+r {shown}` lets everybody"));
    }
    match bounded_file::remedy(path, error) {
        Some(remedy) => problem.with_hint(remedy),
        None => problem,
    }
}

/// Whose rights this process has, by name if the name is known.
fn own_user() -> String {
    let uid = rustix::process::geteuid().as_raw();
    let users = users().unwrap_or_default();
    match users.into_iter().find(|user| user.uid == uid) {
        Some(user) => format!("the user `{}`", user.name),
        None => format!("user {uid}"),
    }
}

/// All findings as one problem.
#[must_use]
pub fn problem(findings: &[Finding]) -> Problem {
    let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
    Problem::new(lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::time::Duration;

    use super::*;

    const WORDS: [(&str, u8); 2] = [("accept", 1), ("drop", 2)];

    fn read<'t>(reader: &mut Reader<'t>, root: &Section<'t>) -> (Option<u8>, u64) {
        reader.check_keys(root, &["action", "rule", "wait"]);
        let second = Duration::from_secs(1);
        reader.duration_within(root, "wait", second, second * 60);
        let mut ports = 0;
        for section in reader.tables(root, "rule") {
            reader.check_keys(&section, &["port", "from", "on"]);
            ports += reader.number(&section, "port", 1, 65_535).unwrap_or_default();
            reader.boolean(&section, "on");
            reader.one_or_more(&section, "from");
        }
        (reader.word(root, "action", &WORDS), ports)
    }

    fn findings(text: &str) -> Vec<String> {
        let found = parse("f", text, "docs/x.md", read);
        found.unwrap_err().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn values_are_read_from_tables_and_lists_of_tables() {
        let text = "action = \"drop\"\nwait = \"5s\"\n[[rule]]\nport = 22\nfrom = \"a\"\n\
                    [[rule]]\nport = 0x10\nfrom = [\"a\", \"b\"]\non = true\n";
        let found = parse("f", text, "docs/x.md", read);
        assert_eq!(found.unwrap(), (Some(2), 38));
    }

    #[test]
    fn all_that_is_wrong_is_said_at_once_with_its_place() {
        let text = "acton = 1\naction = \"dorp\"\nwait = \"1h\"\n[[rule]]\nport = 0\non = 1\nfrom = []\n\
                    [[rule]]\ncolour = 1\nfrom = [1]\n";
        let expected = [
            "f:1:1: unknown key \"acton\"\n  hint: did you mean \"action\"?",
            "f:2:10: \"action\" cannot be \"dorp\"\n  hint: did you mean \"drop\"?",
            "f:3:8: \"wait\" is from 1s to 60s",
            "f:5:8: \"rule 1.port\" is from 1 to 65535",
            "f:6:6: \"rule 1.on\" wants true or false, not a number",
            "f:7:8: \"rule 1.from\" is an empty list\n  hint: leave it out",
            "f:9:1: unknown key \"rule 2.colour\"\n  hint: docs/x.md lists the keys",
            "f:10:9: \"rule 2.from\" wants a string, not a number",
        ];
        assert_eq!(findings(text), expected);
    }

    #[test]
    fn only_regular_files_up_to_the_limit_are_read() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        rustix::fs::mkfifoat(rustix::fs::CWD, at("pipe"), 0o600.into()).unwrap();
        for path in [at("pipe"), directory.path().to_owned(), "/dev/zero".into()] {
            let problem = load(&path).unwrap_err();
            assert!(problem.message().ends_with("is no regular file"), "{problem}");
            assert_eq!(problem.hint(), Some("it is to be a regular file or a link to one"));
        }
        let endless = File::create(at("endless")).unwrap();
        endless.set_len(1 << 30).unwrap();
        assert!(load(&at("endless")).unwrap_err().message().ends_with("is larger than 256 KiB"));
        endless.set_len(u64::try_from(CONFIG_BYTES_MAX).unwrap()).unwrap();
        assert_eq!(load(&at("endless")).unwrap().len(), CONFIG_BYTES_MAX);
    }

    #[test]
    fn a_file_that_its_daemon_may_not_read_is_told_with_who_reads_it() {
        let denied = io::Error::from(ErrorKind::PermissionDenied);
        let problem = unreadable(Path::new("/etc/x.toml"), &denied);
        let hint = problem.hint().unwrap();
        assert!(hint.starts_with(&own_user()) && hint.contains("chmod a+r /etc/x.toml"), "{hint}");
        assert_eq!(load(Path::new("/nowhere/x.toml")).unwrap_err().hint(), None);
    }

    #[test]
    fn bad_syntax_and_endless_files_are_refused() {
        assert_eq!(findings("a = \n").len(), 1);
        assert!(findings(&"#".repeat(CONFIG_BYTES_MAX + 1))[0].contains("256 KiB"));
        assert!(findings("rule = 1")[0].contains("tables, each written [[rule]]"));
        assert!(findings("rule = [1]")[0].contains("tables, each written [[rule]]"));
    }
}
