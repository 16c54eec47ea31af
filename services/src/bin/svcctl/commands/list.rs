//! `svcctl list`: every service in a line.

use serde_json::Value;
use services::output::{print, print_json, size};

use super::Init;
use crate::Result;
use crate::arguments::Arguments;
use crate::clock::Clock;
use crate::{json, text};

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let services = Init::connect(arguments)?.list()?;
    let clock = Clock::now();
    if arguments.json {
        let services = services.iter().map(|service| json::summary(service, clock));
        return Ok(print_json(&Value::Array(services.collect()))?);
    }
    Ok(print(&text::table(&services, clock, size().map(|(_, columns)| columns)))?)
}
