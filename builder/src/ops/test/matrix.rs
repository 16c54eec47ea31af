//! The boot matrix: one disk image on many machines, under every firmware.
//!
//! Every cell boots an image, has the guest say what it runs on and booted from,
//! and powers it off. The ordinary ladder climbs the cells that differ most; the
//! long one climbs all and writes the table in docs/boot-matrix.md.

mod cells;
mod evidence;
mod table;

use super::boots::Boots;
use super::ladder::{Report, Rung};
use crate::error::{Error, IoContext, Result};
use crate::image;
use crate::ops::guest::{Guest, Setup};
use crate::ops::run::plan::Parts;
use crate::qemu::board::Board;
use cells::{CELLS, Cell};

/// Where the table is, below the repository's root.
const TABLE: &str = "docs/boot-matrix.md";

/// The rung: a few cells, or all of them and the table.
pub(super) fn rung<'a>(boots: &Boots<'a>, is_long: bool) -> Rung<'a> {
    let own = boots.clone();
    boots.after_images(Rung::new("matrix", move |report| {
        if is_long {
            return write_table(&own, report);
        }
        for cell in CELLS.iter().filter(|cell| cell.is_short) {
            climb(&own, cell, report);
        }
        Ok(())
    }))
}

fn write_table(boots: &Boots<'_>, report: &mut Report) -> Result<()> {
    let outcomes: Vec<bool> = CELLS.iter().map(|cell| climb(boots, cell, report)).collect();
    let path = boots.project.root().join(TABLE);
    let text = table::render(CELLS, &outcomes);
    if std::fs::read_to_string(&path).is_ok_and(|found| found == text) {
        report.passed("the table is as it was", TABLE);
    } else {
        std::fs::write(&path, text).at("write", &path)?;
        report.passed("the table is written", TABLE);
    }
    Ok(())
}

/// Whether the cell boots, runs its command and powers off. A cell that does not
/// is a failed check; the others are tried all the same.
fn climb(boots: &Boots<'_>, cell: &Cell, report: &mut Report) -> bool {
    report.doing(cell.command_line());
    let verdict = prove(boots, cell, report).map_err(|error| error.to_string()).flatten();
    let is_good = verdict.is_ok();
    report.check(&cell.to_string(), verdict);
    is_good
}

/// What the guest says of itself, or what is wrong with it.
fn prove(boots: &Boots<'_>, cell: &Cell, report: &mut Report) -> Result<Result<String, String>> {
    let arch = cell.arch();
    let built = image::build(boots.shell, &boots.build.request(cell.image, arch)?)?;
    let mut setup = Setup {
        board: Board::new(arch, Some(cell.machine), cell.bus)?,
        uefi_variables: cell.uefi_variables,
        memory_mib: cell.memory_mib,
        cpus: cell.cpus,
        ..boots.setup(report, arch, cell.boot, &format!("matrix {cell}").replace(',', ""))?
    };
    if cell.names_root() {
        let partuuid = built.root_partuuid.as_ref().ok_or_else(|| {
            Error::internal(format!("the image {} has no disk to find its root on", cell.image))
        })?;
        setup.parameters.push(format!("root=PARTUUID={partuuid}"));
    }
    let mut guest = Guest::boot(boots.shell, Parts::of(&built), &setup)?;
    let seconds = guest.elapsed().as_secs_f64();
    let text = guest.read(evidence::COMMAND)?;
    guest.power_off()?;
    let verdict = evidence::judge(cell, &text);
    Ok(verdict.map(|seen| format!("{seen}; takes commands after {seconds:.1} s")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project::Project;

    #[test]
    fn the_committed_table_has_these_cells_and_all_of_them_boot() {
        let path = Project::find().unwrap().root().join(TABLE);
        let text = std::fs::read_to_string(&path).unwrap();
        let expected = table::render(CELLS, &vec![true; CELLS.len()]);
        assert!(text == expected, "{TABLE} is another one: `cargo builder test --long matrix`");
    }
}
