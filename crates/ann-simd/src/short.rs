//! Reads of fewer bytes than a register holds, on instruction sets without masked loads.

/// The `len` bytes at `start`, and zeros behind them.
///
/// Two reads that overlap, of which the second forgets what the first has. A copy on the stack would have to be written in pieces before it can be
/// read as a whole, which costs more than all arithmetic of a short row.
///
/// # Panics
/// In debug builds, if `len` is more than 16.
///
/// # Safety
/// - `len` bytes are readable at `start`.
#[inline(always)]
pub(crate) unsafe fn short(start: *const u8, len: usize) -> u128 {
    debug_assert!(len <= 16, "{len} bytes do not fit");
    // SAFETY: every read is of bytes at the beginning or at the end of the `len` that are readable, by the caller, and of no more than them; no read
    // asks for alignment.
    unsafe {
        match len {
            8.. => {
                let (first, last) = (start.cast::<u64>(), start.add(len - 8).cast::<u64>());
                let rest = last.read_unaligned().checked_shr(8 * (16 - len) as u32).unwrap_or(0);
                u128::from(first.read_unaligned()) | u128::from(rest) << 64
            }
            4.. => {
                let (first, last) = (start.cast::<u32>(), start.add(len - 4).cast::<u32>());
                let rest = last.read_unaligned().checked_shr(8 * (8 - len) as u32).unwrap_or(0);
                u128::from(u64::from(first.read_unaligned()) | u64::from(rest) << 32)
            }
            _ => u128::from((0..len).fold(0_u32, |bytes, i| bytes | u32::from(*start.add(i)) << (8 * i))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::short;

    #[test]
    fn what_is_read_ends_with_the_bytes() {
        let bytes: Vec<u8> = (1..=16).collect();
        for len in 0..=16 {
            // A box of its own, so that a read too far is one past the allocation.
            let exact: Box<[u8]> = bytes[..len].into();
            let mut want = [0; 16];
            want[..len].copy_from_slice(&exact);
            // SAFETY: there are `len` bytes.
            assert_eq!(unsafe { short(exact.as_ptr(), len) }.to_le_bytes(), want, "{len} bytes");
        }
    }
}
