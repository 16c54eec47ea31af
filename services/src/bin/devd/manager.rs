//! What follows from a uevent: permissions, links, and word to those who listen.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::Path;

use services::people::accounts;
use services::problem::warn;
use services::storage::block::probe;
use services::storage::block::sysfs::Sysfs;

use crate::PROGRAM;
use crate::links::{self, Facts};
use crate::node::DeviceDirectory;
use crate::registry::Registry;
use crate::rules::{self, Rule};
use crate::uevent::Uevent;

/// The devices, and what was done about them.
#[derive(Debug)]
pub(crate) struct Manager {
    sysfs: Sysfs,
    dev: DeviceDirectory,
    rules: Vec<Rule>,
    uids: HashMap<String, u32>,
    gids: HashMap<String, u32>,
    registry: Registry,
}

impl Manager {
    /// A manager that knows no device yet. Accounts that the rules name and the system does
    /// not have are left out: an image need not have every group.
    pub(crate) fn new(sysfs: Sysfs, dev: &Path, rules: Vec<Rule>) -> Self {
        let (users, groups) = rules::accounts(&rules);
        let mut uids = HashMap::new();
        for user in accounts::users().unwrap_or_default() {
            if users.contains(&user.name.as_str()) {
                uids.insert(user.name, user.uid);
            }
        }
        let mut gids = HashMap::new();
        for group in accounts::groups().unwrap_or_default() {
            if groups.contains(&group.name.as_str()) {
                gids.insert(group.name, group.gid);
            }
        }
        let registry = Registry::default();
        Self { sysfs, dev: DeviceDirectory::at(dev), rules, uids, gids, registry }
    }

    /// Does what an event asks for.
    pub(crate) fn handle(&mut self, event: &Uevent) {
        let actions = match event.action.as_str() {
            "remove" => self.registry.remove(&event.devpath),
            "bind" | "unbind" => return,
            _ => {
                let mut actions = match event.properties.get("DEVPATH_OLD") {
                    Some(old) => self.registry.remove(old),
                    None => Vec::new(),
                };
                actions.extend(self.take_in(event));
                actions
            }
        };
        for action in &actions {
            if let Err(error) = self.dev.perform(action) {
                warn(PROGRAM, format_args!("{}: {action:?}: {error}", event.devpath));
            }
        }
    }

    /// Permissions of a device that is there, and the links that it deserves.
    fn take_in(&mut self, event: &Uevent) -> Vec<crate::registry::Action> {
        let Some(node) = event.node() else { return Vec::new() };
        let attribute = |file: &str| self.sysfs.attribute(&event.devpath, file);
        let verdict = rules::judge(&self.rules, &event.subsystem, node, attribute);
        let uid = verdict.user.as_ref().and_then(|name| self.uids.get(name)).copied();
        let gid = verdict.group.as_ref().and_then(|name| self.gids.get(name)).copied();
        if let Err(error) = self.dev.permit(node, uid, gid, verdict.mode) {
            warn(PROGRAM, format_args!("cannot set who may use `/dev/{node}`: {error}"));
        }
        let mut links: BTreeSet<String> = verdict.links.into_iter().collect();
        if event.subsystem == "block" {
            links.extend(self.block_facts(event.name()).iter().flat_map(links::of));
        }
        self.registry.set(&event.devpath, node, links)
    }

    /// What is known of the block device `name`; `None` if it is empty or gone.
    fn block_facts(&self, name: &str) -> Option<Facts> {
        let device = self.sysfs.device(name).filter(|device| device.size_bytes > 0)?;
        let disk = match &device.partition {
            Some((disk, _)) => self.sysfs.device(disk)?,
            None => device.clone(),
        };
        let attribute = |file: &str| self.sysfs.attribute(&disk.devpath, file);
        let filesystem = probe::filesystem(&device.node);
        let entry = probe::partition_entry(&self.sysfs, &device);
        Some(Facts {
            name: disk.name.clone(),
            devpath: disk.devpath.clone(),
            partition: device.partition.as_ref().map(|(_, number)| *number),
            filesystem: filesystem.map(|found| (found.uuid, found.label)),
            entry: entry.map(|entry| (entry.uuid, entry.label)),
            vendor: attribute("device/vendor"),
            model: disk.model.clone(),
            serial: disk.serial.clone().or_else(|| self.scsi_serial(&disk.devpath)),
            wwid: attribute("wwid").or_else(|| attribute("device/wwid")),
        })
    }

