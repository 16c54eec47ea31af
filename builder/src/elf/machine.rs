//! The machines whose programs a kernel runs: its own, and on x86_64 that of 32 bits.

use super::Facts;
use crate::arch::Arch;

/// A machine that programs are made for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Machine {
    /// 64-bit x86.
    X86_64,
    /// 64-bit Arm.
    Aarch64,
    /// 32-bit x86, which kernels for x86_64 run with `CONFIG_IA32_EMULATION`.
    I386,
}

/// `EM_386` (elf(5)).
const EM_386: u16 = 3;

impl Machine {
    /// The machine that `arch` is named for.
    #[must_use]
    pub const fn of(arch: Arch) -> Self {
        match arch {
            Arch::X86_64 => Self::X86_64,
            Arch::Aarch64 => Self::Aarch64,
        }
    }

    /// Debian's name of its architecture.
    #[must_use]
    pub const fn debian(self) -> &'static str {
        match self {
            Self::X86_64 => Arch::X86_64.debian(),
            Self::Aarch64 => Arch::Aarch64.debian(),
            Self::I386 => "i386",
        }
    }

    /// As musl's loader names it, and glibc's directories.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
            Self::I386 => "i386",
        }
    }

    /// The directory beside `/lib` and `/usr/lib` that 64-bit loaders look into.
    pub(super) const fn lib_directories(self) -> &'static [&'static str] {
        match self {
            Self::X86_64 | Self::Aarch64 => &["/lib64", "/usr/lib64", "/lib", "/usr/lib"],
            Self::I386 => &["/lib", "/usr/lib"],
        }
    }

    /// The value of `$LIB` in search paths (ld.so(8)).
    pub(super) const fn lib(self) -> &'static str {
        match self {
            Self::X86_64 | Self::Aarch64 => "lib64",
            Self::I386 => "lib",
        }
    }

    /// Whether a file with these facts is for it.
    #[must_use]
    pub fn fits(self, facts: &Facts) -> bool {
        match self {
            Self::X86_64 => facts.is_for(Arch::X86_64),
            Self::Aarch64 => facts.is_for(Arch::Aarch64),
            Self::I386 => !facts.is_64 && facts.is_little_endian && facts.machine == EM_386,
        }
    }
}

/// The machines whose programs a system runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Machines {
    /// The kernel's architecture.
    pub arch: Arch,
    /// Whether it runs 32-bit x86 programs too.
    pub has_i386: bool,
}

impl From<Arch> for Machines {
    fn from(arch: Arch) -> Self {
        Self { arch, has_i386: false }
    }
}

impl Machines {
    /// Each of them, the kernel's own first.
    pub fn iter(self) -> impl Iterator<Item = Machine> {
        [Machine::of(self.arch)].into_iter().chain(self.has_i386.then_some(Machine::I386))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elf::ObjectKind;

    #[test]
    fn a_system_runs_its_own_programs_and_32_bit_ones_where_it_says_so() {
        let facts = |is_64, machine| Facts {
            is_64,
            is_little_endian: true,
            machine,
            kind: ObjectKind::Executable,
            interpreter: None,
            needed: Vec::new(),
            soname: None,
            rpath: Vec::new(),
            runpath: Vec::new(),
        };
        let runs = |machines: Machines, facts: &Facts| machines.iter().any(|one| one.fits(facts));
        let both = Machines { arch: Arch::X86_64, has_i386: true };
        let alone = Machines::from(Arch::X86_64);
        for (facts, in_both, in_alone, on_arm) in [
            (facts(true, 62), true, true, false),
            (facts(false, EM_386), true, false, false),
            (facts(true, 183), false, false, true),
            // x32 and 32-bit Arm.
            (facts(false, 62), false, false, false),
            (facts(false, 40), false, false, false),
        ] {
            assert_eq!(runs(both, &facts), in_both, "{facts:?}");
            assert_eq!(runs(alone, &facts), in_alone, "{facts:?}");
            assert_eq!(runs(Arch::Aarch64.into(), &facts), on_arm, "{facts:?}");
        }
    }
}
