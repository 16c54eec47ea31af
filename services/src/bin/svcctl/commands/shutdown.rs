//! `svcctl poweroff|reboot|halt`.

use init_core::event::ShutdownKind;
use init_core::protocol::Request;
use serde_json::json;
use services::output::{print, print_json};

use super::Init;
use crate::Result;
use crate::arguments::Arguments;

pub(crate) fn run(arguments: &Arguments, kind: ShutdownKind) -> Result<()> {
    Init::connect(arguments)?.order(&Request::Shutdown { kind })?;
    let (word, sentence) = match kind {
        ShutdownKind::PowerOff => ("poweroff", "the system stops its services and powers off\n"),
        ShutdownKind::Reboot => ("reboot", "the system stops its services and starts again\n"),
        ShutdownKind::Halt => ("halt", "the system stops its services and halts\n"),
    };
    if arguments.json {
        return Ok(print_json(&json!({ "operation": word, "succeeded": true }))?);
    }
    Ok(print(sentence)?)
}
