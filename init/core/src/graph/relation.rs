//! A relation between services in two flat arrays: PID 1 keeps six of them
//! for its whole life, and most services have few neighbours.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::event::ServiceId;

/// Which services each service points at, in ascending order and without repetition.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Relation {
    /// Where the targets of service `i` start; one entry more than there are services.
    starts: Box<[u32]>,
    targets: Box<[ServiceId]>,
}

impl Relation {
    /// Builds it for `count` services out of (from, to) pairs.
    pub(super) fn new(count: usize, mut pairs: Vec<(ServiceId, ServiceId)>) -> Self {
        pairs.sort_unstable();
        pairs.dedup();
        let mut starts = Vec::with_capacity(count + 1);
        for service in 0..=count {
            let before = pairs.partition_point(|(from, _)| (from.0 as usize) < service);
            starts.push(u32::try_from(before).unwrap_or(u32::MAX));
        }
        let targets = pairs.into_iter().map(|(_, to)| to).collect();
        Self { starts: starts.into(), targets }
    }

    /// The targets of `service`.
    pub(super) fn of(&self, service: ServiceId) -> &[ServiceId] {
        let index = service.0 as usize;
        let bound = |index: usize| self.starts.get(index).map(|start| *start as usize);
        match (bound(index), bound(index + 1)) {
            (Some(start), Some(end)) => self.targets.get(start..end).unwrap_or_default(),
            _ => &[],
        }
    }

    /// Every pair, from and to.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (ServiceId, ServiceId)> {
        let count = u32::try_from(self.starts.len().saturating_sub(1)).unwrap_or(u32::MAX);
        (0..count).map(ServiceId).flat_map(|from| self.of(from).iter().map(move |to| (from, *to)))
    }

    /// The same relation read backwards.
    pub(super) fn reversed(&self) -> Self {
        let count = self.starts.len().saturating_sub(1);
        Self::new(count, self.pairs().map(|(from, to)| (to, from)).collect())
    }

    /// Whether there is no pair at all.
    pub(super) fn is_empty(&self) -> bool {
        self.targets.is_empty()
    }
}
