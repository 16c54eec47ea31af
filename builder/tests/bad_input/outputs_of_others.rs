//! What is not this build's: other people's files, another definition's outputs, and standard
//! output, which may not take what it is given.

use std::fs::{self, File};

use crate::project::{Ending, Project, can_build_images};

/// What the stand-in kernel can boot.
const GOOD: &str = "inherit = [\"base.toml\"]\noutputs = [\"initramfs\"]\n\
                    initramfs.compression = \"none\"\ndisk.buses = []\n";

#[test]
fn what_no_builder_made_is_not_cleaned_away() {
    let project = Project::new(&[]);
    project.write("vms/ubuntu/x86_64/disk.img", "precious");
    project.write("vms/debian/aarch64/manifest.json", "precious");
    let ending = project.run(&["clean", "--output", "vms"]);
    ending.is(0, &["there are no outputs in vms"]);
    let ending = project.run(&["clean", "ubuntu", "--output", "vms"]);
    ending.is(2, &["there are no outputs of \"ubuntu\" in vms"]);
    for path in ["vms/ubuntu/x86_64/disk.img", "vms/debian/aarch64/manifest.json"] {
        assert_eq!(fs::read_to_string(project.path(path)).unwrap(), "precious");
        assert_eq!(fs::read_dir(project.path(path).parent().unwrap()).unwrap().count(), 1);
    }
}

#[test]
fn what_the_builder_made_is_cleaned_away_and_nothing_else() {
    if !can_build_images() {
        return;
    }
    let project = Project::new(&[("images/good.toml", GOOD)]);
    project.image("good").is(0, &[]);
    let ending = project.run(&["clean", "godo", "--output", "out"]);
    ending.is(2, &["there are no outputs of \"godo\" in out", "hint: there are: good"]);
    project.write("out/good/notes.txt", "precious");
    project.run(&["clean", "good", "--output", "out"]).is(0, &["removed the outputs in out/good/"]);
    let left: Vec<_> = fs::read_dir(project.path("out/good")).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[test]
fn a_full_standard_output_is_told() {
    let project = Project::new(&[]);
    let mut command = project.builder(&["completions", "bash"]);
    command.stdout(File::options().write(true).open("/dev/full").unwrap());
    let says = ["cannot write standard output: No space left on device", "hint: "];
    Ending::of(&mut command).is(1, &says);
}

#[test]
fn two_definitions_of_one_name_are_not_built_into_one_directory() {
    let definition = GOOD.replace("base.toml", "../images/base.toml");
    let project = Project::new(&[("a/same.toml", &definition)]);
    fs::create_dir(project.path("b")).unwrap();
    fs::copy(project.path("a/same.toml"), project.path("b/same.toml")).unwrap();
    project.run(&["image", "a/same.toml", "b/same.toml", "--output", "out"]).is(
        2,
        &["a/same.toml and b/same.toml would be built into the same directory", "hint: name one"],
    );
    if !can_build_images() {
        return;
    }
    project.image("a/same.toml").is(0, &[]);
    project.write("b/same.toml", format!("hostname = \"b\"\n{definition}"));
    let ending = project.image("b/same.toml");
    ending.is(0, &["warning: the image of b/same.toml takes the place of that of a/same.toml"]);
    let ending = project.image("b/same.toml");
    assert!(!ending.stderr.contains("takes the place"), "{}", ending.stderr);
}

#[test]
fn what_an_image_is_not_made_for_is_not_checked_in_silence() {
    let definition = "inherit = [\"base.toml\"]\narch = [\"x86_64\"]\n";
    let project = Project::new(&[("images/bad.toml", definition)]);
    let says = ["it is not made for aarch64", "hint: its `arch` is x86_64"];
    project.run(&["check", "bad", "--arch", "aarch64", "--offline"]).is(2, &says);
    project.run(&["kernel", "--check", "bad", "--arch", "aarch64", "--offline"]).is(2, &says);
}
