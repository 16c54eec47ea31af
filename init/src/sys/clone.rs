//! The instructions around clone3(2): a child that shares PID 1's memory and
//! has a stack of its own, and the system calls it makes.
//!
//! The child must not touch libc: `errno` is PID 1's. Hence raw calls.

use alloc::boxed::Box;
use core::arch::asm;
use core::ffi::c_void;
use core::mem::MaybeUninit;
use core::ptr::NonNull;

/// Size of [`Stack`]: the child's few frames need less than a tenth of it.
const STACK_BYTES: usize = 16 * 1024;

/// linux/sched.h; the libc crate's are too narrow.
pub(super) const CLONE_VM: u64 = 0x100;
pub(super) const CLONE_PIDFD: u64 = 0x1000;
pub(super) const CLONE_CLEAR_SIGHAND: u64 = 0x1_0000_0000;
pub(super) const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// Memory for a child to run on, aligned as both architectures' calls want it.
#[repr(align(16))]
#[expect(dead_code, reason = "only the child's pushes and pops use it")]
pub(super) struct Stack([MaybeUninit<u8>; STACK_BYTES]);

impl Stack {
    /// Takes memory and touches none of it.
    pub(super) fn allocate() -> NonNull<Self> {
        NonNull::from(Box::leak(Box::<Self>::new_uninit())).cast()
    }

    /// Lowest address and length in bytes, as `clone_args` has them.
    pub(super) fn range(stack: NonNull<Self>) -> (u64, u64) {
        (stack.addr().get() as u64, size_of::<Self>() as u64)
    }

    /// Gives the memory back.
    ///
    /// # Safety
    /// It is from `allocate`, was not given back, and no child runs on it.
    pub(super) unsafe fn free(stack: NonNull<Self>) {
        // SAFETY: the box that `allocate` leaked, by the caller's word.
        drop(unsafe { Box::from_raw(stack.cast::<MaybeUninit<Self>>().as_ptr()) });
    }
}

/// Makes the child, which calls `entry(argument)`. Returns its process id, or
/// the negated error number.
///
/// # Safety
/// `arguments` has a [`Stack`]. With CLONE_VM that, like what `argument` points
/// to, stays as it is until the child has executed a program or ended.
/// `entry` only reads through `argument` and makes raw system calls.
#[expect(clippy::cast_possible_truncation, reason = "c_long and isize are one size on Linux")]
pub(super) unsafe fn clone3(
    arguments: &libc::clone_args,
    entry: extern "C" fn(*const c_void) -> !,
    argument: *const c_void,
) -> isize {
    let result: isize;
    // SAFETY: the parent sees one system call that changes no register but
    // those named. The child starts behind it with the new stack, where it can
    // do no harm to the parent's frames, and never leaves `entry`.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, r12",
            "call r13",
            "ud2",
            "2:",
            inlateout("rax") libc::SYS_clone3 as isize => result,
            in("rdi") core::ptr::from_ref(arguments),
            in("rsi") size_of::<libc::clone_args>(),
            in("r12") argument,
            in("r13") entry,
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    // SAFETY: as above.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        asm!(
            "svc 0",
            "cbnz x0, 2f",
            "mov x29, xzr",
            "mov x30, xzr",
            "mov x0, x20",
            "blr x21",
            "brk #1",
            "2:",
            in("x8") libc::SYS_clone3 as isize,
            inlateout("x0") core::ptr::from_ref(arguments).addr() as isize => result,
            in("x1") size_of::<libc::clone_args>(),
            in("x20") argument,
            in("x21") entry,
        );
    }
    result
}

/// A system call of up to four arguments that leaves `errno` alone. Returns
/// what the kernel does: a negated error number for failure.
///
/// # Safety
/// As for the call itself.
#[expect(clippy::cast_possible_truncation, reason = "c_long and isize are one size on Linux")]
pub(super) unsafe fn raw(number: libc::c_long, arguments: [usize; 4]) -> isize {
    let [a, b, c, d] = arguments;
    let result: isize;
    // SAFETY: the kernel changes no register but those named, and what it does
    // with memory the caller answers for.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number as isize => result,
            in("rdi") a,
            in("rsi") b,
            in("rdx") c,
            in("r10") d,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    // SAFETY: as above.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        asm!(
            "svc 0",
            in("x8") number as isize,
            inlateout("x0") a as isize => result,
            in("x1") b,
            in("x2") c,
            in("x3") d,
            options(nostack),
        );
    }
    result
}
