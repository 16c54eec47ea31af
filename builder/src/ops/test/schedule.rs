//! Which rungs are climbed side by side, and in what order they begin.
//!
//! A guest leaves a processor idle while it boots on one of its own or waits, and
//! so does a compiler at its end; another rung can have it.
//! [`next`] decides and is pure; [`climb_all`] owns the threads.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// What a rung may be climbed beside.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Company {
    /// Anything but other calls of Cargo, which would wait for each other.
    NoOtherCargo,
    /// Anything.
    Any,
    /// Nothing: it looks at what others would change.
    None,
}

/// The place in `waiting` of the rung to begin now, if any may: the first that
/// gets along with those `running`. A rung without company holds up all behind it.
fn next(waiting: &[Company], running: &[Company], jobs: usize) -> Option<usize> {
    if running.len() >= jobs || running.contains(&Company::None) {
        return None;
    }
    for (place, company) in waiting.iter().enumerate() {
        match company {
            Company::Any => return Some(place),
            Company::NoOtherCargo if !running.contains(&Company::NoOtherCargo) => {
                return Some(place);
            }
            Company::NoOtherCargo => {}
            Company::None if place == 0 && running.is_empty() => return Some(place),
            Company::None => return None,
        }
    }
    None
}

/// What the threads share.
struct Shared<T> {
    /// Rungs that nobody has begun, by their number and company.
    waiting: Vec<(usize, Company)>,
    running: Vec<Company>,
    /// What came of each rung, until it is handed on.
    done: Vec<Option<T>>,
    /// How many were handed on.
    told: usize,
    is_stopped: bool,
}

/// Climbs every rung, `jobs` at a time. `tell` gets what came of each, in the
/// rungs' order, as soon as all before it are done. Once `is_stopped` is true no
/// further rung is begun, and those that were begun are waited for.
pub(super) fn climb_all<T: Send>(
    companies: &[Company],
    jobs: usize,
    climb: impl Fn(usize) -> T + Sync,
    is_stopped: impl Fn() -> bool + Sync,
    tell: impl FnMut(usize, T) + Send,
) {
    let shared = Mutex::new(Shared {
        waiting: companies.iter().copied().enumerate().collect(),
        running: Vec::new(),
        done: companies.iter().map(|_| None).collect(),
        told: 0,
        is_stopped: false,
    });
    let tell = Mutex::new(tell);
    let changed = Condvar::new();
    let work = || {
        let mut state = locked(&shared);
        while !state.waiting.is_empty() && !state.is_stopped {
            let waiting: Vec<Company> = state.waiting.iter().map(|(_, company)| *company).collect();
            let Some(place) = next(&waiting, &state.running, jobs) else {
                state = changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let (rung, company) = state.waiting.remove(place);
            state.running.push(company);
            drop(state);
            let result = climb(rung);
            state = locked(&shared);
            state.is_stopped |= is_stopped();
            state.done[rung] = Some(result);
            if let Some(ended) = state.running.iter().position(|running| *running == company) {
                state.running.swap_remove(ended);
            }
            state.hand_on(&mut *locked(&tell));
            changed.notify_all();
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..jobs {
            scope.spawn(work);
        }
        work();
    });
}

impl<T> Shared<T> {
    fn hand_on(&mut self, mut tell: impl FnMut(usize, T)) {
        while let Some(result) = self.done.get_mut(self.told).and_then(Option::take) {
            tell(self.told, result);
            self.told += 1;
        }
    }
}

/// A rung that panicked has said so; the others go on.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::Company::{Any, NoOtherCargo, None as Alone};
    use super::*;

    #[test]
    fn the_first_that_gets_along_with_the_others_begins() {
        let table: &[(&[Company], &[Company], Option<usize>)] = &[
            (&[NoOtherCargo, Any], &[], Some(0)),
            (&[NoOtherCargo, Any], &[NoOtherCargo], Some(1)),
            (&[NoOtherCargo, NoOtherCargo], &[NoOtherCargo], None),
            (&[NoOtherCargo], &[Any], Some(0)),
            (&[Any], &[Any], Some(0)),
            (&[Any], &[Any, Any], None),
            (&[Any], &[Alone], None),
            (&[Alone, Any], &[Any], None),
            (&[Alone, Any], &[], Some(0)),
            (&[NoOtherCargo, Alone, Any], &[NoOtherCargo], None),
            (&[], &[], None),
        ];
        for (waiting, running, expected) in table {
            assert_eq!(next(waiting, running, 2), *expected, "{waiting:?} beside {running:?}");
        }
        assert_eq!(next(&[Any], &[Any], 1), None);
    }

    #[test]
    fn all_are_climbed_at_most_two_at_a_time_and_told_in_order() {
        let companies = [NoOtherCargo, Any, Alone, Any, NoOtherCargo, NoOtherCargo, Any, Alone];
        for jobs in [1, 2] {
            let (running, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
            let mut told = Vec::new();
            let climb = |rung: usize| {
                let now = running.fetch_add(1, Ordering::SeqCst) + 1;
                most.fetch_max(now, Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(if rung == 0 { 30 } else { 2 }));
                assert!(companies[rung] != Alone || running.load(Ordering::SeqCst) == 1);
                running.fetch_sub(1, Ordering::SeqCst);
                rung * 10
            };
            climb_all(&companies, jobs, climb, || false, |rung, result| told.push((rung, result)));
            let expected: Vec<_> = (0..companies.len()).map(|rung| (rung, rung * 10)).collect();
            assert_eq!(told, expected);
            assert_eq!(most.load(Ordering::SeqCst), jobs);
        }
    }

    #[test]
    fn nothing_begins_after_a_stop() {
        let begun = AtomicUsize::new(0);
        let climb = |_| begun.fetch_add(1, Ordering::SeqCst);
        climb_all(&[Any; 9], 1, climb, || true, |_, _| ());
        assert_eq!(begun.load(Ordering::SeqCst), 1);
    }
}
