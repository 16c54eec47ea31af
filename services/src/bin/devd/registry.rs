//! Who has which link: several devices may claim one, and one of them gets it. Pure.

use std::collections::{BTreeMap, BTreeSet};

/// What is to be done below `/dev`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Action {
    /// Make `link` point to `node`, both relative to `/dev`.
    Link { link: String, node: String },
    /// Remove `link`.
    Unlink { link: String },
}

/// A device that has a node.
#[derive(Debug)]
struct Device {
    node: String,
    links: BTreeSet<String>,
}

/// The devices and their claims.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    devices: BTreeMap<String, Device>,
    /// Who claims a link: devices by path, the one that came first in front. It has the link.
    claims: BTreeMap<String, Vec<String>>,
}

impl Registry {
    /// The device at `devpath` has the node `node` and claims `links`, and no others any more.
    pub(crate) fn set(
        &mut self,
        devpath: &str,
        node: &str,
        links: BTreeSet<String>,
    ) -> Vec<Action> {
        let mut actions = Vec::new();
        let old = self.devices.get(devpath).map(|device| device.links.clone()).unwrap_or_default();
        for link in old.difference(&links) {
            self.withdraw(devpath, link, &mut actions);
        }
        for link in &links {
            let claims = self.claims.entry(link.clone()).or_default();
            if !claims.iter().any(|claimant| claimant == devpath) {
                claims.push(devpath.to_owned());
            }
            if claims.first().is_some_and(|first| first == devpath) {
                actions.push(Action::Link { link: link.clone(), node: node.to_owned() });
            }
        }
        self.devices.insert(devpath.to_owned(), Device { node: node.to_owned(), links });
        actions
    }

    /// The device at `devpath` is gone.
    pub(crate) fn remove(&mut self, devpath: &str) -> Vec<Action> {
        let mut actions = Vec::new();
        let links = self.devices.get(devpath).map(|device| device.links.clone());
        for link in links.unwrap_or_default() {
            self.withdraw(devpath, &link, &mut actions);
        }
        self.devices.remove(devpath);
        actions
    }

    /// The links that are there by right.
    pub(crate) fn links(&self) -> impl Iterator<Item = &str> {
        self.claims.keys().map(String::as_str)
    }

    /// The paths of all devices.
    pub(crate) fn devices(&self) -> Vec<String> {
        self.devices.keys().cloned().collect()
    }

    /// The links that the device at `devpath` claims.
    pub(crate) fn links_of(&self, devpath: &str) -> impl Iterator<Item = &str> {
        self.devices.get(devpath).into_iter().flat_map(|device| device.links.iter()).map(|l| &**l)
    }

    fn withdraw(&mut self, devpath: &str, link: &str, actions: &mut Vec<Action>) {
        let Some(claims) = self.claims.get_mut(link) else { return };
        let had_it = claims.first().is_some_and(|first| first == devpath);
        claims.retain(|claimant| claimant != devpath);
        let next = claims.first().and_then(|first| self.devices.get(first));
        match next {
            Some(next) if had_it => {
                actions.push(Action::Link { link: link.to_owned(), node: next.node.clone() });
            }
            None => {
                self.claims.remove(link);
                actions.push(Action::Unlink { link: link.to_owned() });
            }
            Some(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(registry: &mut Registry, device: &str, links: &[&str]) -> Vec<String> {
        let links = links.iter().map(|link| (*link).to_owned()).collect();
        shown(registry.set(&format!("/devices/{device}"), device, links))
    }

    fn remove(registry: &mut Registry, device: &str) -> Vec<String> {
        shown(registry.remove(&format!("/devices/{device}")))
    }

    fn shown(actions: Vec<Action>) -> Vec<String> {
        let show = |action| match action {
            Action::Link { link, node } => format!("{link} -> {node}"),
            Action::Unlink { link } => format!("{link} gone"),
        };
        actions.into_iter().map(show).collect()
    }

    #[test]
    fn links_come_change_and_go_with_their_device() {
        let mut registry = Registry::default();
        assert_eq!(set(&mut registry, "a", &["l1", "l2"]), ["l1 -> a", "l2 -> a"]);
        assert_eq!(set(&mut registry, "a", &["l2", "l3"]), ["l1 gone", "l2 -> a", "l3 -> a"]);
        assert_eq!(remove(&mut registry, "a"), ["l2 gone", "l3 gone"]);
        assert_eq!(remove(&mut registry, "a"), [""; 0]);
        assert_eq!(registry.links().count(), 0);
    }

    #[test]
    fn of_two_claims_the_first_counts_and_the_second_takes_over() {
        let mut registry = Registry::default();
        assert_eq!(set(&mut registry, "a", &["data"]), ["data -> a"]);
        assert_eq!(set(&mut registry, "b", &["data"]), [""; 0]);
        assert_eq!(set(&mut registry, "b", &["data"]), [""; 0]);
        assert_eq!(remove(&mut registry, "a"), ["data -> b"]);
        assert_eq!(set(&mut registry, "a", &["data"]), [""; 0]);
        assert_eq!(set(&mut registry, "b", &[]), ["data -> a"]);
        assert_eq!(remove(&mut registry, "b"), [""; 0]);
        assert_eq!(remove(&mut registry, "a"), ["data gone"]);
    }
}
