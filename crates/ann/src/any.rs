//! The one place with dynamic dispatch: any index behind one object, chosen by a human.

use crate::Error;
#[cfg(any(feature = "graph", feature = "ivf_pq"))]
use crate::factory::Codes;
#[cfg(feature = "quant")]
use crate::factory::Refine;
use crate::factory::{BuildOptions, Structure};
use ann_core::{
    Batch, DistanceOracle, ElementKind, Filter, FlatError, FlatStore, Index, Limits, Matrix, MatrixView, MemoryUsage,
    Metric, Monitor, Neighbor, Par, PushVector, Reach, ReadRow, Route, RowError, RowSet, Scalar, ScratchPool,
    SearchStats, SplitStore, TopK, VectorError, VectorStore,
};
#[cfg(feature = "graph")]
use ann_graph::{Hierarchy, HnswSearch};

/// How hard to look. Every index reads what it knows and ignores the rest; `None` is the index's own default.
///
/// ```
/// use ann::SearchParams;
/// let thorough = SearchParams { ef: Some(200), ..SearchParams::default() };
/// assert_eq!(thorough.ef, SearchParams::effort(200).ef);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct SearchParams {
    /// Graphs: candidates kept during the walk, at least `k`. Recall and time grow with it.
    pub ef: Option<usize>,
    /// Partitions: lists that are scanned, in the mean; queries among many centres about as near look through more, others through fewer.
    pub nprobe: Option<usize>,
    /// Trees: rows that are compared.
    pub checks: Option<usize>,
    /// Graphs: how far beyond the `k`-th nearest found a walk looks. Hard queries then look longer than easy ones, up to `ef`.
    pub reach: Option<Reach>,
    /// The mean recall wanted, above 0 and below 1: what `reach` and `ef` must be is read from the calibration of the index
    /// ([`Index::calibrate`](crate::Index::calibrate)).
    pub target_recall: Option<f64>,
    /// Graphs and partitions: what one search may cost.
    pub limits: Limits,
    /// Graphs: how rows are looked for that a filter accepts.
    pub route: Option<Route>,
}

impl SearchParams {
    /// Sets the main knob of whatever index it is: `ef` for graphs, `nprobe` for partitions, `checks` for trees.
    pub fn effort(effort: usize) -> Self {
        Self { ef: Some(effort), nprobe: Some(effort), checks: Some(effort), ..Self::default() }
    }

    /// Looks as hard as this mean recall takes: see [`SearchParams::target_recall`](Self#structfield.target_recall).
    pub fn target_recall(recall: f64) -> Self {
        Self { target_recall: Some(recall), ..Self::default() }
    }

    /// What graphs are asked for.
    #[cfg(feature = "graph")]
    pub(crate) fn of_graph(&self) -> HnswSearch {
        let Self { reach, limits, route, .. } = *self;
        HnswSearch { ef: self.ef.unwrap_or(HnswSearch::default().ef), reach, limits, route }
    }
}

/// The one number that a calibration of an index is about. Each grows recall and time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Effort {
    /// [`SearchParams::reach`], its factor.
    Reach,
    /// [`SearchParams::nprobe`].
    Nprobe,
    /// [`SearchParams::checks`].
    Checks,
}

/// Which rows may be returned, by row.
pub type RowFilter<'a> = &'a (dyn Filter + Sync);

/// Any index of this workspace over rows of `f32` queries, in terms of rows; [`crate::Index`] adds the labels.
///
/// Object-safe; implemented by the crate for every structure and row type that the factory builds.
pub trait AnyIndex: Send + Sync {
    /// What was built.
    fn structure(&self) -> Structure;
    /// The metric of its rows.
    fn metric(&self) -> Metric;
    /// Columns of a row.
    fn dim(&self) -> usize;
    /// Number of rows.
    fn len(&self) -> usize;
    /// Whether there are no rows.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Element type of the stored rows: of those that know better where there are two, `u8` for codes alone.
    fn element(&self) -> ElementKind;
    /// What a file calls the kind of its rows.
    fn rows(&self) -> &'static str;
    /// Bytes held, by part.
    fn memory_usage(&self) -> MemoryUsage;

