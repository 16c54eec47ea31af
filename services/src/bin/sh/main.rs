//! `sh` starts the system's shell, `brush`, with what the terminal is fit for and with
//! every file that is open.
//!
//! brush 0.4.0 edits lines with reedline, which asks the terminal for the cursor's
//! position before each prompt and gives up with the whole shell where nothing answers
//! within 2 s: a pipe on a serial port, a monitor program, `TERM=dumb`. There it gets
//! `--input-backend minimal`, and the kernel's own line editing serves. A terminal that
//! does not know its size is asked for it once, and the answer decides.
//! A shell that reads a script or a command is executed at once.
//!
//! Where commands come by a pipe or from a file, brush 0.4.0 takes each line for a whole
//! command: a function, a loop or a quoted newline is a syntax error. It gets
//! `--input-backend basic` for that, which reads on until a command is complete.
//!
//! brush 0.4.0 knows files that it was started with only if it is told
//! (`--inherit-fd`), and without that does nothing for `>&3`, nor for the `2>&1` of a
//! command whose standard output is the shell's own.
//!
//! Absent: a shell. This program is gone when the shell runs.

mod options;

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use options::{reads_commands, translated};
use rustix::fs::OFlags;
use rustix::termios::{Winsize, isatty, tcgetwinsize, tcsetwinsize};
use services::problem::Problem;
use services::terminal::{ANSWER_WAIT_MAX, ask_size};

/// The shell itself.
const SHELL: &str = "/usr/bin/brush";

/// Status of a shell that cannot be executed (POSIX.1-2024, XCU 2.8.2).
const CANNOT_EXECUTE: u8 = 126;

fn main() -> ExitCode {
    let mut words = env::args_os();
    let called_as = words.next().unwrap_or_else(|| "sh".into());
    let words: Vec<OsString> = words.collect();
    let mut shell = Command::new(SHELL);
    shell.arg0(&called_as);
    if reads_commands(&words) {
        if !isatty(io::stdin()) {
            shell.args(["--input-backend", "basic"]);
        } else if isatty(io::stderr()) && !answers() {
            // For the programs it starts: they would wait for answers too.
            shell.env("TERM", "dumb").args(["--input-backend", "minimal"]);
        }
    }
    for number in inherited() {
        shell.args(["--inherit-fd", &number.to_string()]);
    }
    let error = shell.args(translated(words)).exec();
    let problem = Problem::new(format!("cannot execute `{SHELL}`: {error}"));
    problem.with_hint("the image needs the crate `brush-shell`").print("sh");
    ExitCode::from(CANNOT_EXECUTE)
}

/// The numbers of the open files beyond standard input that the shell will have
/// (`/proc/self/fdinfo`, proc_pid_fdinfo(5)); the standard ones where nothing says.
fn inherited() -> Vec<u32> {
    let Ok(open) = fs::read_dir("/proc/self/fdinfo") else { return vec![1, 2] };
    let lasting = open.flatten().filter_map(|entry| {
        let number: u32 = entry.file_name().to_str()?.parse().ok()?;
        let info = fs::read_to_string(entry.path()).ok()?;
        (number > 0 && outlives_exec(&info)).then_some(number)
    });
    let mut numbers: Vec<u32> = lasting.collect();
    numbers.sort_unstable();
    numbers
}

/// Whether an open file's `fdinfo` is without `O_CLOEXEC`.
fn outlives_exec(info: &str) -> bool {
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
    let flags = flags.and_then(|octal| u32::from_str_radix(octal.trim(), 8).ok());
    flags.is_some_and(|flags| flags & OFlags::CLOEXEC.bits() == 0)
}

/// Whether the terminal answers questions. One that knows its size is taken to: a
/// program made it, or has asked it already. Others are asked, and learn their size.
fn answers() -> bool {
    if env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb") {
        return false;
    }
    let knows_size = tcgetwinsize(io::stdin()).is_ok_and(|size| size.ws_col != 0);
    if knows_size {
        return true;
    }
    match ask_size(ANSWER_WAIT_MAX) {
        Ok(Some((rows, columns))) => {
            let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
            // Editing works without a size, only not as well.
            let _ = tcsetwinsize(io::stdin(), size);
            true
        }
        Ok(None) | Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_are_closed_on_exec_are_left_out() {
        assert!(outlives_exec("pos:\t0\nflags:\t0100002\nmnt_id:\t25\n"));
        assert!(!outlives_exec("pos:\t0\nflags:\t02100000\nmnt_id:\t25\n"));
        assert!(!outlives_exec(""));
        assert!(inherited().starts_with(&[1, 2]));
    }
}
