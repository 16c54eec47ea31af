//! Which rungs are climbed side by side, and in what order they begin.
//!
//! A guest leaves a processor idle while it boots on one of its own or waits, and
//! so does a compiler at its end; another rung can have it. A rung that needs what
//! another one makes does not take a place to wait for it.
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

/// When a rung may begin.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Terms {
    /// What it may be climbed beside.
    pub(super) company: Company,
    /// The numbers of rungs before it that are to be done.
    pub(super) after: Vec<usize>,
}

/// A rung that nobody has begun.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Waiting {
    company: Company,
    /// Whether all that it comes after are done.
    is_ready: bool,
}

/// The place in `waiting` of the rung to begin now, if any may: the first that is ready
/// and gets along with those `running`. A rung without company holds up all behind it.
fn next(waiting: &[Waiting], running: &[Company], jobs: usize) -> Option<usize> {
    if running.len() >= jobs || running.contains(&Company::None) {
        return None;
    }
    for (place, rung) in waiting.iter().enumerate() {
        match rung.company {
            Company::None if place == 0 && rung.is_ready && running.is_empty() => {
                return Some(place);
            }
            Company::None => return None,
            _ if !rung.is_ready => {}
            Company::Any => return Some(place),
            Company::NoOtherCargo if !running.contains(&Company::NoOtherCargo) => {
                return Some(place);
            }
            Company::NoOtherCargo => {}
        }
    }
    None
}

/// What the threads share.
struct Shared<T> {
    /// The numbers of rungs that nobody has begun.
    waiting: Vec<usize>,
    running: Vec<Company>,
    /// What came of each rung, until it is handed on.
    done: Vec<Option<T>>,
    /// How many were handed on.
    told: usize,
    is_stopped: bool,
}

/// Climbs a rung for each of `terms`, `jobs` at a time. `tell` gets what came of each, in the
/// rungs' order, as soon as all before it are done. Once `is_stopped` is true no
/// further rung is begun, and those that were begun are waited for.
pub(super) fn climb_all<T: Send>(
    terms: &[Terms],
    jobs: usize,
    climb: impl Fn(usize) -> T + Sync,
    is_stopped: impl Fn() -> bool + Sync,
    tell: impl FnMut(usize, T) + Send,
) {
    let shared = Mutex::new(Shared {
        waiting: (0..terms.len()).collect(),
        running: Vec::new(),
        done: terms.iter().map(|_| None).collect(),
        told: 0,
        is_stopped: false,
    });
    let tell = Mutex::new(tell);
    let changed = Condvar::new();
    let work = || {
        let mut state = locked(&shared);
        while !state.waiting.is_empty() && !state.is_stopped {
            let Some(place) = next(&state.candidates(terms), &state.running, jobs) else {
                state = changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let rung = state.waiting.remove(place);
            let company = terms[rung].company;
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
    /// The rungs that nobody has begun, in their order.
    fn candidates(&self, terms: &[Terms]) -> Vec<Waiting> {
        let is_done = |rung: &usize| *rung < self.told || self.done[*rung].is_some();
        let candidate = |rung: &usize| {
            let Terms { company, after } = &terms[*rung];
            Waiting { company: *company, is_ready: after.iter().all(is_done) }
        };
        self.waiting.iter().map(candidate).collect()
    }

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

    const fn ready(company: Company) -> Waiting {
        Waiting { company, is_ready: true }
    }

    const fn unready(company: Company) -> Waiting {
        Waiting { company, is_ready: false }
    }

    fn terms(company: Company, after: &[usize]) -> Terms {
        Terms { company, after: after.to_vec() }
    }

    #[test]
    fn the_first_that_is_ready_and_gets_along_with_the_others_begins() {
        let table: &[(&[Waiting], &[Company], Option<usize>)] = &[
            (&[ready(NoOtherCargo), ready(Any)], &[], Some(0)),
            (&[ready(NoOtherCargo), ready(Any)], &[NoOtherCargo], Some(1)),
            (&[ready(NoOtherCargo), ready(NoOtherCargo)], &[NoOtherCargo], None),
            (&[ready(NoOtherCargo)], &[Any], Some(0)),
            (&[ready(Any)], &[Any], Some(0)),
            (&[ready(Any)], &[Any, Any], None),
            (&[ready(Any)], &[Alone], None),
            (&[ready(Alone), ready(Any)], &[Any], None),
            (&[ready(Alone), ready(Any)], &[], Some(0)),
            (&[ready(NoOtherCargo), ready(Alone), ready(Any)], &[NoOtherCargo], None),
            (&[unready(Any), ready(Any)], &[Any], Some(1)),
            (&[unready(NoOtherCargo), ready(NoOtherCargo)], &[Any], Some(1)),
            (&[unready(Any), ready(Alone), ready(Any)], &[Any], None),
            (&[unready(Alone), ready(Any)], &[Any], None),
            (&[unready(Any)], &[Any], None),
            (&[], &[], None),
        ];
        for (waiting, running, expected) in table {
            assert_eq!(next(waiting, running, 2), *expected, "{waiting:?} beside {running:?}");
        }
        assert_eq!(next(&[ready(Any)], &[Any], 1), None);
    }

    #[test]
    fn all_are_climbed_at_most_two_at_a_time_and_told_in_order() {
        let terms = [
            terms(NoOtherCargo, &[]),
            terms(Any, &[]),
            terms(Any, &[0]),
            terms(Alone, &[]),
            terms(Any, &[1, 2]),
            terms(NoOtherCargo, &[]),
            terms(NoOtherCargo, &[5]),
            terms(Any, &[0]),
            terms(Alone, &[6]),
        ];
        for jobs in [1, 2] {
            let (running, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
            let is_done: Vec<_> = terms.iter().map(|_| AtomicUsize::new(0)).collect();
            let mut told = Vec::new();
            let climb = |rung: usize| {
                let now = running.fetch_add(1, Ordering::SeqCst) + 1;
                most.fetch_max(now, Ordering::SeqCst);
                for before in &terms[rung].after {
                    assert_eq!(is_done[*before].load(Ordering::SeqCst), 1, "{rung}");
                }
                std::thread::sleep(Duration::from_millis(if rung == 0 { 30 } else { 2 }));
                let is_alone = running.load(Ordering::SeqCst) == 1;
                assert!(terms[rung].company != Alone || is_alone);
                running.fetch_sub(1, Ordering::SeqCst);
                is_done[rung].store(1, Ordering::SeqCst);
                rung * 10
            };
            climb_all(&terms, jobs, climb, || false, |rung, result| told.push((rung, result)));
            let expected: Vec<_> = (0..terms.len()).map(|rung| (rung, rung * 10)).collect();
            assert_eq!(told, expected);
            assert_eq!(most.load(Ordering::SeqCst), jobs);
        }
    }

    #[test]
    fn nothing_begins_after_a_stop() {
        let begun = AtomicUsize::new(0);
        let climb = |_| begun.fetch_add(1, Ordering::SeqCst);
        let terms = vec![terms(Any, &[]); 9];
        climb_all(&terms, 1, climb, || true, |_, _| ());
        assert_eq!(begun.load(Ordering::SeqCst), 1);
    }
}
