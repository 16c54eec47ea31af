//! The command line of `dnsd`.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use lexopt::Arg;
use services::problem::{Context, Problem, Result};

pub(crate) const HELP: &str = "\
Answers questions about names for the programs of this machine.

Usage: dnsd [OPTIONS]

Options:
      --listen ADDRESS     where to answer, by UDP and TCP; may be repeated
                           [default: 127.0.0.53:53]
      --resolv-conf PATH   names the servers to ask; read again when it changes
                           [default: /run/netd/resolv.conf]
      --hosts PATH         names that need no server [default: /etc/hosts]
      --cache-entries N    answers that are remembered, 0 to 100000 [default: 2000]
      --cache-kib N        room for them in KiB, 0 to 65536 [default: 1024]
      --user NAME          whom to become once the ports are open [default: dns]
                           if started by root; `root` stays root
  -h, --help               this text

`nslookup NAME 127.0.0.53` asks it something. docs/names-and-time.md says the rest.
";

/// How to serve.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Settings {
    pub(crate) listen: Vec<SocketAddr>,
    pub(crate) resolv_conf: PathBuf,
    pub(crate) hosts: PathBuf,
    pub(crate) cache_entries: usize,
    pub(crate) cache_bytes: usize,
    pub(crate) user: String,
}

/// Reads the command line; `None` asks for help.
pub(crate) fn parse(mut parser: lexopt::Parser) -> Result<Option<Settings>> {
    let mut settings = Settings {
        listen: Vec::new(),
        resolv_conf: PathBuf::from("/run/netd/resolv.conf"),
        hosts: PathBuf::from("/etc/hosts"),
        cache_entries: 2000,
        cache_bytes: 1024 * 1024,
        user: "dns".to_owned(),
    };
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("listen") => {
                let text = parser.value()?.to_string_lossy().into_owned();
                let address = text.parse().context(|| format!("--listen {text}"));
                let hint = "an address and a port, such as 127.0.0.53:53";
                settings.listen.push(address.map_err(|problem| problem.with_hint(hint))?);
            }
            Arg::Long("resolv-conf") => {
                settings.resolv_conf = parser.value()?.into();
            }
            Arg::Long("hosts") => settings.hosts = parser.value()?.into(),
            Arg::Long("cache-entries") => {
                let text = parser.value()?.to_string_lossy().into_owned();
                settings.cache_entries = number("--cache-entries", &text, 100_000)?;
            }
            Arg::Long("cache-kib") => {
                let text = parser.value()?.to_string_lossy().into_owned();
                settings.cache_bytes = number("--cache-kib", &text, 65_536)? * 1024;
            }
            Arg::Long("user") => {
                settings.user = parser.value()?.to_string_lossy().into_owned();
            }
            Arg::Short('h') | Arg::Long("help") => return Ok(None),
            other => return Err(other.unexpected().into()),
        }
    }
    if settings.listen.is_empty() {
        settings.listen.push(SocketAddr::from((Ipv4Addr::new(127, 0, 0, 53), 53)));
    }
    Ok(Some(settings))
}

fn number(option: &str, text: &str, most: usize) -> Result<usize> {
    let found = text.parse().ok().filter(|number| *number <= most);
    found.ok_or_else(|| Problem::new(format!("{option} {text} is not from 0 to {most}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_have_defaults_and_bounds() {
        let read = |words: &[&str]| parse(lexopt::Parser::from_args(words));
        let defaults = read(&[]).unwrap().unwrap();
        assert_eq!(defaults.listen, ["127.0.0.53:53".parse().unwrap()]);
        let two = read(&["--listen=[::1]:5353", "--listen=127.0.0.1:1"]).unwrap().unwrap();
        assert_eq!(two.listen.len(), 2);
        assert_eq!(read(&["--cache-kib", "8"]).unwrap().unwrap().cache_bytes, 8192);
        assert_eq!(read(&["--help"]).unwrap(), None);
        for wrong in [&["--listen=here"][..], &["--cache-kib=65537"], &["--colour"], &["x"]] {
            assert!(read(wrong).is_err(), "{wrong:?}");
        }
    }
}