    /// Replaces `out` by the nearest rows of row `row`, itself among them.
    ///
    /// # Panics
    /// If `row` is no row.
    fn search_row(
        &self,
        row: u32,
        k: usize,
        params: &SearchParams,
        filter: Option<RowFilter<'_>>,
        out: &mut Vec<Neighbor>,
    ) -> SearchStats;

    /// Replaces `out` by the nearest rows.
    ///
    /// # Errors
    /// [`VectorError`] if the query does not fit.
    fn search(
        &self,
        query: &[f32],
        k: usize,
        params: &SearchParams,
        filter: Option<RowFilter<'_>>,
        out: &mut Vec<Neighbor>,
    ) -> Result<SearchStats, VectorError>;

    /// Searches every row of `queries` on the threads of `par`.
    ///
    /// # Errors
    /// [`RowError`] for the first query that does not fit.
    fn search_batch(
        &self,
        queries: MatrixView<'_, f32>,
        k: usize,
        params: &SearchParams,
        filter: Option<RowFilter<'_>>,
        par: Par,
    ) -> Result<Batch, RowError>;

    /// A searcher with scratch of its own.
    fn searcher(&self) -> Box<dyn AnySearcher + '_>;

    /// Appends rows.
    ///
    /// # Errors
    /// [`Error`]; the index is then unchanged.
    fn extend(&mut self, rows: MatrixView<'_, f32>, par: Par, monitor: Monitor<'_>) -> Result<(), Error>;

    /// Takes rows out; the last take their places. Gives the former number of every row that is left.
    fn purge(&mut self, dead: &RowSet, par: Par) -> Vec<u32>;
    /// The same index with rows of `f32`, which hold any value; `None` if it is to keep its rows as they are.
    ///
    /// # Errors
    /// [`Error::Store`] if `ANN_ARCH` asks for what is not there.
    fn widened(&self) -> Result<Option<Box<dyn AnyIndex>>, Error>;

    /// The rows as they are kept: normalised under cosine in part, never rounded. `None` where only codes of them are.
    fn vectors(&self) -> Option<Matrix<f32>>;

    /// What makes a search look harder, and is calibrated for a target recall.
    fn effort(&self) -> Effort;

    /// The links of a graph.
    #[cfg(feature = "graph")]
    fn hierarchy(&self) -> Option<&Hierarchy>;

    /// How it was built, as far as the structure knows.
    fn options(&self) -> BuildOptions<'static> {
        #[cfg(feature = "graph")]
        if let Some(links) = self.hierarchy() {
            let params = links.params();
            return BuildOptions {
                ef_construction: params.ef_construction,
                seed: params.seed,
                ..BuildOptions::default()
            };
        }
        BuildOptions { seed: self.seed(), ..BuildOptions::default() }
    }

    /// What everything drawn at random depended on, of structures without links.
    fn seed(&self) -> u64;

    /// Adds itself to a file as the part `index`.
    ///
    /// # Errors
    /// Those of the writer.
    #[cfg(feature = "io")]
    fn save<'a>(&'a self, writer: &mut ann_io::container::Writer<'a>) -> Result<(), ann_io::container::SaveError>;
}

/// A search with scratch of its own: after the first query it allocates nothing.
pub trait AnySearcher: Send {
    /// Replaces `out` by the nearest rows.
    ///
    /// # Errors
    /// [`VectorError`] if the query does not fit.
    fn search(
        &mut self,
        query: &[f32],
        k: usize,
        params: &SearchParams,
        filter: Option<RowFilter<'_>>,
        out: &mut Vec<Neighbor>,
    ) -> Result<SearchStats, VectorError>;
}

