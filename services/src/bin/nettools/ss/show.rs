//! What `ss` prints: a table, JSON, or the number of sockets in each state.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::net::SocketAddr;

use serde_json::{Value, json};

use super::kernel::Owner;
use super::socket::{Ends, Socket};

/// Who has which sockets, by inode; `None` if nobody asked.
pub(super) type Owners = Option<HashMap<u32, Vec<Owner>>>;

const HEADER: [&str; 7] =
    ["Netid", "State", "Recv-Q", "Send-Q", "Local Address:Port", "Peer Address:Port", "Process"];

/// A line for each socket, and one that names the columns.
pub(super) fn table(sockets: &[Socket], owners: &Owners, has_header: bool) -> String {
    let header = has_header.then(|| HEADER.map(str::to_owned));
    let rows: Vec<[String; 7]> =
        header.into_iter().chain(sockets.iter().map(|socket| row(socket, owners))).collect();
    let mut widths = [0; 7];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            let _ = write!(line, "{cell:width$}  ");
        }
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

fn row(socket: &Socket, owners: &Owners) -> [String; 7] {
    let (local, peer) = ends(&socket.ends, socket.inode);
    [
        socket.kind.name().to_owned(),
        socket.state.name().to_owned(),
        socket.receive_queue.to_string(),
        socket.send_queue.to_string(),
        local,
        peer,
        users(of(owners, socket)),
    ]
}

fn of<'o>(owners: &'o Owners, socket: &Socket) -> &'o [Owner] {
    owners.as_ref().and_then(|all| all.get(&socket.inode)).map_or(&[], Vec::as_slice)
}

fn users(owners: &[Owner]) -> String {
    if owners.is_empty() {
        return String::new();
    }
    let each: Vec<String> = owners
        .iter()
        .map(|owner| format!("(\"{}\",pid={},fd={})", owner.name, owner.pid, owner.fd))
        .collect();
    format!("users:({})", each.join(","))
}

/// Both ends as people write them.
fn ends(ends: &Ends, inode: u32) -> (String, String) {
    match ends {
        Ends::Internet { local, peer, interface, takes_ipv4 } => {
            let any_peer = *takes_ipv4 && peer.ip().is_unspecified();
            (internet(local, interface.as_deref(), *takes_ipv4), internet(peer, None, any_peer))
        }
        Ends::Unix { name, peer } => {
            let end = |name: Option<&str>, inode| format!("{} {inode}", name.unwrap_or("*"));
            let peer = match peer {
                Some((inode, name)) => end(name.as_deref(), *inode),
                None => end(None, 0),
            };
            (end(name.as_deref(), inode), peer)
        }
    }
}

/// `*` is every address of both families; a port 0 is any.
fn internet(end: &SocketAddr, interface: Option<&str>, is_both: bool) -> String {
    let link = interface.map(|name| format!("%{name}")).unwrap_or_default();
    let address = match end {
        _ if is_both => format!("*{link}"),
        SocketAddr::V4(end) => format!("{}{link}", end.ip()),
        SocketAddr::V6(end) => format!("[{}{link}]", end.ip()),
    };
    match end.port() {
        0 => format!("{address}:*"),
        port => format!("{address}:{port}"),
    }
}

/// An object for each socket.
pub(super) fn list(sockets: &[Socket], owners: &Owners) -> Value {
    sockets
        .iter()
        .map(|socket| {
            let mut value = json!({
                "netid": socket.kind.name(),
                "state": socket.state.name(),
                "recv_q": socket.receive_queue,
                "send_q": socket.send_queue,
                "inode": socket.inode,
                "uid": socket.uid,
            });
            match &socket.ends {
                Ends::Internet { local, peer, interface, takes_ipv4 } => {
                    let end = |end: &SocketAddr| json!({ "address": end.ip(), "port": end.port() });
                    value["local"] = end(local);
                    value["peer"] = if peer.port() == 0 { Value::Null } else { end(peer) };
                    value["interface"] = json!(interface);
                    value["takes_ipv4"] = json!(takes_ipv4);
                }
                Ends::Unix { name, peer } => {
                    value["local"] = json!({ "path": name });
                    value["peer"] = peer.as_ref().map_or(
                        Value::Null,
                        |(inode, name)| json!({ "path": name, "inode": inode }),
                    );
                }
            }
            if owners.is_some() {
                let one =
                    |owner: &Owner| json!({ "name": owner.name, "pid": owner.pid, "fd": owner.fd });
                value["processes"] = of(owners, socket).iter().map(one).collect();
            }
            value
        })
        .collect()
}

/// How many sockets of each kind are in each state.
fn counts(sockets: &[Socket]) -> BTreeMap<&'static str, BTreeMap<&'static str, usize>> {
    let mut counts: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
    for socket in sockets {
        let states = counts.entry(socket.kind.name()).or_default();
        *states.entry(socket.state.name()).or_default() += 1;
    }
    counts
}

/// A line for each kind of socket: how many, and how many in each state.
pub(super) fn summary(sockets: &[Socket]) -> String {
    let mut text = String::new();
    for (kind, states) in counts(sockets) {
        let total: usize = states.values().sum();
        let each: Vec<String> =
            states.iter().map(|(state, count)| format!("{state} {count}")).collect();
        let _ = writeln!(text, "{kind:<6} {total:>6}  {}", each.join(", "));
    }
    text
}

