//! `login` at a pseudo-terminal, in a mount namespace with accounts of its own.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test ends where it fails, and says what it leaves out"
)]

use std::fs;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

const LOGIN: &str = env!("CARGO_BIN_EXE_login");
/// Of "secret", by libxcrypt at its cheapest.
const HASH: &str = "$y$j75$abcdefgh1234$35Wj4XRiq69wx.bXHzwSFO5NsIOyCCWeo6QVzVr5q//";

/// A system's accounts.
struct System {
    directory: tempfile::TempDir,
}

/// A person at a terminal.
struct Person {
    terminal: fs::File,
    login: Child,
}

impl System {
    /// `None`, said aloud, where the tests may not make one.
    fn new() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            println!("skipped: only root can let people in");
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        let write =
            |name: &str, text: String| fs::write(directory.path().join(name), text).unwrap();
        let user = |name: &str, uid: u32| format!("{name}:x:{uid}:{uid}::/:/bin/sh\n");
        let users = ["root", "ann", "old", "off", "open"];
        let passwd: String =
            users.iter().zip([0, 1001, 1002, 1003, 1004]).map(|(n, u)| user(n, u)).collect();
        write("passwd", passwd);
        write("group", "root:x:0:\nann:x:1001:\nwheel:x:10:ann\n".into());
        write(
            "shadow",
            format!(
                "root:!:1::::::\nann:{HASH}:1::::::\nold:{HASH}:1:::::2:\noff:!{HASH}:1::::::\nopen::1::::::\n"
            ),
        );
        fs::create_dir(directory.path().join("run")).unwrap();
        fs::write(directory.path().join("empty"), "").unwrap();
        Some(Self { directory })
    }

    fn sit_down(&self, name: &str) -> Person {
        let (terminal, slave) = terminal();
        let place = self.directory.path();
        let bind =
            |from: &str, to: &str| format!("mount --bind '{}' {to}", place.join(from).display());
        let files = ["passwd", "shadow", "group"].map(|name| bind(name, &format!("/etc/{name}")));
        // The records are for no real log.
        let script = format!(
            "{} && {} && {} && exec setsid -c {LOGIN} -- {name}",
            files.join(" && "),
            bind("run", "/run"),
            bind("empty", "/dev/kmsg"),
        );
        let login = Command::new("unshare")
            .args(["--mount", "sh", "-c", &script])
            .env("TERM", "vt100")
            .env("PS1", "$ ")
            .stdin(slave.try_clone().unwrap())
            .stdout(slave.try_clone().unwrap())
            .stderr(slave)
            .spawn()
            .unwrap();
        Person { terminal, login }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("empty")).unwrap()
    }
}

fn terminal() -> (fs::File, OwnedFd) {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let master = openpt(flags).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap();
    let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NOCTTY;
    let slave = rustix::fs::open(&*name, flags, rustix::fs::Mode::empty()).unwrap();
    (master.into(), slave)
}

impl Person {
    fn wait_for(&mut self, end: &str) -> String {
        let (mut seen, mut byte) = (Vec::new(), [0]);
        while !seen.ends_with(end.as_bytes()) {
            if self.terminal.read_exact(&mut byte).is_err() {
                panic!("no {end:?} in {:?}", String::from_utf8_lossy(&seen));
            }
            seen.extend(byte);
        }
        String::from_utf8_lossy(&seen).into_owned()
    }

    fn type_line(&mut self, line: &str) {
        self.terminal.write_all(format!("{line}\r").as_bytes()).unwrap();
    }

    /// User, group and mode of the terminal's node.
    fn terminals_owner(&self) -> (u32, u32, u32) {
        let name = rustix::pty::ptsname(&self.terminal, Vec::new()).unwrap();
        let node = rustix::fs::stat(&*name).unwrap();
        (node.st_uid, node.st_gid, node.st_mode & 0o7777)
    }

    /// What the terminal shows until its last program has ended, and the status.
    fn end(mut self) -> (String, Option<i32>) {
        let mut seen = Vec::new();
        let _ = self.terminal.read_to_end(&mut seen);
        (String::from_utf8_lossy(&seen).into_owned(), self.login.wait().unwrap().code())
    }
}

#[test]
fn the_right_password_opens_a_session_of_the_user() {
    let Some(system) = System::new() else { return };
    let mut person = system.sit_down("ann");
    let question = person.wait_for("Password: ");
    assert!(!question.contains("warning"), "{question}");
    // There is no group of those who may write to terminals.
    assert_eq!(person.terminals_owner(), (0, 0, 0o600));
    person.type_line("secret");
    let greeting = person.wait_for("$ ");
    assert_eq!(person.terminals_owner(), (1001, 0, 0o600));
    assert!(!greeting.contains("secret"), "the password is shown: {greeting:?}");
    assert!(greeting.contains("  kernel     Linux "), "{greeting:?}");
    person.type_line("echo \"<$(id -u) $(id -G) $USER $TERM $0>\"; exit 5");
    let (seen, code) = person.end();
    assert!(seen.contains("<1001 1001 10 ann vt100 -sh>"), "{seen:?}");
    assert_eq!(code, Some(5));
    assert!(system.log().contains("login: ann logged in on /dev/pts/"), "{}", system.log());
}

