//! Reading the service descriptions at boot.
//!
//! The image's are in `/usr/lib/services.d`, the machine's in
//! `/etc/services.d`; a file of the second replaces the one of the same name in
//! the first. A description that cannot be read is a failed service, so that
//! `svcctl why` can say what is wrong with it. Absent: reading again later.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use init_core::description::{DIRECTORIES, ServiceDescription};
use init_core::graph::Loaded;
use init_core::name::ServiceName;
use init_core::parse::{DESCRIPTION_BYTES_MAX, parse_description_bytes};

use crate::errno::explain;
use crate::{files, log};

/// Reads every description; sorted by name.
pub(crate) fn services() -> Vec<Loaded> {
    let mut found: BTreeMap<ServiceName, &str> = BTreeMap::new();
    for directory in DIRECTORIES {
        for file in files::list(directory).unwrap_or_default() {
            if let Some(name) = service_name(directory, &file) {
                found.insert(name, directory);
            }
        }
    }
    let load = |(name, directory): (ServiceName, &str)| match read(&name, directory) {
        Ok(description) => Loaded::from(description),
        Err(text) => Loaded::Broken { name, text: text.into() },
    };
    found.into_iter().map(load).collect()
}

fn service_name(directory: &str, file: &str) -> Option<ServiceName> {
    let stem = file.strip_suffix(".toml")?;
    ServiceName::new(stem)
        .map_err(|error| log::error(format_args!("{directory}/{file} is passed over: {error}")))
        .ok()
}

fn read(name: &ServiceName, directory: &str) -> Result<ServiceDescription, String> {
    let file = format!("{directory}/{name}.toml");
    // One byte more than allowed, for the parser to see that it is too long.
    let bytes = files::read(&file, DESCRIPTION_BYTES_MAX.saturating_add(1))
        .map_err(|errno| format!("{file}: {}", explain(errno)))?;
    parse_description_bytes(name, &file, &bytes).map_err(|findings| {
        let texts: Vec<String> = findings.iter().map(ToString::to_string).collect();
        texts.join("\n")
    })
}
