//! Telling PID 1 that a daemon is ready: the client's half of sd_notify(3).

use std::env;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Variable that names the socket: a path, or `@` and an abstract name.
const NOTIFY_SOCKET: &str = "NOTIFY_SOCKET";

/// Sends `state`, lines of `KEY=value` such as `READY=1`, to whoever started
/// this process. Does nothing where nobody asked for it.
///
/// # Errors
/// What socket(2) or sendto(2) say.
pub fn notify(state: &str) -> io::Result<()> {
    let Some(name) = env::var_os(NOTIFY_SOCKET) else { return Ok(()) };
    let address = match name.as_bytes().strip_prefix(b"@") {
        Some(abstract_name) => SocketAddr::from_abstract_name(abstract_name)?,
        None => SocketAddr::from_pathname(&name)?,
    };
    UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address)?;
    Ok(())
}
