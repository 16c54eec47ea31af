//! What executes a guest's instructions, as QEMU names it. Which one a host can use
//! is `accel`'s to find out.

/// What executes the guest's instructions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Accelerator {
    /// The processor, by way of /dev/kvm.
    Kvm,
    /// QEMU's translator: slower, everywhere.
    Tcg,
}

impl Accelerator {
    /// QEMU's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            Self::Tcg => "tcg",
        }
    }
}
