//! Carries bytes between a channel and its program, and says how the program ended.
//!
//! The library opens the client's window as data comes in, read or not. So input that its
//! program leaves unread is kept here: from [`UNREAD_BYTES`] on nothing more is taken from
//! the connection, unless output waits to be sent, for the window of that output may be
//! behind the input. A client that sends on and on without reading is ended at [`UNREAD_BYTES_MAX`].

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use russh::server::{Handle, Msg};
use russh::{Channel, ChannelId, ChannelMsg, ChannelReadHalf, ChannelWriteHalf, Sig};
use rustix::process::{Pid, Signal};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout};
use tokio::sync::{Notify, mpsc, oneshot};

use crate::log;
use crate::terminal::{Master, Size};

/// The number of standard error among a channel's streams (RFC 4254, section 5.2).
pub(crate) const STDERR: u32 = 1;
/// Input that may wait for a program or a forwarded connection, in bytes.
pub(crate) const UNREAD_BYTES: usize = 8 << 20;
/// Input that may wait at most, in bytes: while the client does not read what the program writes,
/// or while the target of a forwarded connection reads nothing.
pub(crate) const UNREAD_BYTES_MAX: usize = 64 << 20;
/// Bytes carried at a time.
pub(crate) const CHUNK_BYTES: usize = 32 << 10;
/// What a terminal's user types to say that nothing more comes.
const END_OF_INPUT: &[u8] = b"\x04";

/// A program that was started.
pub(crate) struct Running {
    pub(crate) child: Child,
    pub(crate) input: Input,
    /// What it writes, each with its number in the channel; `None` is standard output.
    pub(crate) outputs: Vec<(Option<u32>, Output)>,
    pub(crate) terminal: Option<Arc<Master>>,
    /// Goes to the client before anything else.
    pub(crate) greeting: String,
}

/// Where a program reads.
pub(crate) enum Input {
    Pipe(ChildStdin),
    Terminal(Arc<Master>),
}

/// Where a program writes.
pub(crate) enum Output {
    Stdout(ChildStdout),
    Stderr(ChildStderr),
    Terminal(Arc<Master>),
}

impl Input {
    async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Pipe(pipe) => pipe.write_all(bytes).await,
            Self::Terminal(master) => master.write_all(bytes).await,
        }
    }
}

impl Output {
    async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Stdout(pipe) => pipe.read(buffer).await,
            Self::Stderr(pipe) => pipe.read(buffer).await,
            Self::Terminal(master) => master.read(buffer).await,
        }
    }
}

/// Serves `channel` until it is closed: waits for its program, then carries.
pub(crate) async fn run(
    mut channel: Channel<Msg>,
    handle: Handle,
    mut started: oneshot::Receiver<Running>,
) {
    let id = channel.id();
    let mut size = None;
    let running = loop {
        tokio::select! {
            // First, for data that came after the program's start must find it started.
            biased;
            running = &mut started => match running {
                Ok(running) => break running,
                Err(_) => return,
            },
            message = channel.wait() => match message {
                Some(ChannelMsg::WindowChange { col_width, row_height, .. }) => {
                    size = Some(Size::new(row_height, col_width));
                }
                Some(ChannelMsg::Close) | None => return,
                Some(_) => {}
            },
        }
    };
    if let (Some(terminal), Some(size)) = (&running.terminal, size) {
        // A size that the terminal does not take leaves it as it was.
        let _ = terminal.resize(size);
    }
    let (read_half, write_half) = channel.split();
    let status = carry(read_half, write_half, running).await;
    finish(&handle, id, status).await;
}

/// Carries until the program has ended and all it wrote is sent (its status), or until the
/// client has closed the channel (`None`).
async fn carry(
    mut from_client: ChannelReadHalf,
    to_client: ChannelWriteHalf<Msg>,
    running: Running,
) -> Option<ExitStatus> {
    let Running { mut child, input, outputs, terminal, greeting } = running;
    let leader = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    let flow = Arc::new(Flow::default());
    let mut queue = Some(queue_for(input, Arc::clone(&flow)));
    let to_client = Arc::new(to_client);
    let _ = to_client.data_bytes(greeting.into_bytes()).await;
    let mut sending = tokio::task::JoinSet::new();
    for (number, output) in outputs {
        sending.spawn(send(output, number, Arc::clone(&to_client), Arc::clone(&flow)));
    }
    let mut status = None;
    loop {
        if status.is_some() && sending.is_empty() {
            return status;
        }
        tokio::select! {
            // Made anew each time round, so that no change is missed.
            () = flow.changed.notified(), if !flow.takes_more() => {}
            message = from_client.wait(), if flow.takes_more() => match message {
                Some(ChannelMsg::Data { data }) => {
                    if flow.unread.load(Ordering::Relaxed) > UNREAD_BYTES_MAX {
                        log(format_args!("a session is ended: its client sends and does not read"));
                        break;
                    }
                    if let Some(queue) = &queue {
                        flow.unread.fetch_add(data.len(), Ordering::Relaxed);
                        // A program that reads no more is no reason to end the session.
                        let _ = queue.send(data.to_vec());
                    }
                }
                Some(ChannelMsg::Eof) => {
                    if let (Some(queue), Some(_)) = (&queue, &terminal) {
                        flow.unread.fetch_add(END_OF_INPUT.len(), Ordering::Relaxed);
                        let _ = queue.send(END_OF_INPUT.to_vec());
                    }
                    queue = None;
                }
                Some(ChannelMsg::WindowChange { col_width, row_height, .. }) => {
                    if let Some(terminal) = &terminal {
                        let _ = terminal.resize(Size::new(row_height, col_width));
                    }
                }
                Some(ChannelMsg::Signal { signal }) if status.is_none() => {
                    let group = terminal.as_ref().and_then(|it| it.foreground()).or(leader);
                    signal_group(group, signal_number(&signal));
                }
                Some(ChannelMsg::Close) | None => break,
                Some(_) => {}
            },
            ended = child.wait(), if status.is_none() => {
                status = Some(ended.ok()?);
            }
            _ = sending.join_next(), if !sending.is_empty() => {}
        }
    }
    // Nobody is there any more: what a terminal's programs learn from it, those with pipes are told.
    if status.is_none() {
        signal_group(leader, Some(Signal::HUP));
        drop((queue, sending, terminal));
        let _ = child.wait().await;
    }
    None
}

