//! A process and all that came of it.

use std::fs;

use rustix::process::{Pid, Signal, kill_process};

/// Kills the process `id` and its descendants, as far as their parents live. Those that
/// have ended are no error.
pub(super) fn kill(id: u32) {
    // From the top, so that none is there to start another.
    let mut doomed = vec![id];
    while let Some(id) = doomed.pop() {
        let Some(pid) = i32::try_from(id).ok().and_then(Pid::from_raw) else { continue };
        // Stopped, its children stay its own until they are read.
        let _already_gone = kill_process(pid, Signal::STOP);
        doomed.extend(children_of(id));
        let _already_gone = kill_process(pid, Signal::KILL);
    }
}

/// The children that live (`/proc/PID/stat`, proc_pid_stat(5)).
fn children_of(id: u32) -> Vec<u32> {
    let Ok(processes) = fs::read_dir("/proc") else { return Vec::new() };
    let ids = processes.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    ids.filter(|child| parent_of(*child) == Some(id)).collect()
}

fn parent_of(id: u32) -> Option<u32> {
    let text = fs::read(format!("/proc/{id}/stat")).ok()?;
    // The name, in parentheses, may hold anything; the state and the parent come after it.
    let name_end = text.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(text.get(name_end + 1..)?).ok()?;
    rest.split_ascii_whitespace().nth(1)?.parse().ok()
}
