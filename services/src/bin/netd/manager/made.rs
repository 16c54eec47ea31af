//! The links that the file makes: which are missing, which are other than the file has them,
//! and which cannot be made.
//!
//! One that is other is taken away, and made once the kernel says that it is gone. What lies
//! on it goes with it and comes back by the same way.

use std::collections::{BTreeMap, BTreeSet};

use services::network::config::Config;
use services::network::netlink::Change;
use services::network::netlink::change::NewLink;
use services::network::netlink::view::Link;

use super::output::Output;

/// The links of the kernel, by name.
pub(super) type ByName<'l> = BTreeMap<&'l str, &'l Link>;

/// What was done about the links that the file makes.
#[derive(Debug, Default)]
pub(super) struct Made {
    /// Indexes of those that are there, by name.
    own: BTreeMap<String, u32>,
    /// What each was asked for as; none is asked for twice, so that whoever changes one by
    /// hand has it until the file is read again.
    asked: BTreeMap<String, NewLink>,
    /// Those that were taken away and are not gone yet: nothing can be made on them, and nothing
    /// is to be set of them any more.
    leaving: BTreeSet<u32>,
    /// Why one is not as the file has it, by name.
    failed: BTreeMap<String, String>,
}

impl Made {
    /// Why links of the file are not as it has them, by name.
    pub(super) fn failed(&self) -> &BTreeMap<String, String> {
        &self.failed
    }

    /// Whether the link was taken away and is not gone yet.
    pub(super) fn is_leaving(&self, index: u32) -> bool {
        self.leaving.contains(&index)
    }

    /// Makes up the difference between the links that the file makes and those there are.
    pub(super) fn settle(&mut self, config: &Config, links: &ByName<'_>, out: &mut Vec<Output>) {
        let wanted = self.wanted(config, links, out);
        for (name, kind) in &wanted {
            if let Some(link) = links.get(name.as_str()) {
                self.compare(name, kind, link, out);
            }
        }
        for (name, kind) in wanted {
            let lies_on_leaving = matches!(&kind, NewLink::Vlan { parent, .. }
                if self.leaving.contains(parent));
            if links.contains_key(name.as_str())
                || lies_on_leaving
                || self.asked.insert(name.clone(), kind.clone()).as_ref() == Some(&kind)
            {
                continue;
            }
            self.failed.remove(&name);
            out.push(Output::Change(Change::AddLink { name, kind }));
        }
    }

    /// What can be made with the links there are.
    fn wanted(
        &mut self,
        config: &Config,
        links: &ByName<'_>,
        out: &mut Vec<Output>,
    ) -> Vec<(String, NewLink)> {
        let bridge = |stp| NewLink::Bridge { stp };
        let mut wanted: Vec<(String, NewLink)> =
            config.bridges.iter().map(|one| (one.name.clone(), bridge(one.stp))).collect();
        for vlan in &config.vlans {
            match links.get(vlan.on.as_str()) {
                Some(parent) => {
                    let kind = NewLink::Vlan { parent: parent.index, id: vlan.id };
                    wanted.push((vlan.name.clone(), kind));
                }
                // It is about to come, or it is said why it does not.
                None if config.makes(&vlan.on) => {}
                None => self.fail(&vlan.name, format!("there is no link {}", vlan.on), out),
            }
        }
        wanted
    }

    /// Has a link that is there be as the file has it.
    fn compare(&mut self, name: &str, kind: &NewLink, link: &Link, out: &mut Vec<Output>) {
        if !is_of_kind(link, kind) && self.own.get(name) != Some(&link.index) {
            self.fail(name, "another sort of link has this name".to_owned(), out);
            return;
        }
        self.own.insert(name.to_owned(), link.index);
        let is_new_wish = self.asked.insert(name.to_owned(), kind.clone()).is_none();
        if is_as(link, kind) {
            self.failed.remove(name);
        } else if is_new_wish {
            self.failed.remove(name);
            self.leaving.insert(link.index);
            out.push(Output::Log(format!("{name} is made anew: the file has it otherwise")));
            out.push(Output::Change(Change::DeleteLink(link.index)));
        }
    }

    fn fail(&mut self, name: &str, why: String, out: &mut Vec<Output>) {
        if self.failed.get(name) != Some(&why) {
            out.push(Output::Log(format!("cannot make the link {name}: {why}")));
            self.failed.insert(name.to_owned(), why);
        }
    }

    /// The file was read again: what it no longer makes is taken away, and the rest is looked
    /// at anew.
    pub(super) fn reload(&mut self, config: &Config, links: &ByName<'_>, out: &mut Vec<Output>) {
        let Self { own, leaving, .. } = self;
        own.retain(|name, index| {
            let is_wanted = config.makes(name);
            if !is_wanted && links.get(name.as_str()).is_some_and(|link| link.index == *index) {
                leaving.insert(*index);
                out.push(Output::Change(Change::DeleteLink(*index)));
            }
            is_wanted
        });
        // What was asked for and is neither there nor refused is about to come.
        let Self { asked, failed, .. } = self;
        asked.retain(|name, _| {
            let is_coming = !links.contains_key(name.as_str()) && !failed.contains_key(name);
            config.makes(name) && is_coming
        });
        failed.clear();
    }

    /// A link is gone.
    pub(super) fn gone(&mut self, link: &Link) {
        self.leaving.remove(&link.index);
        self.own.retain(|_, index| *index != link.index);
        self.asked.remove(&link.name);
        self.failed.remove(&link.name);
    }

    /// The kernel has refused to make or to take away a link.
    pub(super) fn refuse(&mut self, change: &Change, why: &str) {
        match change {
            Change::AddLink { name, .. } => {
                self.failed.insert(name.clone(), why.to_owned());
            }
            Change::DeleteLink(index) => {
                self.leaving.remove(index);
                let names = self.own.iter().filter(|(_, own)| *own == index);
                self.failed.extend(names.map(|(name, _)| (name.clone(), why.to_owned())));
            }
            _ => {}
        }
    }
}

/// Whether a link is of the sort that the file makes it as.
fn is_of_kind(link: &Link, kind: &NewLink) -> bool {
    let wanted = match kind {
        NewLink::Vlan { .. } => "vlan",
        NewLink::Bridge { .. } => "bridge",
        NewLink::Veth { .. } => "veth",
        NewLink::Dummy => "dummy",
    };
    link.kind.as_deref() == Some(wanted)
}

/// Whether a link is what the file makes it, as far as it cannot be changed while it is there.
fn is_as(link: &Link, kind: &NewLink) -> bool {
    let is_same = match kind {
        NewLink::Vlan { parent, id } => link.parent == Some(*parent) && link.vlan_id == Some(*id),
        // Whether it speaks STP is a setting.
        _ => true,
    };
    is_same && is_of_kind(link, kind)
}
