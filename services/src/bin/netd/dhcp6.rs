//! Stateless DHCPv6 (RFC 8415, 18.2.6): a client that has its addresses from routers
//! asks for resolvers and search domains. Pure. Absent: addresses and prefixes by
//! DHCPv6, reconfiguration, authentication.

use std::net::Ipv6Addr;
use std::time::Duration;

use dhcproto::v6::{DhcpOption, Message, MessageType, ORO, OptionCode};
use dhcproto::{Decodable, Decoder, Encodable, Encoder};
use services::network::mac::Mac;
use services::network::plain_name::plain_name;

use crate::random::Random;

/// Ports of clients and of servers and relays (RFC 8415, 7.2).
pub(crate) const CLIENT_PORT: u16 = 546;
pub(crate) const SERVER_PORT: u16 = 547;
/// Every server and relay on the link (RFC 8415, 7.1).
pub(crate) const EVERY_SERVER: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2);

/// `INF_MAX_DELAY`, `INF_TIMEOUT` and `INF_MAX_RT` (RFC 8415, 7.6).
const FIRST_DELAY_MAX_MS: u64 = 1000;
const TIMEOUT: Duration = Duration::from_secs(1);
const TIMEOUT_MAX: Duration = Duration::from_secs(3600);
/// `IRT_DEFAULT` and `IRT_MINIMUM`.
const REFRESH_DEFAULT: Duration = Duration::from_secs(86_400);
const REFRESH_MIN: Duration = Duration::from_secs(600);
/// Most entries taken of one option.
const ENTRIES_MAX: usize = 16;
/// Length of a message's type and transaction id, and of an option's code and length.
const HEADER_BYTES: usize = 4;
/// The options that are read: client and server identifier, resolvers, domains, refresh
/// time (RFC 8415, 24; RFC 3646).
const OPTIONS_READ: [u16; 5] = [1, 2, 23, 24, 32];

/// What a server says about the network.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Information {
    pub(crate) dns: Vec<Ipv6Addr>,
    pub(crate) search: Vec<String>,
}

/// A client of stateless DHCPv6.
#[derive(Debug)]
pub(crate) struct InformationClient {
    mac: Mac,
    transaction: [u8; 3],
    /// Requests sent without an answer.
    sent: u32,
    timeout: Duration,
    since: Duration,
    deadline: Duration,
    information: Option<Information>,
    random: Random,
}

impl InformationClient {
    /// A client that asks for the first time within a second from `now`.
    pub(crate) fn new(mac: Mac, seed: u64, now: Duration) -> Self {
        let mut random = Random::new(seed);
        let delay = Duration::from_millis(random.next_u64() % FIRST_DELAY_MAX_MS);
        Self {
            mac,
            transaction: [0; 3],
            sent: 0,
            timeout: TIMEOUT,
            since: now,
            deadline: now + delay,
            information: None,
            random,
        }
    }

    /// When [`Self::time`] is due next.
    pub(crate) fn deadline(&self) -> Duration {
        self.deadline
    }

    /// What a server said last.
    pub(crate) fn information(&self) -> Option<&Information> {
        self.information.as_ref()
    }

    /// The request to send at `now`, if it is time.
    pub(crate) fn time(&mut self, now: Duration) -> Option<Vec<u8>> {
        if now < self.deadline {
            return None;
        }
        if self.sent == 0 {
            let [a, b, c, _] = self.random.next_u32().to_be_bytes();
            self.transaction = [a, b, c];
            self.since = now;
            self.timeout = TIMEOUT;
        } else {
            self.timeout = (self.timeout * 2).min(TIMEOUT_MAX);
        }
        self.sent = self.sent.saturating_add(1);
        // A tenth more or less (RFC 8415, 15).
        let tenth = u64::try_from(self.timeout.as_millis() / 10).unwrap_or(u64::MAX).max(1);
        let jitter = Duration::from_millis(self.random.next_u64() % (2 * tenth));
        self.deadline = now + self.timeout + jitter - Duration::from_millis(tenth);
        self.encode(now)
    }

