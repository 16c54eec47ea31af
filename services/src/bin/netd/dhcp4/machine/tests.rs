//! A client's life with servers good and bad, second by second.

use super::*;
use crate::dhcp4::lease::Times;

const ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 50);
const SERVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const OTHER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn lease(address: Ipv4Addr, server: Ipv4Addr, seconds: u32) -> Box<Lease> {
    Box::new(Lease {
        address,
        prefix_length: 24,
        server,
        since: Duration::ZERO,
        times: Times::new(seconds, None, None),
        routers: Vec::new(),
        routes: Vec::new(),
        dns: Vec::new(),
        ntp: Vec::new(),
        search: Vec::new(),
        hostname: None,
        mtu: None,
    })
}

impl Machine {
    fn ack(&mut self, server: Ipv4Addr, seconds: u32, now: Duration) -> Vec<Action> {
        let lease = lease(ADDRESS, server, seconds);
        self.step(Event::Message(Reply::Ack { transaction: self.transaction, lease }), now)
    }

    fn offer(&mut self, server: Ipv4Addr, now: Duration) -> Vec<Action> {
        let offer = Offer { address: ADDRESS, server };
        self.step(Event::Message(Reply::Offer { transaction: self.transaction, offer }), now)
    }

    fn nak(&mut self, server: Ipv4Addr, now: Duration) -> Vec<Action> {
        self.step(Event::Message(Reply::Nak { transaction: self.transaction, server }), now)
    }
}

/// What is sent among the actions, by name.
fn sent(actions: &[Action]) -> Vec<&'static str> {
    let name = |action: &Action| match action {
        Action::Send(outgoing) => Some(outgoing.name()),
        _ => None,
    };
    actions.iter().filter_map(name).collect()
}

fn dropped(actions: &[Action]) -> bool {
    actions.iter().any(|action| matches!(action, Action::Drop(_)))
}

/// A client with a lease of 80 s since second 0: T1 is 40 s, T2 70 s.
fn bound() -> Machine {
    let mut machine = Machine::new(7);
    assert_eq!(sent(&machine.step(Event::Connected, s(0))), ["discover"]);
    assert_eq!(sent(&machine.offer(SERVER, s(0))), ["request"]);
    let actions = machine.ack(SERVER, 80, s(0));
    assert!(matches!(actions[0], Action::Use(_)), "{actions:?}");
    assert_eq!(actions[1], Action::Probe(ADDRESS));
    assert_eq!((machine.state_name(), machine.deadline()), ("bound", Some(s(40))));
    machine
}

#[test]
fn a_lease_is_renewed_at_its_own_server_before_it_ends() {
    let mut machine = bound();
    assert_eq!(machine.step(Event::Time, s(39)), []);
    assert!(!machine.listens());
    let actions = machine.step(Event::Time, s(40));
    let [Action::Send(Outgoing::Extend { address, server, .. })] = actions[..] else {
        panic!("{actions:?}")
    };
    assert_eq!((address, server), (ADDRESS, Some(SERVER)));
    assert!(machine.listens());
    let actions = machine.ack(SERVER, 80, s(41));
    // The lease runs from the request on, and the address is not asked for again.
    assert!(matches!(&actions[..], [Action::Use(lease)] if lease.since == s(40)), "{actions:?}");
    assert_eq!((machine.state_name(), machine.deadline()), ("bound", Some(s(80))));
}

#[test]
fn a_lost_server_is_given_up_for_any_and_then_the_lease_expires() {
    let mut machine = bound();
    assert_eq!(sent(&machine.step(Event::Time, s(40))), ["renew"]);
    assert_eq!(machine.step(Event::Time, s(69)), []);
    assert_eq!(sent(&machine.step(Event::Time, s(70))), ["rebind"]);
    assert_eq!(machine.deadline(), Some(s(80)));
    assert_eq!(machine.step(Event::Time, s(79)), []);
    let actions = machine.step(Event::Time, s(80));
    assert_eq!(actions[0], Action::Drop("the lease has expired"));
    assert_eq!(sent(&actions), ["discover"]);
    assert!(machine.lease().is_none());
}

