//! The firmware's edge: all unsafe code of the stub.
//!
//! What makes it sound: firmware calls the entry point once, on one processor,
//! with boot services running, and the stub neither exits them nor starts
//! another thread of execution. Everything the kernel is handed (command line,
//! initramfs) outlives the call of `StartImage`, because each function here
//! takes it by reference and comes back only after that call.

pub(crate) mod console;
mod entry;
pub(crate) mod initramfs;
pub(crate) mod kernel;
pub(crate) mod own_image;
mod panic;
