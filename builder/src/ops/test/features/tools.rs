//! Features of the tools: the commands people type, and `system-check`. What needs a
//! terminal is typed by `typist`, which plays one.

use std::net::TcpStream;

use super::{Feature, command, says, steps, succeeds};
use crate::arch::Arch;
use crate::error::Result;
use crate::ops::guest::{Guest, Output};
use crate::ops::test::guest_checks::Verdict;

use serde_json::Value;

pub(super) const FEATURES: &[Feature] = &[
    command(
        "resize finds out the size of the window at the end of a serial line",
        "tools.md#the-shell-and-the-line-it-is-on",
        "typist --size 0x0 --wait 60 sh -c 'resize && stty size' <<'END'\n\
         see 30 rows, 100 columns\nsee 30 100\nend 0\nEND",
        succeeds,
    ),
    command(
        "find, xargs, grep, sed, awk and sort work together",
        "tools.md#tools",
        PIPELINE,
        |_, output| says(output, "c=3 b=2 total=5\n"),
    ),
    command("tar and gzip bring a tree back as it was", "tools.md#tools", ARCHIVE, |_, output| {
        says(output, "751 one\n../a\nsame content\n")
    }),
    command(
        "ps shows PID 1 and what it runs",
        "tools.md#tools",
        "ps -p 1 -o pid=,ppid=,user=,comm= && ps -ef",
        shows_pid_1,
    ),
    command(
        "top shows processes and where the time goes",
        "tools.md#tools",
        "top -b -n1",
        shows_top,
    ),
    command("free shows the memory", "tools.md#tools", "free --json", shows_memory),
    command(
        "dmesg begins with the kernel's first words",
        "tools.md#tools",
        "dmesg",
        |_, output| {
            let text = output.success()?;
            // One architecture says who it is first, the other which processor it is on.
            let begins =
                |line: &&str| line.contains("Linux version ") || line.contains("Booting Linux on ");
            match text.lines().next().filter(begins) {
                Some(line) => Ok(line.to_owned()),
                None => Err(format!("it begins with {:?}", text.lines().next())),
            }
        },
    ),
    steps("ss shows who listens and who is connected", "network.md#tools", shows_sockets),
    command(
        "less shows a text by the screen, and searches",
        "tools.md#tools",
        "seq 1 200 > /tmp/less.txt && typist --wait 60 less /tmp/less.txt <<'END'\n\
         see 22\nunseen 100\ntype G\nsee 200\ntype g/none\\r\nsee not found: none\n\
         type /150\\r\nsee 172\ntype q\nend 0\nEND",
        succeeds,
    ),
    command(
        "The editor changes a file and saves it",
        "tools.md#tools",
        "printf 'first\\n' > /tmp/edit.txt && typist --wait 60 edit /tmp/edit.txt <<'END' && \
         cat /tmp/edit.txt\nsee first\ntype new line\\r\nsee 2:1\ntype \\x13\nsee written to\n\
         type \\x11\nend 0\nEND",
        |_, output| {
            let text = output.success()?;
            if text.ends_with("\nnew line\nfirst\n") { Ok(String::new()) } else { Err(text) }
        },
    ),
    command(
        "The system is what its image was built to be",
        "system-check.md#what-is-compared",
        "system-check --json",
        nothing_is_off,
    ),
    command(
        "system-check names files that were changed, removed, opened up and added",
        "system-check.md#what-is-compared",
        TAMPER,
        names_the_files,
    ),
    steps(
        "system-check names a service that was stopped",
        "system-check.md#what-is-compared",
        names_the_service,
    ),
    command(
        "system-check names a mount that is gone, and one of another type",
        "system-check.md#what-is-compared",
        MOUNTS,
        names_the_mounts,
    ),
];

/// Half seconds that a connection may take to arrive.
const POLLS_MAX: u32 = 120;

