//! Features of the SSH server, shown by OpenSSH's client: on the host, which reaches the
//! guest's port 22, and in another guest ([`between`]).

mod between;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Output;

use super::{Feature, command, joined, second_boot, steps};
use crate::arch::Arch;
use crate::error::{IoContext, Result};
use crate::host::Invocation;
use crate::ops::guest::{self, Guest};
use crate::ops::test::boots::Scratch;
use crate::ops::test::guest_checks::Verdict;

pub(super) const FEATURES: &[Feature] = &[
    steps("SSH lets in who has the right key", "ssh.md#keys", right_key),
    steps("SSH refuses a wrong key", "ssh.md#keys", |guest, _| {
        refused(guest, WRONG, "PubkeyAuthentication=yes")
    }),
    steps("SSH refuses who has no key", "ssh.md#keys", |guest, _| {
        refused(guest, RIGHT, "PubkeyAuthentication=no")
    }),
    steps("SSH gives a command's output, errors and status", "ssh.md#sessions", streams),
    steps("SSH sessions have a terminal of their own", "ssh.md#sessions", terminal),
    steps("SSH sessions can do what their user can, and no more", "ssh.md#sessions", as_user),
    steps(
        "In a session by SSH a member of `wheel` becomes root with a password, not without",
        "users-and-login.md#becoming-root",
        becomes_root,
    ),
    steps("SSH copies files both ways", "ssh.md#files", copies),
    command(
        "SSH logins and refusals are in the log",
        "ssh.md#the-log",
        "svcctl logs sshd -n 1000",
        is_logged,
    ),
    command(
        "The SSH host key is root's alone",
        "ssh.md#host-key",
        "stat -c '%a %u %g' /var/lib/sshd/host_ed25519 && sshd check | tee /root/sshd-check",
        |_, output| {
            let text = output.success()?;
            if text.starts_with("600 0 0\n") { Ok(String::new()) } else { Err(text) }
        },
    ),
    second_boot("The SSH host key is made once", "ssh.md#host-key", |guest, _| {
        let output = guest.run("sshd check > /tmp/now && cmp /root/sshd-check /tmp/now")?;
        Ok(output.success())
    }),
    joined(
        "SSH lets in from another machine who has the right key",
        "ssh.md#keys",
        between::right_key,
    ),
    joined("SSH refuses a wrong key from another machine", "ssh.md#keys", between::wrong_key),
    joined("SSH refuses who has no key from another machine", "ssh.md#keys", between::no_key),
    joined(
        "A client on another machine notices that the SSH host key has changed",
        "ssh.md#host-key",
        between::changed_host_key,
    ),
];

const RIGHT: &str = include_str!("ssh/right");
const WRONG: &str = include_str!("ssh/wrong");
const USER: &str = "admin";
/// Whole seconds that a connection may take: an emulated machine needs its time.
const CONNECT_SECONDS: u32 = 60;

/// OpenSSH's client with a key of its own, for one guest.
struct Client {
    scratch: Scratch,
    port: u16,
}

impl Client {
    fn new(guest: &mut Guest, key: &str) -> Result<Self> {
        let port = guest.published(22)?.port();
        let scratch = Scratch::new()?;
        let path = scratch.0.path().join("key");
        fs::write(&path, key).at("write", &path)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).at("protect", &path)?;
        Ok(Self { scratch, port })
    }

    fn file(&self, name: &str) -> PathBuf {
        self.scratch.0.path().join(name)
    }

    fn program(&self, name: &str, options: &[&str]) -> Invocation {
        let known = format!("UserKnownHostsFile={}", self.file("known").display());
        let patience = format!("ConnectTimeout={CONNECT_SECONDS}");
        let mut all = vec![
            "IdentitiesOnly=yes",
            "IdentityAgent=none",
            "BatchMode=yes",
            "StrictHostKeyChecking=accept-new",
            "LogLevel=ERROR",
            &known,
            &patience,
        ];
        all.extend(options);
        let mut invocation = Invocation::new(name).args(["-F", "none", "-i"]).arg(self.file("key"));
        for option in all {
            invocation = invocation.args(["-o", option]);
        }
        invocation.args(["-o", &format!("Port={}", self.port)])
    }

    fn run(&self, options: &[&str], command: &str) -> Result<Output> {
        let target = format!("{USER}@{}", crate::qemu::network::PUBLISHED_AT);
        self.program("ssh", options).args([target.as_str(), command]).observe()
    }
}

