//! Features of devices, mounts, the data partition and the screen.

use serde_json::Value;

use super::climb::{LAST_DATA_FILE, LAST_WORDS, LAST_WORDS_FILE};
use super::credentials::{runs_as, status_of};
use super::{Disk, Feature, command, new_root, powered_off, second_boot, steps};
use crate::arch::Arch;
use crate::error::Result;
use crate::ops::guest::{Guest, Output};
use crate::ops::test::guest_checks::Verdict;
use crate::ops::test::judge;
use crate::ops::test::ladder::Report;

pub(super) const FEATURES: &[Feature] = &[
    command(
        "Devices have the group and mode that the rules say",
        "devices-and-mounts.md#device-rules",
        "stat -c '%n %a %G' /dev/null /dev/vda /dev/vda2 /dev/tty1 /dev/tty /dev/kmsg",
        modes,
    ),
    command(
        "The device manager stays root and gives up all but what nodes need of it",
        "devices-and-mounts.md#device-rules",
        status_of!("devd"),
        // CAP_CHOWN, CAP_DAC_READ_SEARCH, CAP_FOWNER; this kernel has no modules to load.
        |_, output| runs_as(0, "000000000000000d", output),
    ),
    steps(
        "A disk has links by what is on it and where it is plugged in",
        "devices-and-mounts.md#names-of-disks",
        |guest, _| links(guest),
    ),
    steps(
        "A label that is written is a link at once, and gone when it is overwritten",
        "devices-and-mounts.md#names-of-disks",
        |guest, _| label_comes_and_goes(guest),
    ),
    command(
        "The first boot makes a data partition and mounts it",
        "devices-and-mounts.md#the-data-partition",
        "lsblk --json && cat /proc/mounts | grep ' /data '",
        data_partition,
    ),
    steps(
        "A file system on a device is mounted by description and unmounted on stop",
        "devices-and-mounts.md#mounts",
        |guest, _| stop_and_start_data(guest),
    ),
    command(
        "A tmpfs and a bind mount come with their options, in order",
        "devices-and-mounts.md#mounts",
        "grep -E ' /(scratch|shown) ' /proc/mounts; svcctl --json status mount-shown",
        described_mounts,
    ),
    steps(
        "mkfs.fat and mkfs.ext4 make file systems that mount takes",
        "devices-and-mounts.md#tools",
        |guest, _| make_and_mount(guest),
    ),
    steps(
        "An ext4 in which the kernel has found errors is checked before it is mounted",
        "devices-and-mounts.md#mounts",
        |guest, _| checked(guest),
    ),
    steps(
        "A FAT that is damaged is mounted read-only",
        "devices-and-mounts.md#mounts",
        |guest, _| damaged_fat(guest),
    ),
    command(
        "The screen shows a prompt beside the serial line",
        "devices-and-mounts.md#the-screen",
        "svcctl restart getty-tty1 > /dev/null; \
         for i in 1 2 3 4 5 6 7 8 9 10; do grep -q '# ' /dev/vcs1 && break; sleep 1; done; \
         cat /dev/vcs1; svcctl --json status getty getty-tty1",
        screen,
    ),
    powered_off(
        "The data partition is clean after poweroff",
        "devices-and-mounts.md#the-data-partition",
        data_is_clean,
    ),
    second_boot(
        "What was written to the data partition is there at the next boot",
        "devices-and-mounts.md#the-data-partition",
        |guest, _| data_stayed(guest),
    ),
    new_root(
        "The data partition survives a new root",
        "devices-and-mounts.md#the-data-partition",
        |guest, _| data_survived(guest),
    ),
];

/// What is written to the data partition.
const WORDS: &str = "to outlive the root";

/// Whether all of these are in a text.
pub(super) fn expect(found: &str, expected: &[&str]) -> Verdict {
    let missing: Vec<&&str> = expected.iter().filter(|text| !found.contains(**text)).collect();
    if missing.is_empty() { Ok(String::new()) } else { Err(format!("no {missing:?} in {found}")) }
}

fn modes(_: Arch, output: &Output) -> Verdict {
    let text = output.success()?;
    expect(
        &text,
        &[
            "/dev/null 666 root\n",
            "/dev/vda 660 disk\n",
            "/dev/vda2 660 disk\n",
            "/dev/tty1 620 tty\n",
            "/dev/tty 666 tty\n",
            "/dev/kmsg 644 root\n",
        ],
    )
}

