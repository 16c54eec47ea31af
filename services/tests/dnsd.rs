//! `dnsd` between programs and servers that are this test: what it asks, how often, and what
//! it makes of answers that are late, cut off, forged or refusals.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test ends where it fails")]

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use domain::base::iana::{Class, Rcode};
use domain::base::{Message, MessageBuilder, Name, Rtype, Serial, Ttl};
use domain::rdata::{A, Soa};
use services::network::dns::{Question, addresses_in, ask};
use tempfile::TempDir;

const DNSD: &str = env!("CARGO_BIN_EXE_dnsd");
const NSLOOKUP: &str = env!("CARGO_BIN_EXE_nslookup");
/// How long a slow answer takes: a server is asked again after twice that.
const SLOW: Duration = Duration::from_millis(400);

/// How a server answers, which the first label of the name says.
fn answer(query: &[u8], is_stream: bool) -> Option<Vec<u8>> {
    let query = Message::from_octets(query.to_vec()).unwrap();
    let question = query.sole_question().unwrap();
    let name: Name<Vec<u8>> = Name::vec_from_str(&question.qname().to_string()).unwrap();
    let kind = name.to_string().to_lowercase();
    let mut message = MessageBuilder::new_vec();
    let header = message.header_mut();
    header.set_id(query.header().id());
    header.set_qr(true);
    header.set_ra(true);
    // As a server does that has proven all it says (RFC 6840, 5.7).
    header.set_ad(query.header().ad());
    match kind.split('.').next().unwrap() {
        "silent" => return None,
        "slow" => std::thread::sleep(SLOW),
        "forged" => header.set_id(query.header().id().wrapping_add(1)),
        "refused" => header.set_rcode(Rcode::REFUSED),
        "missing" => header.set_rcode(Rcode::NXDOMAIN),
        "long" if !is_stream => header.set_tc(true),
        _ => {}
    }
    let is_empty = header.rcode() != Rcode::NOERROR || header.tc();
    let mut message = message.question();
    let asked = if kind.starts_with("lower.") { Name::vec_from_str(&kind).unwrap() } else { name };
    message.push((&asked, question.qtype())).unwrap();
    let mut message = message.answer();
    if !is_empty && question.qtype() == Rtype::A {
        let count = if is_stream { 100 } else { 1 };
        for last in 1..=count {
            let data = A::from_octets(192, 0, 2, last);
            message.push((&asked, Class::IN, Ttl::from_secs(300), data)).unwrap();
        }
    }
    let mut message = message.authority();
    if kind.starts_with("missing") {
        let (zone, second) = (Name::vec_from_str("example").unwrap(), Ttl::from_secs(60));
        let data = Soa::new(zone.clone(), zone.clone(), Serial(1), second, second, second, second);
        message.push((zone, Class::IN, second, data)).unwrap();
    }
    Some(message.finish())
}

/// A server of this test, and how many datagrams it got.
struct Server {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
}