/// The output as a person reads it, for verdicts.
fn shown(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    let code = output.status.code().unwrap_or(-1);
    format!("status {code}, {:?}, errors {:?}", text(&output.stdout), text(&output.stderr))
}

fn expect(output: &Output, code: i32, stdout: &str, stderr: &str) -> Verdict {
    let is_right = output.status.code() == Some(code)
        && output.stdout == stdout.as_bytes()
        && String::from_utf8_lossy(&output.stderr).contains(stderr);
    if is_right { Ok(String::new()) } else { Err(shown(output)) }
}

fn right_key(guest: &mut Guest, _: Arch) -> Result<Verdict> {
    let output = Client::new(guest, RIGHT)?.run(&[], "id -un")?;
    Ok(expect(&output, 0, "admin\n", ""))
}

fn refused(guest: &mut Guest, key: &str, option: &str) -> Result<Verdict> {
    let output = Client::new(guest, key)?.run(&[option], "id -un")?;
    Ok(expect(&output, 255, "", "Permission denied (publickey)"))
}

fn streams(guest: &mut Guest, _: Arch) -> Result<Verdict> {
    let output = Client::new(guest, RIGHT)?.run(&[], "echo out; echo bad >&2; exit 7")?;
    Ok(expect(&output, 7, "out\n", "bad\n"))
}

fn terminal(guest: &mut Guest, _: Arch) -> Result<Verdict> {
    let output = Client::new(guest, RIGHT)?.run(&["RequestTTY=force"], "tty; stat -c %U $(tty)")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let is_right = text.starts_with("/dev/pts/") && text.contains("admin");
    Ok(if is_right { Ok(text.trim().replace("\r\n", ", ")) } else { Err(shown(&output)) })
}

fn as_user(guest: &mut Guest, _: Arch) -> Result<Verdict> {
    let command = "id -u; id -Gn; cat /etc/shadow || cat /var/lib/sshd/host_ed25519 || pwd";
    let output = Client::new(guest, RIGHT)?.run(&[], command)?;
    Ok(expect(&output, 0, "1000\nadmin wheel\n/home/admin\n", "denied"))
}

fn becomes_root(guest: &mut Guest, _: Arch) -> Result<Verdict> {
    let client = Client::new(guest, RIGHT)?;
    let without = client.run(&[], "sudo -n id -u")?;
    let verdict = expect(&without, 1, "", "sudo: a password is required");
    if verdict.is_err() {
        return Ok(verdict);
    }
    let without = client.run(&[], "sudo id -u")?;
    let verdict = expect(&without, 1, "", "sudo: a terminal is required to read the password");
    if verdict.is_err() {
        return Ok(verdict);
    }
    let command = "echo secret | sudo -S -p '' id -u";
    let with = client.run(&["RequestTTY=force"], command)?;
    let is_root = with.status.success() && String::from_utf8_lossy(&with.stdout).trim() == "0";
    Ok(if is_root { Ok(String::new()) } else { Err(shown(&with)) })
}

fn copies(guest: &mut Guest, _: Arch) -> Result<Verdict> {
    let client = Client::new(guest, RIGHT)?;
    let content: Vec<u8> = (0..300_000_u32).map(|index| (index % 251).to_le_bytes()[0]).collect();
    let (out, back) = (client.file("out"), client.file("back"));
    fs::write(&out, &content).at("write", &out)?;
    let remote = format!("{USER}@{}:copy", crate::qemu::network::PUBLISHED_AT);
    for (from, to) in [(out.as_path(), remote.as_ref()), (remote.as_ref(), back.as_path())] {
        let output = client.program("scp", &[]).arg(from).arg(to).observe()?;
        if !output.status.success() {
            return Ok(Err(shown(&output)));
        }
    }
    let same = fs::read(&back).at("read", &back)? == content;
    guest.read("rm /home/admin/copy")?;
    Ok(if same { Ok(format!("{} bytes", content.len())) } else { Err("it differs".into()) })
}

fn is_logged(_: Arch, output: &guest::Output) -> Verdict {
    let text = output.success()?;
    let wanted = ["accepted admin with ssh-ed25519 SHA256:", "refused \"admin\" with SHA256:"];
    match wanted.iter().find(|line| !text.contains(**line)) {
        None => Ok(String::new()),
        Some(line) => Err(format!("no {line:?} in {text}")),
    }
}
