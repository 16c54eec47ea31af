//! Types of file systems, as people name them.

/// The kernel's name of a file system that people call `kind`.
pub(crate) fn kernel_name(kind: &str) -> &str {
    if kind == "fat" { "vfat" } else { kind }
}

/// Whether the file system `kind` is one of `kinds`, separated by commas; with `no` before
/// them, whether it is none (mount(8)).
pub(crate) fn is_of(kinds: &str, kind: &str) -> bool {
    let (kinds, is_meant) = match kinds.strip_prefix("no") {
        Some(others) => (others, false),
        None => (kinds, true),
    };
    kinds.split(',').any(|one| kernel_name(one) == kind) == is_meant
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_systems_are_chosen_by_their_types() {
        for (kinds, kind, expected) in [
            ("ext4", "ext4", true),
            ("ext4", "tmpfs", false),
            ("ext4,fat", "vfat", true),
            ("noproc,sysfs", "sysfs", false),
            ("noproc,sysfs", "ext4", true),
        ] {
            assert_eq!(is_of(kinds, kind), expected, "-t {kinds}: {kind}");
        }
    }
}
