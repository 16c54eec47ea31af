//! A value for the whole life of PID 1 that is set once.

use alloc::boxed::Box;
use core::ptr;
use core::sync::atomic::{AtomicPtr, Ordering};

/// A place that is empty until its value is set; `OnceLock` without waiting.
pub(crate) struct Once<T: Send + Sync + 'static>(AtomicPtr<T>);

impl<T: Send + Sync + 'static> Once<T> {
    /// An empty place.
    pub(crate) const fn new() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    /// Sets the value. The first one stays; a later one is dropped.
    pub(crate) fn set(&self, value: T) {
        if self.get().is_none() {
            self.0.store(Box::leak(Box::new(value)), Ordering::Release);
        }
    }

    /// The value, once it is set.
    pub(crate) fn get(&self) -> Option<&'static T> {
        // SAFETY: null, or a leaked box that nothing changes or frees.
        unsafe { self.0.load(Ordering::Acquire).as_ref() }
    }
}
