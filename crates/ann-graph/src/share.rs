//! What share of all rows a filter accepts, guessed by asking a few.

use ann_core::{Filter, split_mix};

/// Rows that are asked.
const SAMPLE: usize = 512;

/// The share of `len` rows, at least one, that `filter` seems to accept, above 0; `accepted` becomes those of the sample that it accepts. Which rows
/// are asked depends on `len` alone: the same search takes the same way every time.
pub(crate) fn sampled_share(len: usize, filter: &impl Filter, accepted: &mut Vec<u32>) -> f64 {
    let asked = SAMPLE.min(len);
    let drawn = (0..asked).map(|i| (split_mix(0, i as u64) % len as u64) as u32);
    accepted.clear();
    accepted.extend(drawn.filter(|&row| filter.accepts(row)));
    // As if one more had been accepted: a filter may well accept a few rows of which none was drawn.
    (accepted.len() + 1) as f64 / (asked + 1) as f64
}
