//! The search of a graph in memory; with a filter, three routes to the accepted rows, and the choice between them.
//!
//! *A walk* through all rows that keeps the accepted ones costs as much more than without a filter as their share is smaller where the query is. *Two
//! hops* (Patel et al., *ACORN*, SIGMOD 2024, arXiv:2403.04871, its form without extra links, through rows that are not accepted only) computes no
//! distance to a row that is not accepted, but loses its way where hardly any is two links away from another. *A scan* compares every accepted
//! row. The share of all rows is known to some filters and estimated for others by asking a few rows; that near the query is what the rows
//! within two links of the entry tell. Where it is much larger, the filter goes with the query, and a walk finds what it looks for on its usual way. Where it
//! is much smaller, the filter goes against the query or the entry lies astray: a short walk tells, if a scan is dear. The route that should
//! cost the least is taken. Should it go wrong nevertheless, a walk that has cost far more than it should gives way to a scan, and so does one in two hops
//! that ends without `k` rows: `min(k, matches)` rows are always returned. The example `measure_filters` sets the routes beside each other.

use crate::HnswSearch;
use crate::adjacency::NONE;
use crate::refine::ExactOracle;
use crate::search::{Effort, GraphView, Walk};
use crate::share::sampled_share;
use ann_core::{DistanceOracle, Filter, Limits, Neighbor, Route, TopK};

/// Accepted rows that a walk in two hops starts from, beside the entry: the entry may lie where no row is accepted.
const SEEDS: usize = 16;
/// Comparing a row of a scan, beside a distance of a walk, which has links to follow: .5 to 1 where few of the rows are accepted.
const SCANNED: f64 = 0.75;
/// Asking a filter about a row that knows its rows no better, beside a distance.
const ASKED: f64 = 0.05;
/// Scans that cost less than finding out what else there is.
const LITTLE: f64 = 300.0;
/// Above this share the neighbours of a row hold enough accepted ones.
const MOST_FOR_TWO_HOPS: f64 = 0.4;
/// Accepted rows among those at two links, below which a walk over them comes apart: with 10 of 1,000 it takes an `ef` of 250 to 500 to find .95.
const FEWEST_AT_TWO_HOPS: f64 = 30.0;
/// Where so much larger a share is accepted near the query than of all rows, the filter goes with the query.
const WITH: f64 = 3.0;
/// Where so much smaller a share is accepted near the query than of all rows, what is accepted lies far away, and the nearest of it all over the
/// place: walks find a part of it at any effort.
const AGAINST: f64 = 0.25;
/// Scans that cost so many times what a walk does without a filter wait for a walk that takes not much longer than that.
const DEAR: f64 = 16.0;
/// Candidates for each result that a walk which ends by its reach is taken to need: its `ef` is what it may have at the most.
const EF_PER_RESULT: usize = 8;
/// Rows compared by one call.
const BLOCK: usize = 256;

/// Where a search goes: a graph whose nodes are rows.
pub(crate) trait Ground {
    fn view(&self) -> GraphView<'_>;

    /// The row where a search begins that was not told where.
    fn entry(&self, oracle: &impl DistanceOracle, walk: &mut Walk) -> u32;

    /// Walks from `starts`, and from elsewhere if these do not lead to as many rows as are wanted.
    fn walk_from<F: Filter>(
        &self,
        oracle: &impl DistanceOracle,
        filter: &F,
        starts: &[u32],
        effort: Effort,
        walk: &mut Walk,
    );
}

/// Memory of searches with a filter.
#[derive(Debug, Default)]
pub(crate) struct Accepted {
    /// Accepted rows of a sample, or of a block.
    rows: Vec<u32>,
    distances: Vec<f32>,
    nearest: TopK,
}

