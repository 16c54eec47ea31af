//! Features of the images that take Debian packages: `runtime` and `busybox`.

use serde_json::Value;

use super::{Feature, image};
use crate::arch::Arch;
use crate::cache::Cache;
use crate::definition;
use crate::error::{IoContext, Result};
use crate::image::check;
use crate::image::packages::Access;
use crate::kernel::source::SourceRequest;
use crate::ops::guest::Guest;
use crate::ops::test::guest_checks::{Verdict, json, wait_for};
use crate::project::Project;
use crate::shell::Shell;

const PATHS: &str = "packages.md#what-is-taken";
const SERVICES: &str = "packages.md#programs-as-services";
const I386: &str = "packages.md#32-bit-programs";
const COMMANDS: &str = "packages.md#busybox";
const RUNTIME: &str = "runtime";
const BUSYBOX: &str = "busybox";

pub(super) const FEATURES: &[Feature] = &[
    image("Debian's Python runs with Debian's C library", PATHS, RUNTIME, python_runs),
    image(
        "A Debian program is a supervised service, ready once it serves",
        SERVICES,
        RUNTIME,
        serves,
    ),
    image(
        "It runs as a user of its own, whom the definition describes",
        SERVICES,
        RUNTIME,
        own_user,
    ),
    image("It comes back when it was killed", SERVICES, RUNTIME, comes_back),
    image("A 32-bit program runs with its own loader and libraries", I386, RUNTIME, runs_32_bit)
        .only(&[Arch::X86_64]),
    image(
        "Without one library check names program and library",
        PATHS,
        RUNTIME,
        missing_library_is_named,
    ),
    image(
        "Every command of busybox is there under its name",
        COMMANDS,
        BUSYBOX,
        every_applet_is_linked,
    ),
    image("Every command of busybox runs", COMMANDS, BUSYBOX, every_applet_runs),
    image(
        "A shell waits on busybox's console, and comes back",
        COMMANDS,
        BUSYBOX,
        shell_comes_back,
    ),
    image("It greets with name, kernel, memory and address", COMMANDS, BUSYBOX, greeting),
];

/// Prints its version and the files that it is made of.
const PYTHON: &str = "python3 -c 'import ssl, sys, decimal, json; print(sys.version); \
    print(ssl.OPENSSL_VERSION); print(open(\"/proc/self/maps\").read())'";

fn python_runs(guest: &mut Guest, arch: Arch) -> Result<Verdict> {
    Ok(python(arch, &guest.read(PYTHON)?))
}

fn python(arch: Arch, text: &str) -> Verdict {
    let mut lines = text.lines();
    let version =
        format!("Python {}, {}", lines.next().unwrap_or("?"), lines.next().unwrap_or("?"));
    for library in ["libc.so.6", "libssl.so.3"] {
        let path = format!("/usr/lib/{arch}-linux-gnu/{library}");
        if !text.contains(&path) {
            return Err(format!("{path} is not mapped: {text}"));
        }
    }
    Ok(version)
}

/// Asks the service for its page as a client would.
const GET: &str = "python3 -c 'import urllib.request as u; \
    print(u.urlopen(\"http://127.0.0.1:8080/\", timeout=30).read().decode())'";

fn serves(guest: &mut Guest, _: Arch) -> Result<Verdict> {
    let status = match wait_for(guest, "status", |status| status["state"] == "ready")? {
        Ok(status) => status,
        Err(why) => return Ok(Err(why)),
    };
    if status["state"] != "ready" {
        return Ok(Err(format!("it is {}: {}", status["state"], status["reason"])));
    }
    let page = guest.read(GET)?;
    let kernel = guest.read("uname -r")?;
    Ok(json(&page).and_then(|page| told_state(&page, kernel.trim())))
}

fn told_state(page: &Value, kernel: &str) -> Verdict {
    let memory_kib = page["memory_kib"].as_u64().unwrap_or(0);
    let has_state = page["host"] == RUNTIME && page["kernel"] == kernel && memory_kib > 0;
    let shown = page.to_string();
    if has_state { Ok(shown) } else { Err(shown) }
}

fn own_user(guest: &mut Guest, _: Arch) -> Result<Verdict> {
    let status = wait_for(guest, "status", |status| status["state"] == "ready")?;
    let Some(pid) = status.as_ref().ok().and_then(pid_of) else {
        return Ok(Err(format!("it has no process: {status:?}")));
    };
    let ids = guest.read(&format!("cat /proc/{pid}/status"))?;
    let is_own = |name: &str| {
        let line = ids.lines().find_map(|line| line.strip_prefix(name));
        line.is_some_and(|line| line.split_whitespace().all(|id| id == "900"))
    };
    Ok(if is_own("Uid:") && is_own("Gid:") { Ok("900:900".into()) } else { Err(ids) })
}

fn pid_of(status: &Value) -> Option<u64> {
    status["pid"].as_u64()
}

