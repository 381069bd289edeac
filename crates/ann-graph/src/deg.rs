//! DEG: one undirected graph in which every row has the same, even number of edges, whatever is inserted and removed. Hezel et al.,
//! *Fast approximate nearest neighbor search with a dynamic exploration graph using continuous refinement*, arXiv:2307.10479; *An
//! exploration graph with continuous refinement for efficient multimedia retrieval*, ICMR 2024; *Dynamic exploration graph*, MMM
//! 2025 (removal, data that shift).
//!
//! A new row breaks edges of its nearest rows open and takes their ends; the neighbours of a removed row are joined among themselves.
//! Either keeps the graph regular and connected, so that nothing is marked as removed and nothing is ever rebuilt, and a walk
//! may start at any row: [`Deg::explore`] starts at the one that is asked about. Where we differ: rows are inserted in
//! rounds that read a frozen graph (as in [`Hnsw`](crate::Hnsw)), their edges swapped one row after another, so that a
//! build gives the same bytes on any number of threads.
//!
//! Memory beyond the rows: `8 * degree` bytes per row. Time of an insertion: a search and, for [`DegTarget::LowLid`], `degree² / 2`
//! distances; of a removal: `degree²` distances.

mod builder;
mod edges;
mod improve;
mod insert;
mod params;
#[cfg(feature = "persist")]
mod persist;
mod remove;
mod restore;

pub use builder::DegBuilder;
pub use params::{DegImprove, DegParams, DegTarget};
pub use remove::NoSuchRow;

use crate::HnswSearch;
use crate::find::{Accepted, Ground, find};
use crate::search::{Effort, GraphView, Walk};
use ann_core::{
    All, DistanceOracle, Filter, Index, Limits, MemoryUsage, Neighbor, SearchStats, VectorError, VectorStore,
};
use edges::Edges;

/// The row where walks begin. Any would do.
const ENTRY: u32 = 0;

/// A dynamic exploration graph over the rows of a store.
///
/// ```
/// use ann_core::{FlatStore, Matrix, Metric, Searcher};
/// use ann_graph::{Deg, HnswSearch};
/// let rows = Matrix::from_rows(&[[0.0, 0.0], [1.0, 0.0], [0.0, 3.0]])?;
/// let mut deg = Deg::builder().degree(4).build(FlatStore::<f32>::from_rows(rows.view(), Metric::L2)?)?;
/// let mut searcher = Searcher::new(&deg, HnswSearch::ef(10));
/// assert_eq!(searcher.search(&[0.9, 0.2], 2)?.iter().map(|n| n.id).collect::<Vec<_>>(), [1, 0]);
/// // Row 2, the last, takes the number of the one that goes.
/// assert_eq!(deg.remove(0)?, Some(2));
/// assert_eq!(Searcher::new(&deg, HnswSearch::default()).search(&[0.0, 2.0], 1)?[0].id, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Deg<S> {
    params: DegParams,
    edges: Edges,
    /// Tries to improve the graph so far, which decide the row of the next.
    tries: u64,
    store: S,
}

