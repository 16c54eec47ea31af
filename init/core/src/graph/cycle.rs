//! Finds the services that need themselves, and by way of whom.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec;
use alloc::vec::Vec;

use super::relation::Relation;
use crate::event::ServiceId;

/// For each service on a cycle, one shortest cycle through it as an index into
/// the list of cycles. A cycle is listed from its first member in name order.
pub(super) struct Cycles {
    pub(super) list: Vec<Box<[ServiceId]>>,
    pub(super) of_service: Vec<Option<usize>>,
}

/// Finds the cycles among `count` services whose edges are all pairs of `relations`.
pub(super) fn find_cycles(count: usize, relations: &[&Relation]) -> Cycles {
    let mut cycles = Cycles { list: Vec::new(), of_service: vec![None; count] };
    for start in candidates(count, relations) {
        if cycles.of_service.get(start.0 as usize) != Some(&None) {
            continue;
        }
        let Some(mut path) = shortest_cycle(start, count, relations) else { continue };
        let first = path.iter().enumerate().min_by_key(|(_, member)| **member);
        let first = first.map_or(0, |(index, _)| index);
        path.rotate_left(first);
        for member in &path {
            if let Some(slot @ None) = cycles.of_service.get_mut(member.0 as usize) {
                *slot = Some(cycles.list.len());
            }
        }
        cycles.list.push(path);
    }
    cycles
}

/// The services that are left when those are taken away, again and again,
/// that need nobody who is left. An ordinary system leaves none.
fn candidates(count: usize, relations: &[&Relation]) -> Vec<ServiceId> {
    let mut needs = vec![0_u32; count];
    let mut needed_by: Vec<Vec<ServiceId>> = vec![Vec::new(); count];
    for (from, to) in relations.iter().flat_map(|relation| relation.pairs()) {
        if let Some(counter) = needs.get_mut(from.0 as usize) {
            *counter += 1;
        }
        if let Some(list) = needed_by.get_mut(to.0 as usize) {
            list.push(from);
        }
    }
    let mut free: Vec<ServiceId> =
        ids(count).filter(|id| needs.get(id.0 as usize) == Some(&0)).collect();
    while let Some(service) = free.pop() {
        for user in needed_by.get(service.0 as usize).into_iter().flatten() {
            if let Some(counter) = needs.get_mut(user.0 as usize) {
                *counter -= 1;
                if *counter == 0 {
                    free.push(*user);
                }
            }
        }
    }
    ids(count).filter(|id| needs.get(id.0 as usize).is_some_and(|left| *left > 0)).collect()
}

/// A shortest way from `start` back to itself, by breadth-first search.
fn shortest_cycle(
    start: ServiceId,
    count: usize,
    relations: &[&Relation],
) -> Option<Box<[ServiceId]>> {
    let mut came_from: Vec<Option<ServiceId>> = vec![None; count];
    let mut queue = VecDeque::from([start]);
    while let Some(service) = queue.pop_front() {
        for next in relations.iter().flat_map(|relation| relation.of(service)) {
            if *next == start {
                return Some(walk_back(service, start, &came_from));
            }
            if let Some(slot @ None) = came_from.get_mut(next.0 as usize) {
                *slot = Some(service);
                queue.push_back(*next);
            }
        }
    }
    None
}

fn walk_back(
    last: ServiceId,
    start: ServiceId,
    came_from: &[Option<ServiceId>],
) -> Box<[ServiceId]> {
    let mut path = vec![last];
    let mut at = last;
    while at != start {
        let Some(previous) = came_from.get(at.0 as usize).copied().flatten() else { break };
        path.push(previous);
        at = previous;
    }
    path.reverse();
    path.into()
}

fn ids(count: usize) -> impl Iterator<Item = ServiceId> {
    (0..u32::try_from(count).unwrap_or(u32::MAX)).map(ServiceId)
}
