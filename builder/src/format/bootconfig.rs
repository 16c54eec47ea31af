//! Boot configurations at the end of an initramfs
//! (Documentation/admin-guide/bootconfig.rst): how an image carries its kernel
//! command line without a boot loader. The kernel must be built with
//! `CONFIG_BOOT_CONFIG_FORCE`, or be given `bootconfig` on its command line.
//!
//! [`from_command_line`] writes the text, [`trailer`] makes it the file's end,
//! [`find`] takes it off again. Reading the text as a tree is the kernel's work;
//! [`command_line`] understands what is written here, for `inspect`.

use crate::command_line::{split, words};
use crate::error::{Error, Result};

/// What ends the file.
pub const MAGIC: &[u8; 12] = b"#BOOTCONFIG\n";
/// Size and checksum before the magic, both 32 bits, little-endian.
const FOOTER_BYTES: usize = 8 + MAGIC.len();
/// The file's length becomes a multiple of this.
const ALIGNMENT_BYTES: usize = 4;
/// The kernel's `XBC_DATA_MAX`: the text's length without padding stays below it.
pub const TEXT_MAX_BYTES: usize = 32_767;
/// The documentation's limit on key words and values together; newer kernels take more.
const NODES_MAX: usize = 1024;
/// The kernel's limits on one key: its length, and how many words it has.
const KEY_MAX_BYTES: usize = 256;
const KEY_WORDS_MAX: usize = 15;

/// One parameter of a command line.
struct Parameter<'a> {
    key: &'a str,
    /// One value for each time it was given; empty for a flag.
    values: Vec<&'a str>,
}

/// The boot configuration that gives the kernel this command line. Parameters
/// keep their order; one that is given several times becomes one array in the
/// place of the first. What follows ` -- ` goes to init.
///
/// # Errors
/// If a parameter cannot be written in a boot configuration, or there are too many; all such at once.
pub fn from_command_line(command_line: &str) -> Result<String> {
    let mut problems = Vec::new();
    let mut text = String::new();
    let mut nodes = 0;
    for (section, parameters) in sections(command_line, &mut problems) {
        if parameters.is_empty() {
            continue;
        }
        text.push_str(section);
        text.push_str(" {\n");
        nodes += 1;
        for parameter in parameters {
            nodes += parameter.key.split('.').count() + parameter.values.len();
            text.push_str(parameter.key);
            for (index, value) in parameter.values.iter().enumerate() {
                text.push_str(if index == 0 { " = \"" } else { ", \"" });
                text.push_str(value);
                text.push('"');
            }
            text.push('\n');
        }
        text.push_str("}\n");
    }
    if text.len() >= TEXT_MAX_BYTES || nodes > NODES_MAX {
        problems.push(format!(
            "it becomes {} bytes and {nodes} nodes; the kernel takes less than {TEXT_MAX_BYTES} and {NODES_MAX}",
            text.len()
        ));
    }
    if problems.is_empty() {
        return Ok(text);
    }
    Err(Error::definition(format!(
        "the kernel command line cannot be written as a boot configuration:\n  {}",
        problems.join("\n  ")
    )))
}

/// What of these parameters cannot be written in a boot configuration, however few they are.
#[must_use]
pub fn problems(command_line: &str) -> Vec<String> {
    let mut problems = Vec::new();
    sections(command_line, &mut problems);
    problems
}

/// The two sections and what goes into them.
fn sections<'a>(
    command_line: &'a str,
    problems: &mut Vec<String>,
) -> [(&'static str, Vec<Parameter<'a>>); 2] {
    if !command_line.matches('"').count().is_multiple_of(2) {
        problems.push("a double quote is not closed".into());
    }
    let (kernel, init) = split(words(command_line), |word| word);
    [("kernel", collect(&kernel, problems)), ("init", collect(&init, problems))]
}

