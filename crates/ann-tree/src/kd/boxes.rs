//! Boxes: how far a query is from each of sixteen at least, for any number of columns and any store.

use super::KdTree;
use super::columns::larger;
use crate::nearest::Collect;
use crate::shape::{FAN, Shape};
use crate::walk::{Branches, Found};
use ann_core::simd::Arch;
use ann_core::{DistanceOracle, Filter, Metric, ReadRow, unit_distance};

/// The branches of a tree as seen from a query.
pub(super) struct BoxBranches<'a, O> {
    arch: Arch,
    metric: Metric,
    boxes: &'a [f32],
    /// The row at every place.
    rows: &'a [u32],
    query: &'a [f32],
    oracle: &'a O,
    /// What rounding may add to a distance of size one: that of the bound and that of the distance it is held against.
    slack: f32,
}

impl<'a, O: DistanceOracle> BoxBranches<'a, O> {
    /// `query` as the rows are that the boxes were made of: normalised under cosine.
    pub(super) fn new<S: ReadRow>(tree: &'a KdTree<S>, query: &'a [f32], oracle: &'a O) -> Self {
        // Half a unit in the last place for every addition, twice, and as much again to be sure.
        let slack = (query.len() as f32 + 16.0) * 2.0 * f32::EPSILON;
        let (boxes, rows) = (&tree.boxes[..], tree.order.rows());
        Self { arch: tree.arch, metric: tree.store.metric(), boxes, rows, query, oracle, slack }
    }
}

impl<O: DistanceOracle> Branches for BoxBranches<'_, O> {
    fn bounds(&mut self, shape: &Shape, level: usize, group: usize, out: &mut [f32; FAN]) {
        let width = self.query.len() * 2 * FAN;
        let group = &self.boxes[shape.group(level, group) * width..][..width];
        let (query, slack, metric) = (self.query, self.slack, self.metric);
        self.arch.run(
            #[inline(always)]
            || match metric {
                Metric::L1 => *out = gaps::<false>(query, group, slack),
                Metric::L2 => *out = gaps::<true>(query, group, slack),
                _ => *out = products(query, group, slack, metric == Metric::Cosine),
            },
        );
    }

    fn open<F: Filter, C: Collect>(&mut self, shape: &Shape, leaf: usize, found: &mut Found<'_, F, C>) {
        found.compare(self.oracle, self.rows, shape.leaf(leaf));
    }
}

/// Sums over columns of how far the query is outside of each box, squared if asked for.
#[inline(always)]
fn gaps<const SQUARED: bool>(query: &[f32], group: &[f32], slack: f32) -> [f32; FAN] {
    let mut sums = [0.0; FAN];
    let (ends, _) = group.as_chunks::<FAN>();
    let (ends, _) = ends.as_chunks::<2>();
    for (&q, [low, high]) in query.iter().zip(ends) {
        for i in 0..FAN {
            let gap = larger(larger(low[i] - q, q - high[i]), 0.0);
            sums[i] += if SQUARED { gap * gap } else { gap };
        }
    }
    let (share, least) = ((1.0 - slack).max(0.0), query.len() as f32 * f32::MIN_POSITIVE * f32::EPSILON);
    sums.map(|sum| sum * share - least)
}

/// The negated largest product that a point of each box has with the query, or one minus it.
#[inline(always)]
fn products(query: &[f32], group: &[f32], slack: f32, cosine: bool) -> [f32; FAN] {
    let (mut sums, mut sizes) = ([0.0; FAN], [0.0; FAN]);
    let (ends, _) = group.as_chunks::<FAN>();
    let (ends, _) = ends.as_chunks::<2>();
    for (&q, [low, high]) in query.iter().zip(ends) {
        for i in 0..FAN {
            let (a, b) = (q * low[i], q * high[i]);
            sums[i] += larger(a, b);
            sizes[i] += larger(a.abs(), b.abs());
        }
    }
    let mut bounds = [0.0; FAN];
    for i in 0..FAN {
        let bound = if cosine { unit_distance(sums[i]) } else { -sums[i] };
        bounds[i] = bound - slack * (sizes[i] + 1.0);
    }
    bounds
}
