//! What trees without bounds share: rows in the order of cells, and a search that opens cells, the most promising first, and compares what is in them.
//!
//! [`Cells`] say which cell comes next. Everything else is here, once: the budget of comparisons, filters, rows that are beside the tree because they came later, rows that
//! are taken out. Rows of a cell are compared in blocks through the oracle of the store; where that gives estimates, more than `k` rows are kept by these and then
//! measured exactly.
//!
//! Memory beyond rows and cells: 8 bytes per row for their order. A search has a byte per row of its own where cells overlap.

use crate::euclid::Euclid;
use crate::open::{Opener, Opening, Plan};
use crate::order::LeafOrder;
use crate::{BuildError, TreeSearch};
use ann_core::{
    Filter, Index, MemoryUsage, Monitor, Neighbor, Par, PushVector, ReadRow, Reorder, RowSet, SearchStats, VectorError,
    VectorStore,
};

/// The bit of a link that leads to a leaf and not to a node.
pub(crate) const LEAF: u32 = 1 << 31;

/// A way of cutting space into cells: [`Planes`](crate::Planes) or [`Centres`](crate::Centres).
pub trait Cells: Clone + Send + Sync + 'static {
    /// How it is built.
    type Params: Clone + Send + Sync;
    /// Memory of a search.
    type Scratch: Default + Send;

    #[doc(hidden)]
    fn check(params: &Self::Params) -> Result<(), crate::ParamError>;

    /// The cells of all rows of a store, and the places of its rows in the order in which they are to be.
    #[doc(hidden)]
    fn grow<S: ReadRow>(
        store: &S,
        params: &Self::Params,
        euclid: &Euclid,
        par: Par,
        monitor: Monitor<'_>,
    ) -> Result<(Self, Vec<u32>), BuildError>;

    /// Rows that are compared where the caller does not say.
    #[doc(hidden)]
    fn checks(params: &Self::Params) -> usize;

    /// Opens one cell after another, the most promising for `point` first, until [`Opening::done`].
    #[doc(hidden)]
    fn open(
        &self,
        params: &Self::Params,
        euclid: &Euclid,
        point: &[f32],
        scratch: &mut Self::Scratch,
        to: &mut impl Opening,
    );

    #[doc(hidden)]
    fn memory_usage(&self) -> usize;
}

/// Cells over the rows of a store, which are in their order: an [`RpForest`](crate::RpForest) or a [`KMeansTree`](crate::KMeansTree).
#[derive(Debug, Clone)]
pub struct CellTree<C: Cells, S> {
    pub(crate) params: C::Params,
    pub(crate) euclid: Euclid,
    pub(crate) cells: C,
    /// Rows that are in cells; those at later places are beside the tree.
    pub(crate) rows: usize,
    pub(crate) order: LeafOrder,
    pub(crate) store: S,
}

impl<C: Cells, S: ReadRow + Reorder> CellTree<C, S> {
    /// Builds cells over all rows of `store`; the same on any threads.
    ///
    /// # Errors
    /// [`BuildError`] if a parameter is outside its range, the build was cancelled, or `ANN_ARCH` asks for what is not there.
    pub fn build(store: S, params: C::Params, par: Par, monitor: Monitor<'_>) -> Result<Self, BuildError> {
        C::check(&params)?;
        par.install(|par| {
            let euclid = Euclid::of(&store, par)?;
            let (cells, places) = C::grow(&store, &params, &euclid, par, monitor)?;
            let order = LeafOrder::identity(store.len());
            let mut tree = Self { params, euclid, cells, rows: store.len(), order, store };
            tree.store.reorder(&places);
            tree.order.reorder(&places);
            Ok(tree)
        })
    }

    fn rebuild(&mut self, par: Par) -> Result<(), BuildError> {
        par.install(|par| {
            self.euclid = Euclid::of(&self.store, par)?;
            let (cells, places) = C::grow(&self.store, &self.params, &self.euclid, par, Monitor::new())?;
            self.store.reorder(&places);
            self.order.reorder(&places);
            (self.cells, self.rows) = (cells, self.store.len());
            Ok(())
        })
    }

