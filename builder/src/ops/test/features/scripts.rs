//! Features that scripts and programs rely on, shown by public suites: the quick part of
//! what docs/conformance.md is about.

use super::{Feature, image};
use crate::ops::test::conformance::{IMAGE, run_quick};

const PAGE: &str = "conformance.md#what-is-run";

pub(super) const FEATURES: &[Feature] = &[
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