/// Rows that an index may keep.
pub(crate) trait RowStore: VectorStore<Vector = [f32]> + PushVector + Saved + Listed + 'static {
    /// What a file calls them.
    const NAME: &'static str;
    const ELEMENT: ElementKind;
    /// Rows that hold any value.
    type Wide: RowStore<Wide = Self::Wide>;
    fn metric(&self) -> Metric;
    fn dim(&self) -> usize;
    /// The same rows where any value fits; `None` where rows are to be as they are.
    fn widened(&self) -> Result<Option<Self::Wide>, FlatError>;
    /// The rows, unless they are not kept without loss.
    fn vectors(&self) -> Option<Matrix<f32>> {
        None
    }
    /// How rows are walked on, where not by themselves.
    #[cfg(any(feature = "graph", feature = "ivf_pq"))]
    fn codes(&self) -> Option<Codes> {
        None
    }
    /// What these rows are called where they are behind codes.
    #[cfg(feature = "quant")]
    fn refine(&self) -> Refine {
        Refine::Flat
    }
}

/// What can go to a file, where there are files.
#[cfg(feature = "io")]
pub(crate) trait Saved: ann_io::container::Persist {}
#[cfg(feature = "io")]
impl<T: ann_io::container::Persist> Saved for T {}
#[cfg(not(feature = "io"))]
pub(crate) trait Saved {}
#[cfg(not(feature = "io"))]
impl<T> Saved for T {}

/// What may stand behind lists, where there are lists.
#[cfg(feature = "ivf_pq")]
pub(crate) trait Listed: ann_partition::ListRows {}
#[cfg(feature = "ivf_pq")]
impl<T: ann_partition::ListRows> Listed for T {}
#[cfg(not(feature = "ivf_pq"))]
pub(crate) trait Listed {}
#[cfg(not(feature = "ivf_pq"))]
impl<T> Listed for T {}

impl<T: Scalar> RowStore for FlatStore<T>
where
    Self: Saved,
{
    const NAME: &'static str = T::NAME;
    const ELEMENT: ElementKind = T::KIND;
    type Wide = FlatStore<f32>;

    fn metric(&self) -> Metric {
        self.metric()
    }

    fn dim(&self) -> usize {
        self.dim()
    }

    fn widened(&self) -> Result<Option<FlatStore<f32>>, FlatError> {
        if self.rounds() { Ok(None) } else { self.widened().map(Some) }
    }

    fn vectors(&self) -> Option<Matrix<f32>> {
        if self.rounds() { None } else { read_all(self) }
    }

    #[cfg(feature = "quant")]
    fn refine(&self) -> Refine {
        match T::KIND {
            ElementKind::F16 if self.rounds() => Refine::F16,
            ElementKind::Bf16 if self.rounds() => Refine::Bf16,
            _ => Refine::Flat,
        }
    }
}

impl RowStore for SplitStore {
    const NAME: &'static str = Self::NAME;
    const ELEMENT: ElementKind = ElementKind::F32;
    type Wide = FlatStore<f32>;

    fn metric(&self) -> Metric {
        self.metric()
    }

    fn dim(&self) -> usize {
        self.dim()
    }

    fn widened(&self) -> Result<Option<FlatStore<f32>>, FlatError> {
        self.joined().map(Some)
    }

    fn vectors(&self) -> Option<Matrix<f32>> {
        read_all(self)
    }
}

fn read_all(rows: &impl ReadRow) -> Option<Matrix<f32>> {
    let (mut values, mut row) = (Vec::with_capacity(rows.len() * rows.dim()), Vec::new());
    for id in 0..rows.len() as u32 {
        rows.read(id, &mut row);
        values.extend_from_slice(&row);
    }
    Matrix::new(values, rows.dim()).ok()
}

