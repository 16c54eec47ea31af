//! A password's hash, and the change of `/etc/shadow`: under the lock of lckpwdf(3), the file
//! whole or not at all, every other byte of it as it was.

use std::fs::{self, File};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use rustix::fs::{FlockOperation, fcntl_lock};
use rustix::io::Errno;
use services::people::shadow::{SHADOW, today};
use services::problem::{Context, Problem, Result};
use services::{random, whole_file};
use sha_crypt::PasswordHasher;
use yescrypt::{PasswordHash, Yescrypt};

/// What everybody who changes `/etc/passwd` or `/etc/shadow` locks (lckpwdf(3)).
const LOCK: &str = "/etc/.pwd.lock";
/// Half seconds to wait for it; lckpwdf(3) waits 15 s.
const LOCK_TRIES: u32 = 30;
/// Bytes of chance in a hash.
const SALT_BYTES: usize = 16;

/// The hash of a password for crypt(5): yescrypt at its usual cost, which is Debian's.
pub(crate) fn hash(password: &str) -> Result<String> {
    let salt: [u8; SALT_BYTES] = random::bytes().context(|| "no random numbers".to_owned())?;
    let hash: PasswordHash = Yescrypt::default()
        .hash_password_with_salt(password.as_bytes(), &salt)
        .map_err(|error| Problem::new(format!("cannot make a hash: {error}")))?;
    Ok(hash.as_str().to_owned())
}

/// Gives `name` the hash in place of `old`, and the change today's date.
pub(crate) fn write(name: &str, old: &str, new: &str) -> Result<()> {
    let _lock = lock(Path::new(LOCK))?;
    let text = fs::read(SHADOW).context(|| format!("cannot read `{SHADOW}`"))?;
    let text = changed(&text, name, old, new, today()).ok_or_else(|| {
        Problem::new(format!("somebody else has changed the line of {name} meanwhile"))
            .with_hint("the password is as they left it; try again")
    })?;
    whole_file::write(Path::new(SHADOW), &text, 0o600)
        .context(|| format!("cannot write `{SHADOW}`"))
}

/// Waits for the lock, which is held until the file is closed.
fn lock(path: &Path) -> Result<File> {
    let file = File::options().write(true).create(true).truncate(false).mode(0o600).open(path);
    let file = file.context(|| format!("cannot open `{}`", path.display()))?;
    for _ in 0..LOCK_TRIES {
        match fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file),
            Err(Errno::AGAIN | Errno::ACCESS | Errno::INTR) => sleep(Duration::from_millis(500)),
            Err(error) => {
                return Err(Problem::new(format!("cannot lock `{}`: {error}", path.display())));
            }
        }
    }
    Err(Problem::new("somebody else is changing accounts").with_hint("try again later"))
}

/// The file with the password and the day of its change in the first line of `name`. `None`
/// if that is missing or has not the password `old`.
fn changed(text: &[u8], name: &str, old: &str, new: &str, day: u64) -> Option<Vec<u8>> {
    let mut lines: Vec<Vec<u8>> =
        text.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    let line = lines.iter_mut().find(|line| {
        line.strip_prefix(name.as_bytes()).is_some_and(|rest| rest.starts_with(b":"))
    })?;
    let end: &[u8] = if line.ends_with(b"\n") { b"\n" } else { b"" };
    let content = line.strip_suffix(end).unwrap_or(line);
    let mut fields: Vec<Vec<u8>> =
        content.split(|byte| *byte == b':').map(<[u8]>::to_vec).collect();
    if fields.get(1)? != old.as_bytes() {
        return None;
    }
    if fields.len() < 3 {
        fields.push(Vec::new());
    }
    *fields.get_mut(1)? = new.as_bytes().to_vec();
    *fields.get_mut(2)? = day.to_string().into_bytes();
    *line = [fields.join(&b':'), end.to_vec()].concat();
    Some(lines.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_changes_and_every_other_byte_stays() {
        let text = b"# x\nroot:!:1::::::\nann:old:1:0:99:7:::\n\xff:\nannie:old:1::::::\nann:old:2";
        let expected =
            b"# x\nroot:!:1::::::\nann:new:20000:0:99:7:::\n\xff:\nannie:old:1::::::\nann:old:2";
        assert_eq!(changed(text, "ann", "old", "new", 20_000).unwrap(), expected);
        for (text, expected) in [
            ("ann:old", Some("ann:new:7")),
            ("ann:old\n", Some("ann:new:7\n")),
            ("ann:old::::::::", Some("ann:new:7:::::::")),
            ("ann:other:1::::::\n", None),
            ("ann", None),
            ("annie:old:1\n", None),
            ("", None),
        ] {
            let found = changed(text.as_bytes(), "ann", "old", "new", 7);
            assert_eq!(found.as_deref(), expected.map(str::as_bytes), "{text:?}");
        }
    }

    #[test]
    fn a_hash_is_of_its_password_alone() {
        let (first, second) = (hash("secret words").unwrap(), hash("secret words").unwrap());
        assert!(first.starts_with("$y$j9T$") && first != second, "{first} {second}");
        assert!(services::people::password::is_right("secret words", Some(&first)));
        assert!(!services::people::password::is_right("secret word", Some(&first)));
    }
}
