//! `svcctl status NAME…`: everything about services.

use serde_json::Value;
use services::output::{print, print_json};

use super::{Init, for_each};
use crate::Result;
use crate::arguments::Arguments;
use crate::clock::Clock;
use crate::{json, text};

pub(crate) fn run(arguments: &Arguments, names: &[String]) -> Result<()> {
    let mut init = Init::connect(arguments)?;
    let (found, end) = for_each(names, |name| init.status(name));
    let clock = Clock::now();
    if arguments.json {
        let found = found.iter().map(|status| json::status(status, clock));
        print_json(&Value::Array(found.collect()))?;
    } else {
        let found: Vec<_> = found.iter().map(|status| text::status(status, clock)).collect();
        print(&found.join("\n"))?;
    }
    end
}
