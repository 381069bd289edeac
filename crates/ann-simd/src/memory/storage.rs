//! The two kinds of owned memory: cache lines from the allocator, and anonymous pages from the system.

use std::ptr::NonNull;

/// Alignment of every owned allocation, one cache line.
pub(super) const LINE: usize = 64;
/// Size of a huge page, and the allocation size from which huge pages are asked for.
#[cfg(any(test, not(any(target_arch = "wasm32", miri))))]
pub(super) const HUGE_PAGE: usize = 2 << 20;

/// Size of an ordinary page on most systems; large allocations are rounded up to it.
#[cfg(any(test, not(any(target_arch = "wasm32", miri))))]
const PAGE: usize = 4096;

/// One cache line; a vector of them is memory aligned to 64 bytes without asking the allocator by hand.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Line([u8; LINE]);

/// Owned, zero-filled, aligned memory of a fixed size. It is never resized in place: growing makes a new one.
pub(super) enum Storage {
    /// Aligned to 64 bytes.
    Lines(Vec<Line>),
    /// Aligned to 2 MiB from `offset` on, and advised to use huge pages.
    #[cfg(not(any(target_arch = "wasm32", miri)))]
    Pages { map: memmap2::MmapMut, offset: usize, bytes: usize },
}

impl Storage {
    /// Memory of at least `bytes` zero bytes.
    ///
    /// # Panics
    /// When `bytes` rounded up exceeds `isize::MAX`; like `Vec`, aborts when the system has no memory left.
    pub(super) fn zeroed(bytes: usize) -> Storage {
        #[cfg(not(any(target_arch = "wasm32", miri)))]
        if bytes >= HUGE_PAGE
            && let Some(pages) = Storage::pages(bytes)
        {
            return pages;
        }
        Storage::Lines(vec![Line([0; LINE]); bytes.div_ceil(LINE)])
    }

    /// Anonymous pages, or `None` when the system refuses (the allocator is then tried, and reports the failure).
    #[cfg(not(any(target_arch = "wasm32", miri)))]
    fn pages(bytes: usize) -> Option<Storage> {
        // A system without huge pages promises page alignment only, so one huge page more is mapped and the first
        // aligned address used. The slack is address space: it is never touched and never backed.
        let bytes = bytes.checked_next_multiple_of(PAGE)?;
        let map = memmap2::MmapMut::map_anon(bytes.checked_add(HUGE_PAGE)?).ok()?;
        let offset = map.as_ptr().align_offset(HUGE_PAGE);
        // Advice only: a kernel built without huge pages refuses, and the memory is as good without them. The end that
        // fills no huge page gets small ones, so that no memory is spent on rounding up.
        #[cfg(target_os = "linux")]
        let _ = map.advise_range(memmap2::Advice::HugePage, offset, bytes - bytes % HUGE_PAGE);
        Some(Storage::Pages { map, offset, bytes })
    }

    /// The first byte; stays where it is however the `Storage` itself moves.
    pub(super) fn start(&mut self) -> NonNull<u8> {
        match self {
            Storage::Lines(lines) => NonNull::from(lines.as_mut_slice()).cast(),
            #[cfg(not(any(target_arch = "wasm32", miri)))]
            Storage::Pages { map, offset, .. } => NonNull::from(&mut map[*offset..]).cast(),
        }
    }

    /// Usable bytes from [`Storage::start`] on.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Storage::Lines(lines) => lines.len() * LINE,
            // The size asked for, rounded: the slack behind it depends on where the system put the map.
            #[cfg(not(any(target_arch = "wasm32", miri)))]
            Storage::Pages { bytes, .. } => *bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_aligned_zero_and_large_enough() {
        for bytes in [1, 63, 64, 65, 4096, HUGE_PAGE - 1, HUGE_PAGE, HUGE_PAGE + 1, 3 * HUGE_PAGE + 17] {
            let mut storage = Storage::zeroed(bytes);
            let align =
                if bytes >= HUGE_PAGE && cfg!(not(any(target_arch = "wasm32", miri))) { HUGE_PAGE } else { LINE };
            assert!(storage.bytes() >= bytes && storage.bytes().is_multiple_of(align.min(PAGE)), "{bytes}");
            assert_eq!(storage.start().as_ptr().addr() % align, 0, "{bytes}");
            // SAFETY: `start` is valid for `bytes()` bytes, which `zeroed` initialised, while `storage` lives.
            let all = unsafe { std::slice::from_raw_parts(storage.start().as_ptr(), storage.bytes()) };
            assert!(all.iter().all(|&byte| byte == 0), "{bytes}");
        }
    }

    #[test]
    fn no_bytes_is_a_valid_size() {
        let mut storage = Storage::zeroed(0);
        assert_eq!(storage.bytes(), 0);
        assert_eq!(storage.start().as_ptr().addr() % LINE, 0);
    }
}