#[test]
fn the_greeting_asks_pid_1_as_the_user() {
    let Some(system) = System::new() else { return };
    let socket = system.directory.path().join("run/init/control");
    fs::create_dir(socket.parent().unwrap()).unwrap();
    let pid_1 = UnixListener::bind(&socket).unwrap();
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o666)).unwrap();
    let asks = std::thread::spawn(move || {
        let (connection, _) = pid_1.accept().unwrap();
        rustix::net::sockopt::socket_peercred(&connection).unwrap().uid.as_raw()
    });
    let mut person = system.sit_down("ann");
    person.wait_for("Password: ");
    person.type_line("secret");
    let greeting = person.wait_for("$ ");
    assert_eq!(asks.join().unwrap(), 1001);
    assert!(greeting.contains("  kernel     Linux "), "{greeting:?}");
    person.type_line("exit");
    person.end();
}

#[test]
fn a_wrong_password_an_unknown_name_and_a_locked_account_look_the_same() {
    let mut looks = Vec::new();
    for (name, password) in
        [("ann", "wrong"), ("nobody-here", "secret"), ("off", "secret"), ("root", "")]
    {
        // Failures add up: each has a system of its own.
        let Some(system) = System::new() else { return };
        let mut person = system.sit_down(name);
        person.wait_for("Password: ");
        let start = Instant::now();
        person.type_line(password);
        let (seen, code) = person.end();
        assert!(start.elapsed() >= Duration::from_millis(1900), "{name}: {:?}", start.elapsed());
        // A name that is none may be a password, typed too early.
        let who = if name == "nobody-here" { "an unknown name" } else { &format!("{name:?}") };
        let log = system.log();
        assert!(log.contains(&format!("login: refused {who} on /dev/pts/")), "{log}");
        assert!(!log.contains("nobody-here"), "{log}");
        looks.push((seen, code));
    }
    assert_eq!(looks[0], ("\r\nThat is not right.\r\n".to_owned(), Some(1)));
    assert!(looks.iter().all(|look| *look == looks[0]), "{looks:?}");
}

#[test]
fn an_expired_account_keeps_out_who_knows_the_password() {
    let Some(system) = System::new() else { return };
    let mut person = system.sit_down("old");
    person.wait_for("Password: ");
    person.type_line("secret");
    let (seen, code) = person.end();
    assert!(seen.contains("the account has expired"), "{seen:?}");
    assert_eq!(code, Some(1));
}

#[test]
fn an_empty_password_is_not_asked_for() {
    let Some(system) = System::new() else { return };
    let mut person = system.sit_down("open");
    person.wait_for("$ ");
    person.type_line("exit 3");
    assert_eq!(person.end().1, Some(3));
}

#[test]
fn the_third_wrong_answer_makes_the_next_one_wait() {
    let Some(system) = System::new() else { return };
    let state = system.directory.path().join("run/login");
    for _ in 0..3 {
        let mut person = system.sit_down("ann");
        person.wait_for("Password: ");
        person.type_line("wrong");
        person.end();
    }
    let files = || fs::read_dir(&state).unwrap().map(|file| file.unwrap().file_name());
    let count =
        |start: &str| files().filter(|name| name.to_string_lossy().starts_with(start)).count();
    assert_eq!(count("name-"), 1);
    // Each sits down at a terminal of his own, which may have the number of the last.
    assert!((1..=3).contains(&count("terminal-")), "{:?}", files().collect::<Vec<_>>());
    // Of the wait of 2 s the refusal took all, so a fourth one is needed to see it.
    let mut person = system.sit_down("ann");
    person.wait_for("Password: ");
    person.type_line("wrong");
    person.end();
    let mut person = system.sit_down("ann");
    let seen = person.wait_for("Password: ");
    assert!(seen.contains("Wait "), "{seen:?}");
    person.type_line("secret");
    person.wait_for("$ ");
    person.type_line("exit");
    person.end();
    assert_eq!(count("name-"), 0);
}

#[test]
fn login_wants_a_terminal() {
    let output =
        Command::new(LOGIN).arg("ann").stdin(std::process::Stdio::null()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let usage = Command::new(LOGIN).arg("--colour").output().unwrap();
    assert_eq!(usage.status.code(), Some(2));
}
