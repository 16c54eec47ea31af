//! The GNU C tools that make code for a target: the names they and their
//! packages have.
//!
//! On a host of the target's own architecture they are the host's compiler and
//! binutils, under their plain names; everywhere else those with the target's
//! triplet before the name. Which of them a build step calls is its own affair.

use crate::arch::Arch;

/// The tools that make code for an architecture on a host of another one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CrossTools {
    /// The target as these tools and Debian's multiarch directories name it.
    pub triplet: &'static str,
    /// What their names begin with: the triplet and a hyphen.
    pub prefix: &'static str,
    /// The compiler, which links too.
    pub compiler: &'static str,
    /// The archiver.
    pub archiver: &'static str,
    /// The assembler.
    pub assembler: &'static str,
    /// The linker.
    pub linker: &'static str,
    /// The Debian package of the compiler. It brings the binutils.
    pub compiler_package: &'static str,
    /// The Debian package of the binutils alone.
    pub binutils_package: &'static str,
    /// The Debian package of the C library's headers for that compiler.
    pub headers_package: &'static str,
}

const X86_64: CrossTools = CrossTools {
    triplet: "x86_64-linux-gnu",
    prefix: "x86_64-linux-gnu-",
    compiler: "x86_64-linux-gnu-gcc",
    archiver: "x86_64-linux-gnu-ar",
    assembler: "x86_64-linux-gnu-as",
    linker: "x86_64-linux-gnu-ld",
    compiler_package: "gcc-x86-64-linux-gnu",
    binutils_package: "binutils-x86-64-linux-gnu",
    headers_package: "libc6-dev-amd64-cross",
};

const AARCH64: CrossTools = CrossTools {
    triplet: "aarch64-linux-gnu",
    prefix: "aarch64-linux-gnu-",
    compiler: "aarch64-linux-gnu-gcc",
    archiver: "aarch64-linux-gnu-ar",
    assembler: "aarch64-linux-gnu-as",
    linker: "aarch64-linux-gnu-ld",
    compiler_package: "gcc-aarch64-linux-gnu",
    binutils_package: "binutils-aarch64-linux-gnu",
    headers_package: "libc6-dev-arm64-cross",
};

impl CrossTools {
    /// Those for `arch`.
    #[must_use]
    pub const fn of(arch: Arch) -> Self {
        match arch {
            Arch::X86_64 => X86_64,
            Arch::Aarch64 => AARCH64,
        }
    }

    /// Those for `arch`, unless `host`'s own tools make code for it.
    #[must_use]
    pub fn needed(host: Option<Arch>, arch: Arch) -> Option<Self> {
        (host != Some(arch)).then(|| Self::of(arch))
    }
}

/// What the names of this host's tools for `arch` begin with; nothing if its
/// own serve.
#[must_use]
pub fn prefix(arch: Arch) -> &'static str {
    CrossTools::needed(Arch::host(), arch).map_or("", |tools| tools.prefix)
}

/// This host's C compiler for `arch`, which links too.
#[must_use]
pub fn compiler(arch: Arch) -> &'static str {
    CrossTools::needed(Arch::host(), arch).map_or("cc", |tools| tools.compiler)
}

/// This host's archiver for `arch`.
#[must_use]
pub fn archiver(arch: Arch) -> &'static str {
    CrossTools::needed(Arch::host(), arch).map_or("ar", |tools| tools.archiver)
}

/// This host's assembler for `arch`.
#[must_use]
pub fn assembler(arch: Arch) -> &'static str {
    CrossTools::needed(Arch::host(), arch).map_or("as", |tools| tools.assembler)
}

/// This host's linker for `arch`.
#[must_use]
pub fn linker(arch: Arch) -> &'static str {
    CrossTools::needed(Arch::host(), arch).map_or("ld", |tools| tools.linker)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_follows_from_the_architectures() {
        for arch in Arch::ALL {
            let triplet = format!("{arch}-linux-gnu");
            let tools = CrossTools::of(arch);
            assert_eq!(tools.triplet, triplet);
            assert_eq!(tools.prefix, format!("{triplet}-"));
            assert_eq!(tools.compiler, format!("{triplet}-gcc"));
            assert_eq!(tools.archiver, format!("{triplet}-ar"));
            assert_eq!(tools.assembler, format!("{triplet}-as"));
            assert_eq!(tools.linker, format!("{triplet}-ld"));
            // Debian's package names have no underscore (Debian Policy 5.6.1).
            assert_eq!(tools.compiler_package, format!("gcc-{}", triplet.replace('_', "-")));
            assert_eq!(tools.binutils_package, format!("binutils-{}", triplet.replace('_', "-")));
            assert_eq!(tools.headers_package, format!("libc6-dev-{}-cross", arch.debian()));
        }
    }

    #[test]
    fn only_another_architecture_needs_cross_tools() {
        let (x86, arm) = (Arch::X86_64, Arch::Aarch64);
        assert_eq!(CrossTools::needed(Some(x86), x86), None);
        assert_eq!(CrossTools::needed(Some(x86), arm), Some(AARCH64));
        assert_eq!(CrossTools::needed(Some(arm), x86), Some(X86_64));
        // A host that is neither has tools for neither.
        assert_eq!(CrossTools::needed(None, x86), Some(X86_64));
    }
}
