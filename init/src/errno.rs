//! Errors of system calls: in words, and at which stage of a start.

use init_core::errno::OsError;
use init_core::process::SpawnStage;
use rustix::io::Errno;

/// `No such file or directory (os error 2)`, for messages: what [`Errno`] says
/// of itself depends on the standard library being there.
pub(crate) fn explain(errno: Errno) -> OsError {
    OsError(errno.raw_os_error())
}

/// What keeps a service from starting, and at which stage.
pub(crate) type Failure = (SpawnStage, Errno);

/// Says at which stage an error number came.
pub(crate) fn at(stage: SpawnStage) -> impl Fn(Errno) -> Failure {
    move |errno| (stage, errno)
}
