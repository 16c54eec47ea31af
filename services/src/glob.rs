//! Shell patterns for names (glob(7)): `*`, `?` and sets such as `[a-z]` or `[!0-9]`.
//! A `/` is a character as any other. Absent: braces, classes such as `[:alpha:]`.

/// Whether `name` matches `pattern`. A set that is not closed stands for itself.
#[must_use]
pub fn matches(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    let (mut at, mut seen) = (0, 0);
    // Where the last star was, and how much of the name it has taken so far.
    let mut star: Option<(usize, usize)> = None;
    while seen < name.len() {
        if pattern.get(at) == Some(&'*') {
            star = Some((at, seen));
            at += 1;
        } else if let Some(length) = one(pattern.get(at..).unwrap_or_default(), name[seen]) {
            at += length;
            seen += 1;
        } else if let Some((star_at, taken)) = star {
            // Only the last star needs to give way: what stands before it has matched.
            star = Some((star_at, taken + 1));
            at = star_at + 1;
            seen = taken + 1;
        } else {
            return false;
        }
    }
    pattern.get(at..).unwrap_or_default().iter().all(|rest| *rest == '*')
}

/// How much of the pattern's start stands for the one character `c`; `None` if it does not.
fn one(pattern: &[char], c: char) -> Option<usize> {
    match pattern.first()? {
        '?' => Some(1),
        '[' => match set(pattern) {
            Some((inside, length)) => contains(inside, c).then_some(length),
            None => (c == '[').then_some(1),
        },
        plain => (*plain == c).then_some(1),
    }
}

/// What is inside the set that `pattern` starts with, and how long all of it is.
fn set(pattern: &[char]) -> Option<(&[char], usize)> {
    // A bracket directly behind the start is a member.
    let first = if pattern.get(1) == Some(&'!') { 3 } else { 2 };
    let end = first + pattern.get(first..)?.iter().position(|c| *c == ']')?;
    Some((pattern.get(1..end)?, end + 1))
}

fn contains(inside: &[char], c: char) -> bool {
    let (negated, mut members) = match inside.split_first() {
        Some(('!', rest)) => (true, rest),
        _ => (false, inside),
    };
    let mut found = false;
    while let Some(first) = members.first() {
        if let (Some('-'), Some(last)) = (members.get(1), members.get(2)) {
            found |= (*first..=*last).contains(&c);
            members = members.get(3..).unwrap_or_default();
        } else {
            found |= *first == c;
            members = members.get(1..).unwrap_or_default();
        }
    }
    found != negated
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_names() {
        for (pattern, name, expected) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("ttyS*", "ttyS0", true),
            ("ttyS*", "tty0", false),
            ("tty[0-9]*", "tty12", true),
            ("tty[0-9]*", "ttyS1", false),
            ("tty[!0-9]*", "ttyS1", true),
            ("*/by-*", "disk/by-uuid", true),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
            ("v?a", "vda", true),
            ("v?a", "va", false),
            ("[ab", "[ab", true),
            ("[]x]", "]", true),
            ("[a-]", "-", true),
            ("*****a", "bbbbbbbbbb", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern:?} {name:?}");
        }
    }

    #[test]
    fn many_stars_take_no_more_than_square_time() {
        let pattern = "*a".repeat(200);
        assert!(!matches(&pattern, &"a".repeat(199)));
        assert!(matches(&pattern, &"ba".repeat(200)));
    }
}
