//! Who may use which device: `/usr/lib/devices.toml` and `/etc/devices.toml`. Pure.
//!
//! docs/devices-and-mounts.md has the keys. Absent: programs to run, names of network
//! interfaces, and everything else that is more than a node's owner, mode and links.

use std::collections::BTreeMap;

use init_core::diagnostic::Finding;
use init_core::parse::reader::{Reader, Section, read_file};
use services::glob;

/// Largest file of rules, in bytes.
pub(crate) const RULES_BYTES_MAX: usize = 256 * 1024;

const PAGE: &str = "docs/devices-and-mounts.md";

/// A rule: what it is about, and what it says.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Rule {
    /// Pattern for the subsystem; all if it is not given.
    subsystem: Option<String>,
    /// Pattern for the node's name below `/dev`.
    name: Option<String>,
    /// Patterns for attributes of the device in sysfs.
    attributes: BTreeMap<String, String>,
    mode: Option<u32>,
    user: Option<String>,
    group: Option<String>,
    links: Vec<String>,
}

/// What the rules say of one device: the last rule that says something counts, but links
/// are all made.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Verdict {
    /// Permission bits.
    pub(crate) mode: Option<u32>,
    /// The owner's name.
    pub(crate) user: Option<String>,
    /// The group's name.
    pub(crate) group: Option<String>,
    /// Links to it, relative to `/dev`.
    pub(crate) links: Vec<String>,
}

/// Reads the rules in `bytes`, the content of `file`.
///
/// # Errors
/// All findings, in the order of the file.
pub(crate) fn parse(file: &str, bytes: &[u8]) -> Result<Vec<Rule>, Vec<Finding>> {
    read_file(file, bytes, RULES_BYTES_MAX, PAGE, |section, reader| {
        reader.check_keys(section, &["rule"]);
        let tables = reader.tables(section, "rule");
        tables.into_iter().map(|table| rule(&table, reader)).collect()
    })
}

fn rule<'t>(table: &Section<'t>, reader: &mut Reader<'t>) -> Rule {
    let known = ["subsystem", "name", "attribute", "mode", "user", "group", "symlink"];
    reader.check_keys(table, &known);
    let mut attributes = BTreeMap::new();
    if let Some(section) = reader.section(table, "attribute") {
        for (key, value) in section.table {
            let name: &str = key.get_ref();
            if name.starts_with('/') || name.split('/').any(|part| part == "..") {
                reader
                    .report(key.span(), format!("\"attribute\": {name:?} is no file of a device"));
            }
            if let Some(pattern) = reader.text_of(&section, name, value) {
                attributes.insert(name.to_owned(), pattern.to_owned());
            }
        }
    }
    let text = |reader: &mut Reader<'t>, key| reader.string(table, key).map(str::to_owned);
    Rule {
        subsystem: text(reader, "subsystem"),
        name: text(reader, "name"),
        attributes,
        mode: mode(table, reader),
        user: text(reader, "user"),
        group: text(reader, "group"),
        links: links(table, reader),
    }
}

fn mode<'t>(table: &Section<'t>, reader: &mut Reader<'t>) -> Option<u32> {
    let text = reader.string(table, "mode")?;
    let mode = u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o7777);
    if mode.is_none() {
        let span = table.span_of("mode");
        let hint = "write octal text: \"0660\"";
        reader.report_hint(span, format!("\"mode\": {text:?} is no mode"), hint);
    }
    mode
}

fn links<'t>(table: &Section<'t>, reader: &mut Reader<'t>) -> Vec<String> {
    let mut links = Vec::new();
    for (text, span) in reader.strings(table, "symlink") {
        if text.split('/').any(|part| matches!(part, "" | "." | "..")) {
            let hint = "it is relative to /dev: \"modem\", \"robots/arm\"";
            reader.report_hint(span, format!("\"symlink\": {text:?} leads out of /dev"), hint);
        }
        links.push(text.to_owned());
    }
    links
}

/// What `rules` say of the device of `subsystem` whose node is `/dev/NODE`; `attribute` reads
/// its files in sysfs.
pub(crate) fn judge(
    rules: &[Rule],
    subsystem: &str,
    node: &str,
    attribute: impl Fn(&str) -> Option<String>,
) -> Verdict {
    let mut verdict = Verdict::default();
    let fits = |pattern: &Option<String>, text: &str| {
        pattern.as_deref().is_none_or(|pattern| glob::matches(pattern, text))
    };
    for rule in rules {
        let is_about_it = fits(&rule.subsystem, subsystem)
            && fits(&rule.name, node)
            && rule.attributes.iter().all(|(file, pattern)| {
                attribute(file).is_some_and(|text| glob::matches(pattern, &text))
            });
        if !is_about_it {
            continue;
        }
        verdict.mode = rule.mode.or(verdict.mode);
        verdict.user = rule.user.clone().or(verdict.user);
        verdict.group = rule.group.clone().or(verdict.group);
        verdict.links.extend(rule.links.iter().cloned());
    }
    verdict
}