#[test]
fn any_server_may_rebind() {
    let mut machine = bound();
    machine.step(Event::Time, s(40));
    machine.step(Event::Time, s(70));
    machine.ack(OTHER, 80, s(71));
    assert_eq!(machine.lease().map(|lease| lease.server), Some(OTHER));
    assert_eq!(machine.state_name(), "bound");
}

#[test]
fn a_long_lease_is_not_asked_for_more_than_once_a_minute() {
    let mut machine = Machine::new(7);
    machine.step(Event::Connected, s(0));
    machine.offer(SERVER, s(0));
    machine.ack(SERVER, 8_000, s(0));
    let mut times = Vec::new();
    while let Some(at) = machine.deadline() {
        let actions = machine.step(Event::Time, at);
        times.push((at.as_secs(), sent(&actions)[0]));
        if dropped(&actions) {
            break;
        }
    }
    let expected = [
        (4_000, "renew"),
        (5_500, "renew"),
        (6_250, "renew"),
        (6_625, "renew"),
        (6_812, "renew"),
        (6_906, "renew"),
        (6_966, "renew"),
        (7_000, "rebind"),
        (7_500, "rebind"),
        (7_750, "rebind"),
        (7_875, "rebind"),
        (7_937, "rebind"),
        (7_997, "rebind"),
        (8_000, "discover"),
    ];
    assert_eq!(times, expected);
}

#[test]
fn no_ends_a_lease_at_once() {
    for until in [40, 70] {
        let mut machine = bound();
        machine.step(Event::Time, s(40));
        machine.step(Event::Time, s(until));
        let actions = machine.nak(SERVER, s(until));
        assert_eq!(actions[0], Action::Drop("the server says no"));
        assert_eq!(sent(&actions), ["discover"]);
    }
}

#[test]
fn no_to_a_request_means_to_begin_anew_after_a_pause() {
    let mut machine = Machine::new(7);
    machine.step(Event::Connected, s(0));
    machine.offer(SERVER, s(0));
    assert_eq!(machine.nak(OTHER, s(0)), [], "not the one that was asked");
    assert_eq!(machine.nak(SERVER, s(0)), []);
    assert_eq!(machine.step(Event::Time, s(0)), []);
    assert_eq!(sent(&machine.step(Event::Time, s(1))), ["discover"]);
}

#[test]
fn pauses_double_with_some_chance_until_a_minute() {
    let mut pauses = Vec::new();
    for seed in 0..20 {
        let mut machine = Machine::new(seed);
        machine.step(Event::Connected, s(0));
        let mut now = s(0);
        let mut own = Vec::new();
        for expected_s in [2, 4, 8, 16, 32, 64, 64, 64] {
            let next = machine.deadline().unwrap();
            let pause_ms = (next - now).as_millis();
            let expected_ms = u128::from(expected_s * 1000_u32);
            assert!((expected_ms - 1000..expected_ms + 1000).contains(&pause_ms), "{pause_ms}");
            assert_eq!(sent(&machine.step(Event::Time, next)), ["discover"]);
            own.push(pause_ms);
            now = next;
        }
        pauses.push(own);
    }
    pauses.sort();
    pauses.dedup();
    assert_eq!(pauses.len(), 20, "two clients keep step");
}

#[test]
fn a_server_that_does_not_answer_a_request_is_left() {
    let mut machine = Machine::new(7);
    machine.step(Event::Connected, s(0));
    let mut names = sent(&machine.offer(SERVER, s(0)));
    while names.last() != Some(&"discover") {
        let at = machine.deadline().unwrap();
        names.extend(sent(&machine.step(Event::Time, at)));
    }
    assert_eq!(names, ["request", "request", "request", "request", "discover"]);
}

#[test]
fn strangers_and_latecomers_are_not_heard() {
    let mut machine = Machine::new(7);
    machine.step(Event::Connected, s(0));
    let transaction = machine.transaction.wrapping_add(1);
    let offer = Offer { address: ADDRESS, server: SERVER };
    assert_eq!(machine.step(Event::Message(Reply::Offer { transaction, offer }), s(0)), []);
    assert_eq!(machine.ack(SERVER, 80, s(0)), [], "an Ack for a Discover");
    machine.offer(SERVER, s(0));
    assert_eq!(machine.offer(OTHER, s(0)), [], "a second offer");
    assert_eq!(machine.ack(OTHER, 80, s(0)), [], "an Ack from another server");
    machine.ack(SERVER, 80, s(0));
    assert_eq!(machine.nak(SERVER, s(1)), [], "a Nak while bound");
}

