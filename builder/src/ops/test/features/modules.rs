//! Features of kernel modules and firmware, shown by the image `modules`, whose kernel
//! leaves some drivers to modules. The ladder climbs them with `--long` alone: that
//! kernel is one more to compile.

use std::time::Duration;

use serde_json::json;

use super::devices::expect;
use super::{Feature, image};
use crate::arch::Arch;
use crate::error::Result;
use crate::ops::guest::Guest;
use crate::ops::test::guest_checks::Verdict;

const MODULES: &str = "modules";
const LOADING: &str = "kernel.md#loading";
const FIRMWARE: &str = "kernel.md#firmware";
const MODPROBE_D: &str = "kernel.md#modprobed";

pub(super) const FEATURES: &[Feature] = &[
    image("A device found at boot gets its module by its alias", LOADING, MODULES, found_at_boot)
        .of_long_ladder(),
    image("A device plugged in later gets its module", LOADING, MODULES, plugged_in)
        .of_long_ladder(),
    image("The kernel's own request runs modprobe", LOADING, MODULES, kernel_asks).of_long_ladder(),
    image("What a module needs is loaded before it", LOADING, MODULES, needed_first)
        .of_long_ladder(),
    image("modprobe -r unloads a module and what it needed", LOADING, MODULES, unload)
        .of_long_ladder(),
    image("A blacklisted module stays out until it is asked for", MODPROBE_D, MODULES, blacklist)
        .of_long_ladder(),
    image("A module gets the parameters of modprobe.d", MODPROBE_D, MODULES, parameters)
        .of_long_ladder(),
    image("A mistake in modprobe.d is told with its place", MODPROBE_D, MODULES, mistake)
        .of_long_ladder(),
    image("modinfo says what a module is for", LOADING, MODULES, describe).of_long_ladder(),
    image("Firmware is found in /lib/firmware", FIRMWARE, MODULES, firmware).of_long_ladder(),
    image("Firmware that is not there is a failure in the log", FIRMWARE, MODULES, no_firmware)
        .of_long_ladder(),
];

fn found_at_boot(guest: &mut Guest, _: Arch) -> Result<Verdict> {
    let text = guest.read(
        "lsmod; cat /sys/class/misc/hw_random/rng_current; \
         head -c 16 /dev/hwrng | wc -c; svcctl logs devd 2>&1; true",
    )?;
    // No driver of another device is loaded, and no failure told.
    if text.contains("sr_mod") || text.contains("warning") {
        return Ok(Err(text));
    }
    Ok(expect(&text, &["virtio_rng", "virtio_rng.0\n", "16\n"]))
}

fn plugged_in(guest: &mut Guest, _: Arch) -> Result<Verdict> {
    let before = guest.read("lsmod; ls /dev")?;
    let drive = json!({ "driver": "scsi-cd", "id": "late", "bus": "scsi.0" });
    guest.control("device_add", &drive)?;
    let text = guest.read(
        "for i in 1 2 3 4 5 6 7 8 9 10; do test -b /dev/sr0 && break; sleep 1; done; \
         lsmod; ls -l /dev/sr0; cat /sys/class/block/sr0/device/modalias",
    )?;
    guest.control("device_del", &json!({ "id": "late" }))?;
    std::thread::sleep(Duration::from_secs(1));
    if before.contains("sr_mod") || before.contains("sr0") {
        return Ok(Err(format!("it was there before: {before}")));
    }
    // The last one to be loaded is listed first.
    let at = |name: &str| text.lines().position(|line| line.starts_with(name));
    match (at("sr_mod"), at("cdrom")) {
        (Some(drive), Some(common)) if drive < common => {
            Ok(expect(&text, &["/dev/sr0", "scsi:t-0x05"]))
        }
        _ => Ok(Err(text)),
    }
}

/// The EFI system partition is not mounted by anybody.
const MOUNT: &str = "mount /dev/disk/by-partlabel/esp /mnt";

fn kernel_asks(guest: &mut Guest, _: Arch) -> Result<Verdict> {
    let text = guest.read(&format!(
        "cat /proc/sys/kernel/modprobe; lsmod | grep -c fat; \
         {MOUNT} && ls /mnt && grep ' /mnt ' /proc/mounts; umount /mnt; lsmod"
    ))?;
    Ok(expect(&text, &["/sbin/modprobe\n0\n", "EFI\n", "vfat rw", "\nvfat ", "\nfat "]))
}

fn needed_first(guest: &mut Guest, _: Arch) -> Result<Verdict> {
    let text = guest.read(
        "modprobe -D fs-vfat; modprobe -r vfat; insmod /lib/modules/$(uname -r)/$(grep /vfat.ko: \
         /lib/modules/$(uname -r)/modules.dep | cut -d: -f1) 2>&1; \
         modprobe -v vfat; lsmod | grep '^fat'",
    )?;
    let steps: Vec<&str> = text.lines().filter(|line| line.starts_with("insmod /")).collect();
    let is_in_order = |pair: &[&str]| pair[0].ends_with("/fat.ko") && pair[1].ends_with("/vfat.ko");
    if steps.len() != 4 || !steps.chunks(2).all(is_in_order) {
        return Ok(Err(text));
    }
    Ok(expect(&text, &["cannot load", "1 vfat"]))
}

