//! Whether two people get the same bytes: the image `standard` built in two
//! directories under different settings.
//!
//! The ordinary ladder compares the host's architecture and shares kernels and
//! crates between the two: they take most of the time, and change least. The long
//! one builds everything twice.

use std::collections::BTreeMap;
use std::path::Path;

use super::boots::{self, Boots, image_rung_name};
use super::copies::{Copy, Person, second_cache};
use super::ladder::{Report, Rung};
use crate::arch::Arch;
use crate::cache::file_sha256;
use crate::error::{Error, IoContext, Result};
use crate::image;

const IMAGE: &str = "standard";

/// The rung of the host's architecture, or of every one.
pub(super) fn rungs<'a>(boots: &Boots<'a>, is_long: bool) -> Vec<Rung<'a>> {
    let rung = |arch: Arch| {
        let boots = boots.clone();
        Rung::new(format!("reproducible {arch}"), move |report| {
            climb(&boots, arch, is_long, report)
        })
        .after(image_rung_name(boots::IMAGE, arch))
    };
    boots.arches_of(is_long).map(rung).collect()
}

fn climb(boots: &Boots<'_>, arch: Arch, is_long: bool, report: &mut Report) -> Result<()> {
    let first = image::build(boots.shell, &boots.build.request(IMAGE, arch)?)?;
    let copy = Copy::of(boots.project.root())?;
    let scratch = tempfile::tempdir()
        .map_err(|error| Error::failure(format!("cannot create a directory: {error}")))?;
    let cache = if is_long { scratch.path().join("cache") } else { second_cache()? };
    let person = Person { cache, umask: "0077", time_zone: "Asia/Kathmandu" };
    let output = scratch.path().join("out");
    let mut build = boots.build.clone();
    build.output = Some(output.clone());
    let mut words = ["image", IMAGE, "--arch", arch.as_str()].map(str::to_owned).to_vec();
    words.extend(build.words());
    report.doing(format_args!("builder {} (in a copy of the repository)", words.join(" ")));
    let step = boots.shell.step(format!("build {IMAGE} for {arch} a second time"));
    copy.builder(&person, &words)?.run_lines(|line| step.set_message(line))?;
    step.done("");
    let second = digests(&output.join(IMAGE).join(arch.as_str()))?;
    let first = digests(&first.directory)?;
    if first.is_empty() || first.keys().ne(second.keys()) {
        let names = |files: &BTreeMap<String, String>| files.keys().cloned().collect::<Vec<_>>();
        let (first, second) = (names(&first).join(", "), names(&second).join(", "));
        report.failed("the outputs are the same ones", format_args!("{first}; {second}"));
        return Ok(());
    }
    for (name, digest) in &first {
        let verdict = match &second[name] {
            other if other == digest => Ok(digest.clone()),
            other => Err(format!("{digest} and {other}")),
        };
        report.check(&format!("{name} is the same"), verdict);
    }
    Ok(())
}

/// The digests of a directory's files. What begins with a dot is the builder's own.
fn digests(directory: &Path) -> Result<BTreeMap<String, String>> {
    let mut digests = BTreeMap::new();
    for entry in std::fs::read_dir(directory).at("read", directory)? {
        let entry = entry.at("read", directory)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') {
            digests.insert(name, file_sha256(&entry.path())?);
        }
    }
    Ok(digests)
}
