//! What is mounted, for programs.

use serde_json::{Value, json};
use services::storage::mounting::table::Mounted;

/// All of it as one document.
pub(crate) fn document(mounts: &[Mounted]) -> Value {
    let mount = |mount: &Mounted| {
        json!({
            "source": mount.source,
            "target": mount.target,
            "type": mount.kind,
            "options": mount.options.split(',').collect::<Vec<_>>(),
            "filesystem_options": mount.super_options.split(',').collect::<Vec<_>>(),
            "number": format!("{}:{}", mount.number.0, mount.number.1),
        })
    };
    json!({ "mounts": mounts.iter().map(mount).collect::<Vec<_>>() })
}
