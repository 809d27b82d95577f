//! The global allocator of this program: the system's, with a count of the calls.
//!
//! It exists to prove statements such as "no allocation per request": the load generator counts its
//! own, and whatever drives the library in process can count the library's. Memory that SQLite takes
//! from the C library does not pass through here.
#![allow(unsafe_code, reason = "an allocator cannot be made without")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering};

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: every method hands its arguments unchanged to `System`, which upholds the contract of
// `GlobalAlloc`, and returns what `System` returned. The counter is a static atomic: touching it
// neither allocates nor panics, so nothing here can re-enter the allocator or unwind out of it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`, which is the same for `System`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as in `alloc`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: `pointer` came from this allocator, that is from `System`, with this `layout`.
        unsafe { System.realloc(pointer, layout, new_size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as in `realloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// Allocations and reallocations of this process since it started.
pub fn allocations() -> u64 {
    ALLOCATIONS.load(Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::allocations;

    #[test]
    fn an_allocation_is_counted() {
        let before = allocations();
        let value = std::hint::black_box(vec![1_u8; 100]);
        assert!(allocations() > before);
        drop(value);
    }
}
