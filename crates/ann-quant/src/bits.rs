//! Numbers of 4 to 12 bits, one after the other, the lowest bit first.

/// Bytes that `count` numbers of `nbits` bits take.
pub(crate) fn packed_len(count: usize, nbits: usize) -> usize {
    (count * nbits).div_ceil(8)
}

/// Writes number `at`; the place must be zero.
pub(crate) fn write(packed: &mut [u8], nbits: usize, at: usize, number: u32) {
    let bit = at * nbits;
    // At most 7 bits before, 12 bits of number: three bytes.
    let shifted = (number << (bit % 8)).to_le_bytes();
    packed[bit / 8..].iter_mut().zip(shifted).for_each(|(byte, part)| *byte |= part);
}

/// Number `at`.
#[inline(always)]
pub(crate) fn read(packed: &[u8], nbits: usize, at: usize) -> usize {
    let bit = at * nbits;
    let bytes = packed[bit / 8..].iter().take(3).rev();
    let joined = bytes.fold(0, |joined, &byte| (joined << 8) | usize::from(byte));
    (joined >> (bit % 8)) & ((1 << nbits) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_and_fill_no_more_than_their_bytes() {
        for nbits in 4..=12 {
            for count in 1..20 {
                let number = |at: usize| ((at * 2_654_435_761) >> 7) & ((1 << nbits) - 1);
                let mut packed = vec![0; packed_len(count, nbits)];
                (0..count).for_each(|at| write(&mut packed, nbits, at, number(at) as u32));
                assert!((0..count).all(|at| read(&packed, nbits, at) == number(at)), "{nbits} bits, {count}");
                assert_eq!(packed.len(), (count * nbits).div_ceil(8));
            }
        }
    }
}
