//! Features for people: accounts, and logins at a terminal, which `typist` types at.

use super::{Feature, command};
use crate::arch::Arch;
use crate::ops::guest::Output;
use crate::ops::test::guest_checks::Verdict;

pub(super) const FEATURES: &[Feature] = &[
    command(
        "Password hashes are for root's eyes only, homes for their owners",
        "users-and-login.md#users-and-login",
        "stat -c '%a %U %n' /etc/shadow /home/admin",
        |_, output| is(output, "600 root /etc/shadow\n700 admin /home/admin\n"),
    ),
    command(
        "Somebody with the right password gets a session at a terminal",
        "users-and-login.md#login",
        RIGHT,
        succeeds,
    ),
    command("A wrong password is refused", "users-and-login.md#login", WRONG, succeeds),
    command(
        "After login the system, its addresses and services are shown",
        "users-and-login.md#after-login",
        GREETED,
        succeeds,
    ),
    command(
        "Logins at a terminal and refusals are in the log",
        "users-and-login.md#login",
        "svcctl logs kernel -n 1000",
        is_logged,
    ),
];

const RIGHT: &str = r#"typist --wait 60 getty --term vt100 << 'END'
see login:
type admin\r
see Password:
type secret\r
see services
type echo "<$(id -un) $HOME $TERM>"\r
see <admin /home/admin vt100>
type exit 3\r
end 3
END"#;

const WRONG: &str = r"typist --wait 60 getty --term vt100 << 'END'
see login:
type admin\r
see Password:
type sacred\r
see That is not right.
end 1
END";

const GREETED: &str = r"typist --wait 60 getty --term vt100 << 'END'
see login:
type admin\r
see Password:
type secret\r
see Linux
see 10.0.2.15 (eth0)
see up
type exit\r
end 0
END";

fn is(output: &Output, wanted: &str) -> Verdict {
    let text = output.success()?;
    if text == wanted { Ok(String::new()) } else { Err(format!("it is {text:?}")) }
}

fn succeeds(_: Arch, output: &Output) -> Verdict {
    output.success().map(|_shown| String::new())
}

fn is_logged(_: Arch, output: &Output) -> Verdict {
    let text = output.success()?;
    let wanted = ["login: admin logged in on /dev/pts/", "login: refused \"admin\" on /dev/pts/"];
    match wanted.iter().find(|line| !text.contains(**line)) {
        None => Ok(String::new()),
        Some(line) => Err(format!("no {line:?} in {} lines", text.lines().count())),
    }
}