#[test]
fn after_the_cable_was_out_the_old_address_is_asked_for_again() {
    let mut machine = bound();
    assert_eq!(machine.step(Event::Disconnected, s(5)), []);
    assert!(machine.lease().is_some() && !machine.listens());
    let actions = machine.step(Event::Connected, s(9));
    let [Action::Send(Outgoing::Request { address: ADDRESS, server: None, .. })] = actions[..]
    else {
        panic!("{actions:?}")
    };
    assert_eq!(machine.state_name(), "rebooting");
    assert!(matches!(&machine.ack(SERVER, 80, s(9))[..], [Action::Use(_)]));
    assert_eq!(machine.deadline(), Some(s(49)));
}

#[test]
fn an_address_of_another_network_is_dropped_after_the_cable_was_moved() {
    let mut machine = bound();
    machine.step(Event::Disconnected, s(5));
    machine.step(Event::Connected, s(9));
    let actions = machine.nak(OTHER, s(9));
    assert_eq!(actions[0], Action::Drop("the server says no"));
    assert_eq!(sent(&actions), ["discover"]);
}

/// What a client sends by itself until its lease is over, and when.
fn sent_until_dropped(machine: &mut Machine) -> Vec<(u64, Vec<&'static str>)> {
    let mut times = Vec::new();
    while let Some(at) = machine.deadline() {
        let actions = machine.step(Event::Time, at);
        times.push((at.as_secs(), sent(&actions)));
        if dropped(&actions) {
            break;
        }
    }
    times
}

/// A client with a lease of `seconds` that nobody answers for since the cable came back.
fn replugged(seconds: u32) -> Machine {
    let mut machine = Machine::new(7);
    machine.step(Event::Connected, s(0));
    machine.offer(SERVER, s(0));
    machine.ack(SERVER, seconds, s(0));
    machine.step(Event::Disconnected, s(5));
    assert_eq!(sent(&machine.step(Event::Connected, s(9))), ["request"]);
    while machine.state_name() == "rebooting" {
        let at = machine.deadline().unwrap();
        machine.step(Event::Time, at);
    }
    assert_eq!(machine.state_name(), "selecting");
    machine
}

#[test]
fn a_silent_network_is_asked_until_the_old_address_expires() {
    let mut machine = bound();
    machine.step(Event::Disconnected, s(5));
    machine.step(Event::Connected, s(9));
    let mut sent = Vec::new();
    for (at, names) in sent_until_dropped(&mut machine) {
        sent.extend(names.into_iter().map(|name| (at, name)));
    }
    let names: Vec<_> = sent.iter().map(|(_, name)| *name).collect();
    let expected = [
        "request", "discover", "discover", "discover", "discover", "discover", "renew", "discover",
        "rebind", "discover",
    ];
    assert_eq!(names, expected, "{sent:?}");
    let at = |wanted| sent.iter().find(|(_, name)| *name == wanted).map(|(at, _)| *at);
    assert_eq!((at("renew"), at("rebind")), (Some(40), Some(70)));
}

#[test]
fn a_long_lease_is_not_relied_on_in_a_silent_network() {
    let times = sent_until_dropped(&mut replugged(86_400));
    let pauses = times.windows(2).map(|pair| pair[1].0 - pair[0].0);
    assert!(pauses.max() <= Some(66));
    let first =
        |name: &str| times.iter().find(|(_, names)| names.contains(&name)).map(|(at, _)| *at);
    assert_eq!((first("renew"), first("rebind")), (Some(43_200), Some(75_600)));
}

#[test]
fn a_server_of_another_network_takes_the_old_address_place() {
    let mut machine = replugged(86_400);
    assert_eq!(sent(&machine.offer(OTHER, s(20))), ["request"]);
    assert!(machine.lease().is_some(), "kept until the other one is granted");
    let other = lease(Ipv4Addr::new(198, 51, 100, 7), OTHER, 80);
    let reply = Reply::Ack { transaction: machine.transaction, lease: other.clone() };
    let actions = machine.step(Event::Message(reply), s(21));
    assert!(dropped(&actions), "{actions:?}");
    assert_eq!(machine.lease().map(|lease| lease.address), Some(other.address));
    assert_eq!((machine.state_name(), machine.deadline()), ("bound", Some(s(60))));
}

