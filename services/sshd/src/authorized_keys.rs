//! Which public keys open an account: `/etc/ssh/authorized_keys.d/NAME`, which the image
//! definition fills, and `~/.ssh/authorized_keys`, for everybody but root.
//!
//! Absent: options before a key (`command=`, `from=`, `restrict`…). A line that has some is
//! refused, and the log says so: ignoring a restriction would widen what the line grants.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use russh::keys::PublicKey;
use rustix::fs::{Mode, OFlags};
use services::people::accounts::User;

use crate::settings::Settings;

/// Largest file of keys, in bytes.
const BYTES_MAX: u64 = 256 * 1024;
/// Bits that let others than the owner write.
const WRITABLE_BY_OTHERS: u32 = 0o022;

/// What was found for a user.
#[derive(Default, Debug)]
pub(crate) struct Found {
    /// The keys.
    pub(crate) keys: Vec<PublicKey>,
    /// Complaints about files and lines, for the log.
    pub(crate) complaints: Vec<String>,
}

/// Collects the keys that open the account of `user`.
pub(crate) fn of_user(settings: &Settings, user: &User) -> Found {
    let mut found = Found::default();
    let given = settings.authorized_keys_directory.join(&user.name);
    found.file(&given, &[0, rustix::process::geteuid().as_raw()], &[&given]);
    // Whoever may write root's home is not yet root: its keys come from the definition.
    if settings.home_keys && user.uid != 0 && Path::new(&user.home) != Path::new("/") {
        let home = PathBuf::from(&user.home);
        let directory = home.join(".ssh");
        let own = directory.join("authorized_keys");
        found.file(&own, &[user.uid, 0], &[&home, &directory, &own]);
    }
    found
}

impl Found {
    /// Adds the keys of the file `path`. It and all of `guarded` must belong to one of
    /// `owners` and be writable by nobody else.
    fn file(&mut self, path: &Path, owners: &[u32], guarded: &[&Path]) {
        match read(path, owners, guarded) {
            Ok(Some(text)) => self.text(path, &text),
            Ok(None) => {}
            Err(error) => self.complaints.push(format!("`{}` is ignored: {error}", path.display())),
        }
    }

    fn text(&mut self, path: &Path, text: &str) {
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            match PublicKey::from_openssh(line) {
                Ok(key) => self.keys.push(key),
                Err(_) => self.complaints.push(format!(
                    "{}:{}: ignored: no plain public key (options are not supported)",
                    path.display(),
                    number + 1
                )),
            }
        }
    }
}

