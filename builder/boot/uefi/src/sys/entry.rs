//! Where firmware comes in.

use core::time::Duration;

use uefi::{Status, boot, entry};

use super::console;
use crate::start::start;

/// How long a failure can be read before the firmware goes on to something else.
pub(super) const PAUSE: Duration = Duration::from_secs(5);

/// What firmware calls.
#[entry]
fn main() -> Status {
    let Err(failure) = start();
    console::print(format_args!("keelson: {failure}\r\n"));
    boot::stall(PAUSE);
    failure.status()
}
