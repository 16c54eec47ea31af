//! SSH between two machines: the second guest serves, behind its own packet filter; the first
//! calls on it with OpenSSH's client, which knows the second's host key and believes no other.

use crate::error::Result;
use crate::ops::guest::{Guest, Output};
use crate::ops::test::features::Pair;
use crate::ops::test::guest_checks::Verdict;

/// The first guest's client. It asks nobody, and what it knows of hosts is in `KNOWN_HOSTS`.
const CLIENT: &str = "\
ssh -F none -n -o BatchMode=yes -o IdentitiesOnly=yes -o IdentityAgent=none -o ConnectTimeout=60 \
-o StrictHostKeyChecking=yes -o GlobalKnownHostsFile=none -o UserKnownHostsFile=/tmp/known-hosts";
const KNOWN_HOSTS: &str = "/tmp/known-hosts";
const KEY: &str = "/tmp/ssh-key";
/// The second guest, by both families.
const ADDRESSES: [&str; 2] = ["10.77.0.1", "2001:db8:77::1"];
const USER: &str = "admin";
const HOST_KEY: &str = "/var/lib/sshd/host_ed25519";
const HOST_KEY_ASIDE: &str = "/root/host_ed25519";
/// What ssh exits with when it does not get in.
const NOT_IN: u8 = 255;

/// The second guest's rules are in force, and the first knows its host key.
fn prepare(pair: &mut Pair) -> Result<()> {
    pair.second.read("fwctl apply")?;
    let host_key = pair.second.read(&format!("ssh-keygen -y -f {HOST_KEY}"))?;
    let line = format!("{} {}", ADDRESSES.join(","), host_key.trim());
    pair.first.read(&format!("echo '{line}' > {KNOWN_HOSTS}"))?;
    Ok(())
}

/// Who the first guest is in the second, with this key and further options.
fn call(first: &mut Guest, key: &str, options: &str, address: &str) -> Result<Output> {
    first.read(&format!("umask 077 && cat > {KEY} << 'END'\n{key}END\n"))?;
    first.run(&format!("{CLIENT} -i {KEY} {options} {USER}@{address} 'id -un && hostname'"))
}

/// Whether it got in.
fn is_in(output: &Output) -> Verdict {
    let text = output.success()?;
    if text == "admin\nserver\n" { Ok(String::new()) } else { Err(text) }
}

/// Whether it was kept out, and told why.
fn is_out(output: &Output, why: &str) -> Verdict {
    let said = String::from_utf8_lossy(&output.stderr);
    match said.lines().find(|line| line.contains(why)) {
        Some(line) if output.status == NOT_IN && output.stdout.is_empty() => Ok(line.to_owned()),
        _ => Err(format!("exit status {}: {}{said}", output.status, output.text())),
    }
}

pub(super) fn right_key(pair: &mut Pair) -> Result<Verdict> {
    prepare(pair)?;
    for address in ADDRESSES {
        let output = call(&mut pair.first, super::RIGHT, "", address)?;
        if let Err(found) = is_in(&output) {
            return Ok(Err(format!("{address}: {found}")));
        }
    }
    Ok(Ok(format!("by {}", ADDRESSES.join(" and "))))
}

pub(super) fn wrong_key(pair: &mut Pair) -> Result<Verdict> {
    prepare(pair)?;
    let output = call(&mut pair.first, super::WRONG, "", ADDRESSES[0])?;
    Ok(is_out(&output, "Permission denied (publickey)"))
}

pub(super) fn no_key(pair: &mut Pair) -> Result<Verdict> {
    prepare(pair)?;
    let without = "-o PubkeyAuthentication=no";
    let output = call(&mut pair.first, super::RIGHT, without, ADDRESSES[0])?;
    Ok(is_out(&output, "Permission denied (publickey)"))
}

pub(super) fn changed_host_key(pair: &mut Pair) -> Result<Verdict> {
    prepare(pair)?;
    pair.second.read(&format!("mv {HOST_KEY} {HOST_KEY_ASIDE} && svcctl restart sshd"))?;
    let output = call(&mut pair.first, super::RIGHT, "", ADDRESSES[0])?;
    pair.second.read(&format!("mv {HOST_KEY_ASIDE} {HOST_KEY} && svcctl restart sshd"))?;
    let noticed = is_out(&output, "REMOTE HOST IDENTIFICATION HAS CHANGED")
        .and_then(|_| is_out(&output, "Host key verification failed."));
    let again = is_in(&call(&mut pair.first, super::RIGHT, "", ADDRESSES[0])?);
    Ok(noticed.and_then(|line| again.map(|_| line)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(status: u8, stdout: &str, stderr: &str) -> Output {
        Output { status, stdout: stdout.into(), stderr: stderr.into() }
    }

    #[test]
    fn only_who_becomes_the_user_got_in() {
        assert!(is_in(&output(0, "admin\nserver\n", "")).is_ok());
        for (status, stdout) in [(1, "admin\nserver\n"), (0, "root\nserver\n"), (0, "")] {
            assert!(is_in(&output(status, stdout, "")).is_err(), "{status} {stdout:?}");
        }
    }

    #[test]
    fn who_was_kept_out_for_another_reason_is_noticed() {
        let why = "Permission denied (publickey)";
        let said = "admin@10.77.0.1: Permission denied (publickey).\r\n";
        assert!(is_out(&output(NOT_IN, "", said), why).is_ok());
        let silent = "ssh: connect to host 10.77.0.1 port 22: Connection timed out\r\n";
        for wrong in
            [output(NOT_IN, "", silent), output(0, "", said), output(NOT_IN, "admin\n", said)]
        {
            assert!(is_out(&wrong, why).is_err(), "{wrong:?}");
        }
    }
}