impl Accepted {
    /// What share of `len` rows `filter` accepts, or seems to, above 0.
    fn share(&mut self, len: usize, filter: &impl Filter) -> f64 {
        let known = filter.known_count().map(|count| count.clamp(1, len) as f64 / len as f64);
        known.unwrap_or_else(|| sampled_share(len, filter, &mut self.rows))
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
        // The first block is measured whole, and tells what the others must be nearer than.
        let mut block = k.clamp(BLOCK / 16, BLOCK);
        loop {
            rows.clear();
            rows.extend(accepted.by_ref().take(block));
            block = BLOCK;
            if rows.is_empty() {
                break;
            }
            if limits.reached(&walk.stats) {
                walk.stats.cut_short = true;
                break;
            }
            distances.resize(rows.len(), 0.0);
            oracle.exact_within(nearest.threshold(), rows, distances);
            walk.stats.evaluations += rows.len() as u64;
            rows.iter().zip(&*distances).for_each(|(&row, &distance)| nearest.push(Neighbor::new(row, distance)));
        }
        out.clear();
        nearest.drain_sorted(out);
        walk.stats.route = Route::Scan;
    }
}

/// Replaces `out` by the `k` nearest accepted rows. The walk begins at the rows `starts`, or at the entry if there are none.
#[allow(clippy::too_many_arguments)] // what a search consists of
pub(crate) fn find<G: Ground, F: Filter>(
    graph: &G,
    oracle: &impl DistanceOracle,
    filter: &F,
    starts: &[u32],
    (k, params): (usize, &HnswSearch),
    walk: &mut Walk,
    accepted: &mut Accepted,
    out: &mut Vec<Neighbor>,
) {
    out.clear();
    let view = graph.view();
    let len = view.links.len();
    if k == 0 || len == 0 {
        return;
    }
    let effort = params.effort(k, len);
    if F::passes_all() {
        return walk_through(graph, oracle, filter, starts, (k, effort), walk, out);
    }
    let limits = effort.limits;
    let known = filter.known_count().is_some();
    let mut costs = Costs::of_scan(accepted.share(len, filter), len, known);
    if params.route == Some(Route::Scan) || params.route.is_none() && costs.scan <= LITTLE {
        return accepted.scan(oracle, filter, (len, k, limits), walk, out);
    }
    let entry;
    let starts = if starts.is_empty() {
        entry = [graph.entry(oracle, walk)];
        &entry
    } else {
        starts
    };
    let width = effort.reach.map_or(effort.ef, |(k, _)| effort.ef.min(k.saturating_mul(EF_PER_RESULT)));
    costs.add_walks(accepted_near(view, starts[0], filter), width);
    match params.route.unwrap_or_else(|| costs.cheapest()) {
        Route::TwoHops => {
            walk.stats.route = Route::TwoHops;
            if known {
                // Others were sampled for their share.
                sampled_share(len, filter, &mut accepted.rows);
            }
            accepted.rows.truncate(SEEDS);
            accepted.rows.extend_from_slice(starts);
            walk.reset(view, Effort { two_hops: true, ..effort });
            walk.go_on(view, oracle, filter, &accepted.rows);
            // Estimates that lie too close together are told apart by a scan: it costs less than to start again.
            let told = walk.take_nearest(oracle, k, out);
            if (!told || out.len() < k) && !walk.stats.cut_short {
                accepted.scan(oracle, filter, (len, k, limits), walk, out);
            }
        }
        Route::Scan => accepted.scan(oracle, filter, (len, k, limits), walk, out),
        // Enums of other crates may grow.
        _ => {
            let patience = params.route.is_none().then_some(costs.patience as u64);
            let within = Limits { evaluations: limits.evaluations.into_iter().chain(patience).min(), ..limits };
            walk_through(graph, oracle, filter, starts, (k, Effort { limits: within, ..effort }), walk, out);
            if walk.stats.cut_short && !limits.reached(&walk.stats) {
                walk.stats.cut_short = false;
                accepted.scan(oracle, filter, (len, k, limits), walk, out);
            }
        }
    }
}

/// Of the rows that two links lead to from `row`, how many `filter` accepts, and how many they are; copies count.
fn accepted_near(view: GraphView<'_>, row: u32, filter: &impl Filter) -> (usize, usize) {
    let near = |row: u32| view.links.row(row as usize).iter().copied().take_while(|&to| to != NONE);
    let all = near(row).chain(near(row).flat_map(near));
    all.fold((0, 0), |(accepted, all), row| (accepted + usize::from(filter.accepts(row)), all + 1))
}

