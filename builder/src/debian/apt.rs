//! The only place that asks apt for packages.
//!
//! Nothing of the host is changed and no root is needed: lists are fetched into
//! a state directory of the builder's own, one per architecture, from the
//! host's sources and checked with the host's keyrings. Each acts as a system of
//! its architecture on which nothing is installed, so that foreign packages
//! need no `dpkg --add-architecture` and every dependency is told. Installing
//! packages on the host is [`crate::host_needs`]' affair.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::cache::{Cache, lock};
use crate::error::{Error, IoContext, Kind, Result};
use crate::host::Invocation;
use crate::shell::Shell;

/// The command of apt-get that tells of dependencies too.
const INSTALL: [&str; 2] = ["--yes", "install"];

/// A package that is wanted of the archive.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Wish {
    /// Its name.
    pub name: String,
    /// Its version; the archive's best if `None`.
    pub version: Option<String>,
}

/// What the archive says of one version of a package.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    /// Its name.
    pub name: String,
    /// Its version (deb-version(7)).
    pub version: String,
    /// The length of its file, in bytes.
    pub size_bytes: u64,
    /// The SHA-256 of its file, 64 lower-case hexadecimal digits.
    pub sha256: String,
    /// The names besides its own under which others may depend on it.
    pub provides: Vec<String>,
}

/// apt for one architecture, guarded against other builders.
#[derive(Debug)]
pub struct Apt<'a> {
    shell: &'a Shell,
    arch: &'static str,
    directory: PathBuf,
    _lock: File,
}

/// Which lists an answer may come from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lists {
    /// Those of every archive that the host names.
    All,
    /// Those that could be had.
    Any,
}

/// apt-get with the host's own lists, in `directory`.
#[must_use]
pub fn of_host(directory: &Path) -> Invocation {
    // The sandbox user of apt cannot write where an ordinary user's cache is.
    let options = ["-q", "-o", "APT::Sandbox::User=root"];
    Invocation::new("apt-get").current_dir(directory).args(options)
}

impl Wish {
    /// As apt's command line has it.
    fn argument(&self) -> String {
        match &self.version {
            Some(version) => format!("{}={version}", self.name),
            None => self.name.clone(),
        }
    }
}

impl<'a> Apt<'a> {
    /// apt for the architecture that Debian calls `arch`.
    ///
    /// # Errors
    /// If its state cannot be made.
    pub fn open(shell: &'a Shell, cache: &Cache, arch: &'static str) -> Result<Self> {
        let directory = cache.workspace(&format!("apt/{arch}"))?;
        let lock = lock(shell, &directory.join("lock"))?;
        for name in ["state/lists/partial", "cache/archives/partial"] {
            let path = directory.join(name);
            fs::create_dir_all(&path).at("create", &path)?;
        }
        let status = directory.join("status");
        fs::write(&status, "").at("write", &status)?;
        let configuration = directory.join("apt.conf");
        fs::write(&configuration, configuration_text(&directory, arch))
            .at("write", &configuration)?;
        Ok(Self { shell, arch, directory, _lock: lock })
    }

