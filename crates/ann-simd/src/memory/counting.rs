//! An allocator that counts: for tests that a search allocates nothing, or that a file makes nobody allocate much.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static COUNTS: Cell<Counts> = const { Cell::new(Counts { allocations: 0, live: 0, peak: 0 }) };
}

/// What a thread has allocated since it began. `live` wraps below zero where a thread frees what another took.
#[derive(Clone, Copy)]
struct Counts {
    allocations: u64,
    live: usize,
    peak: usize,
}

/// The system's allocator, with a count of what each thread asks it for.
///
/// Counts are per thread, so that tests which run side by side do not see each other; what a thread frees is taken off
/// its own count, whoever allocated it. Not seen is memory that is mapped rather than allocated: that of
/// [`Mapping`](crate::Mapping), and of a [`Buffer`](crate::Buffer) from 2 MiB on.
///
/// ```
/// use ann_simd::CountingAllocator;
///
/// #[global_allocator]
/// static ALLOCATOR: CountingAllocator = CountingAllocator;
///
/// fn main() {
///     let (seen, kept) = ALLOCATOR.measure(|| {
///         drop(vec![0u8; 3000]);
///         vec![0u8; 1000]
///     });
///     assert_eq!((seen.allocations, seen.bytes, seen.peak), (2, 1000, 3000));
///     assert_eq!(ALLOCATOR.measure(|| kept.iter().sum::<u8>()).0.allocations, 0);
/// }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct CountingAllocator;

/// What the calling thread allocated during [`CountingAllocator::measure`]. All zero if the allocator is not the
/// global one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allocations {
    /// How often memory was asked for; each growth or shrinkage in place is one more.
    pub allocations: u64,
    /// Bytes held at the end beyond those held at the beginning; negative if more was freed than taken.
    pub bytes: isize,
    /// Most bytes held at one time beyond those held at the beginning. A reallocation counts as old and new together,
    /// though the system may do with less.
    pub peak: usize,
}

impl CountingAllocator {
    /// Runs `run` and says what it allocated on this thread. Calls may be nested.
    pub fn measure<R>(&self, run: impl FnOnce() -> R) -> (Allocations, R) {
        let before = COUNTS.get();
        COUNTS.set(Counts { peak: before.live, ..before });
        let result = run();
        let after = COUNTS.get();
        // Differences may wrap where this thread freed what another took, and mean a negative number then.
        let above = |bytes: usize| bytes.wrapping_sub(before.live) as isize;
        let seen = Allocations {
            allocations: after.allocations - before.allocations,
            bytes: above(after.live),
            peak: after.peak.wrapping_sub(before.live),
        };
        let outer = if above(before.peak) > above(after.peak) { before.peak } else { after.peak };
        COUNTS.set(Counts { peak: outer, ..after });
        (seen, result)
    }
}

/// Notes `size` bytes taken.
fn taken(size: usize) {
    let Counts { allocations, live, peak } = COUNTS.get();
    let live = live.wrapping_add(size);
    let peak = if live.wrapping_sub(peak) as isize > 0 { live } else { peak };
    COUNTS.set(Counts { allocations: allocations + 1, live, peak });
}

/// Notes `size` bytes given back.
fn freed(size: usize) {
    let counts = COUNTS.get();
    COUNTS.set(Counts { live: counts.live.wrapping_sub(size), ..counts });
}

// SAFETY: every call is passed on to the system's allocator unchanged. Counting touches a `Cell` that is initialised at
// compile time and has no destructor, so that it neither allocates nor fails at any point in the life of a thread.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        taken(layout.size());
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        taken(layout.size());
        // SAFETY: the caller keeps the contract of `alloc_zeroed`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        freed(layout.size());
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        taken(new_size);
        freed(layout.size());
        // SAFETY: the caller keeps the contract of `realloc`.
        unsafe { System.realloc(pointer, layout, new_size) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[global_allocator]
    static ALLOCATOR: CountingAllocator = CountingAllocator;

    #[test]
    fn growth_counts_as_old_and_new_together() {
        let (seen, bytes) = ALLOCATOR.measure(|| {
            let mut bytes: Vec<u8> = Vec::with_capacity(1000);
            bytes.reserve_exact(3000);
            bytes
        });
        assert_eq!(seen, Allocations { allocations: 2, bytes: 3000, peak: 4000 });
        assert_eq!(ALLOCATOR.measure(|| drop(bytes)).0, Allocations { allocations: 0, bytes: -3000, peak: 0 });
    }

    #[test]
    fn inner_measures_leave_the_outer_peak() {
        let (outer, inner) = ALLOCATOR.measure(|| {
            drop(vec![1u8; 5000]);
            ALLOCATOR.measure(|| drop(vec![1u8; 10])).0
        });
        assert_eq!((inner.peak, outer.peak), (10, 5000));
        let (outer, _) = ALLOCATOR.measure(|| ALLOCATOR.measure(|| drop(vec![0u8; 7000])));
        assert_eq!((outer.allocations, outer.bytes, outer.peak), (1, 0, 7000));
    }

    #[test]
    fn other_threads_are_not_counted() {
        let (seen, ()) = ALLOCATOR.measure(|| {
            std::thread::scope(|scope| {
                scope.spawn(|| assert_eq!(ALLOCATOR.measure(|| vec![1u8; 1 << 20]).0.bytes, 1 << 20));
            });
        });
        assert!(seen.peak < 1 << 16, "{seen:?}");
    }
}
