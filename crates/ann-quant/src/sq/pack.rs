//! Numbers of 8, 6 or 4 bits in bytes.
//!
//! Numbers of 8 bits are stored less 128, as the signed bytes that kernels read. Of others the lower four bits come first, two
//! numbers per byte, then for 6 bits the upper two, four per byte; both as [`PackedDot`](ann_core::simd::PackedDot) reads
//! them: of `n` bytes, byte `i` holds the numbers `i`, `i + n` and so on, from its lowest bit up. There are as many places as
//! numbers, rounded up to four; those that are left over hold 0.

/// Numbers taken apart at once.
pub(super) const UNPACKED: usize = 1024;

/// Places for `count` numbers of less than 8 bits.
pub(super) fn places(count: usize) -> usize {
    count.next_multiple_of(4)
}

/// Bytes of `count` numbers.
pub(super) fn len(count: usize, bits: usize) -> usize {
    match bits {
        8 => count,
        _ => places(count) * bits / 8,
    }
}

/// Packs `numbers`, each less than `1 << bits`, into `code`.
pub(super) fn pack(numbers: impl ExactSizeIterator<Item = u8>, bits: usize, code: &mut [u8]) {
    if bits == 8 {
        code.iter_mut().zip(numbers).for_each(|(to, number)| *to = number.wrapping_sub(128));
        return;
    }
    code.fill(0);
    let (lower, upper) = code.split_at_mut(places(numbers.len()) / 2);
    let (halves, quarters) = (lower.len(), upper.len());
    for (i, number) in numbers.enumerate() {
        lower[i % halves] |= (number & 15) << (4 * (i / halves));
        // Numbers of 4 bits have no upper part.
        if let Some(part) = i.checked_div(quarters) {
            upper[i % quarters] |= (number >> 4) << (2 * part);
        }
    }
}

/// Takes `numbers.len()` of the `count` numbers of `code` out of it, `start` and those that follow; as the kernels read them.
pub(super) fn unpack(code: &[u8], bits: usize, count: usize, start: usize, numbers: &mut [i8]) {
    if bits == 8 {
        numbers.iter_mut().zip(&code[start..]).for_each(|(to, &byte)| *to = byte as i8);
        return;
    }
    numbers.fill(0);
    let (lower, upper) = code[..len(count, bits)].split_at(places(count) / 2);
    add(lower, 4, 0, start, numbers);
    if !upper.is_empty() {
        add(upper, 2, 4, start, numbers);
    }
}

/// Adds the parts of `width` bits that `bytes` hold, shifted to the left, to the numbers from `start` on.
fn add(bytes: &[u8], width: usize, shift: usize, start: usize, numbers: &mut [i8]) {
    let (mut rest, mut at, mask) = (numbers, start, (1 << width) - 1);
    while !rest.is_empty() {
        let (part, first) = (at / bytes.len(), at % bytes.len());
        let run = rest.len().min(bytes.len() - first);
        let (numbers, others) = rest.split_at_mut(run);
        for (number, &byte) in numbers.iter_mut().zip(&bytes[first..]) {
            *number |= ((byte >> (part * width) & mask) << shift) as i8;
        }
        (rest, at) = (others, at + run);
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
                    unpack(&code, bits, numbers.len(), i * UNPACKED, back);
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
