//! The expressions of nftables that a rule is made of, and how the kernel reads them.
//!
//! A rule runs its expressions in order; one that does not hold ends it. Everything is loaded
//! into register 1 and compared there. Source: `linux/netfilter/nf_tables.h`.

use crate::netlink::Attributes;

/// `NFT_REG_VERDICT`, `NFT_REG_1`, `NFT_REG_2`.
const REGISTER_VERDICT: u32 = 0;
const REGISTER_1: u32 = 1;
const REGISTER_2: u32 = 2;

/// The protocol families as `meta nfproto` and nat have them: `NFPROTO_IPV4`, `NFPROTO_IPV6`.
pub(crate) const IPV4: u8 = 2;
pub(crate) const IPV6: u8 = 10;

/// What is known about a packet besides its bytes (`enum nft_meta_keys`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Meta {
    InInterface = 6,
    OutInterface = 7,
    Family = 15,
    Protocol = 16,
}

/// Which header an offset counts from (`enum nft_payload_bases`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Base {
    Network = 1,
    Transport = 2,
}

/// How register 1 is compared (`enum nft_cmp_ops`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Comparison {
    Equal = 0,
    NotEqual = 1,
    AtMost = 3,
    AtLeast = 5,
}

/// What is known about a connection (`enum nft_ct_keys`): bit sets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Connection {
    State = 0,
    Status = 2,
}

/// How a sender is told (`enum nft_reject_types`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Rejection {
    TcpReset = 1,
    /// An ICMP or ICMPv6 error: port unreachable.
    PortUnreachable = 2,
}

/// One step of a rule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Expression {
    Meta(Meta),
    Connection(Connection),
    Payload {
        base: Base,
        offset: u32,
        length: u32,
    },
    /// Keeps only these bits of register 1.
    Mask(Vec<u8>),
    Compare(Comparison, Vec<u8>),
    /// Looks register 1 up in a set, by the number that it has in the batch.
    Lookup {
        set: u32,
    },
    Counter,
    Limit {
        packets: u64,
        per_seconds: u64,
        burst: u32,
    },
    Log {
        prefix: String,
    },
    Accept,
    Drop,
    Reject(Rejection),
    Masquerade,
    /// Sends a packet to another address and port.
    ForwardTo {
        family: u8,
        address: Vec<u8>,
        port: u16,
    },
}

/// The name of a set without a name: the kernel puts a number there.
pub(crate) const ANONYMOUS_SET: &str = "__set%d";

/// `NF_DROP`, `NF_ACCEPT`.
pub(crate) const DROP: u32 = 0;
pub(crate) const ACCEPT: u32 = 1;

/// `NFTA_LIST_ELEM`, `NFTA_EXPR_NAME`, `NFTA_EXPR_DATA`.
const LIST_ELEMENT: u16 = 1;
pub(crate) const EXPRESSION_NAME: u16 = 1;
pub(crate) const EXPRESSION_DATA: u16 = 2;

/// The list of `expressions` as `NFTA_RULE_EXPRESSIONS` has it.
pub(crate) fn list(expressions: &[Expression]) -> Attributes {
    let elements = expressions.iter().flat_map(encode);
    elements.fold(Attributes::default(), |list, (name, data)| {
        let element = Attributes::default().text(EXPRESSION_NAME, name).nest(EXPRESSION_DATA, data);
        list.nest(LIST_ELEMENT, element)
    })
}

/// `NFTA_DATA_VALUE`.
pub(crate) fn data(bytes: &[u8]) -> Attributes {
    Attributes::default().bytes(1, bytes)
}

/// `NFTA_DATA_VERDICT` with `NFTA_VERDICT_CODE`.
fn verdict(code: u32) -> Attributes {
    Attributes::default().nest(2, Attributes::default().u32(1, code))
}

/// The numbers are those of the attributes of each expression in the header.
fn encode(expression: &Expression) -> Vec<(&'static str, Attributes)> {
    let new = Attributes::default;
    let immediate = |register, data| ("immediate", new().u32(1, register).nest(2, data));
    vec![match expression {
        Expression::Meta(key) => ("meta", new().u32(1, REGISTER_1).u32(2, *key as u32)),
        Expression::Connection(key) => ("ct", new().u32(1, REGISTER_1).u32(2, *key as u32)),
        Expression::Payload { base, offset, length } => {
            let place = new().u32(1, REGISTER_1).u32(2, *base as u32);
            ("payload", place.u32(3, *offset).u32(4, *length))
        }
        Expression::Mask(mask) => {
            let length = u32::try_from(mask.len()).unwrap_or(u32::MAX);
            let operands = new().u32(1, REGISTER_1).u32(2, REGISTER_1).u32(3, length);
            ("bitwise", operands.nest(4, data(mask)).nest(5, data(&vec![0; mask.len()])))
        }
        Expression::Compare(comparison, bytes) => {
            ("cmp", new().u32(1, REGISTER_1).u32(2, *comparison as u32).nest(3, data(bytes)))
        }
        Expression::Lookup { set } => {
            ("lookup", new().text(1, ANONYMOUS_SET).u32(2, REGISTER_1).u32(4, *set))
        }
        Expression::Counter => ("counter", new().u64(1, 0).u64(2, 0)),
        Expression::Limit { packets, per_seconds, burst } => {
            let rate = new().u64(1, *packets).u64(2, *per_seconds).u32(3, *burst);
            ("limit", rate.u32(4, 0).u32(5, 0))
        }
        Expression::Log { prefix } => ("log", new().text(2, prefix)),
        Expression::Accept => immediate(REGISTER_VERDICT, verdict(ACCEPT)),
        Expression::Drop => immediate(REGISTER_VERDICT, verdict(DROP)),
        // The code is NFT_REJECT_ICMPX_PORT_UNREACH; a reset has none.
        Expression::Reject(Rejection::PortUnreachable) => {
            ("reject", new().u32(1, Rejection::PortUnreachable as u32).bytes(2, &[1]))
        }
        Expression::Reject(kind) => ("reject", new().u32(1, *kind as u32).bytes(2, &[0])),
        Expression::Masquerade => ("masq", new()),
        Expression::ForwardTo { family, address, port } => {
            // NFT_NAT_DNAT; NFTA_NAT_FLAGS are the kernel's to add.
            let nat = new().u32(1, 1).u32(2, (*family).into()).u32(3, REGISTER_1);
            return vec![
                immediate(REGISTER_1, data(address)),
                immediate(REGISTER_2, data(&port.to_be_bytes())),
                ("nat", nat.u32(5, REGISTER_2)),
            ];
        }
    }]
}
