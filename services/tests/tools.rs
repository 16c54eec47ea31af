//! The small programs: `getty`, `idle`, `bareinit`, `spawnbench` and `misbehave`.

#![expect(clippy::unwrap_used, reason = "a test ends where it fails")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

const GETTY: &str = env!("CARGO_BIN_EXE_getty");
const IDLE: &str = env!("CARGO_BIN_EXE_idle");
const BAREINIT: &str = env!("CARGO_BIN_EXE_bareinit");
const SPAWNBENCH: &str = env!("CARGO_BIN_EXE_spawnbench");
const MISBEHAVE: &str = env!("CARGO_BIN_EXE_misbehave");

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap(), signal).unwrap();
}

/// A terminal: the person's end and the program's end.
fn terminal() -> (fs::File, fs::File) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap();
    let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NOCTTY;
    let slave = rustix::fs::open(&*name, flags, rustix::fs::Mode::empty()).unwrap();
    (master.into(), slave.into())
}

/// A getty on a terminal whose last session left it in raw mode.
fn getty(arguments: &[&str]) -> (fs::File, Child) {
    let (person, slave) = terminal();
    let mut raw = rustix::termios::tcgetattr(&slave).unwrap();
    raw.make_raw();
    rustix::termios::tcsetattr(&slave, rustix::termios::OptionalActions::Now, &raw).unwrap();
    let mut command = Command::new(GETTY);
    command.args(["--autologin", "root"]).args(arguments).env("NOTIFY_SOCKET", "/nowhere");
    (person, start_on(slave, command))
}

/// Starts a program on the program's end of a terminal, which nobody else
/// holds afterwards: the command is taken, as it keeps what it was given.
fn start_on(slave: fs::File, mut command: Command) -> Child {
    command
        .env("PS1", "# ")
        .stdin(slave.try_clone().unwrap())
        .stdout(slave.try_clone().unwrap())
        .stderr(slave)
        .spawn()
        .unwrap()
}

/// Reads what the terminal shows until it ends with `end`.
fn read_until(person: &mut fs::File, end: &str) -> String {
    let mut seen = Vec::new();
    let mut byte = [0];
    while !seen.ends_with(end.as_bytes()) {
        person.read_exact(&mut byte).unwrap();
        seen.extend(byte);
    }
    String::from_utf8_lossy(&seen).into_owned()
}

fn read_to_end(person: &mut fs::File) -> String {
    let mut seen = Vec::new();
    // Ends with an error when the last process has closed its end.
    let _ = person.read_to_end(&mut seen);
    String::from_utf8_lossy(&seen).into_owned()
}

/// Home and shell of root, as the host has them.
fn root_account() -> (String, String) {
    let passwd = fs::read_to_string("/etc/passwd").unwrap();
    let root = passwd.lines().find(|line| line.starts_with("root:")).unwrap();
    let fields: Vec<_> = root.split(':').collect();
    (fields[5].to_owned(), fields[6].rsplit('/').next().unwrap().to_owned())
}

#[test]
fn getty_opens_a_session_with_a_sane_terminal_and_environment() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root can hand a terminal over");
        return;
    }
    let (mut person, mut child) = getty(&["--term", "vt100"]);
    let banner = read_until(&mut person, "\x1b[6n");
    assert!(banner.contains("this is a development image.\r\n"), "{banner:?}");
    person.write_all(b"\x1b[33;101R").unwrap();
    // The prompt of root's shell: the settings are back in place before it runs.
    read_until(&mut person, "# ");
    let question =
        "echo \"<$USER $LOGNAME $HOME $TERM $0 ${NOTIFY_SOCKET-none} $PWD>\"; stty size; exit 5\r";
    person.write_all(question.as_bytes()).unwrap();
    let seen = read_to_end(&mut person);
    assert_eq!(child.wait().unwrap().code(), Some(5), "{seen}");
    let (home, shell) = root_account();
    let answer = format!("<root root {home} vt100 -{shell} none {home}>\r\n");
    assert!(seen.contains(&answer), "{answer:?} is not in {seen:?}");
    assert!(seen.contains("\n33 101\r\n"), "{seen:?}");
}