const PIPELINE: &str = "\
    mkdir -p /tmp/pipe/sub && cd /tmp/pipe && printf 'b 2\\nskip 9\\n' > sub/two.txt && \
    printf 'c 3\\n' > one.txt && echo d 4 > three.log && \
    find . -name '*.txt' -print0 | xargs -0 cat | grep -v '^skip' | sort -r | sed 's/ /=/' | \
    awk -F= '{ printf \"%s \", $0; total += $2 } END { print \"total=\" total }'";

const ARCHIVE: &str = "\
    mkdir -p /tmp/tar/tree/sub && cd /tmp/tar && echo one > tree/a && chmod 751 tree/a && \
    ln -s ../a tree/sub/link && seq 1 5000 > tree/big && sha256sum tree/big > sum && \
    tar czf tree.tgz tree && rm -r tree && gunzip -k tree.tgz && mkdir out && \
    tar xf tree.tar -C out && cd out && stat -c %a tree/a | tr '\\n' ' ' && cat tree/a && \
    readlink tree/sub/link && sha256sum --quiet -c ../sum && echo same content";

/// Four kinds of harm, the report, and everything as it was.
const TAMPER: &str = "\
    cp -p /usr/lib/os-release /tmp/os-release && echo tampered >> /usr/lib/os-release && \
    mv /usr/bin/xargs /usr/bin/not-xargs && chmod 4755 /usr/bin/find; \
    system-check --only files; echo status $?; \
    cat /tmp/os-release > /usr/lib/os-release && mv /usr/bin/not-xargs /usr/bin/xargs && \
    chmod 755 /usr/bin/find && system-check --only files";

/// Of the image's mounts one is unmounted, and another covered by one of another type.
const MOUNTS: &str = "\
    svcctl stop mount-shown > /dev/null && mount -t tmpfs none /data; \
    system-check --only mounts; echo status $?; \
    umount /data && svcctl start mount-shown > /dev/null && system-check --only mounts";

fn shows_pid_1(_: Arch, output: &Output) -> Verdict {
    let text = output.success()?;
    let first: Vec<&str> = text.lines().next().unwrap_or_default().split_whitespace().collect();
    if first != ["1", "0", "root", "init"] {
        return Err(format!("PID 1 is {first:?}"));
    }
    // The kernel's threads, and at least the log collector with its command line.
    let has = |wanted: &str| text.lines().any(|line| line.ends_with(wanted));
    match has("[kthreadd]") && has("/usr/sbin/logd") && has("ps -ef") {
        true => Ok(format!("{} processes", text.lines().count() - 2)),
        false => Err(text),
    }
}

fn shows_top(_: Arch, output: &Output) -> Verdict {
    let text = output.success()?;
    let begins =
        |at: usize, with: &str| text.lines().nth(at).is_some_and(|line| line.starts_with(with));
    let is_whole = begins(0, "top - up ") && begins(1, "Tasks: ") && begins(2, "%Cpu(s): ");
    let has_init = text.lines().any(|line| line.trim_start().starts_with("1 root"));
    if is_whole && has_init {
        Ok(text.lines().nth(2).unwrap_or_default().to_owned())
    } else {
        Err(text)
    }
}

fn shows_memory(_: Arch, output: &Output) -> Verdict {
    let value = json(&output.success()?)?;
    let number = |key: &str| value[key].as_u64().ok_or_else(|| format!("no {key} in {value}"));
    let (total, used) = (number("total_bytes")?, number("used_bytes")?);
    if used > 0 && used < total {
        Ok(format!("{} MiB used", used >> 20))
    } else {
        Err(value.to_string())
    }
}

