//! The judges of the root switch, each by an output that is right and by
//! several that are wrong in one place.

use super::*;

const ARCH: Arch = Arch::X86_64;

#[test]
fn the_root_is_one_writable_ext4_of_the_disk() {
    let good = "proc /proc proc rw 0 0\n/dev/vda2 / ext4 rw,relatime 0 0\n";
    assert!(root_is_the_disks(ARCH, &Output::of(good)).is_ok());
    let more = format!("none / rootfs rw 0 0\n{good}");
    for wrong in [
        &more,
        "none / rootfs rw 0 0\n",
        "/dev/vda2 / ext4 ro,relatime 0 0\n",
        "/dev/vda1 / vfat rw 0 0\n",
        "/dev/sda2 / ext4 rw 0 0\n",
        "",
    ] {
        assert!(root_is_the_disks(ARCH, &Output::of(wrong)).is_err(), "{wrong:?}");
    }
}

#[test]
fn pid_1_must_have_been_executed_from_the_root() {
    let init = "/usr/bin/init";
    assert!(
        pid_1_is_the_disks(ARCH, &Output::of(&format!("{init}\n{init}\n65026\n65026\n"))).is_ok()
    );
    for wrong in [
        format!("{init} (deleted)\n{init}\n65026\n65026\n"),
        format!("{init}\n{init}\n2\n65026\n"),
        format!("{init}\n{init}\n65026\n"),
        String::new(),
    ] {
        assert!(pid_1_is_the_disks(ARCH, &Output::of(&wrong)).is_err(), "{wrong:?}");
    }
}

const MOUNTINFO: &str = "\
21 28 0:20 / /proc rw,nosuid - proc proc rw
22 28 0:21 / /sys rw,nosuid - sysfs sysfs rw
23 28 0:5 / /dev rw,nosuid - devtmpfs devtmpfs rw
24 28 0:22 / /run rw - tmpfs tmpfs rw
25 28 0:23 / /tmp rw - tmpfs tmpfs rw
28 1 254:2 / / rw,relatime - ext4 /dev/vda2 rw
";

#[test]
fn a_mount_made_after_the_root_has_not_moved() {
    assert!(moved_along(ARCH, &Output::of(MOUNTINFO)).is_ok());
    for (from, to, named) in [
        ("24 28", "29 28", "/run is [29]"),
        (" /tmp ", " /other ", "/tmp is []"),
        (" /sys ", " /proc ", "/proc is [21, 22]"),
        ("254:2 / / ", "254:2 / /sysroot ", "roots []"),
    ] {
        let error = moved_along(ARCH, &Output::of(&MOUNTINFO.replace(from, to))).unwrap_err();
        assert!(error.contains(named), "{error}");
    }
}

#[test]
fn an_initramfs_that_is_still_there_is_noticed() {
    let text = |kib: u64| Output::of(&format!("Cached:  9000 kB\nUnevictable:  {kib:>8} kB\n"));
    assert!(initramfs_is_gone(ARCH, &text(0)).is_ok());
    assert!(initramfs_is_gone(ARCH, &text(12_000)).is_err());
    assert!(initramfs_is_gone(ARCH, &Output::of("Cached: 1 kB\n")).is_err());
}

#[test]
fn the_console_must_name_what_was_wanted_and_what_there_is() {
    let uuid = Guid::from_u128(7);
    let partition = Partition {
        number: 2,
        type_guid: uuid,
        guid: uuid,
        name: "root".into(),
        attributes: 0,
        first_lba: 2048,
        last_lba: 2048 + 20 * 2048 - 1,
    };
    let root = Root { partition, uuid, label: "top".into() };
    let good = format!(
        "[ 1.0] init: x\r\n[ 2.0] init: boot cannot go on: no root LABEL=no-such-root after 5 s; \
         block devices present: vda (30 MiB), vda2 (20 MiB ext4 LABEL=top UUID={uuid})\r\n"
    );
    says_missing(&good, &root).unwrap();
    says_missing(&good.replace("after 5 s", "after 7 s"), &root).unwrap();
    for (from, to) in [
        ("no-such-root", "other"),
        ("after 5 s", "after 4 s"),
        ("vda (30", "vdb (30"),
        ("20 MiB ext4", "21 MiB ext4"),
        ("LABEL=top", "LABEL=tip"),
        ("UUID=0", "UUID=1"),
    ] {
        assert!(says_missing(&good.replace(from, to), &root).is_err(), "{from}");
    }
}
