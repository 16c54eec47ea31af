//! `/etc/time.toml`; `docs/names-and-time.md` has every key.

use std::path::Path;
use std::time::Duration;

use init_core::diagnostic::Finding;
use services::config_file::{self, Reader, Section};
use services::network::ntp::PORT;
use services::problem::Result;

const KEYS: [&str; 4] = ["servers", "poll-min", "poll-max", "step-threshold"];
/// Most servers: more do not make the time better.
const SERVERS_MAX: usize = 8;

/// Whom to ask and how.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Settings {
    /// Names or addresses, and ports.
    pub(crate) servers: Vec<(String, u16)>,
    /// Shortest and longest pause between questions.
    pub(crate) poll_min: Duration,
    pub(crate) poll_max: Duration,
    /// Offset from which on the clock is set at once, after the start as well.
    pub(crate) step_threshold: Duration,
}

/// Reads the file.
///
/// # Errors
/// It cannot be read, or everything that is wrong with it.
pub(crate) fn load(path: &Path) -> Result<Settings> {
    let text = config_file::load(path)?;
    parse(&path.display().to_string(), &text).map_err(|findings| config_file::problem(&findings))
}

/// Reads the settings in `text`, the content of `file`.
///
/// # Errors
/// Everything that is wrong.
fn parse(file: &str, text: &str) -> std::result::Result<Settings, Vec<Finding>> {
    config_file::parse(file, text, "docs/names-and-time.md", read)
}

fn read<'t>(reader: &mut Reader<'t>, root: &Section<'t>) -> Settings {
    reader.check_keys(root, &KEYS);
    let hint = "such as servers = [\"192.0.2.1\", \"time.example\"]";
    let given = reader.at_least_one(root, "servers", hint);
    if given.len() > SERVERS_MAX {
        reader.report(root.span_of("servers"), format!("more than {SERVERS_MAX} servers"));
    }
    let mut servers = Vec::new();
    for (text, span) in given {
        match server(text) {
            Some(server) => servers.push(server),
            None => reader.report_hint(
                span,
                format!("{text:?} is no server"),
                "a name or an address; with a port \"time.example:123\" or \"[2001:db8::1]:123\"",
            ),
        }
    }
    let seconds = Duration::from_secs;
    let (least, most) = (seconds(16), seconds(36 * 3600));
    let poll_min = reader.duration_within(root, "poll-min", least, most).unwrap_or(seconds(64));
    let poll_max = reader.duration_within(root, "poll-max", least, most);
    let poll_max = poll_max.unwrap_or(seconds(1024).max(poll_min));
    if poll_max < poll_min {
        reader.report(root.span_of("poll-max"), "\"poll-max\" is shorter than \"poll-min\"");
    }
    // What the kernel takes away by itself is at most half a second.
    let (least, half) = (Duration::from_millis(10), Duration::from_millis(500));
    let step_threshold =
        reader.duration_within(root, "step-threshold", least, half).unwrap_or(half);
    Settings { servers, poll_min, poll_max, step_threshold }
}

fn server(text: &str) -> Option<(String, u16)> {
    if text.parse::<std::net::Ipv6Addr>().is_ok() {
        return Some((text.to_owned(), PORT));
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().ok().filter(|port| *port > 0)?),
        None => (text, PORT),
    };
    let host = host.strip_prefix('[').map_or(Some(host), |host| host.strip_suffix(']'))?;
    let is_host = (1..=253).contains(&host.len())
        && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:".contains(&byte));
    is_host.then(|| (host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_have_defaults_and_bounds() {
        let settings = parse("f", "servers = [\"a.example\", \"[::1]:99\", \"::2\"]\n").unwrap();
        let servers = [("a.example", 123), ("::1", 99), ("::2", 123)];
        assert_eq!(settings.servers, servers.map(|(host, port)| (host.to_owned(), port)));
        assert_eq!((settings.poll_min.as_secs(), settings.poll_max.as_secs()), (64, 1024));
        for (text, message) in [
            ("", "\"servers\" is missing"),
            ("servers = \"a b\"", "\"a b\" is no server"),
            ("servers = \"a:0\"", "\"a:0\" is no server"),
            ("servers = \"a\"\npoll-min = \"1s\"", "\"poll-min\" is from 16s to 129600s"),
            (
                "servers = \"a\"\npoll-min = \"2h\"\npoll-max = \"1h\"",
                "\"poll-max\" is shorter than \"poll-min\"",
            ),
            (
                "servers = \"a\"\nstep-threshold = \"1s\"",
                "\"step-threshold\" is from 10ms to 500ms",
            ),
            ("servers = \"a\"\nserver = 1", "unknown key \"server\""),
        ] {
            let findings = parse("f", text).unwrap_err();
            assert_eq!(findings[0].message, message, "{text}");
        }
    }

    #[test]
    fn a_file_without_servers_is_shown_some() {
        for (text, wrong) in [("", "is missing"), ("servers = []", "is an empty list")] {
            let [finding] = parse("f", text).unwrap_err().try_into().unwrap();
            assert_eq!(finding.message, format!("\"servers\" {wrong}"));
            assert!(finding.hint.unwrap().starts_with("such as servers = ["), "{text}");
        }
    }

    #[test]
    fn the_page_has_every_key() {
        let page = include_str!("../../../../docs/names-and-time.md");
        for key in KEYS {
            assert!(page.contains(&format!("| `{key}` |")), "{key}");
        }
    }
}
