//! A kernel's `.config`: option names to values. Pure.

use std::collections::HashMap;

/// The final configuration of a kernel.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Config(HashMap<String, String>);

impl Config {
    /// Parses the text of a `.config`. Lines that are no option are comments.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        Self(text.lines().filter_map(line).collect())
    }

    /// The value of an option without its `CONFIG_`: `y`, `m`, a number or a
    /// quoted string. `n` if it is not set, for whatever reason.
    #[must_use]
    pub fn value(&self, name: &str) -> &str {
        self.0.get(name).map_or("n", String::as_str)
    }

    /// Whether the option is mentioned, be it as not set.
    #[must_use]
    pub fn mentions(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
}

fn line(line: &str) -> Option<(String, String)> {
    if let Some(option) = line.strip_prefix("CONFIG_") {
        let (name, value) = option.split_once('=')?;
        return Some((name.into(), value.into()));
    }
    let name = line.strip_prefix("# CONFIG_")?.strip_suffix(" is not set")?;
    Some((name.into(), "n".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_they_stand() {
        let config =
            Config::parse("#\n# Menu\n#\nCONFIG_A=y\n# CONFIG_B is not set\nCONFIG_C=\"x=y\"\n");
        assert_eq!(config.value("A"), "y");
        assert_eq!(config.value("B"), "n");
        assert_eq!(config.value("C"), "\"x=y\"");
        assert_eq!(config.value("D"), "n");
        assert!(config.mentions("B") && !config.mentions("D"));
    }
}
