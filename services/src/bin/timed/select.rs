//! Which of several servers to believe: those whose errors allow one common time, if they are
//! the majority (the intersection of RFC 5905, section 11.2.1), and of these the nearest.

use crate::packet::Sample;

/// The place of the best of `samples`; `None` if no majority agrees. Two that contradict each
/// other are no majority; one alone has nobody to contradict it.
pub(crate) fn best(samples: &[Sample]) -> Option<usize> {
    let low = |sample: &Sample| sample.offset_ns.saturating_sub(sample.distance_ns);
    let high = |sample: &Sample| sample.offset_ns.saturating_add(sample.distance_ns);
    let holds = |sample: &Sample, time: i64| (low(sample)..=high(sample)).contains(&time);
    let count = |time: i64| samples.iter().filter(|sample| holds(sample, time)).count();
    // The most agree where some interval begins.
    let time = samples.iter().map(low).max_by_key(|time| count(*time))?;
    if count(time) * 2 <= samples.len() {
        return None;
    }
    let agree = samples.iter().enumerate().filter(|(_, sample)| holds(sample, time));
    agree.min_by_key(|(_, sample)| sample.distance_ns).map(|(place, _)| place)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(pairs: &[(i64, i64)]) -> Vec<Sample> {
        let sample = |(offset_ns, distance_ns): &(i64, i64)| Sample {
            offset_ns: *offset_ns,
            delay_ns: 0,
            distance_ns: *distance_ns,
            stratum: 2,
        };
        pairs.iter().map(sample).collect()
    }

    #[test]
    fn the_nearest_of_those_that_agree_is_believed() {
        for (pairs, place) in [
            (&[][..], None),
            (&[(5, 1)], Some(0)),
            (&[(5, 3), (7, 1)], Some(1)),
            (&[(5, 1), (90, 1)], None),
            (&[(5, 9), (900, 1), (7, 3)], Some(2)),
            (&[(0, 1), (100, 1), (200, 1)], None),
            (&[(0, 1), (1, 1), (100, 1), (101, 1)], None),
            (&[(i64::MAX, i64::MAX), (i64::MAX, 1)], Some(1)),
        ] {
            assert_eq!(best(&samples(pairs)), place, "{pairs:?}");
        }
    }
}
