//! The table `inet keelson` in the kernel: replaced as a whole, removed, shown.
//!
//! A change is one batch of nfnetlink. The kernel takes all of it or nothing, and packets see
//! either the rules before or those after. Other tables are not touched.

use std::io;

use netlink_packet_core::{NLM_F_ACK, NLM_F_APPEND, NLM_F_CREATE, NetlinkMessage, NetlinkPayload};
use rustix::io::Errno;
use rustix::net::netlink::NETFILTER;
use rustix::net::sockopt;
use services::network::netlink::Connection;
use services::network::netlink::connection::split;
use services::problem::{Context, Problem, Result};

use crate::compile::{Chain, KernelRule, Program, Set, key};
use crate::expression::{ACCEPT, ANONYMOUS_SET, DROP, EXPRESSION_DATA, EXPRESSION_NAME};
use crate::expression::{data, list};
use crate::netlink::{self, Attributes, Message};

/// The table's name, in the family `inet`: IPv4 and IPv6 at once.
pub(crate) const TABLE: &str = "keelson";
/// `NFPROTO_INET`.
const FAMILY_INET: u8 = 1;

/// `enum nf_tables_msg_types`.
const NEW_TABLE: u16 = 0;
const GET_TABLE: u16 = 1;
const DELETE_TABLE: u16 = 2;
const NEW_CHAIN: u16 = 3;
const GET_CHAIN: u16 = 4;
const NEW_RULE: u16 = 6;
const GET_RULE: u16 = 7;
const NEW_SET: u16 = 9;
const NEW_SET_ELEMENT: u16 = 12;

/// Set elements in one message: an attribute is at most 64 KiB.
const ELEMENTS_PER_MESSAGE: usize = 500;
/// Room for a batch in the socket.
const SEND_BYTES: usize = 8 << 20;
/// Longest comment in bytes: with its header and NUL byte within `NFT_USERDATA_MAXLEN`.
const COMMENT_BYTES_MAX: usize = 240;
/// The kind of a rule's user data that nft(8) shows as a comment.
const COMMENT: u8 = 0;

/// The kernel's packet filter.
pub(crate) struct Kernel {
    connection: Connection,
}

/// A chain as the kernel has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct ShownChain {
    pub(crate) name: String,
    /// Whether packets that come to its end are dropped.
    pub(crate) drops: bool,
    pub(crate) rules: Vec<ShownRule>,
}

/// Rules of one comment as the kernel has them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct ShownRule {
    pub(crate) comment: String,
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
}

/// Messages that are one change, each with what it is about.
struct Batch {
    bytes: Vec<u8>,
    subjects: Vec<String>,
}

impl Batch {
    fn new() -> Self {
        let mut batch = Self { bytes: Vec::new(), subjects: Vec::new() };
        let begin = (0, netlink::NFTABLES_SUBSYSTEM);
        batch.append(netlink::BATCH_BEGIN, 0, begin, Attributes::default(), "the change");
        batch
    }

    fn append(
        &mut self,
        kind: u16,
        flags: u16,
        place: (u8, u16),
        attributes: Attributes,
        subject: &str,
    ) {
        let sequence = u32::try_from(self.subjects.len()).unwrap_or(u32::MAX);
        let (family, resource) = place;
        let message = Message { kind, family, resource, attributes };
        message.append(&mut self.bytes, flags, sequence);
        self.subjects.push(subject.to_owned());
    }

    fn add(&mut self, kind: u16, flags: u16, attributes: Attributes, subject: &str) {
        let kind = netlink::NFTABLES | kind;
        self.append(kind, flags, (FAMILY_INET, 0), attributes, subject);
    }

    fn finish(mut self) -> Self {
        let end = (0, netlink::NFTABLES_SUBSYSTEM);
        self.append(netlink::BATCH_END, 0, end, Attributes::default(), "the change");
        self
    }
}

/// The batch that removes the table, whether it is there or not, and then makes `program`.
fn replacement(program: Option<&Program>) -> Batch {
    let mut batch = Batch::new();
    let table = || Attributes::default().text(1, TABLE).u32(2, 0);
    let name = Attributes::default().text(1, TABLE);
    // Making what may be there already is no error, removing what is not there would be.
    batch.add(NEW_TABLE, NLM_F_CREATE | NLM_F_ACK, table(), "the table");
    batch.add(DELETE_TABLE, 0, name, "the former table");
    if let Some(program) = program {
        batch.add(NEW_TABLE, NLM_F_CREATE, table(), "the table");
        for chain in &program.chains {
            let subject = format!("the chain `{}`", chain.name);
            batch.add(NEW_CHAIN, NLM_F_CREATE, new_chain(chain), &subject);
        }
        for (index, set) in program.sets.iter().enumerate() {
            add_set(&mut batch, u32::try_from(index + 1).unwrap_or(u32::MAX), set);
        }
        for chain in &program.chains {
            for rule in &chain.rules {
                let subject = format!("the rule `{}`", rule.comment);
                let attributes = new_rule(chain.name, rule);
                batch.add(NEW_RULE, NLM_F_CREATE | NLM_F_APPEND, attributes, &subject);
            }
        }
    }
    batch.finish()
}

