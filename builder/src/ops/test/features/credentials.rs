//! Judges what a process may do (proc_pid_status(5)).

use crate::ops::guest::Output;
use crate::ops::test::guest_checks::Verdict;

/// The command that shows what the process of a service may do.
macro_rules! status_of {
    ($service:literal) => {
        concat!(
            "cat /proc/$(svcctl --json status ",
            $service,
            " | sed -n 's/.*\"pid\": \\([0-9]*\\).*/\\1/p')/status"
        )
    };
}
pub(super) use status_of;

/// Whether the process of `/proc/PID/status` has this user and these capabilities alone.
pub(super) fn runs_as(uid: u32, capabilities: &str, output: &Output) -> Verdict {
    let text = output.success()?;
    let line = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key));
        line.map(|line| line.split_ascii_whitespace().collect::<Vec<_>>()).unwrap_or_default()
    };
    let uid = uid.to_string();
    let is_user = line("Uid:") == [uid.as_str(); 4];
    let has = [line("CapEff:"), line("CapPrm:")].iter().all(|one| one == &[capabilities]);
    if is_user && has && line("NoNewPrivs:") == ["1"] { Ok(String::new()) } else { Err(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_with_too_much_is_noticed() {
        let right = "Uid:\t153\t153\t153\t153\nCapPrm:\t00\nCapEff:\t00\nNoNewPrivs:\t1\n";
        assert!(runs_as(153, "00", &Output::of(right)).is_ok());
        for (from, to) in [("\t153\n", "\t0\n"), ("CapPrm:\t00", "CapPrm:\t01"), ("s:\t1", "s:\t0")]
        {
            assert!(runs_as(153, "00", &Output::of(&right.replace(from, to))).is_err(), "{from}");
        }
    }
}