    fn encode(&self, now: Duration) -> Option<Vec<u8>> {
        let mut message = Message::new_with_id(MessageType::InformationRequest, self.transaction);
        let options = message.opts_mut();
        options.insert(DhcpOption::ClientId(self.identifier()));
        let hundredths = now.saturating_sub(self.since).as_millis() / 10;
        options.insert(DhcpOption::ElapsedTime(u16::try_from(hundredths).unwrap_or(u16::MAX)));
        options.insert(DhcpOption::ORO(ORO {
            opts: vec![
                OptionCode::DomainNameServers,
                OptionCode::DomainSearchList,
                OptionCode::InformationRefreshTime,
            ],
        }));
        let mut bytes = Vec::new();
        message.encode(&mut Encoder::new(&mut bytes)).ok()?;
        Some(bytes)
    }

    /// A DUID of type 3, link-layer address, and hardware type 1, Ethernet (11.4).
    fn identifier(&self) -> Vec<u8> {
        [&[0, 3, 0, 1][..], &self.mac.0].concat()
    }

    /// The server's answer in a datagram, if it is one to what was asked (RFC 8415, 16.10).
    fn answer(&self, bytes: &[u8]) -> Option<Message> {
        let [kind, transaction @ ..] = bytes.first_chunk::<HEADER_BYTES>()?;
        let is_reply = MessageType::from(*kind) == MessageType::Reply;
        if self.sent == 0 || !is_reply || *transaction != self.transaction {
            return None;
        }
        let message = Message::decode(&mut Decoder::new(&only_read_options(bytes))).ok()?;
        let options = message.opts();
        let is_ours =
            options.get(OptionCode::ClientId) == Some(&DhcpOption::ClientId(self.identifier()));
        (is_ours && options.get(OptionCode::ServerId).is_some()).then_some(message)
    }

    /// Takes a server's answer. Whether it said something new.
    pub(crate) fn take(&mut self, bytes: &[u8], now: Duration) -> bool {
        let Some(message) = self.answer(bytes) else { return false };
        let mut information = Information::default();
        let mut refresh = REFRESH_DEFAULT;
        for option in message.opts().iter() {
            match option {
                DhcpOption::DomainNameServers(list) => {
                    information.dns.extend(list.iter().take(ENTRIES_MAX));
                }
                DhcpOption::DomainSearchList(names) => {
                    let names = names.iter().take(ENTRIES_MAX).map(ToString::to_string);
                    let plain = |name: String| plain_name(&name).map(str::to_owned);
                    information.search.extend(names.filter_map(plain));
                }
                other => {
                    if let Some(seconds) = refresh_seconds(other) {
                        refresh = Duration::from_secs(seconds.into()).max(REFRESH_MIN);
                    }
                }
            }
        }
        self.sent = 0;
        self.deadline = now + refresh;
        let is_new = self.information.as_ref() != Some(&information);
        self.information = Some(information);
        is_new
    }
}

/// A message without the options that nobody reads: `dhcproto` 0.15 goes into options
/// within options without end, and its subtractions trust a stranger's lengths.
fn only_read_options(bytes: &[u8]) -> Vec<u8> {
    let (header, mut rest) = bytes.split_at(bytes.len().min(HEADER_BYTES));
    let mut kept = header.to_vec();
    while let [a, b, c, d, ..] = rest {
        let length = HEADER_BYTES + usize::from(u16::from_be_bytes([*c, *d]));
        let Some(option) = rest.get(..length) else { break };
        if OPTIONS_READ.contains(&u16::from_be_bytes([*a, *b])) {
            kept.extend(option);
        }
        rest = rest.get(length..).unwrap_or_default();
    }
    kept
}

