//! What scenarios and simulation share: descriptions from a few lines of TOML.

use init_core::description::ServiceDescription;
use init_core::name::ServiceName;
use init_core::parse::parse_description;

/// The service `name` with a command and whatever `lines` say besides.
///
/// # Panics
/// When `lines` are no description: that is a mistake in the test.
pub(crate) fn service(name: &str, lines: &str) -> ServiceDescription {
    let name = ServiceName::new(name).expect("a test's service name");
    let text = format!("command = [\"/bin/{name}\"]\n{lines}\n");
    match parse_description(&name, &format!("{name}.toml"), &text) {
        Ok(description) => description,
        Err(findings) => panic!("{findings:#?}"),
    }
}
