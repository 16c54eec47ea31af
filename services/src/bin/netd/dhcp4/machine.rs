//! The states of a DHCP client (RFC 2131, figure 5), pure: an event and the time
//! go in, actions come out.
//!
//! ```text
//!   Init ──Discover──> Selecting ──Offer, Request──> Requesting ──Ack──> Bound
//!    ^                                                   │ Nak             │ T1
//!    │<──────────────────────────────────────────────────┘              Renewing
//!    │<── Nak, expiry ── Rebinding <── T2 ─────────────────────────────────┘
//!   Rebooting: the cable is back; the old address is asked for again first. Where
//!   nobody answers it is kept, and Selecting looks for servers beside it.
//! ```

use std::net::Ipv4Addr;
use std::time::Duration;

use super::lease::Lease;
use super::message::{Offer, Outgoing, Reply};
use crate::random::Random;

/// First pause before a message is sent again, and the longest (RFC 2131, 4.1, has 4 s
/// for the first; on today's networks the first one is lost while a switch wakes up).
const RESEND_FIRST: Duration = Duration::from_secs(2);
const RESEND_MAX: Duration = Duration::from_secs(64);
/// Requests without an answer before the client begins anew.
const REQUESTS_MAX: u32 = 4;
/// Requests for its old address before it looks for servers beside that.
const REBOOT_REQUESTS_MAX: u32 = 2;
/// Least pause between requests to extend a lease (RFC 2131, 4.4.5).
const EXTEND_PAUSE_MIN: Duration = Duration::from_secs(60);
/// Least pause after an address turned out to be somebody else's (RFC 2131, 3.1.5).
const DECLINE_PAUSE: Duration = Duration::from_secs(10);
/// Pause after a server took its offer back.
const NAK_PAUSE: Duration = Duration::from_secs(1);
/// How long somebody may say that the address is theirs.
const PROBE_TIME: Duration = Duration::from_secs(3);

/// What has happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Event {
    /// There is a cable, or there is one again.
    Connected,
    /// The cable is gone. The lease stays.
    Disconnected,
    /// A server says something.
    Message(Reply),
    /// A deadline may have passed.
    Time,
    /// Somebody else answers for the address.
    Conflict,
    /// A person wants the lease extended now.
    Renew,
    /// The client is to end.
    Release,
}