/// What an index adds to [`Index`] to be built, grown and saved without its type.
pub(crate) trait Dense: Index<Vector = [f32]> + Sized + 'static {
    type Store: RowStore;
    type Wide: Dense;
    fn structure(&self) -> Structure;
    fn store(&self) -> &Self::Store;
    /// As [`AnyIndex::vectors`]; those of the store, unless it has them in another order.
    fn vectors(&self) -> Option<Matrix<f32>> {
        self.store().vectors()
    }
    fn params(params: &SearchParams) -> Self::Params;
    /// As [`AnyIndex::effort`].
    fn effort(&self) -> Effort {
        Effort::Reach
    }
    /// Many queries at once, where the structure has a better way than one by one.
    fn batch(
        &self,
        queries: MatrixView<'_, f32>,
        k: usize,
        params: &Self::Params,
        filter: &(impl Filter + Sync),
        par: Par,
    ) -> Result<Batch, RowError> {
        ann_core::search_batch(self, queries, k, params, filter, par)
    }
    /// As [`AnyIndex::search_row`]; compares every row where the structure has no better way.
    fn search_row<F: Filter>(
        &self,
        row: u32,
        k: usize,
        _: &Self::Params,
        filter: &F,
        _: &mut Self::Scratch,
        out: &mut Vec<Neighbor>,
    ) -> SearchStats {
        compare_all(self.store(), row, k, filter, out)
    }
    fn extend(&mut self, rows: MatrixView<'_, f32>, par: Par, monitor: Monitor<'_>) -> Result<(), Error>;
    /// Takes rows out; the last take their places. Gives the former number of every row that is left.
    fn purge(&mut self, dead: &RowSet, par: Par) -> Vec<u32>;
    /// The same structure over wider rows; `None` if it cannot be.
    fn with_store(&self, store: <Self::Store as RowStore>::Wide) -> Option<Self::Wide>;
    /// As [`AnyIndex::seed`].
    fn seed(&self) -> u64 {
        0
    }
    #[cfg(feature = "graph")]
    fn hierarchy(&self) -> Option<&Hierarchy> {
        None
    }
    #[cfg(feature = "io")]
    fn save<'a>(&'a self, writer: &mut ann_io::container::Writer<'a>) -> Result<(), ann_io::container::SaveError>;
}

/// Replaces `out` by the nearest rows of row `row` among all that `filter` accepts.
pub(crate) fn compare_all<S: VectorStore>(
    store: &S,
    row: u32,
    k: usize,
    filter: &impl Filter,
    out: &mut Vec<Neighbor>,
) -> SearchStats {
    let mut scratch = S::Scratch::default();
    let oracle = store.oracle_at(row, &mut scratch);
    let ids: Vec<u32> = filter.among(0..store.len() as u32).collect();
    let (mut nearest, mut distances) = (TopK::new(k), vec![0.0; ids.len()]);
    oracle.exact(&ids, &mut distances);
    ids.iter().zip(distances).for_each(|(&id, distance)| nearest.push(Neighbor::new(id, distance)));
    let stats = SearchStats { evaluations: ids.len() as u64, route: Route::Scan, ..SearchStats::default() };
    out.clear();
    nearest.drain_sorted(out);
    stats
}

/// An index whose type has been forgotten, with scratch for whoever searches without a searcher.
pub(crate) struct Erased<I: Dense> {
    index: I,
    scratch: ScratchPool<I::Scratch>,
}

impl<I: Dense> Erased<I> {
    pub(crate) fn new(index: I) -> Self {
        Self { index, scratch: ScratchPool::default() }
    }
}

impl<I: Dense> AnyIndex for Erased<I> {
    fn structure(&self) -> Structure {
        self.index.structure()
    }

    fn metric(&self) -> Metric {
        self.index.store().metric()
    }

    fn dim(&self) -> usize {
        self.index.store().dim()
    }

    fn len(&self) -> usize {
        self.index.len()
    }

    fn element(&self) -> ElementKind {
        I::Store::ELEMENT
    }

