//! Connections onwards: where they are allowed, and what a slow target holds up.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::Child;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::server::{PATIENCE, Server, run, text};

/// More than a target may leave unread before the connection goes at its pace.
const MUCH: usize = 20 << 20;

/// A client whose connection further sessions share, and which forwards a port to `target`.
struct Master<'s> {
    server: &'s Server,
    process: Child,
    port: u16,
}

impl Drop for Master<'_> {
    fn drop(&mut self) {
        run(&mut self.shared(&["-O", "exit"], &[]));
        let _ = self.process.wait();
    }
}

impl<'s> Master<'s> {
    fn start(server: &'s Server, target: &TcpListener) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let forward = format!("127.0.0.1:{port}:{}", target.local_addr().unwrap());
        let socket = format!("ControlPath={}", server.path("master").display());
        let options = ["-N", "-o", "ControlMaster=yes", "-o", &socket, "-L", &forward];
        let process = server.ssh("good", &options, &[]).spawn().unwrap();
        let master = Self { server, process, port };
        let start = Instant::now();
        while !run(&mut master.shared(&["-O", "check"], &[])).status.success() {
            assert!(start.elapsed() < PATIENCE, "{}", server.log());
            thread::sleep(Duration::from_millis(20));
        }
        master
    }

    /// The client again, over the same connection.
    fn shared(&self, options: &[&str], words: &[&str]) -> std::process::Command {
        let socket = format!("ControlPath={}", self.server.path("master").display());
        self.server.ssh("good", &[&["-o", &socket], options].concat(), words)
    }

    /// A connection to the target.
    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(Duration::from_secs(10))).unwrap();
        stream
    }
}

#[test]
fn forwarding_happens_where_it_is_allowed() {
    for (settings, allowed) in [("tcp-forwarding = true\n", true), ("", false)] {
        let server = Server::start(settings);
        let target = format!("127.0.0.1:{}", server.port);
        let output = run(&mut server.ssh("good", &["-W", &target], &[]));
        assert_eq!(text(&output.stdout).starts_with("SSH-2.0-Keelson"), allowed, "{output:?}");
    }
}

#[test]
fn a_target_that_does_not_read_does_not_stop_the_connection() {
    let server = Server::start("tcp-forwarding = true\n");
    let target = TcpListener::bind("127.0.0.1:0").unwrap();
    let master = Master::start(&server, &target);
    let mut client = master.connect();
    let (_unread, _) = target.accept().unwrap();
    client.write_all(&vec![0; MUCH]).unwrap();
    let output = run(&mut master.shared(&[], &["echo in"]));
    assert_eq!(text(&output.stdout), "in\n", "{output:?}");
    // What waits has a bound, at which this channel ends and no other.
    let chunk = vec![0; 1 << 20];
    let refused = (0..100).any(|_| client.write_all(&chunk).is_err());
    assert!(refused, "100 MB more were taken");
    server.wait_for_log("is ended: its target reads too little");
    let output = run(&mut master.shared(&[], &["echo in"]));
    assert_eq!(text(&output.stdout), "in\n", "{output:?}");
}

#[test]
fn a_target_that_is_late_gets_everything_and_answers() {
    let server = Server::start("tcp-forwarding = true\n");
    let target = TcpListener::bind("127.0.0.1:0").unwrap();
    let master = Master::start(&server, &target);
    let mut client = master.connect();
    let (mut late, _) = target.accept().unwrap();
    let reading = thread::spawn(move || {
        thread::sleep(Duration::from_secs(2));
        let mut received = Vec::new();
        late.read_to_end(&mut received).unwrap();
        late.write_all(b"done").unwrap();
        received
    });
    let sent: Vec<u8> = (0..MUCH).map(|index| (index / 7).to_le_bytes()[0]).collect();
    client.write_all(&sent).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "done");
    assert!(reading.join().unwrap() == sent);
}

#[test]
fn a_target_learns_that_a_client_reads_no_more() {
    let server = Server::start("tcp-forwarding = true\n");
    let target = TcpListener::bind("127.0.0.1:0").unwrap();
    let master = Master::start(&server, &target);
    let mut client = master.connect();
    let (mut endless, _) = target.accept().unwrap();
    let (over, is_over) = mpsc::channel();
    thread::spawn(move || {
        while endless.write_all(&[0; 1 << 16]).is_ok() {}
        over.send(())
    });
    client.read_exact(&mut [0; 1 << 16]).unwrap();
    drop(client);
    assert!(is_over.recv_timeout(Duration::from_secs(10)).is_ok(), "the socket is left");
}

#[test]
fn forwarded_connections_are_bounded_and_make_room() {
    let server = Server::start("tcp-forwarding = true\n");
    let target = TcpListener::bind("127.0.0.1:0").unwrap();
    let master = Master::start(&server, &target);
    let connect = || (master.connect(), target.accept().unwrap());
    let connected: Vec<_> = (0..128).map(|_| connect()).collect();
    let is_refused = || {
        let mut client = master.connect();
        client.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
        // Who is let through hears nothing.
        matches!(client.read(&mut [0]), Ok(0))
    };
    assert!(is_refused(), "one too many");
    drop(connected);
    let start = Instant::now();
    while is_refused() {
        assert!(start.elapsed() < PATIENCE, "what is over counts");
    }
}
