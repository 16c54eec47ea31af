//! What can go wrong, in one line for whoever watches the console.

use core::fmt;

use uefi::Status;
use uefi_stub::command_line::Refusal;
use uefi_stub::sections::Damage;

/// Why the kernel does not run.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Failure {
    /// The firmware does not say where this program is in memory.
    Unlocated(Status),
    /// The sections cannot be found.
    Damaged(Damage),
    /// There is no section `.linux`.
    NoKernel,
    /// The section `.cmdline` cannot be passed on.
    CommandLine(Refusal),
    /// Something that ran before offers the kernel an initramfs of its own.
    ForeignInitramfs,
    /// The initramfs cannot be offered to the kernel.
    Initramfs(Status),
    /// The firmware does not load the kernel.
    Load(Status),
    /// The kernel was started and came back.
    Start(Status),
}

impl Failure {
    /// What the firmware is told.
    pub(crate) fn status(self) -> Status {
        match self {
            Self::Unlocated(status)
            | Self::Initramfs(status)
            | Self::Load(status)
            | Self::Start(status) => status,
            Self::Damaged(_) => Status::LOAD_ERROR,
            Self::NoKernel => Status::NOT_FOUND,
            Self::CommandLine(_) => Status::INVALID_PARAMETER,
            Self::ForeignInitramfs => Status::ALREADY_STARTED,
        }
    }
}

impl From<Damage> for Failure {
    fn from(damage: Damage) -> Self {
        Self::Damaged(damage)
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::CommandLine(refusal)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unlocated(status) => {
                write!(f, "the firmware does not say where this image is in memory: {status:?}")
            }
            Self::Damaged(damage) => write!(f, "this image is damaged: {damage}"),
            Self::NoKernel => f.write_str("this image holds no kernel (section .linux)"),
            Self::CommandLine(refusal) => {
                write!(f, "the kernel command line cannot be passed on: {refusal}")
            }
            Self::ForeignInitramfs => {
                f.write_str("an initramfs that is not this image's is offered to the kernel")
            }
            Self::Initramfs(status) => {
                write!(f, "the initramfs cannot be offered to the kernel: {status:?}")
            }
            Self::Load(status) => write!(f, "the firmware does not load the kernel: {status:?}"),
            Self::Start(status) => write!(f, "the kernel did not start: {status:?}"),
        }
    }
}
