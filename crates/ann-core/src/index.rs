//! Anything that can be searched.

use crate::{Filter, MatrixView, MemoryUsage, Neighbor, Par, RowError, ScratchPool, SearchStats, VectorError};

/// A structure of ids married to a store of rows.
///
/// Scratch is an argument: after the first query a search allocates nothing, locks nothing and counts nothing
/// atomically. [`Searcher`] holds index, parameters and scratch together for everyday use.
pub trait Index: Send + Sync {
    /// What a query looks like: `[f32]` nearly always.
    type Vector: ?Sized + Sync;
    /// How hard to look; the default suits an untuned first query.
    type Params: Default + Clone + Sync;
    /// Memory that one search needs and the next reuses.
    type Scratch: Default + Send;

    /// Number of rows.
    fn len(&self) -> usize;

    /// Whether there are no rows.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Replaces `out` by the `min(k, matches)` nearest rows found among those that `filter` accepts, nearest first, ties
    /// by id, no row twice.
    ///
    /// # Errors
    /// [`VectorError`] if the query does not fit the index; `out` is then empty.
    fn search_with<F: Filter>(
        &self,
        query: &Self::Vector,
        k: usize,
        params: &Self::Params,
        filter: &F,
        scratch: &mut Self::Scratch,
        out: &mut Vec<Neighbor>,
    ) -> Result<SearchStats, VectorError>;

    /// Queries that [`Self::search_group`] is best given at a time.
    const GROUP: usize = 32;

    /// Adds what each of `queries` finds to `batch`, and what that cost: the same as one by one, which is how it is done where nothing is gained by looking for
    /// several together.
    ///
    /// # Errors
    /// [`RowError`] for the first query that does not fit the index, counted from the start of `queries`.
    fn search_group<F: Filter>(
        &self,
        queries: &[&Self::Vector],
        k: usize,
        params: &Self::Params,
        filter: &F,
        scratch: &mut Self::Scratch,
        batch: &mut Batch,
    ) -> Result<(), RowError> {
        search_each(self, queries, k, params, filter, scratch, batch)
    }

    /// Bytes held, by part.
    fn memory_usage(&self) -> MemoryUsage;
}

/// An index with parameters and scratch of its own: one per thread, any number of queries, no allocation after the
/// first.
#[derive(Debug)]
pub struct Searcher<'i, I: Index> {
    index: &'i I,
    params: I::Params,
    scratch: I::Scratch,
    out: Vec<Neighbor>,
    stats: SearchStats,
}

impl<'i, I: Index> Searcher<'i, I> {
    /// Prepares to search `index` with `params`.
    pub fn new(index: &'i I, params: I::Params) -> Self {
        Self { index, params, scratch: I::Scratch::default(), out: Vec::new(), stats: SearchStats::default() }
    }

    /// The `k` nearest rows, nearest first, valid until the next search.
    ///
    /// # Errors
    /// [`VectorError`] if the query does not fit the index.
    pub fn search(&mut self, query: &I::Vector, k: usize) -> Result<&[Neighbor], VectorError> {
        self.search_filtered(query, k, &crate::All)
    }

    /// The `k` nearest rows that `filter` accepts.
    ///
    /// # Errors
    /// [`VectorError`] if the query does not fit the index.
    pub fn search_filtered(
        &mut self,
        query: &I::Vector,
        k: usize,
        filter: &impl Filter,
    ) -> Result<&[Neighbor], VectorError> {
        self.stats = self.index.search_with(query, k, &self.params, filter, &mut self.scratch, &mut self.out)?;
        Ok(&self.out)
    }

    /// What the last search cost.
    pub fn stats(&self) -> SearchStats {
        self.stats
    }

    /// The parameters, to change between searches.
    pub fn params_mut(&mut self) -> &mut I::Params {
        &mut self.params
    }
}