    /// Fetches the lists of what the host's archives hold now.
    ///
    /// # Errors
    /// If apt is missing, an archive is out of reach or being written, or a signature is wrong.
    /// The lists of the other archives are there then.
    pub fn update(&self) -> Result<()> {
        let step = self.shell.step(format!("fetch package lists for {}", self.arch));
        let marker = self.marker();
        match fs::remove_file(&marker) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::io("remove", &marker, &error));
            }
            _ => {}
        }
        self.get(&self.directory).args(["--error-on=any", "update"]).run()?;
        fs::write(&marker, "").at("write", &marker)?;
        step.done("");
        Ok(())
    }

    /// The packages themselves and, if that is wanted, all that they depend on,
    /// sorted by name. Recommended ones are not among them. For a name that is
    /// no package's apt may give the one that provides it.
    ///
    /// # Errors
    /// If one is not in the archive, even after its lists were fetched anew, they cannot be had
    /// together, or there is an archive without its list: which version is the best is for all
    /// of them to say.
    pub fn resolve(&self, wishes: &[Wish], with_dependencies: bool) -> Result<Vec<Record>> {
        if wishes.is_empty() {
            return Ok(Vec::new());
        }
        let command: &[&str] = if with_dependencies { &INSTALL } else { &["download"] };
        let files = self.answer(Lists::All, || self.files(wishes, command))?;
        self.records(&files)
    }

    /// The names of a package and of all that it depends on, if it can be had by itself, by the
    /// lists of the last answer.
    #[must_use]
    pub fn needs(&self, wish: &Wish) -> Option<BTreeSet<String>> {
        let files = self.files(std::slice::from_ref(wish), &INSTALL).ok()?;
        Some(files.into_iter().map(|file| file.name).collect())
    }

    /// The files that a command of apt-get would fetch.
    fn files(&self, wishes: &[Wish], command: &[&str]) -> Result<Vec<Wish>> {
        let words = wishes.iter().map(Wish::argument);
        let query = self.get(&self.directory).arg("--print-uris").args(command).args(words);
        Ok(query.read_text()?.lines().filter_map(printed_file).collect())
    }

    /// Downloads packages into `directory`, as apt names them. Of an archive that cannot be
    /// had there is only a warning, if the others hold them.
    ///
    /// # Errors
    /// If one cannot be had, even after the lists were fetched anew.
    pub fn download(&self, wishes: &[Wish], directory: &Path) -> Result<()> {
        let words: Vec<String> = wishes.iter().map(Wish::argument).collect();
        self.answer(Lists::Any, || self.get(directory).arg("download").args(&words).run())
    }

    /// Those of these packages that the archive does not hold.
    ///
    /// # Errors
    /// If apt cannot be asked.
    pub fn missing<'w>(&self, wishes: &'w [Wish]) -> Result<Vec<&'w Wish>> {
        let mut missing = Vec::new();
        for wish in wishes {
            let output = self.show(std::slice::from_ref(wish)).observe()?;
            let found = stanzas(&String::from_utf8_lossy(&output.stdout));
            if !found.iter().any(|record| record.name == wish.name) {
                missing.push(wish);
            }
        }
        Ok(missing)
    }

    fn records(&self, wishes: &[Wish]) -> Result<Vec<Record>> {
        let text = self.show(wishes).read_text()?;
        let mut records = stanzas(&text);
        records.sort_by(|a, b| (&a.name, &a.version).cmp(&(&b.name, &b.version)));
        records.dedup();
        let is_told = |wish: &&Wish| {
            records.iter().any(|found| {
                found.name == wish.name && Some(&found.version) == wish.version.as_ref()
            })
        };
        match wishes.iter().find(|wish| !is_told(wish)) {
            None => Ok(records),
            Some(wish) => {
                Err(Error::failure(format!("apt-cache says nothing of {}", wish.argument())))
            }
        }
    }

    /// Asks with the lists that are there, if they will do, and once more with new ones.
    fn answer<T>(&self, lists: Lists, ask: impl Fn() -> Result<T>) -> Result<T> {
        if self.has(lists) {
            match ask() {
                Err(error) if error.kind() != Kind::Host => {}
                answer => return answer,
            }
        }
        match self.update() {
            Err(error) if lists == Lists::Any => {
                self.shell.warn(error.context("going on without some package lists"));
            }
            result => result?,
        }
        ask()
    }

    fn has(&self, lists: Lists) -> bool {
        if lists == Lists::All && !self.marker().exists() {
            return false;
        }
        let Ok(entries) = fs::read_dir(self.directory.join("state/lists")) else { return false };
        entries.flatten().any(|entry| entry.file_name().to_string_lossy().contains("_Packages"))
    }

    /// A file that is there while the lists are those of every archive.
    fn marker(&self) -> PathBuf {
        self.directory.join("has-all-lists")
    }

    fn get(&self, directory: &Path) -> Invocation {
        self.program("apt-get").current_dir(directory)
    }

    fn show(&self, wishes: &[Wish]) -> Invocation {
        let words = wishes.iter().map(Wish::argument);
        self.program("apt-cache").arg("show").arg("--no-all-versions").args(words)
    }

    fn program(&self, name: &str) -> Invocation {
        Invocation::new(name).args(["-q", "-c"]).arg(self.directory.join("apt.conf"))
    }
}

