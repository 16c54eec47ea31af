//! Fetching one file whose SHA-256 is known beforehand, from the first of
//! several URLs that delivers it. A cut transfer is resumed, also by a later run.
//!
//! Nothing is trusted but the digest: which server sent the bytes does not matter.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;
use std::time::Duration;

use crate::cache::file_sha256;
use crate::error::{Error, IoContext, Result};
use crate::shell::{Shell, Step};

/// How long a server may take to accept a connection and to begin its answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);
/// How long one transfer may take before it counts as cut and is resumed.
const TRANSFER_TIMEOUT: Duration = Duration::from_mins(10);
/// How often in a row a URL may break off without sending anything new.
const FRUITLESS_ATTEMPTS: u32 = 3;

/// A file to fetch.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// What people call it, such as "kernel source".
    pub name: &'a str,
    /// Its SHA-256, 64 lower-case hexadecimal digits.
    pub sha256: &'a str,
    /// What to do about another file in its place.
    pub remedy: &'a str,
}

/// Why a download did not succeed.
#[derive(Debug)]
pub enum Failure {
    /// No URL could be read to its end; the reason of each. A fallback is in order.
    Unreachable(Vec<String>),
    /// A URL delivered other bytes than wanted, which is for a person to judge.
    Mismatch(Error),
    /// The host's own failure, such as a full disk.
    Local(Error),
}

/// What one attempt came to.
enum Attempt {
    /// The server says that this is all.
    Complete,
    /// The connection broke; what came is kept.
    Cut(String),
    /// This URL will not do.
    Refused(String),
}

/// Fetches the file with this digest into `partial`, continuing what is there.
/// On success `partial` is the whole file.
///
/// # Errors
/// See [`Failure`]. `partial` keeps what a later call can use.
pub fn fetch(
    shell: &Shell,
    wanted: &Wanted<'_>,
    urls: &[String],
    partial: &Path,
) -> Result<(), Failure> {
    let agent = agent();
    let mut reasons = Vec::new();
    let mut mismatch = None;
    for url in urls {
        let transfer = Transfer { shell, agent: &agent, wanted, url, partial };
        match transfer.run() {
            Ok(()) => return Ok(()),
            Err(Failure::Unreachable(more)) => {
                for reason in &more {
                    shell.note(format_args!("  {reason}"));
                }
                reasons.extend(more);
            }
            Err(Failure::Mismatch(error)) => {
                shell.warn(&error);
                mismatch = Some(error);
            }
            Err(local) => return Err(local),
        }
    }
    Err(mismatch.map_or(Failure::Unreachable(reasons), Failure::Mismatch))
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .timeout_connect(Some(ANSWER_TIMEOUT))
        .timeout_recv_response(Some(ANSWER_TIMEOUT))
        .timeout_recv_body(Some(TRANSFER_TIMEOUT))
        .http_status_as_error(false)
        .tls_config(
            ureq::tls::TlsConfig::builder()
                .root_certs(ureq::tls::RootCerts::PlatformVerifier)
                .build(),
        )
        .build()
        .into()
}

/// A file on its way from one URL.
struct Transfer<'a> {
    shell: &'a Shell,
    agent: &'a ureq::Agent,
    wanted: &'a Wanted<'a>,
    url: &'a str,
    partial: &'a Path,
}

