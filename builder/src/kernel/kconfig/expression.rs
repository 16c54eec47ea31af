//! Kconfig expressions: parsing, evaluating against a `.config`, printing.
//!
//! Macros such as `$(cc-option,…)` ask the compiler, which is not done here:
//! they evaluate to "unknown".

use std::fmt;

use crate::kernel::config::Config;

/// A value in Kconfig's three-valued logic, ordered as it orders them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Tristate {
    /// n
    No,
    /// m
    Module,
    /// y
    Yes,
}

/// An expression.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Expression {
    /// An option.
    Symbol(String),
    /// y, m, n, a number or quoted text.
    Constant(String),
    /// `$(…)`, unevaluated.
    Macro(String),
    /// `!a`
    Not(Box<Expression>),
    /// `a && b`
    And(Box<Expression>, Box<Expression>),
    /// `a || b`
    Or(Box<Expression>, Box<Expression>),
    /// `a = b` and its like, with the operator as it is written.
    Compare(&'static str, Box<Expression>, Box<Expression>),
}

impl Expression {
    /// Its value under `config`; `None` where a macro decides.
    #[must_use]
    pub fn value(&self, config: &Config) -> Option<Tristate> {
        match self {
            Self::Symbol(name) => Some(tristate(config.value(name))),
            Self::Constant(text) => Some(tristate(text)),
            Self::Macro(_) => None,
            Self::Not(inner) => inner.value(config).map(|value| match value {
                Tristate::No => Tristate::Yes,
                Tristate::Module => Tristate::Module,
                Tristate::Yes => Tristate::No,
            }),
            Self::And(left, right) => match (left.value(config), right.value(config)) {
                (Some(Tristate::No), _) | (_, Some(Tristate::No)) => Some(Tristate::No),
                (left, right) => left.zip(right).map(|(left, right)| left.min(right)),
            },
            Self::Or(left, right) => match (left.value(config), right.value(config)) {
                (Some(Tristate::Yes), _) | (_, Some(Tristate::Yes)) => Some(Tristate::Yes),
                (left, right) => left.zip(right).map(|(left, right)| left.max(right)),
            },
            Self::Compare(operator, left, right) => {
                let (left, right) = (left.text(config)?, right.text(config)?);
                let holds = compare(operator, &left, &right);
                Some(if holds { Tristate::Yes } else { Tristate::No })
            }
        }
    }

    /// The smallest part that makes this `n`: of `a && b` the first that is.
    #[must_use]
    pub fn first_unmet(&self, config: &Config) -> Option<&Expression> {
        if let Self::And(left, right) = self {
            return left.first_unmet(config).or_else(|| right.first_unmet(config));
        }
        (self.value(config) == Some(Tristate::No)).then_some(self)
    }

    /// The options it mentions, in order.
    #[must_use]
    pub fn symbols(&self) -> Vec<&str> {
        match self {
            Self::Symbol(name) => vec![name],
            Self::Constant(_) | Self::Macro(_) => Vec::new(),
            Self::Not(inner) => inner.symbols(),
            Self::And(left, right) | Self::Or(left, right) | Self::Compare(_, left, right) => {
                let mut names = left.symbols();
                names.extend(right.symbols());
                names
            }
        }
    }

    /// A comparison's operand as text, without quotes.
    fn text(&self, config: &Config) -> Option<String> {
        let text = match self {
            Self::Symbol(name) => config.value(name),
            Self::Constant(text) => text,
            _ => return None,
        };
        Some(text.trim_matches('"').to_owned())
    }
}

fn tristate(value: &str) -> Tristate {
    match value {
        "y" => Tristate::Yes,
        "m" => Tristate::Module,
        _ => Tristate::No,
    }
}

/// Numbers compare as numbers, all else as text.
fn compare(operator: &str, left: &str, right: &str) -> bool {
    let ordering = match (number(left), number(right)) {
        (Some(left), Some(right)) => left.cmp(&right),
        _ => left.cmp(right),
    };
    match operator {
        "=" => ordering.is_eq(),
        "!=" => ordering.is_ne(),
        "<" => ordering.is_lt(),
        "<=" => ordering.is_le(),
        ">" => ordering.is_gt(),
        _ => ordering.is_ge(),
    }
}

