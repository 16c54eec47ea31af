//! What the kernel did not do, and how people are told of it.

use services::network::netlink::Change;
use services::network::netlink::change::LinkSetting;

/// A change that the kernel refused.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Refused {
    pub(crate) change: Change,
    /// The kernel's word for it.
    pub(crate) why: String,
}

impl Refused {
    /// The link that it is about, if it is there already.
    pub(super) fn index(&self) -> Option<u32> {
        match &self.change {
            Change::SetLink(index, _) | Change::AddAddress { index, .. } => Some(*index),
            Change::ReplaceRoute(route) => route.index,
            _ => None,
        }
    }
}

/// What a change does, in the words of an order.
pub(crate) fn describe(change: &Change) -> String {
    match change {
        Change::AddLink { name, .. } => format!("make the link {name}"),
        Change::DeleteLink(index) => format!("take link {index} away"),
        Change::SetLink(index, setting) => match setting {
            LinkSetting::Up(true) => format!("switch link {index} on"),
            LinkSetting::Up(false) => format!("switch link {index} off"),
            LinkSetting::Mtu(mtu) => format!("give link {index} the MTU {mtu}"),
            LinkSetting::Mac(mac) => format!("give link {index} the address {mac}"),
            LinkSetting::Name(name) => format!("give link {index} the name {name}"),
            LinkSetting::Controller(Some(bridge)) => {
                format!("make link {index} a port of link {bridge}")
            }
            LinkSetting::Controller(None) => format!("take link {index} out of its bridge"),
            LinkSetting::Stp(stp) => {
                format!("switch STP of link {index} {}", if *stp { "on" } else { "off" })
            }
        },
        Change::AddAddress { prefix, .. } => format!("set the address {prefix}"),
        Change::DeleteAddress { prefix, .. } => format!("take the address {prefix} away"),
        Change::AddRoute(route) | Change::ReplaceRoute(route) => {
            let via = route.gateway.map(|via| format!(" via {via}")).unwrap_or_default();
            format!("set the route to {}{via}", route.destination)
        }
        Change::DeleteRoute(route) => format!("take the route to {} away", route.destination),
        Change::SetNeighbour(_) | Change::DeleteNeighbour(_) => "change a neighbour".to_owned(),
    }
}