/// The names of users and groups that `rules` mention.
pub(crate) fn accounts(rules: &[Rule]) -> (Vec<&str>, Vec<&str>) {
    let mut users: Vec<&str> = rules.iter().filter_map(|rule| rule.user.as_deref()).collect();
    let mut groups: Vec<&str> = rules.iter().filter_map(|rule| rule.group.as_deref()).collect();
    for names in [&mut users, &mut groups] {
        names.sort_unstable();
        names.dedup();
    }
    (users, groups)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHIPPED: &str = include_str!("../../../../rootfs/skeleton/usr/lib/devices.toml");

    fn judged(text: &str, subsystem: &str, node: &str) -> Verdict {
        let rules = parse("d.toml", text.as_bytes()).unwrap();
        judge(&rules, subsystem, node, |file| (file == "device/vendor").then(|| "0x1af4".into()))
    }

    #[test]
    fn the_last_rule_that_says_something_counts() {
        let text = "\
            [[rule]]\nsubsystem = \"tty\"\nmode = \"0660\"\ngroup = \"dialout\"\n\
            [[rule]]\nname = \"ttyS1\"\nmode = \"0600\"\nsymlink = [\"modem\"]\n\
            [[rule]]\nname = \"ttyS*\"\nattribute = { \"device/vendor\" = \"0x1*\" }\nuser = \"anna\"\n\
            [[rule]]\nattribute = { absent = \"*\" }\nmode = \"0777\"\n";
        let found = judged(text, "tty", "ttyS1");
        assert_eq!((found.mode, found.group.as_deref()), (Some(0o600), Some("dialout")));
        assert_eq!((found.user.as_deref(), found.links), (Some("anna"), vec!["modem".to_owned()]));
        assert_eq!(judged(text, "mem", "null"), Verdict::default());
    }

    #[test]
    fn the_rules_of_the_distribution_are_right() {
        for (subsystem, node, mode, group) in [
            ("mem", "null", Some(0o666), None),
            ("mem", "mem", Some(0o640), Some("kmem")),
            ("block", "vda1", Some(0o660), Some("disk")),
            ("tty", "tty", Some(0o666), Some("tty")),
            ("tty", "tty3", Some(0o620), Some("tty")),
            ("tty", "ttyS0", Some(0o660), Some("dialout")),
            ("input", "input/event0", Some(0o660), Some("input")),
            ("graphics", "fb0", Some(0o660), Some("video")),
            ("rtc", "rtc0", None, None),
        ] {
            let found = judged(SHIPPED, subsystem, node);
            assert_eq!((found.mode, found.group.as_deref()), (mode, group), "{node}");
        }
    }

    #[test]
    fn mistakes_are_found_with_their_place() {
        for (text, expected) in [
            ("[[rules]]\n", "d.toml:1:3: unknown key \"rules\""),
            (
                "rule = 3\n",
                "d.toml:1:8: \"rule\" wants tables, each written [[rule]], not a number",
            ),
            ("[[rule]]\nmod = \"1\"\n", "d.toml:2:1: unknown key \"rule 1.mod\""),
            ("[[rule]]\nmode = \"9\"\n", "d.toml:2:8: \"mode\": \"9\" is no mode"),
            ("[[rule]]\nmode = \"17777\"\n", "d.toml:2:8: \"mode\""),
            ("[[rule]]\nsymlink = [\"../etc/passwd\"]\n", "d.toml:2:12: \"symlink\""),
            ("[[rule]]\nsymlink = [\"/x\"]\n", "d.toml:2:12: \"symlink\""),
            ("[[rule]]\nattribute = { \"../x\" = \"\" }\n", "d.toml:2:15: \"attribute\""),
            ("[[rule]\n", "d.toml:1:8: "),
        ] {
            let findings = parse("d.toml", text.as_bytes()).unwrap_err();
            assert!(findings[0].to_string().starts_with(expected), "{text:?}: {}", findings[0]);
        }
    }
}
