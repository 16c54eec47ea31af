//! Memory as `/proc/meminfo` describes it (proc_meminfo(5)), for `free`, `ps` and `top`.

use procfs::{Current, Meminfo};
use services::problem::Context;

use crate::Result;

/// Who has the memory, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Usage {
    pub(crate) total: u64,
    pub(crate) free: u64,
    pub(crate) available: u64,
    pub(crate) shared: u64,
    pub(crate) cache: u64,
    pub(crate) swap_total: u64,
    pub(crate) swap_free: u64,
}

/// What the kernel says now.
pub(crate) fn read() -> Result<Usage> {
    let info = Meminfo::current().context(|| "cannot read `/proc/meminfo`".to_owned())?;
    Ok(Usage {
        total: info.mem_total,
        free: info.mem_free,
        available: info.mem_available.unwrap_or(info.mem_free),
        shared: info.shmem.unwrap_or(0),
        cache: info.buffers + info.cached + info.s_reclaimable.unwrap_or(0),
        swap_total: info.swap_total,
        swap_free: info.swap_free,
    })
}

impl Usage {
    pub(crate) const fn used(&self) -> u64 {
        self.total.saturating_sub(self.available)
    }

    pub(crate) const fn swap_used(&self) -> u64 {
        self.swap_total.saturating_sub(self.swap_free)
    }
}