fn collect<'a>(words: &[&'a str], problems: &mut Vec<String>) -> Vec<Parameter<'a>> {
    let mut parameters: Vec<Parameter<'a>> = Vec::new();
    for word in words {
        let word = unquote(word);
        let (key, value) = match word.split_once('=') {
            Some((key, value)) => (key, Some(unquote(value))),
            None => (word, None),
        };
        if let Some(problem) = check(key, value) {
            problems.push(problem);
        }
        match (parameters.iter_mut().find(|parameter| parameter.key == key), value) {
            (None, value) => {
                parameters.push(Parameter { key, values: value.into_iter().collect() })
            }
            (Some(known), Some(value)) if !known.values.is_empty() => known.values.push(value),
            (Some(known), None) if known.values.is_empty() => {}
            (Some(_), _) => {
                problems.push(format!("`{key}` is given both with and without a value"))
            }
        }
    }
    parameters
}

fn unquote(text: &str) -> &str {
    text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text)
}

fn check(key: &str, value: Option<&str>) -> Option<String> {
    let is_word = |word: &str| {
        !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
    };
    let words = key.split('.').count();
    if !key.split('.').all(is_word) || words > KEY_WORDS_MAX || key.len() >= KEY_MAX_BYTES {
        return Some(format!(
            "`{key}`: a name has words of letters, digits, `-` and `_`, at most {KEY_WORDS_MAX}, joined by dots"
        ));
    }
    // The kernel puts values in double quotes and has no way to escape one.
    let is_printable = |c: char| c == ' ' || c.is_ascii_graphic() && c != '"';
    if !value.unwrap_or_default().chars().all(is_printable) {
        return Some(format!("`{key}`: a value has printable ASCII characters, no double quote"));
    }
    None
}

/// What to append to an initramfs of `initramfs_bytes` so that it ends with `text`.
///
/// # Errors
/// If the text is longer than the kernel takes.
pub fn trailer(text: &str, initramfs_bytes: u64) -> Result<Vec<u8>> {
    if text.len() >= TEXT_MAX_BYTES {
        return Err(Error::definition(format!(
            "a boot configuration of {} bytes is too long: the kernel takes less than {TEXT_MAX_BYTES}",
            text.len()
        )));
    }
    let mut trailer = text.as_bytes().to_vec();
    let total = initramfs_bytes + (text.len() + FOOTER_BYTES) as u64;
    let padding = total.next_multiple_of(ALIGNMENT_BYTES as u64) - total;
    trailer.extend((0..padding).map(|_| 0));
    let size = u32::try_from(trailer.len()).unwrap_or(u32::MAX);
    let checksum = checksum(&trailer);
    trailer.extend_from_slice(&size.to_le_bytes());
    trailer.extend_from_slice(&checksum.to_le_bytes());
    trailer.extend_from_slice(MAGIC);
    Ok(trailer)
}

/// The kernel's checksum: the sum of all bytes.
fn checksum(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |sum, byte| sum.wrapping_add(u32::from(*byte)))
}

/// A boot configuration found at the end of a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found {
    /// The text, without padding.
    pub text: String,
    /// How many of the file's last bytes it takes with its footer.
    pub len_bytes: usize,
}

/// Looks for a boot configuration at the end of `tail`, a file's last bytes. Up
/// to three bytes may follow it, as the kernel allows for boot loaders that pad.
/// The last [`TEXT_MAX_BYTES`] + 32 bytes of a file are enough.
///
/// # Errors
/// If there is one with a wrong size or checksum, which the kernel would ignore.
pub fn find(tail: &[u8]) -> Result<Option<Found>> {
    let Some(end) = (0..ALIGNMENT_BYTES)
        .filter_map(|behind| tail.len().checked_sub(behind))
        .find(|end| tail[..*end].ends_with(MAGIC))
    else {
        return Ok(None);
    };
    let damaged = |why: &str| Error::failure(format!("the boot configuration is damaged: {why}"));
    let footer = end
        .checked_sub(FOOTER_BYTES)
        .and_then(|start| tail.get(start..end - MAGIC.len()))
        .ok_or_else(|| damaged("its footer is cut off"))?;
    let word = |at: usize| {
        u32::from_le_bytes([footer[at], footer[at + 1], footer[at + 2], footer[at + 3]])
    };
    let data_end = end - FOOTER_BYTES;
    let data = data_end
        .checked_sub(word(0) as usize)
        .and_then(|start| tail.get(start..data_end))
        .filter(|data| data.len() < TEXT_MAX_BYTES + ALIGNMENT_BYTES)
        .ok_or_else(|| damaged("its size is impossible"))?;
    if checksum(data) != word(4) {
        return Err(damaged("its checksum is wrong"));
    }
    let text_end = data.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let text = String::from_utf8_lossy(&data[..text_end]).into_owned();
    Ok(Some(Found { text, len_bytes: tail.len() - (data_end - data.len()) }))
}

