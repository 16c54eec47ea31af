//! The mounts: each is there and of its type (proc_pid_mountinfo(5)). A bind mount is of
//! the type of what it shows, which may be any.

use std::fs;

use init_core::mount::MountKind;
use init_core::system_manifest::SystemManifest;

use crate::Outcome;

/// Compares with the mounts of this process.
pub(crate) fn check(manifest: &SystemManifest) -> Outcome {
    match fs::read_to_string("/proc/self/mountinfo") {
        Ok(text) => judge(&text, manifest),
        Err(error) => {
            let mut outcome = Outcome::default();
            outcome.find("mount", "all", format!("cannot be looked at: {error}"));
            outcome
        }
    }
}

fn judge(text: &str, manifest: &SystemManifest) -> Outcome {
    let mounted: Vec<(String, &str)> = text.lines().filter_map(parse).collect();
    let mut outcome = Outcome::default();
    for (kind, place) in &manifest.mounts {
        outcome.looked_at += 1;
        // The last one at a place is the one that shows.
        match mounted.iter().rev().find(|(found, _)| found == place) {
            Some((_, found)) if found == kind || kind == MountKind::Bind.as_str() => {}
            Some((_, found)) => outcome.find("mount", place, format!("it is {found}, not {kind}")),
            None => outcome.find("mount", place, "nothing is mounted there"),
        }
    }
    outcome
}

/// Place and type of a line.
fn parse(line: &str) -> Option<(String, &str)> {
    let (fields, more) = line.split_once(" - ")?;
    Some((unescape(fields.split(' ').nth(4)?), more.split(' ').next()?))
}

/// Spaces and their like are `\040` there.
fn unescape(word: &str) -> String {
    let mut text = String::new();
    let mut rest = word;
    while let Some(c) = rest.chars().next() {
        let digits = rest.strip_prefix('\\').and_then(|rest| rest.get(..3));
        match digits.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                text.push(char::from(byte));
                rest = rest.get(4..).unwrap_or_default();
            }
            None => {
                text.push(c);
                rest = rest.get(c.len_utf8()..).unwrap_or_default();
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mount_is_there_and_of_its_type() {
        let text = "\
            21 1 254:2 / / rw,relatime shared:1 - ext4 /dev/root rw\n\
            22 21 0:20 / /proc rw,nosuid - proc proc rw\n\
            23 21 0:21 / /run rw - tmpfs tmpfs rw\n\
            24 23 0:22 / /run rw - ext4 /dev/vdb rw\n\
            25 21 0:23 / /with\\040space rw - tmpfs tmpfs rw\n\
            nonsense\n";
        let wanted = [
            "proc /proc",
            "tmpfs /run",
            "tmpfs /with space",
            "tmpfs /tmp",
            "bind /run",
            "bind /none",
        ];
        let mounts = wanted.iter().map(|line| line.split_once(' ').unwrap());
        let mounts = mounts.map(|(kind, place)| (kind.to_owned(), place.to_owned())).collect();
        let outcome = judge(text, &SystemManifest { mounts, ..SystemManifest::default() });
        let found: Vec<String> = outcome
            .findings
            .iter()
            .map(|finding| format!("{} {}", finding.subject, finding.message))
            .collect();
        assert_eq!(
            found,
            [
                "/run it is ext4, not tmpfs",
                "/tmp nothing is mounted there",
                "/none nothing is mounted there"
            ]
        );
        assert_eq!(outcome.looked_at, 6);
    }
}
