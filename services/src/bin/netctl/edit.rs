//! Changing one link's entry of `/etc/network.toml`. Comments, order and everything
//! else stay as they are. Pure.

use toml_edit::{Array, ArrayOfTables, DocumentMut, InlineTable, Item, Table, value};

/// What is to be changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Setting {
    /// Whether to ask for an IPv4 address.
    Dhcp(bool),
    /// A list of texts under a key; an empty one takes the key away.
    List(&'static str, Vec<String>),
    /// A word under a key.
    Word(&'static str, String),
    /// A number under a key.
    Number(&'static str, i64),
}

impl Setting {
    /// Reads `KEY VALUE…`. Whether the values make sense is for the file's reader to say.
    pub(crate) fn parse(key: &str, values: &[String]) -> Result<Self, String> {
        let one = || match values {
            [one] => Ok(one.as_str()),
            _ => Err(format!("`{key}` takes one value")),
        };
        let number = || one()?.parse().map_err(|_| format!("`{key}` takes a number"));
        let list = |name| match values {
            [] => Err(format!("`{key}` takes addresses, or `none`")),
            [none] if none == "none" => Ok(Self::List(name, Vec::new())),
            _ => Ok(Self::List(name, values.to_vec())),
        };
        match key {
            "dhcp" => match one()? {
                // As the file has it, too.
                "on" | "true" => Ok(Self::Dhcp(true)),
                "off" | "false" => Ok(Self::Dhcp(false)),
                other => Err(format!("`dhcp` is `on` or `off`, not `{other}`")),
            },
            "address" | "addresses" => list("addresses"),
            "gateway" => list("gateway"),
            "dns" => list("dns"),
            "ipv6" => Ok(Self::Word("ipv6", one()?.to_owned())),
            "metric" => Ok(Self::Number("metric", number()?)),
            "mtu" => Ok(Self::Number("mtu", number()?)),
            other => Err(format!(
                "`{other}` cannot be set: dhcp, address, gateway, dns, ipv6, metric and mtu can"
            )),
        }
    }

    fn apply(&self, table: &mut Table) {
        match self {
            Self::Dhcp(on) => table["dhcp"] = value(*on),
            Self::List(key, list) if list.is_empty() => {
                table.remove(key);
            }
            Self::List(key, list) => table[key] = value(list.iter().collect::<Array>()),
            Self::Word(key, word) => table[key] = value(word),
            Self::Number(key, number) => table[key] = value(*number),
        }
    }
}

/// `text` with the setting in the entry that is about the link `name` alone. Without
/// one, it is made, before all others, so that it counts; it begins as a copy of
/// what the link has now, the entry number `current`.
pub(crate) fn set(
    text: &str,
    name: &str,
    current: Option<usize>,
    setting: &Setting,
) -> Result<String, String> {
    let mut document: DocumentMut = text.parse().map_err(|error| format!("{error}"))?;
    let entries = document.entry("link").or_insert(Item::ArrayOfTables(ArrayOfTables::new()));
    let entries = entries.as_array_of_tables_mut().ok_or("`link` is not written as [[link]]")?;
    let own = entries.iter().position(|entry| is_about(entry, name));
    match (own, current) {
        (Some(own), Some(first)) if first < own => {
            let (own, first) = (own + 1, first + 1);
            return Err(format!(
                "its [[link]] number {own} is about {name} and does not count, as number {first} \
                 fits it too: put number {own} before that"
            ));
        }
        _ => {}
    }
    if let Some(own) = own.and_then(|at| entries.get_mut(at)) {
        setting.apply(own);
        return Ok(document.to_string());
    }
    let mut entry = current.and_then(|at| entries.get(at).cloned()).unwrap_or_default();
    // The comment before it is about the other one.
    entry.decor_mut().clear();
    // Tables of its own would be printed at their former place: behind the other one's.
    for (_, item) in entry.iter_mut().filter(|(_, item)| !item.is_value()) {
        item.make_value();
    }
    let mut matching = InlineTable::new();
    matching.insert("name", name.into());
    entry["match"] = value(matching);
    setting.apply(&mut entry);
    let mut all = ArrayOfTables::new();
    // Their former place in the file would put it behind the others.
    entry.set_position(entries.iter().filter_map(Table::position).min());
    all.push(entry);
    for other in entries.iter() {
        all.push(other.clone());
    }
    *entries = all;
    Ok(document.to_string())
}

/// Whether an entry's `match` is this name and nothing else.
fn is_about(entry: &Table, name: &str) -> bool {
    let Some(matching) = entry.get("match").and_then(Item::as_table_like) else { return false };
    matching.len() == 1 && matching.get("name").and_then(Item::as_str) == Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use services::network::config::Appearance;
    use services::network::config_reader::parse_config;

    const FILE: &str = "# Ours.\n[[link]]\nmatch = { name = \"eth0\" } # the first\ndhcp = true\n\n\
                        [[link]]\nmatch = { type = \"ethernet\" }\nmetric = 7\n";

    fn list(key: &'static str, values: &[&str]) -> Setting {
        Setting::List(key, values.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn the_links_own_entry_is_changed_and_the_rest_stays() {
        let text = set(FILE, "eth0", Some(0), &Setting::Dhcp(false)).unwrap();
        assert_eq!(text, FILE.replace("dhcp = true", "dhcp = false"));
        let text = set(&text, "eth0", Some(0), &list("addresses", &["192.0.2.2/24"])).unwrap();
        assert!(text.contains("addresses = [\"192.0.2.2/24\"]"), "{text}");
        let text = set(&text, "eth0", Some(0), &list("addresses", &[])).unwrap();
        assert_eq!(text, FILE.replace("dhcp = true", "dhcp = false"));
    }

    #[test]
    fn a_link_without_an_entry_of_its_own_gets_one_that_counts() {
        for (file, current, metric) in [(FILE, Some(1), 7), ("", None, 100)] {
            let text = set(file, "eth1", current, &Setting::Dhcp(true)).unwrap();
            let config = parse_config("f", &text).unwrap_or_else(|error| panic!("{text}{error:?}"));
            let look = Appearance {
                name: "eth1",
                mac: None,
                driver: None,
                sort: Some(services::network::config::LinkSort::Ethernet),
            };
            let entry = config.of_link(&look).unwrap();
            assert_eq!(entry.matching.name.as_deref(), Some("eth1"), "{text}");
            assert_eq!((entry.dhcp, entry.metric), (true, metric), "{text}");
        }
    }

    #[test]
    fn what_the_entry_has_in_tables_of_its_own_is_copied_and_stays() {
        let file = "[[link]]\nmatch = { name = \"eth*\" }\ndhcp = true\n\
                    [[link.route]] # ours\nto = \"198.51.100.0/24\"\nvia = \"10.0.2.2\"\n\n\
                    [[link.route]]\nto = \"203.0.113.0/24\"\nvia = \"10.0.2.3\"\n\
                    [[vlan]]\nname = \"v1\"\non = \"eth1\"\nid = 1\n";
        let text = set(file, "eth0", Some(0), &Setting::Number("mtu", 1400)).unwrap();
        let before = parse_config("f", file).unwrap();
        let after = parse_config("f", &text).unwrap_or_else(|error| panic!("{text}{error:?}"));
        assert_eq!(after.links[1], before.links[0], "{text}");
        assert_eq!(after.links[0].routes, before.links[0].routes, "{text}");
        assert_eq!((after.links[0].mtu, after.links.len()), (Some(1400), 2), "{text}");
        assert_eq!(after.vlans, before.vlans, "{text}");
        assert!(text.ends_with(file), "{text}");
    }

    #[test]
    fn an_entry_that_does_not_count_is_not_changed() {
        let file = "[[link]]\nmatch = { type = \"ethernet\" }\n\
                    [[link]]\nmatch = { name = \"eth0\" }\n";
        let error = set(file, "eth0", Some(0), &Setting::Dhcp(true)).unwrap_err();
        assert!(
            error.contains("number 2 is about eth0 and does not count, as number 1"),
            "{error}"
        );
    }

    #[test]
    fn settings_are_read() {
        let words = |list: &[&str]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
        for (key, values, expected) in [
            ("dhcp", &["off"][..], Some(Setting::Dhcp(false))),
            ("dhcp", &["true"], Some(Setting::Dhcp(true))),
            ("dhcp", &["false"], Some(Setting::Dhcp(false))),
            ("dhcp", &["yes"], None),
            ("address", &["a", "b"], Some(list("addresses", &["a", "b"]))),
            ("addresses", &["a"], Some(list("addresses", &["a"]))),
            ("gateway", &["none"], Some(list("gateway", &[]))),
            ("mtu", &["1400"], Some(Setting::Number("mtu", 1400))),
            ("ipv6", &["off"], Some(Setting::Word("ipv6", "off".to_owned()))),
            ("mtu", &["x"], None),
            ("dhcp", &[], None),
            ("dns", &[], None),
            ("colour", &["red"], None),
        ] {
            assert_eq!(Setting::parse(key, &words(values)).ok(), expected, "{key} {values:?}");
        }
    }
}