/// The command line that a text written by [`from_command_line`] stands for;
/// `None` if the text was written by someone else.
#[must_use]
pub fn command_line(text: &str) -> Option<String> {
    let mut halves = [Vec::new(), Vec::new()];
    let mut section = None;
    for line in text.lines() {
        match (line, section) {
            ("kernel {", None) => section = Some(0),
            ("init {", None) => section = Some(1),
            ("}", Some(_)) => section = None,
            (line, Some(section)) => match line.split_once(" = ") {
                None => halves[section].push(line.to_owned()),
                Some((key, values)) => {
                    let values = values.strip_prefix('"')?.strip_suffix('"')?;
                    for value in values.split("\", \"") {
                        let quote = if value.contains(' ') { "\"" } else { "" };
                        halves[section].push(format!("{key}={quote}{value}{quote}"));
                    }
                }
            },
            _ => return None,
        }
    }
    let [kernel, init] = halves.map(|half| half.join(" "));
    Some(if init.is_empty() { kernel } else { format!("{kernel} -- {init}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_becomes_a_tree_and_back() {
        let line = "root=PARTUUID=0a-1 ro console=tty0 quiet console=ttyS0,115200 \
                    init.log=debug title=\"a b\" -- --single";
        let text = from_command_line(line).unwrap();
        assert_eq!(
            text,
            "kernel {\nroot = \"PARTUUID=0a-1\"\nro\nconsole = \"tty0\", \"ttyS0,115200\"\nquiet\n\
             init.log = \"debug\"\ntitle = \"a b\"\n}\ninit {\n--single\n}\n"
        );
        assert_eq!(
            command_line(&text).unwrap(),
            "root=PARTUUID=0a-1 ro console=tty0 console=ttyS0,115200 quiet init.log=debug \
             title=\"a b\" -- --single"
        );
    }

    #[test]
    fn what_the_kernel_would_refuse_is_refused_at_once() {
        let error = from_command_line("a@b=1 x=\u{e4} y=1 y").unwrap_err().to_string();
        for part in ["`a@b`", "`x`", "`y` is given both"] {
            assert!(error.contains(part), "{part}: {error}");
        }
        assert!(from_command_line("a=\"b c").is_err());
        assert!(from_command_line(&format!("a={}", "x".repeat(33_000))).is_err());
        let many: Vec<String> = (0..600).map(|number| format!("p{number}=1")).collect();
        assert!(from_command_line(&many.join(" ")).unwrap_err().to_string().contains("nodes"));
    }

    #[test]
    fn the_trailer_is_that_of_the_documentation_and_is_found_again() {
        for initramfs in 0..5usize {
            let text = "kernel {\nquiet\n}\n";
            let trailer = trailer(text, initramfs as u64).unwrap();
            assert_eq!((trailer.len() + initramfs) % 4, 0);
            assert!(trailer.ends_with(b"#BOOTCONFIG\n"));
            let mut file = vec![b'x'; initramfs];
            file.extend_from_slice(&trailer);
            for padding in 0..4 {
                let mut file = file.clone();
                file.resize(file.len() + padding, 0);
                let found = find(&file).unwrap().unwrap();
                assert_eq!((found.text.as_str(), found.len_bytes), (text, trailer.len() + padding));
            }
        }
        assert_eq!(trailer("a=1\n", 4).unwrap(), b"a=1\n\x04\0\0\0\xd9\0\0\0#BOOTCONFIG\n");
    }

    #[test]
    fn a_damaged_trailer_is_told_from_none() {
        let good = trailer("kernel {\nquiet\n}\n", 0).unwrap();
        assert_eq!(find(b"no configuration here").unwrap(), None);
        assert_eq!(find(b"").unwrap(), None);
        for (at, byte) in [(0, b'K'), (good.len() - 20, 0xFF), (good.len() - 16, 0)] {
            let mut bad = good.clone();
            bad[at] = byte;
            assert!(find(&bad).is_err(), "byte {at}");
        }
        assert!(find(MAGIC).is_err());
    }
}
