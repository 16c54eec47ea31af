//! `netd` in a network of its own: a name space at each end of a cable, made by
//! unshare(1), with `netpeer` at the other end. No privileges are needed where the
//! kernel lets everybody make user name spaces; where it does not, the test says so.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test ends where it fails, and says what it skips"
)]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// The network: `eth0` here, `peer0` in the name space of `$P`.
const BEGIN: &str = r#"
set -e
unshare -n sleep 100 & P=$!
ip() { "$NETTOOLS" ip "$@"; }
until [ "$(readlink /proc/$P/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.05; done
ip link add eth0 type veth peer name peer0
# `ip` of this repository moves no link to another name space.
"$MOVE" link set peer0 netns $P
ctl() { "$NETCTL" --socket "$DIR/run/control" --config "$DIR/network.toml" "$@"; }
peer() { nsenter -t $P -n "$NETPEER" --link peer0 "$@" & Q=$!; }
netd() { "$NETD" --config "$DIR/network.toml" --run "$DIR/run" --stay-root & N=$!; }
# until_so COMMAND…: waits until it succeeds, for at most 15 s.
until_so() { i=0; until eval "$@" > /dev/null 2>&1; do i=$((i+1)); [ $i -lt 150 ] || { echo "never: $*"; exit 1; }; sleep 0.1; done; }
# not COMMAND…: what `!` is not to `set -e`.
not() { ! "$@"; }
trap 'kill $N $Q $P 2>/dev/null' EXIT
"#;

/// Runs a script in name spaces of its own; `None` where the host refuses them.
fn run(config: &str, script: &str) -> Option<Output> {
    let allowed = Command::new("unshare").args(["-Urnm", "nsenter", "--version"]).output();
    let has_ip = Path::new("/usr/sbin/ip").exists();
    if !allowed.is_ok_and(|output| output.status.success()) || !has_ip {
        println!("skipped: name spaces, nsenter(1) or ip(8) cannot be had on this host");
        return None;
    }
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("network.toml"), config).unwrap();
    let output = Command::new("unshare")
        .args(["-Urnm", "timeout", "90", "bash", "-c", &[BEGIN, script].concat()])
        .env("DIR", directory.path())
        .env("MOVE", "/usr/sbin/ip")
        .env("NETD", env!("CARGO_BIN_EXE_netd"))
        .env("NETCTL", env!("CARGO_BIN_EXE_netctl"))
        .env("NETPEER", env!("CARGO_BIN_EXE_netpeer"))
        .env("NETTOOLS", env!("CARGO_BIN_EXE_nettools"))
        .output()
        .unwrap();
    Some(output)
}

fn assert_done(output: Option<Output>) {
    let Some(output) = output else { return };
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    assert!(output.status.success() && text[0].ends_with("done\n"), "{}\n{}", text[0], text[1]);
}

const DHCP: &str = "[[link]]\nmatch = { name = \"eth0\" }\ndhcp = true\n";

#[test]
fn a_lease_is_granted_renewed_and_ends_with_its_server() {
    let script = r#"
peer --address 10.77.0.1/24 --dhcp 10.77.0.50 --server 10.77.0.1 --lease 6 --dns 10.77.0.53
netd
until_so 'ip -4 route | grep -q "default via 10.77.0.1"'
grep -q "nameserver 10.77.0.53" "$DIR/run/resolv.conf"
until_so 'grep -q "^nameserver 127.0.0.53$" "$DIR/run/dnsd-resolv.conf"'
until_so '! grep -q "10.77.0.53" "$DIR/run/dnsd-resolv.conf"'
ctl lease eth0 | grep -q "10.77.0.50/24 from 10.77.0.1"
sleep 8
ip -4 -br addr | grep -q 10.77.0.50
kill $Q
until_so '! ip -4 -br addr | grep -q 10.77.0.50'
until_so '! grep -q nameserver "$DIR/run/resolv.conf"'
ip -4 route > "$DIR/routes"
not grep -q default "$DIR/routes"
echo done
"#;
    assert_done(run(DHCP, script));
}

#[test]
fn routers_and_stateless_dhcpv6_bring_addresses_and_resolvers() {
    let script = r#"
peer --address 2001:db8:77::1/64 --prefix 2001:db8:77::/64 --rdnss 2001:db8:77::53 \
    --other --dhcp6-dns 2001:db8:77::54 --echo 7
netd
until_so 'ip -6 -br addr | grep -q 2001:db8:77:0:'
until_so 'grep -q "nameserver 2001:db8:77::53" "$DIR/run/resolv.conf"'
until_so 'grep -q "nameserver 2001:db8:77::54" "$DIR/run/resolv.conf"'
ip -6 route | grep -q "default via fe80:"
"$NETTOOLS" ping -6 -c 1 2001:db8:77::1
[ "$("$NETPEER" --call '[2001:db8:77::1]:7' text)" = text ]
# The kernel does not say again that there is a DHCPv6 server.
nsenter -t $P -n "$NETTOOLS" ip link set peer0 down
until_so '! grep -q "nameserver 2001:db8:77::54" "$DIR/run/resolv.conf"'
nsenter -t $P -n "$NETTOOLS" ip link set peer0 up
until_so 'grep -q "nameserver 2001:db8:77::54" "$DIR/run/resolv.conf"'
kill $N; wait $N
rm "$DIR/run/resolv.conf"
netd
until_so 'grep -q "nameserver 2001:db8:77::54" "$DIR/run/resolv.conf"'
# Without a router the kernel has given up asking for one, and only netd asks.
kill $Q; kill $N; wait $N
nsenter -t $P -n sh -c 'echo 1 > /proc/sys/net/ipv6/conf/peer0/forwarding'
asked() { nsenter -t $P -n sed -n 's/^Icmp6InRouterSolicits *//p' /proc/net/snmp6; }
before=$(asked)
netd
until_so '[ $(asked) -gt $before ]'
echo done
"#;
    assert_done(run(DHCP, script));
}

