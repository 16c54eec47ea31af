//! What an image's outputs need of the kernel, to be found wrong before anything is compiled.
//!
//! Pure. Needs are no requests: they change no configuration, they are compared with it.

use std::collections::BTreeMap;

use init_core::diagnostic::Place;

use crate::arch::Arch;
use crate::definition::Image;
use crate::definition::resolved::{Compression, DiskInitramfs, Package};
use crate::elf::machine::Machine;
use crate::kernel::fragment::Assignment;

/// The options that the kernel for `arch` must have built in, each with the
/// place in the definition that asks for it.
pub(super) fn of_image(image: &Image, arch: Arch) -> Vec<Assignment> {
    let mut needs = Needs::default();
    let outputs = &image.outputs;
    if outputs.has_boot_file() {
        needs.add(&outputs.place, &["EFI_STUB"]);
    }
    let boot_file_has_initramfs = image.disk.initramfs != DiskInitramfs::None || outputs.iso;
    if outputs.initramfs || outputs.has_boot_file() && boot_file_has_initramfs {
        let decompressor: &[&str] = match image.initramfs.compression {
            Compression::Zstd => &["RD_ZSTD"],
            Compression::Gzip => &["RD_GZIP"],
            Compression::None => &[],
        };
        needs.add(&outputs.place, &["BLK_DEV_INITRD"]);
        needs.add(&outputs.place, decompressor);
    }
    if image.disk_has_root() {
        needs.add(&outputs.place, &["BLOCK", "EFI_PARTITION", "EXT4_FS"]);
        for bus in image.disk.buses.iter().filter(|bus| bus.value.is_of(arch)) {
            needs.add(&bus.place, bus.value.kernel_options());
        }
    }
    let is_32_bit = |one: &&Package| one.machine(arch) == Some(Machine::I386);
    if let Some(package) = image.packages.iter().find(is_32_bit) {
        needs.add(&package.place, &["IA32_EMULATION"]);
    }
    for mount in &image.mounts {
        needs.add(&mount.place, mount.value.kernel_option().as_slice());
    }
    needs.0.into_values().collect()
}

/// Options by name; who asks first is named.
#[derive(Default)]
struct Needs(BTreeMap<&'static str, Assignment>);

impl Needs {
    fn add(&mut self, place: &Place, names: &[&'static str]) {
        for name in names {
            self.0.entry(*name).or_insert_with(|| Assignment {
                name: (*name).to_owned(),
                value: "y".to_owned(),
                place: place.clone(),
            });
        }
    }
}