/// After how many seconds to ask again (RFC 8415, 21.23). `dhcproto` 0.15 writes this
/// option but reads it as one that it does not know.
fn refresh_seconds(option: &DhcpOption) -> Option<u32> {
    match option {
        DhcpOption::InformationRefreshTime(seconds) => Some(*seconds),
        DhcpOption::Unknown(option) if option.code() == OptionCode::InformationRefreshTime => {
            Some(u32::from_be_bytes(option.data().try_into().ok()?))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(request: &[u8], options: &[DhcpOption]) -> Vec<u8> {
        let request = Message::decode(&mut Decoder::new(request)).unwrap();
        assert_eq!(request.msg_type(), MessageType::InformationRequest);
        let mut message = Message::new_with_id(MessageType::Reply, request.xid());
        message.opts_mut().insert(DhcpOption::ServerId(vec![0, 3, 0, 1, 2, 0, 0, 0, 0, 9]));
        message.opts_mut().insert(request.opts().get(OptionCode::ClientId).unwrap().clone());
        for option in options {
            message.opts_mut().insert(option.clone());
        }
        let mut bytes = Vec::new();
        message.encode(&mut Encoder::new(&mut bytes)).unwrap();
        bytes
    }

    #[test]
    fn it_asks_takes_the_answer_and_asks_again_in_time() {
        let now = Duration::from_secs(5);
        let mut client = InformationClient::new(Mac([2, 0, 0, 0, 0, 1]), 3, now);
        assert!(client.deadline() < now + Duration::from_secs(1));
        let asked = client.deadline();
        let request = client.time(asked).unwrap();
        assert_eq!(client.time(asked), None);
        let server: Ipv6Addr = "2001:db8::53".parse().unwrap();
        let options =
            [DhcpOption::DomainNameServers(vec![server]), DhcpOption::InformationRefreshTime(5)];
        let answer = answer(&request, &options);
        assert!(client.take(&answer, asked));
        assert_eq!(client.information().unwrap().dns, [server]);
        assert_eq!(client.deadline(), asked + REFRESH_MIN);
        assert!(!client.take(&answer, asked), "nothing was asked");
    }

    #[test]
    fn pauses_double_up_to_an_hour() {
        let mut client = InformationClient::new(Mac([2, 0, 0, 0, 0, 1]), 3, Duration::ZERO);
        let mut pauses = Vec::new();
        for _ in 0..16 {
            let now = client.deadline();
            client.time(now).unwrap();
            pauses.push((client.deadline() - now).as_secs_f64());
        }
        for (at, pause) in pauses.iter().enumerate() {
            let expected = f64::from(1_u32 << at.min(12)).min(3600.0);
            assert!((expected * 0.89..expected * 1.11).contains(pause), "{at}: {pause}");
        }
    }

    #[test]
    fn answers_to_others_and_broken_ones_are_not_taken() {
        let mut client = InformationClient::new(Mac([2, 0, 0, 0, 0, 1]), 3, Duration::ZERO);
        let now = client.deadline();
        let good = answer(&client.time(now).unwrap(), &[]);
        for at in 0..good.len() {
            let mut bytes = good.clone();
            bytes[at] ^= 1;
            if at < 6 {
                assert!(!client.take(&bytes, now), "{at}");
            }
            assert!(!client.take(&good[..at.min(4)], now));
        }
    }

    /// A client that has just asked, and an answer to it.
    fn asked() -> (InformationClient, Duration, Vec<u8>) {
        let mut client = InformationClient::new(Mac([2, 0, 0, 0, 0, 1]), 3, Duration::ZERO);
        let now = client.deadline();
        let request = client.time(now).unwrap();
        (client, now, answer(&request, &[]))
    }

    #[test]
    fn an_answer_has_both_identifiers_and_the_clients_own() {
        let (mut client, now, good) = asked();
        let identifier = client.identifier();
        let at = good.windows(10).position(|bytes| bytes == identifier).unwrap();
        let mut others = good.clone();
        others[at + 9] ^= 1;
        assert!(!client.take(&others, now), "another client's");
        let without = [&good[..at - 4], &good[at + 10..]].concat();
        assert!(!client.take(&without, now), "nobody's");
        let alone = [&good[..4], &good[at - 4..at + 10]].concat();
        assert!(!client.take(&alone, now), "no server's");
        assert!(client.take(&good, now));
    }

    #[test]
    fn options_within_options_and_wrong_lengths_do_no_harm() {
        let (mut client, now, good) = asked();
        // IA_TA: a code, a length, four bytes, and options.
        let depth = 8_000_u16;
        let nested = (1..=depth).rev().flat_map(|left| {
            let length = 4 + (left - 1) * 8;
            [&[0, 4][..], &length.to_be_bytes(), &[0; 4]].concat()
        });
        let deep: Vec<u8> = good.iter().copied().chain(nested).collect();
        assert!(deep.len() > 60_000);
        assert!(client.take(&deep, now));
        for short in [&[0, 13, 0, 0][..], &[0, 11, 0, 1, 0], &[0, 17, 0, 0], &[0, 23, 0xff, 0xff]] {
            let (mut client, now, good) = asked();
            assert!(client.take(&[&good[..], short].concat(), now), "{short:?}");
        }
    }
}