/// The results of a batch of queries, one after another.
///
/// ```
/// use ann_core::{Batch, Neighbor};
/// let batch: Batch = [vec![Neighbor::new(4, 0.5)], vec![]].into_iter().collect();
/// assert_eq!(batch.len(), 2);
/// assert_eq!(batch.get(0)[0].id, 4);
/// assert!(batch.get(1).is_empty());
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Batch {
    neighbors: Vec<Neighbor>,
    ends: Vec<usize>,
    stats: SearchStats,
}

impl Batch {
    /// Number of queries.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there were no queries.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// What query `i` found, nearest first.
    ///
    /// # Panics
    /// If `i >= self.len()`.
    pub fn get(&self, i: usize) -> &[Neighbor] {
        let start = if i == 0 { 0 } else { self.ends[i - 1] };
        &self.neighbors[start..self.ends[i]]
    }

    /// What each query found, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[Neighbor]> {
        (0..self.len()).map(|i| self.get(i))
    }

    /// What all queries together cost.
    pub fn stats(&self) -> SearchStats {
        self.stats
    }

    /// Appends the results of one query, which cost nothing that is counted.
    pub fn push(&mut self, found: &[Neighbor]) {
        self.push_with(found, SearchStats::default());
    }

    /// Appends the results of one query and what they cost.
    pub fn push_with(&mut self, found: &[Neighbor], stats: SearchStats) {
        self.neighbors.extend_from_slice(found);
        self.ends.push(self.neighbors.len());
        self.stats += stats;
    }

    /// Appends the results of another batch.
    pub fn append(&mut self, other: &Self) {
        let start = self.neighbors.len();
        self.neighbors.extend_from_slice(&other.neighbors);
        self.ends.extend(other.ends.iter().map(|end| end + start));
        self.stats += other.stats;
    }
}

impl<R: AsRef<[Neighbor]>> FromIterator<R> for Batch {
    fn from_iter<I: IntoIterator<Item = R>>(results: I) -> Self {
        let mut batch = Self::default();
        results.into_iter().for_each(|found| batch.push(found.as_ref()));
        batch
    }
}

/// [`Index::search_group`], one by one.
///
/// # Errors
/// [`RowError`] for the first query that does not fit the index.
pub fn search_each<I: Index + ?Sized>(
    index: &I,
    queries: &[&I::Vector],
    k: usize,
    params: &I::Params,
    filter: &impl Filter,
    scratch: &mut I::Scratch,
    batch: &mut Batch,
) -> Result<(), RowError> {
    let mut out = Vec::new();
    for (row, query) in queries.iter().enumerate() {
        let stats = index.search_with(query, k, params, filter, scratch, &mut out);
        let stats = stats.map_err(|source| RowError { row, source })?;
        batch.push_with(&out, stats);
    }
    Ok(())
}

/// Groups that a batch makes for every thread at the least, so that all have work to the end.
const SHARES: usize = 4;

/// Searches every row of `queries`; the same results as one by one, on any number of threads.
///
/// # Errors
/// [`RowError`] for the first query that does not fit the index.
pub fn search_batch<T: Sync, I: Index<Vector = [T]>>(
    index: &I,
    queries: MatrixView<'_, T>,
    k: usize,
    params: &I::Params,
    filter: &(impl Filter + Sync),
    par: Par,
) -> Result<Batch, RowError> {
    let pool = ScratchPool::<I::Scratch>::default();
    let parts = par.install(|par| {
        let group = I::GROUP.min(queries.len().div_ceil(SHARES * par.threads()));
        par.map_chunks(queries.len(), group, &pool, |scratch, range| {
            let mut batch = Batch::default();
            let group: Vec<&[T]> = range.clone().map(|row| queries.row(row)).collect();
            let searched = index.search_group(&group, k, params, filter, scratch, &mut batch);
            searched.map_err(|RowError { row, source }| RowError { row: range.start + row, source })?;
            Ok(batch)
        })
    });
    let mut batch = Batch::default();
    for part in parts {
        batch.append(&part?);
    }
    Ok(batch)
}