#[test]
fn the_file_is_changed_and_followed_and_a_pulled_cable_takes_the_route_away() {
    let script = r#"
peer --address 10.77.0.1/24 --echo 7
netd
until_so 'ctl status eth0'
ctl set eth0 dhcp off
ctl set eth0 address 10.77.0.9/24
ctl set eth0 gateway 10.77.0.1
until_so 'ip -4 route | grep -q "default via 10.77.0.1"'
not ctl set eth0 gateway 10.77.0.300
grep -q 'gateway = \["10.77.0.1"\]' "$DIR/network.toml"
mkdir "$DIR/data"; mv "$DIR/network.toml" "$DIR/data/n.toml"; ln -s data/n.toml "$DIR/network.toml"
chmod 600 "$DIR/data/n.toml"
ctl set eth0 address 10.77.0.9/24
[ "$(readlink "$DIR/network.toml") $(stat -c %a "$DIR/data/n.toml")" = "data/n.toml 600" ]
"$NETTOOLS" ping -c 1 10.77.0.1
nsenter -t $P -n "$NETTOOLS" ip link set peer0 down
until_so '! ip -4 route | grep -q default'
ip -4 -br addr | grep -q 10.77.0.9
nsenter -t $P -n "$NETTOOLS" ip link set peer0 up
until_so 'ip -4 route | grep -q default'
ctl status no-such && exit 1 || [ $? = 4 ]
kill $N; wait $N
ip -4 -br addr | grep -q 10.77.0.9
netd
until_so 'ctl down eth0'
kill $N; wait $N
netd
until_so 'ctl list | grep "eth0 .*held-down"'
ctl up eth0
until_so 'ip -4 route | grep -q default'
echo done
"#;
    assert_done(run(DHCP, script));
}

#[test]
fn what_the_file_lost_while_netd_did_not_run_is_taken_away_at_its_start() {
    let script = r#"
nsenter -t $P -n "$NETTOOLS" ip link set peer0 up
netd
until_so 'ip route | grep -q "198.51.100.0/24 via 10.77.0.1"'
until_so 'ip -6 -br addr | grep -q 2001:db8:77::2'
kill -9 $N; wait $N || true
"$MOVE" address add 10.78.0.2/24 dev eth0
sed -i 's/10.77.0.9/10.77.0.8/; s/10.77.0.1"/10.77.0.3"/; s/^ipv6.*/ipv6 = "off"/; s/, "2001.*"//' "$DIR/network.toml"
netd
until_so 'ip -4 -br addr | grep -q 10.77.0.8'
until_so '! ip -4 -br addr | grep -q 10.77.0.9'
until_so 'ip route | grep -q "198.51.100.0/24 via 10.77.0.3"'
until_so '! ip route | grep -q "via 10.77.0.1"'
ip -4 -br addr | grep -q 10.78.0.2
until_so '! ip -6 -br addr | grep -q 2001'
kill $N; wait $N
sed -i 's/^ipv6.*/ipv6 = "static"/; s/10.77.0.8\/24"/&, "2001:db8:77::3\/64"/' "$DIR/network.toml"
netd
until_so 'ip -6 -br addr | grep -q 2001:db8:77::3'
echo done
"#;
    let config = "[[link]]\nmatch = { name = \"eth0\" }\nipv6 = \"static\"\n\
        addresses = [\"10.77.0.9/24\", \"2001:db8:77::2/64\"]\n\
        [[link.route]]\nto = \"198.51.100.0/24\"\nvia = \"10.77.0.1\"\n";
    assert_done(run(config, script));
}

#[test]
fn ipv6_of_the_file_outlives_a_change_of_its_mode() {
    let script = r#"
nsenter -t $P -n "$NETTOOLS" ip link set peer0 up
netd
has() { ip -6 -br addr | grep -q 2001:db8:77::2 && ip -6 route | grep -q "2001:db8:99::/48 via 2001:db8:77::1"; }
until_so has
for mode in auto static; do
  sed -i "s/^ipv6.*/ipv6 = \"$mode\"/" "$DIR/network.toml"
  ctl reload
  until_so has
done
echo done
"#;
    let config = "[[link]]\nmatch = { name = \"eth0\" }\nipv6 = \"static\"\n\
        addresses = [\"2001:db8:77::2/64\"]\n\
        [[link.route]]\nto = \"2001:db8:99::/48\"\nvia = \"2001:db8:77::1\"\n";
    assert_done(run(config, script));
}

