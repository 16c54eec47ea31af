//! Tables for choosing and showing processes.

use services::failure::Code;

use super::*;

fn process(pid: i32, uid: u32, tty: Option<&str>, name: &str) -> Process {
    Process {
        pid,
        ppid: i32::from(pid != 1),
        pgid: pid,
        sid: if pid == 7 { 5 } else { pid },
        tty: tty.map(str::to_owned),
        uid,
        state: 'S',
        name: name.to_owned(),
        arguments: vec![format!("/bin/{name}"), "-x".to_owned()],
        ..Process::default()
    }
}

fn snapshot() -> Snapshot {
    Snapshot {
        processes: vec![
            process(1, 0, None, "init"),
            process(5, 1000, Some("ttyS0"), "sh"),
            process(7, 1000, Some("ttyS0"), "vi"),
            process(12, 1000, None, "agent"),
            process(300, 77, Some("pts/1"), "sh"),
        ],
        ticks_per_s: 100,
        uptime_s: 100.0,
        users: [(0, "root".to_owned()), (1000, "anna".to_owned())].into(),
        ..Snapshot::default()
    }
}

fn parse(line: &str) -> Result<Option<Arguments>> {
    arguments::parse(line.split_whitespace().map(OsString::from).collect())
}

#[test]
fn processes_are_chosen_as_posix_and_the_bsds_do() {
    let snapshot = snapshot();
    let here = Here { uid: 1000, tty: Some("ttyS0".to_owned()) };
    for (line, pids) in [
        ("", &[5, 7][..]),
        ("-e", &[1, 5, 7, 12, 300]),
        ("-A", &[1, 5, 7, 12, 300]),
        ("aux", &[1, 5, 7, 12, 300]),
        ("ax", &[1, 5, 7, 12, 300]),
        ("-aux", &[1, 5, 7, 12, 300]),
        ("-auxww", &[1, 5, 7, 12, 300]),
        ("a", &[5, 7, 300]),
        ("x", &[5, 7, 12]),
        ("-a", &[7]),
        ("-d", &[7]),
        ("-p 1,12", &[1, 12]),
        ("1 12", &[1, 12]),
        ("-p 9999", &[]),
        ("--ppid 1", &[5, 7, 12, 300]),
        ("-u anna", &[5, 7, 12]),
        ("-u 77", &[300]),
        ("-t pts/1", &[300]),
        ("-t /dev/pts/1", &[300]),
        ("-C sh", &[5, 300]),
        ("-C sh -p 1", &[1, 5, 300]),
    ] {
        let arguments = parse(line).unwrap().unwrap();
        let wanted = |process: &&Process| {
            arguments.choices.iter().any(|choice| chosen(choice, process, &snapshot, &here))
        };
        let found: Vec<i32> =
            snapshot.processes.iter().filter(wanted).map(|process| process.pid).collect();
        assert_eq!(found, pids, "ps {line}");
    }
}

#[test]
fn columns_are_as_wide_as_what_is_in_them() {
    let snapshot = snapshot();
    let processes: Vec<&Process> = snapshot.processes.iter().collect();
    let show = |line: &str, width| {
        let arguments = parse(line).unwrap().unwrap();
        table(&arguments.columns, &processes[..2], &snapshot, arguments.headings, width)
    };
    assert_eq!(
        show("-o pid,user=WHO,args", None),
        "PID WHO  COMMAND\n  1 root /bin/init -x\n  5 anna /bin/sh -x\n"
    );
    assert_eq!(show("-o pid= -o comm=", None), "1 init\n5 sh\n");
    assert_eq!(show("--no-headers -o tty,pid", None), "?     1\nttyS0 5\n");
    assert_eq!(show("-o pid,args", Some(9)), "PID COMMA\n  1 /bin/\n  5 /bin/\n");
    assert!(show("-f", None).starts_with("UID "));
    assert!(show("u", None).starts_with("USER"));
    assert!(show("-aux", None).starts_with("USER"));
}

#[test]
fn programs_get_numbers_as_numbers() {
    let snapshot = snapshot();
    let processes: Vec<&Process> = snapshot.processes.iter().take(1).collect();
    let arguments = parse("-o pid,user,rss,args --json").unwrap().unwrap();
    let value = json(&arguments.columns, &processes, &snapshot);
    assert_eq!(
        value,
        serde_json::json!([{"pid": 1, "user": "root", "rss": 0, "args": ["/bin/init", "-x"]}])
    );
}

#[test]
fn what_cannot_be_is_a_wrong_command_line() {
    for line in ["-o nonsense", "--sort nonsense", "-p zero", "-p 0", "auq", "--nonsense", "-p"] {
        match parse(line) {
            Err(Failure::Problem(Code::Usage, _)) => {}
            other => panic!("ps {line}: {other:?}"),
        }
    }
}

#[test]
fn an_empty_list_is_a_wrong_command_line() {
    for option in ["-p", "-C", "-u", "-U", "-t", "--pid", "--ppid", "--user", "--tty"] {
        for list in ["", ",", " "] {
            let words = [option, list].map(OsString::from).to_vec();
            let failed = arguments::parse(words).unwrap_err();
            assert!(matches!(failed, Failure::Problem(Code::Usage, _)), "{option} {list:?}");
        }
    }
}
