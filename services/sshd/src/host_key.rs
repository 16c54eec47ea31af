//! The host key: read, or made at the first start.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::Path;

use russh::keys::ssh_key::LineEnding;
use russh::keys::{Algorithm, HashAlg, PrivateKey};
use services::problem::{Context, Problem, Result};
use services::whole_file;

/// Bits that would let others read the key.
const FOR_OTHERS: u32 = 0o077;

/// Reads the key at `path`. Where there is none, makes an ed25519 key and keeps it there
/// with mode 0600; the file appears whole or not at all.
///
/// # Errors
/// If it cannot be read or written, is no OpenSSH private key, has a passphrase, or can be
/// read by others.
pub(crate) fn load_or_make(path: &Path) -> Result<PrivateKey> {
    match load(path)? {
        Some(key) => Ok(key),
        None => {
            make(path)?;
            let missing = || Problem::new(format!("`{}` was removed at once", path.display()));
            load(path)?.ok_or_else(missing)
        }
    }
}

/// Reads the key at `path`; `None` where there is none.
///
/// # Errors
/// As [`load_or_make`].
pub(crate) fn load(path: &Path) -> Result<Option<PrivateKey>> {
    let shown = path.display();
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(Problem::new(format!("cannot read the host key `{shown}`: {error}")));
        }
    };
    if metadata.mode() & FOR_OTHERS != 0 {
        return Err(Problem::new(format!("others may read the host key `{shown}`"))
            .with_hint(format!("`chmod 600 {shown}`; make a new key if somebody did")));
    }
    if metadata.len() == 0 {
        return Err(Problem::new(format!("the host key `{shown}` is empty"))
            .with_hint("remove it: sshd makes a new one when it starts"));
    }
    let key = PrivateKey::read_openssh_file(path)
        .context(|| format!("cannot read the host key `{shown}`"))
        .map_err(|problem| problem.with_hint("`ssh-keygen -t ed25519 -N ''` makes one"))?;
    if key.is_encrypted() {
        return Err(Problem::new(format!("the host key `{shown}` has a passphrase"))
            .with_hint("nobody is there to type it: `ssh-keygen -p -N ''` removes it"));
    }
    Ok(Some(key))
}

/// Reads the key at `path`, which has to be there.
///
/// # Errors
/// As [`load_or_make`].
pub(crate) fn load_existing(path: &Path) -> Result<PrivateKey> {
    load(path)?.ok_or_else(|| {
        Problem::new(format!("there is no host key `{}`", path.display()))
            .with_hint("sshd makes it when it starts")
    })
}

/// The fingerprint as clients show it: `SHA256:…`.
pub(crate) fn fingerprint(key: &PrivateKey) -> String {
    key.public_key().fingerprint(HashAlg::Sha256).to_string()
}

fn make(path: &Path) -> Result<()> {
    let shown = path.display();
    let mut key = PrivateKey::random(&mut rand::rng(), Algorithm::Ed25519)
        .context(|| "cannot make a host key".to_owned())?;
    key.set_comment(rustix::system::uname().nodename().to_string_lossy().into_owned());
    let text =
        key.to_openssh(LineEnding::LF).context(|| "cannot write down the host key".to_owned())?;
    write_once(path, text.as_bytes())
        .context(|| format!("cannot keep the new host key in `{shown}`"))
        .map_err(|problem| problem.with_hint("the key belongs on a file system that is kept"))
}

fn write_once(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    }
    whole_file::write(path, bytes, 0o600)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};

    use super::*;

    #[test]
    fn a_key_is_made_once_for_the_owner_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state/host");
        let made = load_or_make(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fingerprint(&load_or_make(&path).unwrap()), fingerprint(&made));
        assert_eq!(fs::read_dir(directory.path().join("state")).unwrap().count(), 1);
    }

    #[test]
    fn a_key_that_others_may_read_or_that_is_none_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("host");
        load_or_make(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(load(&path).unwrap_err().message().starts_with("others may read"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, "no key\n").unwrap();
        assert!(load(&path).unwrap_err().message().starts_with("cannot read the host key"));
    }

    #[test]
    fn an_empty_key_is_told_and_made_anew_once_it_is_removed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("host");
        File::options().write(true).create_new(true).mode(0o600).open(&path).unwrap();
        let problem = load_or_make(&path).unwrap_err();
        assert!(problem.message().ends_with("is empty"), "{problem}");
        assert!(problem.hint().unwrap().starts_with("remove it"), "{problem}");
        fs::remove_file(&path).unwrap();
        assert!(load_or_make(&path).is_ok());
    }
}