    /// The serial number of a SCSI disk: page 0x80 of its vital product data, which has
    /// four bytes before the text (SPC-4, section 7.8.15).
    fn scsi_serial(&self, devpath: &str) -> Option<String> {
        let path = self.sysfs.root().join(devpath.trim_start_matches('/'));
        let page = fs::read(path.join("device/vpd_pg80")).ok()?;
        let text = String::from_utf8_lossy(page.get(4..)?).trim().to_owned();
        (!text.is_empty()).then_some(text)
    }

    /// Events for every device that is there, as if each had just come.
    pub(crate) fn present(&self) -> Vec<Uevent> {
        let mut events = Vec::new();
        for kind in ["block", "char"] {
            let directory = self.sysfs.root().join("dev").join(kind);
            let entries = fs::read_dir(directory).into_iter().flatten().flatten();
            events.extend(entries.filter_map(|entry| self.present_at(&entry.path())));
        }
        // Of two that claim a link, the same one has it after each start.
        events.sort_by(|left, right| left.devpath.cmp(&right.devpath));
        events
    }

    /// The event for the block device `name`, and for its partitions if it is a disk.
    pub(crate) fn family(&self, name: &str) -> Vec<Uevent> {
        let devices = self.sysfs.devices().unwrap_or_default().into_iter();
        let is_of_it = |device: &services::storage::block::sysfs::BlockDevice| {
            device.name == name || device.partition.as_ref().is_some_and(|(disk, _)| disk == name)
        };
        let directory = |name: &str| self.sysfs.root().join("class/block").join(name);
        let members = devices.filter(is_of_it);
        members.filter_map(|device| self.present_at(&directory(&device.name))).collect()
    }

    fn present_at(&self, path: &Path) -> Option<Uevent> {
        let directory = fs::canonicalize(path).ok()?;
        let root = fs::canonicalize(self.sysfs.root()).ok()?;
        let devpath = format!("/{}", directory.strip_prefix(root).ok()?.to_str()?);
        let subsystem = fs::read_link(directory.join("subsystem")).ok();
        let subsystem = subsystem.as_deref().and_then(Path::file_name).unwrap_or_default();
        let file = fs::read_to_string(directory.join("uevent")).ok()?;
        Some(Uevent::present(&devpath, &subsystem.to_string_lossy(), &file))
    }

    /// Forgets devices that are not there any more and removes links that are nobody's:
    /// what a `devd` before this one, or events that were lost, left behind.
    pub(crate) fn sweep(&mut self, present: &[Uevent]) {
        for devpath in self.registry.devices() {
            if !present.iter().any(|event| event.devpath == devpath) {
                for action in self.registry.remove(&devpath) {
                    let _ = self.dev.perform(&action);
                }
            }
        }
        let rightful: BTreeSet<&str> = self.registry.links().collect();
        for link in self.dev.disk_links() {
            if !rightful.contains(link.as_str()) {
                let _ = self.dev.perform(&crate::registry::Action::Unlink { link });
            }
        }
    }

    /// The links that the device at `devpath` claims, relative to `/dev`.
    pub(crate) fn links_of(&self, devpath: &str) -> Vec<&str> {
        self.registry.links_of(devpath).collect()
    }

    /// Where devices are looked up.
    pub(crate) const fn sysfs(&self) -> &Sysfs {
        &self.sysfs
    }

    /// The path of a node.
    pub(crate) fn node_path(&self, node: &str) -> std::path::PathBuf {
        self.dev.path(node)
    }
}
