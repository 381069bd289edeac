//! HNSW: a stack of graphs, each over fewer rows than the one below. Malkov & Yashunin, *Efficient and robust
//! approximate nearest neighbor search using hierarchical navigable small world graphs*, TPAMI 2018, arXiv:1603.09320.
//!
//! A search goes down the stack greedily and then walks layer 0 with a frontier of `ef` nodes. Where we differ from the
//! paper: rows are inserted in rounds that read a frozen graph (ParlayANN, PPoPP 2024), so that a build gives the same
//! bytes on any number of threads; one incoming link of every row on layer 0 is never pruned, so that every row can be
//! reached; ties occlude and copies do not hide others (see [`OcclusionRule`](crate::OcclusionRule)).
//!
//! Memory beyond the rows: `4 * m0 + 4` bytes per row and about `4 * (m + 2) / (m - 1)` for the upper layers.

mod build;
mod builder;
mod connect;
mod dual;
mod hierarchy;
mod lifted;
mod params;
mod parents;
#[cfg(feature = "persist")]
mod persist;
mod pipnn;
mod purge;

pub use builder::{BuildError, HnswBuilder};
pub use dual::{DualHnsw, DualParams};
pub use hierarchy::Hierarchy;
pub use params::{HnswParams, HnswSearch, ParamError};
pub use pipnn::{Pipnn, Quality};

use crate::find::{Accepted, find};
use crate::search::Walk;
use ann_core::{Filter, Index, MemoryUsage, Neighbor, SearchStats, VectorError, VectorStore};

/// An HNSW graph over the rows of a store.
///
/// ```
/// use ann_core::{FlatStore, Matrix, Metric, Searcher};
/// use ann_graph::{Hnsw, HnswSearch};
/// let rows = Matrix::from_rows(&[[0.0, 0.0], [1.0, 0.0], [0.0, 3.0]])?;
/// let hnsw = Hnsw::builder().m(8).build(FlatStore::<f32>::from_rows(rows.view(), Metric::L2)?)?;
/// let mut searcher = Searcher::new(&hnsw, HnswSearch::ef(10));
/// let nearest = searcher.search(&[0.9, 0.2], 2)?;
/// assert_eq!(nearest.iter().map(|n| n.id).collect::<Vec<_>>(), [1, 0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Hnsw<S> {
    hierarchy: Hierarchy,
    store: S,
}

impl<S: VectorStore> Hnsw<S> {
    /// Marries links to a store of the rows they were chosen for, or of stand-ins for these. `None` if their numbers differ.
    pub fn from_parts(hierarchy: Hierarchy, store: S) -> Option<Self> {
        (hierarchy.len() == store.len()).then_some(Self { hierarchy, store })
    }

    /// The links and the rows.
    pub fn into_parts(self) -> (Hierarchy, S) {
        (self.hierarchy, self.store)
    }

    /// The parameters it was built with.
    pub fn params(&self) -> &HnswParams {
        self.hierarchy.params()
    }

    /// The links.
    pub fn hierarchy(&self) -> &Hierarchy {
        &self.hierarchy
    }

    /// The rows.
    pub fn store(&self) -> &S {
        &self.store
    }
}

impl<S: VectorStore> Hnsw<S> {
    /// Replaces `out` by the `min(k, matches)` nearest rows of row `row`, itself among them. The search begins at that row, on layer 0.
    ///
    /// # Panics
    /// If `row` is no row.
    pub fn search_row<F: Filter>(
        &self,
        row: u32,
        k: usize,
        params: &HnswSearch,
        filter: &F,
        scratch: &mut HnswScratch<S>,
        out: &mut Vec<Neighbor>,
    ) -> SearchStats {
        let HnswScratch { walk, oracle, accepted } = scratch;
        walk.stats = SearchStats::default();
        let oracle = self.store.oracle_at(row, oracle);
        find(&self.hierarchy, &oracle, filter, &[row], (k, params), walk, accepted, out);
        walk.stats
    }
}

/// Memory of a search in an [`Hnsw`] index.
pub struct HnswScratch<S: VectorStore> {
    walk: Walk,
    oracle: S::Scratch,
    accepted: Accepted,
}

impl<S: VectorStore> Default for HnswScratch<S> {
    fn default() -> Self {
        Self { walk: Walk::default(), oracle: S::Scratch::default(), accepted: Accepted::default() }
    }
}

impl<S: VectorStore> Index for Hnsw<S> {
    type Vector = S::Vector;
    type Params = HnswSearch;
    type Scratch = HnswScratch<S>;

    fn len(&self) -> usize {
        self.hierarchy.len()
    }

    fn search_with<F: Filter>(
        &self,
        query: &S::Vector,
        k: usize,
        params: &HnswSearch,
        filter: &F,
        scratch: &mut HnswScratch<S>,
        out: &mut Vec<Neighbor>,
    ) -> Result<SearchStats, VectorError> {
        out.clear();
        self.store.check(query)?;
        let HnswScratch { walk, oracle, accepted } = scratch;
        walk.stats = SearchStats::default();
        let oracle = self.store.oracle(query, oracle);
        find(&self.hierarchy, &oracle, filter, &[], (k, params), walk, accepted, out);
        Ok(walk.stats)
    }

    fn memory_usage(&self) -> MemoryUsage {
        MemoryUsage { vectors: self.store.memory_usage(), structure: self.hierarchy.memory_usage() }
    }
}
