//! KD-forest: several KD-trees that are cut at random among their widest columns, searched best bin first with one queue. Approximate, for many columns.
//!
//! Muja and Lowe, *Scalable nearest neighbor algorithms for high dimensional data*, TPAMI 2014, doi:10.1109/TPAMI.2014.2321376 (FLANN); Silpa-Anan and Hartley, CVPR 2008. A cell
//! is cut in one of the five columns that vary most. A branch is put by with the sum of the distances to the planes between it and the query, and
//! the queue over all trees gives the least. *Where we differ*: cells are cut at the median, so that nodes are in the order of a heap, without pointers, and none is deep; a leaf has up to
//! `leaf` rows in the place of one.
//!
//! Cost: memory beyond the rows per tree: 4 bytes per row, and some `16 / leaf` for the nodes; while building, all rows once more as `f32`.

mod build;
#[cfg(feature = "persist")]
mod persist;

use crate::nearest::{Collect, Nearest};
use crate::pending::{Branch, Pending};
use crate::{BuildError, ParamError, TreeSearch};
use ann_core::simd::Buffer;
use ann_core::{
    DistanceOracle, Filter, Index, MemoryUsage, Metric, Monitor, Neighbor, Par, PushVector, ReadRow, RowSet,
    SearchStats, VectorError, Visited, prepare_dense,
};
use std::ops::Range;

/// How a [`KdForest`] is built.
///
/// ```
/// use ann_tree::KdForestParams;
/// assert!(KdForestParams { trees: 8, ..KdForestParams::default() }.check().is_ok());
/// assert!(KdForestParams { trees: 0, ..KdForestParams::default() }.check().is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "persist", derive(serde::Serialize, serde::Deserialize))]
pub struct KdForestParams {
    /// Trees, 1 to 64.
    pub trees: usize,
    /// Most rows of a leaf, 1 to 256.
    pub leaf: usize,
    /// Decides the columns that cells are cut in.
    pub seed: u64,
}

impl Default for KdForestParams {
    fn default() -> Self {
        Self { trees: 4, leaf: 1, seed: 0 }
    }
}

impl KdForestParams {
    /// Whether every field is in its range.
    ///
    /// # Errors
    /// [`ParamError`] that names the first that is not.
    pub fn check(&self) -> Result<(), ParamError> {
        ParamError::unless((1..=64).contains(&self.trees), "trees", self.trees, "between 1 and 64")?;
        ParamError::unless((1..=256).contains(&self.leaf), "leaf", self.leaf, "between 1 and 256")
    }
}

/// Rows that are compared where a search does not say how many.
const DEFAULT_CHECKS: usize = 4096;

/// A forest of randomised KD-trees over the rows of a store.
///
/// ```
/// use ann_core::{FlatStore, Matrix, Metric, Monitor, Par, Searcher};
/// use ann_tree::{KdForest, KdForestParams, TreeSearch};
/// let rows = Matrix::from_rows(&[[0.0, 0.0], [3.0, 4.0], [1.0, 1.0]])?;
/// let store = FlatStore::<f32>::from_rows(rows.view(), Metric::L2)?;
/// let forest = KdForest::build(store, KdForestParams::default(), Par::Serial, Monitor::new())?;
/// let mut searcher = Searcher::new(&forest, TreeSearch::checks(100));
/// assert_eq!(searcher.search(&[2.9, 4.1], 1)?[0].id, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct KdForest<S> {
    params: KdForestParams,
    /// Rows in the trees; those behind them are compared one by one.
    rows: usize,
    /// The column and the value that every node of every tree is cut at, in the order of a heap.
    columns: Buffer<u32>,
    values: Buffer<f32>,
    /// The rows of every tree in the order of its leaves.
    ids: Buffer<u32>,
    store: S,
}

/// Levels of nodes above the leaves of a tree.
fn levels(rows: usize, leaf: usize) -> u32 {
    rows.div_ceil(leaf).next_power_of_two().ilog2()
}

/// Nodes of a tree.
fn nodes(rows: usize, leaf: usize) -> usize {
    (1 << levels(rows, leaf)) - 1
}

/// The places of the rows of a leaf, as even as may be.
fn leaf(rows: usize, levels: u32, leaf: usize) -> Range<usize> {
    // Rows are at most 2³¹ and leaves twice as many.
    let start = |leaf: usize| ((leaf as u128 * rows as u128) >> levels) as usize;
    start(leaf)..start(leaf + 1)
}

