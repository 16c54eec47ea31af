//! Whether what was mounted still is: somebody may unmount it, or move it, without asking.

use std::fs::File;

use init_core::mountinfo;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use services::problem::{Context, Problem, Result};
use services::signals::Termination;
use services::storage::mounting::table::{self, Mounted};

/// A mount that is there, and the table that tells when mounts change.
pub(crate) struct Watch {
    table: File,
    /// Where it is, as the table names the place: without symbolic links.
    target: String,
    /// Its file system's device: what else is mounted there is another mount.
    number: (u32, u32),
}

/// How a mount lies at its place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Layer {
    /// It is what can be seen there, and what an unmount takes away.
    Top,
    /// Another one has been mounted over it.
    Covered,
    /// It is not there.
    Gone,
}

impl Watch {
    /// Begins to watch what is mounted at `target`.
    ///
    /// # Errors
    /// If nothing is mounted there, or the table of mounts cannot be read.
    pub(crate) fn begin(target: &str) -> Result<Self> {
        // Opened before it is read: no change can come unseen in between.
        let table = File::open(mountinfo::PATH).context(unreadable)?;
        match table::at(target).context(unreadable)? {
            Some(Mounted { number, target, .. }) => Ok(Self { table, target, number }),
            None => Err(taken_away(target)),
        }
    }

    /// Where it is mounted, without symbolic links.
    pub(crate) fn target(&self) -> &str {
        &self.target
    }

    /// How it lies there now.
    ///
    /// # Errors
    /// If the table of mounts cannot be read.
    pub(crate) fn layer(&self) -> Result<Layer> {
        let mounts = table::mounted().context(unreadable)?;
        let mut here = mounts.iter().rev().filter(|mount| mount.target == self.target);
        Ok(match here.next() {
            Some(top) if top.number == self.number => Layer::Top,
            Some(_) if here.any(|below| below.number == self.number) => Layer::Covered,
            _ => Layer::Gone,
        })
    }

    /// Waits until `termination` is readable.
    ///
    /// # Errors
    /// As soon as it is not mounted there any more, or that cannot be found out.
    pub(crate) fn wait_for(&self, termination: &Termination) -> Result<()> {
        loop {
            // A change makes an error of the file, by proc_pid_mountinfo(5), once for each reader.
            let mut sources = [
                PollFd::new(termination, PollFlags::IN),
                PollFd::new(&self.table, PollFlags::PRI | PollFlags::ERR),
            ];
            match poll(&mut sources, None) {
                Ok(_) => {}
                Err(Errno::INTR) => continue,
                Err(error) => {
                    return Err(Problem::new(format!("cannot wait for changes: {error}")));
                }
            }
            let [asked, changed] = sources.map(|source| !source.revents().is_empty());
            if asked {
                return Ok(());
            }
            // With other options or below another mount, it still is.
            if changed && self.layer()? == Layer::Gone {
                return Err(taken_away(&self.target));
            }
        }
    }
}

fn unreadable() -> String {
    "cannot read the table of mounts".to_owned()
}

fn taken_away(target: &str) -> Problem {
    Problem::new(format!("{target} is not mounted any more: somebody else has taken it away"))
        .with_hint("`svcctl stop` of this service unmounts it, after what uses it has stopped")
}
