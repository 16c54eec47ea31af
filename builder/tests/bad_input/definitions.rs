//! What `builder check` finds in definitions, services and programs.

use builder::arch::Arch;

use crate::project::Project;

struct Case {
    name: &'static str,
    files: &'static [(&'static str, &'static str)],
    says: &'static [&'static str],
}

const CASES: [Case; 17] = [
    Case {
        name: "a misspelt key of an image",
        files: &[("images/bad.toml", "description = \"x\"\nhostnaem = \"x\"\n")],
        says: &["images/bad.toml:2:1: unknown key `hostnaem`", "hint: did you mean `hostname`?"],
    },
    Case {
        name: "a misspelt key of a service",
        files: &[
            ("images/bad.toml", "services = [\"a\"]\n"),
            (
                "rootfs/skeleton/usr/lib/services.d/a.toml",
                "description = \"A\"\ncommand = [\"/usr/sbin/ticker\"]\nrestrat = \"always\"\n",
            ),
        ],
        says: &[
            "rootfs/skeleton/usr/lib/services.d/a.toml:3:1: unknown key \"restrat\"",
            "hint: did you mean \"restart\"?",
        ],
    },
    Case {
        name: "an unknown service in `requires`",
        files: &[
            ("images/bad.toml", "services = [\"a\", \"ticker\"]\n"),
            (
                "rootfs/skeleton/usr/lib/services.d/a.toml",
                "description = \"A\"\ncommand = [\"/usr/sbin/ticker\"]\nrequires = [\"tikcer\"]\n",
            ),
        ],
        says: &["rootfs/skeleton/usr/lib/services.d/a.toml:3:13: ", "\"tikcer\"", "hint: "],
    },
    Case {
        name: "an unknown service of an image",
        files: &[("images/bad.toml", "services = [\"tikcer\"]\n")],
        says: &[
            "images/bad.toml:1:13: there is no service \"tikcer\"",
            "hint: did you mean \"ticker\"?",
        ],
    },
    Case {
        name: "a cycle of services",
        files: &[
            ("images/bad.toml", "services = [\"a\", \"b\"]\n"),
            (
                "rootfs/skeleton/usr/lib/services.d/a.toml",
                "description = \"A\"\ncommand = [\"/usr/sbin/ticker\"]\nrequires = [\"b\"]\n",
            ),
            (
                "rootfs/skeleton/usr/lib/services.d/b.toml",
                "description = \"B\"\ncommand = [\"/usr/sbin/ticker\"]\nrequires = [\"a\"]\n",
            ),
        ],
        says: &["rootfs/skeleton/usr/lib/services.d/a.toml:3:13: ", "a -> b -> a"],
    },
    Case {
        name: "a disk whose size is no whole number of MiB",
        files: &[("images/bad.toml", "outputs = [\"disk\"]\ndisk.size = \"1025KiB\"\n")],
        says: &["images/bad.toml:2:13: the size of a disk is a whole number of MiB"],
    },
    Case {
        name: "a root of half a block",
        files: &[("images/bad.toml", "outputs = [\"root\"]\nroot.size = \"16385KiB\"\n")],
        says: &["images/bad.toml:2:13: the size of a root is a multiple of 4 KiB"],
    },
    Case {
        name: "partitions that no file system fills",
        files: &[(
            "images/bad.toml",
            "outputs = [\"disk\"]\nroot.size = \"16777215TiB\"\ndisk.esp-size = \"2TiB\"\n",
        )],
        says: &[
            "images/bad.toml:2:13: a root is smaller than 16 TiB",
            "images/bad.toml:3:17: an EFI system partition is smaller than 2 TiB",
        ],
    },
    Case {
        name: "a parameter that no boot configuration has",
        files: &[("images/bad.toml", "[kernel]\ncommand-line = [\"rootwait\", \"rootwait=3\"]\n")],
        says: &[
            "images/bad.toml:2:29: no boot configuration has the parameter \"rootwait=3\": \
             `rootwait` is given both with and without a value",
            "hint: the initramfs carries its parameters as one",
        ],
    },
    Case {
        name: "an application that would wait for a root that nothing has",
        files: &[("images/bad.toml", "outputs = [\"uki\", \"root\"]\n")],
        says: &[
            "images/bad.toml:1:11: uki.efi looks for the root on the image's disk, which is not made",
            "hint: with `disk.initramfs = \"system\"` it has the system with it",
        ],
    },
    Case {
        name: "a link to a description that is none",
        files: &[
            (
                "images/bad.toml",
                "overlays = [\"over\"]\n[[symlink]]\npath = \"/etc/services.d/b.toml\"\n\
                 target = \"/usr/share/b.toml\"\n",
            ),
            ("images/over/usr/share/b.toml", "comand = 1\n"),
        ],
        says: &["unknown key \"comand\"", "hint: did you mean \"command\"?"],
    },
    Case {
        name: "a link to no description",
        files: &[(
            "images/bad.toml",
            "[[symlink]]\npath = \"/etc/services.d/getty.toml\"\ntarget = \"/dev/null\"\n",
        )],
        says: &[
            "etc/services.d/getty.toml is no file, and leads to none of the image",
            "hint: let it be a description",
        ],
    },
    Case {
        name: "a file where a directory is laid over the tree",
        files: &[("images/bad.toml", "overlays = [\"over\"]\n"), ("images/over", "a file")],
        says: &["images/bad.toml:1:13: \"over\" is no directory"],
    },
    Case {
        name: "a tree that ext4 cannot hold",
        files: &[
            ("images/bad.toml", "outputs = [\"root\"]\noverlays = [\"over\"]\n"),
            ("images/over/lost+found", "taken"),
        ],
        says: &[
            "the tree does not fit ext4:",
            "/lost+found: the file system keeps this directory for itself",
        ],
    },
    Case {
        name: "a disk for an architecture that the image is not made for",
        files: &[(
            "images/bad.toml",
            "arch = [\"x86_64\"]\noutputs = [\"disk\"]\ndisk.arch = [\"x86_64\", \"aarch64\"]\n",
        )],
        says: &["images/bad.toml:3:24: the image is not made for aarch64", "hint: "],
    },
    Case {
        name: "a file of keys that has none",
        files: &[
            (
                "images/bad.toml",
                "inherit = [\"base.toml\"]\n[[user]]\nname = \"ann\"\nuid = 1000\n\
                 ssh-keys = [\"ann.pub\"]\n[[group]]\nname = \"ann\"\ngid = 1000\n",
            ),
            ("images/ann.pub", "# ann's key comes here\n\n"),
        ],
        says: &["images/bad.toml:5:13: \"ann.pub\" has no key"],
    },
    Case {
        name: "definitions that inherit in a circle",
        files: &[
            ("images/bad.toml", "inherit = [\"other.toml\"]\n"),
            ("images/other.toml", "inherit = [\"bad.toml\"]\n"),
        ],
        says: &["images/other.toml:1:12: `inherit` goes in a circle: \
             images/bad.toml -> images/other.toml -> images/bad.toml\n  \
             hint: take one of them out"],
    },
];