impl Transfer<'_> {
    /// Goes on, as often as the connection breaks, until the file is whole.
    fn run(&self) -> Result<(), Failure> {
        let Self { shell, wanted, url, partial, .. } = *self;
        let length = || fs::metadata(partial).map_or(0, |metadata| metadata.len());
        let mut is_resumed = length() > 0;
        let mut fruitless = 0;
        loop {
            let before = length();
            let outcome = self.attempt(before).map_err(Failure::Local)?;
            match outcome {
                Attempt::Complete => {
                    let got = file_sha256(partial).map_err(Failure::Local)?;
                    if got == wanted.sha256 {
                        return Ok(());
                    }
                    fs::remove_file(partial).at("remove", partial).map_err(Failure::Local)?;
                    if !is_resumed {
                        return Err(Failure::Mismatch(wrong_digest(url, wanted, &got)));
                    }
                    // The beginning may have come from another server or another
                    // day; only a transfer from its start tells whose fault it is.
                    shell
                        .note(format_args!("  {url}: the resumed file is damaged, starting again"));
                    is_resumed = false;
                }
                Attempt::Cut(reason) => {
                    fruitless = if length() > before { 0 } else { fruitless + 1 };
                    if fruitless == FRUITLESS_ATTEMPTS {
                        return Err(Failure::Unreachable(vec![format!("{url}: {reason}")]));
                    }
                }
                Attempt::Refused(reason) => {
                    return Err(Failure::Unreachable(vec![format!("{url}: {reason}")]));
                }
            }
        }
    }

    /// One request, from byte `start` on.
    fn attempt(&self, start: u64) -> Result<Attempt> {
        let Self { shell, wanted, partial, .. } = *self;
        let mut request = self.agent.get(self.url);
        if start > 0 {
            request = request.header("Range", format!("bytes={start}-"));
        }
        let mut response = match request.call() {
            Ok(response) => response,
            // A broken connection may mend; a name that does not resolve will not.
            Err(ureq::Error::Io(error)) if start > 0 => return Ok(Attempt::Cut(error.to_string())),
            Err(error) => return Ok(Attempt::Refused(error.to_string())),
        };
        let start = match response.status().as_u16() {
            206 if content_range_start(&response) == Some(start) => start,
            200 => 0,
            // There is nothing after `start`: either this is all, or it is too much.
            // The digest decides.
            416 => return Ok(Attempt::Complete),
            status => return Ok(Attempt::Refused(format!("the server answered {status}"))),
        };
        let length = header(&response, "content-length").and_then(|text| text.parse::<u64>().ok());
        let mut file =
            File::options().create(true).append(true).open(partial).at("write", partial)?;
        file.set_len(start).at("write", partial)?;
        let total = length.map(|length| start + length);
        let mut reader = response.body_mut().with_config().limit(u64::MAX).reader();
        let verb = if start > 0 { "resume download of" } else { "download" };
        let step = shell.byte_step(format!("{verb} {}", wanted.name), total.unwrap_or(0));
        receive(&mut reader, &mut file, partial, start, total, step)
    }
}

/// The error for a file that is not the wanted one.
#[must_use]
pub fn wrong_digest(origin: &str, wanted: &Wanted<'_>, got: &str) -> Error {
    let Wanted { sha256, remedy, .. } = wanted;
    Error::failure(format!(
        "{origin} is not the pinned file\n  wanted sha256 {sha256}\n  got    sha256 {got}"
    ))
    .hint(format!("the file is damaged or another one; {remedy}"))
}

/// Reads a short answer, of at most `bytes_max` bytes.
///
/// # Errors
/// Why it cannot be had, with the URL.
pub fn read_text(url: &str, bytes_max: u64) -> Result<String, String> {
    let told = |reason: String| format!("{url}: {reason}");
    let mut response = agent().get(url).call().map_err(|error| told(error.to_string()))?;
    match response.status().as_u16() {
        200 => {}
        status => return Err(told(format!("the server answered {status}"))),
    }
    let body = response.body_mut().with_config().limit(bytes_max);
    body.read_to_string().map_err(|error| told(error.to_string()))
}

/// Copies what comes, from byte `start` on, to the end of the file.
fn receive(
    reader: &mut impl Read,
    file: &mut File,
    partial: &Path,
    start: u64,
    total: Option<u64>,
    step: Step,
) -> Result<Attempt> {
    let mut position = start;
    let mut buffer = vec![0; 1 << 17];
    loop {
        let count = match reader.read(&mut buffer) {
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Ok(Attempt::Cut(error.to_string())),
        };
        let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else {
            break;
        };
        file.write_all(bytes).at("write", partial)?;
        position += bytes.len() as u64;
        step.set_position(position);
    }
    if total.is_some_and(|total| position < total) {
        return Ok(Attempt::Cut("the connection was closed early".into()));
    }
    step.done(format_args!("{} MiB", position >> 20));
    Ok(Attempt::Complete)
}

/// The first byte of a partial answer: `Content-Range: bytes START-END/TOTAL` (RFC 9110, 14.4).
fn content_range_start(response: &ureq::http::Response<ureq::Body>) -> Option<u64> {
    header(response, "content-range")?.strip_prefix("bytes ")?.split('-').next()?.parse().ok()
}

fn header<'a>(response: &'a ureq::http::Response<ureq::Body>, name: &str) -> Option<&'a str> {
    response.headers().get(name)?.to_str().ok()
}
