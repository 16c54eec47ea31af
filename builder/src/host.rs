//! The only place that starts host programs.
//!
//! Every program runs in a known environment: what the caller sets on top of
//! the host's, with `LC_ALL=C` and `TZ=UTC`, so that nothing it prints or
//! writes depends on who calls. Its output goes to a log file or to the caller,
//! never to the terminal; when it fails, the error shows the end of it.

mod descendants;
pub mod gnu;
mod watched;

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use crate::error::{Error, IoContext, Result};
use watched::Watched;

/// How much of a failed program's output its error shows, in lines.
const TAIL_LINES: usize = 20;
/// How much of a log file is read to find those lines, in bytes.
const TAIL_BYTES: u64 = 16 * 1024;

/// A host program about to be run.
#[derive(Debug)]
pub struct Invocation {
    command: Command,
    program: OsString,
    log: Option<PathBuf>,
    limit: Option<Duration>,
}

impl Invocation {
    /// The program of this name from `PATH`, or at this path.
    #[must_use]
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        let mut command = Command::new(program.as_ref());
        command.env("LC_ALL", "C").env("TZ", "UTC").stdin(Stdio::null());
        Self { command, program: program.as_ref().to_owned(), log: None, limit: None }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.command.args(args);
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Removes an environment variable that the host may have set.
    #[must_use]
    pub fn env_remove(mut self, name: impl AsRef<OsStr>) -> Self {
        self.command.env_remove(name);
        self
    }

    /// Sets the directory it runs in.
    #[must_use]
    pub fn current_dir(mut self, directory: impl AsRef<Path>) -> Self {
        self.command.current_dir(directory);
        self
    }

    /// Appends its output to this file and keeps the file.
    #[must_use]
    pub fn log(mut self, path: impl Into<PathBuf>) -> Self {
        self.log = Some(path.into());
        self
    }

    /// Ends it, by [`Invocation::run`] and [`Invocation::run_lines`], if it takes longer.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Runs it to its end.
    ///
    /// # Errors
    /// If it is not installed or fails.
    pub fn run(self) -> Result<()> {
        self.run_lines(|_line| {})
    }

    /// Runs it to its end, showing each line of its output to `on_line` as it comes.
    ///
    /// A line that ends in a carriage return is one that a terminal would
    /// overwrite, such as a progress bar: `on_line` sees it, the log does not.
    /// What it left running is not waited for.
    ///
    /// # Errors
    /// If it is not installed, fails or takes longer than its limit.
    pub fn run_lines(mut self, mut on_line: impl FnMut(&str)) -> Result<()> {
        let (reader, writer) = std::io::pipe()
            .map_err(|error| Error::failure(format!("cannot make a pipe: {error}")))?;
        let second = writer
            .try_clone()
            .map_err(|error| Error::failure(format!("cannot make a pipe: {error}")))?;
        self.command.stdout(writer).stderr(second);
        let mut log = match &self.log {
            Some(path) => {
                Some(File::options().create(true).append(true).open(path).at("write", path)?)
            }
            None => None,
        };
        let mut child = self.start()?;
        // The command still holds the pipe's write ends; without this the reader never ends.
        self.command.stdout(Stdio::null()).stderr(Stdio::null());
        let watched = Watched::new(reader, &child, self.limit)
            .map_err(|error| Error::failure(format!("cannot watch {}: {error}", self.name())))?;
        let mut tail = Tail::default();
        let mut lines = Lines(BufReader::new(watched));
        for (line, is_lasting) in lines.by_ref() {
            let line = String::from_utf8_lossy(&line);
            on_line(&line);
            if !is_lasting {
                continue;
            }
            if let (Some(log), Some(path)) = (&mut log, &self.log) {
                writeln!(log, "{line}").at("write", path)?;
            }
            tail.push(&line);
        }
        if lines.0.get_ref().is_too_late() {
            descendants::kill(child.id());
            self.wait(&mut child)?;
            return Err(self.too_late(&tail.text()));
        }
        let status = self.wait(&mut child)?;
        self.check(status, &tail.text())
    }

    /// Runs it to its end and returns its standard output.
    ///
    /// # Errors
    /// If it is not installed or fails; the message then ends with its standard error.
    pub fn read(mut self) -> Result<Vec<u8>> {
        self.command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let output = self.command.output().map_err(|error| self.cannot_start(&error))?;
        self.check(output.status, &String::from_utf8_lossy(&output.stderr))?;
        Ok(output.stdout)
    }

