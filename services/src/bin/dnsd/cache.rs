//! What servers have answered, for as long as they allow; bounded in entries and bytes.
//!
//! Source: RFC 1035 (TTL), RFC 2308 (names and records that are not there), RFC 9520 (failures).

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use domain::base::iana::Rcode;
use domain::base::{Message, Rtype};
use domain::rdata::Soa;
use services::network::dns::Question;

use crate::request::Request;

/// Longest time that anything is kept: a server's slip does not last longer. A TTL with its top
/// bit set is a long one as well (RFC 8767, 4, in place of RFC 2181, 8).
const LIFETIME_MAX: Duration = Duration::from_secs(24 * 3600);
/// Longest time that it is kept that something is not there (RFC 2308, 5).
const NEGATIVE_LIFETIME_MAX: Duration = Duration::from_secs(3600);
/// How long it is kept that nobody answers (RFC 9520, 3.2).
const FAILURE_LIFETIME: Duration = Duration::from_secs(1);
/// What an entry takes beside its message and its key, about.
const ENTRY_BYTES: usize = 160;

/// What makes two questions one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Key {
    /// In lower case.
    name: Vec<u8>,
    rtype: u16,
    class: u16,
    dnssec: bool,
    unchecked: bool,
}

impl Key {
    pub(crate) fn new(request: &Request) -> Self {
        let question = &request.question;
        Self {
            name: question.name.as_slice().to_ascii_lowercase(),
            rtype: question.rtype.to_int(),
            class: question.class.to_int(),
            dnssec: request.wanted.dnssec,
            unchecked: request.wanted.unchecked,
        }
    }
}

/// What is remembered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Remembered {
    /// A server's message and its age in seconds.
    Answer(Vec<u8>, u32),
    /// That no server answered.
    Failure,
}

struct Entry {
    /// Empty for a failure.
    message: Vec<u8>,
    since: Instant,
    until: Instant,
    /// When it was last asked for, as a number that grows.
    used: u64,
}

/// Answers by question.
pub(crate) struct Cache {
    entries_max: usize,
    bytes_max: usize,
    entries: BTreeMap<Key, Entry>,
    bytes: usize,
    uses: u64,
}

fn size(key: &Key, entry: &Entry) -> usize {
    key.name.len() + entry.message.len() + ENTRY_BYTES
}

impl Cache {
    pub(crate) fn new(entries_max: usize, bytes_max: usize) -> Self {
        Self { entries_max, bytes_max, entries: BTreeMap::new(), bytes: 0, uses: 0 }
    }

    /// What is remembered about a question and still holds.
    pub(crate) fn find(&mut self, key: &Key, now: Instant) -> Option<Remembered> {
        if self.entries.get(key)?.until <= now {
            self.remove(key);
            return None;
        }
        self.uses += 1;
        let entry = self.entries.get_mut(key)?;
        entry.used = self.uses;
        let age = now.saturating_duration_since(entry.since).as_secs();
        Some(match entry.message.is_empty() {
            true => Remembered::Failure,
            false => {
                Remembered::Answer(entry.message.clone(), u32::try_from(age).unwrap_or(u32::MAX))
            }
        })
    }

    /// Remembers an answer for as long as it says.
    pub(crate) fn keep(&mut self, key: Key, question: &Question, message: &[u8], now: Instant) {
        if let Some(lifetime) = lifetime(question, message) {
            self.insert(key, message.to_vec(), lifetime, now);
        }
    }

    /// Remembers for a moment that nobody answered.
    pub(crate) fn keep_failure(&mut self, key: Key, now: Instant) {
        self.insert(key, Vec::new(), FAILURE_LIFETIME, now);
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.entries.clear();
        self.bytes = 0;
    }

    fn insert(&mut self, key: Key, message: Vec<u8>, lifetime: Duration, now: Instant) {
        let Some(until) = now.checked_add(lifetime) else { return };
        self.uses += 1;
        let entry = Entry { message, since: now, until, used: self.uses };
        let needed = size(&key, &entry);
        if self.entries_max == 0 || needed > self.bytes_max {
            return;
        }
        self.remove(&key);
        while self.entries.len() >= self.entries_max || self.bytes + needed > self.bytes_max {
            self.evict(now);
        }
        self.bytes += needed;
        self.entries.insert(key, entry);
    }

    /// Makes room: all that no longer holds, else what was not asked for the longest time.
    fn evict(&mut self, now: Instant) {
        let over = |(key, entry): (&Key, &Entry)| (entry.until <= now).then(|| key.clone());
        let mut going: Vec<Key> = self.entries.iter().filter_map(over).collect();
        if going.is_empty() {
            let oldest = self.entries.iter().min_by_key(|(_, entry)| entry.used);
            going.extend(oldest.map(|(key, _)| key.clone()));
        }
        for key in going {
            self.remove(&key);
        }
    }

    fn remove(&mut self, key: &Key) {
        if let Some(entry) = self.entries.remove(key) {
            self.bytes = self.bytes.saturating_sub(size(key, &entry));
        }
    }
}

/// How long an answer may be kept; `None` if not at all.
fn lifetime(question: &Question, message: &[u8]) -> Option<Duration> {
    let message = Message::from_octets(message).ok()?;
    let rcode = message.header().rcode();
    if message.header().tc() || ![Rcode::NOERROR, Rcode::NXDOMAIN].contains(&rcode) {
        return None;
    }
    let mut least: Option<Duration> = None;
    let mut has_type = false;
    for record in message.answer().ok()? {
        let record = record.ok()?;
        has_type |= record.rtype() == question.rtype || question.rtype == Rtype::ANY;
        let ttl = Duration::from_secs(record.ttl().as_secs().into());
        least = Some(least.map_or(ttl, |least| least.min(ttl)));
    }
    if rcode == Rcode::NXDOMAIN || !has_type {
        // The zone's SOA record says for how long (RFC 2308, 5); without it nobody does.
        let negative = negative_lifetime(&message)?;
        least = Some(least.map_or(negative, |least| least.min(negative)));
    }
    least.map(|least| least.min(LIFETIME_MAX)).filter(|least| !least.is_zero())
}

fn negative_lifetime(message: &Message<&[u8]>) -> Option<Duration> {
    let record = message.authority().ok()?.limit_to::<Soa<_>>().next()?.ok()?;
    let seconds = record.ttl().min(record.data().minimum()).as_secs();
    Some(Duration::from_secs(seconds.into()).min(NEGATIVE_LIFETIME_MAX))
}

#[cfg(test)]
mod tests;
