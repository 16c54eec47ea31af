//! What somebody sees after logging in: the system, its addresses, its services. Made anew
//! at each login from what is true then; `/etc/motd` follows it.
//!
//! Absent: news, mail, the last login. Services are left out for who may not ask PID 1.

use std::fmt::Write as _;
use std::fs;
use std::net::IpAddr;
use std::path::Path;

use init_core::protocol::{CONTROL_SOCKET, Reply, Request, Summary};
use init_core::state::State;
use rustix::system::uname;

use crate::control::Client;

/// Most of `/etc/motd` that is shown, in bytes.
const TEXT_BYTES_MAX: usize = 16 << 10;
/// Most addresses that are shown.
const ADDRESSES_MAX: usize = 8;

/// What is known of the system.
#[derive(Default)]
struct Facts {
    /// Its name for people (os-release(5)).
    system: String,
    host: String,
    kernel: String,
    machine: String,
    /// Addresses under which others may reach it, each with its link.
    addresses: Vec<(IpAddr, String)>,
    /// What PID 1 says.
    services: Option<Vec<Summary>>,
    /// `/etc/motd`.
    text: String,
}

/// The text for somebody who has just logged in, as this process sees the system.
#[must_use]
pub fn text() -> String {
    let uname = uname();
    let word = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let text = fs::read("/etc/motd").unwrap_or_default();
    let facts = Facts {
        system: pretty_name(&release).unwrap_or_else(|| word(uname.sysname())),
        host: word(uname.nodename()),
        kernel: word(uname.release()),
        machine: word(uname.machine()),
        addresses: addresses(),
        services: services(),
        text: String::from_utf8_lossy(text.get(..TEXT_BYTES_MAX).unwrap_or(&text)).into_owned(),
    };
    facts.to_text()
}

impl Facts {
    fn to_text(&self) -> String {
        let Self { system, host, kernel, machine, .. } = self;
        let mut text = format!("\n{system} on {host}\n  kernel     Linux {kernel} {machine}\n");
        let mut label = "addresses";
        for (address, link) in self.addresses.iter().take(ADDRESSES_MAX) {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "  {label:<10} {address} ({link})");
            label = "";
        }
        if self.addresses.is_empty() {
            text.push_str("  addresses  none\n");
        }
        if let Some(services) = &self.services {
            let count = |wanted: fn(State) -> bool| {
                services.iter().filter(|service| wanted(service.state)).count()
            };
            let up = count(|state| matches!(state, State::Ready | State::Completed));
            let _ = writeln!(text, "  services   {up} of {} up", services.len());
            let is_bad =
                |service: &&Summary| matches!(service.state, State::Failed | State::Backoff);
            for service in services.iter().filter(is_bad) {
                let reason = service.reason_line();
                let _ = writeln!(text, "  {:<10} {}: {reason}", "failed", service.name);
            }
        }
        text.push('\n');
        text.push_str(&self.text);
        text
    }
}

/// `PRETTY_NAME` of os-release(5), without its quotes.
fn pretty_name(text: &str) -> Option<String> {
    let value = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    Some(value.trim_matches(['"', '\'']).to_owned())
}

fn addresses() -> Vec<(IpAddr, String)> {
    let Ok(all) = nix::ifaddrs::getifaddrs() else { return Vec::new() };
    let mut found: Vec<(IpAddr, String)> = Vec::new();
    for one in all {
        let Some(storage) = one.address else { continue };
        let address = match (storage.as_sockaddr_in(), storage.as_sockaddr_in6()) {
            (Some(v4), _) => IpAddr::V4(v4.ip()),
            (_, Some(v6)) => IpAddr::V6(v6.ip()),
            _ => continue,
        };
        if is_shown(address) {
            found.push((address, one.interface_name));
        }
    }
    found.sort();
    found
}

/// Whether others may reach a system by `address`.
fn is_shown(address: IpAddr) -> bool {
    let is_link_local = match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    !address.is_loopback() && !address.is_unspecified() && !is_link_local
}

fn services() -> Option<Vec<Summary>> {
    match Client::connect(Path::new(CONTROL_SOCKET)).ok()?.ask(&Request::List).ok()? {
        Reply::Services(services) => Some(services),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_says_what_is_known_and_no_more() {
        let facts = Facts {
            system: "Keelson 1".into(),
            host: "box".into(),
            kernel: "6.6.1".into(),
            machine: "x86_64".into(),
            ..Facts::default()
        };
        let nothing = facts.to_text();
        assert_eq!(
            nothing,
            "\nKeelson 1 on box\n  kernel     Linux 6.6.1 x86_64\n  addresses  none\n\n"
        );
        let addresses = ["10.0.2.15", "2001:db8::1"].map(|it| (it.parse().unwrap(), "eth0".into()));
        let more = Facts { addresses: addresses.into(), text: "hello\n".into(), ..facts }.to_text();
        assert!(more.contains("  addresses  10.0.2.15 (eth0)\n             2001:db8::1 (eth0)\n"));
        assert!(more.ends_with("\n\nhello\n"), "{more}");
    }

    #[test]
    fn addresses_of_this_host_alone_are_not_shown() {
        for (address, shown) in [
            ("127.0.0.1", false),
            ("::1", false),
            ("fe80::1", false),
            ("169.254.1.1", false),
            ("192.168.1.1", true),
            ("fd00::1", true),
        ] {
            assert_eq!(is_shown(address.parse().unwrap()), shown, "{address}");
        }
    }

    #[test]
    fn the_name_is_read_without_quotes() {
        assert_eq!(pretty_name("ID=x\nPRETTY_NAME=\"A B\"\n").as_deref(), Some("A B"));
        assert_eq!(pretty_name("ID=x\n"), None);
    }
}
