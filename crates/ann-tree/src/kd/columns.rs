//! Search of rows of one to eight columns: leaves column by column, and everything compiled for the number of columns.
//!
//! The sums over columns are taken in the order of the kernels of [`FlatStore`](ann_core::FlatStore), so distances are the same to the bit. A bound is the sum, in the same
//! order, of numbers that are no larger than those of any row in the box; rounding keeps the order of numbers, and so a bound is never above a distance.

use crate::nearest::Collect;
use crate::shape::{FAN, LEAF, MAX_LEVELS, Shape};
use crate::walk::{Found, OPENED};
use ann_core::simd::{Arch, Level, Rows};
use ann_core::{Filter, Metric};

/// Columns up to which rows are kept column by column.
pub(super) const MAX_COLUMNS: usize = 8;

/// Whether there is a search by columns for a metric.
pub(super) fn holds(metric: Metric) -> bool {
    matches!(metric, Metric::L2 | Metric::L1)
}

/// The order in which kernels add up columns on this machine; on AArch64 it depends on the instruction set.
pub(super) fn agrees(arch: Arch) -> bool {
    !cfg!(target_arch = "aarch64") || arch.level() == Level::Neon
}

/// A tree as a search sees it.
#[derive(Clone, Copy)]
pub(super) struct ByColumns<'a> {
    pub(super) arch: Arch,
    pub(super) metric: Metric,
    pub(super) shape: &'a Shape,
    pub(super) boxes: &'a [f32],
    pub(super) columns: &'a [f32],
    /// The row at every place.
    pub(super) rows: &'a [u32],
}

/// Where a search begins: the query, what is near enough, and whether nothing of a leaf matters but its nearest.
#[derive(Clone, Copy)]
struct Start<const D: usize> {
    query: [f32; D],
    threshold: f32,
    single: bool,
}

/// Called with every leaf that holds something within the threshold: its number, the distances of its rows, and a bit for each that is within. Gives the new threshold.
type Open<'a> = &'a mut dyn FnMut(usize, &[f32; LEAF], u32) -> f32;

impl ByColumns<'_> {
    /// Opens every leaf whose bound is within the threshold.
    pub(super) fn search<F: Filter, C: Collect>(self, query: &[f32], found: &mut Found<'_, F, C>) {
        let Found { filter, to, stats } = found;
        let (threshold, single) = (to.threshold(), to.is_single() && F::passes_all());
        let mut open = |leaf: usize, distances: &[f32; LEAF], mut within: u32| {
            while within != 0 {
                let i = within.trailing_zeros() as usize;
                within &= within - 1;
                let row = self.rows[leaf * LEAF + i];
                if F::passes_all() || filter.accepts(row) {
                    to.offer(distances[i], row);
                }
            }
            to.threshold()
        };
        if self.shape.levels() > 0 {
            let (leaves, rows) = self.dispatch(query, (threshold, single), &mut open);
            stats.hops += leaves;
            stats.evaluations += rows;
        }
    }

    /// The search for as many columns as there are.
    fn dispatch(self, query: &[f32], how: (f32, bool), open: Open<'_>) -> (u64, u64) {
        match *query {
            [a] => self.run([a], how, open),
            [a, b] => self.run([a, b], how, open),
            [a, b, c] => self.run([a, b, c], how, open),
            [a, b, c, d] => self.run([a, b, c, d], how, open),
            [a, b, c, d, e] => self.run([a, b, c, d, e], how, open),
            [a, b, c, d, e, f] => self.run([a, b, c, d, e, f], how, open),
            [a, b, c, d, e, f, g] => self.run([a, b, c, d, e, f, g], how, open),
            [a, b, c, d, e, f, g, h] => self.run([a, b, c, d, e, f, g, h], how, open),
            // Trees of more columns have no columns.
            _ => (0, 0),
        }
    }

    fn run<const D: usize>(self, query: [f32; D], (threshold, single): (f32, bool), open: Open<'_>) -> (u64, u64) {
        let start = Start { query, threshold, single };
        let squared = self.metric == Metric::L2;
        self.arch.run(
            #[inline(always)]
            || match squared {
                true => walk::<D, true>(self, &start, open),
                false => walk::<D, false>(self, &start, open),
            },
        )
    }
}