#[test]
fn what_is_wrong_is_named_with_its_place_and_remedy() {
    let host = Arch::host().unwrap().as_str();
    for case in &CASES {
        let project = Project::new(case.files);
        for words in [vec!["check", "bad"], vec!["image", "bad", "--offline", "--arch", host]] {
            println!("{}: {}", case.name, words.join(" "));
            let ending = project.run(&words);
            println!("{}", ending.stderr);
            ending.is(2, case.says);
            assert!(!project.path("out/bad").join(host).join("vmlinuz").exists());
        }
    }
}

#[test]
fn a_command_line_that_no_kernel_takes_whole_is_refused() {
    let long = "x".repeat(2048);
    let definition =
        format!("outputs = [\"disk\"]\n[kernel]\ncommand-line = [\"quiet\", \"long={long}\"]\n");
    let project = Project::new(&[("images/bad.toml", &definition)]);
    project.run(&["check", "bad"]).is(
        2,
        &["images/bad.toml:3:26: x86_64: the command line has", "not at most 2047", "hint: "],
    );
}

/// A program of the host, which is linked dynamically, and the loader it asks for.
fn dynamic_program() -> (String, String) {
    let path = std::env::current_exe().unwrap();
    let facts = builder::elf::file_facts(&path).unwrap().unwrap();
    let loader = facts.interpreter.unwrap();
    (path.to_str().unwrap().to_owned(), String::from_utf8(loader).unwrap())
}

#[test]
fn a_dynamic_program_without_its_loader_or_library_is_named_with_both() {
    let (program, loader) = dynamic_program();
    let host = Arch::host().unwrap().as_str();
    let file =
        |path: &str, from: &str| format!("[[file]]\npath = \"{path}\"\n{from}\nmode = \"0755\"\n");
    let tool = file("/usr/bin/tool", &format!("source = \"{program}\""));
    let tool = format!("inherit = [\"base.toml\"]\n{tool}");
    let origin = "(from images/bad.toml:2:1)";
    let project = Project::new(&[("images/bad.toml", &tool)]);
    project.run(&["check", "bad", "--arch", host]).is(
        2,
        &[
            &format!(
                "/usr/bin/tool needs {loader}, which is not in the tree: \
                 the kernel would answer ENOENT {origin}"
            ),
            &format!("hint: link it statically, or add the package that holds {loader}"),
        ],
    );
    project.write("images/bad.toml", tool + &file(&loader, "content = \"a loader\""));
    let ending = project.run(&["check", "bad", "--arch", host]);
    ending.is(
        2,
        &[&format!("/usr/bin/tool needs the library libc.so.6, which is not in the tree {origin}")],
    );
    assert!(!ending.stderr.contains("ENOENT"), "{}", ending.stderr);
}
