//! The figures as tables and as JSON.

use std::fmt::Write;

use serde_json::{Map, Value, json};

use super::by_firmware::{Column, ROWS, Row};
use super::figure::{Figure, Load};
use super::workload::SERVICES;
use crate::arch::Arch;
use crate::error::{Error, Result};

/// One architecture's figures.
#[derive(Debug)]
pub(super) struct Measured {
    pub(super) arch: Arch,
    /// What executed the guests' instructions.
    pub(super) accelerator: &'static str,
    /// The kernel, as `uname -r` prints it.
    pub(super) release: String,
    /// Size of PID 1's binary.
    pub(super) init_bytes: u64,
    pub(super) figures: Vec<Figure>,
    /// Boots from the disk, by firmware.
    pub(super) columns: Vec<Column>,
}

/// An architecture that was left out.
#[derive(Debug)]
pub(super) struct Skipped {
    pub(super) arch: Arch,
    pub(super) reason: String,
}

/// All of it.
#[derive(Debug)]
pub(super) struct Report {
    /// How often each image was booted.
    pub(super) boots: u32,
    /// The guests' processors.
    pub(super) cpus: u32,
    pub(super) measured: Vec<Measured>,
    pub(super) skipped: Vec<Skipped>,
}

impl Report {
    /// Tables for people, one per architecture.
    pub(super) fn tables(&self) -> String {
        let mut tables: Vec<String> =
            self.measured.iter().map(|measured| self.table(measured)).collect();
        tables.extend(
            self.skipped.iter().map(|one| format!("{}: skipped: {}\n", one.arch, one.reason)),
        );
        tables.join("\n")
    }

    fn table(&self, measured: &Measured) -> String {
        let mut text = format!(
            "{}: Linux {} under {}, {} processors, {} boots of each image, init of {} KiB\n",
            measured.arch,
            measured.release,
            measured.accelerator,
            self.cpus,
            self.boots,
            measured.init_bytes.div_ceil(1024),
        );
        for load in [Load::Empty, Load::Full, Load::Server, Load::Busybox] {
            let title = title(load);
            if !measured.figures.iter().any(|figure| figure.load == load) {
                continue;
            }
            let _never_fails =
                writeln!(text, "{title:<42} {:>8} {:>8} {:>8}        aim", "min", "median", "max");
            for figure in measured.figures.iter().filter(|figure| figure.load == load) {
                let _never_fails = writeln!(text, "{}", line(figure).trim_end());
            }
        }
        text + &by_firmware(&measured.columns)
    }

    /// The same for programs.
    pub(super) fn json(&self) -> Result<String> {
        let measured: Vec<Value> = self.measured.iter().map(architecture).collect();
        let skipped: Vec<Value> = self
            .skipped
            .iter()
            .map(|one| json!({ "arch": one.arch.as_str(), "reason": one.reason }))
            .collect();
        let report = json!({
            "benchmark": "boot",
            "boots": self.boots,
            "cpus": self.cpus,
            "services": SERVICES,
            "results": measured,
            "skipped": skipped,
        });
        let text = serde_json::to_string_pretty(&report)
            .map_err(|error| Error::internal(format!("cannot write JSON: {error}")))?;
        Ok(text + "\n")
    }
}

fn title(load: Load) -> String {
    match load {
        Load::Empty => "no service but execd".to_owned(),
        Load::Full => format!("execd and {SERVICES} services"),
        Load::Server => "server, from its disk".to_owned(),
        Load::Busybox => "busybox, from RAM".to_owned(),
    }
}

fn line(figure: &Figure) -> String {
    let digits = figure.unit.digits();
    let aim = figure.aim.map(|aim| {
        let verdict = if figure.is_met() == Some(true) { "met" } else { "missed" };
        format!("<= {aim} {verdict}")
    });
    format!(
        "  {:<40} {:>8.digits$} {:>8.digits$} {:>8.digits$} {:<4} {}",
        figure.label,
        figure.min(),
        figure.median(),
        figure.max(),
        figure.unit.as_str(),
        aim.unwrap_or_default(),
    )
}

/// A column for every way to boot the disk, of medians.
fn by_firmware(columns: &[Column]) -> String {
    let cells = |of: &dyn Fn(&Column) -> String| -> String {
        columns.iter().map(|column| format!(" {:>8}", of(column))).collect()
    };
    if columns.is_empty() {
        return String::new();
    }
    let names = cells(&|column| column.boot.name().to_owned());
    let mut text = format!("{:<42}{names}\n", "no service but execd, from disk: medians");
    for row in &ROWS {
        let medians = cells(&|column| format!("{:.1}", row.spread(column).median));
        let _never_fails = writeln!(text, "  {:<40}{medians} ms", row.label);
    }
    text
}

fn architecture(measured: &Measured) -> Value {
    json!({
        "arch": measured.arch.as_str(),
        "accelerator": measured.accelerator,
        "kernel_release": measured.release,
        "init_bytes": measured.init_bytes,
        "without_services": figures(measured, Load::Empty),
        "with_services": figures(measured, Load::Full),
        "server": figures(measured, Load::Server),
        "busybox": figures(measured, Load::Busybox),
        "from_disk": from_disk(&measured.columns),
    })
}

