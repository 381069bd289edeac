//! Samples of the rows, each a quarter of the one before: what gives a graph links of every length.
//!
//! A row that is inserted early meets the few rows that are there, and keeps links to them. Candidates from leaves are near, all of
//! them. So every sample is linked by itself, and its links are offered to those of the sample that it was taken from.

use ann_core::split_mix;

/// Rows of a sample for each of the next, and the binary logarithm of that.
const RATIO: usize = 4;
pub(super) const SHIFT: u32 = RATIO.ilog2();

/// Keeps these draws apart from those of leaders.
const STREAM: u64 = 0x7363_616c_6573;

/// All of `rows` rows, then samples, until one has `most` or less. Of every four rows of one that follow each other the next has one: what is at place `i` in
/// sample `s` has a number that is `i` without its last `s * SHIFT` bits.
pub(super) fn samples(rows: usize, most: usize, seed: u64) -> Vec<Vec<u32>> {
    let mut samples = vec![(0..rows as u32).collect::<Vec<u32>>()];
    while let Some(last) = samples.last().filter(|last| last.len() > most) {
        let seed = split_mix(seed ^ STREAM, samples.len() as u64);
        let draw = |(i, rows): (usize, &[u32])| rows[(split_mix(seed, i as u64) % rows.len() as u64) as usize];
        samples.push(last.chunks(RATIO).enumerate().map(draw).collect());
    }
    samples
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_shrink_and_places_are_numbers_without_their_last_bits() {
        let samples = samples(4_001, 100, 7);
        assert_eq!(samples.iter().map(Vec::len).collect::<Vec<_>>(), [4_001, 1_001, 251, 63]);
        for (scale, pair) in (1..).zip(samples.windows(2)) {
            assert!(pair[1].iter().all(|row| pair[0].binary_search(row).is_ok()));
            assert!((0..).zip(&pair[1]).all(|(place, row)| row >> (scale * SHIFT) == place));
        }
    }
}
