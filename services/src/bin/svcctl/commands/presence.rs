//! What a description names and this system does not have: its user, its group, its program.
//! PID 1 finds out when it starts the service; here it is known beforehand.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;

use init_core::description::ServiceDescription;
use init_core::diagnostic::{Finding, suggest};
use init_core::parse::locate;
use services::people::accounts;

/// The names of users and groups; `None` where they cannot be read.
#[derive(Default)]
pub(crate) struct System {
    users: Option<Vec<String>>,
    groups: Option<Vec<String>>,
}

/// What is missing, and how surely that keeps the service from running.
pub(crate) struct Missing {
    pub(crate) finding: Finding,
    /// False for a program: it may lie on what is not mounted now.
    pub(crate) is_certain: bool,
}

impl System {
    /// The system that this process sees.
    pub(crate) fn read() -> Self {
        let users = accounts::users().ok();
        let groups = accounts::groups().ok();
        Self {
            users: users.map(|all| all.into_iter().map(|user| user.name).collect()),
            groups: groups.map(|all| all.into_iter().map(|group| group.name).collect()),
        }
    }

    /// What `description`, read out of `text`, the content of `file`, names in vain.
    pub(crate) fn lacks(
        &self,
        description: &ServiceDescription,
        file: &str,
        text: &str,
    ) -> Vec<Missing> {
        let place = |key, value| locate(file, text, key, Some(value));
        let mut missing = Vec::new();
        for (key, name, known, list) in [
            ("user", &description.user, &self.users, "/etc/passwd"),
            ("group", &description.group, &self.groups, "/etc/group"),
        ] {
            let (Some(name), Some(known)) = (name, known) else { continue };
            // A number needs no entry.
            if name.parse::<u32>().is_ok() || known.iter().any(|one| **one == **name) {
                continue;
            }
            let message = format!("there is no {key} {name:?} in `{list}`");
            let hint = match suggest(name, known.iter().map(String::as_str)) {
                Some(near) => format!("did you mean {near:?}?"),
                None => "PID 1 could not start the service".to_owned(),
            };
            let finding = Finding::new(place(key, name), message).with_hint(hint);
            missing.push(Missing { finding, is_certain: true });
        }
        if let Some(program) = description.command.first()
            && let Some(why) = no_program(program)
        {
            let hint = "write its whole path as it is when the service starts";
            let finding = Finding::new(place("command", program), why).with_hint(hint);
            missing.push(Missing { finding, is_certain: false });
        }
        missing
    }
}

/// Why `path` is no program that could be executed. `None` if it is one, or if that cannot be
/// seen by whoever asks.
fn no_program(path: &str) -> Option<String> {
    match fs::metadata(path) {
        Ok(found) if !found.is_file() => Some(format!("{path:?} is no file")),
        Ok(found) if found.permissions().mode() & 0o111 == 0 => {
            Some(format!("{path:?} is not executable"))
        }
        Ok(_) => None,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Some(format!("there is no program {path:?}"))
        }
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use init_core::name::ServiceName;
    use init_core::parse::parse_description;

    use super::*;

    fn lacks(text: &str) -> Vec<String> {
        let names = |all: &[&str]| Some(all.iter().map(|name| (*name).to_owned()).collect());
        let system = System { users: names(&["root", "web"]), groups: names(&["wheel"]) };
        let name = ServiceName::new("a").unwrap();
        let description = parse_description(&name, "a.toml", text).unwrap();
        let missing = system.lacks(&description, "a.toml", text);
        missing.iter().map(|one| one.finding.to_string()).collect()
    }

    #[test]
    fn users_groups_and_programs_are_looked_for_at_their_places() {
        let missing =
            lacks("command = [\"/bin/nosuchprog\"]\nuser = \"wbe\"\ngroup = \"nobody\"\n");
        let expected = [
            "a.toml:2:8: there is no user \"wbe\" in `/etc/passwd`\n  hint: did you mean \"web\"?",
            "a.toml:3:9: there is no group \"nobody\" in `/etc/group`\n  \
             hint: PID 1 could not start the service",
            "a.toml:1:12: there is no program \"/bin/nosuchprog\"\n  \
             hint: write its whole path as it is when the service starts",
        ];
        assert_eq!(missing, expected);
        let has_all = "command = [\"/bin/sh\"]\nuser = \"web\"\ngroup = \"wheel\"\n";
        assert_eq!(lacks(has_all), [""; 0]);
        assert_eq!(lacks("command = [\"/bin/sh\"]\nuser = \"77\"\ngroup = \"78\"\n"), [""; 0]);
    }

    #[test]
    fn what_cannot_be_executed_is_no_program() {
        let no_program = |path| no_program(path).unwrap_or_default();
        assert_eq!(no_program("/bin"), "\"/bin\" is no file");
        assert_eq!(no_program("/etc/passwd"), "\"/etc/passwd\" is not executable");
        assert_eq!(no_program("/etc/passwd/x"), "there is no program \"/etc/passwd/x\"");
        assert_eq!(no_program("/bin/sh"), "");
    }
}
