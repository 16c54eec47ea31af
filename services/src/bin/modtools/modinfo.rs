//! `modinfo`: what a module says of itself.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use init_core::modinfo::{Modinfo, canonical};
use init_core::module_index::parse_builtin;
use lexopt::{Arg, ValueExt};
use serde_json::{Map, Value, json};
use services::failure::Failure;
use services::modules::catalog::{Catalog, Found};
use services::modules::config::Config;
use services::modules::directory;
use services::output;
use services::problem::{Context, Problem};

use crate::Result;

const HELP: &str = "\
Shows what a kernel module says of itself: author, licence, aliases, parameters, firmware.

Usage: modinfo [-F FIELD | --json] MODULE...

MODULE is a name, an alias, or the path of a file.

Options:
  -F, --field FIELD  only the values of this field, such as alias or firmware
      --json         for programs
  -h, --help         this text

Exit status: 0 done, 1 failed, 2 usage, 4 no such module.
";

/// Longest module that is read, in bytes.
const MODULE_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// How records are shown.
enum Form {
    Lines,
    Field(String),
    Json,
}

/// A module: where it is, and its records.
type Shown = (String, Vec<(String, String)>);

pub(crate) fn run(words: Vec<OsString>) -> Result<()> {
    let mut form = Form::Lines;
    let mut names = Vec::new();
    let mut parser = lexopt::Parser::from_args(words);
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Short('F') | Arg::Long("field") => form = Form::Field(parser.value()?.string()?),
            Arg::Long("json") => form = Form::Json,
            Arg::Short('h') | Arg::Long("help") => return Ok(output::print(HELP)?),
            Arg::Value(word) => names.push(word.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    if names.is_empty() {
        return Err(Failure::usage("no module is named", "`modinfo MODULE`"));
    }
    let mut shown: Vec<Shown> = Vec::new();
    for name in &names {
        shown.extend(look_up(name)?);
    }
    match form {
        Form::Json => Ok(output::print_json(&json!({
            "modules": shown.iter().map(value).collect::<Vec<Value>>()
        }))?),
        Form::Lines => Ok(output::print(&shown.iter().map(lines).collect::<String>())?),
        Form::Field(field) => {
            let records = shown.iter().flat_map(|(_, records)| records);
            let values = records.filter(|(key, _)| *key == field);
            let text: String = values.map(|(_, value)| output::tame(value) + "\n").collect();
            Ok(output::print(&text)?)
        }
    }
}

fn look_up(name: &str) -> Result<Vec<Shown>> {
    if name.contains('/') {
        return Ok(vec![of_file(Path::new(name))?]);
    }
    // What is blacklisted is there all the same.
    let catalog = Catalog::open(&directory(), Config::default())?;
    let found = catalog.as_ref().map_or(Found::Nothing, |catalog| catalog.find(name, false));
    match (found, &catalog) {
        (Found::Modules(names), Some(catalog)) => {
            let files: Vec<PathBuf> = names.iter().filter_map(|name| catalog.file(name)).collect();
            files.iter().map(|file| of_file(file)).collect()
        }
        (Found::BuiltIn, _) => Ok(built_in(name)),
        _ => Err(Failure::no_such(
            format!("there is no module `{name}`"),
            "name a file with a `/` in its path, as ./x.ko; `lsmod` lists what is loaded",
        )),
    }
}

fn of_file(file: &Path) -> Result<Shown> {
    let shown = file.display().to_string();
    let cannot = || format!("cannot read `{shown}`");
    if fs::metadata(file).context(cannot)?.len() > MODULE_BYTES_MAX {
        return Err(Problem::new(format!("`{shown}` is too long for a module")).into());
    }
    let bytes = fs::read(file).context(cannot)?;
    let info = Modinfo::of_file(&bytes).context(|| format!("`{shown}` is no module"))?;
    let owned = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
    Ok((shown, info.records().map(owned).collect()))
}

fn built_in(name: &str) -> Vec<Shown> {
    let bytes = fs::read(directory().join("modules.builtin.modinfo")).unwrap_or_default();
    let mut all = parse_builtin(&bytes);
    let records = all.remove(&canonical(name)).unwrap_or_default();
    vec![("(built in)".to_owned(), records)]
}

fn lines((file, records): &Shown) -> String {
    let record =
        |(key, value): (&str, &str)| format!("{:15} {}\n", format!("{key}:"), output::tame(value));
    let records = records.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    [("filename", file.as_str())].into_iter().chain(records).map(record).collect()
}

/// Each key with all its values.
fn value((file, records): &Shown) -> Value {
    let mut map = Map::new();
    for (key, value) in records {
        let values = map.entry(key.clone()).or_insert_with(|| json!([]));
        if let Value::Array(values) = values {
            values.push(json!(value));
        }
    }
    json!({ "filename": file, "records": map })
}
