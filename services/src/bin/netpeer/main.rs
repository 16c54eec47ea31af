//! `netpeer`: the other side of the network, for tests: servers that grant what they
//! are told to, on one link. For test images only.
//!
//! Code map: one module and one thread for each protocol. [`dhcp4`], [`router`]
//! (advertisements), [`dhcp6`] (stateless), [`dns`], [`ntp`] and [`echo`] (TCP); [`listen`] has
//! sockets for some of them. It ends when one of them fails.

mod arguments;
mod dhcp4;
mod dhcp6;
mod dns;
mod echo;
mod listen;
mod ntp;
mod router;

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::{Arc, mpsc};
use std::thread;

use services::network::netlink::change::LinkSetting;
use services::network::netlink::view::{Link, links};
use services::network::netlink::{Change, Connection};
use services::notify::notify;
use services::problem::{Context, Problem, Result};
use services::program;

use arguments::{Settings, Task};

const PROGRAM: &str = "netpeer";

fn main() -> ExitCode {
    program::run(PROGRAM, arguments::HELP, arguments::parse, |task| match task {
        Task::Serve(settings) => serve(&settings),
        Task::Call(address, text) => call(address, &text),
        Task::Hold(address) => echo::hold(address),
    })
}

fn call(address: SocketAddr, text: &str) -> Result<()> {
    let answer = echo::call(address, text)?;
    io::stdout().write_all(answer.as_bytes()).context(|| "cannot write".to_owned())
}

fn serve(settings: &Settings) -> Result<()> {
    let link = prepare(settings)?;
    let (sender, receiver) = mpsc::channel();
    let begin = |name: &'static str, serve: Box<dyn FnOnce() -> Result<()> + Send>| {
        let sender = sender.clone();
        thread::spawn(move || {
            let end = serve().err().unwrap_or_else(|| Problem::new("it has nothing more to do"));
            // Whoever waits has gone if another one was first.
            let _ = sender.send(Problem::new(format!("{name}: {end}")));
        });
    };
    if let Some(options) = settings.dhcp4.clone() {
        let server = dhcp4::Server::open(&link, options)?;
        begin("DHCP", Box::new(move || server.serve()));
    }
    if let Some(options) = settings.router.clone() {
        let router = router::Router::open(&link, options)?;
        begin("router", Box::new(move || router.serve()));
    }
    if !settings.dhcp6_dns.is_empty() {
        let server = dhcp6::Server::open(&link, settings.dhcp6_dns.clone())?;
        begin("DHCPv6", Box::new(move || server.serve()));
    }
    let names = Arc::new(settings.names.clone());
    for address in &names.at {
        let datagrams = dns::Datagrams::open(*address, &names)?;
        begin("names by UDP", Box::new(move || datagrams.serve()));
        let connections = dns::Connections::open(*address, &names)?;
        begin("names by TCP", Box::new(move || connections.serve()));
    }
    for clock in &settings.clocks {
        let server = ntp::Server::open(clock.clone())?;
        begin("time", Box::new(move || server.serve()));
    }
    if let Some(port) = settings.echo_port {
        let server = echo::open(port)?;
        begin("echo", Box::new(move || echo::serve(&server)));
    }
    notify("READY=1").context(|| "cannot tell PID 1 that it is ready".to_owned())?;
    Err(receiver.recv().unwrap_or_else(|_| Problem::new("there is nothing to serve")))
}

/// Switches the link on and gives it its addresses.
fn prepare(settings: &Settings) -> Result<Link> {
    let kernel = || "cannot ask the kernel".to_owned();
    let mut connection = Connection::open(None).context(kernel)?;
    let found = links(&mut connection).context(kernel)?;
    let name = &settings.link;
    let link = found
        .into_iter()
        .find(|link| link.name == *name)
        .ok_or_else(|| Problem::new(format!("there is no link `{name}`")))?;
    let mut changes = vec![Change::SetLink(link.index, LinkSetting::Up(true))];
    for prefix in &settings.addresses {
        let index = link.index;
        changes.push(Change::AddAddress { index, prefix: *prefix, valid_s: None, metric: None });
    }
    for change in changes {
        change.make(&mut connection).context(|| format!("cannot prepare `{name}`"))?;
    }
    Ok(link)
}
