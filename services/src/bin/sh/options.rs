//! The words that a shell is started with: what they have it do, and how brush is told
//! (sh(1), POSIX.1-2024 XCU 3 "sh").
//!
//! brush 0.4.0 knows `-a`, `-b`, `-h` and `-m` by their long names alone (`-o monitor`), and
//! takes `+m` for the name of a script.

use std::ffi::OsString;

/// Options of brush that take the word behind them: what follows is no script.
const OPTIONS_WITH_VALUE: &[&str] = &[
    "--config",
    "--debug",
    "--disable-event",
    "--inherit-fd",
    "--init-file",
    "--input-backend",
    "--rcfile",
    "--xtrace-file",
];

/// What `set -o` calls the option of a letter (POSIX.1-2024, XCU 2.15 "set").
const NAMES: &[(char, &str)] = &[
    ('C', "noclobber"),
    ('a', "allexport"),
    ('b', "notify"),
    ('e', "errexit"),
    ('f', "noglob"),
    ('h', "hashall"),
    ('m', "monitor"),
    ('n', "noexec"),
    ('u', "nounset"),
    ('v', "verbose"),
    ('x', "xtrace"),
];
/// Those of them that brush knows by no letter.
const UNKNOWN_LETTERS: [char; 4] = ['a', 'b', 'h', 'm'];

/// Whether a shell with these words reads its commands from standard input: no `-c`, no
/// script, and no choice of how to read that somebody has made already.
pub(crate) fn reads_commands(words: &[OsString]) -> bool {
    let mut words = words.iter().map(|word| word.to_string_lossy());
    while let Some(word) = words.next() {
        if word == "--help" || word == "--version" || word.starts_with("--input-backend") {
            return false;
        }
        if word == "-" || word == "--" {
            return words.next().is_none();
        }
        if word.starts_with("--") {
            if OPTIONS_WITH_VALUE.contains(&word.as_ref()) {
                words.next();
            }
            continue;
        }
        let Some(letters) = word.strip_prefix(['-', '+']) else {
            return false;
        };
        match valued(letters) {
            Some('c') => return false,
            Some('s') => return true,
            // `-o NAME`; in `-oNAME` the name is there already.
            Some(letter) if letters.ends_with(letter) => drop(words.next()),
            _ => {}
        }
    }
    true
}

/// The same words as brush knows them.
pub(crate) fn translated(words: Vec<OsString>) -> Vec<OsString> {
    let mut told = Vec::with_capacity(words.len());
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let Some(text) = word.to_str() else {
            told.push(word);
            break;
        };
        if let Some(letters) = text.strip_prefix('+').filter(|letters| !letters.is_empty()) {
            let takes_next = letters.ends_with(['o', 'O']);
            told.extend(turned_off(letters).into_iter().map(OsString::from));
            told.extend(takes_next.then(|| words.next()).flatten());
        } else if text.starts_with("--") && text != "--" {
            let takes_next = OPTIONS_WITH_VALUE.contains(&text);
            told.push(word);
            told.extend(takes_next.then(|| words.next()).flatten());
        } else if let Some(letters) = text.strip_prefix('-').filter(|letters| is_options(letters)) {
            let ends = valued(letters);
            let takes_next = ends.is_some_and(|letter| letter != 's' && letters.ends_with(letter));
            told.extend(turned_on(letters).into_iter().map(OsString::from));
            told.extend(takes_next.then(|| words.next()).flatten());
            // What follows a command is its name and arguments.
            if ends == Some('c') {
                break;
            }
        } else {
            told.push(word);
            break;
        }
    }
    told.extend(words);
    told
}

/// The first letter that takes a value or says where commands come from.
fn valued(letters: &str) -> Option<char> {
    letters.chars().find(|letter| ['c', 's', 'o', 'O'].contains(letter))
}

fn is_options(letters: &str) -> bool {
    !letters.is_empty() && letters != "-"
}

/// `im` as `-o monitor -i`: what is left of the letters may take the next word.
fn turned_on(letters: &str) -> Vec<String> {
    // What follows in the same word is a value.
    let flags = letters.find(['o', 'O']).unwrap_or(letters.len());
    let (flags, value) = letters.split_at(flags);
    let mut told = Vec::new();
    for (letter, name) in NAMES {
        if UNKNOWN_LETTERS.contains(letter) && flags.contains(*letter) {
            told.extend(["-o".to_owned(), (*name).to_owned()]);
        }
    }
    let rest = flags.replace(UNKNOWN_LETTERS, "") + value;
    if !rest.is_empty() {
        told.push(format!("-{rest}"));
    }
    told
}

/// `em` as `--+o errexit --+o monitor`, which is how brush spells it; `o` waits for a name.
fn turned_off(letters: &str) -> Vec<String> {
    let mut told = Vec::new();
    for letter in letters.chars() {
        match NAMES.iter().find(|(known, _)| *known == letter) {
            Some((_, name)) => told.extend(["--+o".to_owned(), (*name).to_owned()]),
            None if letter == 'o' => told.push("--+o".to_owned()),
            None => told.push(format!("+{letter}")),
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split_whitespace().map(OsString::from).collect()
    }

    #[test]
    fn a_shell_reads_commands_unless_it_is_given_them() {
        for (line, expected) in [
            ("", true),
            ("-l", true),
            ("-i", true),
            ("-il", true),
            ("-s one two", true),
            ("-o vi", true),
            ("-e -o pipefail", true),
            ("+o posix", true),
            ("+m", true),
            ("-im", true),
            ("-x -", true),
            ("--rcfile /x", true),
            ("--login --norc", true),
            ("-c true", false),
            ("-lc true", false),
            ("-ec true", false),
            ("script", false),
            ("-x script one", false),
            ("-o vi script", false),
            ("--rcfile /x script", false),
            ("-- script", false),
            ("--version", false),
            ("--input-backend basic", false),
            ("--input-backend=reedline", false),
        ] {
            assert_eq!(reads_commands(&words(line)), expected, "sh {line}");
        }
    }

    #[test]
    fn letters_that_brush_does_not_know_become_names() {
        for (line, expected) in [
            ("", ""),
            ("-e script -m", "-e script -m"),
            ("-m", "-o monitor"),
            ("-im", "-o monitor -i"),
            ("-mc command zero", "-o monitor -c command zero"),
            ("-c command -m", "-c command -m"),
            ("-s -m", "-s -o monitor"),
            ("-abh script", "-o allexport -o notify -o hashall script"),
            ("-eo monitor -m", "-eo monitor -o monitor"),
            ("-omonitor script", "-omonitor script"),
            ("+m", "--+o monitor"),
            ("-i +m +ex", "-i --+o monitor --+o errexit --+o xtrace"),
            ("+o posix -m script", "--+o posix -o monitor script"),
            ("+O extglob script", "+O extglob script"),
            ("-O extglob -m", "-O extglob -o monitor"),
            ("--rcfile /x -m", "--rcfile /x -o monitor"),
            ("-- -m", "-- -m"),
            ("- -m", "- -m"),
            ("+", "+"),
        ] {
            assert_eq!(translated(words(line)), words(expected), "sh {line}");
        }
    }
}
