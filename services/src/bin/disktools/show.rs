//! What is mounted, for people.

use services::storage::mounting::table::Mounted;

/// One line for each mount.
pub(crate) fn lines(mounts: &[Mounted]) -> String {
    let line = |mount: &Mounted| {
        let (source, target, kind) = (&mount.source, &mount.target, &mount.kind);
        format!("{source} on {target} type {kind} ({})\n", options(mount))
    };
    mounts.iter().map(line).collect()
}

/// Options of the mount and then those of the file system, each word once. Of the words about
/// writing only that one that holds: both have one, and `ro` of either is enough.
fn options(mount: &Mounted) -> String {
    let words = || mount.options.split(',').chain(mount.super_options.split(','));
    let mut shown = vec![if words().any(|word| word == "ro") { "ro" } else { "rw" }];
    for word in words().filter(|word| !matches!(*word, "ro" | "rw" | "")) {
        if !shown.contains(&word) {
            shown.push(word);
        }
    }
    shown.join(",")
}

#[cfg(test)]
mod tests {
    use services::storage::mounting::table;

    use super::*;

    fn mounted(options: &str, super_options: &str) -> Mounted {
        let line = format!("25 1 0:25 / /tmp {options} - tmpfs scratch {super_options}\n");
        table::parse(line.as_bytes()).remove(0)
    }

    #[test]
    fn options_are_those_of_the_mount_and_of_the_file_system() {
        for (options, super_options, expected) in [
            ("rw,nosuid,relatime", "rw,size=1024k", "rw,nosuid,relatime,size=1024k"),
            ("rw,relatime", "ro", "ro,relatime"),
            ("ro,relatime", "rw,size=1024k", "ro,relatime,size=1024k"),
            ("rw,sync", "rw,sync", "rw,sync"),
            ("rw", "", "rw"),
        ] {
            let line = lines(&[mounted(options, super_options)]);
            assert_eq!(line, format!("scratch on /tmp type tmpfs ({expected})\n"));
        }
    }
}