fn unload(guest: &mut Guest, _: Arch) -> Result<Verdict> {
    let text = guest.read(&format!(
        "{MOUNT}; modprobe -r vfat 2>&1; echo in use $?; umount /mnt; \
         modprobe -rv vfat; echo then $?; lsmod; modprobe -r vfat 2>&1; echo again $?; \
         modprobe vfat; modprobe -r nothing vfat 2>&1; echo several $?; lsmod"
    ))?;
    let Some((_, behind)) = text.split_once("then 0\n") else { return Ok(Err(text)) };
    if behind.contains("fat  ") {
        return Ok(Err(text));
    }
    Ok(expect(
        &text,
        &["cannot unload `vfat`", "in use 1", "rmmod fat", "again 0", "`nothing`", "several 1"],
    ))
}

fn blacklist(guest: &mut Guest, _: Arch) -> Result<Verdict> {
    let alias = guest.read("modinfo -F alias virtio_rng")?;
    let alias = alias.trim().replace('*', "00001AF4");
    let text = guest.read(&format!(
        "is() {{ echo \"$1: $(lsmod | grep -c virtio_rng)\"; }}; \
         modprobe -r virtio_rng; mkdir -p /run/modprobe.d; \
         echo 'blacklist virtio-rng' > /run/modprobe.d/test.conf; \
         svcctl restart devd > /dev/null; is devd; modprobe '{alias}' 2>&1; is alias; \
         modprobe virtio_rng; is name; modprobe -r virtio_rng; rm /run/modprobe.d/test.conf; \
         svcctl restart devd > /dev/null; is allowed"
    ))?;
    Ok(expect(&text, &["devd: 0\n", "is blacklisted", "alias: 0\n", "name: 1\n", "allowed: 1\n"]))
}

fn parameters(guest: &mut Guest, _: Arch) -> Result<Verdict> {
    let text = guest.read(
        "mkdir -p /run/modprobe.d; echo 'options dummy numdummies=3' > /run/modprobe.d/test.conf; modprobe dummy; \
         ls /sys/class/net; modprobe -r dummy; rm /run/modprobe.d/test.conf; \
         modprobe dummy numdummies=1; echo then; ls /sys/class/net; modprobe -r dummy",
    )?;
    let Some((first, second)) = text.split_once("then\n") else { return Ok(Err(text)) };
    if second.contains("dummy1") || !second.contains("dummy0") {
        return Ok(Err(text));
    }
    Ok(expect(first, &["dummy0\n", "dummy1\n", "dummy2\n"]))
}

fn mistake(guest: &mut Guest, _: Arch) -> Result<Verdict> {
    let text = guest.read(
        "mkdir -p /run/modprobe.d; echo 'blacklst dummy' > /run/modprobe.d/test.conf; modprobe dummy 2>&1; echo $?; \
         modtools check; echo $?; rm /run/modprobe.d/test.conf; modtools check && echo right",
    )?;
    let place = "/run/modprobe.d/test.conf:1:1: there is no `blacklst`";
    if text.matches(place).count() != 2 {
        return Ok(Err(text));
    }
    Ok(expect(&text, &["did you mean `blacklist`?", "1\n", "right\n"]))
}

fn describe(guest: &mut Guest, _: Arch) -> Result<Verdict> {
    let text = guest.read(
        "modinfo vfat; modinfo -F depends vfat; modinfo ext4 | head -1; \
         modinfo nothing 2>&1; echo $?; modprobe nothing 2>&1; echo $?; modprobe ext4 && echo fine",
    )?;
    let expected = [
        "/vfat.ko\n",
        "alias:          fs-vfat\n",
        "license:        GPL\n",
        "\nfat\n",
        "(built in)",
        "there is no module `nothing`",
        "4\n",
        "fine\n",
    ];
    Ok(expect(&text, &expected))
}

/// How a program asks the kernel's test driver to ask for firmware: by one write, which the
/// shell's own printf does not promise.
const ASK: &str = "/sys/devices/virtual/misc/test_firmware/trigger_request";

fn firmware(guest: &mut Guest, _: Arch) -> Result<Verdict> {
    let text = guest.read(&format!(
        "modprobe test_firmware; printf keelson-test.bin | tee {ASK} > /dev/null && cat /dev/test_firmware"
    ))?;
    Ok(expect(&text, &["what a device runs\n"]))
}

fn no_firmware(guest: &mut Guest, _: Arch) -> Result<Verdict> {
    let text = guest.read(&format!(
        "modprobe test_firmware; printf gone.bin | tee {ASK} > /dev/null; echo status $?; \
         sleep 1; svcctl logs kernel | grep gone.bin; modprobe -r test_firmware"
    ))?;
    if text.contains("status 0") {
        return Ok(Err(text));
    }
    Ok(expect(&text, &["Direct firmware load for gone.bin failed with error -2"]))
}
