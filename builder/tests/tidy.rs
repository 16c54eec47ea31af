//! Keeps the house in order: what a reader may rely on in every file.
//!
//! Each rule collects all its findings, so one run shows the whole chore list.

#![expect(clippy::unwrap_used, reason = "all of this file is test code")]

use std::fs;
use std::path::{Path, PathBuf};

use builder::cli::Cli;
use clap::CommandFactory;

/// Most lines a source file may have.
const FILE_LINES_MAX: usize = 600;
/// Most lines a module doc may have: it is a signpost, not a chapter.
const MODULE_DOC_LINES_MAX: usize = 60;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// Every file below `directory` with this extension, sorted, build outputs left out.
fn files(directory: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut pending = vec![directory.to_path_buf()];
    while let Some(next) = pending.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                if !name.starts_with('.') && name != "target" && name != "out" {
                    pending.push(path);
                }
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Every Rust source by its path in the repository.
fn sources() -> Vec<(PathBuf, String)> {
    let paths =
        ["builder", "init", "services"].iter().flat_map(|part| files(&root().join(part), "rs"));
    let sources: Vec<_> = paths
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            (path.strip_prefix(root()).unwrap().to_path_buf(), text)
        })
        .collect();
    assert!(sources.len() > 20, "the sources were not found");
    sources
}

/// The lines of a source that ship: comments blanked, unit tests left out.
fn shipped_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let code = text.split("#[cfg(test)]").next().unwrap_or(text);
    code.lines().enumerate().map(|(index, line)| (index + 1, line.split("//").next().unwrap_or("")))
}

fn assert_none(rule: &str, findings: &[String]) {
    assert!(findings.is_empty(), "{rule}:\n{}", findings.join("\n"));
}

#[test]
fn every_file_begins_with_a_short_module_doc() {
    let mut findings = Vec::new();
    for (path, text) in sources() {
        let length = text.lines().take_while(|line| line.starts_with("//!")).count();
        if length == 0 || length > MODULE_DOC_LINES_MAX {
            findings.push(format!("{}: {length} lines of module doc", path.display()));
        }
    }
    assert_none("a file begins with `//!`: what it is responsible for", &findings);
}

#[test]
fn no_file_is_too_long() {
    let mut findings = Vec::new();
    for (path, text) in sources() {
        let length = text.lines().count();
        if length > FILE_LINES_MAX {
            findings.push(format!("{}: {length} lines", path.display()));
        }
    }
    assert_none("split by noun before a file passes the limit", &findings);
}

#[test]
fn assembler_sources_say_what_they_do_and_are_short() {
    let mut findings = Vec::new();
    let paths = files(&root().join("builder/boot"), "s");
    assert!(!paths.is_empty(), "the loader was not found");
    for path in paths {
        let text = fs::read_to_string(&path).unwrap();
        let length = text.lines().count();
        if !text.starts_with("# ") || length > FILE_LINES_MAX {
            findings.push(format!("{}: {length} lines", path.display()));
        }
    }
    assert_none("assembly begins with what it is responsible for, and is split by noun", &findings);
}

#[test]
fn pid_1_has_no_way_to_panic_on_purpose() {
    let forbidden = [".unwrap()", ".expect(", "panic!(", "unreachable!(", "assert!(", "todo!("];
    let mut findings = Vec::new();
    for (path, text) in sources() {
        let in_pid_1 = path.starts_with("init/src") || path.starts_with("init/core/src");
        if !in_pid_1 || path.file_name().is_some_and(|name| name == "tests.rs") {
            continue;
        }
        for (number, line) in shipped_lines(&text) {
            // A constant's assertion is decided by the compiler.
            let at_run_time = !line.trim_start().starts_with("const _: () =");
            if at_run_time && forbidden.iter().any(|word| line.contains(word)) {
                findings.push(format!("{}:{number}: {}", path.display(), line.trim()));
            }
        }
    }
    assert_none("an error in PID 1 becomes a state and a log record", &findings);
}

#[test]
fn unsafe_code_stays_at_the_system_call_edge() {
    let keyword = ["unsafe", " "].concat();
    let mut findings = Vec::new();
    for (path, text) in sources() {
        // A test's own helper may stand in for the edge.
        let may =
            path.components().any(|part| part.as_os_str() == "sys" || part.as_os_str() == "tests");
        for (number, line) in shipped_lines(&text) {
            if line.contains(&keyword) && !may {
                findings.push(format!("{}:{number}: {}", path.display(), line.trim()));
            }
        }
    }
    assert_none("unsafe code lives in `sys/` only", &findings);
}

#[test]
fn only_the_host_module_starts_programs() {
    let mut findings = Vec::new();
    for (path, text) in sources() {
        if !path.starts_with("builder/src") || path.ends_with("host.rs") {
            continue;
        }
        for (number, line) in shipped_lines(&text) {
            if line.contains("process::Command") || line.contains(" Command::new(") {
                findings.push(format!("{}:{number}: {}", path.display(), line.trim()));
            }
        }
    }
    assert_none("host.rs alone starts programs", &findings);
}

#[test]
fn workspace_packages_import_only_the_core() {
    let packages = [
        ("builder", true),
        ("builder/boot/uefi", false),
        ("init", true),
        ("init/core", false),
        ("services", true),
        ("services/sshd", true),
    ];
    for (package, may_import_core) in packages {
        let manifest = fs::read_to_string(root().join(package).join("Cargo.toml")).unwrap();
        for member in ["builder", "init", "init-core", "services", "sshd", "uefi-stub"] {
            let imports = manifest.lines().any(|line| {
                line.starts_with(&format!("{member}.")) || line.starts_with(&format!("{member} ="))
            });
            let is_library = package == "services/sshd" && member == "services";
            let allowed = may_import_core && member == "init-core" || is_library;
            assert!(!imports || allowed, "{package} must not import {member}");
        }
    }
}

#[test]
fn every_subcommand_is_documented() {
    let text: String = files(&root().join("docs"), "md")
        .into_iter()
        .chain([root().join("README.md")])
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    let command = Cli::command();
    let missing: Vec<String> = command
        .get_subcommands()
        .map(|subcommand| format!("builder {}", subcommand.get_name()))
        .filter(|phrase| !text.contains(phrase.as_str()))
        .collect();
    assert_none("a subcommand is described in README.md or docs/", &missing);
}

#[test]
fn every_image_is_documented() {
    let text = fs::read_to_string(root().join("images/README.md")).unwrap();
    let missing: Vec<String> = fs::read_dir(root().join("images"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
        .filter(|name| !text.contains(&format!("| `{name}` |")))
        .collect();
    assert_none("an image is a line in images/README.md", &missing);
}

#[test]
fn links_between_documents_lead_somewhere() {
    let mut findings = Vec::new();
    for path in files(&root(), "md") {
        let text = fs::read_to_string(&path).unwrap();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = target.split('#').next().unwrap_or_default();
            if file.is_empty() || file.contains("://") {
                continue;
            }
            if !path.parent().unwrap().join(file).exists() {
                findings.push(format!("{}: {target}", path.display()));
            }
        }
    }
    assert_none("a link names a file that exists", &findings);
}