/// A client that says nothing is connected to the SSH server from outside meanwhile.
fn shows_sockets(guest: &mut Guest, _: Arch) -> Result<Verdict> {
    let address = guest.published(22)?;
    let Ok(_client) = TcpStream::connect(address) else {
        return Ok(Err(format!("nobody is at {address}")));
    };
    let mut missing = Vec::new();
    for _ in 0..POLLS_MAX {
        let text = guest.read("ss -tuap --json")?;
        missing = match json(&text) {
            Ok(sockets) => missing_sockets(&sockets),
            Err(error) => return Ok(Err(error)),
        };
        if missing.is_empty() {
            return Ok(Ok(String::new()));
        }
        guest.read("sleep 0.5")?;
    }
    Ok(Err(format!("no {} in {}", missing.join(", no "), guest.read("ss -tuap")?)))
}

fn missing_sockets(sockets: &Value) -> Vec<&'static str> {
    let is_there = |&(_, netid, state, address, port, program): &Wanted| {
        sockets.as_array().into_iter().flatten().any(|socket| {
            let is_at = address.is_empty() || socket["local"]["address"] == address;
            let owners = socket["processes"].as_array().into_iter().flatten();
            let is_connected = socket["peer"]["port"].as_u64().is_some();
            is_at
                && socket["netid"] == netid
                && socket["state"] == state
                && socket["local"]["port"] == port
                && is_connected == (state == "ESTAB")
                && owners.into_iter().any(|owner| owner["name"] == program)
        })
    };
    WANTED.iter().filter(|wanted| !is_there(wanted)).map(|wanted| wanted.0).collect()
}

