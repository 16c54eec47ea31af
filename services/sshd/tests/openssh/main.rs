//! The server against OpenSSH's own client: logins, commands, terminals, files, bounds.
//!
//! The server runs as whoever runs the tests and serves that user alone.

#![expect(clippy::unwrap_used, reason = "a test ends where it fails")]

mod forwarding;
mod server;

use std::fs;
use std::io::Read;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags, open};
use rustix::pty::{OpenptFlags, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use server::{PATIENCE, Server, feed, make_key, run, text};

/// Runs at a terminal of `rows` and `columns`; what that shows.
fn at_a_terminal(command: &mut Command, rows: u16, columns: u16) -> String {
    let screen = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    unlockpt(&screen).unwrap();
    let path = PathBuf::from(ptsname(&screen, Vec::new()).unwrap().into_string().unwrap());
    // Never the controlling terminal: nobody's job control is to stop what runs here.
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let line = open(&path, flags, Mode::empty()).unwrap();
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&line, size).unwrap();
    let mut child = command
        .stdin(line.try_clone().unwrap())
        .stdout(line.try_clone().unwrap())
        .stderr(line)
        .spawn()
        .unwrap();
    // The command keeps the line open, whose end is that of the text.
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut shown = Vec::new();
    // Linux ends it with EIO.
    let _ = fs::File::from(screen).read_to_end(&mut shown);
    child.wait().unwrap();
    text(&shown)
}

#[test]
fn the_right_key_opens_and_a_wrong_one_and_none_do_not() {
    let server = Server::start("");
    let right = run(&mut server.ssh("good", &[], &["echo in"]));
    assert_eq!((right.status.code(), text(&right.stdout)), (Some(0), "in\n".into()), "{right:?}");
    for (key, options) in [("wrong", &[][..]), ("good", &["-o", "PubkeyAuthentication=no"])] {
        let refused = run(&mut server.ssh(key, options, &["echo in"]));
        assert_eq!((refused.status.code(), text(&refused.stdout)), (Some(255), String::new()));
        assert!(text(&refused.stderr).contains("Permission denied (publickey)"), "{refused:?}");
    }
    let log = server.log();
    assert!(log.contains(&format!("accepted {} with ssh-ed25519 SHA256:", server.user)), "{log}");
    assert!(log.contains("the key does not open the account"), "{log}");
}

#[test]
fn keys_of_every_kind_open() {
    let server = Server::start("");
    let kinds = [("rsa", ["-b", "2048"]), ("ecdsa", ["-b", "256"]), ("ecdsa", ["-b", "384"])];
    let mut keys = String::new();
    for (index, (kind, bits)) in kinds.iter().enumerate() {
        let path = server.path(&format!("key{index}"));
        make_key(&path, &["-t", kind, bits[0], bits[1]]);
        keys += &fs::read_to_string(path.with_extension("pub")).unwrap();
    }
    fs::write(server.path("keys").join(&server.user), keys).unwrap();
    for (index, kind) in kinds.iter().enumerate() {
        let output = run(&mut server.ssh(&format!("key{index}"), &[], &["true"]));
        assert_eq!(output.status.code(), Some(0), "{kind:?}: {output:?}");
    }
    let old = run(&mut server.ssh("key0", &["-o", "PubkeyAcceptedAlgorithms=ssh-rsa"], &["true"]));
    assert_eq!(old.status.code(), Some(255), "a SHA-1 signature was taken");
}

#[test]
fn a_command_has_its_status_streams_and_environment() {
    let server = Server::start("");
    let output = run(&mut server.ssh("good", &[], &["echo out; echo err >&2; exit 7"]));
    assert_eq!(output.status.code(), Some(7));
    assert_eq!((text(&output.stdout), text(&output.stderr)), ("out\n".into(), "err\n".into()));
    let mut command = server.ssh("good", &["-o", "SendEnv=LC_TEST SECRET"], &["env"]);
    let output = run(command.env("LC_TEST", "seen").env("SECRET", "x"));
    let environment = text(&output.stdout);
    for line in ["LC_TEST=seen", &format!("USER={}", server.user)] {
        assert!(environment.lines().any(|found| found == line), "{line}: {environment}");
    }
    assert!(environment.contains("SSH_CONNECTION=127.0.0.1 "), "{environment}");
    assert!(!environment.contains("SECRET"), "{environment}");
    assert!(!environment.contains("CARGO"), "the server's environment got in: {environment}");
    let killed = run(&mut server.ssh("good", &["-v"], &["kill -KILL $$"]));
    assert_eq!(killed.status.code(), Some(255), "{killed:?}");
}