/// The content of `path`, `None` where there is no such file.
fn read(path: &Path, owners: &[u32], guarded: &[&Path]) -> io::Result<Option<String>> {
    let file = match open_regular(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let opened = file.metadata()?;
    for place in guarded {
        guard(place, &fs::metadata(place)?, owners)?;
    }
    guard(path, &opened, owners)?;
    if opened.len() > BYTES_MAX {
        return Err(io::Error::other(format!("it is larger than {} KiB", BYTES_MAX / 1024)));
    }
    let mut bytes = Vec::new();
    file.take(BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

/// Opens what `path` leads to once it is known to be a regular file: the user's links may lead
/// anywhere, and to some devices being opened by root is a command.
fn open_regular(path: &Path) -> io::Result<File> {
    let found = rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    let found = File::from(found);
    if !found.metadata()?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    // A lease on the user's file must not hold up the server (fcntl(2)).
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let path = format!("/proc/self/fd/{}", found.as_raw_fd());
    Ok(File::from(rustix::fs::open(path, flags, Mode::empty())?))
}

fn guard(path: &Path, metadata: &fs::Metadata, owners: &[u32]) -> io::Result<()> {
    let shown = path.display();
    if !owners.contains(&metadata.uid()) {
        return Err(io::Error::other(format!("`{shown}` belongs to uid {}", metadata.uid())));
    }
    if metadata.mode() & WRITABLE_BY_OTHERS != 0 {
        let mode = metadata.mode() & 0o7777;
        return Err(io::Error::other(format!("others may write `{shown}` (mode {mode:04o})")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAfuCHKVTjquxvt6CM6tdG4SLp1Btn/nOeHHE5UOzRdf a@b";

    struct World {
        _directory: tempfile::TempDir,
        settings: Settings,
        user: User,
    }

    /// A user of this process's uid, who counts as another than root.
    fn world() -> World {
        let directory = tempfile::tempdir().unwrap();
        let home = directory.path().join("home");
        fs::create_dir_all(home.join(".ssh")).unwrap();
        fs::create_dir(directory.path().join("keys")).unwrap();
        for path in [home.clone(), home.join(".ssh")] {
            fs::set_permissions(path, fs::Permissions::from_mode(0o700)).unwrap();
        }
        let user = User {
            name: "ann".into(),
            uid: fs::metadata(&home).unwrap().uid().max(1),
            gid: 1,
            home: home.display().to_string(),
            shell: "/bin/sh".into(),
        };
        let keys = directory.path().join("keys");
        let settings = Settings { authorized_keys_directory: keys, ..Settings::default() };
        World { _directory: directory, settings, user }
    }

    fn write(path: &Path, text: &str, mode: u32) {
        fs::write(path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn keys_come_from_the_definition_and_from_home() {
        let mut world = world();
        write(&world.settings.authorized_keys_directory.join("ann"), KEY, 0o644);
        let own = Path::new(&world.user.home).join(".ssh/authorized_keys");
        write(&own, &format!("# mine\n\n{KEY}\n"), 0o600);
        let found = of_user(&world.settings, &world.user);
        assert_eq!((found.keys.len(), found.complaints), (2, vec![]));
        world.user.uid = 0;
        assert_eq!(of_user(&world.settings, &world.user).keys.len(), 1, "root's home counts");
        world.user.uid = 1;
        world.settings.home_keys = false;
        assert_eq!(of_user(&world.settings, &world.user).keys.len(), 1);
    }

    #[test]
    fn what_others_may_write_is_ignored_with_a_complaint() {
        let world = world();
        let home = PathBuf::from(&world.user.home);
        let own = home.join(".ssh/authorized_keys");
        write(&own, KEY, 0o600);
        for (path, bad, good) in
            [(own.clone(), 0o620, 0o600), (home.join(".ssh"), 0o770, 0o700), (home, 0o777, 0o755)]
        {
            fs::set_permissions(&path, fs::Permissions::from_mode(bad)).unwrap();
            let found = of_user(&world.settings, &world.user);
            assert_eq!(found.keys.len(), 0, "{}", path.display());
            assert!(found.complaints[0].contains("others may write"), "{:?}", found.complaints);
            fs::set_permissions(&path, fs::Permissions::from_mode(good)).unwrap();
        }
        assert_eq!(of_user(&world.settings, &world.user).keys.len(), 1);
        let stranger = User { uid: world.user.uid + 1, ..world.user.clone() };
        if world.user.uid != 1 {
            assert_eq!(of_user(&world.settings, &stranger).keys.len(), 0);
        }
    }

    #[test]
    fn lines_with_options_fifos_and_huge_files_open_nothing() {
        let world = world();
        let own = Path::new(&world.user.home).join(".ssh/authorized_keys");
        write(&own, &format!("from=\"10.0.0.1\" {KEY}\nssh-ed25519 AAAA\n{KEY}\n"), 0o600);
        let found = of_user(&world.settings, &world.user);
        assert_eq!((found.keys.len(), found.complaints.len()), (1, 2), "{:?}", found.complaints);
        write(&own, &"#\n".repeat(200_000), 0o600);
        assert!(of_user(&world.settings, &world.user).complaints[0].contains("larger than"));
        fs::remove_file(&own).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, &own, rustix::fs::Mode::RUSR).unwrap();
        assert!(of_user(&world.settings, &world.user).complaints[0].contains("no regular file"));
    }

    #[test]
    fn what_is_no_file_of_keys_is_not_even_opened() {
        use rustix::fs::inotify;

        let world = world();
        let own = Path::new(&world.user.home).join(".ssh/authorized_keys");
        // In the place of a device on which being opened has an effect.
        let device = world.settings.authorized_keys_directory.join("device");
        rustix::fs::mkfifoat(rustix::fs::CWD, &device, rustix::fs::Mode::RUSR).unwrap();
        let watch = inotify::init(inotify::CreateFlags::NONBLOCK).unwrap();
        inotify::add_watch(&watch, &device, inotify::WatchFlags::OPEN).unwrap();
        std::os::unix::fs::symlink(&device, &own).unwrap();
        let found = of_user(&world.settings, &world.user);
        assert!(found.complaints[0].contains("no regular file"), "{:?}", found.complaints);
        let opened = rustix::io::read(&watch, &mut [0; 256]);
        assert_eq!(opened, Err(rustix::io::Errno::AGAIN));
        // The user's own links count as ever.
        fs::remove_file(&own).unwrap();
        write(&own.with_extension("kept"), KEY, 0o600);
        std::os::unix::fs::symlink(own.with_extension("kept"), &own).unwrap();
        assert_eq!(of_user(&world.settings, &world.user).keys.len(), 1);
    }
}
