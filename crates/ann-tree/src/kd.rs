//! KD-tree: rows in cells that are cut at medians, with a box around every cell. Exact, or best bin first.
//!
//! Bentley, *Multidimensional binary search trees used for associative searching*, CACM 1975; Friedman, Bentley and Finkel, TOMS 1977; best bin first: Beis and Lowe, CVPR
//! 1997. A cell is cut at the median of its widest column until leaves of 32 rows are left. *Where we differ*: what is kept is no split values but the boxes of
//! four levels of cells at once (see `shape.rs`), so bounds are those of the rows that are there, and nothing is added up on the way down. Bounds of up
//! to eight columns are rounded as distances are, and so hold to the bit; those of more columns leave room for rounding.
//!
//! Up to eight columns, the rows are kept once more column by column, leaf by leaf: one pass compares the query with a leaf (`columns.rs`). Beyond some ten
//! columns of independent values a KD-tree compares most of the rows, and `checks` or another index is the better choice.
//!
//! Cost: a build sorts out n log n rows. Memory beyond the rows: 8 bytes per row for their order, `d / 4` for the boxes, `4 d` for the columns if up to eight.

mod boxes;
mod build;
mod columns;
#[cfg(feature = "persist")]
mod persist;

use crate::nearest::{Collect, Nearest, Within};
use crate::order::LeafOrder;
use crate::pending::Pending;
use crate::shape::Shape;
use crate::walk::{Found, search_best_first, search_exactly};
use crate::{BuildError, TreeSearch};
use ann_core::simd::{Arch, Buffer};
use ann_core::{
    DistanceOracle, Filter, Index, MemoryUsage, Monitor, Neighbor, Par, PushVector, ReadRow, Reorder, RowSet,
    SearchStats, VectorError, prepare_dense,
};
use boxes::BoxBranches;
pub(crate) use build::Values;
use columns::ByColumns;

/// A KD-tree over the rows of a store, which it puts in the order of its leaves.
///
/// ```
/// use ann_core::{FlatStore, Matrix, Metric, Monitor, Par, Searcher};
/// use ann_tree::{KdTree, TreeSearch};
/// let rows = Matrix::from_rows(&[[0.0, 0.0], [3.0, 4.0], [1.0, 1.0]])?;
/// let store = FlatStore::<f32>::from_rows(rows.view(), Metric::L2)?;
/// let tree = KdTree::build(store, Par::Serial, Monitor::new())?;
/// let mut searcher = Searcher::new(&tree, TreeSearch::default());
/// assert_eq!(searcher.search(&[2.9, 4.1], 1)?[0].id, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct KdTree<S> {
    arch: Arch,
    shape: Shape,
    order: LeafOrder,
    /// For every group and column sixteen lower and sixteen upper ends of boxes.
    boxes: Buffer<f32>,
    /// The values of every leaf column by column; empty where leaves are compared row by row.
    columns: Buffer<f32>,
    store: S,
}

impl<S: ReadRow + Reorder> KdTree<S> {
    /// Builds a tree over all rows of `store`; the same on any threads.
    ///
    /// # Errors
    /// [`BuildError`] if the build was cancelled, or `ANN_ARCH` asks for what is not there.
    pub fn build(store: S, par: Par, monitor: Monitor<'_>) -> Result<Self, BuildError> {
        let order = LeafOrder::identity(store.len());
        let (arch, shape) = (Arch::detect()?, Shape::default());
        let mut tree = Self { arch, shape, order, boxes: Buffer::new(), columns: Buffer::new(), store };
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
    /// use ann_core::{All, FlatStore, Matrix, Metric, Monitor, Par};
    /// use ann_tree::KdTree;
    /// let rows = Matrix::from_rows(&[[0.0, 0.0], [3.0, 4.0], [1.0, 1.0]])?;
    /// let store = FlatStore::<f32>::from_rows(rows.view(), Metric::L2)?;
    /// let tree = KdTree::build(store, Par::Serial, Monitor::new())?;
    /// let mut found = Vec::new();
    /// tree.within(&[0.0, 0.0], 2.0, &All, &mut Default::default(), &mut found)?;
    /// assert_eq!(found.iter().map(|n| n.id).collect::<Vec<_>>(), [0, 2]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn within<F: Filter>(
        &self,
        query: &[f32],
        radius: f32,
        filter: &F,
        scratch: &mut KdScratch<S>,
        out: &mut Vec<Neighbor>,
    ) -> Result<SearchStats, VectorError> {
        out.clear();
        self.store.check(query)?;
        let mut within = Within { radius, out };
        let KdScratch { pending, query: prepared, oracle, .. } = scratch;
        prepare_dense(query, self.store.metric(), self.store.dim(), prepared);
        let oracle = self.store.oracle(query, oracle);
        let stats = self.collect(&oracle, prepared, None, filter, pending, &mut within);
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
        scratch: &mut KdScratch<S>,
        out: &mut Vec<Neighbor>,
    ) -> SearchStats {
        let place = self.order.places()[row as usize];
        let KdScratch { pending, query, oracle, nearest } = scratch;
        let mut values = std::mem::take(query);
        self.store.read(place, &mut values);
        prepare_dense(&values, self.store.metric(), self.store.dim(), query);
        let oracle = self.store.oracle_at(place, oracle);
        self.find(&oracle, query, k, params, filter, (pending, nearest), out)
    }

