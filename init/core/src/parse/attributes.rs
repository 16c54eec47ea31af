//! What a service's processes begin with and hand on: `umask`, `nice`, `oom-score-adjust`.

use alloc::format;

use super::reader::{Reader, Section};
use crate::description::Attributes;

/// All permissions that a mode has for owner, group and others.
const UMASK_MAX: u16 = 0o777;

/// Reads them, with defaults for those that are not there.
pub(super) fn read<'t>(file: &Section<'t>, reader: &mut Reader<'t>) -> Attributes {
    let default = Attributes::default();
    let nice = reader.integer(file, "nice", -20, 19);
    let oom_score_adjust = reader.integer(file, "oom-score-adjust", -1000, 1000);
    Attributes {
        umask: read_umask(file, reader).unwrap_or(default.umask),
        nice: nice.and_then(|nice| i8::try_from(nice).ok()).unwrap_or(default.nice),
        oom_score_adjust: oom_score_adjust
            .and_then(|adjust| i16::try_from(adjust).ok())
            .unwrap_or(default.oom_score_adjust),
    }
}

/// A mode as people write it, which no number of TOML is.
fn read_umask<'t>(file: &Section<'t>, reader: &mut Reader<'t>) -> Option<u16> {
    let text = reader.string(file, "umask")?;
    let is_octal = !text.is_empty() && text.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
    let umask = u16::from_str_radix(text, 8).ok();
    let umask = umask.filter(|umask| is_octal && *umask <= UMASK_MAX);
    if umask.is_none() {
        reader.report_hint(
            file.span_of("umask"),
            format!("\"umask\": {text:?} is no umask"),
            "write octal digits, at most \"0777\": \"0027\" keeps others from new files",
        );
    }
    umask
}
