//! Where a loader looks for libraries: glibc's (ld.so(8)) or musl's.

use std::collections::BTreeSet;
use std::io::Read;

use crate::elf::Facts;
use crate::elf::machine::Machine;
use crate::error::{IoContext, Result};
use crate::tree::{Content, FileTree, NodeKind, TreePath, links};

/// A configuration file is read up to so many bytes.
const CONFIGURATION_MAX_BYTES: u64 = 64 * 1024;
/// What musl's loader is itself, whatever version follows the dot.
const MUSL_OWN: [&[u8]; 7] =
    [b"libc.", b"libpthread.", b"librt.", b"libm.", b"libdl.", b"libutil.", b"libxnet."];

/// What the tree configures for one machine's loaders, read once.
pub(super) struct Configuration {
    machine: Machine,
    has_musl: bool,
    musl: Vec<Vec<u8>>,
    glibc: Vec<Vec<u8>>,
    /// Directories of `/etc/ld.so.conf` that are not searched for want of a cache.
    uncached: Vec<Vec<u8>>,
}

impl Configuration {
    pub(super) fn read(tree: &FileTree, machine: Machine) -> Result<Self> {
        let name = machine.name();
        let has_musl = tree.iter().any(|(path, _)| path.file_name().starts_with(b"ld-musl-"));
        let list = configuration(tree, format!("etc/ld-musl-{name}.path").as_bytes())?
            .unwrap_or_else(|| b"/lib:/usr/local/lib:/usr/lib".to_vec());
        let musl = list
            .split(|byte| matches!(byte, b':' | b'\n'))
            .filter(|part| !part.is_empty())
            .map(<[u8]>::to_vec)
            .collect();
        let mut configured = Vec::new();
        read_ld_so_conf(tree, b"etc/ld.so.conf", &mut configured, &mut BTreeSet::new())?;
        // Only ldconfig reads the configuration; the loader reads the cache it makes.
        let has_cache = tree.get_bytes(b"etc/ld.so.cache").is_some();
        let (mut glibc, uncached) =
            if has_cache { (configured, Vec::new()) } else { (Vec::new(), configured) };
        for parent in ["/lib", "/usr/lib"] {
            glibc.push(format!("{parent}/{name}-linux-gnu").into_bytes());
        }
        let plain = machine.lib_directories().iter();
        glibc.extend(plain.map(|directory| directory.as_bytes().to_vec()));
        Ok(Self { machine, has_musl, musl, glibc, uncached })
    }

    /// Whose loaders it is about.
    pub(super) fn machine(&self) -> Machine {
        self.machine
    }
}

/// The search that belongs to one program.
pub(super) struct Search<'a> {
    configuration: &'a Configuration,
    is_musl: bool,
    /// The loader's file name, which needs no search.
    loader: &'a [u8],
}

impl<'a> Search<'a> {
    /// The search of the loader that `facts` asks for. A library asks for none and
    /// gets that of the tree.
    pub(super) fn new(configuration: &'a Configuration, facts: &'a Facts) -> Self {
        let interpreter = facts.interpreter.as_deref();
        let loader = interpreter.and_then(|path| path.rsplit(|b| *b == b'/').next());
        let loader = loader.unwrap_or_default();
        let is_musl = match interpreter {
            Some(_) => loader.starts_with(b"ld-musl"),
            None => configuration.has_musl,
        };
        Self { configuration, is_musl, loader }
    }

    /// Every directory searched for the needs of the file at `path`, in order.
    pub(super) fn directories(
        &self,
        path: &TreePath,
        facts: &Facts,
        inherited: &[Vec<u8>],
    ) -> Vec<Vec<u8>> {
        let mut directories = Vec::new();
        // With glibc a RUNPATH switches RPATHs off; musl takes both for the same thing.
        if facts.runpath.is_empty() || self.is_musl {
            directories.extend(self.expand(path, &facts.rpath));
            directories.extend(inherited.iter().cloned());
        }
        directories.extend(self.expand(path, &facts.runpath));
        let system =
            if self.is_musl { &self.configuration.musl } else { &self.configuration.glibc };
        directories.extend(system.iter().cloned());
        directories
    }

    /// The directories that count for a library that `path` needs because they
    /// count for `path`: RPATHs, and for musl RUNPATHs too.
    pub(super) fn handed_down(
        &self,
        path: &TreePath,
        facts: &Facts,
        inherited: &[Vec<u8>],
    ) -> Vec<Vec<u8>> {
        let mut directories = Vec::new();
        if facts.runpath.is_empty() || self.is_musl {
            directories.extend(self.expand(path, &facts.rpath));
        }
        if self.is_musl {
            directories.extend(self.expand(path, &facts.runpath));
        }
        directories.extend(inherited.iter().cloned());
        directories
    }

