//! `svcctl check [FILE…|DIR…]`: mistakes in service descriptions, found by the
//! parser and the graph that PID 1 uses. PID 1 itself is not asked.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use init_core::diagnostic::{Finding, Place};
use init_core::graph::{Loaded, Severity, check_loaded};
use init_core::name::ServiceName;
use init_core::parse::parse_description_bytes;
use serde_json::{Value, json};
use services::failure::{Code, Failure};
use services::output::{print, print_json};
use services::problem::{Context, Problem};

use crate::Result;
use crate::arguments::Arguments;

/// What PID 1 reads; later ones override earlier ones.
const DIRECTORIES: [&str; 2] = ["/usr/lib/services.d", "/etc/services.d"];

pub(crate) fn run(arguments: &Arguments, paths: &[PathBuf]) -> Result<()> {
    let mut files = Files::default();
    if !paths.iter().any(|path| path.is_dir()) {
        // Single files are checked as a part of this system.
        for directory in DIRECTORIES.map(Path::new).iter().filter(|path| path.is_dir()) {
            files.add_directory(directory, paths.is_empty())?;
        }
    }
    for path in paths {
        if path.is_dir() {
            files.add_directory(path, true)?;
        } else {
            files.add(path, true);
        }
    }
    report(arguments, &files)
}

/// A mistake and how bad it is.
struct Mistake {
    severity: Severity,
    finding: Finding,
}

/// A description file.
struct File {
    path: String,
    /// Whether the mistakes in it are wanted: it is not just there for others.
    wanted: bool,
}

#[derive(Default)]
struct Files {
    by_name: BTreeMap<ServiceName, File>,
    /// Mistakes in the names of files.
    misnamed: Vec<Mistake>,
}

impl Files {
    /// The description files of a directory; others are passed over, as PID 1 does.
    fn add_directory(&mut self, directory: &Path, wanted: bool) -> Result<()> {
        let unreadable = || format!("cannot read `{}`", directory.display());
        let entries = fs::read_dir(directory).context(unreadable)?;
        for entry in entries {
            let path = entry.context(unreadable)?.path();
            if path.extension().is_some_and(|extension| extension == "toml") {
                self.add(&path, wanted);
            }
        }
        Ok(())
    }

    fn add(&mut self, path: &Path, wanted: bool) {
        let text = path.display().to_string();
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let name = match path.extension() {
            Some(extension) if extension == "toml" => ServiceName::new(&stem),
            _ => {
                let finding =
                    Finding::new(start_of(&text), "the file's name does not end in `.toml`");
                let hint = "PID 1 reads `NAME.toml` only";
                let mistake =
                    Mistake { severity: Severity::Error, finding: finding.with_hint(hint) };
                return self.misnamed.push(mistake);
            }
        };
        match name {
            Ok(name) => drop(self.by_name.insert(name, File { path: text, wanted })),
            Err(error) => {
                let finding = Finding::new(start_of(&text), error.to_string());
                let hint = "the file's name without `.toml` is the service's name";
                let mistake =
                    Mistake { severity: Severity::Error, finding: finding.with_hint(hint) };
                self.misnamed.push(mistake);
            }
        }
    }
}

fn start_of(file: &str) -> Place {
    Place { file: file.to_owned(), line: 1, column: 1 }
}

fn find_mistakes(files: &Files) -> Result<Vec<Mistake>> {
    let mut texts = BTreeMap::new();
    let mut loaded = Vec::new();
    let mut mistakes = Vec::new();
    for (name, file) in &files.by_name {
        let bytes = fs::read(&file.path).context(|| format!("cannot read `{}`", file.path))?;
        match parse_description_bytes(name, &file.path, &bytes) {
            Ok(description) => loaded.push(Loaded::from(description)),
            Err(findings) => {
                loaded.push(Loaded::broken(name.clone(), &findings));
                if file.wanted {
                    let error = |finding| Mistake { severity: Severity::Error, finding };
                    mistakes.extend(findings.into_iter().map(error));
                }
            }
        }
        texts.insert(name, String::from_utf8_lossy(&bytes).into_owned());
    }
    for problem in check_loaded(loaded) {
        let file = files.by_name.get(&problem.service).filter(|file| file.wanted);
        if let (Some(file), Some(text)) = (file, texts.get(&problem.service)) {
            let finding = problem.finding(&file.path, text);
            mistakes.push(Mistake { severity: problem.severity, finding });
        }
    }
    mistakes.sort_by(|a, b| a.finding.place.cmp(&b.finding.place));
    Ok(mistakes)
}

fn report(arguments: &Arguments, files: &Files) -> Result<()> {
    let found = find_mistakes(files)?;
    let all: Vec<&Mistake> = files.misnamed.iter().chain(&found).collect();
    let errors = all.iter().filter(|mistake| mistake.severity == Severity::Error).count();
    let checked = files.by_name.values().filter(|file| file.wanted).count();
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
