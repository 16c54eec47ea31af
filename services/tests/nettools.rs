//! `ping` and `ip` in a network of their own, made by unshare(1). No privileges are needed
//! where the kernel lets everybody make user name spaces; where it does not, the test says so.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test ends where it fails, and says what it skips"
)]

use std::process::Command;

/// The network: `lan1` is connected to `lan2`, which nobody answers at, and the addresses
/// 192.0.2.1 and 2001:db8::1 are this machine's own.
const BEGIN: &str = r#"
set -e
ip() { "$NETTOOLS" ip "$@"; }
ping() { "$NETTOOLS" ping -W 0.5 "$@"; }
# code EXPECTED COMMAND…: whether it ends with this exit code.
code() { e=$1; shift; c=0; "$@" || c=$?; [ $c = $e ] || { echo "$c, not $e: $*"; exit 1; }; }
until_so() { i=0; until eval "$@"; do i=$((i+1)); [ $i -lt 200 ] || { echo "never: $*"; exit 1; }; sleep 0.05; done; }
ip link set lo up
ip addr add 192.0.2.1/32 dev lo
ip addr add 2001:db8::1/128 dev lo
ip link add lan1 type veth peer name lan2
ip link set lan1 up
ip link set lan2 up
"#;

/// Runs a script in a name space of its own; `None` where the host refuses that.
fn assert_done(script: &str) {
    let allowed = Command::new("unshare").args(["-Urn", "true"]).status();
    if !allowed.is_ok_and(|status| status.success()) {
        println!("skipped: unshare(1) cannot make name spaces on this host");
        return;
    }
    let output = Command::new("unshare")
        .args(["-Urn", "timeout", "60", "bash", "-c", &[BEGIN, script, "echo done\n"].concat()])
        .current_dir(tempfile::tempdir().unwrap().path())
        .env("NETTOOLS", env!("CARGO_BIN_EXE_nettools"))
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    assert!(output.status.success() && text[0].ends_with("done\n"), "{}\n{}", text[0], text[1]);
}

#[test]
fn ping_asks_by_the_link_that_is_named_and_no_other() {
    assert_done(
        r#"
both() {
    for address in 192.0.2.1 2001:db8::1; do
        code 0 ping -c 1 $address
        code 0 ping -c 1 -I lo $address
        # The machine has the address, but nobody at that link.
        code 1 ping -c 1 -I lan1 $address
        code 1 ping -c 1 $address%lan1
        code 4 ping -c 1 -I nosuch $address
        code 2 ping -c 1 -I lan1 $address%lo
    done
}
both
# The same by sockets that are everybody's; before it was raw ones.
echo "0 0" > /proc/sys/net/ipv4/ping_group_range
both
"#,
    );
}

#[test]
fn ping_that_is_interrupted_says_the_sum() {
    assert_done(
        r#"
# Between two questions.
"$NETTOOLS" ping -i 60 192.0.2.1 > answered & P=$!
until_so grep -q "^answer" answered
kill -INT $P
code 0 wait $P
grep -q "^1 asked, 1 answered$" answered
grep -q "^shortest" answered
# While it waits for an answer.
"$NETTOOLS" ping -W 60 -I lan1 192.0.2.1 > silent 2> why & P=$!
until_so grep -q "^PING" silent
sleep 0.3
kill -INT $P
code 1 wait $P
grep -q "^1 asked, 0 answered$" silent
code 1 grep "no answer" silent
grep -q "192.0.2.1 does not answer" why
"#,
    );
}

#[test]
fn ping_keeps_its_pause_after_a_silence() {
    assert_done(
        r#"
echo 1 > /proc/sys/net/ipv4/icmp_echo_ignore_all
begin=${EPOCHREALTIME/[.,]/}
"$NETTOOLS" ping -c 6 -i 0.2 -W 1 192.0.2.1 > answered & P=$!
until_so grep -q "^PING" answered
sleep 0.3
echo 0 > /proc/sys/net/ipv4/icmp_echo_ignore_all
code 0 wait $P
took=$(( ${EPOCHREALTIME/[.,]/} - begin ))
# A second of silence, and four pauses between the five questions behind it.
[ $took -ge 1790000 ] || { echo "$took us"; cat answered; exit 1; }
grep -q "^no answer: seq=1$" answered
"#,
    );
}

#[test]
fn what_is_added_twice_is_refused_and_stays_as_it_is() {
    assert_done(
        r#"
for prefix in 192.0.2.9/24 2001:db8:9::9/64; do
    code 0 ip addr add $prefix dev lan1
    code 1 ip addr add $prefix dev lan1 2> why
    grep -q "the kernel refuses: File exists" why
    grep -q '`replace` changes what is there' why
    code 0 ip addr replace $prefix dev lan1
    code 0 ip addr del $prefix dev lan1
    code 1 ip addr del $prefix dev lan1
done
code 0 ip neigh add 192.0.2.77 lladdr 02:00:00:00:00:01 dev lan1
code 1 ip neigh add 192.0.2.77 lladdr 02:00:00:00:00:02 dev lan1
ip neigh | grep -q 02:00:00:00:00:01
code 0 ip neigh replace 192.0.2.77 lladdr 02:00:00:00:00:02 dev lan1
ip neigh | grep -q 02:00:00:00:00:02
code 0 ip route add 198.51.100.0/24 dev lan1
code 1 ip route add 198.51.100.0/24 dev lan1
code 0 ip route replace 198.51.100.0/24 dev lan1
[ -x /usr/sbin/ip ] || { echo "skipped: ip(8) is not here to make a lease"; exec echo done; }
/usr/sbin/ip addr add 192.0.2.9/24 dev lan1 valid_lft 1000 preferred_lft 1000
code 1 ip addr add 192.0.2.9/24 dev lan1
/usr/sbin/ip addr show dev lan1 | grep -q "valid_lft [0-9]*sec preferred_lft [0-9]*sec"
code 0 ip addr replace 192.0.2.9/24 dev lan1
/usr/sbin/ip -4 addr show dev lan1 | grep -q "valid_lft forever"
"#,
    );
}

#[test]
fn a_change_is_of_the_family_that_is_asked_for() {
    assert_done(
        r#"
ip addr add 192.0.2.10/24 dev lan1
ip route add default via 192.0.2.99
code 0 ip -6 route add default dev lan1
code 0 ip -6 route del default
ip route | grep -q "^default via 192.0.2.99"
code 1 ip -6 route del default
code 2 ip -6 route del default via 192.0.2.99
code 2 ip -6 route add 198.51.100.0/24 dev lan1
code 2 ip -4 route add 2001:db8:9::/64 dev lan1
code 2 ip -4 addr add 2001:db8:9::9/64 dev lan1
code 2 ip -6 addr del 192.0.2.10/24 dev lan1
code 2 ip -6 neigh replace 192.0.2.77 lladdr 02:00:00:00:00:01 dev lan1
ip route | grep -q "^default via 192.0.2.99"
code 0 ip -4 addr add 192.0.2.11/24 dev lan1
code 0 ip route del default
code 1 ip route del default
"#,
    );
}
