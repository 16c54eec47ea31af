//! When boot cannot go on, and when PID 1 itself is at its end.
//!
//! What happens is decided on the kernel command line (`init.rescue=`). A
//! shell is a root shell without a password: whoever has the console has the
//! machine (compare CVE-2016-4484), so it must be asked for.

use alloc::ffi::CString;
use core::fmt;
use core::time::Duration;

use init_core::cmdline::RescuePolicy;
use init_core::event::ShutdownKind;
use rustix::thread::{NanosleepRelativeResult, nanosleep};

use crate::console::{self, Console};
use crate::errno::explain;
use crate::foreground::{self, Ended, Waited};
use crate::sys::once::Once;
use crate::sys::process::{self, CStrings};
use crate::sys::signal::SignalFd;
use crate::{environment, log, shutdown, sys};

/// Time for a person to read the reason before the system goes down.
const READING_TIME: Duration = Duration::from_secs(10);

const SHELL: &str = "/bin/sh";

// For a panic, which brings no arguments of ours.
static POLICY: Once<RescuePolicy> = Once::new();

/// Remembers what the command line says. Until then the policy is to reboot.
pub(crate) fn set_policy(policy: RescuePolicy) {
    POLICY.set(policy);
}

/// Says why boot cannot go on and does what the policy wants. Returns when a
/// person has left the rescue shell: the caller tries again what failed.
pub(crate) fn enter(cause: fmt::Arguments<'_>, console: &Console, signals: &SignalFd) {
    log::error(format_args!("boot cannot go on: {cause}"));
    match POLICY.get().copied().unwrap_or_default() {
        RescuePolicy::Shell => shell(console, signals),
        RescuePolicy::Reboot => end_after_pause(ShutdownKind::Reboot, signals),
        RescuePolicy::PowerOff => end_after_pause(ShutdownKind::PowerOff, signals),
    }
}

fn shell(console: &Console, signals: &SignalFd) {
    log::write_console(
        b"\r\ninit: rescue shell; leave it to try again, `kill -TERM 1` powers off\r\n",
    );
    let terminal = CString::new(console::terminal_path("console")).unwrap_or_default();
    let mut ended = foreground::run(&[SHELL], Some(&terminal), console, signals);
    if let Ended::NotStarted(_) = ended {
        // Perhaps the console is no terminal: better a shell without job control than none.
        ended = foreground::run(&[SHELL], None, console, signals);
    }
    match ended {
        Ended::Status(_) => log::info(format_args!("rescue shell left, trying again")),
        Ended::Interrupted(kind) => shutdown::finish(kind, signals),
        Ended::NotStarted(error) => {
            let errno = rustix::io::Errno::from_raw_os_error(error.errno);
            log::error(format_args!("cannot run {SHELL}: {}", explain(errno)));
            end_after_pause(ShutdownKind::Reboot, signals);
        }
    }
}

fn end_after_pause(kind: ShutdownKind, signals: &SignalFd) {
    log::error(format_args!("{kind:?} in {} seconds", READING_TIME.as_secs()));
    let asked = loop {
        match foreground::pause(signals, None, Some(READING_TIME)) {
            Waited::TimedOut => break kind,
            Waited::Interrupted(asked) => break asked,
            Waited::Done => {}
        }
    };
    shutdown::finish(asked, signals);
}

/// Ends PID 1's work for a cause that leaves it nothing to stand on.
pub(crate) fn give_up(cause: fmt::Arguments<'_>) -> ! {
    log::error(cause);
    last_resort()
}

/// PID 1 cannot trust itself any more: becomes the shell, or reboots.
fn last_resort() -> ! {
    if POLICY.get() == Some(&RescuePolicy::Shell) {
        log::error(format_args!("becoming {SHELL}; its end restarts the system"));
        let environment = CStrings::new(environment::BASE);
        sys::signal::unblock_all();
        process::exec(c"/bin/sh", &CStrings::new([SHELL]), &environment);
    }
    restart()
}

/// Reboots, or powers off where the policy says so, with as little of PID 1 as
/// that takes: no memory, no file, no message.
pub(crate) fn restart() -> ! {
    sleep(READING_TIME);
    rustix::fs::sync();
    let kind = match POLICY.get() {
        Some(RescuePolicy::PowerOff) => ShutdownKind::PowerOff,
        _ => ShutdownKind::Reboot,
    };
    sys::power::end(kind);
    loop {
        sleep(READING_TIME);
    }
}

/// Sleeps at least `duration`.
fn sleep(duration: Duration) {
    let Ok(mut left) = rustix::time::Timespec::try_from(duration) else { return };
    while let NanosleepRelativeResult::Interrupted(rest) = nanosleep(&left) {
        left = rest;
    }
}