fn number(text: &str) -> Option<i64> {
    match text.strip_prefix("0x") {
        Some(digits) => i64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let grouped = |inner: &Self| match inner {
            Self::And(..) | Self::Or(..) | Self::Compare(..) => format!("({inner})"),
            _ => inner.to_string(),
        };
        match self {
            Self::Symbol(text) | Self::Constant(text) | Self::Macro(text) => f.write_str(text),
            Self::Not(inner) => write!(f, "!{}", grouped(inner)),
            Self::Or(left, right) => write!(f, "{left} || {right}"),
            Self::And(left, right) => {
                let side = |side: &Self| match side {
                    Self::Or(..) => format!("({side})"),
                    _ => side.to_string(),
                };
                write!(f, "{} && {}", side(left), side(right))
            }
            Self::Compare(operator, left, right) => write!(f, "{left} {operator} {right}"),
        }
    }
}

/// A word of a Kconfig line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Token {
    /// A name, number or path.
    Word(String),
    /// Quoted text, with its quotes.
    Quoted(String),
    /// `$(…)`
    Macro(String),
    /// An operator or parenthesis.
    Operator(&'static str),
}

/// Longer operators first, so that `!=` is not read as `!`.
const OPERATORS: [&str; 11] = ["&&", "||", "!=", "<=", ">=", "!", "=", "<", ">", "(", ")"];

/// Splits the rest of a line into tokens, up to a comment. Characters that
/// Kconfig does not know are skipped.
#[must_use]
pub fn tokenize(line: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = line.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '#' => break,
            '"' | '\'' => quoted_length(rest, first),
            '$' => macro_length(rest),
            _ if is_word(first) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
            _ => OPERATORS
                .iter()
                .find(|operator| rest.starts_with(**operator))
                .map_or(first.len_utf8(), |operator| operator.len()),
        };
        let (text, after) = rest.split_at(length);
        match first {
            '"' | '\'' => {
                let inner = text.get(1..text.len().max(2) - 1).unwrap_or_default();
                tokens.push(Token::Quoted(format!("\"{inner}\"")));
            }
            '$' => tokens.push(Token::Macro(text.to_owned())),
            _ if is_word(first) => tokens.push(Token::Word(text.to_owned())),
            _ => tokens.extend(
                OPERATORS.iter().find(|operator| **operator == text).map(|o| Token::Operator(o)),
            ),
        }
        rest = after.trim_start();
    }
    tokens
}

fn is_word(character: char) -> bool {
    character.is_ascii_alphanumeric() || "_-./".contains(character)
}

/// The length of quoted text with both quotes; a backslash protects a quote.
fn quoted_length(text: &str, quote: char) -> usize {
    let mut is_escaped = false;
    for (index, character) in text.char_indices().skip(1) {
        match character {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            _ if character == quote => return index + 1,
            _ => {}
        }
    }
    text.len()
}