    /// Replaces `out` by the `min(k, matches)` nearest rows of row `row` that are found, itself among them.
    ///
    /// # Panics
    /// If `row` is no row.
    pub fn search_row<F: Filter>(
        &self,
        row: u32,
        k: usize,
        params: &TreeSearch,
        filter: &F,
        scratch: &mut CellScratch<C, S>,
        out: &mut Vec<Neighbor>,
    ) -> SearchStats {
        out.clear();
        let place = self.order.places()[row as usize];
        let CellScratch { opener, cells, row, point, oracle } = scratch;
        self.euclid.read(&self.store, place, row, point);
        let oracle = self.store.oracle_at(place, oracle);
        opener.search(self, &oracle, (k, params), filter, (cells, point), out)
    }

    /// Appends rows, which are compared one by one until they are many, and then put into cells with all others.
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
        let Self { order, store, rows: in_cells, .. } = self;
        if order.push_all(rows, store, *in_cells, monitor)? { self.rebuild(par) } else { Ok(()) }
    }

    /// Takes rows out and builds the tree anew; the last rows take the free numbers. Gives the former number of every row that is left.
    pub fn purge(&mut self, dead: &RowSet, par: Par) -> Vec<u32>
    where
        S: PushVector,
    {
        let left = self.order.remove_rows(dead, &mut self.store);
        if self.rebuild(par).is_err() {
            // Only an instruction set that has gone in the meantime; without cells every row is compared.
            self.rows = 0;
        }
        left
    }

    /// The same tree over another store of the same rows in the same order, such as wider ones. `None` if their numbers differ.
    pub fn with_store<T: ReadRow + Reorder>(&self, store: T) -> Option<CellTree<C, T>> {
        let Self { params, euclid, cells, rows, order, .. } = self;
        let (params, cells, order) = (params.clone(), cells.clone(), order.clone());
        let same = store.len() == self.store.len();
        same.then_some(CellTree { params, euclid: *euclid, cells, rows: *rows, order, store })
    }
}

impl<C: Cells, S> CellTree<C, S> {
    /// The parameters it was built with.
    pub fn params(&self) -> &C::Params {
        &self.params
    }

    /// The rows, in the order of cells: place `i` holds row [`Self::rows`]`[i]`.
    pub fn store(&self) -> &S {
        &self.store
    }

    /// Which row is at each place of the store.
    pub fn rows(&self) -> &[u32] {
        self.order.rows()
    }
}

/// Memory of a search in a [`CellTree`].
pub struct CellScratch<C: Cells, S: VectorStore> {
    opener: Opener,
    cells: C::Scratch,
    row: Vec<f32>,
    point: Vec<f32>,
    oracle: S::Scratch,
}

impl<C: Cells, S: VectorStore> Default for CellScratch<C, S> {
    fn default() -> Self {
        Self {
            opener: Opener::default(),
            cells: C::Scratch::default(),
            row: Vec::new(),
            point: Vec::new(),
            oracle: S::Scratch::default(),
        }
    }
}

impl<C: Cells, S: ReadRow + Reorder> Index for CellTree<C, S> {
    type Vector = [f32];
    type Params = TreeSearch;
    type Scratch = CellScratch<C, S>;

    fn len(&self) -> usize {
        self.store.len()
    }

    fn search_with<F: Filter>(
        &self,
        query: &[f32],
        k: usize,
        params: &TreeSearch,
        filter: &F,
        scratch: &mut CellScratch<C, S>,
        out: &mut Vec<Neighbor>,
    ) -> Result<SearchStats, VectorError> {
        out.clear();
        self.store.check(query)?;
        let CellScratch { opener, cells, point, oracle, .. } = scratch;
        self.euclid.query(query, point);
        let oracle = self.store.oracle(query, oracle);
        Ok(opener.search(self, &oracle, (k, params), filter, (cells, point), out))
    }

    fn memory_usage(&self) -> MemoryUsage {
        let structure = self.order.memory_usage() + self.cells.memory_usage();
        MemoryUsage { vectors: self.store.memory_usage(), structure }
    }
}

impl<C: Cells, S: ReadRow + Reorder> CellTree<C, S> {
    /// What one search is to do.
    pub(crate) fn plan<'a, F: Filter>(&'a self, k: usize, params: &TreeSearch, filter: &'a F) -> Plan<'a, F> {
        let checks = params.checks.unwrap_or_else(|| C::checks(&self.params));
        Plan { filter, rows: self.order.rows(), places: self.order.places(), cells: self.rows, k, checks }
    }
}
