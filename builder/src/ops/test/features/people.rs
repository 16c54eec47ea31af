//! Features for people: accounts, and logins at a terminal, which `typist` types at.

use super::{Feature, command, says, succeeds};
use crate::arch::Arch;
use crate::ops::guest::Output;
use crate::ops::test::guest_checks::Verdict;

pub(super) const FEATURES: &[Feature] = &[
    command(
        "Password hashes are for root's eyes only, homes for their owners",
        "users-and-login.md#users-and-login",
        "stat -c '%a %U %n' /etc/shadow /home/admin",
        |_, output| says(output, "600 root /etc/shadow\n700 admin /home/admin\n"),
    ),
    command(
        "Somebody with the right password gets a session at a terminal",
        "users-and-login.md#login",
        RIGHT,
        succeeds,
    ),
    command("A wrong password is refused", "users-and-login.md#login", WRONG, succeeds),
    command(
        "After three wrong passwords the next answer has to wait, until one is right",
        "users-and-login.md#login",
        SLOWED,
        succeeds,
    ),
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
    command(
        "No program but `sudo` makes its caller root",
        "users-and-login.md#becoming-root",
        "find / -xdev -type f -perm /6000 -exec stat -c '%a %U %n' '{}' ';' && \
            stat -c '%a %U %n' /etc/sudoers",
        |_, output| says(output, "4755 root /usr/bin/sudo\n440 root /etc/sudoers\n"),
    ),
    command(
        "A member of `wheel` becomes root with a password, which counts for a while",
        "users-and-login.md#becoming-root",
        ROOT,
        succeeds,
    ),
    command(
        "Who answers with a wrong password does not become root",
        "users-and-login.md#becoming-root",
        NOT_ROOT,
        succeeds,
    ),
    command(
        "Who is no member of `wheel` does not become root",
        "users-and-login.md#becoming-root",
        OUTSIDER,
        succeeds,
    ),
    command("Everybody may ping", "network.md#tools", PINGED, succeeds),
    command(
        "What was done as root, and what was refused, is in the log",
        "users-and-login.md#becoming-root",
        "svcctl logs syslog -n 1000",
        is_root_logged,
    ),
    command(
        "People change their own password, having told the old one",
        "users-and-login.md#changing-a-password",
        OWN_PASSWORD,
        succeeds,
    ),
    command(
        "Only root changes the passwords of others, and needs no old one",
        "users-and-login.md#changing-a-password",
        OTHERS_PASSWORD,
        succeeds,
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

const PINGED: &str = r#"typist --wait 60 getty --term vt100 << 'END'
see login:
type admin\r
see Password:
type secret\r
see services
type ping -c 1 127.0.0.1 && ping -c 1 ::1 && echo "$(id -u) both"\r
see 1000 both
type exit\r
end 0
END"#;

/// How long the wait is depends on how many wrong answers came before, in other features.
const SLOWED: &str = r"wrong() { typist --wait 60 getty --term vt100 << 'END'
see login:
type admin\r
see Password:
type sacred\r
see That is not right.
end 1
END
}
right() { typist --wait 60 getty --term vt100 << 'END'
see login:
type admin\r
see Password:
type secret\r
see services
type exit\r
end 0
END
}
wrong && wrong && wrong && first=$(right) && second=$(right) || exit 1
case $first in *'Wait '*' s: wrong answers came before.'*) ;; *) exit 1;; esac
case $second in *Wait*) exit 1;; esac";

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

const ROOT: &str = r#"typist --wait 60 getty --term vt100 << 'END'
see login:
type admin\r
see Password:
type secret\r
see services
type sudo sh -c 'echo "uid-$(id -u)"'\r
see password for admin:
type secret\r
see uid-0
see $
type sudo -n -i\r
see #
type echo "<$(id -un) $HOME>"\r
see <root /root>
type exit\r
see $
type sudo -k; sudo -n id\r
see a password is required
type exit 3\r
end 3
END"#;

const NOT_ROOT: &str = r"typist --wait 60 getty --term vt100 << 'END'
see login:
type admin\r
see Password:
type secret\r
see services
type sudo -k id; exit 4\r
see password for admin:
type sacred\r
see Sorry, try again.
see password for admin:
type \r
see Sorry, try again.
see password for admin:
type sacred\r
see 3 incorrect password attempts
unseen uid=0
end 4
END";

/// The hash of this account is by SHA-512 crypt, that of the other one by yescrypt.
const OUTSIDER: &str = r"typist --wait 60 getty --term vt100 << 'END'
see login:
type visitor\r
see Password:
type secret\r
see $
type sudo id; exit 5\r
see password for visitor:
type secret\r
see user visitor is not allowed to execute
unseen uid=0
end 5
END";

/// A wrong old password, two new ones that differ, one that will do; which opens the account
/// then, and the old one does not.
const OWN_PASSWORD: &str = r"typist --wait 60 getty --term vt100 << 'END' && \
    typist --wait 60 getty --term vt100 << 'AGAIN' && stat -c '%a %U %n' /etc/shadow
see login:
type visitor\r
see Password:
type secret\r
see $
type passwd\r
see Current password:
type sacred\r
see that is not right
see $
type passwd\r
see Current password:
type secret\r
see New password:
type a longer secret\r
see The same again:
type a larger secret\r
see two different passwords
see $
type passwd\r
see Current password:
type secret\r
see New password:
type a longer secret\r
see The same again:
type a longer secret\r
see The password of visitor is changed.
see $
type exit 6\r
end 6
END
see login:
type visitor\r
see Password:
type a longer secret\r
see $
type passwd admin\r
see only root changes the passwords of others
see $
type passwd\r
see Current password:
type secret\r
see that is not right
see $
type exit 7\r
end 7
AGAIN";

/// Back to what it was, with as few characters as root likes.
const OTHERS_PASSWORD: &str = r"typist --wait 60 passwd visitor << 'END' && \
    typist --wait 60 getty --term vt100 << 'AGAIN' && svcctl logs syslog -n 5
see New password:
type secret\r
see The same again:
type secret\r
see The password of visitor is changed.
end 0
END
see login:
type visitor\r
see Password:
type secret\r
see $
type exit 8\r
end 8
AGAIN";

fn is_logged(_: Arch, output: &Output) -> Verdict {
    has_lines(
        output,
        &["login: admin logged in on /dev/pts/", "login: refused \"admin\" on /dev/pts/"],
    )
}

/// In the log that people cannot fill up, with who it was by the kernel's word.
fn is_root_logged(_: Arch, output: &Output) -> Verdict {
    has_lines(
        output,
        &[
            "notice: sudo[",
            "] (uid 1000):",
            "USER=root ; COMMAND=/usr/bin/sh -c",
            "admin : 3 incorrect password attempts ; TTY=pts/",
            "visitor : command not allowed ; TTY=pts/",
        ],
    )
}

fn has_lines(output: &Output, wanted: &[&str]) -> Verdict {
    let text = output.success()?;
    match wanted.iter().find(|line| !text.contains(**line)) {
        None => Ok(String::new()),
        Some(line) => Err(format!("no {line:?} in {} lines", text.lines().count())),
    }
}
