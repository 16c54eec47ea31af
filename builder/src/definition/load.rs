//! From the IMAGE argument to a checked definition: finds the files, follows
//! `inherit`, merges, hands the result to `resolve`. The only part of the
//! definition layer that reads files.

use std::path::{Path, PathBuf};

use init_core::diagnostic::{Finding, Place, suggest};

use super::raw::Table;
use super::resolve::resolve;
use super::{Image, keys, reader};
use crate::error::{Error, IoContext, Result};
use crate::project::Project;

/// How messages call the built-in defaults.
const DEFAULTS_NAME: &str = "(built-in defaults)";

/// Reads the image of this name under `images/`, or the definition at this path.
///
/// # Errors
/// If there is none, or with all that is wrong in it and in what it inherits.
pub fn load(project: &Project, image: &str) -> Result<Image> {
    let path = find(project, image)?;
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let mut chain = Chain { project, findings: Vec::new(), files: Vec::new(), open: Vec::new() };
    chain.follow(&path, None)?;
    let Chain { mut findings, files, .. } = chain;
    let mut table = reader::read(DEFAULTS_NAME, &keys::defaults(), &mut findings);
    let mut sources = Vec::new();
    for (path, file) in files {
        table.merge(file);
        sources.push(path);
    }
    let image = resolve(project, &name, &table, sources, &mut findings);
    findings.sort_by(|a, b| a.place.cmp(&b.place));
    match image {
        Some(image) if findings.is_empty() => Ok(image),
        _ => Err(Error::findings(format!("the definition of image {name} is wrong"), findings)),
    }
}

/// The names of the images of this project, sorted.
///
/// # Errors
/// If `images/` cannot be read.
pub fn names(project: &Project) -> Result<Vec<String>> {
    let directory = project.images();
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&directory).at("read", &directory)? {
        let path = entry.at("read", &directory)?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            names.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
        }
    }
    names.sort();
    Ok(names)
}

fn find(project: &Project, image: &str) -> Result<PathBuf> {
    let is_path = image.contains('/') || image.ends_with(".toml");
    let path = match is_path {
        true => PathBuf::from(image),
        false => project.images().join(format!("{image}.toml")),
    };
    if path.is_file() {
        return path.canonicalize().at("find", &path);
    }
    let error = Error::definition(format!("there is no image {image}"));
    if is_path {
        return Err(error.hint(format!("{} is no file", path.display())));
    }
    let names = names(project)?;
    Err(match suggest(image, names.iter().map(String::as_str)) {
        Some(near) => error.hint(format!("did you mean {near}?")),
        None => error.hint(format!("the images are {}; or give a path to one", names.join(", "))),
    })
}

/// An `inherit` chain being followed.
struct Chain<'a> {
    project: &'a Project,
    findings: Vec<Finding>,
    /// Files read, in the order they are merged.
    files: Vec<(PathBuf, Table)>,
    /// Files whose `inherit` is being followed, outermost first.
    open: Vec<PathBuf>,
}

impl Chain<'_> {
    /// Reads a file and, before it, those it inherits. One that is there already
    /// is not read again: two parents may share a base.
    fn follow(&mut self, path: &Path, asked_at: Option<Place>) -> Result<()> {
        if let Some(start) = self.open.iter().position(|open| open == path) {
            let cycle: Vec<String> = self.open[start..]
                .iter()
                .map(PathBuf::as_path)
                .chain([path])
                .map(|path| self.project.show(path))
                .collect();
            let message = format!("`inherit` goes in a circle: {}", cycle.join(" -> "));
            let finding = |place| Finding::new(place, message).with_hint("take one of them out");
            self.findings.extend(asked_at.map(finding));
            return Ok(());
        }
        if self.files.iter().any(|(read, _)| read == path) {
            return Ok(());
        }
        let text = std::fs::read_to_string(path).at("read", path)?;
        let shown = self.project.show(path);
        let table = reader::read(&shown, &text, &mut self.findings);
        table.find_duplicates(&mut self.findings);
        self.open.push(path.to_owned());
        for parent in table.list("inherit") {
            let base = path.parent().unwrap_or(Path::new("/")).join(&parent.value);
            match base.canonicalize() {
                Ok(base) => self.follow(&base, Some(parent.place.clone()))?,
                Err(error) => {
                    let message = format!("cannot inherit {:?}: {error}", parent.value);
                    let finding = Finding::new(parent.place.clone(), message);
                    self.findings
                        .push(finding.with_hint("the path is relative to the file it stands in"));
                }
            }
        }
        self.open.pop();
        self.files.push((path.to_owned(), table));
        Ok(())
    }
}

#[cfg(test)]
mod tests;