/// [`summary`] for programs.
pub(super) fn summary_list(sockets: &[Socket]) -> Value {
    json!(counts(sockets))
}

#[cfg(test)]
mod tests {
    use super::super::socket::Kind;
    use super::super::socket::tests::{internet_socket, unix_socket};
    use super::*;

    fn owner(pid: i32, fd: i32, name: &str) -> Owner {
        Owner { pid, fd, name: name.to_owned() }
    }

    #[test]
    fn ends_are_written_as_usual() {
        let internet = |local: &str, peer: &str, interface: Option<&str>, takes_ipv4| {
            let interface = interface.map(str::to_owned);
            let (local, peer) = (local.parse().unwrap(), peer.parse().unwrap());
            ends(&Ends::Internet { local, peer, interface, takes_ipv4 }, 1)
        };
        for (found, local, peer) in [
            (internet("0.0.0.0:22", "0.0.0.0:0", None, false), "0.0.0.0:22", "0.0.0.0:*"),
            (internet("[::]:22", "[::]:0", None, true), "*:22", "*:*"),
            (internet("[::]:22", "[::]:0", None, false), "[::]:22", "[::]:*"),
            (internet("[::1]:22", "[::1]:5", None, false), "[::1]:22", "[::1]:5"),
            (
                internet("127.0.0.53:53", "0.0.0.0:0", Some("lo"), false),
                "127.0.0.53%lo:53",
                "0.0.0.0:*",
            ),
            (
                internet("[fe80::1]:546", "[::]:0", Some("eth0"), false),
                "[fe80::1%eth0]:546",
                "[::]:*",
            ),
        ] {
            assert_eq!(found, (local.to_owned(), peer.to_owned()));
        }
        let unix = |name: Option<&str>, peer: Option<(u32, Option<&str>)>| {
            let own = |name: Option<&str>| name.map(str::to_owned);
            let peer = peer.map(|(inode, name)| (inode, own(name)));
            ends(&Ends::Unix { name: own(name), peer }, 7)
        };
        for (found, local, peer) in [
            (unix(Some("/run/a"), None), "/run/a 7", "* 0"),
            (unix(None, Some((8, Some("/run/a")))), "* 7", "/run/a 8"),
            (unix(None, Some((8, None))), "* 7", "* 8"),
        ] {
            assert_eq!(found, (local.to_owned(), peer.to_owned()));
        }
    }

    #[test]
    fn the_table_has_aligned_columns_and_ends_lines_without_blanks() {
        let sockets = [
            internet_socket(Kind::Tcp, 1, "10.0.0.1:22", "10.0.0.2:40000"),
            unix_socket(1, 10, &[(0, b"/run/a\0")]),
        ];
        let owners = [(4711, vec![owner(5, 3, "sshd"), owner(6, 4, "a b")])];
        let expected = "\
Netid  State   Recv-Q  Send-Q  Local Address:Port  Peer Address:Port  Process
tcp    ESTAB   3       128     10.0.0.1:22         10.0.0.2:40000     \
users:((\"sshd\",pid=5,fd=3),(\"a b\",pid=6,fd=4))
u_str  LISTEN  0       0       /run/a 77           * 0
";
        assert_eq!(table(&sockets, &Some(owners.into()), true), expected);
        assert_eq!(table(&sockets[1..], &None, false), "u_str  LISTEN  0  0  /run/a 77  * 0\n");
    }

    #[test]
    fn json_has_numbers_as_numbers_and_null_for_nobody() {
        let sockets = [
            internet_socket(Kind::Udp, 7, "[::]:546", "[::]:0"),
            unix_socket(2, 1, &[(2, &[9, 0, 0, 0])]),
        ];
        let owners = [(4711, vec![owner(5, 3, "netd")])];
        let expected = json!([
            {
                "netid": "udp", "state": "UNCONN", "recv_q": 3, "send_q": 128, "inode": 4711,
                "uid": 1000, "local": { "address": "::", "port": 546 }, "peer": null,
                "interface": null, "takes_ipv4": true,
                "processes": [{ "name": "netd", "pid": 5, "fd": 3 }],
            },
            {
                "netid": "u_dgr", "state": "ESTAB", "recv_q": 0, "send_q": 0, "inode": 77,
                "uid": null, "local": { "path": null }, "peer": { "path": null, "inode": 9 },
                "processes": [],
            },
        ]);
        assert_eq!(list(&sockets, &Some(owners.into())), expected);
        assert_eq!(list(&sockets, &None)[0].get("processes"), None);
    }

    #[test]
    fn the_summary_counts_states() {
        let sockets = [
            internet_socket(Kind::Tcp, 10, "0.0.0.0:22", "0.0.0.0:0"),
            internet_socket(Kind::Tcp, 1, "10.0.0.1:22", "10.0.0.2:1"),
            internet_socket(Kind::Tcp, 1, "10.0.0.1:22", "10.0.0.2:2"),
            unix_socket(2, 7, &[]),
        ];
        assert_eq!(
            summary(&sockets),
            "tcp         3  ESTAB 2, LISTEN 1\nu_dgr       1  UNCONN 1\n"
        );
        assert_eq!(
            summary_list(&sockets),
            json!({ "tcp": { "ESTAB": 2, "LISTEN": 1 }, "u_dgr": { "UNCONN": 1 } })
        );
    }
}
