//! Signals by number and by name, as signal(7) has them for x86_64 and aarch64.
//!
//! Nothing is sent here: the system-call edge does that.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// A signal's number, as signal(7) has it for x86_64 and aarch64: 1 to 64.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Signal(pub u8);

/// The names of signals 1 to 31, in order, without `SIG`.
const NAMES: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2",
    "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG",
    "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];

/// First real-time signal that programs may use, as glibc counts: the kernel's
/// 32 and 33 belong to the thread library.
const RTMIN: u8 = 34;

/// Last real-time signal.
const RTMAX: u8 = 64;

impl Signal {
    /// `SIGHUP`
    pub const HUP: Self = Self(1);
    /// `SIGKILL`
    pub const KILL: Self = Self(9);
    /// `SIGTERM`
    pub const TERM: Self = Self(15);
    /// `SIGCONT`
    pub const CONT: Self = Self(18);
    /// `SIGSTOP`
    pub const STOP: Self = Self(19);

    /// The signal of a name such as `SIGTERM`, `TERM`, `SIGRTMIN`, `RTMIN+3` or `SIGRTMAX`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let name = name.strip_prefix("SIG").unwrap_or(name);
        if let Some(index) = NAMES.iter().position(|candidate| *candidate == name) {
            return u8::try_from(index + 1).ok().map(Self);
        }
        match name {
            "RTMIN" => Some(Self(RTMIN)),
            "RTMAX" => Some(Self(RTMAX)),
            _ => {
                let offset = name.strip_prefix("RTMIN+")?.parse::<u8>().ok()?;
                let number = RTMIN.checked_add(offset)?;
                (number <= RTMAX).then_some(Self(number))
            }
        }
    }

    /// The names that [`Signal::from_name`] knows, with `SIG`, for suggestions.
    #[must_use]
    pub fn names() -> Vec<String> {
        NAMES.iter().map(|name| format!("SIG{name}")).collect()
    }
}

/// `SIGTERM`, `SIGRTMIN+3`; a number without a name is `signal 32`.
impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = usize::from(self.0).checked_sub(1).and_then(|index| NAMES.get(index));
        match (known, self.0) {
            (Some(name), _) => write!(f, "SIG{name}"),
            (None, RTMIN) => write!(f, "SIGRTMIN"),
            (None, number @ RTMIN..=RTMAX) => write!(f, "SIGRTMIN+{}", number - RTMIN),
            (None, number) => write!(f, "signal {number}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_read_back() {
        for number in (1..=31).chain(RTMIN..=RTMAX) {
            let signal = Signal(number);
            assert_eq!(Signal::from_name(&signal.to_string()), Some(signal), "{signal}");
        }
        assert_eq!(Signal::from_name("TERM"), Some(Signal::TERM));
        assert_eq!(Signal::from_name("RTMAX"), Some(Signal(64)));
        assert_eq!(Signal(33).to_string(), "signal 33");
        for wrong in ["", "SIG", "15", "sigterm", "SIGTREM", "RTMIN+31", "RTMIN+-1"] {
            assert_eq!(Signal::from_name(wrong), None, "{wrong}");
        }
    }
}