    fn rows(&self) -> &'static str {
        I::Store::NAME
    }

    fn memory_usage(&self) -> MemoryUsage {
        self.index.memory_usage()
    }

    fn search_row(
        &self,
        row: u32,
        k: usize,
        params: &SearchParams,
        filter: Option<RowFilter<'_>>,
        out: &mut Vec<Neighbor>,
    ) -> SearchStats {
        let (mut scratch, params) = (self.scratch.take(), I::params(params));
        let stats = match filter {
            None => self.index.search_row(row, k, &params, &ann_core::All, &mut scratch, out),
            Some(filter) => self.index.search_row(row, k, &params, &filter, &mut scratch, out),
        };
        self.scratch.give(scratch);
        stats
    }

    fn search(
        &self,
        query: &[f32],
        k: usize,
        params: &SearchParams,
        filter: Option<RowFilter<'_>>,
        out: &mut Vec<Neighbor>,
    ) -> Result<SearchStats, VectorError> {
        let mut scratch = self.scratch.take();
        let result = search(&self.index, query, k, params, filter, &mut scratch, out);
        self.scratch.give(scratch);
        result
    }

    fn search_batch(
        &self,
        queries: MatrixView<'_, f32>,
        k: usize,
        params: &SearchParams,
        filter: Option<RowFilter<'_>>,
        par: Par,
    ) -> Result<Batch, RowError> {
        let params = I::params(params);
        match filter {
            None => self.index.batch(queries, k, &params, &ann_core::All, par),
            Some(filter) => self.index.batch(queries, k, &params, &filter, par),
        }
    }

    fn searcher(&self) -> Box<dyn AnySearcher + '_> {
        Box::new(Searching { index: &self.index, scratch: I::Scratch::default() })
    }

    fn extend(&mut self, rows: MatrixView<'_, f32>, par: Par, monitor: Monitor<'_>) -> Result<(), Error> {
        self.index.extend(rows, par, monitor)
    }

    fn purge(&mut self, dead: &RowSet, par: Par) -> Vec<u32> {
        self.index.purge(dead, par)
    }

    fn widened(&self) -> Result<Option<Box<dyn AnyIndex>>, Error> {
        let Some(store) = self.index.store().widened()? else { return Ok(None) };
        let (expected, found) = (self.len(), store.len());
        let wide = self.index.with_store(store).ok_or(FlatError::Parts { what: "rows", expected, found })?;
        Ok(Some(Box::new(Erased::new(wide))))
    }

    fn vectors(&self) -> Option<Matrix<f32>> {
        self.index.vectors()
    }

    fn effort(&self) -> Effort {
        self.index.effort()
    }

    #[cfg(feature = "graph")]
    fn hierarchy(&self) -> Option<&Hierarchy> {
        self.index.hierarchy()
    }

    fn seed(&self) -> u64 {
        self.index.seed()
    }

    #[cfg(feature = "io")]
    fn save<'a>(&'a self, writer: &mut ann_io::container::Writer<'a>) -> Result<(), ann_io::container::SaveError> {
        self.index.save(writer)
    }
}

struct Searching<'i, I: Dense> {
    index: &'i I,
    scratch: I::Scratch,
}

impl<I: Dense> AnySearcher for Searching<'_, I> {
    fn search(
        &mut self,
        query: &[f32],
        k: usize,
        params: &SearchParams,
        filter: Option<RowFilter<'_>>,
        out: &mut Vec<Neighbor>,
    ) -> Result<SearchStats, VectorError> {
        search(self.index, query, k, params, filter, &mut self.scratch, out)
    }
}

fn search<I: Dense>(
    index: &I,
    query: &[f32],
    k: usize,
    params: &SearchParams,
    filter: Option<RowFilter<'_>>,
    scratch: &mut I::Scratch,
    out: &mut Vec<Neighbor>,
) -> Result<SearchStats, VectorError> {
    let params = I::params(params);
    match filter {
        // Dispatched once per search, so that one without a filter pays nothing.
        None => index.search_with(query, k, &params, &ann_core::All, scratch, out),
        Some(filter) => index.search_with(query, k, &params, &filter, scratch, out),
    }
}
