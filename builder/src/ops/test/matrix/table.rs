//! The boot matrix as a page of the documentation. Pure.

use std::fmt::Write;

use super::cells::{Cell, Root};

const INTRODUCTION: &str = "\
# Boot matrix

Every line is one boot of an image's disk, or of its kernel and initramfs (`-kernel`), on one machine: the guest came up, said
by itself what it runs on (firmware, board, memory, processors, the drivers between its root and the bus) and powered off. The
table is written by the run, under TCG and QEMU 7.2 or later:

```
cargo builder test --long matrix
```

Lines in bold are in the ordinary ladder (`cargo builder test matrix`). [testing.md](testing.md) has what each machine
has, and how much memory each way to boot wants.

";

/// The page: every cell with whether it boots, without times, so that equal
/// outcomes are equal bytes. There are as many outcomes as cells.
pub(super) fn render(cells: &[Cell], outcomes: &[bool]) -> String {
    let mut text = INTRODUCTION.to_owned();
    text.push_str(
        "| image | architecture | firmware | machine | disk on | root | memory | processors | |\n\
         |---|---|---|---|---|---|---|---|---|\n",
    );
    for (cell, boots) in cells.iter().zip(outcomes) {
        let root = match cell.root {
            Root::Disk => "disk",
            Root::Initramfs => "initramfs",
        };
        let outcome = match (boots, cell.is_short) {
            (true, true) => "**boots**",
            (true, false) => "boots",
            (false, _) => "FAILS",
        };
        let _never_fails = writeln!(
            text,
            "| `{}` | {} | {} | `{}` | `{}` | {root} | {} MiB | {} | {outcome} |",
            cell.image,
            cell.arch(),
            cell.firmware(),
            cell.machine.as_str(),
            cell.bus.as_str(),
            cell.memory_mib,
            cell.cpus,
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::cells::CELLS;
    use super::*;

    #[test]
    fn a_cell_that_fails_shows() {
        let mut outcomes = vec![true; CELLS.len()];
        let good = render(CELLS, &outcomes);
        assert!(!good.contains("FAILS"));
        outcomes[3] = false;
        let bad = render(CELLS, &outcomes);
        let differing: Vec<_> =
            good.lines().zip(bad.lines()).filter(|(good, bad)| good != bad).collect();
        assert!(matches!(differing[..], [(_, bad)] if bad.ends_with("| FAILS |")), "{differing:?}");
    }
}
