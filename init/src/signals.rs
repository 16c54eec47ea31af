//! What signals to PID 1 mean; [`crate::sys::signal`] takes and sends them.

use init_core::event::ShutdownKind;

/// What a signal to PID 1 asks for; the same signals as in busybox and sysvinit's successors.
pub(crate) fn kind_of_signal(number: i32) -> Option<ShutdownKind> {
    match number {
        libc::SIGTERM | libc::SIGPWR | libc::SIGUSR2 => Some(ShutdownKind::PowerOff),
        libc::SIGINT => Some(ShutdownKind::Reboot),
        libc::SIGUSR1 => Some(ShutdownKind::Halt),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_end_the_system_as_people_expect() {
        assert_eq!(kind_of_signal(libc::SIGTERM), Some(ShutdownKind::PowerOff));
        assert_eq!(kind_of_signal(libc::SIGPWR), Some(ShutdownKind::PowerOff));
        assert_eq!(kind_of_signal(libc::SIGINT), Some(ShutdownKind::Reboot));
        assert_eq!(kind_of_signal(libc::SIGUSR1), Some(ShutdownKind::Halt));
        assert_eq!(kind_of_signal(libc::SIGCHLD), None);
        assert_eq!(kind_of_signal(libc::SIGHUP), None);
    }
}
