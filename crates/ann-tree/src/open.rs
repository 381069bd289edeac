//! Opening cells for one query: what is in them is compared, once, as far as the filter accepts it and the budget goes.

use crate::TreeSearch;
use crate::nearest::{Collect, Nearest};
use crate::places::{CellTree, Cells};
use ann_core::{DistanceOracle, Filter, Neighbor, ReadRow, Reorder, Route, SearchStats, Visited};
use std::ops::Range;

/// Rows that one call of an oracle compares, and a little more: enough under way for memory to be busy.
const BLOCK: usize = 128;
/// How many rows are kept by estimate for every one that is returned, and how many beyond.
const KEPT: usize = 3;
const KEPT_MORE: usize = 20;

/// What a search is to do.
pub(crate) struct Plan<'a, F> {
    pub(crate) filter: &'a F,
    /// The row at every place, and the place of every row.
    pub(crate) rows: &'a [u32],
    pub(crate) places: &'a [u32],
    /// Places below are in cells.
    pub(crate) cells: usize,
    pub(crate) k: usize,
    pub(crate) checks: usize,
}

/// Where cells go that a search opens.
pub trait Opening {
    /// Whether enough was compared.
    fn done(&mut self) -> bool;
    /// Compares the rows at a range of places, which no other cell has.
    fn range(&mut self, places: Range<u32>);
    /// Compares the rows at these places that were not met before.
    fn list(&mut self, places: &[u32]);
}

/// Memory to open cells with.
#[derive(Debug, Clone, Default)]
pub(crate) struct Opener {
    nearest: Nearest,
    met: Visited,
    ids: Vec<u32>,
    distances: Vec<f32>,
}

/// An opener at work for one query.
struct Open<'a, F, O> {
    plan: Plan<'a, F>,
    oracle: &'a O,
    memory: &'a mut Opener,
    overlaps: bool,
    stats: SearchStats,
}

impl Opener {
    /// The nearest rows that are found; `out` is empty.
    pub(crate) fn search<C: Cells, S: ReadRow + Reorder, F: Filter, O: DistanceOracle>(
        &mut self,
        tree: &CellTree<C, S>,
        oracle: &O,
        (k, params): (usize, &TreeSearch),
        filter: &F,
        (scratch, point): (&mut C::Scratch, &[f32]),
        out: &mut Vec<Neighbor>,
    ) -> SearchStats {
        let plan = tree.plan(k, params, filter);
        if k == 0 || plan.rows.is_empty() {
            return SearchStats::default();
        }
        let len = plan.rows.len() as u32;
        self.nearest.reset(if O::ESTIMATES { k.saturating_mul(KEPT).saturating_add(KEPT_MORE) } else { k });
        self.ids.clear();
        let few = !F::passes_all() && filter.known_count().is_some_and(|count| count <= plan.checks.max(k));
        let cells = plan.cells as u32;
        let mut open = Open { plan, oracle, memory: self, overlaps: false, stats: SearchStats::default() };
        if few {
            open.stats.route = Route::Scan;
            for row in filter.among(0..len) {
                open.memory.ids.push(open.plan.places[row as usize]);
                open.flush(BLOCK);
            }
        } else {
            open.range(cells..len);
            open.stats.hops = 0;
            tree.cells.open(&tree.params, &tree.euclid, point, scratch, &mut open);
        }
        open.flush(1);
        open.finish(out)
    }
}

impl<F: Filter, O: DistanceOracle> Open<'_, F, O> {
    /// Compares what has come together, if that is `least` rows.
    #[inline]
    fn flush(&mut self, least: usize) {
        let Opener { nearest, ids, distances, .. } = &mut *self.memory;
        if ids.len() < least {
            return;
        }
        distances.resize(ids.len(), 0.0);
        self.oracle.distances(ids, distances);
        self.stats.evaluations += ids.len() as u64;
        for (&place, &distance) in ids.iter().zip(&*distances) {
            if distance <= nearest.threshold() || distance.is_nan() {
                nearest.offer(distance, self.plan.rows[place as usize]);
            }
        }
        ids.clear();
    }

    fn finish(self, out: &mut Vec<Neighbor>) -> SearchStats {
        let Self { plan, oracle, memory: Opener { nearest, ids, distances, .. }, mut stats, .. } = self;
        nearest.drain_sorted(out);
        if O::ESTIMATES {
            ids.clear();
            ids.extend(out.iter().map(|neighbor| plan.places[neighbor.id as usize]));
            distances.resize(ids.len(), 0.0);
            oracle.exact(ids, distances);
            stats.refined = ids.len() as u64;
            out.iter_mut().zip(&*distances).for_each(|(neighbor, &distance)| neighbor.distance = distance);
            out.sort_unstable();
            out.truncate(plan.k);
            ids.clear();
        }
        stats
    }
}

impl<F: Filter, O: DistanceOracle> Opening for Open<'_, F, O> {
    #[inline]
    fn done(&mut self) -> bool {
        if self.stats.evaluations as usize + self.memory.ids.len() < self.plan.checks {
            return false;
        }
        self.flush(1);
        self.memory.nearest.is_full()
    }

    fn range(&mut self, places: Range<u32>) {
        self.stats.hops += 1;
        for place in places {
            if F::passes_all() || self.plan.filter.accepts(self.plan.rows[place as usize]) {
                self.memory.ids.push(place);
                self.flush(BLOCK);
            }
        }
        self.flush(BLOCK / 2);
    }

    fn list(&mut self, places: &[u32]) {
        if !self.overlaps {
            self.overlaps = true;
            self.memory.met.reset(self.plan.rows.len());
        }
        self.stats.hops += 1;
        for &place in places {
            let new = self.memory.met.insert(place);
            if new && (F::passes_all() || self.plan.filter.accepts(self.plan.rows[place as usize])) {
                self.memory.ids.push(place);
            }
        }
        self.flush(BLOCK);
    }
}
