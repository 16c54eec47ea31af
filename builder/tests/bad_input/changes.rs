//! What changes while an image is built: no image is remembered as one that it
//! is not.

use std::fs;

use builder::arch::Arch;

use crate::project::{Project, can_build_images};

/// What an image says that there is nothing to do for.
const FRESH: &str = "is up to date";
/// What is said of one that nobody can be sure of.
const WARNING: &str = "warning: what the image bad is made of changed while it was built\nhint: ";

/// A project with an image that holds a file of it. While its first kernel is
/// built, `change` is run as a shell's command.
fn project(change: &str) -> Project {
    let definition = "inherit = [\"base.toml\"]\ninitramfs.compression = \"none\"\n\
                      [[file]]\npath = \"/content\"\nsource = \"content\"\n";
    let project = Project::new(&[("images/bad.toml", definition), ("images/content", "one")]);
    let once = format!("[ -e changed ] || {{ : > changed; {change}; }}");
    let make = format!("#!/bin/sh\n{once}\nPATH=${{PATH#*:}}; exec make \"$@\"\n");
    project.program("make", &make);
    project
}

/// Builds the image and gives what was said.
fn build(project: &Project) -> String {
    let ending = project.image("bad");
    ending.is(0, &[]);
    ending.stderr
}

/// Whether the last build is remembered.
fn is_remembered(project: &Project) -> bool {
    let directory = project.path("out/bad").join(Arch::host().unwrap().as_str());
    assert!(directory.join("manifest.json").exists());
    directory.join(".state.json").exists()
}

#[test]
fn an_image_whose_sources_changed_meanwhile_is_told_and_built_again() {
    if !can_build_images() {
        return;
    }
    let definition = "images/bad.toml";
    for (file, change) in [
        ("images/content", "echo two > images/content"),
        (definition, "sed -i '1i hostname = \"two\"' images/bad.toml"),
        // Then it cannot be read any more.
        (definition, "echo '[' >> images/bad.toml"),
    ] {
        println!("{change}");
        let project = project(change);
        let before = fs::read(project.path(file)).unwrap();
        let text = build(&project);
        assert!(text.contains(WARNING), "{text}");
        assert!(!is_remembered(&project));

        project.write(file, before);
        let text = build(&project);
        assert!(!text.contains(FRESH) && !text.contains(WARNING), "{text}");
        assert!(is_remembered(&project) && build(&project).contains(FRESH));
    }
}

#[test]
fn a_program_that_came_meanwhile_is_no_news_but_looked_at_again() {
    if !can_build_images() {
        return;
    }
    // One that is passed over, since gcc is here.
    let project = project(": > bin/clang; chmod +x bin/clang");
    let text = build(&project);
    assert!(!text.contains(WARNING) && !is_remembered(&project), "{text}");
    assert!(!build(&project).contains(FRESH));
    assert!(is_remembered(&project) && build(&project).contains(FRESH));
}

#[test]
fn a_pahole_that_was_installed_is_noticed() {
    if !can_build_images() {
        return;
    }
    let project = project(":");
    build(&project);
    assert!(build(&project).contains(FRESH));
    project.program("pahole", "#!/bin/sh\necho v1.24\n");
    assert!(build(&project).contains("compile kernel"), "its version is in the configuration");
}
