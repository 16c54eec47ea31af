//! A loaded kernel, from its load options to its start.

use uefi::proto::loaded_image::LoadedImage;
use uefi::{Handle, Status, boot};

/// Starts a loaded kernel with `options`, which end with a NUL, as its load
/// options. Comes back if it does not run, with the reason.
pub(crate) fn start(kernel: Handle, options: &[u16]) -> Status {
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
