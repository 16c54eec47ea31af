//! The mounts: each is there and of its type. A bind mount is of the type of what it shows,
//! which may be any.

use std::fs;

use init_core::mount::MountKind;
use init_core::mountinfo::{self, Mounted};
use init_core::system_manifest::SystemManifest;

use crate::Outcome;

/// Compares with the mounts of this process.
pub(crate) fn check(manifest: &SystemManifest) -> Outcome {
    match fs::read(mountinfo::PATH) {
        Ok(content) => judge(&content, manifest),
        Err(error) => {
            let mut outcome = Outcome::default();
            outcome.find("mount", "all", format!("cannot be looked at: {error}"));
            outcome
        }
    }
}

fn judge(content: &[u8], manifest: &SystemManifest) -> Outcome {
    let mounted: Vec<Mounted> = mountinfo::parse(content).collect();
    let mut outcome = Outcome::default();
    for (kind, place) in &manifest.mounts {
        outcome.looked_at += 1;
        // The last one at a place is the one that shows.
        match mounted.iter().rev().find(|mount| mount.target == place.as_bytes()) {
            Some(found) if found.kind == *kind || kind == MountKind::Bind.as_str() => {}
            Some(found) => {
                outcome.find("mount", place, format!("it is {}, not {kind}", found.kind));
            }
            None => outcome.find("mount", place, "nothing is mounted there"),
        }
    }
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mount_is_there_and_of_its_type() {
        let content = b"\
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
        let outcome = judge(content, &SystemManifest { mounts, ..SystemManifest::default() });
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