    /// Runs it to its end and returns how it ended and all it wrote, for callers
    /// to whom a failure is a result.
    ///
    /// # Errors
    /// If it is not installed.
    pub fn observe(mut self) -> Result<std::process::Output> {
        self.command.stdout(Stdio::piped()).stderr(Stdio::piped());
        self.command.output().map_err(|error| self.cannot_start(&error))
    }

    /// Like [`Invocation::read`], as text without the final newline.
    ///
    /// # Errors
    /// See [`Invocation::read`].
    pub fn read_text(self) -> Result<String> {
        Ok(String::from_utf8_lossy(&self.read()?).trim_end().to_owned())
    }

    /// Runs it to its end with the builder's own terminal, for programs that
    /// talk to the person, and returns how it ended.
    ///
    /// # Errors
    /// If it is not installed.
    pub fn run_interactive(mut self) -> Result<ExitStatus> {
        self.command.stdin(Stdio::inherit()).stdout(Stdio::inherit()).stderr(Stdio::inherit());
        let mut child = self.start()?;
        self.wait(&mut child)
    }

    /// Starts it in a process group of its own, with the standard streams given.
    ///
    /// # Errors
    /// If it is not installed.
    pub fn spawn(mut self, stdin: Stdio, stdout: Stdio, stderr: Stdio) -> Result<Running> {
        self.command.stdin(stdin).stdout(stdout).stderr(stderr).process_group(0);
        let child = self.start()?;
        Ok(Running { child })
    }

    fn start(&mut self) -> Result<Child> {
        self.command.spawn().map_err(|error| self.cannot_start(&error))
    }

    fn wait(&self, child: &mut Child) -> Result<ExitStatus> {
        child
            .wait()
            .map_err(|error| Error::failure(format!("cannot wait for {}: {error}", self.name())))
    }

    fn name(&self) -> String {
        self.program.to_string_lossy().into_owned()
    }

    fn cannot_start(&self, error: &std::io::Error) -> Error {
        if error.kind() == std::io::ErrorKind::NotFound {
            Error::host(format!("the program {} is not installed", self.name()))
                .hint("run `cargo builder doctor` to see all that is missing, and `--install` to install it")
        } else {
            Error::failure(format!("cannot start {}: {error}", self.name()))
        }
    }

    fn check(&self, status: ExitStatus, output: &str) -> Result<()> {
        if status.success() {
            return Ok(());
        }
        Err(self.failure(&format!("failed with {status}"), output))
    }

    fn too_late(&self, output: &str) -> Error {
        let minutes = self.limit.unwrap_or_default().as_secs_f64() / 60.0;
        self.failure(&format!("was ended: it took longer than {minutes:.0} minutes"), output)
    }

    fn failure(&self, what: &str, output: &str) -> Error {
        let mut message = format!("{} {what}", self.name());
        let tail = output.trim_end();
        if !tail.is_empty() {
            message.push_str(":\n");
            message.push_str(tail);
        }
        let error = Error::failure(message);
        match &self.log {
            Some(path) => error.hint(format!("the whole log is {}", path.display())),
            None => error,
        }
    }
}

/// Lines without their ends, and whether each ended in a newline (or the end
/// of the stream) rather than in a carriage return.
struct Lines<R>(BufReader<R>);

impl<R: Read> Iterator for Lines<R> {
    type Item = (Vec<u8>, bool);

    fn next(&mut self) -> Option<Self::Item> {
        let mut line = Vec::new();
        loop {
            let buffer = match self.0.fill_buf() {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                buffer => buffer.ok()?,
            };
            if buffer.is_empty() {
                return (!line.is_empty()).then_some((line, true));
            }
            let end = buffer.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            let taken = end.unwrap_or(buffer.len());
            line.extend_from_slice(&buffer[..taken]);
            let terminator = end.map(|end| buffer[end]);
            self.0.consume(taken + usize::from(end.is_some()));
            if let Some(terminator) = terminator {
                return Some((line, terminator == b'\n'));
            }
        }
    }
}

/// The last lines of a program's output.
#[derive(Default)]
struct Tail(std::collections::VecDeque<String>);

