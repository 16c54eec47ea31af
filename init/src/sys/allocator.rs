//! The heap: the C library's.
//!
//! `malloc` aligns for every fundamental type; what wants more alignment comes
//! from `posix_memalign`. Where there is no memory the answer is a null
//! pointer, which `alloc` turns into a panic, and that into the rescue policy.

use core::alloc::{GlobalAlloc, Layout};
use core::ptr;

struct LibcAllocator;

#[global_allocator]
static ALLOCATOR: LibcAllocator = LibcAllocator;

/// What `malloc` and `realloc` align to: `alignof(max_align_t)` of both
/// architectures, in glibc and in musl.
const MALLOC_ALIGN_BYTES: usize = 16;

// SAFETY: the blocks are the C library's, which hands none out twice before it
// is freed; size and alignment are kept as argued at each call. Nothing here
// unwinds.
unsafe impl GlobalAlloc for LibcAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.align() <= MALLOC_ALIGN_BYTES {
            // SAFETY: takes any size; the caller promises one that is not zero.
            return unsafe { libc::malloc(layout.size()) }.cast();
        }
        let mut block = ptr::null_mut();
        // SAFETY: the alignment is a power of two, as every layout's, and a
        // multiple of a pointer's size, being greater than `MALLOC_ALIGN_BYTES`.
        match unsafe { libc::posix_memalign(&raw mut block, layout.align(), layout.size()) } {
            0 => block.cast(),
            _ => ptr::null_mut(),
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if layout.align() <= MALLOC_ALIGN_BYTES {
            // Fresh pages are zero already: calloc knows, and touches none.
            // SAFETY: as for malloc.
            return unsafe { libc::calloc(1, layout.size()) }.cast();
        }
        // SAFETY: the caller's promises are passed on.
        let block = unsafe { self.alloc(layout) };
        if !block.is_null() {
            // SAFETY: a new block of that size.
            unsafe { block.write_bytes(0, layout.size()) };
        }
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, _layout: Layout) {
        // SAFETY: the caller's promise: it is from this allocator and in use.
        // `free` takes blocks of all the functions used here.
        unsafe { libc::free(block.cast()) };
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        if layout.align() <= MALLOC_ALIGN_BYTES {
            // SAFETY: the caller's promise: the block is in use, the size not zero.
            return unsafe { libc::realloc(block.cast(), new_size) }.cast();
        }
        // SAFETY: the caller promises that the new size, rounded up to the
        // alignment, does not overflow, which is what a layout asks for.
        let new_layout = unsafe { Layout::from_size_align_unchecked(new_size, layout.align()) };
        // SAFETY: the new size is not zero; the old block stays until it is copied.
        unsafe {
            let new_block = self.alloc(new_layout);
            if !new_block.is_null() {
                ptr::copy_nonoverlapping(block, new_block, layout.size().min(new_size));
                self.dealloc(block, layout);
            }
            new_block
        }
    }
}
