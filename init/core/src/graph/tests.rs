//! Tables for the dependency graph: orders, cycles by name, unknown names.

use super::*;
use crate::parse::parse_description;

/// Services from names and lines of TOML, sorted as the supervisor does it.
fn loaded(services: &[(&str, &str)]) -> Vec<Loaded> {
    let mut loaded: Vec<Loaded> = services
        .iter()
        .map(|(name, lines)| {
            let name = ServiceName::new(name).unwrap();
            let text = format!("command = [\"/bin/x\"]\noutput = \"null\"\n{lines}");
            parse_description(&name, "f", &text.replace("output = \"null\"\nLOG", ""))
                .unwrap()
                .into()
        })
        .collect();
    loaded.sort_by(|a, b| a.name().cmp(b.name()));
    loaded
}

fn graph(services: &[(&str, &str)]) -> Graph {
    Graph::new(&loaded(services))
}

/// The order of single-letter services as a word.
fn word(services: &[(&str, &str)], ids: &[ServiceId]) -> String {
    let loaded = loaded(services);
    ids.iter().map(|id| loaded[id.0 as usize].name().as_str()).collect()
}

fn messages(services: &[(&str, &str)]) -> Vec<String> {
    let descriptions: Vec<ServiceDescription> =
        loaded(services).iter().filter_map(|one| one.description()).collect();
    let show = |one: &Problem| format!("{:?} {}: {}", one.severity, one.service, one.message);
    check(&descriptions).iter().map(show).collect()
}

#[test]
fn order_follows_every_kind_of_edge_and_then_the_name() {
    for (services, expected) in [
        (&[("a", ""), ("b", ""), ("c", "")][..], "abc"),
        (&[("a", "requires = [\"c\"]"), ("b", ""), ("c", "")], "bca"),
        (&[("a", "wants = [\"c\"]"), ("b", "after = [\"a\"]"), ("c", "")], "cab"),
        (
            &[("a", "requires = [\"b\"]\nafter = [\"b\"]"), ("b", "requires = [\"c\"]"), ("c", "")],
            "cba",
        ),
        (&[("a", "after = [\"gone\"]\nwants = [\"gone\"]"), ("b", "")], "ab"),
        // Services that can never be up have no place in the order.
        (&[("a", "requires = [\"gone\"]"), ("b", "requires = [\"a\"]"), ("c", "")], "c"),
    ] {
        let graph = graph(services);
        assert_eq!(word(services, &graph.start_order()), expected, "{services:?}");
        let backwards: String = expected.chars().rev().collect();
        assert_eq!(word(services, &graph.stop_order()), backwards);
    }
}

