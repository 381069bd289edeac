//! Numbers of 8, 6 or 4 bits in bytes.
//!
//! Numbers of 8 bits are stored less 128, as the signed bytes that kernels read. Others come in blocks of 128: first two
//! lower halves per byte (number `i` with number `i + 64`), then for 6 bits the upper two bits of four numbers (`i` with
//! `i + 32`, `i + 64`, `i + 96`). So a block is taken apart by shifts and masks of whole vectors. The last block holds as
//! many numbers as are left, rounded up to four, in the same order with a half and a quarter of its length.

/// Numbers in a block.
const BLOCK: usize = 128;

/// Numbers taken apart at once: whole blocks.
pub(super) const UNPACKED: usize = 8 * BLOCK;

/// Bytes of `count` numbers.
pub(super) fn len(count: usize, bits: usize) -> usize {
    match bits {
        8 => count,
        4 => count.next_multiple_of(4) / 2,
        _ => count.div_ceil(4) * 3,
    }
}

/// Packs `numbers`, each less than `1 << bits`, into `code`.
pub(super) fn pack(numbers: impl ExactSizeIterator<Item = u8>, bits: usize, code: &mut [u8]) {
    if bits == 8 {
        code.iter_mut().zip(numbers).for_each(|(to, number)| *to = number.wrapping_sub(128));
        return;
    }
    code.fill(0);
    let count = numbers.len();
    for (i, number) in numbers.enumerate() {
        let (start, at) = (i - i % BLOCK, i % BLOCK);
        let size = (count - start).min(BLOCK).next_multiple_of(4);
        let block = &mut code[len(start, bits)..][..len(size, bits)];
        let (lower, upper) = block.split_at_mut(size / 2);
        lower[at % (size / 2)] |= (number & 15) << (4 * (at / (size / 2)));
        if let Some(upper) = upper.get_mut(at % (size / 4)) {
            *upper |= (number >> 4) << (2 * (at / (size / 4)));
        }
    }
}

/// Takes the first `numbers.len()` numbers out of `code`, which begins with a block; as the kernels read them.
#[inline]
pub(super) fn unpack(code: &[u8], bits: usize, numbers: &mut [i8]) {
    if bits == 8 {
        numbers.iter_mut().zip(code).for_each(|(to, &byte)| *to = byte as i8);
        return;
    }
    let block_len = len(BLOCK, bits);
    let (whole, rest) = numbers.as_chunks_mut::<BLOCK>();
    let at = whole.len() * block_len;
    for (numbers, code) in whole.iter_mut().zip(code.chunks_exact(block_len)) {
        block(code, bits, numbers);
    }
    if !rest.is_empty() {
        let mut last = [0; BLOCK];
        let size = rest.len().next_multiple_of(4);
        block(&code[at..][..len(size, bits)], bits, &mut last[..size]);
        rest.copy_from_slice(&last[..rest.len()]);
    }
}

/// One block; `numbers` is a multiple of four.
#[inline(always)]
fn block(code: &[u8], bits: usize, numbers: &mut [i8]) {
    let size = numbers.len();
    let (lower, upper) = code.split_at(size / 2);
    let (first, second) = numbers.split_at_mut(size / 2);
    for ((&byte, first), second) in lower.iter().zip(first).zip(second) {
        (*first, *second) = ((byte & 15) as i8, (byte >> 4) as i8);
    }
    if bits == 6 {
        for (quarter, numbers) in numbers.chunks_exact_mut(size / 4).enumerate() {
            for (&byte, number) in upper.iter().zip(numbers) {
                *number |= ((byte >> (2 * quarter) & 3) << 4) as i8;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ann_core::split_mix;

    #[test]
    fn numbers_of_any_count_come_back() {
        for bits in [4, 6, 8] {
            for count in (1..=300).chain([1023, 1024, 1025, 2049]) {
                let numbers: Vec<u8> = (0..count).map(|i| split_mix(3, i) as u8 >> (8 - bits)).collect();
                let mut code = vec![0xff; len(numbers.len(), bits)];
                pack(numbers.iter().copied(), bits, &mut code);
                let mut back = vec![0; numbers.len()];
                for (i, back) in back.chunks_mut(UNPACKED).enumerate() {
                    unpack(&code[len(i * UNPACKED, bits)..], bits, back);
                }
                let expected = numbers.iter().map(|&x| if bits == 8 { x.wrapping_sub(128) as i8 } else { x as i8 });
                assert!(back.into_iter().eq(expected), "{count} numbers of {bits} bits");
            }
        }
    }

    #[test]
    fn four_numbers_of_six_bits_take_three_bytes() {
        assert_eq!((len(384, 6), len(384, 4), len(384, 8)), (288, 192, 384));
        assert_eq!((len(25, 6), len(25, 4), len(1, 6)), (21, 14, 3));
    }
}
