//! What a second build does: nothing if nothing changed, and no more than the
//! one program and the image if one service did.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::boots::{Boots, IMAGE};
use super::copies::{Copy, Person};
use super::ladder::{Report, Rung};
use super::schedule::Company;
use crate::arch::Arch;
use crate::cache::Cache;
use crate::error::{Error, IoContext, Result};
use crate::image::manifest;

/// How often nothing is done. How long that takes is for `builder bench image`.
const NOTHING_TIMES: u32 = 3;
/// The service that is changed, and something in it that a change of is visible in its binary.
const CHANGED: &str = "services/src/bin/measure/main.rs";
const CHANGED_TEXT: (&str, &str) =
    ("Measures PID 1 from the inside.", "Measures PID 1 from its inside.");
const CHANGED_PATH: &str = "/usr/sbin/measure";

/// The rung, for the host's architecture: what is rebuilt does not depend on it.
pub(super) fn rung<'a>(boots: &Boots<'a>) -> Rung<'a> {
    let boots = boots.clone();
    Rung::new("incremental", move |report| climb(&boots, report)).beside(Company::None)
}

fn climb(boots: &Boots<'_>, report: &mut Report) -> Result<()> {
    let arch = Arch::host().unwrap_or(Arch::X86_64);
    let copy = Copy::of(boots.project.root())?;
    let cache = Cache::open()?.root().to_owned();
    let cache = cache.parent().unwrap_or(&cache).to_owned();
    let person = Person { cache, umask: "0022", time_zone: "UTC" };
    let mut words = ["image", IMAGE, "--arch", arch.as_str()].map(str::to_owned).to_vec();
    let mut build = boots.build.clone();
    build.output = Some(copy.root().join("out"));
    words.extend(build.words());
    let build = || -> Result<Vec<String>> {
        let mut lines = Vec::new();
        copy.builder(&person, &words)?.run_lines(|line| lines.push(line.to_owned()))?;
        Ok(lines)
    };
    let output = copy.root().join("out").join(IMAGE).join(arch.as_str());
    build()?;
    let manifest = || manifest::read(&output.join("manifest.json"));
    let before = manifest()?;

    nothing_to_do(report, &copy, &build)?;

    let changed = copy.root().join(CHANGED);
    let source = std::fs::read_to_string(&changed).at("read", &changed)?;
    let text = source.replace(CHANGED_TEXT.0, CHANGED_TEXT.1);
    if text == source {
        return Err(Error::internal(format!("{CHANGED} no longer says {:?}", CHANGED_TEXT.0)));
    }
    std::fs::write(&changed, text).at("write", &changed)?;
    let lines = build()?;
    let after = manifest()?;
    let programs = differing(&before, &after, "/programs");
    report.check(
        "a changed service rebuilds its own program only",
        if programs == [CHANGED_PATH] { Ok(String::new()) } else { Err(programs.join(", ")) },
    );
    let outputs = differing(&before, &after, "/outputs");
    let kernel_stays = !outputs.is_empty() && !outputs.iter().any(|name| name == "vmlinuz");
    let compiled = lines.iter().find(|line| line.starts_with("compile kernel"));
    report.check(
        "and the image but not the kernel",
        match (kernel_stays, compiled) {
            (true, None) => Ok(outputs.join(", ")),
            (_, Some(line)) => Err(line.clone()),
            (false, None) => Err(format!("changed: {}", outputs.join(", "))),
        },
    );
    Ok(())
}

/// Builds again and again with nothing changed.
fn nothing_to_do(
    report: &mut Report,
    copy: &Copy,
    build: &impl Fn() -> Result<Vec<String>>,
) -> Result<()> {
    let before = states(&copy.root())?;
    for _ in 0..NOTHING_TIMES {
        build()?;
    }
    let after = states(&copy.root())?;
    let touched: Vec<String> = before
        .iter()
        .filter(|(path, state)| after.get(*path) != Some(state))
        .map(|(path, _)| path)
        .chain(after.keys().filter(|path| !before.contains_key(*path)))
        .map(|path| path.display().to_string())
        .collect();
    report.check(
        "a build with nothing to do touches no file",
        if touched.is_empty() {
            Ok(format!("{} files", before.len()))
        } else {
            Err(touched.join(", "))
        },
    );
    Ok(())
}

/// Inode, modification and change time of every file and directory.
fn states(root: &Path) -> Result<BTreeMap<PathBuf, [i64; 5]>> {
    let mut states = BTreeMap::new();
    let mut rest = vec![root.to_owned()];
    while let Some(path) = rest.pop() {
        let metadata = path.symlink_metadata().at("read", &path)?;
        if metadata.is_dir() {
            for entry in std::fs::read_dir(&path).at("read", &path)? {
                rest.push(entry.at("read", &path)?.path());
            }
        }
        let state = [
            metadata.ino().cast_signed(),
            metadata.mtime(),
            metadata.mtime_nsec(),
            metadata.ctime(),
            metadata.ctime_nsec(),
        ];
        states.insert(path, state);
    }
    Ok(states)
}

/// The names of entries of a manifest's list that are not the same in both.
fn differing(before: &Value, after: &Value, list: &str) -> Vec<String> {
    let entries = |manifest: &Value| -> BTreeMap<String, Value> {
        let list = manifest.pointer(list).and_then(Value::as_array).cloned().unwrap_or_default();
        let named = list.into_iter().map(|entry| {
            let name = entry.get("name").and_then(Value::as_str).unwrap_or("?").to_owned();
            (name, entry)
        });
        named.collect()
    };
    let (before, after) = (entries(before), entries(after));
    let mut names: Vec<String> = before
        .keys()
        .chain(after.keys().filter(|name| !before.contains_key(*name)))
        .cloned()
        .collect();
    names.retain(|name| before.get(name) != after.get(name));
    names
}
