//! The time between two machines: the second guest tells it, right or wrong, and the first
//! guest's clock follows.

use serde_json::Value;

use crate::error::Result;
use crate::ops::guest::Guest;
use crate::ops::test::features::{Pair, peer};
use crate::ops::test::guest_checks::Verdict;

/// Ports of the second guest at which it tells a time: an hour ahead; the same, but 0.3 s more
/// from the second answer on; 30 years behind.
const AHEAD: u16 = 123;
const DRIFTING: u16 = 124;
const LONG_AGO: u16 = 125;
const HOUR_S: u64 = 3600;
/// How far the two clocks may be apart beyond that: they are read one after the other.
const SLACK_S: u64 = 15;
/// Differences that the second answer at `DRIFTING` may show, in microseconds: 0.3 s and what
/// the way takes.
const DRIFT_US: std::ops::Range<i64> = 200_000..400_000;
/// A difference that was 0.3 s and is neither taken away yet nor untouched.
const ON_THE_WAY_US: std::ops::Range<i64> = 60_000..240_000;
/// Questions, about one a second, until it must be below that.
const QUESTIONS_MAX: u32 = 120;
const STATUS: &str = "timectl --json status";
const NOW: &str = "date +%s";
const HARDWARE_CLOCK: &str = "cat /sys/class/rtc/rtc0/since_epoch";

/// The first guest's `timed` begins anew, with the second guest as its server.
fn ask_at(pair: &mut Pair, port: u16) -> Result<()> {
    let servers = format!("servers = [\"10.77.0.1:{port}\"]");
    pair.first.read(&format!("echo '{servers}' > /etc/time.toml && svcctl restart timed"))?;
    Ok(())
}

/// The status once it is as `wanted`.
fn status(
    guest: &mut Guest,
    wanted: impl Fn(&Value) -> bool,
) -> Result<std::result::Result<Value, String>> {
    let read = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
    let found = peer::wait_for(guest, STATUS, |text| wanted(&read(text)))?;
    Ok(found.map(|text| read(&text)))
}

/// The seconds that a command prints.
fn seconds(guest: &mut Guest, command: &str) -> Result<u64> {
    Ok(guest.read(command)?.trim().parse().unwrap_or_default())
}

pub(super) fn set_at_once(pair: &mut Pair) -> Result<Verdict> {
    ask_at(pair, AHEAD)?;
    let is_set = |status: &Value| status["steps"] == 1 && status["synchronised"] == true;
    if let Err(found) = status(&mut pair.first, is_set)? {
        return Ok(Err(found));
    }
    let (theirs, ours) = (seconds(&mut pair.second, NOW)?, seconds(&mut pair.first, NOW)?);
    let ahead_s = ours.saturating_sub(theirs);
    let shown = pair.first.read("timectl status")?;
    let is_shown = shown.contains("Synchronised:       yes") && shown.contains("* 10.77.0.1: ");
    Ok(match ahead_s.abs_diff(HOUR_S) <= SLACK_S && is_shown {
        true => Ok(format!("{ahead_s} s ahead of its former time")),
        false => Err(format!("{ahead_s} s ahead: {shown}")),
    })
}

pub(super) fn led(pair: &mut Pair) -> Result<Verdict> {
    ask_at(pair, DRIFTING)?;
    if let Err(found) = status(&mut pair.first, |status| status["steps"] == 1)? {
        return Ok(Err(format!("not set: {found}")));
    }
    let mut offsets_us = Vec::new();
    for _ in 0..QUESTIONS_MAX {
        pair.first.read("timectl sync && sleep 1")?;
        let found = pair.first.read(STATUS)?;
        let status: Value = serde_json::from_str(&found).unwrap_or_default();
        if status["steps"] != 1 {
            return Ok(Err(format!("set at once again after {offsets_us:?} µs: {found}")));
        }
        let Some(offset_us) = status["servers"][0]["offset_us"].as_i64() else {
            return Ok(Err(format!("no answer after {offsets_us:?} µs: {found}")));
        };
        offsets_us.push(offset_us);
        if offset_us < ON_THE_WAY_US.start {
            break;
        }
    }
    Ok(goes_by_and_by(&offsets_us))
}