/// The search; gives the number of leaves and of rows that were compared.
#[inline(always)]
fn walk<const D: usize, const SQUARED: bool>(
    tree: ByColumns<'_>,
    &Start { ref query, mut threshold, single }: &Start<D>,
    open: Open<'_>,
) -> (u64, u64) {
    let shape = tree.shape;
    let groups = tree.boxes.as_chunks::<FAN>().0.as_chunks::<2>().0.as_chunks::<D>().0;
    let leaves = tree.columns.as_chunks::<LEAF>().0.as_chunks::<D>().0;
    let ids = Rows::new(&tree.rows[..tree.rows.len() / LEAF * LEAF], LEAF, LEAF);
    let (mut keys, mut groups_open) = ([[OPENED; FAN]; MAX_LEVELS], [0; MAX_LEVELS]);
    let top = shape.levels() - 1;
    let (mut level, mut opened, mut compared) = (top, 0, 0);
    keys[top] = branch_keys::<D, SQUARED>(query, &groups[shape.group(top, 0)], shape.branches(top));
    loop {
        // Distances are not negative, and numbers that are not order as their bits do. Adding zero makes of the negative zero a positive one.
        let limit = ((threshold + 0.0).to_bits() as i32 | (FAN as i32 - 1)).min(OPENED - 1);
        let (mut key, mut any) = (OPENED, false);
        for &other in &keys[level] {
            any |= other <= limit;
            key = key.min(other);
        }
        // Known sooner than which it is, and mostly there is none.
        if !any {
            if level == top {
                return (opened, compared);
            }
            level += 1;
            continue;
        }
        let branch = key as usize % FAN;
        keys[level][branch] = OPENED;
        let branch = groups_open[level] * FAN + branch;
        if level > 0 {
            level -= 1;
            groups_open[level] = branch;
            let there = shape.branches(level) - branch * FAN;
            keys[level] = branch_keys::<D, SQUARED>(query, &groups[shape.group(level, branch)], there);
            continue;
        }
        ids.prefetch(branch as u32, 2);
        let mut distances = sums::<D, LEAF>(
            #[inline(always)]
            |column, i| part::<SQUARED>(query[column] - leaves[branch][column][i]),
        );
        let rows = shape.leaf(branch).len();
        if rows < LEAF {
            // Farther than anything that is near enough.
            distances[rows..].fill(f32::NAN);
        }
        let mut enough = threshold;
        if single {
            let mut least = i32::MAX;
            for distance in &distances {
                least = least.min(distance.to_bits() as i32);
            }
            let least = f32::from_bits(least as u32);
            enough = if least < enough { least } else { enough };
        }
        let mut within = 0;
        for (i, &distance) in distances.iter().enumerate() {
            within |= u32::from(distance <= enough) << i;
        }
        opened += 1;
        compared += rows as u64;
        if within != 0 {
            threshold = open(branch, &distances, within);
        }
    }
}

/// The bounds of the branches of a group with their numbers in their last bits; see [`branch_key`](crate::walk::branch_key).
#[inline(always)]
fn branch_keys<const D: usize, const SQUARED: bool>(
    query: &[f32; D],
    group: &[[[f32; FAN]; 2]; D],
    there: usize,
) -> [i32; FAN] {
    let bounds = sums::<D, FAN>(
        #[inline(always)]
        |column, i| {
            let [low, high] = &group[column];
            part::<SQUARED>(larger(larger(low[i] - query[column], query[column] - high[i]), 0.0))
        },
    );
    let mut keys = [OPENED; FAN];
    for (i, key) in keys.iter_mut().enumerate() {
        let bound = (bounds[i].to_bits() as i32 & !(FAN as i32 - 1)) | i as i32;
        *key = if i < there { bound } else { OPENED };
    }
    keys
}

/// The larger of two numbers, in one instruction: `f32::max` minds NaN.
#[inline(always)]
pub(super) fn larger(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}

/// What a column adds to a distance.
#[inline(always)]
fn part<const SQUARED: bool>(difference: f32) -> f32 {
    if SQUARED { difference * difference } else { difference.abs() }
}

/// `part(column, i)` added up over columns as a kernel does that takes eight or more columns at a time; on AArch64 it takes four.
#[inline(always)]
fn sums<const D: usize, const W: usize>(part: impl Fn(usize, usize) -> f32) -> [f32; W] {
    let mut sums = [0.0; W];
    for (i, sum) in sums.iter_mut().enumerate() {
        let four = |column: usize| with_fourth::<D>(&part, column, i);
        let [a, b] = if cfg!(target_arch = "aarch64") { [1, 2] } else { [2, 1] };
        *sum = match D {
            1 => four(0),
            2 => four(0) + four(1),
            3 => (four(0) + four(a)) + four(b),
            _ => (four(0) + four(a)) + (four(b) + four(3)),
        };
    }
    sums
}

/// A column and the fourth after it, as far as there are such.
#[inline(always)]
fn with_fourth<const D: usize>(part: &impl Fn(usize, usize) -> f32, column: usize, i: usize) -> f32 {
    match column {
        _ if column >= D => 0.0,
        _ if column + 4 >= D => part(column, i),
        _ => part(column, i) + part(column + 4, i),
    }
}