#[test]
fn a_cycle_is_named_member_by_member_and_the_rest_starts() {
    let services = &[
        ("a", "requires = [\"b\"]"),
        ("b", "wants = [\"c\"]"),
        ("c", "after = [\"a\"]"),
        ("d", "requires = [\"c\"]"),
        ("e", "wants = [\"c\"]"),
        ("f", ""),
    ];
    let graph = graph(services);
    assert_eq!(word(services, &graph.start_order()), "ef");
    for (index, (_, fault)) in graph.faults().iter().enumerate() {
        match (index, fault) {
            (0..=2, Fault::Cycle(members)) => assert_eq!(word(services, members), "abc"),
            (3, Fault::RequirementFailed(ServiceId(2))) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(messages(services), ["Error a: cycle: a -> b -> c -> a"]);
}

#[test]
fn every_cycle_of_a_knot_is_named() {
    // Two cycles through b, and x between them and a third one, on none.
    let services = &[
        ("a", "requires = [\"b\"]"),
        ("b", "requires = [\"a\", \"c\"]"),
        ("c", "requires = [\"b\", \"x\"]"),
        ("x", "wants = [\"y\"]"),
        ("y", "after = [\"z\"]"),
        ("z", "after = [\"y\"]"),
    ];
    let graph = graph(services);
    let on_cycle: Vec<ServiceId> = graph
        .faults()
        .iter()
        .filter(|(_, fault)| matches!(fault, Fault::Cycle(_)))
        .map(|(id, _)| *id)
        .collect();
    assert_eq!(word(services, &on_cycle), "abcyz");
    assert_eq!(graph.fault(ServiceId(3)), None, "x is on no cycle and wants softly");
    let messages = messages(services);
    for cycle in ["a -> b -> a", "b -> c -> b", "y -> z -> y"] {
        assert!(messages.iter().any(|one| one.ends_with(cycle)), "{cycle} in {messages:?}");
    }
}

#[test]
fn a_long_chain_needs_no_stack() {
    let names: Vec<String> = (0..20_000).map(|i| format!("s{i:05}")).collect();
    let chain: Vec<Loaded> = names
        .iter()
        .enumerate()
        .map(|(i, name)| {
            let name = ServiceName::new(name).unwrap();
            let next = names.get(i + 1).map(|next| format!("requires = [\"{next}\"]"));
            let text = format!("command = [\"/x\"]\n{}", next.unwrap_or_default());
            parse_description(&name, "f", &text).unwrap().into()
        })
        .collect();
    let graph = Graph::new(&chain);
    let order = graph.start_order();
    assert_eq!(order.first(), Some(&ServiceId(19_999)));
    assert_eq!(order.len(), 20_000);
}

#[test]
fn who_writes_the_log_follows_its_collector_but_for_what_that_needs() {
    let services = &[
        ("a", "LOG"),
        ("l", "log-collector = true\nrequires = [\"m\"]\nafter = [\"n\"]"),
        ("m", "LOGwants = [\"o\"]"),
        ("n", "LOG"),
        ("o", "LOG"),
        ("q", ""),
        ("t", "LOGterminal = \"console\""),
    ];
    let graph = graph(services);
    assert_eq!(graph.log_collector(), Some(ServiceId(1)));
    assert_eq!(word(services, graph.followed_by(ServiceId(1))), "a");
    assert_eq!(word(services, &graph.start_order()), "nomlaqt");
    assert!(graph.faults().is_empty());
}

#[test]
fn there_is_one_log_collector() {
    let services = &[("a", "log-collector = true"), ("b", "log-collector = true")];
    let graph = graph(services);
    assert_eq!(graph.log_collector(), Some(ServiceId(0)));
    assert_eq!(graph.fault(ServiceId(1)), Some(&Fault::SecondCollector(ServiceId(0))));
    assert_eq!(messages(services), ["Error b: \"a\" collects the log already"]);
}

#[test]
fn conflicts_hold_both_ways_and_what_contradicts_itself_never_starts() {
    let pair = graph(&[("a", "conflicts = [\"b\"]"), ("b", "")]);
    assert_eq!(pair.conflicts(ServiceId(1)), [ServiceId(0)]);
    assert!(pair.faults().is_empty());
    // a needs c, which excludes a's own requirement b; d needs a.
    let services = &[
        ("a", "requires = [\"b\", \"c\"]"),
        ("b", ""),
        ("c", "conflicts = [\"b\"]"),
        ("d", "requires = [\"a\"]"),
        ("e", "autostart = false\nconflicts = [\"b\"]"),
    ];
    let graph = graph(services);
    assert!(matches!(graph.fault(ServiceId(0)), Some(Fault::Excluded(_))));
    assert!(matches!(graph.fault(ServiceId(3)), Some(Fault::Excluded(_))));
    assert_eq!(graph.fault(ServiceId(1)), None);
    let both = "Error c: conflicts with \"b\", and both start at boot";
    assert!(messages(services).contains(&both.to_owned()));
}

#[test]
fn unknown_services_are_found_and_suggested() {
    let services = &[
        ("db", ""),
        (
            "web",
            "requires = [\"dp\"]\nwants = [\"cache\"]\nafter = [\"net\"]\nconflicts = [\"gone\"]",
        ),
    ];
    assert_eq!(
        messages(services),
        [
            "Error web: unknown service \"dp\" in \"requires\"",
            "Warning web: unknown service \"cache\" in \"wants\"",
            "Warning web: unknown service \"net\" in \"after\"",
        ]
    );
    let problems = check_loaded(loaded(services));
    let text = "command = [\"/x\"]\nrequires = [\"dp\"]\n";
    assert_eq!(
        problems[0].finding("web.toml", text).to_string(),
        "web.toml:2:13: unknown service \"dp\" in \"requires\"\n  hint: did you mean \"db\"?"
    );
}

#[test]
fn a_cycle_is_found_again_in_the_file_of_its_first_member() {
    let services = loaded(&[("a", "wants = [\"b\"]"), ("b", "requires = [\"a\"]")]);
    let problems = check_loaded(services);
    let found = problems[0].finding("a.toml", "command = [\"/x\"]\nwants = [\"b\"]\n");
    assert_eq!(found.to_string().lines().next().unwrap(), "a.toml:2:10: cycle: a -> b -> a");
}

#[test]
fn a_broken_neighbour_is_no_unknown_one() {
    let mut services = loaded(&[("a", "requires = [\"b\"]")]);
    let text = "b.toml:1:1: wrong".into();
    services.push(Loaded::Broken { name: ServiceName::new("b").unwrap(), text });
    let graph = Graph::new(&services);
    assert_eq!(graph.fault(ServiceId(0)), Some(&Fault::RequirementFailed(ServiceId(1))));
    assert_eq!(graph.fault(ServiceId(1)), Some(&Fault::BadDescription));
    assert_eq!(check_loaded(services), []);
}
