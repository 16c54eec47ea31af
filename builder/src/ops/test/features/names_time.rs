//! Features of name resolution and of the clock: what a machine knows by itself, and what it
//! learns from another one ([`names`], [`clock`]).

mod clock;
mod names;

use serde_json::Value;

use super::credentials::{runs_as, status_of};
use super::{Feature, command, joined, steps};
use crate::arch::Arch;
use crate::ops::guest::Output;
use crate::ops::test::guest_checks::Verdict;

pub(super) const FEATURES: &[Feature] = &[
    command(
        "Programs find a resolver on 127.0.0.53, which knows this machine's names",
        "names-and-time.md#names",
        "cat /etc/resolv.conf && nslookup localhost && nslookup 127.0.0.1 && nslookup $(hostname)",
        local_names,
    ),
    command(
        "The resolver runs as a user of its own",
        "names-and-time.md#names",
        status_of!("dnsd"),
        |_, output| runs_as(153, "0000000000000000", output),
    ),
    command(
        "timed may set the clock and nothing else",
        "names-and-time.md#time",
        status_of!("timed"),
        // CAP_SYS_TIME is the 25th.
        |_, output| runs_as(123, "0000000002000000", output),
    ),
    command(
        "The clock is not behind the time the image was built",
        "names-and-time.md#time",
        "timectl --json status && stat -c %Y /usr/lib/os-release && date +%s",
        not_behind,
    ),
    command(
        "timectl sets the clock, and the hardware's while timed has it",
        "names-and-time.md#time",
        "timectl set 2031-02-03T04:05:06Z && date -u +%Y-%m-%dT%H:%M && \
         date -u -d @$(cat /sys/class/rtc/rtc0/since_epoch) +%Y-%m-%dT%H:%M",
        is_set,
    ),
    steps(
        "A clock that is before the image was built is moved when timed starts",
        "names-and-time.md#time",
        |guest, _| clock::moved_at_start(guest),
    ),
    joined(
        "Names are found by the resolver that the network names",
        "names-and-time.md#names",
        names::found,
    ),
    joined(
        "A name without its domain is searched for in those of the network",
        "names-and-time.md#names",
        names::searched,
    ),
    joined(
        "A name that was found is remembered, and nobody is asked again",
        "names-and-time.md#names",
        names::remembered,
    ),
    joined("A name that is not there is said not to be", "names-and-time.md#names", names::denied),
    joined("Answers too long for a datagram come by TCP", "names-and-time.md#names", names::long),
    joined(
        "Without a cable it is soon said that names cannot be found",
        "names-and-time.md#names",
        names::without_cable,
    ),
    joined(
        "The clock is set at once by a server of the network when timed starts",
        "names-and-time.md#time",
        clock::set_at_once,
    ),
    joined(
        "A small difference is taken away by and by, without a jump",
        "names-and-time.md#time",
        clock::led,
    ),
    joined(
        "A server whose time is before the image was built is not believed",
        "names-and-time.md#time",
        clock::not_believed,
    ),
    joined(
        "The hardware clock is set when timed ends, so at every shutdown",
        "names-and-time.md#time",
        clock::hardware_clock,
    ),
];

fn local_names(_: Arch, output: &Output) -> Verdict {
    let text = output.success()?;
    let wanted = ["nameserver 127.0.0.53", "Address: 127.0.0.1", "Address: ::1", "PTR  localhost"];
    let missing: Vec<&&str> = wanted.iter().filter(|wanted| !text.contains(**wanted)).collect();
    if missing.is_empty() { Ok(String::new()) } else { Err(format!("no {missing:?} in {text}")) }
}

fn not_behind(_: Arch, output: &Output) -> Verdict {
    let text = output.success()?;
    let (json, rest) = text.rsplit_once('}').ok_or_else(|| text.clone())?;
    let status: Value = serde_json::from_str(&format!("{json}}}"))
        .map_err(|error| format!("no JSON ({error}): {text}"))?;
    let numbers: Vec<u64> = rest.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    match (numbers.as_slice(), status["not_before"].as_str()) {
        ([built, now], Some(least)) if built <= now && *built > 0 => Ok(least.to_owned()),
        _ => Err(text),
    }
}

fn is_set(_: Arch, output: &Output) -> Verdict {
    let text = output.success()?;
    let clocks: Vec<&str> = text.lines().collect();
    if clocks == ["2031-02-03T04:05"; 2] { Ok(String::new()) } else { Err(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_behind_the_image_is_noticed() {
        let text = |now: u64| Output::of(&format!("{{\"not_before\": \"x\"}}\n1000\n{now}\n"));
        assert!(not_behind(Arch::X86_64, &text(1000)).is_ok());
        assert!(not_behind(Arch::X86_64, &text(999)).is_err());
        assert!(not_behind(Arch::X86_64, &Output::of("")).is_err());
    }

    #[test]
    fn missing_names_and_other_times_are_noticed() {
        assert!(local_names(Arch::X86_64, &Output::of("nameserver 127.0.0.53\n")).is_err());
        for (shown, is_right) in [
            ("2031-02-03T04:05\n2031-02-03T04:05\n", true),
            ("2031-02-03T04:05\n2026-02-03T04:05\n", false),
            ("2026-02-03T04:05\n2026-02-03T04:05\n", false),
        ] {
            assert_eq!(is_set(Arch::X86_64, &Output::of(shown)).is_ok(), is_right, "{shown}");
        }
    }
}
