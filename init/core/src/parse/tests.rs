//! Tables for the description parser: what is taken, and every finding with its place.

use super::*;
use crate::description::Attributes;

fn parse(text: &str) -> Result<ServiceDescription, Vec<String>> {
    parse_description(&ServiceName::new("web").unwrap(), "web.toml", text)
        .map_err(|findings| findings.iter().map(ToString::to_string).collect())
}

/// The findings of a file that has a good command besides `line`, without the
/// hints; `line` is the second line.
fn complaints(line: &str) -> Vec<String> {
    let text = format!("command = [\"/bin/web\"]\n{line}\n");
    let findings = parse(&text).expect_err(line);
    findings.iter().map(|one| one.lines().next().unwrap().to_owned()).collect()
}

#[test]
fn the_shortest_description_has_the_documented_defaults() {
    let web = parse("command = [\"/bin/web\"]").unwrap();
    assert_eq!(web.name.as_str(), "web");
    assert_eq!(&*web.command, ["/bin/web".into()]);
    assert_eq!(web.kind, ServiceKind::Daemon);
    assert!(web.autostart && !web.log_collector);
    assert_eq!(web.readiness, Readiness::Started);
    assert_eq!(web.restart, RestartPolicy::OnFailure);
    assert_eq!(web.restart_delay, Duration::from_millis(200));
    assert_eq!(web.restart_delay_max, Duration::from_secs(30));
    assert_eq!(web.start_limit, StartLimit { count: 5, within: Duration::from_secs(10) });
    assert_eq!(web.start_timeout, Duration::from_secs(30));
    assert_eq!(web.stop_timeout, Duration::from_secs(10));
    assert_eq!(web.stop_signal, Signal::TERM);
    assert_eq!((web.user, web.group), (None, None));
    assert_eq!(&*web.working_directory, "/");
    assert_eq!(web.output, Output::Log);
    assert_eq!((web.terminal, web.limits), (None, Limits::default()));
    let once = parse("command = [\"/bin/web\"]\ntype = \"oneshot\"").unwrap();
    assert_eq!(once.readiness, Readiness::Exit);
    let collector = parse("command = [\"/bin/web\"]\nlog-collector = true").unwrap();
    assert_eq!(collector.output, Output::Console);
}

#[test]
fn every_key_is_read() {
    let web = parse(
        r#"
        description = "Serves"
        command = ["/bin/web", "--port", "80"]
        type = "daemon"
        autostart = false
        requires = ["db"]
        wants = ["cache"]
        after = ["net"]
        conflicts = ["other"]
        readiness = "notify"
        restart = "always"
        restart-delay = "0s"
        restart-delay-max = "1min"
        start-limit = { count = 3, within = "1s" }
        start-timeout = "infinity"
        stop-timeout = "0s"
        stop-signal = "INT"
        user = "web"
        group = "1000"
        environment = { Z = "1", A = "2" }
        working-directory = "/var/web"
        umask = "027"
        nice = -5
        oom-score-adjust = 500
        output = "null"
        [limits]
        memory-max = "64MiB"
        tasks-max = 32
        open-files = "unlimited"
        core = 0
        stack = "8MiB"
        address-space = "1GiB"
        cpu-time = "1min"
        file-size = "512KiB"
        locked-memory = 65536
        processes = 7
        "#,
    )
    .unwrap();
    assert_eq!(&*web.description, "Serves");
    assert_eq!(web.command.len(), 3);
    assert!(!web.autostart);
    let first = |names: &[ServiceName]| names.first().unwrap().as_str().to_owned();
    assert_eq!(first(&web.requires), "db");
    assert_eq!(first(&web.wants), "cache");
    assert_eq!(first(&web.after), "net");
    assert_eq!(first(&web.conflicts), "other");
    assert_eq!((web.readiness, web.restart), (Readiness::Notify, RestartPolicy::Always));
    assert_eq!((web.start_timeout, web.stop_timeout), (Duration::MAX, Duration::ZERO));
    assert_eq!(
        (web.restart_delay, web.restart_delay_max),
        (Duration::ZERO, Duration::from_secs(60))
    );
    assert_eq!(web.start_limit, StartLimit { count: 3, within: Duration::from_secs(1) });
    assert_eq!(web.stop_signal, Signal(2));
    assert_eq!((web.user.as_deref(), web.group.as_deref()), (Some("web"), Some("1000")));
    let environment: Vec<_> = web.environment.iter().map(|(name, _)| &**name).collect();
    assert_eq!(environment, ["Z", "A"], "the order of the file");
    assert_eq!((&*web.working_directory, web.output), ("/var/web", Output::Null));
    assert_eq!((web.limits.memory_max_bytes, web.limits.tasks_max), (Some(64 << 20), Some(32)));
    assert_eq!(
        &*web.limits.rlimits,
        [
            (Resource::AddressSpace, 1 << 30),
            (Resource::Core, 0),
            (Resource::Cpu, 60),
            (Resource::FileSize, 512 << 10),
            (Resource::LockedMemory, 65536),
            (Resource::OpenFiles, u64::MAX),
            (Resource::Processes, 7),
            (Resource::Stack, 8 << 20),
        ]
    );
    let attributes = Attributes { umask: 0o27, nice: -5, oom_score_adjust: 500 };
    assert_eq!(web.attributes, attributes);
    let getty = parse("command = [\"/bin/getty\"]\nterminal = \"console\"").unwrap();
    assert_eq!(getty.terminal.as_deref(), Some("/dev/console"));
}

