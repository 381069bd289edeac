//! The two searches of a tree with bounds, written once for boxes and balls.
//!
//! *Exact*: depth first, of the branches of a node always the one whose bound is least, until no bound is within the threshold. The memory is sixteen bounds for every
//! level, on the stack. *Best bin first* (Beis and Lowe, CVPR 1997): the branch with the least bound of the whole tree, until a number of rows was compared.

use crate::nearest::Collect;
use crate::pending::{Branch, Pending, ordered};
use crate::shape::{FAN, LEAF, MAX_LEVELS, Shape};
use ann_core::{DistanceOracle, Filter, SearchStats};
use std::ops::Range;

/// What a tree knows of its branches, asked by one query.
pub(crate) trait Branches {
    /// `out[i]` becomes a distance that no row of branch `i` of a group is nearer than; what stands at branches that the group has not is no matter.
    fn bounds(&mut self, shape: &Shape, level: usize, group: usize, out: &mut [f32; FAN]);

    /// Offers the rows of a leaf that may be within the threshold and are accepted; counts what was compared.
    fn open<F: Filter, C: Collect>(&mut self, shape: &Shape, leaf: usize, found: &mut Found<'_, F, C>);
}

/// Where rows go that a search comes upon.
pub(crate) struct Found<'a, F, C> {
    pub(crate) filter: &'a F,
    pub(crate) to: &'a mut C,
    pub(crate) stats: SearchStats,
}

impl<F: Filter, C: Collect> Found<'_, F, C> {
    /// Compares the rows at these places that are accepted; `rows` is the row at every place.
    pub(crate) fn compare(&mut self, oracle: &impl DistanceOracle, rows: &[u32], places: Range<usize>) {
        let (mut at, mut distances) = ([0; LEAF], [0.0; LEAF]);
        for start in places.clone().step_by(LEAF) {
            let block = start..(start + LEAF).min(places.end);
            let mut count = 0;
            for place in block.filter(|&place| F::passes_all() || self.filter.accepts(rows[place])) {
                at[count] = place as u32;
                count += 1;
            }
            oracle.exact(&at[..count], &mut distances[..count]);
            let mut threshold = self.to.threshold();
            for (&place, &distance) in at[..count].iter().zip(&distances) {
                if distance <= threshold || distance.is_nan() {
                    self.to.offer(distance, rows[place as usize]);
                    threshold = self.to.threshold();
                }
            }
            self.stats.evaluations += count as u64;
            self.stats.hops += 1;
        }
    }
}

/// A bound and a branch in one number that orders by the bound: the last bits of the bound make room, which lowers it.
#[inline(always)]
pub(crate) fn branch_key(bound: f32, branch: usize) -> i32 {
    // Bounds are never NaN but in files that were forged; these must not keep a branch open for ever, nor close it.
    let signed = if bound.is_nan() { i32::MIN } else { (ordered(bound) ^ 0x8000_0000) as i32 };
    (signed & !(FAN as i32 - 1)) | branch as i32
}

/// The largest [`branch_key`] that is to be opened at this threshold.
#[inline(always)]
pub(crate) fn key_limit(threshold: f32) -> i32 {
    let signed = if threshold.is_nan() { i32::MAX } else { (ordered(threshold) ^ 0x8000_0000) as i32 };
    // One less than the largest number, which marks what was opened.
    (signed | (FAN as i32 - 1)).min(i32::MAX - 1)
}

/// Marks a branch that was opened, or is none.
pub(crate) const OPENED: i32 = i32::MAX;

/// Opens every leaf whose bound is within the threshold.
pub(crate) fn search_exactly<B: Branches, F: Filter, C: Collect>(
    shape: &Shape,
    branches: &mut B,
    found: &mut Found<'_, F, C>,
) {
    if shape.levels() == 0 {
        return;
    }
    let (mut keys, mut groups) = ([[OPENED; FAN]; MAX_LEVELS], [0; MAX_LEVELS]);
    let top = shape.levels() - 1;
    let mut level = top;
    enter(shape, branches, level, 0, &mut keys[level]);
    loop {
        let key = keys[level].iter().copied().fold(OPENED, i32::min);
        if key > key_limit(found.to.threshold()) {
            if level == top {
                return;
            }
            level += 1;
            continue;
        }
        let branch = key as usize % FAN;
        keys[level][branch] = OPENED;
        let branch = groups[level] * FAN + branch;
        if level == 0 {
            branches.open(shape, branch, found);
        } else {
            level -= 1;
            groups[level] = branch;
            enter(shape, branches, level, branch, &mut keys[level]);
        }
    }
}

fn enter<B: Branches>(shape: &Shape, branches: &mut B, level: usize, group: usize, keys: &mut [i32; FAN]) {
    let mut bounds = [0.0; FAN];
    branches.bounds(shape, level, group, &mut bounds);
    let there = shape.branches(level) - group * FAN;
    for (i, (key, &bound)) in keys.iter_mut().zip(&bounds).enumerate() {
        *key = if i < there { branch_key(bound, i) } else { OPENED };
    }
}

/// Opens the leaves with the least bounds until `checks` rows were compared, and more if fewer than wanted were found.
pub(crate) fn search_best_first<B: Branches, F: Filter, C: Collect>(
    shape: &Shape,
    branches: &mut B,
    checks: usize,
    pending: &mut Pending,
    found: &mut Found<'_, F, C>,
) {
    pending.reset(shape.leaves() + shape.groups());
    if shape.levels() > 0 {
        let root = shape.levels() as u32 - 1;
        pending.push(Branch { bound: f32::NEG_INFINITY, tree: root + 1, node: 0 });
    }
    // In the place of the tree stands the level, counted from the leaves.
    while let Some(Branch { bound, tree: height, node }) = pending.pop() {
        let spent = found.stats.evaluations >= checks as u64 && found.to.is_full();
        if spent || bound > found.to.threshold() {
            return;
        }
        let node = node as usize;
        if height == 0 {
            branches.open(shape, node, found);
            continue;
        }
        let level = height as usize - 1;
        let mut bounds = [0.0; FAN];
        branches.bounds(shape, level, node, &mut bounds);
        let there = shape.branches(level) - node * FAN;
        let threshold = found.to.threshold();
        for (i, &bound) in bounds.iter().enumerate().take(there) {
            if bound <= threshold || bound.is_nan() {
                // Nodes are at most as many as rows.
                pending.push(Branch { bound, tree: height - 1, node: (node * FAN + i) as u32 });
            }
        }
    }
}
