//! Where to cut columns into segments, and how many bits to give to each: by dynamic programming.
//!
//! A segment of `n` columns of variances `v` and `b` bits adds `(Σv)² / n · L / (1 - L)` to the variance of an estimated
//! product with a vector of the same distribution, for a rotation spreads the variance evenly; `L` is the share of the
//! squared norm that a code of `b` bits loses. Columns without bits add `Σv²`.
//!
//! Cost: `O(segments · blocks² · budget)`, less than finding the components.

use crate::Rotation;
use crate::rotated::grid::bytes_of;

/// Columns come in blocks of this many; the last may be smaller.
pub(super) const BLOCK: usize = 64;

/// Most segments: each takes a pass over codes.
const MOST: usize = 8;

/// `1 - cos²` between rotated rows and their adjusted codes of 0 to 8 bits, on average; measured on 256 columns.
pub(super) const LOST: [f64; 9] = [1.0, 0.363, 0.117, 0.0368, 0.0111, 0.0029, 7.4e-4, 1.9e-4, 4.7e-5];

/// A segment that ends before column `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) end: usize,
    pub(super) bits: u32,
}

/// Segments of least cost within `budget` bytes, of which each takes 4 for its factor; what columns are left at the end have no
/// bits. `None` if the budget is too small for one bit of the first block.
pub(super) fn plan(variances: &[f64], budget: usize) -> Option<Vec<Part>> {
    /// Fewer segments are preferred unless more lower the cost by this factor.
    const WORTH: f64 = 0.99;
    let table = Table::new(variances, budget);
    let mut best: Option<(f64, Vec<Part>)> = None;
    for count in 1..=MOST.min(table.blocks()) {
        if let Some((cost, parts)) = table.best(count)
            && best.as_ref().is_none_or(|(least, _)| cost < WORTH * least)
        {
            best = Some((cost, parts));
        }
    }
    best.map(|(_, parts)| parts)
}

/// What segments cost, and the least that any number of them costs.
struct Table {
    /// Where blocks begin, and the number of columns.
    starts: Vec<usize>,
    /// Sums of variances and of their squares before each of `starts`.
    sums: Vec<(f64, f64)>,
    /// Bytes from 0 to the budget.
    sizes: usize,
    /// `least[count][blocks][bytes]`: of that many segments over the first blocks, in at most so many bytes.
    least: Vec<f64>,
}

impl Table {
    fn new(variances: &[f64], budget: usize) -> Self {
        let starts: Vec<usize> = (0..variances.len()).step_by(BLOCK).chain([variances.len()]).collect();
        // Where nothing varied, something may: bits are no use elsewhere.
        let total = variances.iter().sum::<f64>();
        let floor = if total > 0.0 { 1e-12 * total / variances.len() as f64 } else { 1.0 };
        let mut sums = vec![(0.0, 0.0)];
        for range in starts.windows(2) {
            let last = sums[sums.len() - 1];
            sums.push(variances[range[0]..range[1]].iter().fold(last, |(sum, squares), &variance| {
                let variance = variance.max(floor);
                (sum + variance, squares + variance * variance)
            }));
        }
        let (blocks, sizes) = (starts.len() - 1, budget + 1);
        let counts = MOST.min(blocks);
        let mut table = Self { starts, sums, sizes, least: vec![f64::INFINITY; (counts + 1) * (blocks + 1) * sizes] };
        let none = table.place(0, 0);
        table.least[none..none + sizes].fill(0.0);
        for count in 1..=counts {
            for to in count..=blocks {
                for (from, bits) in steps(count, to) {
                    let (cost, bytes) = (table.cost(from, to, bits), table.bytes(from, to, bits));
                    let (before, here) = (table.place(count - 1, from), table.place(count, to));
                    let (earlier, later) = table.least.split_at_mut(here);
                    for (least, before) in later[..sizes].iter_mut().skip(bytes).zip(&earlier[before..before + sizes]) {
                        *least = least.min(before + cost);
                    }
                }
            }
        }
        table
    }

    fn blocks(&self) -> usize {
        self.starts.len() - 1
    }

    fn place(&self, count: usize, blocks: usize) -> usize {
        (count * self.starts.len() + blocks) * self.sizes
    }

    /// What blocks `from..to` as one segment cost.
    fn cost(&self, from: usize, to: usize, bits: u32) -> f64 {
        let (sum, lost) = (self.sums[to].0 - self.sums[from].0, LOST[bits as usize]);
        sum * sum / (self.starts[to] - self.starts[from]) as f64 * lost / (1.0 - lost)
    }

    /// What blocks from `from` on cost without bits.
    fn rest(&self, from: usize) -> f64 {
        self.sums[self.blocks()].1 - self.sums[from].1
    }

    /// Bytes of blocks `from..to` as one segment.
    fn bytes(&self, from: usize, to: usize, bits: u32) -> usize {
        bytes_of(Rotation::padded(self.starts[to] - self.starts[from]), bits) + super::FACTOR
    }

