//! All terminal output. Standard output is data, standard error is progress.
//!
//! On a terminal a step shows a spinner or a bar while it runs; elsewhere it is
//! one plain line when it ends, and one at each further tenth of a long one. The text is the
//! same and needs no colour.

use std::fmt::Display;
use std::io::{ErrorKind, IsTerminal, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::error::{Error, Result};

/// How often a spinner moves.
const SPINNER_PERIOD: Duration = Duration::from_millis(120);

/// A step without a terminal that takes longer than this tells how far it is.
const LONG_STEP: Duration = Duration::from_secs(15);

/// Why data did not reach standard output, which the whole program has but one of.
static LOST_DATA: OnceLock<std::io::Error> = OnceLock::new();

/// Where messages go, and how many of them.
#[derive(Clone, Copy, Debug)]
pub struct Shell {
    is_terminal: bool,
    is_quiet: bool,
}

/// Something that takes time: shown while it runs, reported when it is done.
/// Dropping it without [`Step::done`] reports that it did not finish.
#[derive(Debug)]
pub struct Step {
    shell: Shell,
    name: String,
    started: Instant,
    bar: ProgressBar,
    /// The tenths already told in plain lines.
    told_tenths: AtomicU64,
    is_open: bool,
}

impl Shell {
    /// A shell on standard error. `is_quiet` leaves only warnings and errors.
    #[must_use]
    pub fn new(is_quiet: bool) -> Self {
        Self { is_terminal: std::io::stderr().is_terminal(), is_quiet }
    }

    /// The same without bars and spinners, for several things at a time.
    #[must_use]
    pub const fn without_bars(self) -> Self {
        Self { is_terminal: false, ..self }
    }

    /// Writes data to standard output as it is. A closed pipe is not an error:
    /// the reader has seen enough. Any other failure is told by [`Shell::finish`].
    pub fn data(&self, text: &str) {
        self.data_bytes(text.as_bytes());
    }

    /// See [`Shell::data`].
    pub fn data_bytes(&self, bytes: &[u8]) {
        let mut out = std::io::stdout().lock();
        match out.write_all(bytes).and_then(|()| out.flush()) {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => {
                let _only_the_first_counts = LOST_DATA.set(error);
            }
            _ => {}
        }
    }

    /// Ends the program's output.
    ///
    /// # Errors
    /// If data was lost on the way to standard output.
    pub fn finish(&self) -> Result<()> {
        match LOST_DATA.get() {
            None => Ok(()),
            Some(error) => Err(Error::failure(format!("cannot write standard output: {error}"))
                .hint("what was written is not all of it")),
        }
    }

    /// Writes to standard error as it is, for what is not the builder's own: a
    /// guest command's error output.
    pub fn diagnostic_bytes(&self, bytes: &[u8]) {
        let mut err = std::io::stderr().lock();
        let _nobody_listens = err.write_all(bytes);
    }

    /// One line of progress.
    pub fn note(&self, message: impl Display) {
        if !self.is_quiet {
            self.line(format_args!("{message}"));
        }
    }

    /// Something a person should know though the work goes on.
    pub fn warn(&self, message: impl Display) {
        self.line(format_args!("warning: {message}"));
    }

    /// The error that ends the program.
    pub fn error(&self, error: &Error) {
        self.line(format_args!("error: {error}"));
    }

    /// Begins a step of unknown length. The name is a phrase like "compile kernel".
    #[must_use]
    pub fn step(&self, name: impl Into<String>) -> Step {
        let bar = self.bar(None, "{spinner} {prefix} {elapsed} {wide_msg}");
        self.open_step(name.into(), bar)
    }

    /// Begins a step of `total` units, shown as a bar ("objects", "files").
    #[must_use]
    pub fn counted_step(&self, name: impl Into<String>, total: u64) -> Step {
        let bar = self.bar(Some(total), "{prefix} [{wide_bar}] {pos}/{len} {elapsed} eta {eta}");
        self.open_step(name.into(), bar)
    }

    /// Begins a step of `total` bytes, shown as a bar with its rate.
    #[must_use]
    pub fn byte_step(&self, name: impl Into<String>, total: u64) -> Step {
        let template =
            "{prefix} [{wide_bar}] {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec}";
        let bar = self.bar(Some(total), template);
        self.open_step(name.into(), bar)
    }

    fn bar(&self, total: Option<u64>, template: &str) -> ProgressBar {
        let hidden = self.is_quiet || !self.is_terminal;
        let target =
            if hidden { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(total, target);
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("#> "));
        }
        if !hidden {
            bar.enable_steady_tick(SPINNER_PERIOD);
        }
        bar
    }

    fn open_step(self, name: String, bar: ProgressBar) -> Step {
        bar.set_prefix(name.clone());
        let told_tenths = AtomicU64::new(0);
        Step { shell: self, name, started: Instant::now(), bar, told_tenths, is_open: true }
    }

    fn line(&self, message: std::fmt::Arguments<'_>) {
        let mut err = std::io::stderr().lock();
        let _nobody_listens = writeln!(err, "{message}");
    }
}

impl Step {
    /// Shows how far the step is, in its units.
    pub fn set_position(&self, position: u64) {
        self.bar.set_position(position);
        let total = self.bar.length().unwrap_or(0);
        if !self.shell.is_terminal && total > 0 && self.started.elapsed() > LONG_STEP {
            let tenths = (position.saturating_mul(10) / total).min(10);
            if self.told_tenths.fetch_max(tenths, Ordering::Relaxed) < tenths && tenths < 10 {
                let elapsed = self.started.elapsed().as_secs();
                self.shell.note(format_args!("{}: {tenths}0 % ({elapsed} s)", self.name));
            }
        }
    }

    /// Shows what the step is at, on a terminal only.
    pub fn set_message(&self, message: impl Into<String>) {
        self.bar.set_message(message.into());
    }

    /// Ends the step well. `result` says what came of it, and may be empty.
    pub fn done(mut self, result: impl Display) {
        self.close();
        let elapsed = self.started.elapsed().as_secs_f64();
        let result = result.to_string();
        let gap = if result.is_empty() { "" } else { ": " };
        self.shell.note(format_args!("{}{gap}{result} ({elapsed:.1} s)", self.name));
    }

    fn close(&mut self) {
        self.is_open = false;
        self.bar.finish_and_clear();
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if self.is_open {
            self.close();
            let elapsed = self.started.elapsed().as_secs_f64();
            self.shell.note(format_args!("{}: not finished ({elapsed:.1} s)", self.name));
        }
    }
}
