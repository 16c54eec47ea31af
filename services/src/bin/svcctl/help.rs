//! What `svcctl --help` and `svcctl COMMAND --help` say.

/// What can be explained: the whole, and each command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Topic {
    Overview,
    List,
    Status,
    Start,
    Stop,
    Restart,
    Logs,
    Why,
    Check,
    Notify,
    PowerOff,
    Reboot,
    Halt,
}

const TOPICS: [(Topic, &str, &str); 13] = [
    (Topic::Overview, "help", OVERVIEW),
    (Topic::List, "list", LIST),
    (Topic::Status, "status", STATUS),
    (Topic::Start, "start", START),
    (Topic::Stop, "stop", STOP),
    (Topic::Restart, "restart", RESTART),
    (Topic::Logs, "logs", LOGS),
    (Topic::Why, "why", WHY),
    (Topic::Check, "check", CHECK),
    (Topic::Notify, "notify", NOTIFY),
    (Topic::PowerOff, "poweroff", POWER_OFF),
    (Topic::Reboot, "reboot", REBOOT),
    (Topic::Halt, "halt", HALT),
];

impl Topic {
    /// The topic of a command's word.
    pub(crate) fn find(word: &str) -> Option<Self> {
        TOPICS.iter().find(|(_, candidate, _)| *candidate == word).map(|(topic, ..)| *topic)
    }

    /// The words of all commands.
    pub(crate) fn words() -> impl Iterator<Item = &'static str> {
        TOPICS.iter().map(|(_, word, _)| *word)
    }

    /// The command's word.
    pub(crate) fn word(self) -> &'static str {
        TOPICS.iter().find(|(topic, ..)| *topic == self).map_or("", |(_, word, _)| word)
    }

    /// The help text.
    pub(crate) fn text(self) -> &'static str {
        TOPICS.iter().find(|(topic, ..)| *topic == self).map_or("", |(_, _, text)| text)
    }
}

const OVERVIEW: &str = "\
Shows and changes what PID 1 supervises.

Usage: svcctl [OPTIONS] COMMAND [ARGUMENTS]

Look:
  list                    every service in a line
  status NAME…            everything about services
  why NAME                why a service is as it is, and what to do about it
  logs NAME [-f] [-n N]   what a service has printed
  check [FILE…|DIR…]      look for mistakes in service descriptions

Change:
  start NAME…             bring services up, with what they require
  stop NAME…              take services down, with what requires them
  restart NAME…           take services down and bring them up again

From a service's own script:
  notify --ready          the service is ready

End:
  poweroff, reboot, halt  take the whole system down in order

Options:
      --json              print JSON, for programs
      --socket PATH       PID 1's control socket [default: /run/init/control]
      --log-directory DIR where the logs are [default: /run/log]
  -h, --help              this text, or a command's: `svcctl why --help`
  -V, --version           the version

Exit codes:
  0  done
  1  the operation failed
  2  the command line is wrong
  4  there is no service of that name

Examples:
  svcctl list
  svcctl why web
  svcctl restart web && svcctl logs web -f
  svcctl --json list | jq '.[] | select(.state == \"failed\") | .name'
";

const LIST: &str = "\
Shows every service in a line: name, state, for how long, process id, and what
it is; for a service that is not up, why it is not.

Usage: svcctl list [--json]

States:
  stopped    down, and nobody wants it up
  waiting    wanted up, but something must happen first
  starting   its process is being created
  running    its program runs but is not ready yet; a oneshot is at work
  ready      up
  stopping   on its way down
  backoff    ended; PID 1 starts it again in a moment
  failed     down until a person does something: `svcctl why NAME`
  completed  up: a oneshot that has done its work

Examples:
  svcctl list
  svcctl --json list | jq -r '.[].name'
";

const STATUS: &str = "\
Shows everything about services: state, process, command, what they require and
what requires them, and their last changes of state.

Usage: svcctl status NAME… [--json]

The exit code says whether the services exist, not whether they are up.

Examples:
  svcctl status logd
  svcctl --json status logd | jq '.[0].restarts'
";