fn links(guest: &mut Guest) -> Result<Verdict> {
    let text = guest.read(
        "for link in /dev/disk/by-*/*; do echo \"$link $(readlink -f \"$link\")\"; done; \
         grep -o 'root=PARTUUID=[0-9a-f-]*' /proc/cmdline",
    )?;
    // The kernel's own default comes first; what the boot loader says counts.
    let root = text.lines().rev().find_map(|line| line.strip_prefix("root=PARTUUID="));
    let Some(root) = root else { return Ok(Err("no root=PARTUUID=".to_owned())) };
    let by_partuuid = format!("/dev/disk/by-partuuid/{root} /dev/vda2\n");
    let expected = [
        by_partuuid.as_str(),
        "/dev/disk/by-partlabel/esp /dev/vda1\n",
        "/dev/disk/by-partlabel/root /dev/vda2\n",
        "/dev/disk/by-label/root /dev/vda2\n",
        "-part2 /dev/vda2\n",
        "/dev/disk/by-uuid/",
    ];
    Ok(expect(&text, &expected))
}

/// A partition cannot be spared for it, but the label of the EFI system partition, which is
/// not mounted, can.
fn label_comes_and_goes(guest: &mut Guest) -> Result<Verdict> {
    let text = guest.read(
        "look() { sleep 1; ls /dev/disk/by-label; }; cp /dev/vda1 /tmp/esp || exit 1; \
         mkfs.fat -I -n COMES /dev/vda1 && look; echo then; \
         dd if=/tmp/esp of=/dev/vda1 bs=1M 2> /dev/null; sync; rm /tmp/esp; look",
    )?;
    let Some((first, second)) = text.split_once("then\n") else { return Ok(Err(text)) };
    if first.contains("COMES") && !second.contains("COMES") {
        Ok(Ok(String::new()))
    } else {
        Ok(Err(format!("first {first:?}, then {second:?}")))
    }
}

fn data_partition(_: Arch, output: &Output) -> Verdict {
    let text = output.success()?;
    let (listed, mounts) =
        text.rsplit_once("}\n").ok_or_else(|| format!("no list of devices: {text}"))?;
    let listed: Value = serde_json::from_str(&format!("{listed}}}")).map_err(|e| e.to_string())?;
    let devices = listed["blockdevices"].as_array().ok_or("no devices")?;
    let data = devices.iter().find(|device| device["partlabel"] == "data").ok_or("no data")?;
    let is_right = data["label"] == "data"
        && data["filesystem"] == "ext4"
        && data["mounted_at"][0] == "/data"
        && data["disk"] == "vda";
    if !is_right {
        return Err(data.to_string());
    }
    expect(mounts, &["nosuid", "nodev", "ext4"])?;
    Ok(format!("{} MiB", data["size_bytes"].as_u64().unwrap_or(0) >> 20))
}

fn stop_and_start_data(guest: &mut Guest) -> Result<Verdict> {
    let text = guest.read(&format!(
        "echo '{WORDS}' > /data/words && svcctl stop mount-data && \
         {{ grep -c ' /data ' /proc/mounts; ls /data; svcctl start mount-data && cat /data/words; }}"
    ))?;
    let is_gone = text.contains("stopped\n0\n");
    let is_back = text.ends_with(&format!("{WORDS}\n"));
    Ok(if is_gone && is_back { Ok(String::new()) } else { Err(text) })
}

fn described_mounts(_: Arch, output: &Output) -> Verdict {
    let text = output.success()?;
    expect(
        &text,
        &[
            "tmpfs /scratch tmpfs rw,nosuid,nodev",
            "size=1024k",
            " /shown tmpfs ro",
            "mount-scratch",
        ],
    )
}

fn make_and_mount(guest: &mut Guest) -> Result<Verdict> {
    let text = guest.read(
        "cp /dev/vda1 /tmp/esp || exit 1; for kind in fat ext4; do \
         case $kind in fat) mkfs.fat -I -n MADE /dev/vda1;; ext4) mkfs.ext4 -F -L MADE /dev/vda1;; esac; \
         sleep 1; mount LABEL=MADE /mnt && echo $kind > /mnt/f && umount /mnt && \
         mount /dev/vda1 /mnt && cat /mnt/f && umount /mnt; done; \
         mkfs.ext4 -F /dev/vda2; echo root $?; mkfs.ext4 -F /dev/vda; echo disk $?; \
         mount -o remount,size=64M /dev/shm; grep ' /dev/shm ' /proc/mounts; \
         dd if=/tmp/esp of=/dev/vda1 bs=1M 2> /dev/null; rm /tmp/esp; sync",
    )?;
    Ok(expect(&text, &["fat\next4\n", "root 1", "disk 1", "nosuid,nodev", "size=65536k"]))
}

/// Borrows the EFI system partition for a file system of another kind: `look` mounts it as a
/// description says, and prints the mount and what was said.
const BORROWED: &str = "cp /dev/vda1 /tmp/esp || exit 1; \
    describe() { printf 'what = \"/dev/vda1\"\\nwhere = \"/mnt\"\\ntype = \"%s\"\\n' $1 > /tmp/looked.toml; }; \
    look() { for i in 1 2 3 4 5 6 7; do grep ' /mnt ' /proc/mounts && break; sleep 0.5; done & \
    timeout 4 mounter /tmp/looked.toml 2>&1; wait; }; \
    give_back() { dd if=/tmp/esp of=/dev/vda1 bs=1M 2> /dev/null; rm /tmp/esp /tmp/looked.toml; sync; }; ";

