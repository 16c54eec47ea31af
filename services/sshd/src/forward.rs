//! Connections onwards: a channel joined to a TCP connection from here (RFC 4254, section 7.2).

use std::time::Duration;

use russh::server::{ChannelOpenHandle, Msg};
use russh::{Channel, ChannelOpenFailure};
use tokio::net::TcpStream;

/// Longest wait for the connection.
const CONNECT_WAIT_MAX: Duration = Duration::from_secs(15);

/// Connects to `host`, answers the client, and carries bytes both ways until both ends are done.
pub(crate) async fn run(channel: Channel<Msg>, host: String, port: u16, reply: ChannelOpenHandle) {
    let connecting = TcpStream::connect((host.as_str(), port));
    let Ok(Ok(mut stream)) = tokio::time::timeout(CONNECT_WAIT_MAX, connecting).await else {
        reply.reject(ChannelOpenFailure::ConnectFailed).await;
        return;
    };
    reply.accept().await;
    let mut channel = channel.into_stream();
    // Whoever breaks the connection has broken it for both.
    let _ = tokio::io::copy_bidirectional(&mut channel, &mut stream).await;
}