#[test]
fn users_and_groups_are_names_or_numbers() {
    for (written, read) in [
        ("\"web\"", "web"),
        ("\"1000\"", "1000"),
        ("0", "0"),
        ("1_000", "1000"),
        ("0x10", "16"),
        ("4294967294", "4294967294"),
    ] {
        let text = format!("command = [\"/bin/web\"]\nuser = {written}\ngroup = {written}\n");
        let web = parse(&text).unwrap();
        assert_eq!((web.user.as_deref(), web.group.as_deref()), (Some(read), Some(read)));
    }
}

#[test]
fn one_mistake_one_finding_at_its_place() {
    for (line, expected) in [
        ("comand = []", "web.toml:2:1: unknown key \"comand\""),
        ("sandbox = {}", "web.toml:2:1: unknown key \"sandbox\""),
        ("limits = { memory = 1 }", "web.toml:2:12: unknown key \"limits.memory\""),
        ("autostart = 1", "web.toml:2:13: \"autostart\" wants true or false, not a number"),
        ("user = [1]", "web.toml:2:8: \"user\" wants a name or a number, not a list"),
        (
            "user = 1.5",
            "web.toml:2:8: \"user\" wants a name or a number, not a number with a fraction",
        ),
        ("user = -1", "web.toml:2:8: \"user\" is from 0 to 4294967294"),
        ("group = 4294967295", "web.toml:2:9: \"group\" is from 0 to 4294967294"),
        ("user = \"4294967295\"", "web.toml:2:8: \"user\": \"4294967295\" is no name of a user"),
        ("user = \"a:b\"", "web.toml:2:8: \"user\": \"a:b\" is no name of a user"),
        ("umask = \"778\"", "web.toml:2:9: \"umask\": \"778\" is no umask"),
        ("umask = \"+7\"", "web.toml:2:9: \"umask\": \"+7\" is no umask"),
        ("umask = \"1777\"", "web.toml:2:9: \"umask\": \"1777\" is no umask"),
        ("umask = 22", "web.toml:2:9: \"umask\" wants a string, not a number"),
        ("nice = -21", "web.toml:2:8: \"nice\" is from -20 to 19"),
        ("nice = \"5\"", "web.toml:2:8: \"nice\" wants a whole number, not a string"),
        ("oom-score-adjust = 1001", "web.toml:2:20: \"oom-score-adjust\" is from -1000 to 1000"),
        ("type = \"deamon\"", "web.toml:2:8: \"type\" cannot be \"deamon\""),
        ("requires = \"db\"", "web.toml:2:12: \"requires\" wants a list of strings, not a string"),
        ("requires = [\"db\", 1]", "web.toml:2:19: \"requires\" wants a string, not a number"),
        ("requires = [\"db\", \"db\"]", "web.toml:2:19: \"requires\" names \"db\" twice"),
        ("after = [\"web\"]", "web.toml:2:10: \"after\" names the service itself"),
        (
            "wants = [\"../x\"]",
            "web.toml:2:10: \"wants\": \"../x\": '.' cannot stand there in a service name (a-z, 0-9, - and _, a letter or digit first)",
        ),
        (
            "restart-delay = 5",
            "web.toml:2:17: \"restart-delay\" wants a duration with a unit in quotes",
        ),
        ("stop-timeout = \"5\"", "web.toml:2:16: \"stop-timeout\": \"5\" has no unit"),
        (
            "stop-timeout = \"5m\"",
            "web.toml:2:16: \"stop-timeout\": \"5m\" has no unit that is known",
        ),
        ("stop-timeout = \"soon\"", "web.toml:2:16: \"stop-timeout\": \"soon\" is no duration"),
        (
            "stop-timeout = \"infinity\"",
            "web.toml:2:16: \"stop-timeout\": \"infinity\" is no duration",
        ),
        (
            "start-timeout = \"0s\"",
            "web.toml:2:17: \"start-timeout\" cannot be zero: nothing is ready at once",
        ),
        (
            "limits = { memory-max = \"64MB\" }",
            "web.toml:2:25: \"limits.memory-max\": \"64MB\" has no unit that is known",
        ),
        ("limits = { memory-max = 0 }", "web.toml:2:25: \"limits.memory-max\" cannot be zero"),
        (
            "limits = { tasks-max = 0 }",
            "web.toml:2:24: \"limits.tasks-max\" is from 1 to 4294967295",
        ),
        ("limits = { open-files = -1 }", "web.toml:2:25: \"limits.open-files\" is at least 0"),
        (
            "limits = { cpu-time = \"100ms\" }",
            "web.toml:2:23: \"limits.cpu-time\" is a whole number of seconds, at least 1",
        ),
        ("limits = 1", "web.toml:2:10: \"limits\" wants a table, not a number"),
        ("stop-signal = \"SIGTREM\"", "web.toml:2:15: \"stop-signal\": \"SIGTREM\" is no signal"),
        ("stop-signal = \"STOP\"", "web.toml:2:15: \"stop-signal\": SIGSTOP ends no process"),
        ("start-limit = { count = 0 }", "web.toml:2:25: \"start-limit.count\" is from 1 to 1000"),
        (
            "start-limit = { within = \"0s\" }",
            "web.toml:2:26: \"start-limit.within\" cannot be zero: no number of starts would be too many",
        ),
        ("start-limit = { times = 1 }", "web.toml:2:17: unknown key \"start-limit.times\""),
        (
            "environment = { \"A=B\" = \"1\" }",
            "web.toml:2:17: \"A=B\" is no name of an environment variable",
        ),
        (
            "environment = { \"\" = \"1\" }",
            "web.toml:2:17: \"\" is no name of an environment variable",
        ),
        (
            "environment = { A = 1 }",
            "web.toml:2:21: \"environment.A\" wants a string, not a number",
        ),
        (
            "environment = { A = \"\\u0000\" }",
            "web.toml:2:21: \"environment.A\" contains a NUL byte",
        ),
        (
            "working-directory = \"tmp\"",
            "web.toml:2:21: \"working-directory\": \"tmp\" is no absolute path",
        ),
        ("terminal = \"ttyS0\"", "web.toml:2:12: \"terminal\": \"ttyS0\" is no terminal device"),
        (
            "description = \"a\\nb\"",
            "web.toml:2:15: \"description\" is one line of at most 200 bytes",
        ),
        (
            "restart = \"always\"\ntype = \"oneshot\"",
            "web.toml:2:11: a oneshot cannot have restart = \"always\": it is meant to end",
        ),
        (
            "readiness = \"notify\"\ntype = \"oneshot\"",
            "web.toml:2:13: a oneshot is ready when it has exited, and in no other way",
        ),
        (
            "readiness = \"exit\"",
            "web.toml:2:13: a daemon cannot have readiness = \"exit\": it is meant to stay",
        ),
        (
            "log-collector = true\ntype = \"oneshot\"",
            "web.toml:2:17: a oneshot cannot collect the log",
        ),
        (
            "log-collector = true\noutput = \"log\"",
            "web.toml:3:10: the log collector cannot send its own output to itself",
        ),
        (
            "terminal = \"console\"\noutput = \"log\"",
            "web.toml:3:10: \"output\" and \"terminal\" exclude each other",
        ),
        (
            "restart-delay = \"31s\"",
            "web.toml:2:17: \"restart-delay\" is longer than \"restart-delay-max\"",
        ),
        (
            "restart-delay-max = \"0s\"",
            "web.toml:2:21: \"restart-delay\" is longer than \"restart-delay-max\"",
        ),
        (
            "requires = [\"db\"]\nconflicts = [\"db\"]",
            "web.toml:3:14: \"db\" is in \"requires\" and in \"conflicts\"",
        ),
        (
            "wants = [\"db\"]\nconflicts = [\"db\"]",
            "web.toml:3:14: \"db\" is in \"wants\" and in \"conflicts\"",
        ),
        ("type = \"deamon\"\nreadiness = \"exit\"", "web.toml:2:8: \"type\" cannot be \"deamon\""),
    ] {
        assert_eq!(complaints(line), [expected], "{line}");
    }
}