/// apt.conf(5) for a system of `arch` on which nothing is installed. It is read
/// after the host's own, whose sources and keyrings stay.
fn configuration_text(directory: &Path, arch: &str) -> String {
    // A quote would end the value, and apt knows no way to write one.
    let place = directory.display().to_string().replace('"', "");
    format!(
        "Dir::State \"{place}/state\";\n\
         Dir::State::status \"{place}/status\";\n\
         Dir::Cache \"{place}/cache\";\n\
         APT::Architecture \"{arch}\";\n\
         #clear APT::Architectures;\n\
         APT::Architectures {{ \"{arch}\"; }};\n\
         APT::Install-Recommends \"false\";\n\
         APT::Install-Suggests \"false\";\n\
         APT::Sandbox::User \"root\";\n\
         APT::Get::Show-User-Simulation-Note \"false\";\n\
         Acquire::Languages \"none\";\n\
         Acquire::Retries \"3\";\n\
         #clear Acquire::IndexTargets::deb::DEP-11;\n\
         #clear APT::Update::Pre-Invoke;\n\
         #clear APT::Update::Post-Invoke;\n\
         #clear APT::Update::Post-Invoke-Success;\n"
    )
}

/// The package and version of a line of `apt-get --print-uris`:
/// `'URI' NAME_VERSION_ARCH.deb SIZE HASH`, in which a colon is `%3a`.
fn printed_file(line: &str) -> Option<Wish> {
    let rest = line.strip_prefix('\'')?.split_once("' ")?.1;
    let stem = rest.split(' ').next()?.strip_suffix(".deb")?;
    let mut parts = stem.split('_');
    let (name, version) = (parts.next()?, parts.next()?);
    Some(Wish { name: name.to_owned(), version: Some(unescaped(version)) })
}

/// A version as a file name has it.
#[must_use]
pub fn escaped(version: &str) -> String {
    version.replace(':', "%3a")
}

/// A version as it is, of one in a file name.
#[must_use]
pub fn unescaped(version: &str) -> String {
    version.replace("%3a", ":").replace("%3A", ":")
}

/// The records of deb822(5) stanzas; those that lack a field are left out.
fn stanzas(text: &str) -> Vec<Record> {
    let record = |stanza: &str| {
        let field = |name: &str| {
            stanza.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
        };
        Some(Record {
            name: field("Package")?.to_owned(),
            version: field("Version")?.to_owned(),
            size_bytes: field("Size")?.trim().parse().ok()?,
            sha256: field("SHA256")?.trim().to_owned(),
            provides: field("Provides").map(provided_names).unwrap_or_default(),
        })
    };
    text.split("\n\n").filter_map(record).collect()
}

/// The names in a list of what is provided, without versions and architectures.
fn provided_names(list: &str) -> Vec<String> {
    let name = |item: &str| {
        item.trim().split([' ', '(', ':']).next().filter(|name| !name.is_empty()).map(str::to_owned)
    };
    list.split(',').filter_map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printed_files_are_packages_with_versions() {
        let line = "'http://deb.debian.org/x/zlib1g_1.2.13.dfsg-1_arm64.deb' \
            zlib1g_1%3a1.2.13.dfsg-1_arm64.deb 82744 MD5Sum:6ba5";
        let wish = printed_file(line).unwrap();
        assert_eq!(wish.argument(), "zlib1g=1:1.2.13.dfsg-1");
        for noise in ["Reading package lists...", "'http://x' y_1_all.tar 1", "' ' .deb"] {
            assert_eq!(printed_file(noise), None, "{noise}");
        }
    }

    #[test]
    fn records_are_read_whole_or_not_at_all() {
        let text = "Package: a\nVersion: 1:2-3\nDescription: x\n Package: no\nSize: 7\nSHA256: ff\n\
            Provides: c, d (= 1), e:any\n\
            \n\nPackage: b\nVersion: 1\n\n";
        let records = stanzas(text);
        assert_eq!(records.len(), 1);
        assert_eq!((&*records[0].name, &*records[0].version), ("a", "1:2-3"));
        assert_eq!((records[0].size_bytes, &*records[0].sha256), (7, "ff"));
        assert_eq!(records[0].provides, ["c", "d", "e"]);
    }
}
