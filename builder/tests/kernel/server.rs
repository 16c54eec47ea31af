//! A web server for one file, which misbehaves as it is told.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// How the server answers a request.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// The file from where the request says.
    Proper,
    /// The same, but the connection is closed after this many bytes.
    Cut(usize),
    /// The whole file, whatever range was asked for.
    IgnoreRange,
    /// This status and no file.
    Status(u16),
    /// Other bytes than the file's.
    Wrong,
}

/// A running server; it ends with the test process.
pub(crate) struct Server {
    port: u16,
    requests: Arc<Mutex<Vec<Option<u64>>>>,
}

impl Server {
    /// Serves `content`; the requests get `answers` in turn, then proper ones.
    pub(crate) fn start(content: Vec<u8>, answers: Vec<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        std::thread::spawn(move || {
            let mut answers = answers.into_iter();
            for stream in listener.incoming() {
                let answer = answers.next().unwrap_or(Answer::Proper);
                let _client_went = serve(stream.unwrap(), &content, &answer, &seen);
            }
        });
        Self { port, requests }
    }

    /// The URL of a file of this name.
    pub(crate) fn url(&self, name: &str) -> String {
        format!("http://127.0.0.1:{}/{name}", self.port)
    }

    /// The first byte that each request so far asked for, if it asked for a range.
    pub(crate) fn requests(&self) -> Vec<Option<u64>> {
        self.requests.lock().unwrap().clone()
    }
}

/// The URL of a server that is not there.
pub(crate) fn nobodys_url(name: &str) -> String {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    format!("http://127.0.0.1:{port}/{name}")
}

fn serve(
    mut stream: TcpStream,
    content: &[u8],
    answer: &Answer,
    seen: &Mutex<Vec<Option<u64>>>,
) -> std::io::Result<()> {
    let mut range = None;
    for line in BufReader::new(stream.try_clone()?).lines() {
        let line = line?.to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(start) = line.strip_prefix("range: bytes=") {
            range = start.trim_end_matches('-').parse::<u64>().ok();
        }
    }
    seen.lock().unwrap().push(range);
    if let Answer::Status(status) = answer {
        return write!(
            stream,
            "HTTP/1.1 {status} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
    }
    let total = content.len();
    let start = match answer {
        Answer::IgnoreRange => 0,
        _ => usize::try_from(range.unwrap_or(0)).unwrap(),
    };
    if start >= total {
        return write!(stream, "HTTP/1.1 416 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    }
    let mut body = content[start..].to_vec();
    if let Answer::Wrong = answer {
        body[0] ^= 1;
    }
    match (range, answer) {
        (None, _) | (_, Answer::IgnoreRange) => write!(stream, "HTTP/1.1 200 OK\r\n")?,
        _ => write!(
            stream,
            "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {start}-{}/{total}\r\n",
            total - 1
        )?,
    }
    write!(stream, "Content-Length: {}\r\nConnection: close\r\n\r\n", body.len())?;
    if let Answer::Cut(length) = answer {
        body.truncate(*length);
    }
    stream.write_all(&body)
}
