//! Sessions with guests of a few instructions, which need no kernel.

use rustix::process::{Pid, Signal, kill_process};

use super::*;
use crate::arch::Arch;
use crate::host::find_program;
use crate::qemu::accelerator::Accelerator;
use crate::qemu::board::Board;
use crate::qemu::ending::EXIT_EMULATOR;
use crate::qemu::machine::{Boot, program};
use crate::qemu::network::{CableEnd, Card, Mac, Network, Port, published_port};

/// The flash of the board `virt`.
const FLASH_BYTES: u64 = 64 << 20;

/// `mov w0, #FUNCTION; movk w0, #0x8400, lsl #16; hvc #0` (PSCI, Arm DEN 0022), then for ever `wfi`.
fn psci_call(function: u32) -> Vec<u32> {
    let mut code = vec![0x5280_0000 | (function << 5), 0x72b0_8000, 0xd400_0002];
    code.extend(HANG);
    code
}

const HANG: [u32; 2] = [0xd503_207f, 0x17ff_ffff];
const SYSTEM_OFF: u32 = 8;
const SYSTEM_RESET: u32 = 9;

/// A guest that executes `code`, or `None` (and a word about it) without QEMU.
fn guest(code: &[u32], extra: &[&str]) -> Option<Result<Session>> {
    guest_with(code, extra, Vec::new())
}

fn guest_with(code: &[u32], extra: &[&str], cards: Vec<Card>) -> Option<Result<Session>> {
    let program = program(Arch::Aarch64);
    if find_program(program).is_none() {
        println!("skipped: {program} is not installed");
        return None;
    }
    let directory = RunDirectory::new().unwrap();
    let flash = |name: &str, code: &[u32]| {
        let path = directory.path().join(name);
        let bytes: Vec<u8> = code.iter().flat_map(|word| word.to_le_bytes()).collect();
        std::fs::write(&path, bytes).unwrap();
        std::fs::File::options().write(true).open(&path).unwrap().set_len(FLASH_BYTES).unwrap();
        path
    };
    let spec = MachineSpec {
        board: Board::of(Arch::Aarch64),
        boot: Boot::Uefi { code: flash("code", code), variables: Some(flash("variables", &[])) },
        memory_mib: 64,
        cpus: 1,
        accelerator: Accelerator::Tcg,
        disk: None,
        cards,
        restarts_on_reset: false,
        extra: extra.iter().map(Into::into).collect(),
    };
    Some(Session::start(&Shell::new(true), &spec, directory, false, None))
}

fn soon() -> Option<Instant> {
    Some(Instant::now() + Duration::from_secs(20))
}

#[test]
fn power_off_and_reset_are_told_apart() {
    for (function, expected) in [(SYSTEM_OFF, Ending::PoweredOff), (SYSTEM_RESET, Ending::Reset)] {
        let Some(session) = guest(&psci_call(function), &[]) else { return };
        assert_eq!(session.unwrap().wait_for_end(soon()).unwrap(), expected);
    }
}

#[test]
fn a_guest_that_ends_before_its_command_is_an_error_of_its_own() {
    let Some(session) = guest(&psci_call(SYSTEM_OFF), &[]) else { return };
    let mut session = session.unwrap();
    let error = session.wait_until_ready(soon().unwrap()).unwrap_err();
    assert!(error.to_string().contains("powered off before"), "{error}");
}

#[test]
fn a_hang_ends_at_the_deadline_and_qemu_with_the_session() {
    let Some(session) = guest(&HANG, &[]) else { return };
    let mut session = session.unwrap();
    let pid = session.qemu.child().id();
    let deadline = Instant::now() + Duration::from_millis(300);
    let ending = session.wait_for_end(Some(deadline)).unwrap();
    assert!(matches!(ending, Ending::TimedOut(after) if after.as_millis() >= 300), "{ending:?}");
    assert!(Path::new(&format!("/proc/{pid}")).exists(), "a deadline alone kills nothing");
    let directory = session.directory.path().to_owned();
    drop(session);
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
    assert!(!directory.exists());
}

#[test]
fn a_qemu_that_dies_is_not_taken_for_a_guest_that_did() {
    let end_by = |signal| {
        let session = guest(&HANG, &[])?;
        let mut session = session.unwrap();
        let pid = Pid::from_child(session.qemu.child());
        kill_process(pid, signal).unwrap();
        Some(session.wait_for_end(soon()).unwrap())
    };
    let Some(killed) = end_by(Signal::KILL) else { return };
    let is_it = matches!(&killed, Ending::EmulatorFailed(how) if how.contains("signal: 9"));
    assert!(is_it, "{killed:?}");
    let Some(crashed) = end_by(Signal::SEGV) else { return };
    let is_it = matches!(&crashed, Ending::EmulatorCrashed(how) if how.contains("signal: 11"));
    assert!(is_it, "{crashed:?}");
}

#[test]
fn a_qemu_that_does_not_start_says_why() {
    let Some(session) = guest(&HANG, &["-no-such-option"]) else { return };
    let error = session.unwrap_err();
    assert!(error.to_string().contains("-no-such-option: invalid option"), "{error}");
    assert_eq!(error.exit_code(), std::process::ExitCode::from(EXIT_EMULATOR));
}

#[test]
fn a_published_port_is_open_on_a_port_that_qemu_names() {
    let published = vec![Port { host: 0, guest: 22 }];
    let network = Network::User { published, is_isolated: true };
    let card = Card { mac: Mac::of(1, 0), network };
    let Some(session) = guest_with(&HANG, &[], vec![card]) else { return };
    let mut session = session.unwrap();
    let arguments = serde_json::json!({ "command-line": "info usernet" });
    let table = session.control("human-monitor-command", &arguments).unwrap();
    let port = published_port(table.as_str().unwrap(), 22).expect("it is published");
    std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
}

#[test]
fn two_guests_are_on_one_cable_that_can_be_pulled() {
    let directory = RunDirectory::new().unwrap();
    let start = |number: u8, end| {
        let network = Network::Cable { socket: directory.path().join("cable"), end };
        guest_with(&HANG, &[], vec![Card { mac: Mac::of(number, 0), network }])
    };
    let Some(first) = start(1, CableEnd::Listens) else { return };
    let mut first = first.unwrap();
    first.wait_until_cable_listens().unwrap();
    let mut second = start(2, CableEnd::Connects).unwrap().unwrap();
    let about = serde_json::json!({ "command-line": "info network" });
    // What QEMU says of a connection is the address of its socket.
    let is_connected = |session: &mut Session| {
        let text = session.control("human-monitor-command", &about).unwrap();
        text.as_str().unwrap().contains("unix")
    };
    let until = soon().unwrap();
    while !is_connected(&mut first) || !is_connected(&mut second) {
        assert!(Instant::now() < until, "the guests are not connected");
    }
    let link = |name: &str, is_up: bool| serde_json::json!({ "name": name, "up": is_up });
    first.control("set_link", &link("net0", false)).unwrap();
    first.control("set_link", &link("net0", true)).unwrap();
    let error = first.control("set_link", &link("net1", true)).unwrap_err();
    assert!(error.to_string().contains("qemu refused `set_link`"), "{error}");
}