#[test]
fn no_to_an_extension_beside_the_search_ends_the_lease() {
    let mut machine = replugged(80);
    assert_eq!(machine.ack(OTHER, 80, s(20)), [], "nothing was asked yet");
    assert_eq!(machine.nak(OTHER, s(20)), [], "nothing was asked yet");
    while machine.deadline() < Some(s(41)) {
        let at = machine.deadline().unwrap();
        machine.step(Event::Time, at);
    }
    assert!(dropped(&machine.nak(SERVER, s(41))));
}

#[test]
fn a_lease_counts_from_the_request_that_was_answered() {
    let mut machine = Machine::new(7);
    machine.step(Event::Connected, s(0));
    while machine.deadline() < Some(s(7_200)) {
        let at = machine.deadline().unwrap();
        assert_eq!(sent(&machine.step(Event::Time, at)), ["discover"]);
    }
    machine.offer(SERVER, s(7_200));
    machine.ack(SERVER, 600, s(7_201));
    assert_eq!((machine.state_name(), machine.deadline()), ("bound", Some(s(7_500))));
    assert_eq!(machine.step(Event::Time, s(7_202)), []);
}

#[test]
fn a_late_extension_counts_from_the_last_request() {
    let mut machine = Machine::new(7);
    machine.step(Event::Connected, s(0));
    machine.offer(SERVER, s(0));
    machine.ack(SERVER, 8_000, s(0));
    for at in [4_000, 5_500] {
        assert_eq!(sent(&machine.step(Event::Time, s(at))), ["renew"]);
    }
    machine.ack(SERVER, 600, s(5_501));
    assert_eq!(machine.deadline(), Some(s(5_800)));
}

#[test]
fn a_lease_expires_without_a_cable_too() {
    let mut machine = bound();
    machine.step(Event::Disconnected, s(5));
    assert_eq!(machine.deadline(), Some(s(80)));
    assert!(dropped(&machine.step(Event::Time, s(80))));
    assert_eq!(machine.deadline(), None);
    assert_eq!(sent(&machine.step(Event::Connected, s(100))), ["discover"]);
}

#[test]
fn an_address_that_is_taken_is_declined() {
    let mut machine = bound();
    let actions = machine.step(Event::Conflict, s(1));
    assert_eq!(sent(&actions), ["decline"]);
    assert!(dropped(&actions));
    assert_eq!(machine.step(Event::Time, s(10)), []);
    assert_eq!(sent(&machine.step(Event::Time, s(11))), ["discover"]);

    let mut machine = bound();
    assert_eq!(machine.step(Event::Conflict, s(10)), [], "long in use: the other one is wrong");
}

#[test]
fn a_lease_is_given_back() {
    let mut machine = bound();
    let actions = machine.step(Event::Release, s(1));
    assert_eq!(sent(&actions), ["release"]);
    assert!(dropped(&actions));
    assert_eq!((machine.deadline(), machine.lease()), (None, None));
    assert_eq!(Machine::new(1).step(Event::Release, s(0)), []);
}

#[test]
fn a_person_may_have_it_renewed_early() {
    let mut machine = bound();
    assert_eq!(sent(&machine.step(Event::Renew, s(5))), ["renew"]);
    machine.ack(SERVER, 80, s(5));
    assert_eq!(machine.deadline(), Some(s(45)));
}

#[test]
fn a_lease_for_ever_needs_nothing_more() {
    let mut machine = Machine::new(7);
    machine.step(Event::Connected, s(0));
    machine.offer(SERVER, s(0));
    machine.ack(SERVER, u32::MAX, s(0));
    assert_eq!(machine.deadline(), None);
    assert_eq!(machine.step(Event::Time, s(1_000_000)), []);
    machine.step(Event::Renew, s(1_000_000));
    assert_eq!(machine.deadline(), Some(s(1_000_060)));
}