#[test]
fn a_command_is_a_list_with_an_absolute_program() {
    for (text, expected) in [
        ("", "web.toml:1:1: \"command\" is missing"),
        ("command = []", "web.toml:1:11: \"command\" is empty"),
        (
            "command = \"/bin/web\"",
            "web.toml:1:11: \"command\" wants a list of strings, not a string",
        ),
        ("command = 1", "web.toml:1:11: \"command\" wants a list of strings, not a number"),
        (
            "command = [\"web\"]",
            "web.toml:1:12: \"command\": \"web\" is no absolute path of a program",
        ),
        ("command = [\"\"]", "web.toml:1:12: \"command\": \"\" is no absolute path of a program"),
        (
            "command = [\"/bin/\"]",
            "web.toml:1:12: \"command\": \"/bin/\" is no absolute path of a program",
        ),
        ("command = [\"/bin/a\\u0000b\"]", "web.toml:1:12: \"command\" contains a NUL byte"),
    ] {
        let findings = parse(text).expect_err(text);
        let first: Vec<_> = findings.iter().map(|one| one.lines().next().unwrap()).collect();
        assert_eq!(first, [expected], "{text}");
    }
}

#[test]
fn all_findings_come_at_once_in_the_order_of_the_file() {
    let findings = parse("restrat = 1\ncommand = [\"web\"]\nuser = -7\n[limits]\ncore = \"1kB\"\n");
    let findings = findings.unwrap_err();
    let places: Vec<_> = findings.iter().map(|one| one.split(": ").next().unwrap()).collect();
    assert_eq!(places, ["web.toml:1:1", "web.toml:2:12", "web.toml:3:8", "web.toml:5:8"]);
    assert!(findings.first().unwrap().ends_with("\n  hint: did you mean \"restart\"?"));
}

