//! Whether an image will take commands, which its service `execd` runs.

use std::ffi::OsStr;

use init_core::description::DIRECTORIES;

use crate::definition::Image;
use crate::error::{Error, Result};

/// The service, and the file name of its description.
const SERVICE: &str = "execd";
const DESCRIPTION: &str = "execd.toml";

/// Makes sure that a command that is to run in the guest can, before anything is built.
///
/// # Errors
/// If nothing of the image brings the service.
pub(super) fn check(image: &Image) -> Result<()> {
    let is_named = image.services.iter().any(|service| service.value.as_str() == SERVICE);
    if is_named || is_brought(image) {
        return Ok(());
    }
    let message = format!("the image {} takes no commands, for it has no {SERVICE}", image.name);
    Err(Error::definition(message)
        .hint(format!("let the definition's `services` have \"{SERVICE}\", or leave out --exec")))
}

/// Whether an overlay, a file or a crate has a description of it.
fn is_brought(image: &Image) -> bool {
    let places = DIRECTORIES.map(|directory| format!("{directory}/{DESCRIPTION}"));
    let in_overlay = |path: &String| {
        let relative = path.trim_start_matches('/');
        image.overlays.iter().any(|overlay| overlay.value.join(relative).exists())
    };
    let is_file = |path: &String| image.files.iter().any(|file| file.path.to_string() == *path);
    let mut of_crates = image.crates.iter().flat_map(|wanted| &wanted.descriptions);
    places.iter().any(|path| in_overlay(path) || is_file(path))
        || of_crates.any(|path| path.file_name() == Some(OsStr::new(DESCRIPTION)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition::testing;

    #[test]
    fn what_takes_no_commands_is_told_with_a_remedy() {
        let told = |text: &str| {
            let image = testing::image(&format!("outputs = [\"initramfs\"]\n{text}")).unwrap();
            check(&image).err().map(|error| error.to_string())
        };
        assert_eq!(told("services = [\"logd\", \"execd\"]\n"), None);
        let file = "[[file]]\npath = \"/etc/services.d/execd.toml\"\ncontent = \"\"\n";
        assert_eq!(told(&format!("{file}{}", testing::ACCOUNTS)), None);
        let told = told("services = [\"logd\"]\n").unwrap();
        assert!(told.contains("takes no commands") && told.contains("\"execd\""), "{told}");
    }
}