#[test]
fn getty_waits_for_somebody_where_nothing_answers() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root can hand a terminal over");
        return;
    }
    let (mut person, mut child) = getty(&[]);
    read_until(&mut person, "Press Enter to begin a session.\r\n");
    std::thread::sleep(Duration::from_millis(100));
    assert!(child.try_wait().unwrap().is_none());
    person.write_all(b"\recho \"<$TERM>\"; exit\r").unwrap();
    let seen = read_to_end(&mut person);
    assert!(child.wait().unwrap().success(), "{seen}");
    assert!(seen.contains("<dumb>\r\n"), "{seen:?}");
}

#[test]
fn getty_asks_a_terminal_for_its_size_at_each_session() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root can hand a terminal over");
        return;
    }
    for (answer, size) in [("\x1b[33;101R", "33 101"), ("", "24 80")] {
        let (mut person, slave) = terminal();
        let former =
            rustix::termios::Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        rustix::termios::tcsetwinsize(&slave, former).unwrap();
        let mut command = Command::new(GETTY);
        command.args(["--autologin", "root"]);
        let mut child = start_on(slave, command);
        read_until(&mut person, "\x1b[6n");
        person.write_all(answer.as_bytes()).unwrap();
        // Nobody is asked to press Enter where the size is known.
        let seen = read_until(&mut person, "# ");
        assert!(!seen.contains("Press Enter"), "{seen:?}");
        person.write_all(b"echo \"<$(stty size) $TERM>\"; exit\r").unwrap();
        let seen = read_to_end(&mut person);
        assert!(seen.contains(&format!("<{size} vt220>\r\n")), "{seen:?}");
        assert!(child.wait().unwrap().success(), "{seen}");
    }
}

#[test]
fn getty_takes_the_terminal_from_whoever_had_it() {
    use rustix::fs::{Mode, OFlags, fchmod, open};
    use std::os::unix::fs::{MetadataExt, fchown};
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root can take a terminal");
        return;
    }
    let (mut person, slave) = terminal();
    let name = ptsname(&person, Vec::new()).unwrap();
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK;
    let mut left: fs::File = open(&*name, flags, Mode::empty()).unwrap().into();
    fchown(&slave, Some(12345), Some(12345)).unwrap();
    fchmod(&slave, Mode::from_raw_mode(0o666)).unwrap();
    let mut command = Command::new("setsid");
    command.args(["-c", GETTY, "--autologin", "root", "--term", "vt100"]);
    let mut child = start_on(slave, command);
    let banner = read_until(&mut person, "\x1b[6n");
    assert!(!banner.contains("warning"), "{banner}");
    // Hung up: the end to who reads, an error to who writes.
    assert_eq!(left.read(&mut [0]).unwrap(), 0);
    assert_eq!(left.write(b"login: ").unwrap_err().raw_os_error(), Some(5));
    let groups = fs::read_to_string("/etc/group").unwrap();
    let mode = if groups.lines().any(|line| line.starts_with("tty:")) { 0o620 } else { 0o600 };
    let node = left.metadata().unwrap();
    assert_eq!((node.uid(), node.mode() & 0o7777), (0, mode));
    assert_ne!(node.gid(), 12345);
    // As long as it is open the terminal does not end for the person.
    drop(left);
    // The new session has it all the same, as its controlling terminal too.
    person.write_all(b"\x1b[33;101R").unwrap();
    read_until(&mut person, "# ");
    person.write_all(b"echo \"<$(stty size)>\" > /dev/tty; exit 4\r").unwrap();
    let seen = read_to_end(&mut person);
    assert!(seen.contains("<33 101>\r\n"), "{seen:?}");
    assert_eq!(child.wait().unwrap().code(), Some(4), "{seen}");
}

#[test]
fn getty_refuses_strangers_and_says_why() {
    for (arguments, code, message) in [
        (&[][..], 1, "standard input is no terminal"),
        (&["--autologin", "no-such-user"], 1, "there is no user `no-such-user`"),
        (&["--autologin", "root"], 1, "standard input is no terminal"),
        (&["--colour"], 2, "invalid option '--colour'"),
    ] {
        let output = Command::new(GETTY).args(arguments).stdin(Stdio::null()).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{stderr}");
        assert!(stderr.contains(message), "{stderr}");
    }
}

#[test]
fn idle_stays_until_it_is_told_to_go() {
    let mut child = Command::new(IDLE).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(50));
    assert!(child.try_wait().unwrap().is_none());
    signal(&child, Signal::TERM);
    assert_eq!(child.wait().unwrap().signal(), Some(15));
}