/// Replaces `out` by the nearest rows that a walk through all rows finds.
fn walk_through<G: Ground, F: Filter>(
    graph: &G,
    oracle: &impl DistanceOracle,
    filter: &F,
    starts: &[u32],
    (k, effort): (usize, Effort),
    walk: &mut Walk,
    out: &mut Vec<Neighbor>,
) {
    walk_from(graph, oracle, filter, starts, effort, walk);
    // What was found until a limit was reached is more than a walk without anything left would find.
    if !walk.take_nearest(oracle, k, out) && !walk.stats.cut_short {
        // Estimates could not tell the rows apart.
        let oracle = ExactOracle(oracle);
        walk_from(graph, &oracle, filter, starts, effort, walk);
        if !walk.stats.cut_short {
            walk.take_nearest(&oracle, k, out);
        }
    }
}

/// Walks from `starts`, or from the entry if there are none.
fn walk_from<G: Ground, F: Filter>(
    graph: &G,
    oracle: &impl DistanceOracle,
    filter: &F,
    starts: &[u32],
    effort: Effort,
    walk: &mut Walk,
) {
    if starts.is_empty() {
        let entry = graph.entry(oracle, walk);
        return graph.walk_from(oracle, filter, &[entry], effort, walk);
    }
    graph.walk_from(oracle, filter, starts, effort, walk);
}

/// What the routes should cost, in distances.
#[derive(Debug)]
struct Costs {
    /// Of all rows, those that are accepted.
    share: f64,
    scan: f64,
    two_hops: f64,
    walk: f64,
    /// After which a walk is on a wrong track.
    patience: f64,
}

impl Costs {
    /// Where `share` of `len` rows are accepted, which the filter lists if it is `known`.
    fn of_scan(share: f64, len: usize, known: bool) -> Self {
        let asked = if known { 0.0 } else { ASKED * len as f64 };
        let scan = SCANNED * share * len as f64 + asked;
        Self { share, scan, two_hops: f64::INFINITY, walk: f64::INFINITY, patience: f64::INFINITY }
    }

    /// Where some of the rows near the query are accepted.
    fn add_walks(&mut self, (accepted, near): (usize, usize), ef: usize) {
        // Without a filter: a line through what HNSW graphs with 32 links need on easy and on hard sets of 50,000 to 300,000 rows.
        let unfiltered = 200.0 + 12.0 * ef as f64;
        let share = accepted as f64 / near.max(1) as f64;
        if share > WITH * self.share {
            (self.walk, self.patience) = (unfiltered, 4.0 * unfiltered);
        } else if share >= AGAINST * self.share {
            (self.walk, self.patience) = (unfiltered / share, 4.0 * unfiltered / share);
            if share < MOST_FOR_TWO_HOPS && accepted as f64 >= FEWEST_AT_TWO_HOPS {
                self.two_hops = 1.5 * unfiltered;
            }
        } else if self.scan > DEAR * unfiltered {
            (self.walk, self.patience) = (unfiltered, 2.0 * unfiltered);
        }
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_follow_the_shares() {
        let route = |share, near: usize, len| {
            let mut costs = Costs::of_scan(share, len, true);
            costs.add_walks((near, 400), 64);
            costs.cheapest()
        };
        assert_eq!(route(1.0, 400, 100_000), Route::Walk);
        assert_eq!(route(0.5, 200, 100_000), Route::Walk);
        assert_eq!(route(0.1, 40, 100_000), Route::TwoHops);
        assert_eq!(route(0.01, 4, 100_000), Route::Scan);
        // Two links do not lead from one of these to another.
        assert_eq!(route(0.01, 4, 100_000_000), Route::Walk);
        assert_eq!(route(0.1, 40, 1_000), Route::Scan);
        // With the query, and against it.
        assert_eq!(route(0.1, 400, 100_000), Route::Walk);
        assert_eq!(route(0.02, 60, 100_000), Route::Walk);
        assert_eq!(route(0.5, 0, 10_000), Route::Scan);
        assert_eq!(route(0.5, 40, 10_000), Route::Scan);
        // A walk that does not last is tried before a scan of so many rows.
        assert_eq!(route(0.5, 0, 100_000), Route::Walk);
    }
}