impl Server {
    fn start() -> Self {
        let (socket, listener) = loop {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            // Another process may have the port of the same number.
            if let Ok(listener) = TcpListener::bind(socket.local_addr().unwrap()) {
                break (socket, listener);
            }
        };
        let address = socket.local_addr().unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&asked);
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            loop {
                let (length, from) = socket.recv_from(&mut buffer).unwrap();
                counter.fetch_add(1, Ordering::SeqCst);
                if let Some(answer) = answer(&buffer[..length], false) {
                    socket.send_to(&answer, from).unwrap();
                }
            }
        });
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut length = [0; 2];
                stream.read_exact(&mut length).unwrap();
                let mut query = vec![0; u16::from_be_bytes(length).into()];
                stream.read_exact(&mut query).unwrap();
                let answer = answer(&query, true).unwrap();
                let length = u16::try_from(answer.len()).unwrap().to_be_bytes();
                stream.write_all(&[&length[..], &answer].concat()).unwrap();
            }
        });
        Self { address, asked }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// Waits until it was asked more than `before` times.
    fn wait_until_asked(&self, before: usize) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while self.asked() <= before {
            assert!(Instant::now() < deadline, "nobody asks");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// A running `dnsd`.
struct Resolver {
    child: Child,
    address: SocketAddr,
    directory: TempDir,
}

impl Drop for Resolver {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Resolver {
    fn start(servers: &[SocketAddr]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let ready = UnixDatagram::bind(directory.path().join("notify")).unwrap();
        ready.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        fs::write(directory.path().join("hosts"), "192.0.2.99 here.example\n").unwrap();
        // A port that was free a moment ago.
        let address = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let child = Command::new(DNSD)
            .args(["--listen", &address.to_string(), "--user", "root"])
            .arg("--resolv-conf")
            .arg(directory.path().join("resolv.conf"))
            .arg("--hosts")
            .arg(directory.path().join("hosts"))
            .env("NOTIFY_SOCKET", directory.path().join("notify"))
            .spawn()
            .unwrap();
        let resolver = Self { child, address, directory };
        resolver.set_servers(servers);
        let mut state = [0; 16];
        let length = ready.recv(&mut state).unwrap();
        assert_eq!(&state[..length], b"READY=1");
        resolver
    }

    fn set_servers(&self, servers: &[SocketAddr]) {
        let lines: String = servers.iter().map(|server| format!("nameserver {server}\n")).collect();
        let path: PathBuf = self.directory.path().join("resolv.conf");
        fs::write(path.with_extension("new"), lines).unwrap();
        fs::rename(path.with_extension("new"), path).unwrap();
    }

    fn ask_for(&self, name: &str, rtype: Rtype) -> Vec<u8> {
        let name = Name::vec_from_str(name).unwrap();
        let question = Question { name, rtype, class: Class::IN };
        ask(self.address, &question, Instant::now() + Duration::from_secs(30)).unwrap()
    }

    fn rcode(&self, name: &str) -> Rcode {
        Message::from_octets(self.ask_for(name, Rtype::A)).unwrap().header().rcode()
    }
}

#[test]
fn a_question_is_asked_once_and_answered_from_memory_then() {
    let server = Server::start();
    let resolver = Resolver::start(&[server.address]);
    for name in ["a.example", "A.EXAMPLE", "a.example"] {
        let found = addresses_in(&resolver.ask_for(name, Rtype::A));
        assert_eq!(found, ["192.0.2.1".parse::<std::net::IpAddr>().unwrap()]);
    }
    assert_eq!(server.asked(), 1);
    for _ in 0..3 {
        assert_eq!(resolver.rcode("missing.example"), Rcode::NXDOMAIN);
    }
    assert_eq!(server.asked(), 2, "that a name is not there is remembered too");
    let other = Server::start();
    resolver.set_servers(&[other.address]);
    resolver.ask_for("a.example", Rtype::A);
    assert_eq!((server.asked(), other.asked()), (2, 1), "other servers may know other names");
}

#[test]
fn what_a_former_server_says_late_is_not_remembered() {
    let (former, other) = (Server::start(), Server::start());
    let resolver = Resolver::start(&[former.address]);
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| resolver.ask_for("slow.a.example", Rtype::A));
        former.wait_until_asked(0);
        resolver.set_servers(&[other.address]);
        // From here on the resolver knows that they are others.
        resolver.ask_for("b.example", Rtype::A);
        assert_eq!(addresses_in(&asking.join().unwrap()).len(), 1, "who asked has an answer");
    });
    let before = other.asked();
    resolver.ask_for("slow.a.example", Rtype::A);
    assert!(other.asked() > before);
}

#[test]
fn nobody_waits_for_a_former_server_who_asks_later() {
    let (former, other) = (Server::start(), Server::start());
    let resolver = Resolver::start(&[former.address]);
    std::thread::scope(|scope| {
        scope.spawn(|| resolver.ask_for("slow.example", Rtype::A));
        former.wait_until_asked(0);
        resolver.set_servers(&[other.address]);
        resolver.ask_for("slow.example", Rtype::A);
    });
    assert!(other.asked() > 0);
}

#[test]
fn who_asks_for_it_hears_that_an_answer_is_proven() {
    let server = Server::start();
    let resolver = Resolver::start(&[server.address]);
    let is_proven = |ad, do_bit| {
        let mut message = MessageBuilder::new_vec();
        message.header_mut().set_rd(true);
        message.header_mut().set_ad(ad);
        let mut message = message.question();
        message.push((Name::<Vec<u8>>::vec_from_str("a.example").unwrap(), Rtype::A)).unwrap();
        let mut message = message.additional();
        let opt = message.opt(|opt| {
            opt.set_dnssec_ok(do_bit);
            Ok(())
        });
        opt.unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        socket.send_to(&message.finish(), resolver.address).unwrap();
        let mut reply = [0; 4096];
        let length = socket.recv(&mut reply).unwrap();
        Message::from_octets(&reply[..length]).unwrap().header().ad()
    };
    assert!(is_proven(true, false));
    assert!(is_proven(false, true));
    assert!(!is_proven(false, false));
}

#[test]
fn what_this_machine_knows_is_asked_of_nobody() {
    let server = Server::start();
    let resolver = Resolver::start(&[server.address]);
    let found = |name| addresses_in(&resolver.ask_for(name, Rtype::A))[0].to_string();
    assert_eq!(found("localhost"), "127.0.0.1");
    assert_eq!(found("HERE.example"), "192.0.2.99");
    fs::write(resolver.directory.path().join("hosts"), "192.0.2.100 here.example\n").unwrap();
    assert_eq!(found("here.example"), "192.0.2.100", "the file is read again");
    assert_eq!(resolver.rcode("x.invalid"), Rcode::NXDOMAIN);
    assert_eq!(server.asked(), 0);
}