    /// The least cost of `count` segments, and these.
    fn best(&self, count: usize) -> Option<(f64, Vec<Part>)> {
        let total = |to: usize| self.least[self.place(count, to) + self.sizes - 1] + self.rest(to);
        let mut to = (count..=self.blocks()).min_by(|&a, &b| total(a).total_cmp(&total(b)))?;
        let cost = total(to);
        if cost == f64::INFINITY {
            return None;
        }
        let (mut parts, mut bytes) = (Vec::new(), self.sizes - 1);
        for count in (1..=count).rev() {
            let least = self.least[self.place(count, to) + bytes];
            // The same additions as before, so that one of them gives the same number.
            let (from, bits) = steps(count, to).find(|&(from, bits)| {
                let left = bytes.checked_sub(self.bytes(from, to, bits));
                left.is_some_and(|left| {
                    self.least[self.place(count - 1, from) + left] + self.cost(from, to, bits) == least
                })
            })?;
            parts.push(Part { end: self.starts[to], bits });
            bytes -= self.bytes(from, to, bits);
            to = from;
        }
        parts.reverse();
        Some((cost, parts))
    }
}

/// Where the last of `count` segments over `to` blocks may begin, and its bits, the most first.
fn steps(count: usize, to: usize) -> impl Iterator<Item = (usize, u32)> {
    (count - 1..to).flat_map(|from| (1..=8).rev().map(move |bits| (from, bits)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rotation::gauss;

    /// The least cost of `count` segments from block `from` on, by trying all.
    fn all(table: &Table, count: usize, from: usize, left: usize) -> f64 {
        if count == 0 {
            return table.rest(from);
        }
        let mut least = f64::INFINITY;
        for to in from + 1..=table.blocks() {
            for bits in 1..=8 {
                if let Some(left) = left.checked_sub(table.bytes(from, to, bits)) {
                    least = least.min(table.cost(from, to, bits) + all(table, count - 1, to, left));
                }
            }
        }
        least
    }

    fn variances(dim: usize, seed: u64) -> Vec<f64> {
        let mut variances: Vec<f64> =
            (0..dim as u64).map(|j| gauss(seed, j).powi(2) / (1.0 + j as f64 / 16.0).powi(seed as i32 % 3)).collect();
        variances.sort_by(|a, b| b.total_cmp(a));
        variances
    }

    #[test]
    fn plans_cost_what_the_best_of_all_costs_and_no_more_bytes_than_there_are() {
        for dim in [1, 30, 64, 100, 128, 200, 256, 300] {
            for (seed, bits) in [(1, 0.5), (2, 1.0), (3, 1.5), (4, 2.0), (5, 4.0), (6, 8.0)] {
                let (variances, budget) = (variances(dim, seed), (bits * dim as f64 / 8.0).ceil() as usize + 4);
                let table = Table::new(&variances, budget);
                for count in 1..=table.blocks() {
                    let expected = all(&table, count, 0, budget);
                    let Some((cost, parts)) = table.best(count) else {
                        assert_eq!(expected, f64::INFINITY, "{dim} columns, {bits} bits, {count} segments");
                        continue;
                    };
                    assert!((cost / expected - 1.0).abs() < 1e-9, "{dim} columns, {bits} bits, {count}: {parts:?}");
                    let (mut start, mut bytes, mut sum) = (0, 0, 0.0);
                    for part in &parts {
                        let (from, to) = (start / BLOCK, part.end.div_ceil(BLOCK));
                        bytes += table.bytes(from, to, part.bits);
                        sum += table.cost(from, to, part.bits);
                        start = part.end;
                    }
                    assert!(bytes <= budget && parts.len() == count);
                    assert!(((sum + table.rest(start.div_ceil(BLOCK))) / cost - 1.0).abs() < 1e-9);
                }
            }
        }
    }

    #[test]
    fn even_variances_are_one_segment_and_decaying_ones_get_fewer_bits_down_the_line() {
        let one = |dim, bits| Some(vec![Part { end: dim, bits }]);
        assert_eq!(plan(&[1.0; 256], 128 + 4), one(256, 4));
        assert_eq!(plan(&[0.0; 256], 128 + 4), one(256, 4));
        assert_eq!(plan(&[1.0; 40], 10 + 4), one(40, 2));
        let decaying: Vec<f64> = (0..512).map(|j| (1.0 + f64::from(j) / 16.0).powi(-2)).collect();
        let parts = plan(&decaying, 256 + 4).unwrap();
        assert!(parts.len() > 2 && parts.is_sorted_by(|a, b| a.bits > b.bits), "{parts:?}");
    }

    #[test]
    fn too_few_bytes_are_no_plan() {
        assert_eq!(plan(&[1.0; 256], 8 + 3), None);
        assert_eq!(plan(&[1.0; 256], 8 + 4), Some(vec![Part { end: 64, bits: 1 }]));
        assert_eq!(plan(&[1.0], 0), None);
    }
}