#[test]
fn bareinit_touches_nothing_where_it_is_not_pid_1() {
    let before = fs::read("/proc/self/mountinfo").unwrap();
    let output = Command::new(BAREINIT).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("is not PID 1") && stderr.contains("hint: "), "{stderr}");
    assert_eq!(fs::read("/proc/self/mountinfo").unwrap(), before);
}

#[test]
fn spawnbench_reports_a_time_and_leaves_nothing_behind() {
    let output = Command::new(SPAWNBENCH).args(["20", IDLE]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["programs"], 20);
    let elapsed_us = report["elapsed_us"].as_u64().unwrap();
    assert!((100..20_000_000).contains(&elapsed_us), "{elapsed_us}");
    let missing = Command::new(SPAWNBENCH).args(["3", "/none"]).output().unwrap();
    assert_eq!(missing.status.code(), Some(1));
    let stderr = String::from_utf8(missing.stderr).unwrap();
    assert!(stderr.contains("cannot start program 1 of 3: No such file"), "{stderr}");
    for wrong in [&[][..], &["x", IDLE], &["5"], &["10001", IDLE]] {
        assert_eq!(Command::new(SPAWNBENCH).args(wrong).status().unwrap().code(), Some(1));
    }
}

#[test]
fn misbehaviour_is_as_bad_as_promised() {
    let status = |arguments: &[&str]| {
        Command::new(MISBEHAVE).args(arguments).stderr(Stdio::null()).status().unwrap()
    };
    assert_eq!(status(&["crash"]).signal(), Some(6));
    assert_eq!(status(&["exit", "7"]).code(), Some(7));
    assert_eq!(status(&["nonsense"]).code(), Some(2));
    let chatty = Command::new(MISBEHAVE).args(["chatty", "3000"]).output().unwrap();
    let lines: Vec<_> = chatty.stdout.lines().map(Result::unwrap).collect();
    assert_eq!((lines.len(), lines[2999].as_str()), (3000, "line 002999"));
}

#[test]
fn what_never_dies_outlives_every_signal_but_one() {
    let place = tempfile::tempdir().unwrap();
    let notify = UnixDatagram::bind(place.path().join("notify")).unwrap();
    notify.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    for mode in ["never-dies", "ignore-term-double-fork"] {
        let mut child = Command::new(MISBEHAVE)
            .arg(mode)
            .env("NOTIFY_SOCKET", place.path().join("notify"))
            .spawn()
            .unwrap();
        let mut message = [0; 16];
        let length = notify.recv(&mut message).unwrap();
        assert_eq!(&message[..length], b"READY=1");
        for one in [Signal::TERM, Signal::INT, Signal::HUP, Signal::QUIT] {
            signal(&child, one);
        }
        std::thread::sleep(Duration::from_millis(100));
        assert!(child.try_wait().unwrap().is_none(), "{mode}");
        signal(&child, Signal::KILL);
        child.wait().unwrap();
    }
    // The grandchild has left the session and outlives its ancestor: exactly what a
    // supervisor must find by the cgroup. Here the test has to clean up.
    let detached = find_detached();
    assert_eq!(detached.len(), 1);
    for pid in detached {
        kill_process(pid, Signal::TERM).unwrap();
        std::thread::sleep(Duration::from_millis(50));
        kill_process(pid, Signal::KILL).unwrap();
    }
}

/// Processes that run `misbehave detached`, waiting until one is there.
fn find_detached() -> Vec<Pid> {
    let wanted = format!("{MISBEHAVE}\0detached\0");
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            let command = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let pid = entry.file_name().to_string_lossy().parse().ok().and_then(Pid::from_raw);
            found.extend(pid.filter(|_| command == wanted.as_bytes()));
        }
        if !found.is_empty() || Instant::now() > deadline {
            return found;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn orphans_are_left_to_whoever_takes_them() {
    let place = tempfile::tempdir().unwrap();
    let notify = UnixDatagram::bind(place.path().join("notify")).unwrap();
    notify.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut child = Command::new(MISBEHAVE)
        .args(["orphans", "1200"])
        .env("NOTIFY_SOCKET", place.path().join("notify"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut message = [0; 16];
    let length = notify.recv(&mut message).unwrap();
    assert_eq!(&message[..length], b"READY=1");
    // The orphans are no children of the service any more.
    let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", child.id()));
    assert_eq!(children.unwrap_or_default(), "");
    signal(&child, Signal::TERM);
    assert_eq!(child.wait().unwrap().signal(), Some(15));
    let mut rest = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "");
}
