//! What a server has granted.

use std::net::Ipv4Addr;
use std::time::Duration;

use serde_json::{Value, json};
use services::network::prefix::Prefix;

/// Shortest lease that is taken as it is: what is shorter would be renewed without pause.
const SECONDS_MIN: u32 = 4;

/// What a server has granted, and for how long.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Lease {
    pub(crate) address: Ipv4Addr,
    pub(crate) prefix_length: u8,
    pub(crate) server: Ipv4Addr,
    /// When it was asked for, on the clock that goes on during sleep.
    pub(crate) since: Duration,
    pub(crate) times: Times,
    pub(crate) routers: Vec<Ipv4Addr>,
    pub(crate) routes: Vec<(Prefix, Ipv4Addr)>,
    pub(crate) dns: Vec<Ipv4Addr>,
    pub(crate) ntp: Vec<Ipv4Addr>,
    pub(crate) search: Vec<String>,
    pub(crate) hostname: Option<String>,
    pub(crate) mtu: Option<u32>,
}

/// How long it is good for, from the request on. `None` is for ever.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Times {
    /// The whole.
    pub(crate) expiry: Option<Duration>,
    /// When its own server is asked to extend it (T1).
    pub(crate) renewal: Option<Duration>,
    /// When any server is (T2).
    pub(crate) rebinding: Option<Duration>,
}

impl Times {
    /// What a server's options mean (RFC 2131, 4.4.5): T1 is half and T2 seven
    /// eighths of the lease, where the server does not say, or says what cannot be.
    pub(crate) fn new(seconds: u32, renewal: Option<u32>, rebinding: Option<u32>) -> Self {
        if seconds == u32::MAX {
            return Self { expiry: None, renewal: None, rebinding: None };
        }
        let whole = Duration::from_secs(seconds.max(SECONDS_MIN).into());
        let rebinding = rebinding
            .map(|seconds| Duration::from_secs(seconds.into()))
            .filter(|time| *time < whole)
            .unwrap_or(whole * 7 / 8);
        let renewal = renewal
            .map(|seconds| Duration::from_secs(seconds.into()))
            .filter(|time| *time < rebinding && !time.is_zero())
            .unwrap_or(if whole / 2 < rebinding { whole / 2 } else { rebinding / 2 });
        Self { expiry: Some(whole), renewal: Some(renewal), rebinding: Some(rebinding) }
    }
}

impl Lease {
    /// The address with the length of its network's prefix.
    pub(crate) fn prefix(&self) -> Prefix {
        let length = self.prefix_length.min(32);
        Prefix { address: self.address.into(), length }
    }

    /// When it ends; `None` is never.
    pub(crate) fn ends(&self) -> Option<Duration> {
        self.times.expiry.map(|expiry| self.since + expiry)
    }

    /// The lease for programs. Times are seconds from `now` on.
    pub(crate) fn to_json(&self, now: Duration) -> Value {
        let left = |time: Option<Duration>| {
            time.map(|time| (self.since + time).saturating_sub(now).as_secs())
        };
        let routes: Vec<Value> = self
            .routes
            .iter()
            .map(|(to, via)| json!({ "to": to.to_string(), "via": via.to_string() }))
            .collect();
        let texts = |list: &[Ipv4Addr]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
        json!({
            "address": self.prefix().to_string(),
            "server": self.server.to_string(),
            "age_s": now.saturating_sub(self.since).as_secs(),
            "renewal_in_s": left(self.times.renewal),
            "rebinding_in_s": left(self.times.rebinding),
            "expires_in_s": left(self.times.expiry),
            "routers": texts(&self.routers),
            "routes": routes,
            "dns": texts(&self.dns),
            "ntp": texts(&self.ntp),
            "search": self.search,
            "hostname": self.hostname,
            "mtu": self.mtu,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_follow_the_server_where_they_can_be() {
        let seconds = |times: Times| {
            [times.renewal, times.rebinding, times.expiry].map(|time| time.map(|one| one.as_secs()))
        };
        for (given, expected) in [
            ((80, None, None), [Some(40), Some(70), Some(80)]),
            ((80, Some(10), Some(20)), [Some(10), Some(20), Some(80)]),
            ((80, Some(75), None), [Some(40), Some(70), Some(80)]),
            ((80, Some(0), Some(90)), [Some(40), Some(70), Some(80)]),
            ((80, None, Some(20)), [Some(10), Some(20), Some(80)]),
            ((0, None, None), [Some(2), Some(3), Some(4)]),
            ((u32::MAX, Some(1), Some(2)), [None, None, None]),
        ] {
            let (whole, renewal, rebinding) = given;
            assert_eq!(seconds(Times::new(whole, renewal, rebinding)), expected, "{given:?}");
        }
    }
}
