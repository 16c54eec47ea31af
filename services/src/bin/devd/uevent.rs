//! A message of the kernel about a device (Documentation/ABI/testing/sysfs-uevent and
//! `lib/kobject_uevent.c`): `ACTION@DEVPATH`, then `KEY=VALUE`, each ended by NUL.

use std::collections::BTreeMap;

/// What happened to a device.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Uevent {
    /// `add`, `remove`, `change`, `move`, `bind`, `unbind`, `online`, `offline`.
    pub(crate) action: String,
    /// The device's directory below sysfs, with a slash before it.
    pub(crate) devpath: String,
    /// What kind of device it is, as `block` or `tty`.
    pub(crate) subsystem: String,
    /// Everything else that the kernel says.
    pub(crate) properties: BTreeMap<String, String>,
}

impl Uevent {
    /// Reads a message. `None` if it is not one of the kernel's: other programs send
    /// messages of another form over the same kind of socket.
    pub(crate) fn parse(message: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(message);
        let mut parts = text.split('\0');
        let (action, devpath) = parts.next()?.split_once('@')?;
        let properties = properties(parts);
        if action.is_empty() || !is_devpath(devpath) {
            return None;
        }
        Some(Self {
            action: action.to_owned(),
            devpath: devpath.to_owned(),
            subsystem: properties.get("SUBSYSTEM").cloned().unwrap_or_default(),
            properties,
        })
    }

    /// The message that the kernel would send for a device that is there already: its file
    /// `uevent`, which has a property on each line.
    pub(crate) fn present(devpath: &str, subsystem: &str, file: &str) -> Self {
        Self {
            action: "add".to_owned(),
            devpath: devpath.to_owned(),
            subsystem: subsystem.to_owned(),
            properties: properties(file.lines()),
        }
    }

    /// The name of its node below `/dev`, if it has one that stays there.
    pub(crate) fn node(&self) -> Option<&str> {
        let name = self.properties.get("DEVNAME")?;
        let stays = name.split('/').all(|part| !matches!(part, "" | "." | ".."));
        stays.then_some(name.as_str())
    }

    /// The name of the device in sysfs.
    pub(crate) fn name(&self) -> &str {
        self.devpath.rsplit('/').next().unwrap_or_default()
    }
}

fn properties<'a>(parts: impl Iterator<Item = &'a str>) -> BTreeMap<String, String> {
    let pair = |part: &'a str| part.split_once('=');
    parts.filter_map(pair).map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// Paths that lead out of sysfs are nobody's device.
fn is_devpath(path: &str) -> bool {
    path.starts_with('/') && path.split('/').all(|part| !matches!(part, "." | ".."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_read() {
        let message = b"add@/devices/x/block/vda/vda1\0ACTION=add\0SUBSYSTEM=block\0\
            DEVNAME=vda1\0DEVTYPE=partition\0PARTN=1\0";
        let event = Uevent::parse(message).unwrap();
        assert_eq!((event.action.as_str(), event.subsystem.as_str()), ("add", "block"));
        assert_eq!((event.node(), event.name()), (Some("vda1"), "vda1"));
        assert_eq!(event.properties["PARTN"], "1");
    }

    #[test]
    fn what_is_none_of_the_kernels_is_refused() {
        for message in [
            &b""[..],
            b"libudev\0\xfe\xed\xca\xfe",
            b"add",
            b"@/devices/x",
            b"add@devices/x",
            b"add@/devices/../../etc",
            b"\xff\xfe@",
        ] {
            assert_eq!(Uevent::parse(message), None, "{message:?}");
        }
    }

    #[test]
    fn a_node_stays_below_dev() {
        for (name, node) in [
            ("input/event0", Some("input/event0")),
            ("../etc/passwd", None),
            ("/etc/passwd", None),
            ("", None),
            ("a/./b", None),
        ] {
            let event = Uevent::present("/devices/x", "misc", &format!("DEVNAME={name}\n"));
            assert_eq!(event.node(), node, "{name:?}");
        }
    }
}
