//! Signals while guests run, in a process of its own: what is raised here would
//! end the guests of other tests.

use builder::qemu::interrupt::{Interrupts, came};
use signal_hook::consts::SIGHUP;

#[test]
fn a_signal_is_seen_by_all_and_does_not_end_the_process() {
    let interrupts = Interrupts::hold().unwrap();
    let other = Interrupts::hold().unwrap();
    assert_eq!((interrupts.take(), came()), (None, None));
    signal_hook::low_level::raise(SIGHUP).unwrap();
    assert_eq!(interrupts.take(), Some(SIGHUP));
    assert_eq!(interrupts.take(), None);
    assert_eq!(other.take(), Some(SIGHUP), "every holder sees it");
    assert_eq!(other.take(), None);
    assert_eq!(Interrupts::hold().unwrap().take(), None, "one that came later does not");
    assert_eq!(came(), Some(SIGHUP));
    assert_eq!(interrupts.descriptors().count(), 3);
}
