//! `svcctl check [FILE…|DIR…]`: mistakes in service descriptions, found by the
//! parser and the graph that PID 1 uses. PID 1 itself is not asked.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use init_core::description::{DIRECTORIES, ServiceDescription};
use init_core::diagnostic::{Finding, Place};
use init_core::graph::{Loaded, Severity, check_loaded};
use init_core::name::ServiceName;
use init_core::parse::{DESCRIPTION_BYTES_MAX, parse_description_bytes};
use serde_json::{Value, json};
use services::bounded_file;
use services::failure::{Code, Failure};
use services::output::{print, print_json};
use services::problem::{Context, Problem};

use super::presence::{Missing, System};
use crate::Result;
use crate::arguments::Arguments;

pub(crate) fn run(arguments: &Arguments, paths: &[PathBuf]) -> Result<()> {
    let mut files = Files { system: system_of(paths), ..Files::default() };
    if files.system.is_some() {
        // What was asked for is a part of this system.
        let asked = if paths.is_empty() { Asked::Directory } else { Asked::No };
        for directory in DIRECTORIES.map(Path::new).iter().filter(|path| path.is_dir()) {
            files.add_directory(directory, asked)?;
        }
    }
    for path in paths {
        if path.is_dir() {
            files.add_directory(path, Asked::Directory)?;
        } else {
            files.add(path, Asked::File);
        }
    }
    report(arguments, &files)
}

/// The accounts and programs to compare descriptions with. A directory elsewhere is of another
/// system, whose files are not here.
fn system_of(paths: &[PathBuf]) -> Option<(System, Severity)> {
    let of_another = |path: &PathBuf| path.is_dir() && !is_read_here(path);
    if paths.iter().any(of_another) {
        return None;
    }
    // What PID 1 here reads must fit this system; of a file nobody knows where it will go.
    let is_own = paths.iter().all(|path| path.is_dir());
    Some((System::read(), if is_own { Severity::Error } else { Severity::Warning }))
}

/// Whether PID 1 reads the directory at `path`, by whatever name it is given.
fn is_read_here(path: &Path) -> bool {
    let place = fs::canonicalize(path).ok();
    place.is_some() && DIRECTORIES.iter().any(|one| fs::canonicalize(one).ok() == place)
}

/// A mistake and how bad it is.
struct Mistake {
    severity: Severity,
    finding: Finding,
}

/// How a file was asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// By its name.
    File,
    /// With all of its directory.
    Directory,
    /// It is there for others alone, and the mistakes in it are not wanted.
    No,
}

/// A description file.
struct File {
    path: String,
    asked: Asked,
}

impl File {
    fn is_wanted(&self) -> bool {
        self.asked != Asked::No
    }

    /// The mistake that it cannot be read. PID 1 may do so all the same if it is a matter of
    /// rights; who asks for one file alone has no answer then.
    fn unreadable(&self, error: &io::Error) -> Mistake {
        let is_denied = error.kind() == ErrorKind::PermissionDenied;
        let severity = match self.asked {
            Asked::Directory if is_denied => Severity::Warning,
            _ => Severity::Error,
        };
        let message = format!("the file cannot be read: {error}");
        let finding = Finding::new(start_of(&self.path), message);
        let finding = match bounded_file::remedy(Path::new(&self.path), error) {
            Some(remedy) => finding.with_hint(remedy),
            None => finding,
        };
        Mistake { severity, finding }
    }
}

#[derive(Default)]
struct Files {
    by_name: BTreeMap<ServiceName, File>,
    /// Mistakes in the names of wanted files.
    misnamed: Vec<Mistake>,
    /// The system that they are for, if it is here, and how bad it is what that lacks.
    system: Option<(System, Severity)>,
}

impl Files {
    /// The description files of a directory; others are passed over, as PID 1 does.
    fn add_directory(&mut self, directory: &Path, asked: Asked) -> Result<()> {
        let unreadable = || format!("cannot read `{}`", directory.display());
        let entries = fs::read_dir(directory).context(unreadable)?;
        for entry in entries {
            let path = entry.context(unreadable)?.path();
            if path.extension().is_some_and(|extension| extension == "toml") {
                self.add(&path, asked);
            }
        }
        Ok(())
    }

    fn add(&mut self, path: &Path, asked: Asked) {
        let text = path.display().to_string();
        match service_name(path) {
            Ok(name) => drop(self.by_name.insert(name, File { path: text, asked })),
            Err((message, hint)) if asked != Asked::No => {
                let finding = Finding::new(start_of(&text), message).with_hint(hint);
                self.misnamed.push(Mistake { severity: Severity::Error, finding });
            }
            // PID 1 passes it over, and nobody has asked for it.
            Err(_) => {}
        }
    }

