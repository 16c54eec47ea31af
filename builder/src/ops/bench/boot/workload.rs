//! The image with a hundred services: a generated definition that inherits
//! `images/bench.toml`.
//!
//! It stays in `target/bench/`, under the same name in every run, so that a
//! benchmark that is repeated builds nothing, and a person can look into what
//! was booted: `builder run target/bench/bench-100.toml`.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use crate::error::{IoContext, Result};
use crate::project::Project;

/// How many services the generated image has beside `execd`.
pub(super) const SERVICES: usize = 100;
/// The program of every one of them.
pub(super) const PROGRAM: &str = "/usr/sbin/idle";

/// Where definition and console logs are; made if it is not there.
///
/// # Errors
/// If it cannot be made.
pub(super) fn directory(project: &Project) -> Result<PathBuf> {
    let directory = project.root().join("target/bench");
    std::fs::create_dir_all(&directory).at("create", &directory)?;
    Ok(directory)
}

/// Writes the definition if it is not there as it should be. Its path.
///
/// # Errors
/// If it cannot be written.
pub(super) fn write(directory: &Path) -> Result<PathBuf> {
    let path = directory.join(format!("bench-{SERVICES}.toml"));
    let text = definition(SERVICES);
    if std::fs::read_to_string(&path).is_ok_and(|found| found == text) {
        return Ok(path);
    }
    std::fs::write(&path, text).at("write", &path)?;
    Ok(path)
}

/// The names of the services. Each comes after `execd` in their order, in which
/// PID 1 starts what does not depend on each other: the image is complete when
/// the last of them is up, not when the host's port is.
pub(super) fn names(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(|index| format!("idle-{index:03}"))
}

/// A definition in a directory two below the repository's.
fn definition(count: usize) -> String {
    let mut text = "# Made by `builder bench boot`.\n\
        description = \"For the boot benchmark, with many services\"\n\
        inherit = [\"../../images/bench.toml\"]\n\
        outputs = [\"initramfs\"]\n"
        .to_owned();
    for name in names(count) {
        let _never_fails = write!(
            text,
            "\n[[file]]\n\
            path = \"/usr/lib/services.d/{name}.toml\"\n\
            content = '''\n\
            description = \"Service {name} of the boot benchmark\"\n\
            command = [\"{PROGRAM}\"]\n\
            restart = \"always\"\n\
            '''\n"
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition;
    use crate::image::check;
    use crate::image::packages::Packages;

    #[test]
    fn the_generated_image_is_one_that_can_be_built() {
        let project = Project::find().unwrap();
        let directory = directory(&project).unwrap();
        let path = write(&directory).unwrap();
        assert_eq!(write(&directory).unwrap(), path);
        let image = definition::load(&project, path.to_str().unwrap()).unwrap();
        assert_eq!(image.name, "bench-100");
        let arch = image.arches[0];
        let plan = check::plan(&project, &image, arch, Packages::default()).unwrap();
        assert!(plan.verdict.errors.is_empty(), "{:?}", plan.verdict.errors);
        assert!(plan.verdict.warnings.is_empty(), "{:?}", plan.verdict.warnings);
        assert_eq!(image.files.len(), SERVICES);
    }

    #[test]
    fn services_are_named_in_order_and_after_execd() {
        let names: Vec<String> = names(SERVICES).collect();
        assert!(names.is_sorted());
        assert!(names.iter().all(|name| name.as_str() > "execd"));
    }
}