/// The kernel lets itself be told of an error (Documentation/ABI/testing/sysfs-fs-ext4).
fn checked(guest: &mut Guest) -> Result<Verdict> {
    let text = guest.read(&format!(
        "{BORROWED} mkfs.ext4 -F /dev/vda1 && mount /dev/vda1 /mnt && \
         echo 1 > /sys/fs/ext4/vda1/trigger_fs_error; umount /mnt; describe ext4; look; give_back"
    ))?;
    let is_checked = text.contains("check forced") && text.contains(" /mnt ext4 rw");
    Ok(if is_checked { Ok(String::new()) } else { Err(text) })
}

/// Entry 2 of the second table is the root directory's, and differs from the first's then.
fn damaged_fat(guest: &mut Guest) -> Result<Verdict> {
    let text = guest.read(&format!(
        "{BORROWED} mkfs.fat -I -F 16 /dev/vda1; describe vfat; look; \
         table=$(od -An -tu2 -j22 -N2 /dev/vda1); reserved=$(od -An -tu2 -j14 -N2 /dev/vda1); \
         printf 'keelson' | dd of=/dev/vda1 bs=1 seek=$(((reserved + table) * 512 + 4)) conv=notrunc \
         2> /dev/null; echo then; look; give_back"
    ))?;
    let Some((first, second)) = text.split_once("then\n") else { return Ok(Err(text)) };
    let is_right = first.contains(" /mnt vfat rw") && second.contains(" /mnt vfat ro");
    let is_said = second.contains("it is mounted read-only");
    Ok(if is_right && is_said { Ok(String::new()) } else { Err(text) })
}

fn screen(_: Arch, output: &Output) -> Verdict {
    let text = output.success()?;
    let shown = text.contains("Keelson on") && text.contains('#');
    let ready = text.matches("\"state\": \"ready\"").count();
    if shown && ready == 2 { Ok(String::new()) } else { Err(format!("{ready} ready; {text}")) }
}

fn data_is_clean(report: &mut Report, disk: &Disk<'_>) -> Result<()> {
    let partitions = judge::partitions(disk.path)?;
    let Some(data) = partitions.iter().find(|partition| partition.name == "data") else {
        report.check(disk.check, Err("the disk has no data partition".to_owned()));
        return Ok(());
    };
    let copy = disk.scratch.join("data.ext4");
    judge::copy_partition(disk.path, data, &copy)?;
    judge::clean_root(report, disk.check, &copy);
    Ok(())
}

fn data_stayed(guest: &mut Guest) -> Result<Verdict> {
    let found = guest.read("cat /data/words; svcctl logs datapart")?;
    let stayed = found.starts_with(WORDS);
    Ok(if stayed && !found.contains("made") { Ok(String::new()) } else { Err(found) })
}

fn data_survived(guest: &mut Guest) -> Result<Verdict> {
    let found = guest.read(&format!(
        "cat {LAST_DATA_FILE}; svcctl logs datapart; ls {LAST_WORDS_FILE} 2> /dev/null || echo new root"
    ))?;
    let survived = found.starts_with(LAST_WORDS) && found.ends_with("new root\n");
    Ok(if survived && !found.contains("made") { Ok(String::new()) } else { Err(found) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_partition_elsewhere_is_noticed() {
        let text = |at: &str| {
            let data = format!(
                "{{\"partlabel\": \"data\", \"label\": \"data\", \"filesystem\": \"ext4\", \
                 \"mounted_at\": [\"{at}\"], \"disk\": \"vda\", \"size_bytes\": 104857600}}"
            );
            format!("{{\"blockdevices\": [{data}]}}\n/dev/vda3 {at} ext4 rw,nosuid,nodev 0 0\n")
        };
        assert_eq!(
            data_partition(Arch::X86_64, &Output::of(&text("/data"))),
            Ok("100 MiB".to_owned())
        );
        assert!(data_partition(Arch::X86_64, &Output::of(&text("/mnt"))).is_err());
        assert!(data_partition(Arch::X86_64, &Output::of("")).is_err());
    }

    #[test]
    fn a_screen_without_a_prompt_is_noticed() {
        let ready = "\"state\": \"ready\" \"state\": \"ready\"";
        assert!(
            screen(Arch::X86_64, &Output::of(&format!("Keelson on x (tty1)\n# {ready}"))).is_ok()
        );
        assert!(screen(Arch::X86_64, &Output::of(ready)).is_err());
        assert!(screen(Arch::X86_64, &Output::of("Keelson on x (tty1)\n#")).is_err());
    }
}