#[test]
fn another_server_is_asked_when_one_refuses_or_is_silent() {
    let (first, second) = (Server::start(), Server::start());
    let resolver = Resolver::start(&[first.address, second.address]);
    assert_eq!(resolver.rcode("refused.example"), Rcode::SERVFAIL);
    assert_eq!((first.asked(), second.asked()), (3, 3));
    assert_eq!(resolver.rcode("refused.example"), Rcode::SERVFAIL);
    assert_eq!(first.asked(), 3, "a failure is remembered for a moment");
    // Nobody has this port: the kernel says so at once.
    let nobody = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    resolver.set_servers(&[nobody, first.address]);
    assert_eq!(addresses_in(&resolver.ask_for("b.example", Rtype::A)).len(), 1);
    resolver.set_servers(&[]);
    assert_eq!(resolver.rcode("c.example"), Rcode::SERVFAIL);
}

#[test]
fn long_answers_come_by_tcp_and_forged_ones_not_at_all() {
    let server = Server::start();
    let resolver = Resolver::start(&[server.address]);
    assert_eq!(addresses_in(&resolver.ask_for("long.example", Rtype::A)).len(), 100);
    assert_eq!(addresses_in(&resolver.ask_for("lower.example", Rtype::A)).len(), 1);
    assert_eq!(resolver.rcode("forged.example"), Rcode::SERVFAIL);
}

#[test]
fn garbage_and_crowds_do_not_stop_it() {
    let server = Server::start();
    let mut resolver = Resolver::start(&[server.address]);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut noise: u32 = 1;
    for length in 0..500_usize {
        let bytes: Vec<u8> = (0..length)
            .map(|_| {
                noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                noise.to_be_bytes()[0]
            })
            .collect();
        socket.send_to(&bytes, resolver.address).unwrap();
    }
    let (address, mut threads) = (resolver.address, Vec::new());
    for number in 0..200 {
        threads.push(std::thread::spawn(move || {
            let name = Name::vec_from_str(&format!("n{}.example", number % 40)).unwrap();
            let question = Question { name, rtype: Rtype::A, class: Class::IN };
            ask(address, &question, Instant::now() + Duration::from_secs(30)).unwrap()
        }));
    }
    for thread in threads {
        let answer = thread.join().unwrap_or_else(|_| panic!("no answer"));
        assert_eq!(addresses_in(&answer).len(), 1);
    }
    assert!(resolver.child.try_wait().unwrap().is_none());
}

#[test]
fn nslookup_shows_answers_and_their_absence() {
    let server = Server::start();
    let resolver = Resolver::start(&[server.address]);
    let lookup = |arguments: &[&str]| {
        let port = resolver.address.port().to_string();
        let output =
            Command::new(NSLOOKUP).args(arguments).args(["127.0.0.1", "-p", &port]).output();
        let output = output.unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (code, text) = lookup(&["a.example"]);
    assert_eq!(code, Some(0));
    assert!(text.ends_with("Name:    a.example\nAddress: 192.0.2.1\n"), "{text}");
    let (code, text) = lookup(&["missing.example"]);
    assert_eq!(code, Some(1));
    assert!(text.ends_with("missing.example: NXDOMAIN\n"), "{text}");
    let (code, text) = lookup(&["127.0.0.1"]);
    assert_eq!(code, Some(0));
    assert!(text.contains("1.0.0.127.in-addr.arpa  PTR  localhost"), "{text}");
    assert_eq!(Command::new(NSLOOKUP).arg("a").arg("b").output().unwrap().status.code(), Some(2));
}

#[test]
fn nslookup_asks_the_server_of_resolv_conf_at_its_port() {
    let is_allowed = Command::new("unshare")
        .args(["-rm", "mount", "--bind", "/dev/null", "/etc/resolv.conf"])
        .status();
    if !is_allowed.is_ok_and(|status| status.success()) {
        println!("skipped: unshare(1) cannot mount over /etc/resolv.conf here");
        return;
    }
    let server = Server::start();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("resolv.conf");
    let lookup = |named: &str, arguments: &[&str]| {
        fs::write(&file, format!("nameserver {named}\n")).unwrap();
        let script = "mount --bind \"$0\" /etc/resolv.conf && exec \"$@\"";
        let output = Command::new("unshare")
            .args(["-rm", "sh", "-c", script])
            .arg(&file)
            .args([NSLOOKUP, "-t", "A", "a.example"])
            .args(arguments)
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let port = server.address.port().to_string();
    let expected = format!("Server:  127.0.0.1\nPort:    {port}\n\nName:    a.example\n");
    let typed = server.address.to_string();
    for (named, arguments) in [
        (typed.as_str(), &[][..]),
        ("127.0.0.1:1", &["-p", port.as_str()]),
        ("192.0.2.9", &[typed.as_str()]),
    ] {
        let (code, text) = lookup(named, arguments);
        assert_eq!(code, Some(0), "{named} {arguments:?}");
        assert!(text.starts_with(&expected), "{text}");
    }
}