#[test]
fn a_terminal_has_the_clients_size_and_is_the_sessions_own() {
    let server = Server::start("");
    let mut ssh = server.ssh("good", &["-tt"], &["stty size; tty; ps -o tpgid= -p $$; echo $TERM"]);
    let shown = at_a_terminal(ssh.env("TERM", "vt220"), 33, 77);
    assert!(shown.contains("33 77") && shown.contains("/dev/pts/"), "{shown}");
    assert!(shown.contains("vt220") && !shown.contains("-1"), "{shown}");
}

#[test]
fn much_data_goes_through_both_ways_at_once() {
    let server = Server::start("");
    let input: Vec<u8> = (0..24_u32 << 20).map(|index| (index / 7).to_le_bytes()[0]).collect();
    let output = feed(&mut server.ssh("good", &[], &["cat"]), &input);
    assert!(output.stdout == input, "{} of {} bytes", output.stdout.len(), input.len());
    let unread = feed(&mut server.ssh("good", &[], &["head -c 3"]), &input);
    assert_eq!((unread.status.code(), unread.stdout.len()), (Some(0), 3));
}

#[test]
fn files_are_copied_by_scp_and_handled_by_sftp() {
    let server = Server::start("");
    let there = server.path("there");
    fs::create_dir(&there).unwrap();
    let content: Vec<u8> = (0..3_000_000_u32).map(|index| (index % 251).to_le_bytes()[0]).collect();
    fs::write(server.path("file"), &content).unwrap();
    let remote = |path: &Path| format!("{}@127.0.0.1:{}", server.user, path.display());
    let port = server.port.to_string();
    let mut scp = server.options("scp", "good");
    scp.args(["-P", &port, "-p"]).arg(server.path("file")).arg(remote(&there.join("up")));
    let output = run(&mut scp);
    assert!(output.status.success(), "{output:?}");
    assert!(fs::read(there.join("up")).unwrap() == content);
    let mut sftp = server.options("sftp", "good");
    let _ = sftp.args(["-P", &port, "-b", "-"]).arg(remote(&there));
    let down = server.path("down");
    let commands = format!(
        "mkdir d\nrename up d/moved\nchmod 640 d/moved\nln -s moved d/link\nget d/link {}\n\
         -rm d/absent\nls d\nrm d/link\nrm d/moved\nrmdir d\nls\n",
        down.display()
    );
    let output = feed(&mut sftp, commands.as_bytes());
    assert!(output.status.success(), "{output:?}");
    assert!(text(&output.stdout).contains("d/moved"), "{output:?}");
    assert_eq!(fs::read_dir(&there).unwrap().count(), 0);
    assert!(fs::read(down).unwrap() == content);
}

#[test]
fn files_are_not_served_where_that_is_switched_off() {
    let server = Server::start("sftp = false\n");
    let mut sftp = server.options("sftp", "good");
    sftp.args(["-P", &server.port.to_string(), "-b", "-"]);
    sftp.arg(format!("{}@127.0.0.1", server.user));
    assert!(!feed(&mut sftp, b"ls\n").status.success());
}

#[test]
fn too_many_keys_end_a_connection_and_too_many_failures_an_address() {
    let server = Server::start("max-auth-tries = 2\nmax-failures = 2\n");
    make_key(&server.path("other"), &["-t", "ed25519"]);
    let (other, good) = (server.path("other"), server.path("good"));
    let more = ["-i", other.to_str().unwrap(), "-i", good.to_str().unwrap()];
    let output = run(&mut server.ssh("wrong", &more, &["true"]));
    assert_eq!(output.status.code(), Some(255), "the third key was let in: {}", server.log());
    assert!(server.log().contains("no login in 2 tries"), "{}", server.log());
    assert_eq!(run(&mut server.ssh("wrong", &[], &["true"])).status.code(), Some(255));
    server.wait_for_log("ended without a login");
    // The count follows the end of the process.
    let start = Instant::now();
    while !server.log().contains("turned away") {
        assert!(start.elapsed() < PATIENCE, "{}", server.log());
        run(&mut server.ssh("wrong", &[], &["true"]));
    }
    assert_eq!(run(&mut server.ssh("good", &[], &["true"])).status.code(), Some(255));
}

