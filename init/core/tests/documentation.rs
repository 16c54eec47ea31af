//! The documentation names what the code knows.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use init_core::parse::KEYS;
use init_core::state::State;

fn document(name: &str) -> String {
    let path = format!("{}/../../docs/{name}", env!("CARGO_MANIFEST_DIR"));
    #[expect(clippy::disallowed_methods, reason = "a test reads the documentation it judges")]
    std::fs::read_to_string(path).expect("the documentation is part of the repository")
}

/// The words in backquotes in the first cell of each row of a table.
fn rows(text: &str) -> Vec<Vec<&str>> {
    text.lines()
        .filter(|line| line.starts_with("| `"))
        .filter_map(|line| line.split('|').nth(1))
        .map(|cell| cell.split('`').skip(1).step_by(2).collect())
        .collect()
}

#[test]
fn every_key_stands_in_a_table() {
    let text = document("service-description.md");
    let rows = rows(&text);
    for key in KEYS {
        let own = key.name.rsplit('.').next().unwrap_or_default();
        let in_table = rows.iter().any(|row| row.contains(&own));
        // The parts of start-limit stand in its own row, the table [limits] in a heading.
        let elsewhere = text.contains(&format!("`[{own}]`"))
            || (key.name.starts_with("start-limit.") && text.contains(&format!("{own} = ")));
        assert!(in_table || elsewhere, "{} is not documented", key.name);
    }
}

#[test]
fn every_default_stands_in_the_row_of_its_key() {
    let text = document("service-description.md");
    for key in KEYS.iter().filter(|key| !key.name.contains('.') && key.default.contains('"')) {
        let row = text.lines().find(|line| line.starts_with(&format!("| `{}` |", key.name)));
        let row = row.unwrap_or_else(|| panic!("{} has no row", key.name));
        for value in key.default.split(';').filter_map(|part| part.split('"').nth(1)) {
            assert!(row.contains(&format!("\"{value}\"")), "{}: {value:?} not in {row}", key.name);
        }
    }
}

#[test]
fn every_state_stands_in_a_table() {
    let text = document("service-description.md");
    let rows = rows(&text);
    for state in State::ALL {
        assert!(rows.iter().any(|row| row.as_slice() == [state.as_str()]), "{state}");
    }
    let protocol = document("control-protocol.md");
    for (number, state) in State::ALL.iter().enumerate() {
        assert!(protocol.contains(&format!("{number} {state}")), "{state}");
    }
}

#[test]
fn every_reason_stands_in_the_protocol() {
    let text = document("control-protocol.md");
    let rows = rows(&text);
    for word in init_core::reason::CODES {
        assert!(rows.iter().any(|row| row.as_slice() == [*word]), "{word}");
    }
}
