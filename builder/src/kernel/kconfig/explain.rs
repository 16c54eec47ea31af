//! Why an option has not the value that was asked for. Pure.
//!
//! The answer names the first unmet dependency, then that one's own, down to an
//! option that can be set. It is read off the Kconfig files and the final
//! configuration; no satisfiability search is made.

use init_core::diagnostic::suggest;

use super::expression::{Expression, Tristate};
use super::{Condition, Definition, Kconfig, Symbol};
use crate::kernel::config::Config;
use crate::kernel::fragment::config_line;

/// How many options of a list are named before "and N more".
const NAMED: usize = 4;
/// How far a chain of dependencies is followed.
const CHAIN_LENGTH: usize = 8;

/// What an answer says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Explanation {
    /// The cause, as a phrase.
    pub cause: String,
    /// The lines to add to a fragment, where they can be told.
    pub remedy: Option<String>,
    /// Whether all dependencies are met and the option can be set by asking.
    pub is_met: bool,
}

/// Why `name` has not the value `wanted` in `config`.
#[must_use]
pub fn explain(kconfig: &Kconfig, config: &Config, name: &str, wanted: &str) -> Explanation {
    let Some(symbol) = kconfig.symbol(name) else {
        return unknown(kconfig, name);
    };
    if wanted == "n" {
        return Explanation { cause: why_on(symbol, config, name), remedy: None, is_met: true };
    }
    let mut chain = Vec::new();
    let mut remedies = Vec::new();
    let mut current = name.to_owned();
    while chain.len() < CHAIN_LENGTH {
        let Some(unmet) = unmet(kconfig, config, &current) else { break };
        chain.push(format!("{current} {}", needs(&unmet, config)));
        let next = next_option(&unmet.expression, config);
        match next {
            Some(next) if !remedies.contains(&next) && next != name => {
                remedies.push(next.clone());
                current = next;
            }
            _ => break,
        }
    }
    if chain.is_empty() {
        return Explanation {
            cause: why_not_as_wanted(kconfig, config, symbol, name),
            remedy: None,
            is_met: is_settable(kconfig, name),
        };
    }
    let remedy = remedies
        .iter()
        .filter(|name| is_settable(kconfig, name))
        .map(|name| config_line(name, "y"))
        .collect::<Vec<_>>();
    let remedy = (!remedy.is_empty()).then(|| remedy.join(" and "));
    Explanation { cause: chain.join("; "), remedy, is_met: false }
}

fn unknown(kconfig: &Kconfig, name: &str) -> Explanation {
    let cause = "no Kconfig file of this kernel and architecture defines it".to_owned();
    let remedy =
        suggest(name, kconfig.names()).map(|near| format!("CONFIG_{near}, if that was meant"));
    Explanation { cause, remedy, is_met: false }
}

/// The first unmet dependency of an option; `None` if one of its definitions
/// has all it needs. Definitions with a prompt count first.
fn unmet(kconfig: &Kconfig, config: &Config, name: &str) -> Option<Condition> {
    let symbol = kconfig.symbol(name)?;
    let first_unmet = |definition: &Definition| {
        definition.depends.iter().chain(&definition.visible).find_map(|condition| {
            let expression = condition.expression.first_unmet(config)?.clone();
            Some(Condition { expression, place: condition.place.clone() })
        })
    };
    let mut nearest = None;
    for definition in symbol.definitions.iter().filter(|definition| definition.prompt.is_some()) {
        nearest = nearest.or(Some(first_unmet(definition)?));
    }
    nearest.or_else(|| symbol.definitions.iter().find_map(first_unmet))
}

/// "needs X, which is not set (place)".
fn needs(unmet: &Condition, config: &Config) -> String {
    let Condition { expression, place } = unmet;
    let state = match expression {
        Expression::Symbol(_) => ", which is not set".to_owned(),
        Expression::Or(..) => ", none of which is set".to_owned(),
        _ => {
            let values: Vec<String> = expression
                .symbols()
                .iter()
                .map(|name| format!("{name} is {}", config.value(name)))
                .collect();
            if values.is_empty() {
                String::new()
            } else {
                format!(", but {}", values.join(" and "))
            }
        }
    };
    format!("needs {expression}{state} ({place})")
}

