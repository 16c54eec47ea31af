//! What people read.

use std::fmt::Write as _;

use serde_json::Value;

/// Every link in a line.
pub(crate) fn list(links: &Value) -> String {
    let mut rows = vec![["LINK", "TYPE", "STATE", "ADDRESSES"].map(str::to_owned)];
    for link in links.as_array().into_iter().flatten() {
        let addresses = texts(&link["addresses"], "address").join(" ");
        rows.push([word(&link["name"]), word(&link["type"]), word(&link["state"]), addresses]);
    }
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(String::len).max().unwrap_or(0)
    };
    let (first, second, third) = (width(0), width(1), width(2));
    let mut text = String::new();
    for [name, kind, state, addresses] in &rows {
        let line = format!("{name:first$}  {kind:second$}  {state:third$}  {addresses}");
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

/// Everything about one link.
pub(crate) fn status(link: &Value) -> String {
    let mut text =
        format!("{}: {}, {}\n", word(&link["name"]), word(&link["type"]), word(&link["state"]));
    let mut line = |name: &str, content: String| {
        if !content.is_empty() {
            let _ = writeln!(text, "  {name:9}  {content}");
        }
    };
    // One that could not be made has neither.
    if !link["index"].is_null() {
        let mtu = format!("index {}, MTU {}", word(&link["index"]), word(&link["mtu"]));
        line("link", [word(&link["mac"]), mtu].join(" ").trim().to_owned());
    }
    for address in link["addresses"].as_array().into_iter().flatten() {
        let note = if address["duplicate"] == true { ", somebody else has it" } else { "" };
        line(
            "address",
            format!("{} ({}{note})", word(&address["address"]), word(&address["source"])),
        );
    }
    for route in link["routes"].as_array().into_iter().flatten() {
        let via = match route["via"].as_str() {
            Some(via) => format!(" via {via}"),
            None => String::new(),
        };
        line("route", format!("{}{via} metric {}", word(&route["to"]), word(&route["metric"])));
    }
    for refused in refusals(link) {
        line("refused", refused);
    }
    line("resolvers", plain(&link["dns"]));
    line("search", plain(&link["search"]));
    let dhcp = &link["dhcp"];
    line("DHCP", word(&dhcp["state"]));
    line("DHCPv6", word(&link["dhcp6"]));
    if !dhcp["lease"].is_null() {
        line("lease", times(&dhcp["lease"]));
    }
    text
}

/// What the kernel refuses to do to a link, and why.
pub(crate) fn refusals(link: &Value) -> Vec<String> {
    let all = link["refused"].as_array().into_iter().flatten();
    all.map(|one| format!("{}: {}", word(&one["change"]), word(&one["why"]))).collect()
}

/// What servers have granted.
pub(crate) fn leases(leases: &Value) -> String {
    let mut text = String::new();
    for one in leases.as_array().into_iter().flatten() {
        let lease = &one["lease"];
        let _ = writeln!(
            text,
            "{}: {} from {}, {}",
            word(&one["link"]),
            word(&lease["address"]),
            word(&lease["server"]),
            times(lease)
        );
        for (name, key) in
            [("routers", "routers"), ("resolvers", "dns"), ("search", "search"), ("time", "ntp")]
        {
            let list = plain(&lease[key]);
            if !list.is_empty() {
                let _ = writeln!(text, "  {name:9}  {list}");
            }
        }
        if let Some(name) = lease["hostname"].as_str() {
            let _ = writeln!(text, "  {:9}  {name}", "name");
        }
    }
    text
}

fn times(lease: &Value) -> String {
    match (lease["renewal_in_s"].as_u64(), lease["expires_in_s"].as_u64()) {
        (Some(renewal), Some(expiry)) => format!("renewed in {renewal} s, ends in {expiry} s"),
        _ => "for ever".to_owned(),
    }
}

fn word(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn plain(list: &Value) -> String {
    list.as_array().into_iter().flatten().map(word).collect::<Vec<_>>().join(" ")
}

fn texts(list: &Value, key: &str) -> Vec<String> {
    list.as_array().into_iter().flatten().map(|one| word(&one[key])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn links_are_lines_with_columns() {
        let links = json!([
            { "name": "lo", "type": "loopback", "state": "up", "addresses": [] },
            { "name": "eth0", "type": "ethernet", "state": "online",
              "addresses": [{ "address": "192.0.2.2/24" }, { "address": "2001:db8::2/64" }] },
        ]);
        assert_eq!(
            list(&links),
            "LINK  TYPE      STATE   ADDRESSES\n\
             lo    loopback  up\n\
             eth0  ethernet  online  192.0.2.2/24 2001:db8::2/64\n"
        );
    }

    #[test]
    fn what_a_link_is_refused_stands_in_its_status() {
        let link = json!({ "name": "eth0", "type": "ethernet", "state": "online", "index": 2,
            "mtu": 1500, "routes": [{ "to": "192.0.2.0/24", "metric": 100 }], "refused": [
            { "change": "set the route to 10.0.0.0/8 via 10.9.9.9", "why": "unreachable" }] });
        assert_eq!(
            status(&link),
            "eth0: ethernet, online\n  link       index 2, MTU 1500\n  \
             route      192.0.2.0/24 metric 100\n  \
             refused    set the route to 10.0.0.0/8 via 10.9.9.9: unreachable\n"
        );
        let missing = json!({ "name": "lan", "type": "vlan", "state": "missing", "refused": [
            { "change": "make the link lan", "why": "there is no link eth9" }] });
        assert_eq!(
            status(&missing),
            "lan: vlan, missing\n  refused    make the link lan: there is no link eth9\n"
        );
    }

    #[test]
    fn a_lease_says_when_it_is_renewed_and_when_it_ends() {
        let lease = json!({ "address": "192.0.2.2/24", "server": "192.0.2.1", "dns": ["192.0.2.1"],
            "renewal_in_s": 5, "expires_in_s": 15, "hostname": "box" });
        assert_eq!(
            leases(&json!([{ "link": "eth0", "lease": lease }])),
            "eth0: 192.0.2.2/24 from 192.0.2.1, renewed in 5 s, ends in 15 s\n  \
             resolvers  192.0.2.1\n  name       box\n"
        );
        assert_eq!(times(&json!({})), "for ever");
    }
}
