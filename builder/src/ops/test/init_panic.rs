//! The rung for a panic of PID 1: the kernel refuses it memory, which is a panic
//! as any other (docs/architecture.md), and needs no way into PID 1 that a root
//! user does not have.
//!
//! Absent: the policy `shell` after this panic, for the shell would inherit the
//! want of memory; and panics where they unwind, which no image has.

use super::boots::Boots;
use super::guest_checks::Verdict;
use super::ladder::{Report, Rung};
use crate::arch::Arch;
use crate::error::Result;
use crate::ops::guest::Guest;
use crate::ops::run::boot_method::BootMethod;
use crate::ops::run::plan::Parts;

/// Takes PID 1's memory away and makes it want some.
const STARVE: &str = "misbehave starve-init";

/// The rung of the host's architecture, or of every one.
pub(super) fn rungs<'a>(boots: &Boots<'a>, is_long: bool) -> Vec<Rung<'a>> {
    boots.arches_of(is_long).map(|arch| boots.rung("panic", arch, climb)).collect()
}

fn climb(boots: &Boots<'_>, arch: Arch, report: &mut Report) -> Result<()> {
    let parts = Parts { disk: None, ..Parts::of(&boots.build(arch)?) };
    let mut setup = boots.setup(report, arch, BootMethod::Direct, "panic")?;
    setup.parameters.push("init.rescue=poweroff".to_owned());
    let guest = Guest::boot(boots.shell, parts, &setup)?;
    report.doing(STARVE);
    let ended = guest.run_to_power_off(STARVE).map(|()| String::new());
    report.check("PID 1 panics and ends the system as the policy says", ended);
    report.check("its console has the panic and its place", says_panic(&setup.read_console()?));
    Ok(())
}

fn says_panic(console: &str) -> Verdict {
    let records: Vec<&str> = console
        .lines()
        .filter_map(|line| line.split_once("] init: ").map(|(_, record)| record.trim_end()))
        .skip_while(|record| !record.starts_with("panicked at "))
        .take(2)
        .collect();
    match records[..] {
        [place, cause] if place.ends_with(':') && cause.starts_with("memory allocation of ") => {
            Ok(format!("{place} {cause}"))
        }
        _ => Err(format!("of a panic there is {records:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_has_a_place_and_a_cause() {
        let good = "[    1.0] init: boot complete\r\n\
                    [    2.0] init: panicked at alloc.rs:1:2:\r\n\
                    [    2.1] init: memory allocation of 65540 bytes failed\r\n";
        assert_eq!(
            says_panic(good).unwrap(),
            "panicked at alloc.rs:1:2: memory allocation of 65540 bytes failed"
        );
        for (from, to) in [
            ("panicked at", "died at"),
            ("memory allocation of", "something of"),
            ("] init: memory", "] sh: memory"),
            ("rs:1:2:", "rs"),
        ] {
            assert!(says_panic(&good.replace(from, to)).is_err(), "{from}");
        }
        assert!(says_panic("").is_err());
    }
}
