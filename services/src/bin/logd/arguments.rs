//! The command line of `logd`.

use std::path::PathBuf;

use lexopt::Arg;
use services::log_record::LOG_DIRECTORY;
use services::problem::{Context, Problem, Result};

pub(crate) const HELP: &str = "\
Collects the output of services, what programs say to syslog(3), and the kernel's
messages.

Usage: logd [OPTIONS]

PID 1 starts it for the service with `log-collector = true` and hands over the
services' pipes on the socket whose descriptor number is in LOG_SOCKET.

Options:
      --directory DIR    where the log files are [default: /run/log]
      --file-size KIB    size at which NAME.log becomes NAME.log.1, 64 to 1048576
                         KiB; a service has at most two files [default: 256]
      --kernel-log PATH  where the kernel's messages come from [default: /dev/kmsg]
      --no-kernel-log    do not collect the kernel's messages
      --syslog PATH      the socket of syslog(3) [default: /dev/log]
      --no-syslog        do not make it
  -h, --help             this text

Files: NAME.log and NAME.log.1 for each service; kernel.log for the kernel;
init.log for PID 1; syslog.log for what programs with root's rights say to
syslog(3), syslog-users.log for what others do. `svcctl logs NAME` shows them.
";

/// How to collect.
pub(crate) struct Settings {
    /// Where the log files are.
    pub(crate) directory: PathBuf,
    /// Size in bytes at which a file is rotated.
    pub(crate) file_bytes_max: u64,
    /// Where the kernel's messages come from, if they are wanted.
    pub(crate) kernel_log: Option<PathBuf>,
    /// The socket of syslog(3), if it is wanted.
    pub(crate) syslog: Option<PathBuf>,
}

/// Reads the command line; `None` asks for help.
pub(crate) fn parse(mut parser: lexopt::Parser) -> Result<Option<Settings>> {
    let mut settings = Settings {
        directory: PathBuf::from(LOG_DIRECTORY),
        file_bytes_max: 256 * 1024,
        kernel_log: Some(PathBuf::from("/dev/kmsg")),
        syslog: Some(PathBuf::from("/dev/log")),
    };
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("directory") => settings.directory = parser.value()?.into(),
            Arg::Long("file-size") => {
                let value = parser.value()?;
                settings.file_bytes_max = file_size(&value.to_string_lossy())?;
            }
            Arg::Long("kernel-log") => {
                settings.kernel_log = Some(parser.value()?.into());
            }
            Arg::Long("no-kernel-log") => settings.kernel_log = None,
            Arg::Long("syslog") => settings.syslog = Some(parser.value()?.into()),
            Arg::Long("no-syslog") => settings.syslog = None,
            Arg::Short('h') | Arg::Long("help") => return Ok(None),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(Some(settings))
}

/// Bytes for a number of KiB. The lower bound leaves room for at least one
/// record of the greatest length, every byte of it escaped.
fn file_size(text: &str) -> Result<u64> {
    let kib: u64 = text.parse().context(|| format!("--file-size {text}"))?;
    if !(64..=1_048_576).contains(&kib) {
        return Err(Problem::new(format!("--file-size {kib} is not within 64 to 1048576 KiB")));
    }
    Ok(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(arguments: &[&str]) -> Result<Settings> {
        parse(lexopt::Parser::from_args(arguments))?.ok_or_else(|| Problem::new("help"))
    }

    #[test]
    fn options_have_defaults_bounds_and_names() {
        let defaults = settings(&[]).unwrap();
        assert_eq!(defaults.directory, PathBuf::from("/run/log"));
        assert_eq!(defaults.file_bytes_max, 262_144);
        assert_eq!(defaults.kernel_log, Some(PathBuf::from("/dev/kmsg")));
        assert_eq!(defaults.syslog, Some(PathBuf::from("/dev/log")));
        assert_eq!(settings(&["--no-syslog"]).unwrap().syslog, None);
        assert_eq!(settings(&["--no-kernel-log"]).unwrap().kernel_log, None);
        assert_eq!(settings(&["--file-size=64"]).unwrap().file_bytes_max, 65_536);
        for bad in [&["--file-size=63"][..], &["--file-size=x"], &["--colour"], &["extra"]] {
            assert!(settings(bad).is_err(), "{bad:?}");
        }
    }
}
