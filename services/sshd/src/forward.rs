//! Connections onwards: a channel joined to a TCP connection from here (RFC 4254, section 7.2).
//!
//! As with programs ([`crate::pump`]), what the target leaves unread is kept here, and from
//! [`UNREAD_BYTES`] on the connection goes at the target's pace. A target that takes nothing
//! does not hold up the other channels for longer than [`STALL_MAX`]: then more is taken, and
//! at [`UNREAD_BYTES_MAX`] its channel is ended.

use std::io;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use russh::server::{ChannelOpenHandle, Msg};
use russh::{Channel, ChannelMsg, ChannelOpenFailure, ChannelReadHalf, ChannelWriteHalf};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{Notify, mpsc};
use tokio::time::{sleep, timeout};

use crate::log;
use crate::pump::{CHUNK_BYTES, UNREAD_BYTES, UNREAD_BYTES_MAX};

/// Longest wait for the connection.
const CONNECT_WAIT_MAX: Duration = Duration::from_secs(15);
/// Longest wait for a target that takes nothing, while the client's other channels wait too.
const STALL_MAX: Duration = Duration::from_secs(1);
/// How long a target may still take to read when the client has said all and closed the channel.
const LINGER_MAX: Duration = Duration::from_secs(15);

/// Connects to `host`, answers the client, and carries bytes both ways until both ends are done.
pub(crate) async fn run(channel: Channel<Msg>, host: String, port: u16, reply: ChannelOpenHandle) {
    let connecting = TcpStream::connect((host.as_str(), port));
    let Ok(Ok(stream)) = timeout(CONNECT_WAIT_MAX, connecting).await else {
        reply.reject(ChannelOpenFailure::ConnectFailed).await;
        return;
    };
    reply.accept().await;
    let (from_client, to_client) = channel.split();
    if let End::Unread = carry(from_client, &to_client, stream).await {
        log(format_args!(
            "the connection to {host:?} port {port} is ended: its target reads too little"
        ));
    }
    // Fails only where the connection is gone.
    let _ = to_client.close().await;
}

/// Why nothing is carried any more.
enum End {
    /// Both ends are done, or one has broken the connection, which is then broken for both.
    Done,
    /// The target left too much unread.
    Unread,
}

/// Carries until the end. The socket ends with this function.
async fn carry(
    mut from_client: ChannelReadHalf,
    to_client: &ChannelWriteHalf<Msg>,
    stream: TcpStream,
) -> End {
    let (from_target, to_target) = stream.into_split();
    let unread = Unread::default();
    let (queue, waiting) = mpsc::unbounded_channel();
    let mut queue = Some(queue);
    let mut writing = pin!(write(to_target, waiting, &unread));
    let mut sending = pin!(send(from_target, to_client));
    let (mut writes, mut sends, mut is_stuck) = (true, true, false);
    while writes || sends {
        let is_full = unread.bytes.load(Ordering::Relaxed) >= UNREAD_BYTES;
        tokio::select! {
            message = from_client.wait(), if !is_full || is_stuck => match (message, &queue) {
                (Some(ChannelMsg::Data { data }), Some(queue)) => {
                    if unread.bytes.fetch_add(data.len(), Ordering::Relaxed) > UNREAD_BYTES_MAX {
                        return End::Unread;
                    }
                    // Whoever reads no more has broken the connection, and that is seen below.
                    let _ = queue.send(data.to_vec());
                }
                (Some(ChannelMsg::Eof), _) => queue = None,
                (Some(ChannelMsg::Close) | None, Some(_)) => return End::Done,
                (Some(ChannelMsg::Close) | None, None) => {
                    // A program that has sent all it had may close its end before that arrives.
                    if writes {
                        let _ = timeout(LINGER_MAX, writing).await;
                    }
                    return End::Done;
                }
                _ => {}
            },
            () = unread.changed.notified(), if is_full => is_stuck = false,
            () = sleep(STALL_MAX), if is_full && !is_stuck => is_stuck = true,
            result = &mut writing, if writes => match result {
                Ok(()) => writes = false,
                Err(_) => return End::Done,
            },
            result = &mut sending, if sends => match result {
                Ok(()) => sends = false,
                Err(_) => return End::Done,
            },
        }
    }
    End::Done
}

/// What the target has not taken.
#[derive(Default)]
struct Unread {
    bytes: AtomicUsize,
    /// It became less.
    changed: Notify,
}

/// Writes what is in the queue, and that nothing more comes when that ends.
async fn write(
    mut to: OwnedWriteHalf,
    mut queue: mpsc::UnboundedReceiver<Vec<u8>>,
    unread: &Unread,
) -> io::Result<()> {
    while let Some(bytes) = queue.recv().await {
        to.write_all(&bytes).await?;
        unread.bytes.fetch_sub(bytes.len(), Ordering::Relaxed);
        unread.changed.notify_one();
    }
    to.shutdown().await
}

/// Sends what the target writes, and that nothing more comes when that ends.
async fn send(mut from: OwnedReadHalf, to: &ChannelWriteHalf<Msg>) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        let count = from.read(&mut buffer).await?;
        let bytes = buffer.get(..count).unwrap_or_default().to_vec();
        let sent = if bytes.is_empty() { to.eof().await } else { to.data_bytes(bytes).await };
        sent.map_err(io::Error::other)?;
        if count == 0 {
            return Ok(());
        }
    }
}
