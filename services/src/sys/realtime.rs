//! The scheduling of sched(7) that goes before every ordinary program.

use std::io;

/// Has the calling thread run before every ordinary program whenever it has something to do
/// (`SCHED_FIFO` at its lowest priority, sched(7)).
///
/// # Errors
/// What pthread_setschedparam(3) says: who is not root may not.
pub fn become_realtime() -> io::Result<()> {
    // By way of the thread: musl has no sched_setscheduler.
    // SAFETY: both take plain values and the calling thread, which is there; `parameters`
    // consists of integers, for which zero is a value, and is only read.
    let error = unsafe {
        let mut parameters: libc::sched_param = std::mem::zeroed();
        parameters.sched_priority = libc::sched_get_priority_min(libc::SCHED_FIFO);
        libc::pthread_setschedparam(libc::pthread_self(), libc::SCHED_FIFO, &raw const parameters)
    };
    if error == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(error)) }
}
