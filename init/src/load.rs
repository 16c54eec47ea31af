//! Reading the service descriptions at boot.
//!
//! The image's are in `/usr/lib/services.d`, the machine's in
//! `/etc/services.d`; a file of the second replaces the one of the same name in
//! the first. A description that cannot be read is a failed service, so that
//! `svcctl why` can say what is wrong with it. Absent: reading again later.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use init_core::description::ServiceDescription;
use init_core::graph::Loaded;
use init_core::name::ServiceName;
use init_core::parse::{DESCRIPTION_BYTES_MAX, parse_description_bytes};

use crate::log;

/// Later ones override earlier ones.
pub(crate) const DIRECTORIES: [&str; 2] = ["/usr/lib/services.d", "/etc/services.d"];

/// Reads every description; sorted by name.
pub(crate) fn services() -> Vec<Loaded> {
    let mut files = BTreeMap::new();
    for directory in DIRECTORIES {
        let Ok(entries) = fs::read_dir(directory) else { continue };
        for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
            if let Some(name) = service_name(&path) {
                files.insert(name, path);
            }
        }
    }
    let load = |(name, path): (ServiceName, PathBuf)| match read(&name, &path) {
        Ok(description) => Loaded::Good(Box::new(description)),
        Err(text) => Loaded::Broken { name, text: text.into() },
    };
    files.into_iter().map(load).collect()
}

fn service_name(path: &Path) -> Option<ServiceName> {
    if path.extension()? != "toml" {
        return None;
    }
    let stem = path.file_stem()?.to_string_lossy();
    match ServiceName::new(&stem) {
        Ok(name) => Some(name),
        Err(error) => {
            log::error(format_args!("{} is passed over: {error}", path.display()));
            None
        }
    }
}

fn read(name: &ServiceName, path: &Path) -> Result<ServiceDescription, String> {
    let file = path.display().to_string();
    // One byte more than allowed, for the parser to see that it is too long.
    let limit = u64::try_from(DESCRIPTION_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|open| open.take(limit).read_to_end(&mut bytes))
        .map_err(|error| format!("{file}: {error}"))?;
    parse_description_bytes(name, &file, &bytes).map_err(|findings| {
        let texts: Vec<String> = findings.iter().map(ToString::to_string).collect();
        texts.join("\n")
    })
}