impl Tail {
    fn push(&mut self, line: &str) {
        if self.0.len() == TAIL_LINES {
            self.0.pop_front();
        }
        self.0.push_back(line.to_owned());
    }

    fn text(self) -> String {
        Vec::from(self.0).join("\n")
    }
}

/// A host program at work, killed with its children when this is dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
}

impl Running {
    /// The process itself, for its streams.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Kills it and every process of its group. One that has ended is no error.
    pub fn kill(&mut self) {
        if let Some(group) =
            i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw)
        {
            let _already_gone =
                rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
        let _already_reaped = self.child.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(Some(_))) {
            self.kill();
        }
    }
}

/// Where a program is found in `PATH`, if anywhere.
#[must_use]
pub fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    // Debian keeps file system tools where an ordinary user's PATH does not look.
    let extra = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(extra).map(|directory| directory.join(name)).find(
        |candidate| {
            rustix::fs::access(candidate, rustix::fs::Access::EXEC_OK).is_ok()
                && candidate.is_file()
        },
    )
}

/// The last lines of a text file, for error messages; empty if it cannot be read.
#[must_use]
pub fn tail_of(path: &Path) -> String {
    last_lines(&end_of(path))
}

/// The last lines of a text, as many as an error message shows.
#[must_use]
pub fn last_lines(text: &str) -> String {
    let mut tail = Tail::default();
    for line in text.lines() {
        tail.push(line);
    }
    tail.text()
}

/// The end of a text file, 16 KiB of it; empty if it cannot be read.
#[must_use]
pub fn end_of(path: &Path) -> String {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    String::from_utf8_lossy(&read().unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    #[test]
    fn a_failure_shows_the_end_of_the_output_and_the_log() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("log");
        let script = "for i in $(seq 100); do echo line $i; done; echo broken >&2; exit 3";
        let error = Invocation::new("sh").args(["-c", script]).log(&log).run().unwrap_err();
        let text = error.to_string();
        assert!(text.contains("exit status: 3") && text.contains("line 100\nbroken"), "{text}");
        assert!(!text.contains("line 10\n"), "only the end is shown: {text}");
        assert_eq!(std::fs::read_to_string(&log).unwrap().lines().count(), 101);
    }

    #[test]
    fn a_progress_line_is_seen_but_not_kept() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("log");
        let mut seen = Vec::new();
        Invocation::new("printf")
            .arg("1 of 2\\r2 of 2\\rdone\\nend")
            .log(&log)
            .run_lines(|line| seen.push(line.to_owned()))
            .unwrap();
        assert_eq!(seen, ["1 of 2", "2 of 2", "done", "end"]);
        assert_eq!(std::fs::read_to_string(&log).unwrap(), "done\nend\n");
    }

    #[test]
    fn what_a_program_leaves_running_is_not_waited_for() {
        let started = std::time::Instant::now();
        Invocation::new("sh").args(["-c", "sleep 60 & echo done"]).run().unwrap();
        assert!(started.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn a_program_that_takes_too_long_is_ended_with_its_children() {
        let directory = tempfile::tempdir().unwrap();
        let pid = directory.path().join("pid");
        let script = format!("sh -c 'echo $$ > {}; echo waiting; sleep 60'; :", pid.display());
        let error = Invocation::new("sh")
            .args(["-c", &script])
            .limit(Duration::from_secs(2))
            .run()
            .unwrap_err()
            .to_string();
        assert!(error.contains("longer than") && error.ends_with("waiting"), "{error}");
        let pid: u32 = std::fs::read_to_string(pid).unwrap().trim().parse().unwrap();
        // What is killed needs a processor once more to be gone.
        let patience = std::time::Instant::now() + Duration::from_secs(30);
        loop {
            let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            if state.is_empty() || state.contains(") Z ") {
                break;
            }
            assert!(std::time::Instant::now() < patience, "still there: {state}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    #[test]
    fn a_missing_program_is_the_hosts_affair() {
        let error = Invocation::new("no-such-program-here").run().unwrap_err();
        assert_eq!(error.kind(), Kind::Host);
    }

    #[test]
    fn the_environment_does_not_depend_on_the_caller() {
        let text = Invocation::new("sh").args(["-c", "echo $TZ $LC_ALL"]).read_text().unwrap();
        assert_eq!(text, "UTC C");
    }
}
