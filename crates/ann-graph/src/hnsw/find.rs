//! The search of a stack of graphs; with a filter, three routes to the accepted rows, and the choice between them.
//!
//! *A walk* through all rows that keeps the accepted ones costs as much more than without a filter as their share is smaller. *Two hops*
//! (Patel et al., *ACORN*, SIGMOD 2024, arXiv:2403.04871, its form without extra links, through rows that are not accepted only) computes no
//! distance to a row that is not accepted, but loses its way where hardly any pair of them is two links apart. *A scan* compares every accepted
//! row. The share is known to some filters and estimated for others by asking a few rows; the route that should cost the least is taken. What
//! the estimate cannot know, such as accepted rows that are all far from the query, shows on the way: a walk that has cost more than a scan
//! would gives way to one, and so does one in two hops that ends without `k` rows. So `min(k, matches)` rows are always returned.

use super::{Hierarchy, HnswSearch};
use crate::refine::ExactOracle;
use crate::search::{Effort, Walk};
use ann_core::{DistanceOracle, Filter, Limits, Neighbor, Route, TopK, split_mix};

/// Rows that are asked what share of all a filter accepts.
const SAMPLE: usize = 512;
/// Accepted rows that a walk in two hops starts from, beside the entry: the entry may lie where no row is accepted.
const SEEDS: usize = 16;
/// A scan reads rows in order and without links: so much less does a distance cost.
const SCANNED: f64 = 0.5;
/// Above this share the neighbours of a row hold enough accepted ones.
const MOST_FOR_TWO_HOPS: f64 = 0.4;
/// Accepted rows among those at two links, below which a walk over them comes apart.
const FEWEST_AT_TWO_HOPS: f64 = 10.0;
/// Rows compared by one call.
const BLOCK: usize = 256;

/// Memory of searches with a filter.
#[derive(Debug, Default)]
pub(super) struct Accepted {
    /// Accepted rows of the sample; then those of a block.
    rows: Vec<u32>,
    distances: Vec<f32>,
    nearest: TopK,
}

impl Accepted {
    /// What share of `len` rows `filter` seems to accept, above 0. Which rows are asked depends on `len` alone: the same search takes the same route every time.
    fn share(&mut self, len: usize, filter: &impl Filter) -> f64 {
        let asked = SAMPLE.min(len);
        let drawn = (0..asked).map(|i| (split_mix(0, i as u64) % len as u64) as u32);
        self.rows.clear();
        self.rows.extend(drawn.filter(|&row| filter.accepts(row)));
        match filter.known_count() {
            Some(count) => count.clamp(1, len) as f64 / len as f64,
            // As if one more had been accepted: a filter may well accept a few rows of which none was drawn.
            None => (self.rows.len() + 1) as f64 / (asked + 1) as f64,
        }
    }

    /// Replaces `out` by the `k` nearest of all accepted rows.
    fn scan(
        &mut self,
        oracle: &impl DistanceOracle,
        filter: &impl Filter,
        (len, k, limits): (usize, usize, Limits),
        walk: &mut Walk,
        out: &mut Vec<Neighbor>,
    ) {
        let Self { rows, distances, nearest } = self;
        let mut accepted = filter.among(0..len as u32);
        nearest.reset(k);
        loop {
            rows.clear();
            rows.extend(accepted.by_ref().take(BLOCK));
            if rows.is_empty() {
                break;
            }
            if limits.reached(&walk.stats) {
                walk.stats.cut_short = true;
                break;
            }
            distances.resize(rows.len(), 0.0);
            oracle.exact(rows, distances);
            walk.stats.evaluations += rows.len() as u64;
            rows.iter().zip(&*distances).for_each(|(&row, &distance)| nearest.push(Neighbor::new(row, distance)));
        }
        out.clear();
        nearest.drain_sorted(out);
        walk.stats.route = Route::Scan;
    }
}