/// The option to set next: the unmet one, or the first of several that would do.
fn next_option(expression: &Expression, config: &Config) -> Option<String> {
    match expression {
        Expression::Symbol(name) => Some(name.clone()),
        Expression::Or(left, right) => {
            next_option(left, config).or_else(|| next_option(right, config))
        }
        Expression::And(left, right) => [left, right]
            .into_iter()
            .find(|side| side.value(config) == Some(Tristate::No))
            .and_then(|side| next_option(side, config)),
        Expression::Compare("=", left, right) => match (&**left, &**right) {
            (Expression::Symbol(name), Expression::Constant(value)) if value == "y" => {
                Some(name.clone())
            }
            _ => None,
        },
        _ => None,
    }
}

fn is_settable(kconfig: &Kconfig, name: &str) -> bool {
    kconfig
        .symbol(name)
        .is_some_and(|symbol| symbol.definitions.iter().any(|one| one.prompt.is_some()))
}

/// Why an option that is to be off is on.
fn why_on(symbol: &Symbol, config: &Config, name: &str) -> String {
    let selectors = active_selectors(symbol, config);
    if !selectors.is_empty() {
        return format!("{name} is selected by {}", list(&selectors));
    }
    if symbol.definitions.iter().all(|definition| definition.prompt.is_none()) {
        return format!("{name} has no prompt: it follows from other options ({})", place(symbol));
    }
    format!("{name} is set by its default ({})", place(symbol))
}

/// Why an option with all dependencies met is not as wanted.
fn why_not_as_wanted(kconfig: &Kconfig, config: &Config, symbol: &Symbol, name: &str) -> String {
    let choice = symbol.definitions.iter().find_map(|definition| definition.choice);
    let other = choice.and_then(|index| {
        kconfig.choice(index).iter().find(|other| *other != name && config.value(other) == "y")
    });
    if let Some(other) = other {
        return format!("{name} is one of a choice, and {other} is chosen ({})", place(symbol));
    }
    if symbol.definitions.iter().all(|definition| definition.prompt.is_none()) {
        let selectors: Vec<&str> = symbol.selected_by.iter().map(|one| one.by.as_str()).collect();
        let by = match selectors.is_empty() {
            true => "it follows from other options".to_owned(),
            false => format!("it is selected by {}", list(&selectors)),
        };
        return format!("{name} has no prompt: {by} ({})", place(symbol));
    }
    let selectors = active_selectors(symbol, config);
    if !selectors.is_empty() {
        return format!("{name} is selected by {}", list(&selectors));
    }
    format!(
        "the dependencies of {name} are met, but its definition as {} allows another value only ({})",
        symbol.option_type.keyword(),
        place(symbol)
    )
}

/// The options that are on and select this one.
fn active_selectors<'a>(symbol: &'a Symbol, config: &Config) -> Vec<&'a str> {
    symbol
        .selected_by
        .iter()
        .filter(|one| {
            let condition = one.condition.as_ref().map(|condition| condition.value(config));
            config.value(&one.by) != "n" && condition != Some(Some(Tristate::No))
        })
        .map(|one| one.by.as_str())
        .collect()
}