/// The length of `$(…)` with all parentheses inside it.
fn macro_length(text: &str) -> usize {
    let mut depth = 0_usize;
    for (index, character) in text.char_indices() {
        match character {
            '(' => depth += 1,
            ')' if depth == 1 => return index + 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    text.len()
}

/// Parses an expression from the front of `tokens` and leaves what follows it.
/// `None` if there is none.
#[must_use]
pub fn parse(tokens: &mut &[Token]) -> Option<Expression> {
    let mut left = parse_and(tokens)?;
    while take(tokens, "||") {
        left = Expression::Or(Box::new(left), Box::new(parse_and(tokens)?));
    }
    Some(left)
}

fn parse_and(tokens: &mut &[Token]) -> Option<Expression> {
    let mut left = parse_not(tokens)?;
    while take(tokens, "&&") {
        left = Expression::And(Box::new(left), Box::new(parse_not(tokens)?));
    }
    Some(left)
}

fn parse_not(tokens: &mut &[Token]) -> Option<Expression> {
    if take(tokens, "!") {
        return Some(Expression::Not(Box::new(parse_not(tokens)?)));
    }
    if take(tokens, "(") {
        let inner = parse(tokens)?;
        return take(tokens, ")").then_some(inner);
    }
    let left = parse_operand(tokens)?;
    for operator in ["=", "!=", "<", "<=", ">", ">="] {
        if take(tokens, operator) {
            let right = parse_operand(tokens)?;
            return Some(Expression::Compare(operator, Box::new(left), Box::new(right)));
        }
    }
    Some(left)
}

fn parse_operand(tokens: &mut &[Token]) -> Option<Expression> {
    let (first, rest) = tokens.split_first()?;
    let operand = match first {
        Token::Quoted(text) => Expression::Constant(text.clone()),
        Token::Macro(text) => Expression::Macro(text.clone()),
        Token::Word(text) if is_constant(text) => Expression::Constant(text.clone()),
        Token::Word(text) => Expression::Symbol(text.clone()),
        Token::Operator(_) => return None,
    };
    *tokens = rest;
    Some(operand)
}

/// Names of options may begin with a digit (`64BIT`), numbers have only digits.
fn is_constant(text: &str) -> bool {
    matches!(text, "y" | "m" | "n") || number(text).is_some()
}

fn take(tokens: &mut &[Token], operator: &str) -> bool {
    match tokens.split_first() {
        Some((Token::Operator(found), rest)) if *found == operator => {
            *tokens = rest;
            true
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = "CONFIG_A=y\n# CONFIG_B is not set\nCONFIG_M=m\n\
        CONFIG_GCC_VERSION=120200\nCONFIG_S=\"text\"\nCONFIG_64BIT=y\n";

    fn parsed(text: &str) -> Expression {
        let tokens = tokenize(text);
        let mut rest = &tokens[..];
        let expression = parse(&mut rest).unwrap_or_else(|| panic!("{text}"));
        assert!(rest.is_empty(), "{text}: {rest:?}");
        expression
    }

    #[test]
    fn expressions_evaluate_as_kconfig_says() {
        let config = Config::parse(CONFIG);
        use Tristate::{Module, No, Yes};
        let cases = [
            ("A", Some(Yes)),
            ("B", Some(No)),
            ("NEVER_HEARD", Some(No)),
            ("M", Some(Module)),
            ("!M", Some(Module)),
            ("A && M", Some(Module)),
            ("A || B && B", Some(Yes)),
            ("(A || B) && B", Some(No)),
            ("!(A && B)", Some(Yes)),
            ("GCC_VERSION >= 120000", Some(Yes)),
            ("GCC_VERSION>=130000", Some(No)),
            ("S = \"text\"", Some(Yes)),
            ("S != \"text\" # comment", Some(No)),
            ("A = y", Some(Yes)),
            ("M != y && 64BIT", Some(Yes)),
            ("$(cc-option,-fx(y))", None),
            ("$(cc-option,-fx) && B", Some(No)),
            ("$(cc-option,-fx) || A", Some(Yes)),
            ("!$(success,test)", None),
            ("0x10 = 16", Some(Yes)),
        ];
        for (text, expected) in cases {
            assert_eq!(parsed(text).value(&config), expected, "{text}");
        }
    }

    #[test]
    fn the_first_unmet_part_is_the_smallest() {
        let config = Config::parse(CONFIG);
        let cases = [
            ("A && B", Some("B")),
            ("(A && (B || NONE)) && OTHER", Some("B || NONE")),
            ("A && !M", None),
            ("A && !A", Some("!A")),
            ("A && GCC_VERSION < 5", Some("GCC_VERSION < 5")),
            ("$(x) && A", None),
        ];
        for (text, expected) in cases {
            let unmet = parsed(text).first_unmet(&config).map(ToString::to_string);
            assert_eq!(unmet.as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn printing_and_parsing_agree() {
        for text in ["A && (B || C)", "!(A && B)", "A || B && !C", "A = \"x y\"", "!$(f,(a))"] {
            assert_eq!(parsed(text).to_string(), text);
        }
    }

    #[test]
    fn broken_expressions_are_none() {
        for text in ["", "&&", "A &&", "(A", "!", "= y"] {
            let tokens = tokenize(text);
            assert_eq!(parse(&mut &tokens[..]), None, "{text}");
        }
    }
}
