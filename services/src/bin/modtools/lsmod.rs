//! `lsmod`: the modules that are loaded.

use std::ffi::OsString;
use std::io;

use lexopt::Arg;
use serde_json::{Value, json};
use services::modules::kernel::{self, Loaded};
use services::output;
use services::problem::Problem;

use crate::Result;

const HELP: &str = "\
Lists the modules that the kernel has loaded, the last one first.

Usage: lsmod [--json]

Options:
      --json  for programs; sizes are in bytes
  -h, --help  this text

Exit status: 0 done, 1 failed, 2 usage.
";

pub(crate) fn run(words: Vec<OsString>) -> Result<()> {
    let mut json = false;
    let mut parser = lexopt::Parser::from_args(words);
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("json") => json = true,
            Arg::Short('h') | Arg::Long("help") => return Ok(output::print(HELP)?),
            other => return Err(other.unexpected().into()),
        }
    }
    let modules = kernel::loaded().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Problem::new("this kernel has no modules")
            .with_hint("`zcat /proc/config.gz` shows what is built in; docs/kernel.md has more"),
        _ => Problem::new(format!("cannot read `/proc/modules`: {error}")),
    })?;
    if json {
        let modules: Vec<Value> = modules.iter().map(value).collect();
        return Ok(output::print_json(&json!({ "modules": modules }))?);
    }
    Ok(output::print(&text(&modules))?)
}

fn value(module: &Loaded) -> Value {
    json!({
        "name": module.name,
        "size_bytes": module.size_bytes,
        "users": module.users,
        "used_by": module.used_by,
        "state": module.state.to_lowercase(),
    })
}

fn text(modules: &[Loaded]) -> String {
    let width = modules.iter().map(|module| module.name.len()).max().unwrap_or(0).max(6);
    let mut text = format!("{:width$}  {:>8}  USED BY\n", "MODULE", "SIZE");
    for module in modules {
        let users = module.users.map_or_else(|| "-".to_owned(), |users| users.to_string());
        let line = format!(
            "{:width$}  {:>8}  {users} {}",
            module.name,
            module.size_bytes,
            module.used_by.join(",")
        );
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_what_is_in_them() {
        let module = |name: &str, users, used_by: &[&str]| Loaded {
            name: name.to_owned(),
            size_bytes: 4096,
            users,
            used_by: used_by.iter().map(|name| (*name).to_owned()).collect(),
            state: "Live".to_owned(),
        };
        let modules =
            [module("cdrom", Some(2), &["sr_mod", "x"]), module("test_firmware", None, &[])];
        assert_eq!(
            text(&modules),
            "MODULE             SIZE  USED BY\n\
             cdrom              4096  2 sr_mod,x\n\
             test_firmware      4096  -\n"
        );
        assert_eq!(text(&[]), "MODULE      SIZE  USED BY\n");
    }
}
