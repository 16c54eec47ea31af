//! Who may connect: at most so many connections, so many per address, and none from an
//! address whose connections kept ending without a login.
//!
//! Pure: time is an argument. Memory is bounded: addresses without a connection are
//! forgotten when their failures are, and there are at most [`ADDRESSES_MAX`].

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

use crate::outcome::Outcome;

/// Most addresses remembered. Beyond it those with the oldest failures are forgotten.
const ADDRESSES_MAX: usize = 4096;

/// The part of [`crate::settings::Settings`] that counts here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Connections at a time.
    pub(crate) connections: usize,
    /// Connections at a time per address.
    pub(crate) per_address: usize,
    /// Failures within the window from which on an address is turned away.
    pub(crate) failures: usize,
    /// How long a failure counts.
    pub(crate) window: Duration,
}

/// Why a connection is turned away.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Refused {
    /// As many as allowed are there.
    Full,
    /// As many as allowed are there from this address.
    FullForAddress,
    /// Too many of this address's connections ended without a login.
    Failures,
}

impl Refused {
    /// In words, for the log.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "too many connections",
            Self::FullForAddress => "too many connections from this address",
            Self::Failures => "too many connections without a login from this address",
        }
    }
}

/// What is known of an address.
#[derive(Default)]
struct Peer {
    open: usize,
    failures: Vec<Instant>,
}

/// The connections there are, and the failures that still count.
pub(crate) struct Limits {
    bounds: Bounds,
    open: usize,
    peers: HashMap<IpAddr, Peer>,
}

impl Limits {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self { bounds, open: 0, peers: HashMap::new() }
    }

    /// Counts a connection in, unless it is to be turned away.
    pub(crate) fn admit(&mut self, address: IpAddr, now: Instant) -> Result<(), Refused> {
        self.forget(now);
        let peer = self.peers.get(&network(address));
        if peer.is_some_and(|peer| peer.failures.len() >= self.bounds.failures) {
            return Err(Refused::Failures);
        }
        if peer.is_some_and(|peer| peer.open >= self.bounds.per_address) {
            return Err(Refused::FullForAddress);
        }
        if self.open >= self.bounds.connections {
            return Err(Refused::Full);
        }
        self.open += 1;
        self.peers.entry(network(address)).or_default().open += 1;
        Ok(())
    }

    /// Counts out a connection that was let in.
    pub(crate) fn ended(&mut self, address: IpAddr, outcome: Outcome, now: Instant) {
        self.open = self.open.saturating_sub(1);
        let peer = self.peers.entry(network(address)).or_default();
        peer.open = peer.open.saturating_sub(1);
        if outcome == Outcome::NoLogin && peer.failures.len() < self.bounds.failures {
            peer.failures.push(now);
        }
        self.forget(now);
    }

    fn forget(&mut self, now: Instant) {
        let window = self.bounds.window;
        for peer in self.peers.values_mut() {
            peer.failures.retain(|then| now.saturating_duration_since(*then) < window);
        }
        self.peers.retain(|_, peer| peer.open > 0 || !peer.failures.is_empty());
        while self.peers.len() > ADDRESSES_MAX {
            let idle = self.peers.iter().filter(|(_, peer)| peer.open == 0);
            let oldest = idle.min_by_key(|(_, peer)| peer.failures.last().copied());
            let Some((address, _)) = oldest.map(|(address, peer)| (*address, peer.open)) else {
                break;
            };
            self.peers.remove(&address);
        }
    }
}

/// What counts as one address: an IPv6 host has a /64 to itself.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let prefix = address.to_bits() & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from_bits(prefix))
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds =
        Bounds { connections: 3, per_address: 2, failures: 2, window: Duration::from_secs(60) };

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn connections_are_bounded_altogether_and_per_address() {
        let mut limits = Limits::new(BOUNDS);
        let now = Instant::now();
        for (address, result) in [
            ("10.0.0.1", Ok(())),
            ("::ffff:10.0.0.1", Ok(())),
            ("10.0.0.1", Err(Refused::FullForAddress)),
            ("2001:db8::1", Ok(())),
            ("10.0.0.3", Err(Refused::Full)),
        ] {
            assert_eq!(limits.admit(ip(address), now), result, "{address}");
        }
        limits.ended(ip("10.0.0.1"), Outcome::Login, now);
        assert_eq!(limits.admit(ip("10.0.0.3"), now), Ok(()));
    }

    #[test]
    fn an_address_that_fails_is_turned_away_until_its_failures_are_old() {
        let mut limits = Limits::new(BOUNDS);
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        for second in [0, 10] {
            assert_eq!(limits.admit(ip("2001:db8::1"), at(second)), Ok(()));
            limits.ended(ip("2001:db8::1"), Outcome::NoLogin, at(second));
        }
        assert_eq!(limits.admit(ip("2001:db8::ffff"), at(20)), Err(Refused::Failures));
        assert_eq!(limits.admit(ip("2001:db8:0:1::1"), at(20)), Ok(()));
        assert_eq!(limits.admit(ip("2001:db8::1"), at(61)), Ok(()));
        limits.ended(ip("2001:db8::1"), Outcome::Login, at(61));
        assert_eq!(limits.admit(ip("2001:db8::1"), at(62)), Ok(()));
    }

    #[test]
    fn failures_of_the_server_do_not_count_against_the_address() {
        let mut limits = Limits::new(BOUNDS);
        let now = Instant::now();
        for _ in 0..BOUNDS.failures * 2 {
            assert_eq!(limits.admit(ip("10.0.0.1"), now), Ok(()));
            limits.ended(ip("10.0.0.1"), Outcome::Failed, now);
        }
        assert!(limits.peers.is_empty());
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut limits = Limits::new(BOUNDS);
        let now = Instant::now();
        for number in 0..u32::try_from(ADDRESSES_MAX).unwrap() + 10 {
            let address = IpAddr::V4(number.into());
            assert_eq!(limits.admit(address, now), Ok(()));
            limits.ended(address, Outcome::NoLogin, now);
        }
        assert_eq!(limits.peers.len(), ADDRESSES_MAX);
        limits.forget(now + BOUNDS.window);
        assert!(limits.peers.is_empty());
    }
}
