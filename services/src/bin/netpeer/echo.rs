//! Answers over TCP with what was said (RFC 862), to several at once; and the client of that,
//! which says one thing, or goes on and on.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use services::problem::{Context, Result};

/// Longest time for which a client may be silent, or be waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest time until a connection stands.
const CONNECT: Duration = Duration::from_secs(5);
/// Clients at the same time; more are turned away.
const CLIENTS_MAX: usize = 16;

/// Begins to listen, for both families.
pub(crate) fn open(port: u16) -> Result<TcpListener> {
    TcpListener::bind((Ipv6Addr::UNSPECIFIED, port))
        .context(|| format!("cannot listen on port {port}"))
}

/// Serves until something goes wrong.
pub(crate) fn serve(listener: &TcpListener) -> Result<()> {
    // Every client's thread has one.
    let place = Arc::new(());
    loop {
        let (stream, _) = listener.accept().context(|| "cannot accept".to_owned())?;
        if Arc::strong_count(&place) > CLIENTS_MAX {
            continue;
        }
        let place = Arc::clone(&place);
        thread::spawn(move || {
            // What becomes of one client is nothing to the others.
            let _ = answer(&stream);
            drop(place);
        });
    }
}

fn answer(mut stream: &TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut answers = stream.try_clone()?;
    io::copy(&mut stream, &mut answers).map(|_| ())
}

fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, CONNECT)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Says `text` to whoever listens at `address`, and returns the answer.
pub(crate) fn call(address: SocketAddr, text: &str) -> Result<String> {
    let talk = || -> io::Result<String> {
        let mut stream = connect(address)?;
        stream.write_all(text.as_bytes())?;
        stream.shutdown(Shutdown::Write)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    talk().context(|| format!("cannot talk to {address}"))
}

/// Counts aloud in one connection to whoever listens at `address`, a number each second, and
/// prints what is answered. It ends when nothing is.
pub(crate) fn hold(address: SocketAddr) -> Result<()> {
    let talk = || -> io::Result<()> {
        let mut stream = connect(address)?;
        let mut answers = BufReader::new(stream.try_clone()?);
        for number in 1_u64.. {
            stream.write_all(format!("{number}\n").as_bytes())?;
            let mut answer = String::new();
            if answers.read_line(&mut answer)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            io::stdout().write_all(answer.as_bytes())?;
            thread::sleep(Duration::from_secs(1));
        }
        Ok(())
    };
    talk().context(|| format!("cannot talk to {address}"))
}
