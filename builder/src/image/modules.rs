//! The kernel's modules in an image: below `/usr/lib/modules/RELEASE`, and what they come to
//! nothing without.

use std::collections::BTreeMap;

use init_core::diagnostic::Finding;
use init_core::modinfo::name_of;
use init_core::module_index::Module;

use crate::error::{Error, IoContext, Result};
use crate::kernel::fragment::Merged;
use crate::kernel::{BuiltKernel, asks_for_modules, modules};
use crate::tree::{Content, FileTree, Node, NodeKind, TreePath};

/// What the kernel calls when it lacks something: `/sbin/modprobe` (`CONFIG_MODPROBE_PATH`).
const LOADER: &str = "/usr/sbin/modprobe";

/// Where the kernel looks for firmware (Documentation/driver-api/firmware/fw_search_path.rst).
const FIRMWARE: &str = "/usr/lib/firmware";

/// How many files a warning names.
const NAMED_MAX: usize = 3;

/// Says if the kernel is to have modules and the tree nothing that loads them.
///
/// # Errors
/// None for the path that is looked for.
pub(super) fn without_loader(requested: &Merged, tree: &FileTree) -> Result<Option<Finding>> {
    let asked = requested.options.get("MODULES").filter(|_| asks_for_modules(requested));
    if tree.get(&TreePath::new(LOADER)?).is_some() {
        return Ok(None);
    }
    Ok(asked.map(|asked| {
        let message = "the kernel has modules, but nothing in the image loads them";
        Finding::new(asked.place.clone(), message).with_hint(format!(
            "add [[tool]] name = \"modtools\", path = \"/usr/sbin/modtools\", \
             links = [\"{LOADER}\"]; docs/kernel.md has the others"
        ))
    }))
}

/// Adds the modules of a kernel to the tree; a kernel without any adds nothing. Returns
/// warnings: of modules that ask for firmware which the tree has not.
///
/// # Errors
/// If a module cannot be read, or something else is in its place.
pub(super) fn add(tree: &mut FileTree, kernel: &BuiltKernel) -> Result<Vec<String>> {
    let Some(directory) = &kernel.modules else { return Ok(Vec::new()) };
    for file in modules::files(directory)? {
        let shown = file
            .to_str()
            .ok_or_else(|| Error::failure(format!("{} is no name for a module", file.display())))?;
        let path = TreePath::new(format!("/usr/lib/modules/{}/{shown}", kernel.release))?;
        let file = directory.join(&file);
        let size_bytes = std::fs::metadata(&file).at("read", &file)?.len();
        let content = Content::HostFile { path: file, size_bytes };
        tree.insert(path, Node::new(NodeKind::File(content), 0o644, "the kernel's modules"))?;
    }
    warnings(tree, &kernel.release, &modules::read(directory)?)
}

fn warnings(tree: &FileTree, release: &str, modules: &[Module]) -> Result<Vec<String>> {
    let mut missing: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for module in modules {
        for wanted in module.info.values("firmware") {
            if !has_firmware(tree, release, wanted)? {
                let name = name_of(&module.path).unwrap_or_default();
                missing.entry(name).or_default().push(wanted);
            }
        }
    }
    let warning = |(module, files): (String, Vec<&str>)| {
        let named = files.iter().take(NAMED_MAX).copied().collect::<Vec<_>>().join(", ");
        let more = match files.len().saturating_sub(NAMED_MAX) {
            0 => String::new(),
            count => format!(" and {count} more"),
        };
        format!(
            "module {module} may ask for firmware that the image has not: {named}{more}\n  \
             hint: put it below {FIRMWARE} by a [[package]] or a [[file]]"
        )
    };
    Ok(missing.into_iter().map(warning).collect())
}

/// Whether the kernel finds this firmware, or what it unpacks to it.
fn has_firmware(tree: &FileTree, release: &str, name: &str) -> Result<bool> {
    for place in
        [String::new(), format!("/{release}"), "/updates".into(), format!("/updates/{release}")]
    {
        for packed in ["", ".zst", ".xz"] {
            let path = TreePath::new(format!("{FIRMWARE}{place}/{name}{packed}"));
            // A name that is no path is one that nothing can have.
            if path.is_ok_and(|path| tree.get(&path).is_some()) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use init_core::diagnostic::Place;
    use init_core::modinfo::Modinfo;

    use super::*;
    use crate::kernel::fragment::Assignment;

    fn tree(paths: &[&str]) -> FileTree {
        let mut tree = FileTree::new();
        for path in paths {
            let nothing = NodeKind::File(Content::Bytes([].into()));
            tree.insert(TreePath::new(path).unwrap(), Node::new(nothing, 0o644, "test")).unwrap();
        }
        tree
    }

    #[test]
    fn a_kernel_with_modules_and_no_loader_is_told_of_at_its_option() {
        let mut requested = Merged::default();
        let place = Place { file: "images/x.toml".into(), line: 7, column: 5 };
        assert!(without_loader(&requested, &tree(&[])).unwrap().is_none());
        requested.add(Assignment::parse("CONFIG_MODULES=y", place).unwrap());
        let finding = without_loader(&requested, &tree(&[])).unwrap().unwrap();
        assert_eq!(finding.place.to_string(), "images/x.toml:7:5");
        assert!(without_loader(&requested, &tree(&[LOADER])).unwrap().is_none());
    }

    #[test]
    fn firmware_that_is_not_in_the_image_is_named_with_its_module() {
        let module = |path: &str, section: &str| Module {
            path: path.to_owned(),
            info: Modinfo::of_section(section.as_bytes()),
        };
        let modules = [
            module(
                "kernel/card-x.ko",
                "firmware=a/b.bin\0firmware=there.bin\0firmware=packed.bin\0",
            ),
            module(
                "kernel/many.ko",
                "firmware=1\0firmware=2\0firmware=3\0firmware=4\0firmware=5\0",
            ),
            module("kernel/own.ko", "firmware=own.bin\0alias=x\0"),
            module("kernel/odd.ko", "firmware=../../../etc/passwd\0"),
        ];
        let tree = tree(&[
            "/usr/lib/firmware/there.bin",
            "/usr/lib/firmware/packed.bin.zst",
            "/usr/lib/firmware/6.6.1/own.bin",
            "/etc/passwd",
        ]);
        let warnings = warnings(&tree, "6.6.1", &modules).unwrap();
        let firsts: Vec<&str> = warnings.iter().filter_map(|text| text.lines().next()).collect();
        assert_eq!(
            firsts,
            [
                "module card_x may ask for firmware that the image has not: a/b.bin",
                "module many may ask for firmware that the image has not: 1, 2, 3 and 2 more",
                "module odd may ask for firmware that the image has not: ../../../etc/passwd",
            ]
        );
    }
}
