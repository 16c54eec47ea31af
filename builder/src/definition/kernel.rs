//! `[kernel]`: fragments, options and parameters.

use super::checker::Checker;
use super::raw::{Located, Table};
use super::resolved::{ArchKernel, Fragment, Kernel, Parameters};
use crate::arch::Arch;
use crate::command_line;

/// What `[kernel]` asks for.
pub(super) fn kernel(checker: &mut Checker<'_>, table: &Table) -> Kernel {
    let empty = Table::new(table.place.clone());
    let per_arch = Arch::ALL.map(|arch| {
        let table = table.table(arch.as_str()).unwrap_or(&empty);
        ArchKernel {
            fragments: fragments(checker, table),
            command_line: command_line(checker, table),
        }
    });
    Kernel {
        fragments: fragments(checker, table),
        options: table.list("options").to_vec(),
        command_line: command_line(checker, table),
        per_arch,
    }
}

/// `default`, the name of a file `kernel-config/NAME.config`, or a path.
fn fragments(checker: &mut Checker<'_>, table: &Table) -> Vec<Located<Fragment>> {
    let mut fragments = Vec::new();
    for entry in table.list("fragments") {
        let place = entry.place.clone();
        let value = if entry.value == "default" {
            Fragment::Default
        } else if entry.value.contains(['/', '.']) {
            match checker.host_file(&entry.value, &place) {
                Some(path) => Fragment::File(path),
                None => continue,
            }
        } else {
            let directory = checker.project.kernel_config();
            let path = directory.join(format!("{}.config", entry.value));
            if !path.is_file() {
                let message = format!("there is no kernel fragment {:?}", entry.value);
                let shown = checker.project.show(&directory);
                let hint = format!("name a file {shown}/NAME.config, or give a path");
                checker.find_with_hint(place, message, hint);
                continue;
            }
            Fragment::File(path)
        };
        fragments.push(Located { value, place });
    }
    fragments
}

fn command_line(checker: &mut Checker<'_>, table: &Table) -> Parameters {
    for word in table.list("command-line") {
        let (key, value) = word.value.split_once('=').unwrap_or((&word.value, ""));
        let good_key = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if key.is_empty() || !key.chars().all(good_key) {
            let message = format!("{:?} is no kernel parameter", word.value);
            let hint = "each entry is one word: \"panic=10\"";
            checker.find_with_hint(word.place.clone(), message, hint);
        }
        if value.contains(|c: char| c.is_ascii_whitespace() || "\"'".contains(c)) {
            let message = format!("the value of {key:?} has a space, a quote or a line break");
            checker.find(word.place.clone(), message);
        }
    }
    let words = table.list("command-line").iter().cloned();
    let (kernel, init) = command_line::split(words, |word| &word.value);
    Parameters { kernel, init }
}