    /// Whether a needed name is the loader itself.
    pub(super) fn is_the_loaders(&self, name: &[u8]) -> bool {
        (!self.loader.is_empty() && name == self.loader)
            || (self.is_musl && MUSL_OWN.iter().any(|own| name.starts_with(own)))
    }

    /// Whether a library would be found if there were a cache.
    pub(super) fn is_only_in_cache_directories(&self, library: &TreePath) -> bool {
        let parent = library.parent().unwrap_or_default();
        self.configuration
            .uncached
            .iter()
            .any(|directory| TreePath::new(directory).is_ok_and(|d| d == parent))
    }

    /// Puts values in place of a list's variables (ld.so(8), "Rpath token expansion").
    fn expand(&self, path: &TreePath, list: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let origin = path.parent().unwrap_or_default();
        let origin = [b"/", origin.as_bytes()].concat();
        let lib = self.configuration.machine.lib().as_bytes();
        list.iter()
            .map(|directory| plain(&replace(&replace(directory, "ORIGIN", &origin), "LIB", lib)))
            .collect()
    }
}

/// Replaces `$NAME` and `${NAME}`.
fn replace(text: &[u8], name: &str, value: &[u8]) -> Vec<u8> {
    let mut done = Vec::new();
    let mut rest = text;
    let tokens = [format!("${{{name}}}"), format!("${name}")];
    while let Some((first, behind)) = rest.split_first() {
        match tokens.iter().find(|token| rest.starts_with(token.as_bytes())) {
            Some(token) => {
                done.extend_from_slice(value);
                rest = &rest[token.len()..];
            }
            None => {
                done.push(*first);
                rest = behind;
            }
        }
    }
    done
}

/// Takes `..` out, with what stands before it.
fn plain(directory: &[u8]) -> Vec<u8> {
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in directory.split(|byte| *byte == b'/').filter(|part| !part.is_empty()) {
        if part == b".." {
            parts.pop();
        } else {
            parts.push(part);
        }
    }
    let slash: &[u8] = if directory.starts_with(b"/") { b"/" } else { b"" };
    [slash, &parts.join(&b'/')].concat()
}

/// Reads a configuration file of the tree; `None` if it is not there.
fn configuration(tree: &FileTree, path: &[u8]) -> Result<Option<Vec<u8>>> {
    let path = links::resolve(tree, &TreePath::new(path)?)?;
    match tree.get(&path).map(|node| &node.kind) {
        Some(NodeKind::File(Content::Bytes(bytes))) => Ok(Some(bytes.to_vec())),
        Some(NodeKind::File(Content::HostFile { path, .. })) => {
            let mut bytes = Vec::new();
            let file = std::fs::File::open(path).at("read", path)?;
            file.take(CONFIGURATION_MAX_BYTES).read_to_end(&mut bytes).at("read", path)?;
            Ok(Some(bytes))
        }
        _ => Ok(None),
    }
}

/// The directories of `ld.so.conf` and what it includes (ldconfig(8)).
fn read_ld_so_conf(
    tree: &FileTree,
    path: &[u8],
    directories: &mut Vec<Vec<u8>>,
    seen: &mut BTreeSet<Vec<u8>>,
) -> Result<()> {
    if !seen.insert(path.to_vec()) {
        return Ok(());
    }
    let Some(text) = configuration(tree, path)? else { return Ok(()) };
    for line in String::from_utf8_lossy(&text).lines() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if let Some(pattern) = line.strip_prefix("include ") {
            for path in included(tree, pattern.trim().trim_start_matches('/')) {
                read_ld_so_conf(tree, &path, directories, seen)?;
            }
        } else if line.starts_with('/') {
            directories.push(line.as_bytes().to_vec());
        }
    }
    Ok(())
}

/// The files of the tree that match a pattern with at most one `*`.
fn included(tree: &FileTree, pattern: &str) -> Vec<Vec<u8>> {
    let Some((start, end)) = pattern.split_once('*') else {
        return vec![pattern.as_bytes().to_vec()];
    };
    let matches = |path: &&[u8]| {
        path.len() >= start.len() + end.len()
            && path.starts_with(start.as_bytes())
            && path.ends_with(end.as_bytes())
            && !path[start.len()..].contains(&b'/')
    };
    tree.iter().map(|(path, _)| path.as_bytes()).filter(matches).map(<[u8]>::to_vec).collect()
}