impl Hierarchy {
    /// Replaces `out` by the `k` nearest accepted rows. The walk begins at the row `start`, or at the entry.
    #[allow(clippy::too_many_arguments)] // what a search consists of
    pub(super) fn find<F: Filter>(
        &self,
        oracle: &impl DistanceOracle,
        filter: &F,
        start: Option<u32>,
        (k, params): (usize, &HnswSearch),
        walk: &mut Walk,
        accepted: &mut Accepted,
        out: &mut Vec<Neighbor>,
    ) {
        out.clear();
        if k == 0 || self.is_empty() {
            return;
        }
        let effort = params.effort(k, self.len());
        if F::passes_all() {
            return self.walk_through(oracle, filter, start, (k, effort), walk, out);
        }
        let (len, limits) = (self.len(), effort.limits);
        let share = accepted.share(len, filter);
        let costs = Costs::of(share, len, self.base.max_degree(), effort.ef);
        match params.route.unwrap_or_else(|| costs.cheapest()) {
            Route::TwoHops => {
                walk.stats.route = Route::TwoHops;
                accepted.rows.truncate(SEEDS);
                let start = start.unwrap_or_else(|| self.descend(oracle, 0, walk));
                accepted.rows.push(start);
                walk.reset(self.view(), Effort { two_hops: true, ..effort });
                walk.go_on(self.view(), oracle, filter, &accepted.rows);
                // Estimates that lie too close together are told apart by a scan: it costs less than to start again.
                let told = walk.take_nearest(oracle, k, out);
                if (!told || out.len() < k) && !walk.stats.cut_short {
                    accepted.scan(oracle, filter, (len, k, limits), walk, out);
                }
            }
            Route::Scan => accepted.scan(oracle, filter, (len, k, limits), walk, out),
            // Enums of other crates may grow.
            _ => {
                let patience = if params.route.is_some() { None } else { Some(costs.patience()) };
                let within = Limits { evaluations: limits.evaluations.into_iter().chain(patience).min(), ..limits };
                self.walk_through(oracle, filter, start, (k, Effort { limits: within, ..effort }), walk, out);
                if walk.stats.cut_short && !limits.reached(&walk.stats) {
                    walk.stats.cut_short = false;
                    accepted.scan(oracle, filter, (len, k, limits), walk, out);
                }
            }
        }
    }

    /// Replaces `out` by the nearest rows that a walk through all rows finds.
    fn walk_through<F: Filter>(
        &self,
        oracle: &impl DistanceOracle,
        filter: &F,
        start: Option<u32>,
        (k, effort): (usize, Effort),
        walk: &mut Walk,
        out: &mut Vec<Neighbor>,
    ) {
        let node = start.unwrap_or_else(|| self.descend(oracle, 0, walk));
        self.walk_base(oracle, filter, node, effort, walk);
        if !walk.take_nearest(oracle, k, out) {
            // Estimates could not tell the rows apart.
            let oracle = ExactOracle(oracle);
            let node = start.unwrap_or_else(|| self.descend(&oracle, 0, walk));
            self.walk_base(&oracle, filter, node, effort, walk);
            walk.take_nearest(&oracle, k, out);
        }
    }
}

/// What the routes should cost, in distances.
struct Costs {
    walk: f64,
    two_hops: f64,
    scan: f64,
}

impl Costs {
    /// For a graph over `len` rows of up to `max_degree` links of which `share` are accepted.
    fn of(share: f64, len: usize, max_degree: usize, ef: usize) -> Self {
        // Without a filter: a line through what HNSW graphs with 32 links need on easy and on hard sets of 50,000 to 300,000 rows.
        let unfiltered = 200.0 + 12.0 * ef as f64;
        let scan = SCANNED * share * len as f64;
        // Lists are filled by some six tenths.
        let at_two_hops = share * (0.6 * max_degree as f64).powi(2);
        let holds = share < MOST_FOR_TWO_HOPS && at_two_hops >= FEWEST_AT_TWO_HOPS;
        let two_hops = if holds { 1.5 * unfiltered } else { f64::INFINITY };
        Self { walk: unfiltered / share, two_hops, scan }
    }

    fn cheapest(&self) -> Route {
        if self.scan <= self.walk.min(self.two_hops) {
            Route::Scan
        } else if self.two_hops < self.walk {
            Route::TwoHops
        } else {
            Route::Walk
        }
    }

    /// Distances after which a walk is on a wrong track: it has cost what a scan would, or far more than it should.
    fn patience(&self) -> u64 {
        (self.scan / SCANNED).max(4.0 * self.walk) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_follow_the_share() {
        let route = |share, len| Costs::of(share, len, 32, 64).cheapest();
        assert_eq!(route(1.0, 100_000), Route::Walk);
        assert_eq!(route(0.5, 100_000), Route::Walk);
        assert_eq!(route(0.1, 100_000), Route::TwoHops);
        assert_eq!(route(0.01, 100_000), Route::Scan);
        // Two links do not lead from one of these to another.
        assert_eq!(route(0.01, 100_000_000), Route::Walk);
        assert_eq!(route(0.1, 1_000), Route::Scan);
    }
}
