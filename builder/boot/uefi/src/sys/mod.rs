//! The firmware's edge: all unsafe code of the stub.
//!
//! What makes it sound: firmware calls the entry point once, on one processor,
//! with boot services running, and the stub neither exits them nor starts
//! another thread of execution. Everything the kernel is handed (command line,
//! initramfs) outlives the call of `StartImage`, because each function here
//! takes it by reference and comes back only after that call.

pub(crate) mod console;
pub(crate) mod initramfs;
pub(crate) mod own_image;
mod panic;

use core::time::Duration;

use uefi::boot;
use uefi::proto::loaded_image::LoadedImage;
use uefi::{Handle, Status, entry};

use crate::start::start;

/// How long a failure can be read before the firmware goes on to something else.
const PAUSE: Duration = Duration::from_secs(5);

/// What firmware calls.
#[entry]
fn main() -> Status {
    let Err(failure) = start();
    console::print(format_args!("keelson: {failure}\r\n"));
    boot::stall(PAUSE);
    failure.status()
}

/// Starts a loaded kernel with `options`, which end with a NUL, as its load
/// options. Comes back if it does not run, with the reason.
pub(crate) fn start_kernel(kernel: Handle, options: &[u16]) -> Status {
    let Ok(options_bytes) = u32::try_from(size_of_val(options)) else {
        return Status::INVALID_PARAMETER;
    };
    {
        let mut loaded = match boot::open_protocol_exclusive::<LoadedImage>(kernel) {
            Ok(loaded) => loaded,
            Err(error) => return error.status(),
        };
        // SAFETY: `options` is borrowed until `start_image` below has come back, and
        // nobody reads an image's load options after that.
        unsafe { loaded.set_load_options(options.as_ptr().cast(), options_bytes) };
    }
    match boot::start_image(kernel) {
        Ok(()) => Status::ABORTED,
        Err(error) => error.status(),
    }
}
