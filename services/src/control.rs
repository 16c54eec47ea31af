//! The client's side of PID 1's control socket: one connection, one request
//! after the other. The messages are `init_core::protocol`'s.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use init_core::protocol::{Frame, REPLY_BYTES_MAX, Reply, Request};

use crate::problem::{Context, Problem, Result};

/// A connection to PID 1.
#[derive(Debug)]
pub struct Client {
    stream: UnixStream,
    path: PathBuf,
    received: Vec<u8>,
}

impl Client {
    /// Connects to the control socket at `path`.
    ///
    /// # Errors
    /// A [`Problem`] that names the socket, the cause and the remedy.
    pub fn connect(path: &Path) -> Result<Self> {
        let stream = UnixStream::connect(path).map_err(|error| {
            let socket = path.display();
            let problem = Problem::new(format!("cannot reach PID 1 at `{socket}`: {error}"));
            match error.kind() {
                ErrorKind::NotFound | ErrorKind::ConnectionRefused => {
                    problem.with_hint("is PID 1 Keelson's init? `readlink /proc/1/exe` tells")
                }
                ErrorKind::PermissionDenied => {
                    problem.with_hint("root may use it, and members of the group `wheel` may look")
                }
                _ => problem,
            }
        })?;
        Ok(Self { stream, path: path.to_owned(), received: Vec::new() })
    }

    /// Sends a request and waits for its reply, for as long as that takes: an
    /// operation is answered when it has ended.
    ///
    /// # Errors
    /// The connection broke, or the other side does not speak the protocol. A reply
    /// that says no is not an error here.
    pub fn ask(&mut self, request: &Request) -> Result<Reply> {
        let socket = self.path.display().to_string();
        let bytes = request.encode().context(|| "cannot make the request".to_owned())?;
        self.stream.write_all(&bytes).context(|| format!("cannot write to `{socket}`"))?;
        loop {
            let frame = Frame::split(&self.received, REPLY_BYTES_MAX)
                .context(|| format!("`{socket}` does not answer as PID 1 would"))?;
            if let Some(frame) = frame {
                let reply = Reply::decode(frame.body)
                    .context(|| format!("cannot understand the answer from `{socket}`"));
                let taken = frame.length_bytes;
                self.received.drain(..taken);
                return reply;
            }
            let mut bytes = [0; 16 * 1024];
            let length =
                self.stream.read(&mut bytes).context(|| format!("cannot read from `{socket}`"))?;
            if length == 0 {
                return Err(Problem::new(format!("PID 1 closed the connection to `{socket}`"))
                    .with_hint("`svcctl logs init` shows what PID 1 says about it"));
            }
            self.received.extend_from_slice(bytes.get(..length).unwrap_or_default());
        }
    }
}
