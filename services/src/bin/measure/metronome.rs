//! Time as the guest lived it. A host takes an emulated processor away for hundreds of
//! milliseconds and gives it back: the guest's clocks went on, what ran on it did not. A thread on
//! each processor sleeps one beat after another, before everything else that wants to run there,
//! so that the beats it missed are the host's doing and nobody else's.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use services::problem::{Context, Result};
use services::sys::become_realtime;

/// Long enough that beating is not the load.
const BEAT: Duration = Duration::from_millis(4);

/// A thread for each processor, until the program ends.
pub(crate) struct Metronome {
    beats: Vec<Arc<AtomicU32>>,
}

/// How often the thread of each processor had beaten.
pub(crate) struct Moment(Vec<u32>);

impl Metronome {
    /// Starts beating on every processor that this program may use.
    ///
    /// # Errors
    /// A thread cannot be had, or may not go before others.
    pub(crate) fn start() -> Result<Self> {
        let allowed = sched_getaffinity(None).context(|| "cannot ask for processors".to_owned())?;
        let processors = (0..CpuSet::MAX_CPU).filter(|&processor| allowed.is_set(processor));
        let beats = processors.map(beat_on).collect::<Result<_>>()?;
        Ok(Self { beats })
    }

    /// Now.
    pub(crate) fn moment(&self) -> Moment {
        Moment(self.beats.iter().map(|beats| beats.load(Ordering::Relaxed)).collect())
    }

    /// The most that a guest can have lived since `moment`, which was `elapsed` ago: as many
    /// beats as the processor of which the host took most, and the one that had begun.
    pub(crate) fn lived_since(&self, moment: &Moment, elapsed: Duration) -> Duration {
        let now = self.moment();
        let beaten = now.0.iter().zip(&moment.0).map(|(now, then)| now.wrapping_sub(*then));
        // The one that had begun counts as a whole.
        let beats = beaten.min().map(|beats| beats.saturating_add(1));
        beats.map_or(elapsed, |beats| elapsed.min(BEAT.saturating_mul(beats)))
    }
}

/// Counts beats on `processor`.
fn beat_on(processor: usize) -> Result<Arc<AtomicU32>> {
    let beats = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&beats);
    let (started, is_started) = std::sync::mpsc::channel();
    let run = move || {
        let mut here = CpuSet::new();
        here.set(processor);
        let ready =
            sched_setaffinity(None, &here).map_err(Into::into).and_then(|()| become_realtime());
        let is_ready = ready.is_ok();
        // Who asked waits for this.
        let _ = started.send(ready);
        if !is_ready {
            return;
        }
        loop {
            thread::sleep(BEAT);
            counted.fetch_add(1, Ordering::Relaxed);
        }
    };
    thread::Builder::new().spawn(run).context(|| "cannot start a thread".to_owned())?;
    let ready = is_started.recv().unwrap_or_else(|_| Err(std::io::ErrorKind::BrokenPipe.into()));
    ready.context(|| format!("cannot go before others on processor {processor}"))?;
    Ok(beats)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(beats: &[u32]) -> Vec<Arc<AtomicU32>> {
        beats.iter().map(|&beats| Arc::new(AtomicU32::new(beats))).collect()
    }

    #[test]
    fn what_the_host_took_was_not_lived() {
        let since = |then: &[u32], now: &[u32], elapsed_ms| {
            let metronome = Metronome { beats: of(now) };
            let elapsed = Duration::from_millis(elapsed_ms);
            metronome.lived_since(&Moment(then.to_vec()), elapsed).as_millis()
        };
        assert_eq!(since(&[10, 7], &[85, 82], 300), 300, "nothing was taken");
        assert_eq!(since(&[10, 7], &[85, 12], 300), 24, "one processor was");
        assert_eq!(since(&[10], &[10], 300), 4, "the whole time was");
        assert_eq!(since(&[10], &[11], 1), 1, "never more than the clock says");
        assert_eq!(since(&[u32::MAX], &[1], 300), 12, "counts go round");
    }
}
