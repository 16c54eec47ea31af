//! Which programs an image holds, where each comes from and where it goes.

use std::path::PathBuf;

use crate::definition::Image;
use crate::definition::resolved::Binary;
use crate::error::Result;
use crate::tree::TreePath;
use crate::userland::workspace::Package;

use super::descriptions::Description;

/// Where PID 1 is on every Keelson system.
pub const INIT_PATH: &str = "/usr/sbin/init";

/// A program of an image.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Program {
    /// What builds it.
    pub source: ProgramSource,
    /// Its name there, where it goes, and its further names.
    pub binary: Binary,
    /// What brought it into the image, for messages.
    pub origin: String,
}

/// What builds a program.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProgramSource {
    /// The package `init`.
    Init,
    /// The package `services`.
    Services,
    /// The package `sshd`.
    Sshd,
    /// The crate with this index in [`Image::crates`].
    Crate(usize),
}

/// A program and the host file it was built into.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BuiltProgram {
    /// What it is.
    pub program: Program,
    /// The file; `None` where nothing was built and its place alone counts.
    pub file: Option<PathBuf>,
}

/// The programs of `image`, sorted by their place: init, its tools, its
/// crates, and for every description the binary of the packages `services` and `sshd`
/// that its command names, unless something else provides that path. `available`
/// are the binaries of `services`.
///
/// # Errors
/// If a command's path is none.
pub fn of_image(
    image: &Image,
    descriptions: &[Description],
    available: &[String],
) -> Result<Vec<Program>> {
    let mut programs = vec![Program {
        source: ProgramSource::Init,
        binary: Binary { name: "init".into(), path: TreePath::new(INIT_PATH)?, links: Vec::new() },
        origin: "package init".into(),
    }];
    for tool in &image.tools {
        let origin = format!("{}: tool {}", tool.place, tool.binary.name);
        let binary = tool.binary.clone();
        programs.push(Program { source: ProgramSource::Services, binary, origin });
    }
    for (index, wanted) in image.crates.iter().enumerate() {
        for binary in &wanted.binaries {
            let origin = format!("{}: crate {}", wanted.place, wanted.name);
            let binary = binary.clone();
            programs.push(Program { source: ProgramSource::Crate(index), binary, origin });
        }
    }
    for description in descriptions {
        let Some(command) = description.program() else { continue };
        let path = TreePath::new(command)?;
        let name = String::from_utf8_lossy(path.file_name()).into_owned();
        let is_there = programs.iter().any(|program| program.binary.path == path)
            || image.files.iter().any(|file| file.path == path);
        let source = match name == Package::Sshd.as_str() {
            true => Some(ProgramSource::Sshd),
            false => available.contains(&name).then_some(ProgramSource::Services),
        };
        if let (false, Some(source)) = (is_there, source) {
            let binary = Binary { name, path, links: Vec::new() };
            let origin = format!("service {}", description.name);
            programs.push(Program { source, binary, origin });
        }
    }
    programs.sort_by(|a, b| a.binary.path.cmp(&b.binary.path));
    Ok(programs)
}