impl<S: ReadRow> KdForest<S> {
    /// Builds a forest over all rows of `store`; the same on any threads.
    ///
    /// # Errors
    /// [`BuildError`] if a parameter is outside its range, the metric is the inner product, for which planes say nothing, or the build was cancelled.
    pub fn build(store: S, params: KdForestParams, par: Par, monitor: Monitor<'_>) -> Result<Self, BuildError> {
        params.check()?;
        if store.metric() == Metric::InnerProduct {
            let found = format!("the metric {}", store.metric());
            return Err(BuildError::NoMetric { structure: "KD-forest", found });
        }
        let (columns, values, ids) = (Buffer::new(), Buffer::new(), Buffer::new());
        let mut forest = Self { params, rows: 0, columns, values, ids, store };
        par.install(|par| forest.rebuild(par, monitor))?;
        Ok(forest)
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
        scratch: &mut KdForestScratch<S>,
        out: &mut Vec<Neighbor>,
    ) -> SearchStats {
        let KdForestScratch { walk, query, oracle } = scratch;
        let mut values = std::mem::take(query);
        self.store.read(row, &mut values);
        prepare_dense(&values, self.store.metric(), self.store.dim(), query);
        let oracle = self.store.oracle_at(row, oracle);
        self.find(&oracle, query, k, params, filter, walk, out)
    }

    #[allow(clippy::too_many_arguments)] // one query in all its parts
    fn find<F: Filter>(
        &self,
        oracle: &impl DistanceOracle,
        query: &[f32],
        k: usize,
        params: &TreeSearch,
        filter: &F,
        walk: &mut ForestWalk,
        out: &mut Vec<Neighbor>,
    ) -> SearchStats {
        out.clear();
        walk.stats = SearchStats::default();
        if k == 0 || self.store.is_empty() {
            return walk.stats;
        }
        walk.nearest.reset(k);
        walk.met.reset(self.rows);
        let levels = levels(self.rows, self.params.leaf) as usize;
        let checks = params.checks.unwrap_or(DEFAULT_CHECKS);
        let branches = self.columns.len().min(checks.saturating_add(self.params.trees).saturating_mul(levels));
        walk.pending.reset(branches + self.params.trees);
        // What is beside the trees is compared first: it costs nothing to find.
        for row in self.rows as u32..self.store.len() as u32 {
            walk.meet(row, filter);
        }
        walk.compare(oracle);
        let metric = self.store.metric();
        let roots = if self.rows > 0 { self.params.trees } else { 0 };
        (0..roots as u32).for_each(|tree| walk.pending.push(Branch { bound: 0.0, tree, node: 0 }));
        while let Some(branch) = walk.pending.pop() {
            if walk.stats.evaluations >= checks as u64 && walk.nearest.is_full() {
                break;
            }
            let leaf = self.descend::<F>(branch, query, metric, walk);
            let places = leaf.start + branch.tree as usize * self.rows..leaf.end + branch.tree as usize * self.rows;
            for &row in &self.ids[places] {
                if walk.met.insert(row) {
                    walk.meet(row, filter);
                }
            }
            walk.compare(oracle);
            walk.stats.hops += 1;
        }
        walk.nearest.drain_sorted(out);
        walk.stats
    }

    /// From a branch down to the leaf where the query belongs, putting the other sides by.
    fn descend<F: Filter>(&self, branch: Branch, query: &[f32], metric: Metric, walk: &mut ForestWalk) -> Range<usize> {
        let Branch { bound, tree, node } = branch;
        let (levels, nodes) = (levels(self.rows, self.params.leaf), nodes(self.rows, self.params.leaf));
        let first = tree as usize * nodes;
        let mut node = node as usize;
        // Cosine distances are half of squared ones between rows of norm one.
        let share = if metric == Metric::Cosine { 0.5 } else { 1.0 };
        while node < nodes {
            let apart = query[self.columns[first + node] as usize] - self.values[first + node];
            let right = usize::from(apart >= 0.0);
            let far = bound + if metric == Metric::L1 { apart.abs() } else { apart * apart * share };
            // The sum may be more than the distance of what is there, which must not keep a filter from the few rows it accepts.
            if far <= walk.nearest.threshold() || !F::passes_all() {
                // Twice the nodes of a tree, which are fewer than twice its rows.
                walk.pending.push(Branch { bound: far, tree, node: (2 * node + 2 - right) as u32 });
            }
            node = 2 * node + 1 + right;
        }
        leaf(self.rows, levels, node - nodes)
    }