#[test]
fn broken_syntax_has_places_too() {
    for text in ["command = [", "= 1", "a = 1\na = 2", "\u{0}", "[limits", "a = \"\\q\""] {
        let findings = parse(text).expect_err(text);
        assert!(findings.iter().all(|one| one.starts_with("web.toml:")), "{findings:?}");
    }
    let name = ServiceName::new("web").unwrap();
    let findings = parse_description_bytes(&name, "f", b"a = 1\nb = \"\xff\"").unwrap_err();
    assert_eq!(findings.first().unwrap().to_string(), "f:2:6: the file is not UTF-8");
    let mut cut = vec![b' '; DESCRIPTION_BYTES_MAX];
    cut.push(0xc3);
    let findings = parse_description_bytes(&name, "f", &cut).unwrap_err();
    assert_eq!(findings.first().unwrap().to_string(), "f:1:1: the file is larger than 64 KiB");
    let large = " ".repeat(DESCRIPTION_BYTES_MAX + 1);
    assert_eq!(parse(&large).unwrap_err(), ["web.toml:1:1: the file is larger than 64 KiB"]);
}

#[test]
fn a_value_is_found_again_for_the_graph() {
    let text = "command = [\"/bin/web\"]\nrequires = [\"db\",\n  \"net\"]\n";
    assert_eq!(locate("f", text, "requires", Some("net")).to_string(), "f:3:3");
    assert_eq!(locate("f", text, "requires", Some("gone")).to_string(), "f:2:1");
    assert_eq!(locate("f", text, "requires", None).to_string(), "f:2:1");
    assert_eq!(locate("f", text, "wants", None).to_string(), "f:1:1");
}

#[test]
fn the_key_table_and_the_parser_agree() {
    // Every key of the table gets past the check for unknown keys; a key the
    // parser reads that the table lacks would fail every test above.
    for key in KEYS.iter().filter(|key| !key.name.contains('.')) {
        let findings = parse(&format!("{} = 1979-05-27", key.name)).expect_err(key.name);
        assert!(findings.iter().all(|one| !one.contains("unknown key")), "{findings:?}");
        assert!(findings.iter().any(|one| one.contains(key.name)), "{}: {findings:?}", key.name);
    }
    for (section, rest) in KEYS.iter().filter_map(|key| key.name.split_once('.')) {
        let text = format!("command = [\"/a\"]\n{section} = {{ {rest} = 1979-05-27 }}");
        let findings = parse(&text).expect_err(rest);
        assert!(findings.iter().all(|one| !one.contains("unknown key")), "{findings:?}");
        assert!(findings.iter().any(|one| one.contains(rest)), "{rest}: {findings:?}");
    }
}