#[test]
fn who_does_not_log_in_in_time_is_disconnected() {
    let server = Server::start("login-grace-time = \"1s\"\nmax-connections-per-address = 1\n");
    let start = Instant::now();
    let mut silent = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    silent.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut second = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    second.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut nothing = Vec::new();
    // Turned away at once, while the first is still there.
    let _ = second.read_to_end(&mut nothing);
    assert!(nothing.is_empty() && start.elapsed() < Duration::from_millis(900));
    let mut greeting = String::new();
    let _ = silent.read_to_string(&mut greeting);
    assert!(greeting.starts_with("SSH-2.0-Keelson"), "{greeting}");
    assert!(start.elapsed() >= Duration::from_millis(900) && start.elapsed() < PATIENCE);
    server.wait_for_log("no login within 1 s");
}

#[test]
fn a_mistake_in_the_settings_shuts_nobody_out() {
    let server = Server::start("max-failures = 2\nsftp = false\n");
    let config = server.path("sshd.toml");
    let good = fs::read_to_string(&config).unwrap();
    fs::write(&config, good.replace("sftp", "sfpt")).unwrap();
    for _ in 0..3 {
        let output = run(&mut server.ssh("good", &[], &["echo in"]));
        assert_eq!(text(&output.stdout), "in\n", "{output:?}\n{}", server.log());
    }
    let log = server.log();
    let complaint = "sshd.toml:6:1: unknown key \"sfpt\"";
    assert_eq!(log.matches(complaint).count(), 1, "{log}");
    fs::write(&config, good.replace("sftp = false", "tcp-forwarding = true")).unwrap();
    let target = format!("127.0.0.1:{}", server.port);
    let output = run(&mut server.ssh("good", &["-W", &target], &[]));
    assert!(text(&output.stdout).starts_with("SSH-2.0-Keelson"), "{output:?}");
    assert!(server.log().contains("is in force again"), "{}", server.log());
}

#[test]
fn what_the_server_fails_at_does_not_count_against_an_address() {
    let server = Server::start("max-failures = 2\n");
    let (key, aside) = (server.path("state/key"), server.path("state/aside"));
    fs::rename(&key, &aside).unwrap();
    for _ in 0..4 {
        assert_eq!(run(&mut server.ssh("good", &[], &["true"])).status.code(), Some(255));
    }
    fs::rename(&aside, &key).unwrap();
    let output = run(&mut server.ssh("good", &[], &["true"]));
    assert_eq!(output.status.code(), Some(0), "{output:?}\n{}", server.log());
    assert!(server.log().contains("there is no host key"), "{}", server.log());
}

#[test]
fn settings_are_checked_before_anything_is_served() {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("sshd.toml");
    fs::write(&config, "sfpt = false\nmax-failures = 0\n").unwrap();
    for words in [&["check"][..], &[]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sshd"));
        let output = run(command.args(words).arg("--config").arg(&config));
        assert_eq!(output.status.code(), Some(1));
        let errors = text(&output.stderr);
        assert!(errors.contains("did you mean \"sftp\"?"), "{errors}");
        assert!(errors.contains(":2:16: \"max-failures\" is from 1 to 10000"), "{errors}");
    }
    let usage = run(Command::new(env!("CARGO_BIN_EXE_sshd")).arg("--bad"));
    assert_eq!(usage.status.code(), Some(2));
}

#[test]
fn an_address_that_is_not_there_yet_does_not_keep_the_others_from_answering() {
    // Of documentation (RFC 5737, RFC 3849): no machine has them.
    let addresses = ["192.0.2.10", "[2001:db8::10]"];
    let families = if Path::new("/proc/net/if_inet6").exists() { 2 } else { 1 };
    for address in &addresses[..families] {
        let server = Server::start_also_at(address, "");
        assert!(server.log().contains(&format!("listening on {address}:")), "{}", server.log());
        let output = run(&mut server.ssh("good", &[], &["echo in"]));
        assert_eq!(text(&output.stdout), "in\n", "{output:?}");
    }
}
