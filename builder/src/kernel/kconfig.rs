//! The kernel's Kconfig language, as far as it takes to explain an option: where
//! it is defined, what it depends on, what selects it. Pure.
//!
//! (Documentation/kbuild/kconfig-language.rst.) Defaults and ranges are not
//! evaluated: what an option came to is read from the final `.config`, which
//! the kernel's own tools wrote.

pub mod explain;
pub mod expression;
pub mod parser;

use std::collections::BTreeMap;
use std::fmt;

use expression::Expression;

/// A line of a Kconfig file, by its path inside the source tree.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct KconfigPlace {
    /// Path from the top of the source tree.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
}

impl fmt::Display for KconfigPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// An expression that something hangs on, and the line that says so.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Condition {
    /// What must hold.
    pub expression: Expression,
    /// The `depends on`, `if` or `visible if` line.
    pub place: KconfigPlace,
}

/// The type of an option's value.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum OptionType {
    /// y or n.
    Bool,
    /// y, m or n.
    Tristate,
    /// Text.
    String,
    /// A decimal number.
    Int,
    /// A hexadecimal number.
    Hex,
    /// None was seen.
    #[default]
    Unknown,
}

impl OptionType {
    /// Its keyword.
    #[must_use]
    pub const fn keyword(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Tristate => "tristate",
            Self::String => "string",
            Self::Int => "int",
            Self::Hex => "hex",
            Self::Unknown => "no type",
        }
    }
}

/// One `config` or `menuconfig` entry. An option can have several.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Definition {
    /// The `config` line.
    pub place: KconfigPlace,
    /// What a person is asked, if anything: an option without is set by others only.
    pub prompt: Option<String>,
    /// What must hold for the option: its own `depends on` after those of the
    /// `if`, `menu` and `choice` blocks around it, outermost first.
    pub depends: Vec<Condition>,
    /// What must further hold for the prompt to be offered.
    pub visible: Vec<Condition>,
    /// The choice it is a member of, as an index into `Kconfig::choices`.
    pub choice: Option<usize>,
}

/// A `select` or `imply` by another option.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Selection {
    /// The option that selects.
    pub by: String,
    /// Its `if`.
    pub condition: Option<Expression>,
    /// The `select` line.
    pub place: KconfigPlace,
}

/// An option and everything said about it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Symbol {
    /// Its type.
    pub option_type: OptionType,
    /// Its entries, in the order they are read.
    pub definitions: Vec<Definition>,
    /// The options that select it.
    pub selected_by: Vec<Selection>,
}

/// All options of a source tree for one architecture.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Kconfig {
    symbols: BTreeMap<String, Symbol>,
    /// The members of each choice.
    choices: Vec<Vec<String>>,
}

impl Kconfig {
    /// The option of this name, if any Kconfig file defines it.
    #[must_use]
    pub fn symbol(&self, name: &str) -> Option<&Symbol> {
        self.symbols.get(name).filter(|symbol| !symbol.definitions.is_empty())
    }

    /// The names of all defined options.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.symbols
            .iter()
            .filter(|(_, symbol)| !symbol.definitions.is_empty())
            .map(|(name, _)| name.as_str())
    }

    /// The members of a choice.
    #[must_use]
    pub fn choice(&self, index: usize) -> &[String] {
        self.choices.get(index).map_or(&[], Vec::as_slice)
    }
}