    /// Appends rows, which are compared one by one until they are many, and then put into the trees with all others.
    ///
    /// # Errors
    /// [`BuildError`] names the first row that does not belong; or the build was cancelled. The forest is unchanged.
    pub fn extend<'v>(
        &mut self,
        rows: impl IntoIterator<Item = &'v [f32]>,
        par: Par,
        monitor: Monitor<'_>,
    ) -> Result<(), BuildError>
    where
        S: PushVector,
    {
        if crate::order::push_all(&mut self.store, rows, self.rows, monitor)? {
            par.install(|par| self.rebuild(par, Monitor::new()))?;
        }
        Ok(())
    }

    /// Takes rows out and builds the trees anew; the last rows take the free numbers. Gives the former number of every row that is left.
    pub fn purge(&mut self, dead: &RowSet, par: Par) -> Vec<u32>
    where
        S: PushVector,
    {
        let left = self.store.remove_rows(dead);
        // A build that nobody may cancel does not fail.
        _ = par.install(|par| self.rebuild(par, Monitor::new()));
        left
    }

    /// The same forest over another store of the same rows, such as wider ones. `None` if their numbers differ.
    pub fn with_store<T: ReadRow>(&self, store: T) -> Option<KdForest<T>> {
        if store.len() != self.store.len() {
            return None;
        }
        let Self { params, rows, columns, values, ids, .. } = self;
        let (columns, values, ids) = (columns.clone(), values.clone(), ids.clone());
        Some(KdForest { params: *params, rows: *rows, columns, values, ids, store })
    }

    /// The parameters it was built with.
    pub fn params(&self) -> &KdForestParams {
        &self.params
    }

    /// The rows.
    pub fn store(&self) -> &S {
        &self.store
    }
}

/// Memory of a search in a [`KdForest`].
pub struct KdForestScratch<S: ReadRow> {
    walk: ForestWalk,
    query: Vec<f32>,
    oracle: S::Scratch,
}

impl<S: ReadRow> Default for KdForestScratch<S> {
    fn default() -> Self {
        Self { walk: ForestWalk::default(), query: Vec::new(), oracle: S::Scratch::default() }
    }
}

/// The part of it that no store is asked for.
#[derive(Default)]
struct ForestWalk {
    pending: Pending,
    nearest: Nearest,
    met: Visited,
    ids: Vec<u32>,
    distances: Vec<f32>,
    stats: SearchStats,
}

impl ForestWalk {
    /// Takes a row that no tree has shown yet, if it is accepted.
    fn meet<F: Filter>(&mut self, row: u32, filter: &F) {
        if F::passes_all() || filter.accepts(row) {
            self.ids.push(row);
        }
    }

    /// Compares the rows that were taken.
    fn compare(&mut self, oracle: &impl DistanceOracle) {
        self.distances.clear();
        self.distances.resize(self.ids.len(), 0.0);
        oracle.exact(&self.ids, &mut self.distances);
        self.stats.evaluations += self.ids.len() as u64;
        for (&id, &distance) in self.ids.iter().zip(&self.distances) {
            self.nearest.offer(distance, id);
        }
        self.ids.clear();
    }
}

impl<S: ReadRow> Index for KdForest<S> {
    type Vector = [f32];
    type Params = TreeSearch;
    type Scratch = KdForestScratch<S>;

    fn len(&self) -> usize {
        self.store.len()
    }

    fn search_with<F: Filter>(
        &self,
        query: &[f32],
        k: usize,
        params: &TreeSearch,
        filter: &F,
        scratch: &mut KdForestScratch<S>,
        out: &mut Vec<Neighbor>,
    ) -> Result<SearchStats, VectorError> {
        out.clear();
        self.store.check(query)?;
        let KdForestScratch { walk, query: prepared, oracle } = scratch;
        prepare_dense(query, self.store.metric(), self.store.dim(), prepared);
        let oracle = self.store.oracle(query, oracle);
        Ok(self.find(&oracle, prepared, k, params, filter, walk, out))
    }

    fn memory_usage(&self) -> MemoryUsage {
        let structure = self.columns.memory_bytes() + self.values.memory_bytes() + self.ids.memory_bytes();
        MemoryUsage { vectors: self.store.memory_usage(), structure }
    }
}
