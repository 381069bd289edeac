//! Ball tree: rows in cells with a ball around each, for any distance that keeps the triangle inequality. Exact, or best bin first.
//!
//! Omohundro, *Five balltree construction algorithms*, ICSI TR-89-063, 1989. A cell is cut in two halves: by how much nearer a row is to one of two rows that are far from each other
//! than to the other. *Where we differ*: the center of a ball is one of its rows, the best for a leaf and a good one above, so that a distance is all that is ever asked for; four levels of cells
//! are one node with sixteen balls (see `shape.rs`); and the rows of a leaf are in the order of their distance from its center, which is kept, so that only
//! those of a ring around it are compared (as in the M-tree: Ciaccia, Patella and Zezula, VLDB 1997). Bounds leave room for rounding ([`Gauge`]).
//!
//! Cost: a build takes some `3 log2(n / 32) + 40` distances per row; memory beyond the rows: 12 bytes per row and a half.

mod branches;
mod build;
#[cfg(feature = "persist")]
mod persist;

use crate::nearest::{Collect, Nearest, Within};
use crate::order::LeafOrder;
use crate::pending::Pending;
use crate::shape::Shape;
use crate::walk::{Found, search_best_first, search_exactly};
use crate::{BuildError, TreeSearch};
use ann_core::simd::Buffer;
use ann_core::{
    DistanceOracle, Filter, Gauge, Index, MemoryUsage, Monitor, Neighbor, Par, PushVector, Reorder, RowSet,
    SearchStats, VectorError, VectorStore,
};
use branches::BallBranches;

/// A ball tree over the rows of a store, which it puts in the order of its leaves.
///
/// ```
/// use ann_core::distance::Levenshtein;
/// use ann_core::{Monitor, Par, Searcher, SpaceStore};
/// use ann_tree::{BallTree, TreeSearch};
/// let words = ["graph", "grape", "giraffe"].map(String::from);
/// let store = SpaceStore::<str, _>::from_rows(words, Levenshtein)?;
/// let tree = BallTree::build(store, Par::Serial, Monitor::new())?;
/// let mut searcher = Searcher::new(&tree, TreeSearch::default());
/// assert_eq!(searcher.search("grate", 1)?[0].id, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct BallTree<S> {
    gauge: Gauge,
    shape: Shape,
    order: LeafOrder,
    /// For every group the places of the centers of its sixteen balls, and their radii.
    centers: Buffer<u32>,
    radii: Buffer<f32>,
    /// How far every row is from the center of its leaf, as stores give it; in a leaf they ascend.
    reaches: Buffer<f32>,
    store: S,
}

