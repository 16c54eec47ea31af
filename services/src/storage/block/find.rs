//! The device that a description names by what is on it.

use init_core::mount::Source;

use super::probe;
use super::sysfs::{BlockDevice, Sysfs};

/// The node that `source` names now: a path is taken as it is if it exists, everything
/// else is looked for on all devices, in the order of their names. Nothing depends on
/// `devd`, which makes links of the same facts.
#[must_use]
pub fn find(sysfs: &Sysfs, source: &Source) -> Option<String> {
    match source {
        Source::Nothing => None,
        Source::Path(path) => std::fs::metadata(&**path).is_ok().then(|| path.to_string()),
        _ => sysfs
            .devices()
            .ok()?
            .into_iter()
            .find(|device| names(sysfs, source, device))
            .map(|device| device.node),
    }
}

fn names(sysfs: &Sysfs, source: &Source, device: &BlockDevice) -> bool {
    if device.size_bytes == 0 {
        return false;
    }
    let on_it = || probe::filesystem(&device.node);
    let in_table = || probe::partition_entry(sysfs, device);
    match source {
        Source::Uuid(uuid) => on_it().is_some_and(|found| *found.uuid == **uuid),
        Source::Label(label) => on_it().is_some_and(|found| *found.label == **label),
        Source::PartitionUuid(uuid) => in_table().is_some_and(|entry| *entry.uuid == **uuid),
        Source::PartitionLabel(label) => in_table().is_some_and(|entry| *entry.label == **label),
        Source::Path(_) | Source::Nothing => false,
    }
}
