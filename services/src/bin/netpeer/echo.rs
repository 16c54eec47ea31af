//! Answers over TCP with what was said (RFC 862), to one after the other.

use std::io;
use std::net::{Ipv6Addr, TcpListener, TcpStream};
use std::time::Duration;

use services::problem::{Context, Result};

/// Longest time that one client may keep the others waiting.
const PATIENCE: Duration = Duration::from_secs(10);

/// Begins to listen, for both families.
pub(crate) fn open(port: u16) -> Result<TcpListener> {
    TcpListener::bind((Ipv6Addr::UNSPECIFIED, port))
        .context(|| format!("cannot listen on port {port}"))
}

/// Serves until something goes wrong.
pub(crate) fn serve(listener: &TcpListener) -> Result<()> {
    loop {
        let (stream, _) = listener.accept().context(|| "cannot accept".to_owned())?;
        // What becomes of one client is nothing to the others.
        let _ = answer(&stream);
    }
}

fn answer(mut stream: &TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut answers = stream.try_clone()?;
    io::copy(&mut stream, &mut answers).map(|_| ())
}