/// What it is, kind, state, address (`""` is any), port, and the program that has it.
type Wanted = (&'static str, &'static str, &'static str, &'static str, u16, &'static str);

const WANTED: [Wanted; 4] = [
    ("SSH server", "tcp", "LISTEN", "", 22, "sshd"),
    ("SSH connection", "tcp", "ESTAB", "", 22, "sshd"),
    ("resolver by UDP", "udp", "UNCONN", "127.0.0.53", 53, "dnsd"),
    ("resolver by TCP", "tcp", "LISTEN", "127.0.0.53", 53, "dnsd"),
];

/// Services that misbehave for other checks may be down; nothing else may be off.
fn nothing_is_off(_: Arch, output: &Output) -> Verdict {
    let value = json(&output.text())?;
    let findings = value["findings"].as_array().ok_or("no findings")?;
    let is_of_tests = |finding: &&Value| {
        finding["part"] == "service"
            && finding["subject"].as_str().is_some_and(|name| name.starts_with("test-"))
    };
    let off: Vec<String> =
        findings.iter().filter(|finding| !is_of_tests(finding)).map(Value::to_string).collect();
    let files = value["looked_at"]["files"].as_u64().unwrap_or(0);
    if off.is_empty() && files > 100 {
        Ok(value["looked_at"].to_string())
    } else {
        Err(off.join("; "))
    }
}

fn has_all(output: &Output, wanted: &[&str]) -> Verdict {
    let text = output.success()?;
    let missing: Vec<&&str> = wanted.iter().filter(|wanted| !text.contains(**wanted)).collect();
    if missing.is_empty() { Ok(String::new()) } else { Err(format!("{missing:?} not in: {text}")) }
}

fn names_the_files(_: Arch, output: &Output) -> Verdict {
    has_all(
        output,
        &[
            "file /usr/lib/os-release: its content is not that of the image",
            "file /usr/bin/xargs: it is missing",
            "file /usr/bin/find: its mode is 4755, not 0755",
            "file /usr/bin/not-xargs: it is not of the image",
            "4 things are off",
            "status 1",
            "nothing is off",
        ],
    )
}

fn names_the_service(guest: &mut Guest, _: Arch) -> Result<Verdict> {
    guest.read("svcctl stop test-steady")?;
    let output = guest.run("system-check --only services")?;
    guest.read("svcctl start test-steady")?;
    let text = output.text();
    let line = text.lines().find(|line| line.starts_with("service test-steady: it is stopped"));
    Ok(match line.filter(|_| output.status == 1) {
        Some(line) => Ok(line.to_owned()),
        None => Err(text),
    })
}

fn names_the_mounts(_: Arch, output: &Output) -> Verdict {
    has_all(
        output,
        &[
            "mount /data: it is tmpfs, not ext4",
            "mount /shown: nothing is mounted there",
            "2 things are off",
            "status 1",
            "nothing is off",
        ],
    )
}

fn json(text: &str) -> std::result::Result<Value, String> {
    serde_json::from_str(text).map_err(|error| format!("no JSON ({error}): {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_that_are_not_there_are_named() {
        let socket = |netid, state, address, port, peer: Value, program| {
            serde_json::json!({
                "netid": netid, "state": state, "local": { "address": address, "port": port },
                "peer": peer, "processes": [{ "name": program, "pid": 9, "fd": 3 }],
            })
        };
        let peer = || serde_json::json!({ "address": "10.0.2.2", "port": 40000 });
        let all = [
            socket("tcp", "LISTEN", "::", 22, Value::Null, "sshd"),
            socket("tcp", "ESTAB", "10.0.2.15", 22, peer(), "sshd"),
            socket("udp", "UNCONN", "127.0.0.53", 53, Value::Null, "dnsd"),
            socket("tcp", "LISTEN", "127.0.0.53", 53, Value::Null, "dnsd"),
        ];
        assert_eq!(missing_sockets(&all.iter().cloned().collect()), [""; 0]);
        for (index, wanted) in WANTED.iter().enumerate() {
            let mut less = all.to_vec();
            less[index]["processes"] = Value::Array(Vec::new());
            assert_eq!(missing_sockets(&Value::from(less)), [wanted.0]);
        }
        let somewhere_else = socket("udp", "UNCONN", "0.0.0.0", 53, Value::Null, "dnsd");
        let mut other = all.to_vec();
        other[2] = somewhere_else;
        assert_eq!(missing_sockets(&Value::from(other)), ["resolver by UDP"]);
        assert_eq!(missing_sockets(&Value::Null).len(), WANTED.len());
    }

    #[test]
    fn judges_tell_right_from_wrong() {
        type Judge = fn(Arch, &Output) -> Verdict;
        let ps = "    1     0 root     init\nUID PID\nroot 2 [kthreadd]\nlog 30 /usr/sbin/logd\n\
                  root 40 ps -ef\n";
        let top = "top - up 0:01\nTasks: 1 total\n%Cpu(s): 1.0 us\n\n      1 root init\n";
        let off = r#"{"looked_at": {"files": 300}, "findings": [
            {"part": "file", "subject": "/usr/x", "message": "it is missing"}]}"#;
        let well = r#"{"looked_at": {"files": 300}, "findings": [
            {"part": "service", "subject": "test-crash", "message": "it is failed"}]}"#;
        let cases: [(Judge, u8, &str, bool); 12] = [
            (shows_pid_1, 0, ps, true),
            (shows_pid_1, 0, "1 0 root systemd\n", false),
            (shows_pid_1, 0, "1 0 root init\n", false),
            (shows_top, 0, top, true),
            (shows_top, 0, "top - up 0:01\n", false),
            (shows_memory, 0, r#"{"total_bytes": 9, "used_bytes": 3}"#, true),
            (shows_memory, 0, r#"{"total_bytes": 9, "used_bytes": 0}"#, false),
            (nothing_is_off, 1, well, true),
            (nothing_is_off, 1, off, false),
            (nothing_is_off, 0, r#"{"looked_at": {"files": 0}, "findings": []}"#, false),
            (names_the_files, 0, "nothing is off", false),
            (names_the_mounts, 0, "status 1\nnothing is off", false),
        ];
        for (judge, status, text, is_well) in cases {
            let verdict = judge(Arch::X86_64, &Output { status, ..Output::of(text) });
            assert_eq!(verdict.is_ok(), is_well, "{text}: {verdict:?}");
        }
    }
}
