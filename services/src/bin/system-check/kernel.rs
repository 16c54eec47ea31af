//! The kernel: its release, its machine, and the configuration it was built with.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use flate2::read::GzDecoder;
use init_core::system_manifest::SystemManifest;
use rustix::system::uname;
use sha2::{Digest, Sha256};

use crate::Outcome;

/// Where a kernel tells its configuration (CONFIG_IKCONFIG_PROC).
const CONFIGURATION: &str = "/proc/config.gz";

/// Longest configuration that makes sense, in bytes.
const CONFIGURATION_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Compares with the kernel that runs.
pub(crate) fn check(manifest: &SystemManifest) -> Outcome {
    let uname = uname();
    let release = uname.release().to_string_lossy().into_owned();
    let machine = uname.machine().to_string_lossy().into_owned();
    judge(&release, &machine, configuration(Path::new(CONFIGURATION)), manifest)
}

/// SHA-256 of the configuration.
fn configuration(path: &Path) -> io::Result<String> {
    let mut text = Vec::new();
    GzDecoder::new(File::open(path)?).take(CONFIGURATION_BYTES_MAX).read_to_end(&mut text)?;
    Ok(Sha256::digest(&text).iter().map(|byte| format!("{byte:02x}")).collect())
}

fn judge(
    release: &str,
    machine: &str,
    configuration: io::Result<String>,
    manifest: &SystemManifest,
) -> Outcome {
    let mut outcome = Outcome { looked_at: 1, ..Outcome::default() };
    let (wanted_release, wanted_machine) = (&manifest.kernel_release, &manifest.machine);
    if release != wanted_release {
        outcome.find("kernel", "release", format!("it is {release}, not {wanted_release}"));
    }
    if machine != wanted_machine {
        outcome.find("kernel", "machine", format!("it is {machine}, not {wanted_machine}"));
    }
    match configuration {
        _ if manifest.kernel_config_sha256.is_empty() => {}
        Ok(found) if found == manifest.kernel_config_sha256 => {}
        Ok(_) => outcome.find("kernel", "configuration", "it is not that of the image"),
        Err(error) => {
            outcome.find("kernel", "configuration", format!("cannot be read: {error}"));
        }
    }
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_kernel_is_told_by_all_it_says() {
        let manifest = SystemManifest {
            kernel_release: "6.6.1".into(),
            machine: "x86_64".into(),
            kernel_config_sha256: "a".into(),
            ..SystemManifest::default()
        };
        let count = |release, machine, configuration| {
            judge(release, machine, configuration, &manifest).findings.len()
        };
        assert_eq!(count("6.6.1", "x86_64", Ok("a".into())), 0);
        assert_eq!(count("6.6.2", "aarch64", Ok("b".into())), 3);
        assert_eq!(count("6.6.1", "x86_64", Err(io::ErrorKind::NotFound.into())), 1);
    }

    #[test]
    fn a_configuration_is_expanded_and_digested() {
        use std::io::Write;
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("config.gz");
        let mut encoder = flate2::write::GzEncoder::new(
            File::create(&file).unwrap(),
            flate2::Compression::fast(),
        );
        encoder.write_all(b"abc").unwrap();
        encoder.finish().unwrap();
        assert!(configuration(&file).unwrap().starts_with("ba7816bf8f01cfea"));
        std::fs::write(&file, "no gzip").unwrap();
        assert!(configuration(&file).is_err());
    }
}