fn comes_back(guest: &mut Guest, _: Arch) -> Result<Verdict> {
    let before = wait_for(guest, "status", |status| status["state"] == "ready")?;
    let Some(pid) = before.as_ref().ok().and_then(pid_of) else {
        return Ok(Err(format!("it does not run: {before:?}")));
    };
    guest.read(&format!("kill -KILL {pid}"))?;
    let is_back = |status: &Value| status["state"] == "ready" && pid_of(status) != Some(pid);
    let after = wait_for(guest, "status", is_back)?;
    if !after.as_ref().is_ok_and(is_back) {
        return Ok(Err(format!("it is not back: {after:?}")));
    }
    guest.read(GET)?;
    Ok(Ok(String::new()))
}

/// Its class in its header: 1 is `ELFCLASS32` (elf(5)).
const HELLO: &str = "python3 -c 'print(open(\"/usr/bin/hello\", \"rb\").read()[4])' && hello";

fn runs_32_bit(guest: &mut Guest, _: Arch) -> Result<Verdict> {
    let text = guest.read(HELLO)?;
    Ok(match text.lines().collect::<Vec<_>>()[..] {
        ["1", greeting] => Ok(greeting.to_owned()),
        _ => Err(text),
    })
}

/// Checks the image without one library of its tree, as a person would who took it out.
fn missing_library_is_named(_: &mut Guest, arch: Arch) -> Result<Verdict> {
    let project = Project::find()?;
    let scratch = std::env::temp_dir();
    let directory = tempfile::tempdir_in(&scratch).at("create a directory in", &scratch)?;
    let path = directory.path().join("without.toml");
    let base = project.images().join(RUNTIME);
    let text = format!(
        "inherit = [\"{}.toml\"]\n[[package]]\nname = \"libexpat1\"\n\
         paths = [\"!/usr/lib/*/libexpat.so*\"]\n",
        base.display()
    );
    std::fs::write(&path, text).at("write", &path)?;
    let lock = path.with_extension("lock");
    let locked = base.with_extension("lock");
    let text = std::fs::read_to_string(&locked).at("read", &locked)?;
    std::fs::write(&lock, promoted(&text, "libexpat1")).at("write", &lock)?;
    let image = definition::load(&project, &path.display().to_string())?;
    let access = Access { is_offline: true, is_locked: true };
    let (shell, cache) = (Shell::new(true), Cache::open()?);
    let source = SourceRequest::from_environment(None, true, false);
    let report = check::check(&shell, &cache, &project, &image, arch, source, access)?;
    let wanted = "/usr/bin/python3.11 needs the library libexpat.so.1";
    let found = report.problems.iter().find(|problem| problem.starts_with(wanted));
    Ok(match found {
        Some(problem) => Ok(problem.lines().next().unwrap_or_default().to_owned()),
        None => Err(format!("{:?}, not checked: {:?}", report.problems, report.skipped)),
    })
}

/// A lock file in which a dependency is a named package.
fn promoted(lock: &str, name: &str) -> String {
    let entries = lock.split("[[package]]").map(|entry| {
        match entry.contains(&format!("name = \"{name}\"")) {
            true => entry.replace("\"dependency\"", "\"named\""),
            false => entry.to_owned(),
        }
    });
    entries.collect::<Vec<_>>().join("[[package]]")
}

/// What `busybox --list` names and the image has from elsewhere, or not at all:
/// what is PID 1's and svcctl's to do, and the program itself.
const NOT_LINKED: [&str; 6] = ["busybox", "halt", "init", "linuxrc", "poweroff", "reboot"];

/// Every command with where its link leads.
const LINKS: &str = "for name in $(busybox --list); do echo \"$name $(readlink -f /bin/$name)\"; done; \
    for link in /bin/*; do echo \"- $(basename $link)\"; done";

fn every_applet_is_linked(guest: &mut Guest, _: Arch) -> Result<Verdict> {
    Ok(linked(&guest.read(LINKS)?))
}

fn linked(text: &str) -> Verdict {
    let mut wrong = Vec::new();
    let mut names = Vec::new();
    let (links, applets): (Vec<&str>, Vec<&str>) =
        text.lines().partition(|line| line.starts_with("- "));
    for line in applets {
        let (name, target) = line.split_once(' ').unwrap_or((line, ""));
        names.push(name);
        let is_right = match NOT_LINKED.contains(&name) {
            true => name == "busybox" || target != "/usr/bin/busybox",
            false => target == "/usr/bin/busybox",
        };
        if !is_right {
            wrong.push(format!("{name} is {target:?}"));
        }
    }
    if names.len() < 200 {
        wrong.push(format!("busybox tells only {} commands", names.len()));
    }
    let there = links.len();
    if wrong.is_empty() {
        Ok(format!("{} commands, {there} names in /bin", names.len()))
    } else {
        Err(wrong.join("; "))
    }
}

/// Commands that do not know `--help`, by what they are for.
const TAKES_ANYTHING: [&str; 6] = ["[", "[[", "echo", "false", "test", "true"];

/// Every command says by its own link how it is used.
const HELP: &str = "for name in $(busybox --list); do case $name in \
    busybox|halt|init|linuxrc|poweroff|reboot) continue ;; esac; \
    echo \"$name $(/bin/$name --help 2>&1 < /dev/null | head -n 1)\"; done";

