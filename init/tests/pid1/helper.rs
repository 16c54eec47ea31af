//! What the tests' services do that a shell cannot: this test binary, run again
//! inside the guest with `PID1_HELPER` set.

use std::env;
use std::fs::OpenOptions;
use std::io::{IoSliceMut, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

/// A service's `command` and `environment` that do what the helper `name` does.
pub(crate) fn service(name: &str) -> String {
    format!(
        "command = [\"/t/helper\", \"--exact\", \"helper::helper\", \"--nocapture\"]\n\
         environment = {{ PID1_HELPER = \"{name}\" }}\n"
    )
}

#[test]
fn helper() {
    match env::var("PID1_HELPER").as_deref() {
        Ok("ready") => {
            notify("STATUS=on duty\nREADY=1");
            std::thread::sleep(Duration::from_secs(1000));
        }
        Ok("ready-then-exit") => {
            notify("READY=1");
            // No test output, no clean-up: the end follows the message at once.
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL)
                .unwrap();
        }
        Ok("ready-by-child") => {
            let me = env::current_exe().unwrap();
            let mut child = std::process::Command::new(me)
                .args(["--exact", "helper::helper"])
                .env("PID1_HELPER", "ready")
                .spawn()
                .unwrap();
            child.wait().unwrap();
        }
        Ok("leave-nonblocking") => leave_nonblocking(),
        Ok("collect") => collect(),
        Ok(other) => panic!("no helper {other}"),
        Err(_) => {}
    }
}

fn notify(message: &str) {
    let socket = UnixDatagram::unbound().unwrap();
    socket.send_to(message.as_bytes(), env::var("NOTIFY_SOCKET").unwrap()).unwrap();
}

/// Adds to the file `FILE` whether standard output makes its writer wait, and has it do so no
/// more, as runtimes do that read and write without waiting.
fn leave_nonblocking() {
    let flags = fcntl_getfl(std::io::stdout()).unwrap();
    let mut file =
        OpenOptions::new().create(true).append(true).open(env::var("FILE").unwrap()).unwrap();
    let waits = if flags.contains(OFlags::NONBLOCK) { "never" } else { "waits" };
    writeln!(file, "{waits}").unwrap();
    fcntl_setfl(std::io::stdout(), flags | OFlags::NONBLOCK).unwrap();
}

/// A log collector that ends after a few reads, having written all it read to
/// `/t/collected`. What it did not read is for its successor.
fn collect() {
    assert_eq!(env::var("LOG_SOCKET").as_deref(), Ok("3"));
    notify("READY=1");
    let mut file = OpenOptions::new().create(true).append(true).open("/t/collected").unwrap();
    let mut pipes = Vec::new();
    let mut reads = 0;
    while reads < 5 {
        if let Some(pipe) = receive_pipe() {
            pipes.push(pipe);
        }
        for (_, pipe) in &pipes {
            let mut bytes = [0; 512];
            // The pipes are blocking and shared: look before reading.
            let mut poll = [rustix::event::PollFd::new(pipe, rustix::event::PollFlags::IN)];
            let soon = rustix::event::Timespec { tv_sec: 0, tv_nsec: 1_000_000 };
            if rustix::event::poll(&mut poll, Some(&soon)) == Ok(1) {
                let length = rustix::io::read(pipe, &mut bytes).unwrap();
                file.write_all(&bytes[..length]).unwrap();
                reads += 1;
            }
        }
    }
}

fn receive_pipe() -> Option<(String, OwnedFd)> {
    let socket = log_socket();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut name = [0; 80];
    let mut parts = [IoSliceMut::new(&mut name)];
    let message = recvmsg(socket, &mut parts, &mut control, RecvFlags::DONTWAIT).ok()?;
    let fd = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    })?;
    Some((String::from_utf8_lossy(&name[..message.bytes]).into_owned(), fd))
}

#[expect(unsafe_code, reason = "a descriptor that arrives by number, as LOG_SOCKET's does")]
fn log_socket() -> BorrowedFd<'static> {
    // SAFETY: descriptor 3 is the log socket for this process' whole life.
    unsafe { BorrowedFd::borrow_raw(3) }
}