const START: &str = "\
Brings services up, each with all that it requires, and waits until they are.

Usage: svcctl start NAME…

Services are started in the order given, and all are reported. What conflicts
with one of them is taken down first, and named. A start begins a new count for
the start limit. Ctrl-C ends the waiting, not the start.

With --json an array has an entry for each name: the `service`, or for a name
about which PID 1 could say nothing `name` and `error`.

Examples:
  svcctl start web
  svcctl start db web || svcctl why web
";

const STOP: &str = "\
Takes services down, each with all that require it, and waits until no process
of theirs is left.

Usage: svcctl stop NAME…

Those that went down with it are named. What does not end by itself within its
stop timeout is killed with all its children. Ctrl-C ends the waiting, not the
stop.

Examples:
  svcctl stop web
";

const RESTART: &str = "\
Takes services down and brings them up again, with those that require them, and
waits until they are up.

Usage: svcctl restart NAME…

A service that was down is started. Ctrl-C ends the waiting, not the restart.

Examples:
  svcctl restart web
";

const LOGS: &str = "\
Shows what a service has printed, oldest first, each line with the time at which
it was read.

Usage: svcctl logs NAME [-f] [-n N]

Options:
  -f, --follow   go on showing new lines until Ctrl-C
  -n, --lines N  only the last N lines

Four names are always there: `kernel` for the kernel's messages, `init` for what
PID 1 did, `syslog` for what programs with root's rights say to syslog(3), and
`syslog-users` for what others do. Logs are bounded and do not survive a reboot.

Examples:
  svcctl logs web -n 20
  svcctl logs init -f
";

const WHY: &str = "\
Explains why a service is as it is: its state and the reason, the services it
waits for or failed with, what happened to it, the last lines of its log if it
failed, and what to do about it.

Usage: svcctl why NAME

Examples:
  svcctl why web
  svcctl --json why web | jq -r '.chain[-1].name'
";

const CHECK: &str = "\
Looks for mistakes in service descriptions, with the code that PID 1 uses, and
without PID 1: misspelt keys, wrong values, services that require something
that is not there, cycles.

Usage: svcctl check [FILE…|DIR…]

Without arguments it checks what PID 1 reads: /usr/lib/services.d, overridden by
/etc/services.d. Of the given files and directories, later ones override earlier
ones of the same name; what is not of a directory elsewhere is checked as a part
of this system, whose other services are then known.

Users, groups and programs that this system lacks are said too, except of
directories of another system. Exit code 1 if something keeps a service from
running. Warnings do not count: a program may not be mounted yet, a file that is
given by name may be for another system, and one of a directory may be for root
alone to read.

Examples:
  svcctl check
  svcctl check /usr/lib/services.d web.toml
";

const NOTIFY: &str = "\
Tells PID 1 about the service that it is called from: that it is ready, as its
description's `readiness = \"notify\"` asks for, or how it fares. Any process of
the service may call it, and any user.

Usage: svcctl notify [--ready] [--status TEXT]

Options:
      --ready        the service is ready
      --status TEXT  a line for `svcctl status`

It sends READY=1 and STATUS=TEXT to $NOTIFY_SOCKET, as sd_notify(3) says, and
ends when PID 1 has taken them, or fails after 5 seconds.

Examples:
  svcctl notify --ready --status \"3 peers\"
";

const POWER_OFF: &str = "\
Stops all services in order, writes everything to the disks and powers off.

Usage: svcctl poweroff
       poweroff
";

const REBOOT: &str = "\
Stops all services in order, writes everything to the disks and starts again.

Usage: svcctl reboot
       reboot
";

const HALT: &str = "\
Stops all services in order, writes everything to the disks and stops the
processor; the machine stays on.

Usage: svcctl halt
       halt
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_in_the_overview_and_every_text_fits_a_screen() {
        for (_, word, text) in TOPICS {
            assert!(word == "help" || OVERVIEW.contains(word), "{word}");
            assert!(text.contains("Usage: svcctl"), "{word}");
            for line in text.lines() {
                assert!(line.chars().count() <= 80, "{word}: {line}");
            }
        }
    }
}