fn every_applet_runs(guest: &mut Guest, _: Arch) -> Result<Verdict> {
    Ok(helped(&guest.read(HELP)?))
}

fn helped(text: &str) -> Verdict {
    let is_wrong = |line: &&str| {
        let (name, said) = line.split_once(' ').unwrap_or((line, ""));
        !TAKES_ANYTHING.contains(&name) && !said.starts_with("BusyBox v")
    };
    let wrong: Vec<&str> = text.lines().filter(is_wrong).collect();
    let count = text.lines().count();
    if wrong.is_empty() && count >= 200 {
        Ok(format!("{count} commands"))
    } else {
        Err(format!("{count} commands, of which wrong: {}", wrong.join("; ")))
    }
}

fn shell_comes_back(guest: &mut Guest, _: Arch) -> Result<Verdict> {
    let is_up = |status: &Value| status["up"] == true || status["state"] == "ready";
    let before = wait_for(guest, "shell", is_up)?;
    let Some(pid) = before.as_ref().ok().and_then(pid_of) else {
        return Ok(Err(format!("no shell runs: {before:?}")));
    };
    let program = guest.read(&format!("readlink /proc/{pid}/exe; readlink /proc/{pid}/fd/0"))?;
    // PID 1 opens what is behind /dev/console, so that the shell has a controlling terminal.
    match program.lines().collect::<Vec<_>>()[..] {
        ["/usr/bin/busybox", terminal] if terminal.starts_with("/dev/tty") => {}
        _ => return Ok(Err(format!("it is {program:?}"))),
    }
    guest.read(&format!("kill -HUP {pid}"))?;
    let is_back = |status: &Value| is_up(status) && pid_of(status) != Some(pid);
    let after = wait_for(guest, "shell", is_back)?;
    let is_back = after.as_ref().is_ok_and(is_back);
    Ok(if is_back { Ok(String::new()) } else { Err(format!("it is not back: {after:?}")) })
}

/// An interactive login shell, as the console has one; and what it should say.
const GREETING: &str = "ip link set lo up; ip addr add 192.0.2.7/24 dev lo; \
    echo exit | sh -lis 2> /dev/null; echo; uname -r; ip addr del 192.0.2.7/24 dev lo";

fn greeting(guest: &mut Guest, _: Arch) -> Result<Verdict> {
    Ok(greets(&guest.read(GREETING)?))
}

fn greets(text: &str) -> Verdict {
    let kernel = text.lines().rfind(|line| !line.is_empty()).unwrap_or_default();
    let has =
        |words: &[&str]| text.lines().any(|line| words.iter().all(|word| line.contains(word)));
    let lines: [&[&str]; 5] = [
        &["Keelson", "busybox"],
        &["name", BUSYBOX],
        &["kernel", "Linux", kernel],
        &["memory", "MiB"],
        &["address", "192.0.2.7"],
    ];
    let missing: Vec<_> = lines.iter().filter(|words| !has(words)).collect();
    if missing.is_empty() && !kernel.is_empty() {
        Ok(String::new())
    } else {
        Err(format!("{missing:?} is missing in:\n{text}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_without_its_link_or_with_a_wrong_one_is_found() {
        let applets: String = (0..200).map(|n| format!("c{n} /usr/bin/busybox\n")).collect();
        let good = format!("{applets}busybox /usr/bin/busybox\nreboot \n- c1\n");
        assert_eq!(linked(&good).unwrap(), "202 commands, 1 names in /bin");
        for (from, to) in [
            ("c7 /usr/bin/busybox", "c7 /bin/c7"),
            ("c7 /usr/bin/busybox", "c7 "),
            ("reboot ", "reboot /usr/bin/busybox"),
        ] {
            assert!(linked(&good.replace(from, to)).is_err(), "{to}");
        }
        assert!(linked("a /usr/bin/busybox\n").is_err());
    }

    #[test]
    fn a_command_that_does_not_run_is_found() {
        let good: String = (0..200).map(|n| format!("c{n} BusyBox v1.35.0 (Debian)\n")).collect();
        assert!(helped(&(good.clone() + "[ [: missing ]\n")).is_ok());
        assert!(helped(&(good.clone() + "vi vi: applet not found\n")).is_err());
        assert!(helped(&(good + "vi \n")).is_err());
    }

    #[test]
    fn a_greeting_without_its_address_is_found() {
        let good = "Keelson 0.1.0 (busybox)\n  name     busybox\n  kernel   Linux 6.6.1\n  \
            memory   489 MiB\n  address  192.0.2.7\n\n6.6.1\n";
        assert!(greets(good).is_ok());
        assert!(greets(&good.replace("192.0.2.7", "none")).is_err());
        assert!(greets("").is_err());
    }

    #[test]
    fn one_entry_of_a_lock_is_promoted() {
        let lock = "x\n[[package]]\nname = \"a\"\nrole = \"dependency\"\n\
            [[package]]\nname = \"b\"\nrole = \"dependency\"\n";
        let promoted = promoted(lock, "b");
        assert_eq!(promoted.matches("\"dependency\"").count(), 1);
        assert!(promoted.ends_with("name = \"b\"\nrole = \"named\"\n"));
    }
}
