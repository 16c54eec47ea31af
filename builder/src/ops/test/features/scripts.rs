//! Features that scripts and programs rely on, shown by public suites: the quick part of
//! what docs/conformance.md is about.

use super::{Feature, image};
use crate::arch::Arch;
use crate::error::Result;
use crate::ops::guest::Guest;
use crate::ops::test::conformance::{IMAGE, run_quick};
use crate::ops::test::guest_checks::Verdict;

const PAGE: &str = "conformance.md#what-is-run";
const TOOLS_PAGE: &str = "tools.md#the-shell-and-the-line-it-is-on";

/// A function, a loop, a quoted newline, a fifo between two jobs, and exit statuses.
const PIPED_SCRIPT: &str = r#"cat <<'END' | sh +m; echo ended with $?
count() {
    for word in "$@"; do
        echo "$word"
    done | wc -l
}
text="two
lines"
echo "$text" | wc -l
count a b c
mkfifo /tmp/fifo
echo through > /tmp/fifo &
cat /tmp/fifo
wait
sh -c 'exit 7'; echo status $?
sh -c 'kill -KILL $$'; echo status $?
exit 3
END"#;
const PIPED_SCRIPT_SAYS: &str = "2\n3\nthrough\nstatus 7\nstatus 137\nended with 3\n";

pub(super) const FEATURES: &[Feature] = &[
    image("Scripts come by a pipe too, whole", TOOLS_PAGE, IMAGE, piped_script),
    image(
        "Processes are executed, waited for, scheduled, and given users and groups",
        PAGE,
        IMAGE,
        |guest, arch| run_quick(guest, arch, "Processes and exit statuses"),
    ),
    image("Signals are sent, blocked, pending and waited for", PAGE, IMAGE, |guest, arch| {
        run_quick(guest, arch, "Signals")
    }),
    image("Pseudoterminals and their sessions work", PAGE, IMAGE, |guest, arch| {
        run_quick(guest, arch, "Terminals and job control")
    }),
    image("Pipes are waited for by select", PAGE, IMAGE, |guest, arch| {
        run_quick(guest, arch, "Pipes, select and poll")
    }),
    image("Files are locked, and pipes sized", PAGE, IMAGE, |guest, arch| {
        run_quick(guest, arch, "Files, fifos and locks")
    }),
    image("Shared memory has a name, and processes share it", PAGE, IMAGE, |guest, arch| {
        run_quick(guest, arch, "Shared memory and semaphores")
    }),
    image("Message queues keep their order, limits and permissions", PAGE, IMAGE, |guest, arch| {
        run_quick(guest, arch, "Message queues")
    }),
    image("Users and groups are looked up", PAGE, IMAGE, |guest, arch| {
        run_quick(guest, arch, "Look-ups of users and groups")
    }),
];

fn piped_script(guest: &mut Guest, _: Arch) -> Result<Verdict> {
    let text = guest.read(PIPED_SCRIPT)?;
    Ok(if text == PIPED_SCRIPT_SAYS { Ok(String::new()) } else { Err(text) })
}