impl<S: VectorStore + Reorder> BallTree<S> {
    /// Builds a tree over all rows of `store`; the same on any threads.
    ///
    /// # Errors
    /// [`BuildError::NoMetric`] if the distances of the store keep no triangle inequality, such as inner products, and closures that do not say so with
    /// [`TrueMetric`](ann_core::distance::TrueMetric); or the build was cancelled.
    ///
    /// ```
    /// use ann_core::distance::{SquaredL2, TrueMetric};
    /// use ann_core::{Monitor, Par, SpaceStore};
    /// use ann_tree::BallTree;
    /// let squared = SpaceStore::<[f32], _>::from_rows([vec![0.0], vec![2.0]], SquaredL2)?;
    /// assert!(BallTree::build(squared, Par::Serial, Monitor::new()).is_err());
    /// let hours = TrueMetric(|a: &u8, b: &u8| f32::from(a.abs_diff(*b).min(24 - a.abs_diff(*b))));
    /// let clock = SpaceStore::<u8, _>::from_rows([1, 12, 23], hours)?;
    /// assert!(BallTree::build(clock, Par::Serial, Monitor::new()).is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn build(store: S, par: Par, monitor: Monitor<'_>) -> Result<Self, BuildError> {
        let found = || format!("that of {}", std::any::type_name::<S>());
        let gauge = store.gauge().ok_or_else(|| BuildError::NoMetric { structure: "ball tree", found: found() })?;
        let (shape, order) = (Shape::default(), LeafOrder::identity(store.len()));
        let (centers, radii, reaches) = (Buffer::new(), Buffer::new(), Buffer::new());
        let mut tree = Self { gauge, shape, order, centers, radii, reaches, store };
        par.install(|par| tree.rebuild(par, monitor))?;
        Ok(tree)
    }

    /// All rows within `radius` of `query` that `filter` accepts, nearest first, ties by id, in the place of what was in `out`. The radius is a stored distance, which is
    /// squared under L2; a row that is exactly as far is within.
    ///
    /// # Errors
    /// [`VectorError`] if the query does not fit the store; `out` is then empty.
    ///
    /// ```
    /// use ann_core::distance::Levenshtein;
    /// use ann_core::{All, Monitor, Par, SpaceStore};
    /// use ann_tree::BallTree;
    /// let words = ["graph", "grape", "giraffe"].map(String::from);
    /// let tree = BallTree::build(SpaceStore::<str, _>::from_rows(words, Levenshtein)?, Par::Serial, Monitor::new())?;
    /// let mut found = Vec::new();
    /// tree.within("grate", 2.0, &All, &mut Default::default(), &mut found)?;
    /// assert_eq!(found.iter().map(|n| n.id).collect::<Vec<_>>(), [1, 0]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn within<F: Filter>(
        &self,
        query: &S::Vector,
        radius: f32,
        filter: &F,
        scratch: &mut BallScratch<S>,
        out: &mut Vec<Neighbor>,
    ) -> Result<SearchStats, VectorError> {
        out.clear();
        self.store.check(query)?;
        let mut within = Within { radius, out };
        let oracle = self.store.oracle(query, &mut scratch.oracle);
        let stats = self.collect(&oracle, None, filter, &mut scratch.pending, &mut within);
        out.sort_unstable();
        Ok(stats)
    }

    /// Replaces `out` by the `min(k, matches)` nearest rows of row `row`, itself among them.
    ///
    /// # Panics
    /// If `row` is no row.
    pub fn search_row<F: Filter>(
        &self,
        row: u32,
        k: usize,
        params: &TreeSearch,
        filter: &F,
        scratch: &mut BallScratch<S>,
        out: &mut Vec<Neighbor>,
    ) -> SearchStats {
        let BallScratch { pending, oracle, nearest } = scratch;
        let oracle = self.store.oracle_at(self.order.places()[row as usize], oracle);
        self.find(&oracle, k, params, filter, (pending, nearest), out)
    }

    fn find<F: Filter>(
        &self,
        oracle: &impl DistanceOracle,
        k: usize,
        params: &TreeSearch,
        filter: &F,
        (pending, nearest): (&mut Pending, &mut Nearest),
        out: &mut Vec<Neighbor>,
    ) -> SearchStats {
        out.clear();
        nearest.reset(k);
        let stats = match k {
            0 => SearchStats::default(),
            _ => self.collect(oracle, params.checks, filter, pending, nearest),
        };
        nearest.drain_sorted(out);
        stats
    }

    fn collect<F: Filter, C: Collect>(
        &self,
        oracle: &impl DistanceOracle,
        checks: Option<usize>,
        filter: &F,
        pending: &mut Pending,
        to: &mut C,
    ) -> SearchStats {
        let mut found = Found { filter, to, stats: SearchStats::default() };
        let mut branches = BallBranches::new(self, oracle);
        match checks {
            Some(checks) => search_best_first(&self.shape, &mut branches, checks, pending, &mut found),
            None => search_exactly(&self.shape, &mut branches, &mut found),
        }
        found.compare(oracle, self.order.rows(), self.shape.rows()..self.store.len());
        found.stats.evaluations += branches.centers;
        found.stats
    }

    /// Appends rows, which are compared one by one until they are many, and then put into the tree with all others.
    ///
    /// # Errors
    /// [`BuildError`] names the first row that does not belong; or the build was cancelled. The tree is unchanged.
    pub fn extend<'v>(
        &mut self,
        rows: impl IntoIterator<Item = &'v S::Vector>,
        par: Par,
        monitor: Monitor<'_>,
    ) -> Result<(), BuildError>
    where
        S: PushVector,
        S::Vector: 'v,
    {
        let Self { order, shape, store, .. } = self;
        if order.push_all(rows, store, shape.rows(), monitor)? {
            par.install(|par| self.rebuild(par, Monitor::new()))?;
        }
        Ok(())
    }

    /// Takes rows out and builds the tree anew; the last rows take the free numbers. Gives the former number of every row that is left.
    pub fn purge(&mut self, dead: &RowSet, par: Par) -> Vec<u32>
    where
        S: PushVector,
    {
        let left = self.order.remove_rows(dead, &mut self.store);
        // A build that nobody may cancel does not fail.
        _ = par.install(|par| self.rebuild(par, Monitor::new()));
        left
    }

    /// The same tree over another store of the same rows in the same order, such as wider ones. `None` if their numbers differ, or distances there keep no
    /// triangle inequality.
    pub fn with_store<T: VectorStore + Reorder>(&self, store: T) -> Option<BallTree<T>> {
        if store.len() != self.store.len() {
            return None;
        }
        let (gauge, shape, order) = (store.gauge()?, self.shape, self.order.clone());
        let (centers, radii, reaches) = (self.centers.clone(), self.radii.clone(), self.reaches.clone());
        Some(BallTree { gauge, shape, order, centers, radii, reaches, store })
    }
}

impl<S> BallTree<S> {
    /// The rows, in the order of leaves: place `i` holds row [`Self::rows`]`[i]`.
    pub fn store(&self) -> &S {
        &self.store
    }

    /// Which row is at each place of the store.
    pub fn rows(&self) -> &[u32] {
        self.order.rows()
    }
}

/// Memory of a search in a [`BallTree`].
pub struct BallScratch<S: VectorStore> {
    pending: Pending,
    nearest: Nearest,
    oracle: S::Scratch,
}

impl<S: VectorStore> Default for BallScratch<S> {
    fn default() -> Self {
        Self { pending: Pending::default(), nearest: Nearest::default(), oracle: S::Scratch::default() }
    }
}

impl<S: VectorStore + Reorder> Index for BallTree<S> {
    type Vector = S::Vector;
    type Params = TreeSearch;
    type Scratch = BallScratch<S>;

    fn len(&self) -> usize {
        self.store.len()
    }

    fn search_with<F: Filter>(
        &self,
        query: &S::Vector,
        k: usize,
        params: &TreeSearch,
        filter: &F,
        scratch: &mut BallScratch<S>,
        out: &mut Vec<Neighbor>,
    ) -> Result<SearchStats, VectorError> {
        out.clear();
        self.store.check(query)?;
        let BallScratch { pending, oracle, nearest } = scratch;
        let oracle = self.store.oracle(query, oracle);
        Ok(self.find(&oracle, k, params, filter, (pending, nearest), out))
    }

    fn memory_usage(&self) -> MemoryUsage {
        let balls = self.centers.memory_bytes() + self.radii.memory_bytes() + self.reaches.memory_bytes();
        MemoryUsage { vectors: self.store.memory_usage(), structure: self.order.memory_usage() + balls }
    }
}
