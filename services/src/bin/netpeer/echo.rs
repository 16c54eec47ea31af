//! Answers over TCP with what was said (RFC 862), to one after the other; and the
//! client of that.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
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

/// Says `text` to whoever listens at `address`, and returns the answer.
pub(crate) fn call(address: SocketAddr, text: &str) -> Result<String> {
    let talk = || -> io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(text.as_bytes())?;
        stream.shutdown(Shutdown::Write)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    talk().context(|| format!("cannot talk to {address}"))
}
