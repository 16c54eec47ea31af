//! What a readiness report of epoll(7) is about, in the 64 bits it carries.

use init_core::event::InstanceId;

/// A watched descriptor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Token {
    /// The signalfd.
    Signals,
    /// The readiness socket.
    Notify,
    /// The control socket.
    Listener,
    /// The socket to the log collector.
    Collector,
    /// The pipe that says whether an instance's program was executed.
    ExecStatus(InstanceId),
    /// The `cgroup.events` of an instance.
    Tree(InstanceId),
    /// A control client.
    Client(u64),
}

/// Numbers take the low 56 bits: at a million instances a second they last 2000 years.
const KIND_SHIFT: u32 = 56;
const NUMBER_MASK: u64 = (1 << KIND_SHIFT) - 1;

impl Token {
    /// The bits to register it with.
    pub(super) const fn encode(self) -> u64 {
        let (kind, number) = match self {
            Self::Signals => (0, 0),
            Self::Notify => (1, 0),
            Self::Listener => (2, 0),
            Self::Collector => (3, 0),
            Self::ExecStatus(instance) => (4, instance.0),
            Self::Tree(instance) => (5, instance.0),
            Self::Client(id) => (6, id),
        };
        (kind << KIND_SHIFT) | (number & NUMBER_MASK)
    }

    /// What was registered with these bits.
    pub(super) const fn decode(bits: u64) -> Option<Self> {
        let number = bits & NUMBER_MASK;
        Some(match bits >> KIND_SHIFT {
            0 => Self::Signals,
            1 => Self::Notify,
            2 => Self::Listener,
            3 => Self::Collector,
            4 => Self::ExecStatus(InstanceId(number)),
            5 => Self::Tree(InstanceId(number)),
            6 => Self::Client(number),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_survive_the_kernel() {
        let id = InstanceId(0x12_3456_789a);
        let tokens = [
            Token::Signals,
            Token::Notify,
            Token::Listener,
            Token::Collector,
            Token::ExecStatus(id),
            Token::Tree(id),
            Token::Client(7),
        ];
        for token in tokens {
            assert_eq!(Token::decode(token.encode()), Some(token));
        }
        assert_eq!(Token::decode(7 << 56), None);
    }
}