/// What waits, in either direction.
#[derive(Default)]
struct Flow {
    /// Input that the program has not taken, in bytes.
    unread: AtomicUsize,
    /// Outputs that wait to be sent.
    unsent: AtomicUsize,
    /// Some of it changed.
    changed: Notify,
}

impl Flow {
    fn takes_more(&self) -> bool {
        self.unread.load(Ordering::Relaxed) < UNREAD_BYTES
            || self.unsent.load(Ordering::Relaxed) > 0
    }
}

/// A queue of input for the program.
fn queue_for(mut input: Input, flow: Arc<Flow>) -> mpsc::UnboundedSender<Vec<u8>> {
    let (queue, mut waiting) = mpsc::unbounded_channel::<Vec<u8>>();
    tokio::spawn(async move {
        let mut reads = true;
        while let Some(bytes) = waiting.recv().await {
            reads = reads && input.write_all(&bytes).await.is_ok();
            flow.unread.fetch_sub(bytes.len(), Ordering::Relaxed);
            flow.changed.notify_one();
        }
    });
    queue
}

/// Sends what the program writes until it writes no more.
async fn send(
    mut output: Output,
    number: Option<u32>,
    to: Arc<ChannelWriteHalf<Msg>>,
    flow: Arc<Flow>,
) {
    let mut buffer = vec![0; CHUNK_BYTES];
    while let Ok(count @ 1..) = output.read(&mut buffer).await {
        let bytes = buffer.get(..count).unwrap_or_default().to_vec();
        flow.unsent.fetch_add(1, Ordering::Relaxed);
        flow.changed.notify_one();
        let sent = match number {
            None => to.data_bytes(bytes).await,
            Some(number) => to.extended_data_bytes(number, bytes).await,
        };
        flow.unsent.fetch_sub(1, Ordering::Relaxed);
        if sent.is_err() {
            return;
        }
    }
}

/// Says how the program ended and closes the channel. Fails only where the connection is gone.
async fn finish(handle: &Handle, id: ChannelId, status: Option<ExitStatus>) {
    let _ = handle.eof(id).await;
    if let Some(code) = status.and_then(|status| status.code()) {
        let _ = handle.exit_status_request(id, u32::try_from(code).unwrap_or(u32::MAX)).await;
    } else if let Some(signal) = status.and_then(|status| status.signal()) {
        let dumped = status.is_some_and(|status| status.core_dumped());
        let name = signal_name(signal);
        let _ = handle.exit_signal_request(id, name, dumped, String::new(), String::new()).await;
    }
    let _ = handle.close(id).await;
}

fn signal_group(group: Option<Pid>, signal: Option<Signal>) {
    if let (Some(group), Some(signal)) = (group, signal) {
        // The group may be gone, or be another user's: the kernel says no, and that is that.
        let _ = rustix::process::kill_process_group(group, signal);
    }
}

const SIGNALS: [(&str, Signal); 13] = [
    ("ABRT", Signal::ABORT),
    ("ALRM", Signal::ALARM),
    ("FPE", Signal::FPE),
    ("HUP", Signal::HUP),
    ("ILL", Signal::ILL),
    ("INT", Signal::INT),
    ("KILL", Signal::KILL),
    ("PIPE", Signal::PIPE),
    ("QUIT", Signal::QUIT),
    ("SEGV", Signal::SEGV),
    ("TERM", Signal::TERM),
    ("USR1", Signal::USR1),
    ("USR2", Signal::USR2),
];

fn signal_number(signal: &Sig) -> Option<Signal> {
    let name = match signal {
        Sig::Custom(name) => name.clone(),
        known => format!("{known:?}"),
    };
    SIGNALS.iter().find(|(known, _)| *known == name).map(|(_, signal)| *signal)
}

/// The name of a signal for the client. Those that RFC 4254 has no name for get one of the
/// form it asks for.
fn signal_name(number: i32) -> Sig {
    let known = SIGNALS.iter().find(|(_, signal)| signal.as_raw() == number);
    match known.map(|(name, _)| *name) {
        Some("ABRT") => Sig::ABRT,
        Some("ALRM") => Sig::ALRM,
        Some("FPE") => Sig::FPE,
        Some("HUP") => Sig::HUP,
        Some("ILL") => Sig::ILL,
        Some("INT") => Sig::INT,
        Some("KILL") => Sig::KILL,
        Some("PIPE") => Sig::PIPE,
        Some("QUIT") => Sig::QUIT,
        Some("SEGV") => Sig::SEGV,
        Some("TERM") => Sig::TERM,
        Some("USR1") => Sig::USR1,
        Some(name) => Sig::Custom(name.to_owned()),
        None => Sig::Custom(format!("{number}@keelson")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_names_and_names_signals() {
        for (name, signal) in SIGNALS {
            let sig = signal_name(signal.as_raw());
            assert_eq!(signal_number(&sig), Some(signal), "{name}");
        }
        assert_eq!(signal_number(&Sig::Custom("WINCH".into())), None);
        assert!(matches!(signal_name(64), Sig::Custom(name) if name == "64@keelson"));
    }
}
