//! PID 1: boots the system, supervises its services, ends it.
//!
//! This file is the boot, top down. Decisions about services are made by
//! `init_core::supervisor`; here is only what touches the kernel. PID 1 has
//! one thread and never exits: whatever fails becomes a record in the log and
//! a poorer system, or, where nothing can follow, the rescue policy.
//! docs/boot.md describes it for people.

// Without the standard library, which would be two fifths of the program
// (docs/architecture.md).
#![cfg_attr(not(test), no_std, no_main)]

extern crate alloc;

mod accounts;
mod boot_report;
mod cgroup;
mod clock;
mod console;
mod control;
mod environment;
mod errno;
mod event_loop;
mod files;
mod foreground;
mod instances;
mod load;
mod log;
mod mounts;
mod nodes;
mod notify;
mod output;
mod rescue;
mod root;
mod service;
mod shutdown;
mod signals;
#[expect(unsafe_code, reason = "the system calls that have no safe wrapper; argued in sys/mod.rs")]
mod sys;

use alloc::format;
use alloc::string::String;
use core::convert::Infallible;

use init_core::cmdline::CommandLine;
use init_core::description::DIRECTORIES;
use init_core::supervisor::Supervisor;
use init_core::time::Timestamp;
use rustix::fs::Mode;

use boot_report::BootReport;
use console::Console;
use errno::explain;
use event_loop::EventLoop;
use service::Accounts;
use sys::signal::SignalFd;

/// What `main` of the C start-up code calls.
fn run() -> i32 {
    let started = clock::now();
    if rustix::process::getpid() != rustix::process::Pid::INIT {
        log::write_console(
            b"init: this is Keelson's PID 1; it is started by the kernel and does nothing else\n\
              hint: `svcctl` talks to the one that runs\n",
        );
        return 2;
    }
    let Err(cause) = boot(started);
    // Only what comes before the loop and cannot be done without ends here:
    // a kernel without signalfd or epoll, or no /dev/null.
    rescue::give_up(format_args!("{cause}"))
}

fn boot(started: Timestamp) -> Result<Infallible, String> {
    sys::signal::block_all();
    sys::panic::install_hook();
    sys::process::keep_inherited_descriptors();
    rustix::process::umask(Mode::from_raw_mode(0o022));

    let failures = mounts::mount_all();
    nodes::complete();
    let console = Console::attach()
        .map_err(|errno| format!("no descriptor to stand on: {}", explain(errno)))?;
    log::open_kmsg();
    mounts::report(&failures);

    let line = command_line();
    let signals =
        SignalFd::open().map_err(|errno| format!("cannot open a signalfd: {}", explain(errno)))?;
    note("keep Ctrl-Alt-Del", sys::power::take_ctrl_alt_del());
    note("raise the limit on open files", service::raise_open_files());
    make_runtime_directory();
    let report = BootReport::new(started);
    root::switch(&line, &report, &console, &signals);

    root::make_writable(&line);
    environment::set_hostname();
    note("bring up the loopback interface", sys::net::loopback_up());
    let mut services = load::services();
    while services.is_empty() {
        let [image, machine] = DIRECTORIES;
        rescue::enter(
            format_args!("no service is described in {image} or {machine}"),
            &console,
            &signals,
        );
        services = load::services();
    }
    let supervisor = Supervisor::new(services);
    let identities = Accounts::read().identities(&supervisor);
    let kind = EventLoop::new(supervisor, identities, &signals, &console, report)
        .map_err(|errno| format!("cannot open an epoll: {}", explain(errno)))?
        .run();
    shutdown::finish(kind, &signals)
}

fn command_line() -> CommandLine {
    let text = files::read_text("/proc/cmdline").unwrap_or_default();
    let line = CommandLine::parse(&text);
    rescue::set_policy(line.rescue);
    if line.debug {
        log::set_verbose();
    }
    for finding in &line.findings {
        log::error(format_args!("kernel command line: {finding}"));
    }
    line
}

/// Where PID 1's sockets are.
fn make_runtime_directory() {
    match rustix::fs::mkdir("/run/init", Mode::from_raw_mode(0o755)) {
        Err(errno) if errno != rustix::io::Errno::EXIST => note("make /run/init", Err(errno)),
        _ => {}
    }
}

/// Records that something worth having could not be had.
fn note(what: &str, result: Result<(), rustix::io::Errno>) {
    if let Err(errno) = result {
        log::warning(format_args!("cannot {what}: {}", explain(errno)));
    }
}

#[cfg(test)]
fn main() {
    run();
}