fn new_chain(chain: &Chain) -> Attributes {
    let hook = Attributes::default().u32(1, chain.hook).u32(2, chain.priority.cast_unsigned());
    let attributes = Attributes::default().text(1, TABLE).text(3, chain.name).nest(4, hook);
    attributes.u32(5, if chain.drops { DROP } else { ACCEPT }).text(7, chain.kind)
}

fn new_rule(chain: &str, rule: &KernelRule) -> Attributes {
    let mut end = rule.comment.len().min(COMMENT_BYTES_MAX);
    while !rule.comment.is_char_boundary(end) {
        end -= 1;
    }
    let comment = rule.comment.get(..end).unwrap_or_default();
    let mut user_data = vec![COMMENT, u8::try_from(comment.len() + 1).unwrap_or(u8::MAX)];
    user_data.extend(comment.as_bytes());
    user_data.push(0);
    let attributes = Attributes::default().text(1, TABLE).text(2, chain);
    attributes.nest(4, list(&rule.expressions)).bytes(7, &user_data)
}

fn add_set(batch: &mut Batch, number: u32, set: &Set) {
    // NFT_SET_ANONYMOUS, NFT_SET_CONSTANT, NFT_SET_INTERVAL.
    let set_flags = 0x1 | 0x2 | 0x4;
    // How nft(8) shows the keys: inet_service, ipv4_addr, ipv6_addr, integer.
    let shown_as = match set.key_bytes {
        2 => 13,
        4 => 7,
        16 => 8,
        _ => 4,
    };
    let key_bytes = u32::try_from(set.key_bytes).unwrap_or(u32::MAX);
    let attributes = Attributes::default().text(1, TABLE).text(2, ANONYMOUS_SET);
    let attributes = attributes.u32(3, set_flags).u32(4, shown_as).u32(5, key_bytes);
    batch.add(NEW_SET, NLM_F_CREATE, attributes.u32(10, number), "a list of values");
    let greatest = u128::MAX >> (128 - 8 * set.key_bytes);
    let element = |value: u128, element_flags: u32| {
        let key = Attributes::default().nest(1, data(&key(value, set.key_bytes)));
        if element_flags == 0 { key } else { key.u32(3, element_flags) }
    };
    let mut elements = Vec::new();
    for (first, last) in &set.ranges {
        elements.push(element(*first, 0));
        if *last < greatest {
            // NFT_SET_ELEM_INTERVAL_END: the first key that is not in the range any more.
            elements.push(element(*last + 1, 1));
        }
    }
    for part in elements.chunks(ELEMENTS_PER_MESSAGE) {
        let nested = part
            .iter()
            .fold(Attributes::default(), |nested, element| nested.nest(1, element.clone()));
        let attributes = Attributes::default().text(1, TABLE).text(2, ANONYMOUS_SET);
        let attributes = attributes.nest(3, nested).u32(4, number);
        batch.add(NEW_SET_ELEMENT, NLM_F_CREATE, attributes, "a list of values");
    }
}

impl Kernel {
    /// Opens a socket.
    ///
    /// # Errors
    /// What socket(2) or bind(2) say.
    pub(crate) fn open() -> Result<Self> {
        let connection = Connection::open(Some(NETFILTER))
            .context(|| "cannot talk to the kernel's packet filter".to_owned())
            .map_err(|problem| problem.with_hint(NEEDS_KERNEL))?;
        // Only the true administrator may; another gets by with the usual size.
        let _ = sockopt::set_socket_send_buffer_size_force(&connection, SEND_BYTES);
        Ok(Self { connection })
    }

    /// Puts `program` in the place of whatever the table has, at once.
    ///
    /// # Errors
    /// The kernel refused; then everything is as before.
    pub(crate) fn replace(&mut self, program: &Program) -> Result<()> {
        self.change(replacement(Some(program)))
    }

    /// Removes the table, if it is there.
    ///
    /// # Errors
    /// The kernel refused.
    pub(crate) fn remove(&mut self) -> Result<()> {
        self.change(replacement(None))
    }

    fn change(&mut self, batch: Batch) -> Result<()> {
        let sent = self.connection.send(&batch.bytes);
        sent.context(|| "cannot send the rules to the kernel".to_owned())?;
        // The kernel has answered by the time send(2) returns.
        let unreadable = || "cannot read the kernel's answer".to_owned();
        let mut is_acknowledged = false;
        while let Some(datagram) = self.connection.next_datagram().context(unreadable)? {
            for message in split(&datagram).map(NetlinkMessage::<Message>::deserialize) {
                let message = message.context(unreadable)?;
                let NetlinkPayload::Error(error) = message.payload else { continue };
                match error.raw_code() {
                    0 => is_acknowledged = true,
                    code => {
                        let sequence = message.header.sequence_number;
                        return Err(refused(&batch, sequence, code.saturating_neg()));
                    }
                }
            }
        }
        match is_acknowledged {
            true => Ok(()),
            false => Err(Problem::new("the kernel did not answer to the change of rules")),
        }
    }