fn list(names: &[&str]) -> String {
    let shown = names.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(NAMED) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

fn place(symbol: &Symbol) -> String {
    symbol.definitions.first().map(|definition| definition.place.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::kconfig::parser;

    const TREE: &str = "\
menuconfig MISC_FS\n\tbool \"misc\"\n\tdepends on BLOCK\n\
config BLOCK\n\tbool \"block\"\n\
if MISC_FS\nconfig EROFS\n\ttristate \"erofs\"\n\tdepends on CC_VERSION > 3\nendif\n\
config NEEDS_NEW\n\tbool \"new\"\n\tdepends on CC_VERSION >= 14\n\
config NEEDS_EITHER\n\tbool \"either\"\n\tdepends on ISA || BLOCK && EISA\n\
config ISA\n\tbool \"isa\"\nconfig EISA\n\tbool \"eisa\"\n\
config LIBRARY\n\tbool\nconfig USER\n\tbool \"user\"\n\tselect LIBRARY\n\tselect FORCED if ISA\n\
config FORCED\n\tbool \"forced\"\n\
config HIDDEN\n\tbool \"hidden\" if EXPERT\nconfig EXPERT\n\tbool \"expert\"\n\
config SMALL\n\tint \"small\"\n\trange 1 8\n\
config LOOP_A\n\tbool \"a\"\n\tdepends on LOOP_B\nconfig LOOP_B\n\tbool \"b\"\n\tdepends on LOOP_A\n\
choice\n\tprompt \"which\"\nconfig ONE\n\tbool \"one\"\nconfig TWO\n\tbool \"two\"\nendchoice\n\
config NOT\n\tbool \"not\"\n\tdepends on !ONE\n";

    fn answer(config: &str, name: &str, wanted: &str) -> (String, String) {
        let kconfig = parser::parse("x86", &|path| (path == "Kconfig").then(|| TREE.to_owned()));
        let explanation = explain(&kconfig, &Config::parse(config), name, wanted);
        (explanation.cause, explanation.remedy.unwrap_or_default())
    }

    #[test]
    fn each_cause_is_named() {
        let cases = [
            (
                "CONFIG_CC_VERSION=12\n",
                "EROFS",
                "EROFS needs MISC_FS, which is not set (Kconfig:6); MISC_FS needs BLOCK, which is not set (Kconfig:3)",
                "CONFIG_MISC_FS=y and CONFIG_BLOCK=y",
            ),
            (
                "CONFIG_CC_VERSION=12\nCONFIG_BLOCK=y\n",
                "EROFS",
                "EROFS needs MISC_FS, which is not set (Kconfig:6)",
                "CONFIG_MISC_FS=y",
            ),
            (
                "CONFIG_CC_VERSION=12\n",
                "NEEDS_NEW",
                "NEEDS_NEW needs CC_VERSION >= 14, but CC_VERSION is 12 (Kconfig:13)",
                "",
            ),
            (
                "CONFIG_BLOCK=y\n",
                "NEEDS_EITHER",
                "NEEDS_EITHER needs ISA || BLOCK && EISA, none of which is set (Kconfig:16)",
                "CONFIG_ISA=y",
            ),
            ("", "LIBRARY", "LIBRARY has no prompt: it is selected by USER (Kconfig:21)", ""),
            ("", "HIDDEN", "HIDDEN needs EXPERT, which is not set (Kconfig:30)", "CONFIG_EXPERT=y"),
            (
                "CONFIG_SMALL=8\n",
                "SMALL",
                "the dependencies of SMALL are met, but its definition as int allows another value only (Kconfig:33)",
                "",
            ),
            ("CONFIG_ONE=y\n", "TWO", "TWO is one of a choice, and ONE is chosen (Kconfig:46)", ""),
            ("CONFIG_ONE=y\n", "NOT", "NOT needs !ONE, but ONE is y (Kconfig:51)", ""),
            (
                "",
                "EROFFS",
                "no Kconfig file of this kernel and architecture defines it",
                "CONFIG_EROFS, if that was meant",
            ),
        ];
        for (config, name, cause, remedy) in cases {
            assert_eq!(answer(config, name, "y"), (cause.into(), remedy.into()), "{name}");
        }
    }

    #[test]
    fn what_cannot_be_switched_off_names_who_holds_it() {
        let config = "CONFIG_USER=y\nCONFIG_ISA=y\nCONFIG_LIBRARY=y\nCONFIG_FORCED=y\n";
        assert_eq!(answer(config, "LIBRARY", "n").0, "LIBRARY is selected by USER");
        assert_eq!(answer(config, "FORCED", "n").0, "FORCED is selected by USER");
        let config = config.replace("CONFIG_ISA=y\n", "");
        assert_eq!(answer(&config, "FORCED", "n").0, "FORCED is set by its default (Kconfig:27)");
    }

    #[test]
    fn circular_dependencies_end() {
        let (cause, _) = answer("", "LOOP_A", "y");
        assert!(cause.starts_with("LOOP_A needs LOOP_B") && cause.len() < 200, "{cause}");
    }
}