    /// What this system lacks of what the description in `file` names.
    fn lacking(&self, description: &ServiceDescription, file: &File, text: &str) -> Vec<Mistake> {
        let Some((system, severity)) = &self.system else { return Vec::new() };
        let missing = system.lacks(description, &file.path, text).into_iter();
        let mistake = |missing: Missing| Mistake {
            severity: if missing.is_certain { *severity } else { Severity::Warning },
            finding: missing.finding,
        };
        missing.map(mistake).collect()
    }
}

/// The service that the file at `path` describes, or what is wrong with its name and the hint.
fn service_name(path: &Path) -> std::result::Result<ServiceName, (String, &'static str)> {
    if path.extension().is_none_or(|extension| extension != "toml") {
        let message = "the file's name does not end in `.toml`".to_owned();
        return Err((message, "PID 1 reads `NAME.toml` only"));
    }
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let hint = "the file's name without `.toml` is the service's name";
    ServiceName::new(&stem).map_err(|error| (error.to_string(), hint))
}

fn start_of(file: &str) -> Place {
    Place { file: file.to_owned(), line: 1, column: 1 }
}

fn find_mistakes(files: &Files) -> Vec<Mistake> {
    let mut texts = BTreeMap::new();
    let mut loaded = Vec::new();
    let mut mistakes = Vec::new();
    for (name, file) in &files.by_name {
        let bytes = match bounded_file::read(Path::new(&file.path), DESCRIPTION_BYTES_MAX) {
            Ok(bytes) => bytes,
            Err(error) => {
                loaded.push(Loaded::broken(name.clone(), &[]));
                mistakes.extend(file.is_wanted().then(|| file.unreadable(&error)));
                continue;
            }
        };
        let text = String::from_utf8_lossy(&bytes).into_owned();
        match parse_description_bytes(name, &file.path, &bytes) {
            Ok(description) => {
                if file.is_wanted() {
                    mistakes.extend(files.lacking(&description, file, &text));
                }
                loaded.push(Loaded::from(description));
            }
            Err(findings) => {
                loaded.push(Loaded::broken(name.clone(), &findings));
                if file.is_wanted() {
                    let error = |finding| Mistake { severity: Severity::Error, finding };
                    mistakes.extend(findings.into_iter().map(error));
                }
            }
        }
        texts.insert(name, text);
    }
    for problem in check_loaded(loaded) {
        let file = files.by_name.get(&problem.service).filter(|file| file.is_wanted());
        if let (Some(file), Some(text)) = (file, texts.get(&problem.service)) {
            let finding = problem.finding(&file.path, text);
            mistakes.push(Mistake { severity: problem.severity, finding });
        }
    }
    mistakes.sort_by(|a, b| a.finding.place.cmp(&b.finding.place));
    mistakes
}

fn report(arguments: &Arguments, files: &Files) -> Result<()> {
    let found = find_mistakes(files);
    let all: Vec<&Mistake> = files.misnamed.iter().chain(&found).collect();
    let errors = all.iter().filter(|mistake| mistake.severity == Severity::Error).count();
    let checked = files.by_name.values().filter(|file| file.is_wanted()).count();
    if arguments.json {
        print_json(&Value::Array(all.iter().map(|mistake| to_json(mistake)).collect()))?;
    } else {
        let lines: Vec<String> = all.iter().map(|mistake| to_text(mistake)).collect();
        print(&lines.concat())?;
    }
    if errors > 0 {
        let problem =
            Problem::new(format!("{errors} of what is wrong keeps services from running"));
        return Err(match arguments.json {
            true => Failure::Reported(Code::Failed),
            false => Failure::from(problem),
        });
    }
    if !arguments.json && all.is_empty() {
        print(&format!("{checked} service descriptions, nothing wrong\n"))?;
    }
    Ok(())
}

fn to_text(mistake: &Mistake) -> String {
    let Finding { place, message, hint } = &mistake.finding;
    let hint = hint.as_ref().map_or(String::new(), |hint| format!("  hint: {hint}\n"));
    format!("{place}: {}: {message}\n{hint}", word(mistake.severity))
}

fn to_json(mistake: &Mistake) -> Value {
    let mut value = services::output::finding(&mistake.finding);
    if let Some(value) = value.as_object_mut() {
        value.insert("severity".to_owned(), json!(word(mistake.severity)));
    }
    value
}

const fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_in_a_directory_it_is_a_warning_that_root_alone_can_read_a_file() {
        let severity = |asked, kind: ErrorKind| {
            File { path: "a.toml".to_owned(), asked }.unreadable(&kind.into()).severity
        };
        let (denied, gone) = (ErrorKind::PermissionDenied, ErrorKind::NotFound);
        assert_eq!(severity(Asked::Directory, denied), Severity::Warning);
        assert_eq!(severity(Asked::Directory, gone), Severity::Error);
        assert_eq!(severity(Asked::File, denied), Severity::Error);
    }
}
