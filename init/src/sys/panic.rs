//! What becomes of a panic: never the end of PID 1, which would be the kernel's.
//!
//! Where panics abort, as on the target, there is no standard library and this
//! is the panic handler. Where they unwind, as in `cargo build` without a
//! profile, `core` as it is delivered needs the standard library's unwinder to
//! link; then its panic hook is replaced. There a failed allocation, or a panic
//! on the way of another, still aborts: the standard library sees to that first.

use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering};

#[cfg(panic = "unwind")]
extern crate std;

static IS_PANICKING: AtomicBool = AtomicBool::new(false);

#[cfg(panic = "abort")]
#[panic_handler]
fn handle(panic: &core::panic::PanicInfo<'_>) -> ! {
    end(format_args!("{panic}"))
}

/// Makes panics end as they do on the target.
pub(crate) fn install_hook() {
    #[cfg(panic = "unwind")]
    std::panic::set_hook(alloc::boxed::Box::new(|panic| end(format_args!("{panic}"))));
}

/// Says what happened, with its place, and gives up. A panic on the way there
/// leaves out everything that could be its cause.
fn end(panic: fmt::Arguments<'_>) -> ! {
    if IS_PANICKING.swap(true, Ordering::Relaxed) {
        crate::rescue::restart();
    }
    crate::rescue::give_up(panic)
}

/// What the unwinding tables of `core` and `alloc`, which are delivered
/// compiled, name as their reader. Where panics abort nothing reads them.
// SAFETY: with `panic = "abort"` nobody else defines the symbol or calls it.
#[cfg(panic = "abort")]
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}

/// What the same code would call after cleaning up on the way of a panic, if
/// there were a way. libgcc, which is linked with glibc, has one of its own.
// SAFETY: as above; musl has no such symbol.
#[cfg(all(panic = "abort", target_env = "musl"))]
#[unsafe(no_mangle)]
extern "C" fn _Unwind_Resume() -> ! {
    crate::rescue::restart()
}
