//! What becomes of a panic: a line, a pause, and the firmware goes on.
//!
//! None is meant to happen. The crates of firmware bindings have assertions, and
//! a firmware that breaks the specification could reach one.

use core::panic::PanicInfo;
use core::sync::atomic::{AtomicBool, Ordering};

use uefi::Status;
use uefi::boot;

use super::console;
use super::entry::PAUSE;

static IS_PANICKING: AtomicBool = AtomicBool::new(false);

#[panic_handler]
fn handle(panic: &PanicInfo<'_>) -> ! {
    // A panic on the way leaves out everything that could be its cause.
    if !IS_PANICKING.swap(true, Ordering::Relaxed) {
        console::print(format_args!("keelson: fault in the UEFI stub: {}\r\n", panic.message()));
        boot::stall(PAUSE);
        // SAFETY: the stub has nothing to clean up but the offer of an initramfs,
        // which only the kernel asks for, and panics come from the stub's own calls,
        // never from the kernel's.
        let _refused =
            unsafe { boot::exit(boot::image_handle(), Status::ABORTED, 0, core::ptr::null_mut()) };
    }
    loop {
        core::hint::spin_loop();
    }
}
