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
//! brush 0.4.0 knows files that it was started with only if it is told
//! (`--inherit-fd`), and without that does nothing for `>&3`, nor for the `2>&1` of a
//! command whose standard output is the shell's own.
//!
//! Absent: a shell. This program is gone when the shell runs.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use rustix::fs::OFlags;
use rustix::termios::{Winsize, isatty, tcgetwinsize, tcsetwinsize};
use services::problem::Problem;
use services::terminal::{ANSWER_WAIT_MAX, ask_size};

/// The shell itself.
const SHELL: &str = "/usr/bin/brush";

/// Status of a shell that cannot be executed (POSIX.1-2024, XCU 2.8.2).
const CANNOT_EXECUTE: u8 = 126;

/// Options of the shell that take the word behind them: what follows is no script.
const OPTIONS_WITH_VALUE: &[&str] = &[
    "--config",
    "--debug",
    "--disable-event",
    "--inherit-fd",
    "--init-file",
    "--input-backend",
    "--rcfile",
    "--xtrace-file",
];

fn main() -> ExitCode {
    let mut words = env::args_os();
    let called_as = words.next().unwrap_or_else(|| "sh".into());
    let words: Vec<OsString> = words.collect();
    let mut shell = Command::new(SHELL);
    shell.arg0(&called_as);
    let is_terminal = isatty(io::stdin()) && isatty(io::stderr());
    if is_terminal && reads_commands(&words) && !answers() {
        // For the programs it starts: they would wait for answers too.
        shell.env("TERM", "dumb").args(["--input-backend", "minimal"]);
    }
    for number in inherited() {
        shell.args(["--inherit-fd", &number.to_string()]);
    }
    let error = shell.args(&words).exec();
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

/// Whether a shell with these words reads what a person types: no `-c`, no script,
/// and no choice of how to read that somebody has made already (sh(1)).
fn reads_commands(words: &[OsString]) -> bool {
    let mut words = words.iter().map(|word| word.to_string_lossy());
    while let Some(word) = words.next() {
        if word == "--help" || word == "--version" || word.starts_with("--input-backend") {
            return false;
        }
        if word == "-" || word == "--" {
            return words.next().is_none();
        }
        if word.starts_with("--") {
            if OPTIONS_WITH_VALUE.contains(&word.as_ref()) {
                words.next();
            }
            continue;
        }
        let Some(letters) = word.strip_prefix(['-', '+']) else {
            return false;
        };
        match letters.find(['c', 's', 'o', 'O']).and_then(|at| letters[at..].chars().next()) {
            Some('c') => return false,
            Some('s') => return true,
            // `-o NAME`; in `-oNAME` the name is there already.
            Some(letter) if letters.ends_with(letter) => drop(words.next()),
            _ => {}
        }
    }
    true
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

    #[test]
    fn a_shell_reads_commands_unless_it_is_given_them() {
        for (line, expected) in [
            ("", true),
            ("-l", true),
            ("-i", true),
            ("-il", true),
            ("-s one two", true),
            ("-o vi", true),
            ("-e -o pipefail", true),
            ("+o posix", true),
            ("-x -", true),
            ("--rcfile /x", true),
            ("--login --norc", true),
            ("-c true", false),
            ("-lc true", false),
            ("-ec true", false),
            ("script", false),
            ("-x script one", false),
            ("-o vi script", false),
            ("--rcfile /x script", false),
            ("-- script", false),
            ("--version", false),
            ("--input-backend basic", false),
            ("--input-backend=reedline", false),
        ] {
            let words: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
            assert_eq!(reads_commands(&words), expected, "sh {line}");
        }
    }
}
