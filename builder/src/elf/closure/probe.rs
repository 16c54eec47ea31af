//! Looks into the executables and libraries of a tree, in parallel and only at
//! their first bytes and headers.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use object::read::ReadCache;

use crate::elf::{Facts, read_facts};
use crate::error::{Error, IoContext, Result};
use crate::tree::{Content, FileTree, NodeKind, TreePath};

/// How much of a file the kernel looks at to tell what it is (`BINPRM_BUF_SIZE`).
const BEGINNING_BYTES: usize = 256;
const THREADS_MAX: usize = 8;

/// What a file is to a loader.
#[derive(Clone, Debug)]
pub(super) enum Probe {
    /// An ELF file.
    Elf(Facts),
    /// One that begins like an ELF file.
    Damaged(String),
    /// An executable that begins with `#!`.
    Script {
        /// The path after it.
        interpreter: Vec<u8>,
    },
    /// Anything else.
    Other,
}

/// Probes every file that is executable or named like a library.
pub(super) fn probe_all(tree: &FileTree) -> Result<BTreeMap<TreePath, Probe>> {
    let candidates: Vec<(&TreePath, &Content, bool)> = tree
        .iter()
        .filter_map(|(path, node)| match &node.kind {
            NodeKind::File(content) => {
                let is_executable = node.mode & 0o111 != 0;
                (is_executable || is_library_name(path.file_name())).then_some((
                    path,
                    content,
                    is_executable,
                ))
            }
            _ => None,
        })
        .collect();
    let next = AtomicUsize::new(0);
    let work = || {
        let mut found = Vec::new();
        while let Some((path, content, is_executable)) =
            candidates.get(next.fetch_add(1, Ordering::Relaxed))
        {
            found.push(((*path).clone(), probe(content, *is_executable)?));
        }
        Result::Ok(found)
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX);
    if candidates.len() < 2 * threads {
        return Ok(work()?.into_iter().collect());
    }
    let parts: Vec<Result<Vec<_>>> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap_or_else(|_| Err(Error::internal("a probe is gone"))))
            .collect()
    });
    let mut probes = BTreeMap::new();
    for part in parts {
        probes.extend(part?);
    }
    Ok(probes)
}

/// `libc.so.6`, `pam_unix.so`: a name with a component `so`. Libraries named
/// otherwise are known only if they are executable.
fn is_library_name(name: &[u8]) -> bool {
    name.ends_with(b".so") || name.windows(4).any(|part| part == b".so.")
}

fn probe(content: &Content, is_executable: bool) -> Result<Probe> {
    match content {
        Content::Bytes(bytes) => {
            Ok(beginning(bytes, is_executable).unwrap_or_else(|| elf(read_facts(&bytes[..]))))
        }
        Content::HostFile { path, .. } => probe_host_file(path, is_executable),
    }
}

fn probe_host_file(path: &Path, is_executable: bool) -> Result<Probe> {
    let file = File::open(path).at("read", path)?;
    let mut bytes = [0; BEGINNING_BYTES];
    let mut len = 0;
    while len < bytes.len() {
        match file.read_at(&mut bytes[len..], len as u64).at("read", path)? {
            0 => break,
            count => len += count,
        }
    }
    Ok(beginning(&bytes[..len], is_executable)
        .unwrap_or_else(|| elf(read_facts(&ReadCache::new(file)))))
}

/// What the first bytes say; `None` if it is ELF.
fn beginning(bytes: &[u8], is_executable: bool) -> Option<Probe> {
    if bytes.starts_with(b"\x7FELF") {
        return None;
    }
    let line = bytes.strip_prefix(b"#!").filter(|_| is_executable);
    let Some(line) = line else { return Some(Probe::Other) };
    let line = &line[..line.len().min(BEGINNING_BYTES - 2)];
    let line = line.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let interpreter = line
        .split(|byte| matches!(byte, b' ' | b'\t'))
        .find(|word| !word.is_empty())
        .unwrap_or_default()
        .to_vec();
    Some(Probe::Script { interpreter })
}

fn elf(facts: Result<Option<Facts>, String>) -> Probe {
    match facts {
        Ok(Some(facts)) => Probe::Elf(facts),
        Ok(None) => Probe::Damaged("its class or version is unknown".into()),
        Err(why) => Probe::Damaged(why),
    }
}
