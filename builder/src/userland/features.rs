//! Which features of their package the programs of the workspace are compiled with.
//!
//! A manifest says what each needs: `required-features` of its `[[bin]]` (The Cargo Book, "Cargo
//! Targets"). It gets those and no others, whatever is compiled beside it: its bytes must not
//! depend on the company, and a system of a few daemons need not compile what the network is
//! made of.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Deserialize;

use crate::error::{Error, IoContext, Result, toml_finding};

/// What of a manifest says it.
#[derive(Deserialize, Default)]
struct Manifest {
    #[serde(default)]
    bin: Vec<Program>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Program {
    name: String,
    #[serde(default)]
    required_features: Vec<String>,
}

/// The programs `names` of the package with this `manifest` by the features they need, each list
/// of those sorted. Those that need none come first; the order of names stays.
///
/// # Errors
/// If the manifest cannot be read; with the place of what is wrong in it.
pub(super) fn by_features<'n>(
    manifest: &Path,
    names: &[&'n str],
) -> Result<BTreeMap<Vec<String>, Vec<&'n str>>> {
    let text = fs::read_to_string(manifest).at("read", manifest)?;
    let programs: Manifest = toml::from_str(&text).map_err(|error| {
        let finding = toml_finding(&manifest.display().to_string(), &text, &error);
        Error::findings("the manifest is wrong", vec![finding])
    })?;
    let mut groups: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for name in names {
        let described = programs.bin.iter().find(|program| program.name == *name);
        let mut features = described.map_or_else(Vec::new, |one| one.required_features.clone());
        features.sort();
        groups.entry(features).or_default().push(*name);
    }
    Ok(groups)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The groups of the manifest `text`, as "features: names".
    fn groups(text: &str, names: &[&str]) -> Vec<String> {
        let directory = tempfile::tempdir().unwrap();
        let manifest = directory.path().join("Cargo.toml");
        fs::write(&manifest, text).unwrap();
        let groups = by_features(&manifest, names).unwrap().into_iter();
        groups.map(|(all, names)| format!("{}: {}", all.join(","), names.join(","))).collect()
    }

    #[test]
    fn programs_are_grouped_by_what_they_need() {
        let text = "[package]\nname = \"p\"\n\
            [[bin]]\nname = \"ping\"\nrequired-features = [\"network\", \"c\"]\n\
            [[bin]]\nname = \"ls\"\n\
            [[bin]]\nname = \"ip\"\nrequired-features = [\"c\", \"network\"]\n";
        let all = ["ping", "ls", "ip", "other"];
        assert_eq!(groups(text, &all), [": ls,other", "c,network: ping,ip"]);
        assert_eq!(groups(text, &["ip"]), ["c,network: ip"]);
        assert_eq!(groups("[package]\nname = \"p\"\n", &["a", "b"]), [": a,b"]);
    }

    #[test]
    fn a_manifest_that_is_none_is_told_with_its_place() {
        let directory = tempfile::tempdir().unwrap();
        let manifest = directory.path().join("Cargo.toml");
        assert!(by_features(&manifest, &[]).unwrap_err().to_string().contains("Cargo.toml"));
        fs::write(&manifest, "[[bin]]\nname = \"a\"\nrequired-features = 7\n").unwrap();
        let told = by_features(&manifest, &[]).unwrap_err().to_string();
        assert!(told.contains("Cargo.toml:3:21: "), "{told}");
    }
}
