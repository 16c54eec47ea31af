//! The servers that a resolv.conf(5) names. Absent: search domains and options.

use std::fs;
use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6};

/// Most servers of a file; more are passed over.
pub const SERVERS_MAX: usize = 8;

/// Port of a name server.
const PORT: u16 = 53;

/// The addresses behind `nameserver`, in their order. `fe80::1%eth0` is one of a link; beyond
/// resolv.conf(5), `192.0.2.1:5353` and `[2001:db8::1]:5353` are those of other ports.
#[must_use]
pub fn parse_servers(text: &str) -> Vec<SocketAddr> {
    let lines = text.lines().filter_map(|line| {
        let mut words = line.split_ascii_whitespace();
        (words.next()? == "nameserver").then(|| words.next())?
    });
    lines.filter_map(server).take(SERVERS_MAX).collect()
}

fn server(word: &str) -> Option<SocketAddr> {
    let Some((address, link)) = word.split_once('%') else {
        let with_port = || word.parse().ok();
        return word.parse().map(|address| SocketAddr::new(address, PORT)).ok().or_else(with_port);
    };
    let address: Ipv6Addr = address.parse().ok()?;
    let index = match link.parse() {
        Ok(index) => index,
        // No path leads out of the directory: an interface's name has no slash.
        Err(_) if link.contains('/') || link.starts_with('.') => return None,
        Err(_) => {
            let text = fs::read_to_string(format!("/sys/class/net/{link}/ifindex")).ok()?;
            text.trim().parse().ok()?
        }
    };
    Some(SocketAddrV6::new(address, PORT, 0, index).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_read_and_the_rest_is_passed_over() {
        let text = "# nameserver 1.1.1.1\nsearch a.example\nnameserver 192.0.2.1\n\
                    nameserver\t2001:db8::1 \nnameserver fe80::1%7\nnameserver 192.0.2.2:99\nnameserver here\nnameserver\n\
                    nameserver fe80::1%../x\nnameserver fe80::1%nolink0\n";
        let found: Vec<String> = parse_servers(text).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["192.0.2.1:53", "[2001:db8::1]:53", "[fe80::1%7]:53", "192.0.2.2:99"]);
        assert_eq!(parse_servers(&"nameserver 192.0.2.1\n".repeat(99)).len(), SERVERS_MAX);
    }
}