impl<S: VectorStore> Deg<S> {
    /// The `k` rows nearest to row `row`, itself not among them, as far as `budget` distances show, from a walk that starts there:
    /// one step of browsing through the rows. Replaces `out`; nearest first.
    ///
    /// # Errors
    /// [`NoSuchRow`]; `out` is then empty.
    ///
    /// ```
    /// use ann_core::{FlatStore, Matrix, Metric};
    /// use ann_graph::{Deg, DegScratch};
    /// let rows = Matrix::new((0..100).map(|x| x as f32).collect(), 1)?;
    /// let deg = Deg::builder().degree(4).build(FlatStore::<f32>::from_rows(rows.view(), Metric::L2)?)?;
    /// let mut found = Vec::new();
    /// let stats = deg.explore(40, 2, 50, &mut DegScratch::default(), &mut found)?;
    /// assert_eq!(found.iter().map(|n| n.id).collect::<Vec<_>>(), [39, 41]);
    /// assert!(stats.evaluations <= 50);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn explore(
        &self,
        row: u32,
        k: usize,
        budget: u64,
        scratch: &mut DegScratch<S>,
        out: &mut Vec<Neighbor>,
    ) -> Result<SearchStats, NoSuchRow> {
        out.clear();
        NoSuchRow::check(row, self.len())?;
        let limits = Limits { evaluations: Some(budget), deadline: None };
        let k_and_itself = k.saturating_add(1);
        let params = HnswSearch { limits, ..HnswSearch::ef(k_and_itself) };
        let stats = self.search_row(row, k_and_itself, &params, &All, scratch, out);
        out.retain(|neighbor| neighbor.id != row);
        // Among copies the row itself may not be found.
        out.truncate(k);
        Ok(stats)
    }

    /// Replaces `out` by the `min(k, matches)` nearest rows of row `row`, itself among them. The search begins at that row.
    ///
    /// # Panics
    /// If `row` is no row.
    pub fn search_row<F: Filter>(
        &self,
        row: u32,
        k: usize,
        params: &HnswSearch,
        filter: &F,
        scratch: &mut DegScratch<S>,
        out: &mut Vec<Neighbor>,
    ) -> SearchStats {
        let DegScratch { walk, oracle, accepted } = scratch;
        walk.stats = SearchStats::default();
        let oracle = self.store.oracle_at(row, oracle);
        find(self, &oracle, filter, &[row], (k, params), walk, accepted, out);
        walk.stats
    }

    /// The same graph over another store of the same rows, such as wider ones. `None` if their numbers differ.
    pub fn with_store<T: VectorStore>(&self, store: T) -> Option<Deg<T>> {
        let Self { params, edges, tries, .. } = self;
        (store.len() == self.len()).then(|| Deg { params: *params, edges: edges.clone(), tries: *tries, store })
    }

    /// The neighbours of `row` in ascending order of ids, with the distances to them.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn neighbors(&self, row: u32) -> impl Iterator<Item = Neighbor> + '_ {
        self.edges.edges(row).map(|(id, distance)| Neighbor::new(id, distance))
    }

    /// Mean length of an edge, by which the authors measure a graph (and which [`Self::improve`] lowers); 0 without edges.
    pub fn mean_edge_weight(&self) -> f64 {
        let weights = || (0..self.len() as u32).flat_map(|row| self.edges.weights(row));
        weights().map(|&weight| f64::from(weight)).sum::<f64>() / weights().count().max(1) as f64
    }

    /// The share of edges that are the longest of a triangle of edges, and so not of a relative neighbourhood graph: many
    /// for [`DegTarget::LowLid`], few for [`DegTarget::HighLid`]. 0 without edges.
    pub fn share_of_detours(&self) -> f64 {
        let count = |row: u32| {
            let detour = |&(to, weight): &(u32, f32)| !self.edges.conforms(to, weight, self.edges.edges(row));
            self.edges.edges(row).filter(detour).count()
        };
        let rows = 0..self.len() as u32;
        let all = rows.clone().map(|row| self.edges.neighbors(row).len()).sum::<usize>().max(1);
        rows.map(count).sum::<usize>() as f64 / all as f64
    }

    /// Whether the graph is what it should be: `degree` edges at every row (one to every other row where these are fewer),
    /// listed at both ends in ascending order at the distance of the rows, and a path between any two rows. For tests: takes all
    /// distances of edges.
    ///
    /// # Errors
    /// What is wrong, if anything.
    pub fn check(&self) -> Result<(), String> {
        if self.edges.len() != self.store.len() {
            return Err(format!("{} nodes for {} rows", self.edges.len(), self.store.len()));
        }
        self.edges.check()?;
        let (mut scratch, mut distances) = (S::Scratch::default(), Vec::new());
        // Where the distance of two rows depends on which of them asks, either will do.
        let mut asymmetric = Vec::new();
        // Walks know zero of one sign only, and of what is no number a single one.
        let same = |weight: f32, distance: f32| weight == distance || weight.is_nan() && distance.is_nan();
        for row in 0..self.len() as u32 {
            let ids = self.edges.neighbors(row);
            distances.resize(ids.len(), 0.0);
            self.store.oracle_at(row, &mut scratch).distances(ids, &mut distances);
            for ((id, weight), &distance) in self.edges.edges(row).zip(&distances) {
                if !same(weight, distance) {
                    asymmetric.push((row, id, weight));
                }
            }
        }
        for (row, id, weight) in asymmetric {
            if !same(weight, self.store.oracle_at(id, &mut scratch).distance(row)) {
                return Err(format!(
                    "the edge of rows {row} and {id} has the length {weight}, which is no distance of theirs"
                ));
            }
        }
        Ok(())
    }

    /// The parameters it was built with.
    pub fn params(&self) -> &DegParams {
        &self.params
    }

    /// The links without their lengths.
    pub fn graph(&self) -> &crate::FlatGraph {
        self.edges.graph()
    }

    /// The rows.
    pub fn store(&self) -> &S {
        &self.store
    }
}

impl<S> Ground for Deg<S> {
    fn view(&self) -> GraphView<'_> {
        GraphView { links: self.edges.graph().rows(), rows: None }
    }

    fn entry(&self, _: &impl DistanceOracle, _: &mut Walk) -> u32 {
        ENTRY
    }

    /// Every row leads to all others: there is nowhere else to walk from.
    fn walk_from<F: Filter>(
        &self,
        oracle: &impl DistanceOracle,
        filter: &F,
        starts: &[u32],
        effort: Effort,
        walk: &mut Walk,
    ) {
        walk.reset(self.view(), effort);
        walk.go_on(self.view(), oracle, filter, starts);
    }
}

/// Memory of a search in a [`Deg`] index.
pub struct DegScratch<S: VectorStore> {
    walk: Walk,
    oracle: S::Scratch,
    accepted: Accepted,
}

impl<S: VectorStore> Default for DegScratch<S> {
    fn default() -> Self {
        Self { walk: Walk::default(), oracle: S::Scratch::default(), accepted: Accepted::default() }
    }
}

impl<S: VectorStore> Index for Deg<S> {
    type Vector = S::Vector;
    type Params = HnswSearch;
    type Scratch = DegScratch<S>;

    fn len(&self) -> usize {
        self.edges.len()
    }

    fn search_with<F: Filter>(
        &self,
        query: &S::Vector,
        k: usize,
        params: &HnswSearch,
        filter: &F,
        scratch: &mut DegScratch<S>,
        out: &mut Vec<Neighbor>,
    ) -> Result<SearchStats, VectorError> {
        out.clear();
        self.store.check(query)?;
        let DegScratch { walk, oracle, accepted } = scratch;
        walk.stats = SearchStats::default();
        let oracle = self.store.oracle(query, oracle);
        find(self, &oracle, filter, &[], (k, params), walk, accepted, out);
        Ok(walk.stats)
    }

    fn memory_usage(&self) -> MemoryUsage {
        MemoryUsage { vectors: self.store.memory_usage(), structure: self.edges.memory_usage() }
    }
}
