//! The keys of a service description: one table for the parser's
//! suggestions, the documentation's test and anyone who lists them.

/// One key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Key {
    /// Its full name; keys of a table are written `table.key`.
    pub name: &'static str,
    /// What its value looks like.
    pub value: &'static str,
    /// What counts where it is absent, as it would be written.
    pub default: &'static str,
    /// What it says, in one line.
    pub doc: &'static str,
}

/// Every key, in the order of `docs/service-description.md`.
pub const KEYS: &[Key] = &[
    key("description", "string", "\"\"", "one line for people"),
    key("command", "list of strings", "none: must be given", "program and arguments, no shell"),
    key("type", "\"daemon\" | \"oneshot\"", "\"daemon\"", "whether it stays or ends"),
    key("autostart", "bool", "true", "whether it starts at boot"),
    key("log-collector", "bool", "false", "whether it receives the output of the others"),
    key("requires", "list of services", "[]", "started first; if one is not up, this is not up"),
    key("wants", "list of services", "[]", "started first when that is possible"),
    key("after", "list of services", "[]", "order only, if both start"),
    key("conflicts", "list of services", "[]", "cannot be up while this one is"),
    key(
        "readiness",
        "\"started\" | \"notify\" | \"exit\"",
        "\"started\"; \"exit\" for a oneshot",
        "what makes it ready",
    ),
    key(
        "restart",
        "\"always\" | \"on-failure\" | \"never\"",
        "\"on-failure\"",
        "what follows when it ends by itself",
    ),
    key("restart-delay", "duration", "\"200ms\"", "pause before a restart; failures double it"),
    key("restart-delay-max", "duration", "\"30s\"", "where the doubling ends"),
    key(
        "start-limit",
        "{ count, within }",
        "{ count = 5, within = \"10s\" }",
        "more starts than this are a failure for good",
    ),
    key("start-limit.count", "1 to 1000", "5", "how many starts are allowed"),
    key("start-limit.within", "duration", "\"10s\"", "in what span of time"),
    key("start-timeout", "duration | \"infinity\"", "\"30s\"", "longest time from start to ready"),
    key("stop-timeout", "duration", "\"10s\"", "longest time from stop signal to SIGKILL"),
    key("stop-signal", "signal name", "\"SIGTERM\"", "asks the main process to end"),
    key("user", "name | number", "root", "user to run as"),
    key("group", "name | number", "the user's group", "group to run as"),
    key("environment", "{ NAME = \"value\" }", "{}", "variables beyond those of PID 1"),
    key("working-directory", "absolute path", "\"/\"", "directory to start in"),
    key("umask", "octal digits", "\"0022\"", "permissions that new files do not get"),
    key("nice", "-20 to 19", "0", "less processor time than others, or more"),
    key("oom-score-adjust", "-1000 to 1000", "0", "whom the kernel kills first without memory"),
    key(
        "output",
        "\"log\" | \"console\" | \"null\"",
        "\"log\"; \"console\" for the log collector",
        "where standard output and error go",
    ),
    key("terminal", "path under /dev | \"console\"", "none", "its controlling terminal"),
    key("limits", "table", "none", "resource limits"),
    key("limits.memory-max", "size", "none", "memory of all its processes"),
    key("limits.tasks-max", "1 or more", "none", "processes and threads it may have"),
    key("limits.open-files", "number | \"unlimited\"", "none", "file descriptors of a process"),
    key("limits.core", "size | \"unlimited\"", "none", "size of a core dump"),
    key("limits.stack", "size | \"unlimited\"", "none", "stack of a process"),
    key("limits.address-space", "size | \"unlimited\"", "none", "virtual memory of a process"),
    key("limits.cpu-time", "duration | \"unlimited\"", "none", "processor time of a process"),
    key("limits.file-size", "size | \"unlimited\"", "none", "largest file it may write"),
    key("limits.locked-memory", "size | \"unlimited\"", "none", "memory it may lock"),
    key("limits.processes", "number | \"unlimited\"", "none", "processes of its user"),
];

const fn key(
    name: &'static str,
    value: &'static str,
    default: &'static str,
    doc: &'static str,
) -> Key {
    Key { name, value, default, doc }
}

/// The keys of one table, without its name; `""` is the file itself.
pub(super) fn keys_of(table: &str) -> impl Iterator<Item = &'static str> {
    KEYS.iter().filter_map(move |key| match key.name.split_once('.') {
        Some((prefix, rest)) => (prefix == table).then_some(rest),
        None => table.is_empty().then_some(key.name),
    })
}