/// By firmware, then by phase.
fn from_disk(columns: &[Column]) -> Map<String, Value> {
    let column = |column: &Column| -> Map<String, Value> {
        let row = |row: &Row| {
            let spread = row.spread(column);
            let value = json!({
                "unit": "ms",
                "min": spread.min,
                "median": spread.median,
                "max": spread.max,
                "samples": row.samples(column),
            });
            (row.key.to_owned(), value)
        };
        ROWS.iter().map(row).collect()
    };
    columns.iter().map(|one| (one.boot.as_str().to_owned(), Value::Object(column(one)))).collect()
}

fn figures(measured: &Measured, load: Load) -> Map<String, Value> {
    let of_load = measured.figures.iter().filter(|figure| figure.load == load);
    let value = |figure: &Figure| {
        json!({
            "unit": figure.unit.as_str(),
            "min": figure.min(),
            "median": figure.median(),
            "max": figure.max(),
            "samples": figure.samples,
            "aim": figure.aim,
            "is_met": figure.is_met(),
        })
    };
    of_load.map(|figure| (figure.key.to_owned(), value(figure))).collect()
}

#[cfg(test)]
mod tests {
    use super::super::by_firmware::Phases;
    use super::super::figure::Unit;
    use super::*;
    use crate::ops::run::boot_method::BootMethod;

    fn report() -> Report {
        let figure = |load, label, unit, samples: &[f64], aim| Figure {
            load,
            key: "key",
            label,
            unit,
            samples: samples.to_vec(),
            aim,
        };
        let figures = vec![
            figure(Load::Empty, "to ready", Unit::Ms, &[20.26, 60.0, 30.0], Some(50.0)),
            figure(Load::Full, "resident", Unit::KiB, &[701.0], Some(700.0)),
            figure(Load::Full, "ratio", Unit::Times, &[1.234], None),
            figure(Load::Server, "SSH-ready", Unit::Ms, &[4000.0], Some(5000.0)),
        ];
        let measured = Measured {
            arch: Arch::X86_64,
            accelerator: "tcg",
            release: "6.6.119".into(),
            init_bytes: 560 * 1024 + 1,
            figures,
            columns: vec![column(BootMethod::Bios, 1_250_040), column(BootMethod::Direct, 900)],
        };
        let skipped = Skipped { arch: Arch::Aarch64, reason: "no QEMU".into() };
        Report { boots: 3, cpus: 2, measured: vec![measured], skipped: vec![skipped] }
    }

    fn column(boot: BootMethod, power_on_to_kernel_us: u64) -> Column {
        let phases = |init_to_ready_us| Phases {
            power_on_to_kernel_us,
            kernel_to_init_us: 500_000,
            init_to_ready_us,
        };
        Column { boot, boots: vec![phases(20_500), phases(99_000), phases(10_000)] }
    }

    #[test]
    fn the_table_has_every_figure_with_its_aim_below_its_image() {
        let expected = "\
x86_64: Linux 6.6.119 under tcg, 2 processors, 3 boots of each image, init of 561 KiB
no service but execd                            min   median      max        aim
  to ready                                     20.3     30.0     60.0 ms   <= 50 met
execd and 100 services                          min   median      max        aim
  resident                                      701      701      701 KiB  <= 700 missed
  ratio                                        1.23     1.23     1.23 x
server, from its disk                           min   median      max        aim
  SSH-ready                                  4000.0   4000.0   4000.0 ms   <= 5000 met
no service but execd, from disk: medians       BIOS  -kernel
  power-on to kernel start                   1250.0      0.9 ms
  kernel start to /init                       500.0    500.0 ms
  /init to all services ready                  20.5     20.5 ms
  total                                      1770.5    521.4 ms

aarch64: skipped: no QEMU
";
        assert_eq!(report().tables(), expected);
    }

    #[test]
    fn the_json_has_samples_and_verdicts() {
        let value: Value = serde_json::from_str(&report().json().unwrap()).unwrap();
        assert_eq!(value["services"], 100);
        assert_eq!(value["skipped"][0]["arch"], "aarch64");
        let result = &value["results"][0];
        assert_eq!(result["init_bytes"], 560 * 1024 + 1);
        let ready = &result["without_services"]["key"];
        assert_eq!(ready["samples"], json!([20.26, 60.0, 30.0]));
        assert_eq!((&ready["median"], &ready["is_met"]), (&json!(30.0), &json!(true)));
        assert_eq!(result["with_services"]["key"]["is_met"], Value::Null);
        assert_eq!(result["server"]["key"]["is_met"], true);
        let bios = &result["from_disk"]["bios"];
        assert_eq!(bios["init_to_ready"]["samples"], json!([20.5, 99.0, 10.0]));
        assert_eq!(bios["init_to_ready"]["median"], 20.5);
        assert_eq!(result["from_disk"]["direct"]["power_on_to_kernel"]["max"], 0.9);
        assert_eq!(result["from_disk"]["uefi"], Value::Null);
    }
}