/// Whether a difference was there, became less and less, and is about to be gone.
fn goes_by_and_by(offsets_us: &[i64]) -> Verdict {
    let first = offsets_us.iter().position(|offset| DRIFT_US.contains(offset));
    let seen = first.and_then(|first| offsets_us.get(first..)).unwrap_or_default();
    let is_gone = seen.last().is_some_and(|last| *last < ON_THE_WAY_US.start);
    let is_between = seen.iter().filter(|offset| ON_THE_WAY_US.contains(offset)).count();
    match is_gone && is_between >= 2 {
        true => Ok(format!("from {} µs over {} to {} µs", seen[0], seen[1], seen[seen.len() - 1])),
        false => Err(format!("{offsets_us:?} µs")),
    }
}

pub(super) fn not_believed(pair: &mut Pair) -> Result<Verdict> {
    let before = seconds(&mut pair.first, NOW)?;
    ask_at(pair, LONG_AGO)?;
    let said = |status: &Value| status["servers"][0]["problem"].as_str().map(str::to_owned);
    let status = match status(&mut pair.first, |status| said(status).is_some())? {
        Ok(status) => status,
        Err(found) => return Ok(Err(found)),
    };
    let after = seconds(&mut pair.first, NOW)?;
    let said = said(&status).unwrap_or_default();
    let is_right = said == "its time is before this image was built" && status["steps"] == 0;
    Ok(if is_right && after >= before { Ok(said) } else { Err(format!("{after}: {status}")) })
}

pub(super) fn hardware_clock(pair: &mut Pair) -> Result<Verdict> {
    ask_at(pair, AHEAD)?;
    if let Err(found) = status(&mut pair.first, |status| status["steps"] == 1)? {
        return Ok(Err(found));
    }
    // The system's clock alone.
    pair.first.read("date -u -s '2035-06-07 08:09:10'")?;
    let apart = |guest: &mut Guest| -> Result<u64> {
        Ok(seconds(guest, HARDWARE_CLOCK)?.abs_diff(seconds(guest, NOW)?))
    };
    let before_s = apart(&mut pair.first)?;
    pair.first.read("svcctl stop timed")?;
    let after_s = apart(&mut pair.first)?;
    pair.first.read("svcctl start timed")?;
    Ok(match before_s > HOUR_S && after_s <= SLACK_S {
        true => Ok(format!("{before_s} s apart before, {after_s} s after")),
        false => Err(format!("{before_s} s apart before, {after_s} s after")),
    })
}

pub(super) fn moved_at_start(guest: &mut Guest) -> Result<Verdict> {
    let was = guest.read("date -u +%Y-%m-%dT%H:%M:%SZ")?;
    guest.read("timectl set 1999-01-01T00:00:00Z && svcctl restart timed")?;
    let (now, built) = (seconds(guest, NOW)?, seconds(guest, "stat -c %Y /usr/lib/os-release")?);
    let log = guest.read("svcctl logs timed -n 20")?;
    guest.read(&format!("timectl set {was}"))?;
    let said = log.lines().rev().find(|line| line.contains("before the image was built: moved"));
    Ok(match said {
        Some(line) if now >= built && built > 0 => Ok(line.to_owned()),
        _ => Err(format!("now {now}, built {built}: {log}")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_that_jumps_or_stays_is_noticed() {
        let right = [300_000, 280_000, 200_000, 100_000, 50_000];
        assert!(goes_by_and_by(&right).is_ok());
        let mut late = vec![100, -200];
        late.extend(right);
        assert!(goes_by_and_by(&late).is_ok(), "the drift begins later");
        for wrong in [
            &[][..],
            &[100, 100],
            &[300_000, 10],
            &[300_000, 150_000, 10],
            &[300_000, 290_000],
            &[150_000, 100_000, 10],
        ] {
            assert!(goes_by_and_by(wrong).is_err(), "{wrong:?}");
        }
    }
}