#[test]
fn addresses_of_one_network_take_each_others_place_and_routes_stay() {
    let script = r#"
peer --address 10.77.0.1/24 --dhcp 10.77.0.50 --server 10.77.0.1 --lease 60 --echo 7
netd
has_route() { ip -4 route | grep -q "default via 10.77.0.1"; }
until_so 'ip -4 -br addr | grep -q 10.77.0.50'
until_so has_route
has() { printf '[[link]]\nmatch = { name = "eth0" }\n%s\n' "$1" > "$DIR/network.toml"; ctl reload; }
has 'addresses = ["10.77.0.9/24"]
gateway = ["10.77.0.1"]'
until_so '! ip -4 -br addr | grep -q 10.77.0.50'
ip -4 -br addr | grep -q 10.77.0.9
has_route
has 'addresses = ["10.77.0.8/24"]
gateway = ["10.77.0.1"]'
until_so '! ip -4 -br addr | grep -q 10.77.0.9'
ip -4 -br addr | grep -q 10.77.0.8
has_route
"$NETTOOLS" ping -c 1 10.77.0.1
# The lease's network is where the gateway of the file is.
has 'dhcp = true
gateway = ["10.77.0.1"]'
until_so 'ip -4 -br addr | grep -q 10.77.0.50'
until_so has_route
echo done
"#;
    assert_done(run(DHCP, script));
}

#[test]
fn links_that_the_file_makes_are_as_it_has_them_after_a_change_and_after_a_restart() {
    let script = r#"
"$MOVE" link add link eth0 name probe type vlan id 99 && "$MOVE" link del probe ||
  { echo "skipped: the kernel has no VLANs"; echo done; exit; }
netd 2> "$DIR/log"
until_so 'ctl status lan'
id() { "$MOVE" -d link show lan | grep -q "lan@$2: .*" && "$MOVE" -d link show lan | grep -q "id $1 "; }
stp() { "$MOVE" -d link show br0 | grep -q "stp_state $1 "; }
until_so 'id 10 eth0 && stp 0'
# has ID ON STP
has() {
  printf '[[vlan]]\nname = "lan"\non = "%s"\nid = %s\n' "$2" "$1" > "$DIR/network.toml"
  printf '[[bridge]]\nname = "br0"\nstp = %s\n' "$3" >> "$DIR/network.toml"
}
has 20 eth0 true; ctl reload
until_so 'id 20 eth0 && stp 1'
has 20 br0 true; ctl reload
until_so 'id 20 br0'
kill $N; wait $N
has 30 eth0 false
netd 2> "$DIR/log"
until_so 'id 30 eth0 && stp 0'
kill $N; wait $N
netd 2> "$DIR/log"
until_so 'ctl status lan'
not grep "cannot make" "$DIR/log"
has 30 eth9 false
not ctl reload
ctl status lan | grep -q "make the link lan: there is no link eth9"
"$MOVE" link add link eth0 name lan2 type vlan id 31
printf '[[vlan]]\nname = "other"\non = "eth0"\nid = 31\n' > "$DIR/network.toml"
not ctl reload
ctl list | grep -q "other  *vlan  *missing"
until_so 'not ip link show lan'
echo done
"#;
    let config = "[[vlan]]\nname = \"lan\"\non = \"eth0\"\nid = 10\n[[bridge]]\nname = \"br0\"\n";
    assert_done(run(config, script));
}

#[test]
fn a_bridge_follows_the_file_and_what_cannot_be_made_is_told() {
    let script = r#"
"$MOVE" link add probe type bridge && "$MOVE" link del probe ||
  { echo "skipped: the kernel has no bridges"; echo done; exit; }
netd 2> "$DIR/log"
stp() { "$MOVE" -d link show br0 | grep -q "stp_state $1 "; }
until_so 'stp 0'
first=$(ip link show br0 | cut -d: -f1)
echo 'stp = true' >> "$DIR/network.toml"
ctl reload
stp 1
[ "$(ip link show br0 | cut -d: -f1)" = "$first" ]
kill $N; wait $N
sed -i '/^stp/d' "$DIR/network.toml"
netd 2> "$DIR/log"
until_so 'stp 0'
not grep "cannot make" "$DIR/log"
printf '[[vlan]]\nname = "lan"\non = "eth9"\nid = 5\n[[bridge]]\nname = "eth0"\n' \
    > "$DIR/network.toml"
not ctl reload
until_so 'not ip link show br0'
ctl status lan | grep -q "make the link lan: there is no link eth9"
ctl status eth0 | grep -q "make the link eth0: another sort of link has this name"
ip link show eth0
echo done
"#;
    assert_done(run("[[bridge]]\nname = \"br0\"\n", script));
}
