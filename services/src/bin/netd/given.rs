//! The file that keeps what `netd` gave links because its file said so, so that the next one
//! takes away what the file no longer has. It lies in the run directory and goes with the boot.
//!
//! Each line is one thing: the link's index, which no other link gets before the next boot, and
//! `address ADDRESS/LENGTH`, `route NETWORK/LENGTH METRIC [GATEWAY]` or `ipv6 MODE`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io;
use std::path::Path;

use services::network::config::{IPV6_MODES, Ipv6};
use services::network::netlink::view::Route;
use services::network::prefix::Prefix;
use services::whole_file;

/// Its name in the run directory.
const NAME: &str = "given";

/// What links were given for good: without what comes by leases, which ends by itself.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Given {
    /// Each with the index of its link.
    pub(crate) addresses: BTreeSet<(u32, Prefix)>,
    pub(crate) routes: Vec<Route>,
    /// How IPv6 was set, by the index of the link.
    pub(crate) ipv6: BTreeMap<u32, Ipv6>,
}

/// What `run` has; nothing without the file.
///
/// # Errors
/// The file is there and cannot be read.
pub(crate) fn read(run: &Path) -> io::Result<Given> {
    let text = whole_file::read(&run.join(NAME))?;
    Ok(text.as_deref().map(parse).unwrap_or_default())
}

/// Has `run` keep `given`, in place of what it had.
///
/// # Errors
/// The file cannot be written.
pub(crate) fn write(run: &Path, given: &Given) -> io::Result<()> {
    let mut text = String::new();
    for (index, prefix) in &given.addresses {
        let _ = writeln!(text, "{index} address {prefix}");
    }
    for route in &given.routes {
        let (Some(index), Some(metric)) = (route.index, route.metric) else { continue };
        let via = route.gateway.map(|via| format!(" {via}")).unwrap_or_default();
        let _ = writeln!(text, "{index} route {} {metric}{via}", route.destination);
    }
    for (index, mode) in &given.ipv6 {
        let word = IPV6_MODES.iter().find(|(_, one)| one == mode).map_or("", |(word, _)| word);
        let _ = writeln!(text, "{index} ipv6 {word}");
    }
    whole_file::write(&run.join(NAME), text.as_bytes(), 0o644)
}

/// The lines that this program can have written; the rest is passed over.
fn parse(text: &str) -> Given {
    let mut given = Given::default();
    for line in text.lines() {
        match line.split(' ').collect::<Vec<_>>()[..] {
            [index, "address", prefix] => {
                given.addresses.extend(index.parse().ok().zip(prefix.parse().ok()));
            }
            [index, "ipv6", word] => {
                let mode = IPV6_MODES.iter().find(|(one, _)| *one == word).map(|(_, mode)| *mode);
                given.ipv6.extend(index.parse().ok().zip(mode));
            }
            [index, "route", to, metric] => given.routes.extend(route(index, to, metric, None)),
            [index, "route", to, metric, via] => {
                given.routes.extend(route(index, to, metric, Some(via)));
            }
            _ => {}
        }
    }
    given
}

fn route(index: &str, to: &str, metric: &str, via: Option<&str>) -> Option<Route> {
    let via = via.map(str::parse).transpose().ok()?;
    let mut route = Route::unicast(to.parse().ok()?, via, index.parse().ok()?);
    route.metric = Some(metric.parse().ok()?);
    Some(route)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_given_is_read_as_it_was_written() {
        let run = tempfile::tempdir().unwrap();
        assert_eq!(read(run.path()).unwrap(), Given::default());
        let text = "2 address 192.0.2.2/24\n3 address 2001:db8::2/64\n\
            2 route 0.0.0.0/0 100 192.0.2.1\n3 route 2001:db8:1::/48 7\n2 ipv6 off\n3 ipv6 static\n";
        let given = parse(text);
        assert_eq!((given.addresses.len(), given.routes.len(), given.ipv6.len()), (2, 2, 2));
        write(run.path(), &given).unwrap();
        assert_eq!(whole_file::read(&run.path().join(NAME)).unwrap().unwrap(), text);
        assert_eq!(read(run.path()).unwrap(), given);
    }

    #[test]
    fn what_is_no_such_line_is_passed_over() {
        for text in [
            "",
            "x",
            "2 address",
            "2 address x",
            "2 route 10.0.0.0/8 1 x",
            "2 route x 1",
            "2 ipv6 on",
            "x ipv6 off",
        ] {
            assert_eq!(parse(text), Given::default(), "{text}");
        }
    }
}