/// What is to be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Action {
    /// Send this.
    Send(Outgoing),
    /// Use this lease, or its new times.
    Use(Box<Lease>),
    /// Use it no longer, and why.
    Drop(&'static str),
    /// Ask the network whether somebody has this address.
    Probe(Ipv4Addr),
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum State {
    /// No cable.
    Off,
    /// About to look for servers.
    Init,
    Selecting,
    Requesting(Offer),
    Rebooting,
    Bound,
    Renewing,
    Rebinding,
}

/// A DHCP client.
#[derive(Debug)]
pub(crate) struct Machine {
    state: State,
    lease: Option<Lease>,
    transaction: u32,
    /// When the present transaction began.
    since: Duration,
    /// When an address was last asked for: a lease counts from there (RFC 2131, 4.4.1).
    asked: Duration,
    /// Messages sent in the present state.
    sent: u32,
    /// When something is to be done next by itself.
    deadline: Option<Duration>,
    /// Until when a conflict counts.
    probing_until: Duration,
    random: Random,
}

impl Machine {
    /// A client without a cable. `seed` decides its transaction numbers and the
    /// length of its pauses.
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            state: State::Off,
            lease: None,
            transaction: 0,
            since: Duration::ZERO,
            asked: Duration::ZERO,
            sent: 0,
            deadline: None,
            probing_until: Duration::ZERO,
            random: Random::new(seed),
        }
    }

    /// When [`Event::Time`] is due next.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        let expiry = self.lease.as_ref().and_then(Lease::ends);
        [self.deadline, expiry].into_iter().flatten().min()
    }

    /// The lease in use.
    pub(crate) fn lease(&self) -> Option<&Lease> {
        self.lease.as_ref()
    }

    /// Whether it wants to hear what servers say.
    pub(crate) fn listens(&self) -> bool {
        !matches!(self.state, State::Off | State::Init | State::Bound)
    }

    /// Whether an answer to its last probe still counts.
    pub(crate) fn is_probing(&self, now: Duration) -> bool {
        self.lease.is_some() && now <= self.probing_until
    }

    /// Its state in a word.
    pub(crate) fn state_name(&self) -> &'static str {
        match self.state {
            State::Off => "no-cable",
            State::Init => "init",
            State::Selecting => "selecting",
            State::Requesting(_) => "requesting",
            State::Rebooting => "rebooting",
            State::Bound => "bound",
            State::Renewing => "renewing",
            State::Rebinding => "rebinding",
        }
    }

    /// Takes an event at `now`.
    pub(crate) fn step(&mut self, event: Event, now: Duration) -> Vec<Action> {
        let mut actions = self.expire(now);
        match event {
            Event::Connected => self.connect(now, &mut actions),
            Event::Disconnected => {
                self.state = State::Off;
                self.deadline = None;
            }
            Event::Message(reply) => self.take(reply, now, &mut actions),
            Event::Time => self.time(now, &mut actions),
            Event::Conflict => self.conflict(now, &mut actions),
            Event::Renew => self.renew(now, &mut actions),
            Event::Release => self.release(&mut actions),
        }
        actions
    }

    /// A lease that is over is not used for a moment longer, whatever happens.
    fn expire(&mut self, now: Duration) -> Vec<Action> {
        let ends = self.lease.as_ref().and_then(Lease::ends);
        if ends.is_none_or(|ends| now < ends) {
            return Vec::new();
        }
        self.lease = None;
        if self.state != State::Off {
            self.begin(Duration::ZERO, now);
        }
        vec![Action::Drop("the lease has expired")]
    }

    /// Looks for servers after a pause.
    fn begin(&mut self, pause: Duration, now: Duration) {
        self.state = State::Init;
        self.sent = 0;
        self.deadline = Some(now + pause);
    }

    fn transact(&mut self, state: State, now: Duration) {
        self.state = state;
        self.transaction = self.random.next_u32();
        self.since = now;
        self.sent = 0;
    }

    fn connect(&mut self, now: Duration, actions: &mut Vec<Action>) {
        if self.state != State::Off {
            return;
        }
        if self.lease.is_some() {
            self.transact(State::Rebooting, now);
            self.send(now, actions);
        } else {
            self.begin(Duration::ZERO, now);
            self.time(now, actions);
        }
    }

    fn time(&mut self, now: Duration, actions: &mut Vec<Action>) {
        if self.deadline.is_none_or(|deadline| now < deadline) {
            return;
        }
        self.deadline = None;
        match self.state {
            State::Off => {}
            State::Init => {
                self.transact(State::Selecting, now);
                self.send(now, actions);
            }
            State::Requesting(_) if self.sent >= REQUESTS_MAX => {
                self.begin(Duration::ZERO, now);
            }
            // The address may still be used until it expires (RFC 2131, 3.2.4), but a server
            // that has never heard of it is silent as well (4.3.2).
            State::Rebooting if self.sent >= REBOOT_REQUESTS_MAX => {
                self.transact(State::Selecting, now);
                self.send(now, actions);
            }
            State::Bound => {
                self.transact(State::Renewing, now);
                self.send(now, actions);
            }
            State::Renewing
                if self
                    .time_of(|lease| lease.times.rebinding)
                    .is_some_and(|rebinding| rebinding <= now) =>
            {
                self.transact(State::Rebinding, now);
                self.send(now, actions);
            }
            State::Selecting
            | State::Requesting(_)
            | State::Rebooting
            | State::Renewing
            | State::Rebinding => self.send(now, actions),
        }
    }

    fn time_of(&self, which: impl Fn(&Lease) -> Option<Duration>) -> Option<Duration> {
        self.lease.as_ref().and_then(|lease| which(lease).map(|time| lease.since + time))
    }

    /// Sends what the state asks for and sets the time to do so again.
    fn send(&mut self, now: Duration, actions: &mut Vec<Action>) {
        self.sent = self.sent.saturating_add(1);
        let outgoing = self.outgoing(now);
        if outgoing.iter().any(|one| !matches!(one, Outgoing::Discover { .. })) {
            self.asked = now;
        }
        actions.extend(outgoing.into_iter().map(Action::Send));
        self.deadline = Some(match self.state {
            State::Renewing => {
                self.extension_retry(now, self.time_of(|lease| lease.times.rebinding))
            }
            State::Rebinding => self.extension_retry(now, self.time_of(|lease| lease.times.expiry)),
            State::Selecting => {
                let next = now + self.pause();
                self.extension_begins(now).map_or(next, |begins| begins.min(next))
            }
            _ => now + self.pause(),
        });
    }

    /// What the state asks for.
    fn outgoing(&self, now: Duration) -> Vec<Outgoing> {
        let seconds = u16::try_from(now.saturating_sub(self.since).as_secs()).unwrap_or(u16::MAX);
        let transaction = self.transaction;
        let lease = self.lease.as_ref().map(|lease| (lease.address, lease.server));
        let request = |address, server| Outgoing::Request { transaction, seconds, address, server };
        let extend = |address, server| Outgoing::Extend { transaction, seconds, address, server };
        match (&self.state, lease) {
            (State::Selecting, _) => {
                let extension =
                    lease.filter(|_| self.is_renewable(now)).map(|(address, server)| {
                        let rebinding = self.time_of(|lease| lease.times.rebinding);
                        extend(address, rebinding.is_none_or(|time| now < time).then_some(server))
                    });
                let discover = Outgoing::Discover { transaction, seconds };
                std::iter::once(discover).chain(extension).collect()
            }
            (State::Requesting(offer), _) => vec![request(offer.address, Some(offer.server))],
            (State::Rebooting, Some((address, _))) => vec![request(address, None)],
            (State::Renewing, Some((address, server))) => vec![extend(address, Some(server))],
            (State::Rebinding, Some((address, _))) => vec![extend(address, None)],
            _ => Vec::new(),
        }
    }

    /// Whether it is time to have the lease extended.
    fn is_renewable(&self, now: Duration) -> bool {
        self.time_of(|lease| lease.times.renewal).is_some_and(|renewal| renewal <= now)
    }

    /// When the next of T1 and T2 is, if one is still to come.
    fn extension_begins(&self, now: Duration) -> Option<Duration> {
        let renewal = self.time_of(|lease| lease.times.renewal);
        let rebinding = self.time_of(|lease| lease.times.rebinding);
        [renewal, rebinding].into_iter().flatten().find(|time| now < *time)
    }

    /// Half of what is left, but no more often than every minute (RFC 2131, 4.4.5).
    fn extension_retry(&self, now: Duration, until: Option<Duration>) -> Duration {
        // A lease for ever is only extended when a person asks for it.
        let Some(until) = until else { return now + EXTEND_PAUSE_MIN };
        let left = until.saturating_sub(now);
        now + (left / 2).max(EXTEND_PAUSE_MIN.min(left))
    }

    /// 2, 4, 8, … 64 s, each up to a second more or less, so that the clients of a
    /// building do not speak at once after a power cut.
    fn pause(&mut self) -> Duration {
        let doublings = self.sent.saturating_sub(1).min(5);
        let pause = (RESEND_FIRST * 2_u32.saturating_pow(doublings)).min(RESEND_MAX);
        let jitter_ms = u64::from(self.random.next_u32() % 2_000);
        pause + Duration::from_millis(jitter_ms) - Duration::from_secs(1)
    }

    fn take(&mut self, reply: Reply, now: Duration, actions: &mut Vec<Action>) {
        if reply.transaction() != self.transaction || !self.listens() {
            return;
        }
        match (self.state.clone(), reply) {
            (State::Selecting, Reply::Offer { offer, .. }) => {
                self.sent = 0;
                self.state = State::Requesting(offer);
                self.send(now, actions);
            }
            (State::Requesting(offer), Reply::Ack { lease, .. })
                if lease.server == offer.server =>
            {
                self.bind(*lease, now, actions);
            }
            (State::Rebooting | State::Renewing | State::Rebinding, Reply::Ack { lease, .. }) => {
                self.bind(*lease, now, actions)
            }
            // To what is asked beside the search.
            (State::Selecting, Reply::Ack { lease, .. }) if self.is_renewable(now) => {
                self.bind(*lease, now, actions);
            }
            (State::Selecting, Reply::Nak { .. }) if self.is_renewable(now) => {
                self.refuse(now, actions);
            }
            (State::Requesting(offer), Reply::Nak { server, .. }) if server == offer.server => {
                self.begin(NAK_PAUSE, now);
            }
            (State::Rebooting | State::Renewing | State::Rebinding, Reply::Nak { .. }) => {
                self.refuse(now, actions);
            }
            _ => {}
        }
    }

    /// The lease is not extended, or is nobody's here.
    fn refuse(&mut self, now: Duration, actions: &mut Vec<Action>) {
        self.lease = None;
        actions.push(Action::Drop("the server says no"));
        self.begin(Duration::ZERO, now);
        self.time(now, actions);
    }

    fn bind(&mut self, mut lease: Lease, now: Duration, actions: &mut Vec<Action>) {
        lease.since = self.asked;
        let is_new = self.lease.as_ref().is_none_or(|old| old.address != lease.address);
        if is_new && self.lease.is_some() {
            actions.push(Action::Drop("the server gives another address"));
        }
        actions.push(Action::Use(Box::new(lease.clone())));
        if is_new {
            actions.push(Action::Probe(lease.address));
            self.probing_until = now + PROBE_TIME;
        }
        self.deadline = lease.times.renewal.map(|renewal| (lease.since + renewal).max(now));
        self.lease = Some(lease);
        self.state = State::Bound;
        self.sent = 0;
    }

    fn conflict(&mut self, now: Duration, actions: &mut Vec<Action>) {
        if now > self.probing_until {
            return;
        }
        let Some(lease) = self.lease.take() else { return };
        actions.push(Action::Send(Outgoing::Decline {
            transaction: self.random.next_u32(),
            address: lease.address,
            server: lease.server,
        }));
        actions.push(Action::Drop("somebody else has the address"));
        self.begin(DECLINE_PAUSE, now);
    }

    fn renew(&mut self, now: Duration, actions: &mut Vec<Action>) {
        match self.state {
            State::Bound | State::Renewing | State::Rebinding => {
                self.transact(State::Renewing, now);
                self.send(now, actions);
            }
            State::Init | State::Selecting => {
                self.transact(State::Selecting, now);
                self.send(now, actions);
            }
            State::Off | State::Requesting(_) | State::Rebooting => {}
        }
    }

    fn release(&mut self, actions: &mut Vec<Action>) {
        let was_connected = self.state != State::Off;
        self.state = State::Off;
        self.deadline = None;
        let Some(lease) = self.lease.take() else { return };
        if was_connected {
            actions.push(Action::Send(Outgoing::Release {
                transaction: self.random.next_u32(),
                address: lease.address,
                server: lease.server,
            }));
        }
        actions.push(Action::Drop("the lease was given back"));
    }
}

#[cfg(test)]
mod tests;
