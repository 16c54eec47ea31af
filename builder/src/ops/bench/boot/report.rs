//! The figures as tables and as JSON.

use std::fmt::Write;

use serde_json::{Map, Value, json};

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
        for load in [Load::Empty, Load::Full] {
            let title = title(load);
            let _never_fails =
                writeln!(text, "{title:<42} {:>8} {:>8} {:>8}        aim", "min", "median", "max");
            for figure in measured.figures.iter().filter(|figure| figure.load == load) {
                let _never_fails = writeln!(text, "{}", line(figure).trim_end());
            }
        }
        text
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

fn architecture(measured: &Measured) -> Value {
    json!({
        "arch": measured.arch.as_str(),
        "accelerator": measured.accelerator,
        "kernel_release": measured.release,
        "init_bytes": measured.init_bytes,
        "without_services": figures(measured, Load::Empty),
        "with_services": figures(measured, Load::Full),
    })
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
    use super::super::figure::Unit;
    use super::*;

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
        ];
        let measured = Measured {
            arch: Arch::X86_64,
            accelerator: "tcg",
            release: "6.6.119".into(),
            init_bytes: 560 * 1024 + 1,
            figures,
        };
        let skipped = Skipped { arch: Arch::Aarch64, reason: "no QEMU".into() };
        Report { boots: 3, cpus: 2, measured: vec![measured], skipped: vec![skipped] }
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
    }
}
