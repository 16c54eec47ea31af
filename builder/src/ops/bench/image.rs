//! `builder bench image`: how long `builder image` takes when nothing changed,
//! from the start of the program to its end.
//!
//! What the shell would call is called: this very program, once per round. Wall
//! time counts, because it is what a person waits.

use std::fmt::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::spread::Spread;
use crate::arch::Arch;
use crate::error::{Error, IoContext, Result};
use crate::host::Invocation;
use crate::image;
use crate::ops::image::{BuildArgs, or_host};
use crate::project::Project;
use crate::shell::Shell;

/// What a build with nothing to do may take.
const AIM: Duration = Duration::from_millis(200);

/// Arguments of `builder bench image`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Names under images/, or paths of definitions
    #[arg(value_name = "IMAGE", default_value = "standard")]
    images: Vec<String>,
    /// Measure this architecture; may be repeated [default: the host's]
    #[arg(long = "arch", value_name = "ARCH")]
    arches: Vec<Arch>,
    /// How often each is measured; the median counts
    #[arg(long, value_name = "N", default_value_t = 11, value_parser = clap::value_parser!(u32).range(1..=999))]
    rounds: u32,
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    build: BuildArgs,
}

/// One image of one architecture.
#[derive(Debug)]
struct Measured {
    image: String,
    arch: Arch,
    /// In ascending order; at least one.
    times: Vec<Duration>,
}

impl Measured {
    fn new(image: &str, arch: Arch, mut times: Vec<Duration>) -> Self {
        times.sort();
        Self { image: image.to_owned(), arch, times }
    }

    /// In milliseconds, as all that is printed.
    fn samples(&self) -> Vec<f64> {
        self.times.iter().copied().map(ms).collect()
    }

    fn is_met(&self) -> bool {
        Spread::of(&self.samples()).median <= ms(AIM)
    }
}

/// Builds what is not built yet, then measures and prints.
///
/// # Errors
/// If an image cannot be built. A missed aim is none.
pub fn run(shell: &Shell, args: &Args) -> Result<()> {
    let arches = or_host(&args.arches)?;
    let project = Project::find()?;
    args.build.prepare_host(shell, &arches)?;
    let mut measured = Vec::new();
    for image in &args.images {
        for &arch in &arches {
            image::build(shell, &args.build.request(image, arch)?)?;
            measured.push(measure(shell, args, &project, image, arch)?);
        }
    }
    shell.data(&if args.json { report_json(&measured)? } else { table(&measured) });
    Ok(())
}

fn measure(
    shell: &Shell,
    args: &Args,
    project: &Project,
    image: &str,
    arch: Arch,
) -> Result<Measured> {
    let builder = std::env::current_exe().at("find", Path::new("the builder"))?;
    let mut words = ["image", image, "--arch", arch.as_str()].map(str::to_owned).to_vec();
    words.extend(args.build.words());
    let step = shell.counted_step(format!("measure {image} for {arch}"), args.rounds.into());
    let mut times = Vec::new();
    for round in 1..=args.rounds {
        let invocation = Invocation::new(&builder).args(&words).current_dir(project.root());
        let started = Instant::now();
        invocation.run()?;
        times.push(started.elapsed());
        step.set_position(round.into());
    }
    step.done("");
    Ok(Measured::new(image, arch, times))
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn table(measured: &[Measured]) -> String {
    let mut text = format!(
        "{:<20} {:<8} {:>8} {:>8} {:>8}     aim\n",
        "nothing to do", "for", "min", "median", "max"
    );
    for one in measured {
        let Spread { min, median, max } = Spread::of(&one.samples());
        let verdict = if one.is_met() { "met" } else { "missed" };
        let _never_fails = writeln!(
            text,
            "{:<20} {:<8} {min:>8.1} {median:>8.1} {max:>8.1} ms  <= {} {verdict}",
            one.image,
            one.arch.as_str(),
            AIM.as_millis(),
        );
    }
    text
}

fn report_json(measured: &[Measured]) -> Result<String> {
    let results: Vec<Value> = measured
        .iter()
        .map(|one| {
            let Spread { min, median, max } = Spread::of(&one.samples());
            json!({
                "image": one.image,
                "arch": one.arch.as_str(),
                "unit": "ms",
                "min": min,
                "median": median,
                "max": max,
                "samples": one.samples(),
                "aim": ms(AIM),
                "is_met": one.is_met(),
            })
        })
        .collect();
    let report = json!({ "benchmark": "image", "results": results });
    let text = serde_json::to_string_pretty(&report)
        .map_err(|error| Error::internal(format!("cannot write JSON: {error}")))?;
    Ok(text + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(times: &[u64]) -> Measured {
        let times = times.iter().copied().map(Duration::from_millis).collect();
        Measured::new("standard", Arch::Aarch64, times)
    }

    #[test]
    fn the_median_decides_whether_the_aim_is_met() {
        assert!(measured(&[900, 200, 10]).is_met());
        assert!(!measured(&[900, 201, 10]).is_met());
        assert!(measured(&[200]).is_met());
    }

    #[test]
    fn the_table_names_image_architecture_and_verdict() {
        let expected = "\
nothing to do        for           min   median      max     aim
standard             aarch64      30.0     40.0    500.0 ms  <= 200 met
";
        assert_eq!(table(&[measured(&[500, 30, 40])]), expected);
    }

    #[test]
    fn the_json_has_samples_in_milliseconds() {
        let text = report_json(&[measured(&[250, 30, 240])]).unwrap();
        let value: Value = serde_json::from_str(&text).unwrap();
        let result = &value["results"][0];
        assert_eq!(result["samples"], json!([30.0, 240.0, 250.0]));
        assert_eq!((&result["median"], &result["is_met"]), (&json!(240.0), &json!(false)));
    }
}