    /// The table as the kernel has it; `None` if it is not there.
    ///
    /// # Errors
    /// What the kernel says to the question.
    pub(crate) fn show(&mut self) -> Result<Option<Vec<ShownChain>>> {
        match self.connection.request(about_table(GET_TABLE), 0) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unreadable(&error)),
        }
        let mut list =
            |kind| self.connection.dump(&about_table(kind)).map_err(|error| unreadable(&error));
        let mut chains: Vec<ShownChain> = Vec::new();
        for message in list(GET_CHAIN)? {
            chains.extend(shown_chain(message.attributes.as_ref()));
        }
        for message in list(GET_RULE)? {
            let Some((chain, rule)) = shown_rule(message.attributes.as_ref()) else { continue };
            if let Some(chain) = chains.iter_mut().find(|one| one.name == chain) {
                add_up(&mut chain.rules, rule);
            }
        }
        Ok(Some(chains))
    }
}

/// The question `kind` about the table.
fn about_table(kind: u16) -> Message {
    let attributes = Attributes::default().text(1, TABLE);
    Message { kind: netlink::NFTABLES | kind, family: FAMILY_INET, resource: 0, attributes }
}

const NEEDS_KERNEL: &str =
    "the kernel needs nftables: CONFIG_NF_TABLES, CONFIG_NF_TABLES_INET and the CONFIG_NFT options";

fn unreadable(error: &io::Error) -> Problem {
    let problem = Problem::new(format!("cannot read the rules of the kernel: {error}"));
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            problem.with_hint("only root (CAP_NET_ADMIN) sees the firewall")
        }
        _ => problem.with_hint(NEEDS_KERNEL),
    }
}

fn refused(batch: &Batch, sequence: u32, number: i32) -> Problem {
    let subject = usize::try_from(sequence).ok().and_then(|index| batch.subjects.get(index));
    let subject = subject.map_or("the change", String::as_str);
    let error = Errno::from_raw_os_error(number);
    let problem = Problem::new(format!("the kernel refuses {subject}: {error}"));
    match error {
        Errno::PERM => problem.with_hint("only root (CAP_NET_ADMIN) changes the firewall"),
        Errno::NOENT | Errno::OPNOTSUPP => problem.with_hint(NEEDS_KERNEL),
        _ => problem,
    }
}

fn shown_chain(attributes: &[u8]) -> Option<ShownChain> {
    if netlink::find(attributes, 1).map(netlink::string)? != TABLE {
        return None;
    }
    let name = netlink::find(attributes, 3).map(netlink::string)?;
    let drops = netlink::find(attributes, 5).is_some_and(|policy| policy == DROP.to_be_bytes());
    Some(ShownChain { name, drops, rules: Vec::new() })
}

fn shown_rule(attributes: &[u8]) -> Option<(String, ShownRule)> {
    if netlink::find(attributes, 1).map(netlink::string)? != TABLE {
        return None;
    }
    let chain = netlink::find(attributes, 2).map(netlink::string)?;
    let comment = match netlink::find(attributes, 7) {
        Some([COMMENT, _, text @ ..]) => netlink::string(text),
        _ => "added by another program".to_owned(),
    };
    let expressions = netlink::find(attributes, 4).unwrap_or_default();
    let counter = netlink::attributes(expressions).find_map(|(_, expression)| {
        let name = netlink::find(expression, EXPRESSION_NAME).map(netlink::string)?;
        let data = netlink::find(expression, EXPRESSION_DATA)?;
        (name == "counter").then_some(data)
    });
    let number = |kind| {
        let bytes = netlink::find(counter?, kind)?;
        Some(u64::from_be_bytes(bytes.try_into().ok()?))
    };
    let (bytes, packets) = (number(1).unwrap_or(0), number(2).unwrap_or(0));
    Some((chain, ShownRule { comment, packets, bytes }))
}

/// Adds a rule's counters to those of the rules with the same comment.
fn add_up(rules: &mut Vec<ShownRule>, rule: ShownRule) {
    match rules.iter_mut().find(|one| one.comment == rule.comment) {
        Some(one) => {
            one.packets = one.packets.saturating_add(rule.packets);
            one.bytes = one.bytes.saturating_add(rule.bytes);
        }
        None => rules.push(rule),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_not_see_the_rules_is_told_so_and_not_about_the_kernel() {
        for (errno, hint) in [
            (Errno::PERM, "only root"),
            (Errno::ACCESS, "only root"),
            (Errno::OPNOTSUPP, "CONFIG_NF_TABLES"),
        ] {
            let problem = unreadable(&errno.into());
            assert!(problem.hint().is_some_and(|text| text.contains(hint)), "{problem}");
        }
    }
}
