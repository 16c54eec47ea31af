//! The environment every program starts with, and the host's name.

use crate::errno::explain;
use crate::{files, log};

/// What PID 1 gives to everything it starts. PID 1's own environment, which
/// holds whatever the boot loader had for the kernel, is passed to nobody.
pub(crate) const BASE: [&str; 5] =
    ["PATH=/bin:/sbin:/usr/bin:/usr/sbin", "HOME=/root", "USER=root", "LOGNAME=root", "TERM=linux"];

/// Sets the host's name from `/etc/hostname`; without that file it stays the kernel's.
pub(crate) fn set_hostname() {
    let Ok(text) = files::read_text("/etc/hostname") else { return };
    let Some(name) = hostname(&text) else { return };
    if let Err(errno) = rustix::system::sethostname(name.as_bytes()) {
        log::warning(format_args!("cannot set the host name {name:?}: {}", explain(errno)));
    }
}

/// The first line that is neither empty nor a comment (hostname(5)).
fn hostname(text: &str) -> Option<&str> {
    text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_name_is_the_first_line_that_says_something() {
        assert_eq!(hostname("# a comment\n\n  box \nother\n"), Some("box"));
        assert_eq!(hostname("\n# nothing\n"), None);
    }
}
