//! Balls: how far a query is from each of sixteen at least, and the ring of a leaf that it may be near to.

use super::BallTree;
use crate::nearest::Collect;
use crate::shape::{FAN, Shape};
use crate::walk::{Branches, Found};
use ann_core::{DistanceOracle, Filter};

/// The branches of a tree as seen from a query.
pub(super) struct BallBranches<'a, S, O> {
    tree: &'a BallTree<S>,
    oracle: &'a O,
    /// The group of leaves whose bounds were asked for last, and how far their centers are.
    group: usize,
    near: [f32; FAN],
    /// Distances to centers that were computed.
    pub(super) centers: u64,
}

impl<'a, S, O: DistanceOracle> BallBranches<'a, S, O> {
    pub(super) fn new(tree: &'a BallTree<S>, oracle: &'a O) -> Self {
        Self { tree, oracle, group: usize::MAX, near: [0.0; FAN], centers: 0 }
    }
}

impl<S, O: DistanceOracle> Branches for BallBranches<'_, S, O> {
    fn bounds(&mut self, shape: &Shape, level: usize, group: usize, out: &mut [f32; FAN]) {
        let BallTree { gauge, centers, radii, .. } = self.tree;
        let start = shape.group(level, group) * FAN;
        let there = (shape.branches(level) - group * FAN).min(FAN);
        let mut distances = [0.0; FAN];
        self.oracle.distances(&centers[start..][..there], &mut distances[..there]);
        for ((bound, &distance), &radius) in out.iter_mut().zip(&distances[..there]).zip(&radii[start..]) {
            *bound = gauge.stored(gauge.at_least(distance) - f64::from(radius));
        }
        if level == 0 {
            (self.group, self.near) = (group, distances);
        }
        self.centers += there as u64;
    }

    fn open<F: Filter, C: Collect>(&mut self, shape: &Shape, leaf: usize, found: &mut Found<'_, F, C>) {
        let BallTree { gauge, reaches, order, .. } = self.tree;
        let places = shape.leaf(leaf);
        if leaf / FAN != self.group {
            found.compare(self.oracle, order.rows(), places);
            return;
        }
        // The first row is the center.
        let (center, distance) = (order.rows()[places.start], self.near[leaf % FAN]);
        if (F::passes_all() || found.filter.accepts(center)) && distance <= found.to.threshold() {
            found.to.offer(distance, center);
        }
        let (others, limit) = (&reaches[places.start + 1..places.end], gauge.at_most(found.to.threshold()));
        // Rows that are nearer to the center than the first of these, or farther than the second, are farther from the query than the limit. Reaches ascend; so few are
        // counted faster than searched.
        let least = gauge.stored(gauge.at_least(distance) - limit);
        let most = gauge.stored_at_most(gauge.at_most(distance) + limit);
        let start = places.start + 1;
        let from = match others {
            [first, ..] if *first < least => others.iter().filter(|&&reach| reach < least).count(),
            _ => 0,
        };
        let to = match others {
            [.., last] if *last > most => others.iter().filter(|&&reach| reach <= most).count(),
            _ => others.len(),
        };
        found.compare(self.oracle, order.rows(), start + from.min(to)..start + to);
    }
}
