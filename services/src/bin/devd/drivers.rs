//! Drivers that are modules: a device asks for one by its `MODALIAS`, and `devd` has the
//! kernel load it. Where the kernel has no modules, nothing of this is there.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use services::modules::catalog::{self, Catalog, Found, Step};
use services::modules::config::Config;
use services::modules::directory;
use services::problem::{Problem, Result, warn};

use crate::PROGRAM;
use crate::uevent::Uevent;

/// What the kernel lists loaded modules in, if it has modules.
const LOADED: &str = "/proc/modules";

/// The modules of the running kernel, and what became of them.
#[derive(Debug)]
pub(crate) struct Drivers {
    catalog: Catalog,
    /// Aliases whose module cannot be loaded, and that were told of.
    failed: BTreeSet<String>,
}

impl Drivers {
    /// The drivers of the running kernel. `None` if it has no modules, or none that
    /// can be found, which is told then.
    pub(crate) fn of_system() -> Option<Self> {
        if !Path::new(LOADED).exists() {
            return None;
        }
        let config = match Config::of_system() {
            Ok((config, findings)) => {
                for finding in findings {
                    warn(PROGRAM, finding);
                }
                config
            }
            Err(error) => {
                // Without them a module that is to stay out would come in.
                warn(PROGRAM, format_args!("no module is loaded: modprobe.d: {error}"));
                return None;
            }
        };
        match Catalog::open(&directory(), config) {
            Ok(catalog) => Some(Self { catalog: catalog?, failed: BTreeSet::new() }),
            Err(problem) => {
                warn(PROGRAM, format_args!("no module is loaded: {problem}"));
                None
            }
        }
    }

    /// Loads what the devices below the sysfs at `root` ask for.
    pub(crate) fn look_at_everything(&mut self, root: &Path) {
        for alias in aliases(root) {
            self.load(&alias);
        }
    }

    /// Loads what the device of an event asks for, if it is a new one.
    pub(crate) fn take(&mut self, event: &Uevent) {
        if event.action == "add"
            && let Some(alias) = event.properties.get("MODALIAS")
        {
            self.load(alias);
        }
    }

    fn load(&mut self, alias: &str) {
        for problem in self.load_by(alias, catalog::load) {
            warn(PROGRAM, format_args!("{alias}: {problem}"));
        }
    }

    /// Has `load` load what an alias stands for, and returns what is to be told of it:
    /// a failure, the first time. An alias of nothing is the usual case.
    fn load_by(
        &mut self,
        alias: &str,
        load: impl Fn(&[Step], &str, &[String]) -> Result<()>,
    ) -> Vec<Problem> {
        let Found::Modules(names) = self.catalog.find_driver(alias) else { return Vec::new() };
        let mut problems = Vec::new();
        for name in names {
            problems.extend(load(&self.catalog.plan(&name), &name, &[]).err());
        }
        if problems.is_empty() {
            self.failed.remove(alias);
        } else if !self.failed.insert(alias.to_owned()) {
            problems.clear();
        }
        problems
    }
}

/// Every `MODALIAS` of the devices below the sysfs at `root`, on a bus or in a class.
fn aliases(root: &Path) -> BTreeSet<String> {
    let buses = entries(&root.join("bus")).into_iter().map(|bus| bus.join("devices"));
    let groups = buses.chain(entries(&root.join("class")));
    let devices = groups.flat_map(|group| entries(&group));
    let mut aliases = BTreeSet::new();
    for device in devices {
        let text = fs::read_to_string(device.join("uevent")).unwrap_or_default();
        let alias = text.lines().find_map(|line| line.strip_prefix("MODALIAS="));
        aliases.extend(alias.map(str::to_owned));
    }
    aliases
}

/// What is in a directory; nothing, if it is gone.
fn entries(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drivers(directory: &Path) -> Drivers {
        fs::write(directory.join("modules.dep"), "a.ko: base.ko\nbase.ko:\nout.ko:\n").unwrap();
        fs::write(directory.join("modules.alias"), "alias pci:* a\nalias usb:* out\n").unwrap();
        let mut config = Config::default();
        config.take("test", "blacklist out\n", &mut Vec::new());
        let catalog = Catalog::open(directory, config).unwrap().unwrap();
        Drivers { catalog, failed: BTreeSet::new() }
    }

    #[test]
    fn a_failure_is_told_once_until_it_works() {
        let directory = tempfile::tempdir().unwrap();
        let mut drivers = drivers(directory.path());
        let fails = |_: &[Step], _: &str, _: &[String]| Err(Problem::new("no"));
        let works = |steps: &[Step], name: &str, _: &[String]| {
            assert_eq!((steps.len(), name), (2, "a"));
            Ok(())
        };
        for (number, expected) in [1, 0, 0].into_iter().enumerate() {
            assert_eq!(drivers.load_by("pci:1", fails).len(), expected, "{number}");
        }
        assert_eq!(drivers.load_by("pci:2", fails).len(), 1);
        assert!(drivers.load_by("pci:1", works).is_empty());
        assert_eq!(drivers.load_by("pci:1", fails).len(), 1);
        assert!(drivers.load_by("usb:1", fails).is_empty(), "it is blacklisted");
        assert!(drivers.load_by("acpi:1", fails).is_empty(), "nobody drives it");
    }

    #[test]
    fn devices_on_a_bus_and_in_a_class_ask() {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in [
            ("bus/virtio/devices/virtio0", "DRIVER=x\nMODALIAS=virtio:d1\n"),
            ("bus/virtio/devices/virtio1", "MODALIAS=virtio:d1\n"),
            ("bus/virtio/drivers/x", "MODALIAS=no-device\n"),
            ("class/input/input0", "PRODUCT=1\nMODALIAS=input:b0\n"),
            ("class/tty/tty0", "MAJOR=4\n"),
        ] {
            let directory = root.path().join(path);
            fs::create_dir_all(&directory).unwrap();
            fs::write(directory.join("uevent"), text).unwrap();
        }
        let found: Vec<String> = aliases(root.path()).into_iter().collect();
        assert_eq!(found, ["input:b0", "virtio:d1"]);
    }
}
