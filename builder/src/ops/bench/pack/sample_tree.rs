//! A tree to pack where there is no kernel source: the same every time, with
//! the file sizes and about the compressibility of one.

use std::path::Path;

use crate::error::{Error, IoContext, Result};

/// File sizes of Linux 6.6 in bytes, at every twentieth of the files.
const SIZES: [u64; 21] = [
    0, 252, 448, 687, 959, 1276, 1613, 2024, 2507, 3101, 3833, 4743, 5857, 7192, 8962, 11_277,
    14_647, 19_589, 28_179, 46_304, 160_000,
];
/// Files in one directory, on average, as there.
const FILES_PER_DIRECTORY: u32 = 16;
const DIRECTORIES_PER_DIRECTORY: u32 = 12;
/// Different words in the text. Low numbers are met more often.
const WORDS: u64 = 6000;
const THREADS_MAX: usize = 8;

/// Makes the tree at `root`, which must not exist.
///
/// # Errors
/// If it cannot be written.
pub(super) fn generate(root: &Path, files: u32) -> Result<()> {
    let words: Vec<String> = (0..WORDS).map(word).collect();
    for number in 0..files.div_ceil(FILES_PER_DIRECTORY) {
        let path = root.join(directory(number));
        std::fs::create_dir_all(&path).at("create", &path)?;
    }
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX);
    std::thread::scope(|scope| {
        let words = &words;
        let workers: Vec<_> = (0..files)
            .take(threads)
            .map(|first| {
                scope.spawn(move || {
                    let mut numbers = (first..files).step_by(threads);
                    numbers.try_for_each(|number| write_file(root, number, words))
                })
            })
            .collect();
        let gone = || Err(Error::internal("a thread that writes files is gone"));
        workers.into_iter().try_for_each(|worker| worker.join().unwrap_or_else(|_| gone()))
    })
}

/// A directory's place: its number in the base of the branching.
fn directory(mut number: u32) -> String {
    let mut path = String::new();
    loop {
        path.insert_str(0, &format!("d{}/", number % DIRECTORIES_PER_DIRECTORY));
        if number < DIRECTORIES_PER_DIRECTORY {
            return path;
        }
        number = number / DIRECTORIES_PER_DIRECTORY - 1;
    }
}

fn write_file(root: &Path, number: u32, words: &[String]) -> Result<()> {
    let mut state = u64::from(number) + 1;
    // Evenly between two of the known sizes.
    let at = next(&mut state) % ((SIZES.len() as u64 - 1) * 1000);
    let place = index(at / 1000);
    let (low, high) = (SIZES[place], SIZES[place + 1]);
    let size = index(low + (high - low) * (at % 1000) / 1000);
    let mut text = Vec::with_capacity(size + 32);
    while text.len() < size {
        let draw = next(&mut state);
        // The product of three draws makes low numbers likely.
        let draws = [draw, draw >> 16, draw >> 32];
        let word = draws.iter().fold(WORDS, |left, bits| (left * (bits & 0xFFFF)) >> 16);
        text.extend_from_slice(words[index(word)].as_bytes());
        text.push(if draw >> 60 == 0 { b'\n' } else { b' ' });
    }
    text.truncate(size);
    let path = root.join(directory(number / FILES_PER_DIRECTORY)).join(format!("file-{number}.c"));
    std::fs::write(&path, text).at("write", &path)
}

/// A word of two to twelve letters.
fn word(number: u64) -> String {
    const LETTERS: &[u8; 24] = b"etaoinshrdlu_cmfwypvbgk0";
    let mut state = number ^ 0x5EED;
    let len = 2 + next(&mut state) % 11;
    (0..len).map(|_| char::from(LETTERS[index(next(&mut state) % LETTERS.len() as u64)])).collect()
}

/// A number below some length as an index.
fn index(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// splitmix64.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{NodeKind, host};

    #[test]
    fn it_has_the_files_asked_for_and_is_the_same_every_time() {
        let work = tempfile::tempdir().unwrap();
        let contents = |name: &str| -> Vec<(String, Vec<u8>)> {
            let root = work.path().join(name);
            generate(&root, 700).unwrap();
            let tree = host::scan(&root, "x").unwrap();
            let files = tree.iter().filter(|(_, node)| matches!(node.kind, NodeKind::File(_)));
            files
                .map(|(path, _)| {
                    let text = path.to_string();
                    let bytes = std::fs::read(root.join(text.trim_start_matches('/'))).unwrap();
                    (text, bytes)
                })
                .collect()
        };
        let first = contents("a");
        assert_eq!(first.len(), 700);
        assert!(first == contents("b"));
        let mean = first.iter().map(|(_, bytes)| bytes.len()).sum::<usize>() / first.len();
        assert!((9_000..15_000).contains(&mean), "the kernel's mean is 11.7 kB, this one's {mean}");
    }
}
