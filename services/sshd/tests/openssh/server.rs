//! The server under test, and the ways to run its client.

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Longest wait for anything here.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A server of this test, with its files in a directory of its own.
pub(crate) struct Server {
    process: Child,
    pub(crate) port: u16,
    directory: tempfile::TempDir,
    pub(crate) user: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub(crate) fn run(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

fn own_name() -> String {
    let output = run(Command::new("id").arg("-un"));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

pub(crate) fn make_key(path: &Path, kind: &[&str]) {
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-N", "", "-f"]).arg(path).args(kind);
    assert!(run(&mut command).status.success(), "{command:?}");
}

impl Server {
    /// Starts a server with these further settings, which the key `good` opens.
    pub(crate) fn start(settings: &str) -> Self {
        Self::start_also_at("", settings)
    }

    /// The same, which listens at this address too.
    pub(crate) fn start_also_at(address: &str, settings: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        fs::create_dir(root.join("keys")).unwrap();
        make_key(&root.join("good"), &["-t", "ed25519"]);
        make_key(&root.join("wrong"), &["-t", "ed25519"]);
        let user = own_name();
        fs::copy(root.join("good.pub"), root.join("keys").join(&user)).unwrap();
        // Free a moment ago is the best there is to be had.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let also = match address {
            "" => String::new(),
            address => format!("\"{address}:{port}\", "),
        };
        let text = format!(
            "listen = [{also}\"127.0.0.1:{port}\"]\nhost-key = \"{0}/state/key\"\n\
             authorized-keys-directory = \"{0}/keys\"\nhome-keys = false\n{settings}",
            root.display()
        );
        fs::write(root.join("sshd.toml"), text).unwrap();
        let process = Command::new(env!("CARGO_BIN_EXE_sshd"))
            .arg("--config")
            .arg(root.join("sshd.toml"))
            .stderr(fs::File::create(root.join("log")).unwrap())
            .spawn()
            .unwrap();
        let server = Self { process, port, directory, user };
        server.wait_for_log("listening on 127.0.0.1");
        server
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap()
    }

    pub(crate) fn wait_for_log(&self, text: &str) {
        let start = Instant::now();
        while !self.log().contains(text) {
            assert!(start.elapsed() < PATIENCE, "no {text:?} in\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub(crate) fn options(&self, program: &str, key: &str) -> Command {
        let mut command = Command::new("timeout");
        command.arg("30").arg(program).args(["-F", "none", "-i"]).arg(self.path(key));
        for option in [
            "IdentitiesOnly=yes",
            "IdentityAgent=none",
            "BatchMode=yes",
            "StrictHostKeyChecking=no",
            "LogLevel=ERROR",
        ] {
            command.args(["-o", option]);
        }
        command.arg("-o").arg(format!("UserKnownHostsFile={}", self.path("known").display()));
        command
    }

    pub(crate) fn ssh(&self, key: &str, options: &[&str], words: &[&str]) -> Command {
        let mut command = self.options("ssh", key);
        command.args(["-p", &self.port.to_string()]).args(options);
        command.arg(format!("{}@127.0.0.1", self.user)).args(words);
        command
    }
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs with bytes as standard input.
pub(crate) fn feed(command: &mut Command, input: &[u8]) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        // A program that ends early reads no more.
        scope.spawn(move || stdin.write_all(input));
        child.wait_with_output().unwrap()
    })
}