    /// The nearest rows of a prepared query.
    #[allow(clippy::too_many_arguments)] // one query in all its parts
    fn find<F: Filter>(
        &self,
        oracle: &impl DistanceOracle,
        query: &[f32],
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
            _ => self.collect(oracle, query, params.checks, filter, pending, nearest),
        };
        nearest.drain_sorted(out);
        stats
    }

    fn collect<F: Filter, C: Collect>(
        &self,
        oracle: &impl DistanceOracle,
        query: &[f32],
        checks: Option<usize>,
        filter: &F,
        pending: &mut Pending,
        to: &mut C,
    ) -> SearchStats {
        let mut found = Found { filter, to, stats: SearchStats::default() };
        let mut branches = BoxBranches::new(self, query, oracle);
        match checks {
            Some(checks) => search_best_first(&self.shape, &mut branches, checks, pending, &mut found),
            None if self.columns.is_empty() => search_exactly(&self.shape, &mut branches, &mut found),
            None => self.by_columns().search(query, &mut found),
        }
        found.compare(oracle, self.order.rows(), self.shape.rows()..self.store.len());
        found.stats
    }

    fn by_columns(&self) -> ByColumns<'_> {
        let Self { arch, shape, boxes, columns, store, .. } = self;
        ByColumns { arch: *arch, metric: store.metric(), shape, boxes, columns, rows: self.order.rows() }
    }

    /// Appends rows, which are compared one by one until they are many, and then put into the tree with all others.
    ///
    /// # Errors
    /// [`BuildError`] names the first row that does not belong; or the build was cancelled. The tree is unchanged.
    pub fn extend<'v>(
        &mut self,
        rows: impl IntoIterator<Item = &'v [f32]>,
        par: Par,
        monitor: Monitor<'_>,
    ) -> Result<(), BuildError>
    where
        S: PushVector,
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

    /// The same tree over another store of the same rows in the same order, such as wider ones. `None` if their numbers differ.
    pub fn with_store<T: ReadRow + Reorder>(&self, store: T) -> Option<KdTree<T>> {
        let Self { arch, shape, order, boxes, columns, .. } = self;
        let (order, boxes, columns) = (order.clone(), boxes.clone(), columns.clone());
        (store.len() == self.store.len()).then(|| KdTree { arch: *arch, shape: *shape, order, boxes, columns, store })
    }
}

impl<S> KdTree<S> {
    /// The rows, in the order of leaves: place `i` holds row [`Self::rows`]`[i]`.
    pub fn store(&self) -> &S {
        &self.store
    }

    /// Which row is at each place of the store.
    pub fn rows(&self) -> &[u32] {
        self.order.rows()
    }
}

/// Memory of a search in a [`KdTree`].
pub struct KdScratch<S: ReadRow> {
    pending: Pending,
    nearest: Nearest,
    query: Vec<f32>,
    oracle: S::Scratch,
}

impl<S: ReadRow> Default for KdScratch<S> {
    fn default() -> Self {
        Self {
            pending: Pending::default(),
            nearest: Nearest::default(),
            query: Vec::new(),
            oracle: S::Scratch::default(),
        }
    }
}

impl<S: ReadRow + Reorder> Index for KdTree<S> {
    type Vector = [f32];
    type Params = TreeSearch;
    type Scratch = KdScratch<S>;

    fn len(&self) -> usize {
        self.store.len()
    }

    fn search_with<F: Filter>(
        &self,
        query: &[f32],
        k: usize,
        params: &TreeSearch,
        filter: &F,
        scratch: &mut KdScratch<S>,
        out: &mut Vec<Neighbor>,
    ) -> Result<SearchStats, VectorError> {
        out.clear();
        self.store.check(query)?;
        let KdScratch { pending, query: prepared, oracle, nearest } = scratch;
        // Nothing is to be prepared where all rows are in columns.
        if params.checks.is_none() && k > 0 && self.shape.rows() == self.store.len() && !self.columns.is_empty() {
            nearest.reset(k);
            let mut found = Found { filter, to: nearest, stats: SearchStats::default() };
            self.by_columns().search(query, &mut found);
            let stats = found.stats;
            nearest.drain_sorted(out);
            return Ok(stats);
        }
        prepare_dense(query, self.store.metric(), self.store.dim(), prepared);
        let oracle = self.store.oracle(query, oracle);
        Ok(self.find(&oracle, prepared, k, params, filter, (pending, nearest), out))
    }

    fn memory_usage(&self) -> MemoryUsage {
        let structure = self.order.memory_usage() + self.boxes.memory_bytes() + self.columns.memory_bytes();
        MemoryUsage { vectors: self.store.memory_usage(), structure }
    }
}
