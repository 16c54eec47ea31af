//! The figures as a table and as JSON.

use std::fmt::Write;

use serde_json::{Value, json};

use super::{Measured, Workload};
use crate::error::{Error, Result};
use crate::format::{MIB, mib_ceil};
use crate::ops::bench::spread::Spread;

/// How many times longer `peer` takes than the builder's own, by medians.
fn ratio(own: Option<&Measured>, peer: &Measured) -> Option<f64> {
    let own = Spread::of(&own.filter(|_| !peer.contestant.is_own())?.times_s).median;
    (own > 0.0).then(|| Spread::of(&peer.times_s).median / own)
}

/// Each contestant with its format's own.
fn pairs(measured: &[Measured]) -> impl Iterator<Item = (&Measured, Option<&Measured>)> {
    measured.iter().map(|one| {
        let format = one.contestant.format;
        let is_own =
            |other: &&Measured| other.contestant.is_own() && other.contestant.format == format;
        (one, measured.iter().find(is_own))
    })
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// A table for people. "faster" is how many times longer the peer takes.
pub(super) fn table(workload: &Workload, measured: &[Measured], rounds: u32) -> String {
    let size = workload.content_bytes / MIB;
    let mut text = format!(
        "{} files, {size} MiB, {} cores, median of {rounds}\n{:<9} {:<26} {:>8} {:>15} {:>8} {:>8}\n",
        workload.files,
        cores(),
        "format",
        "by",
        "seconds",
        "(from-to)",
        "MiB",
        "faster"
    );
    for (one, own) in pairs(measured) {
        let Spread { min, median, max } = Spread::of(&one.times_s);
        let faster = ratio(own, one).map(|ratio| format!("{ratio:.2}x")).unwrap_or_default();
        let line = format!(
            "{:<9} {:<26} {median:>8.2} {:>15} {:>8} {faster:>8}",
            one.contestant.format,
            one.contestant.name,
            format!("({min:.2}-{max:.2})"),
            mib_ceil(one.output_bytes),
        );
        let _never_fails = writeln!(text, "{}", line.trim_end());
    }
    text
}

/// The same for programs.
pub(super) fn json(workload: &Workload, measured: &[Measured], rounds: u32) -> Result<String> {
    let results: Vec<Value> = pairs(measured)
        .map(|(one, own)| {
            json!({
                "format": one.contestant.format,
                "by": one.contestant.name,
                "is_own": one.contestant.is_own(),
                "median_s": Spread::of(&one.times_s).median,
                "times_s": one.times_s,
                "output_bytes": one.output_bytes,
                "own_is_faster_by": ratio(own, one),
            })
        })
        .collect();
    let report = json!({
        "benchmark": "pack",
        "files": workload.files,
        "content_bytes": workload.content_bytes,
        "cores": cores(),
        "rounds": rounds,
        "results": results,
    });
    let text = serde_json::to_string_pretty(&report)
        .map_err(|error| Error::internal(format!("cannot write JSON: {error}")))?;
    Ok(text + "\n")
}
