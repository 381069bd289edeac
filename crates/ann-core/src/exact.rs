//! Exact search: every row is compared with every query. The yardstick of all other indexes, and the fastest index for
//! a few thousand rows.
//!
//! A batch runs in tiles: a block of rows stays in the cache while a block of queries passes over it, so that rows come
//! from memory once per block of queries instead of once per query. Threads take blocks of queries; no result depends
//! on how many there are, and a batch finds to the bit what its queries find one by one.
//!
//! Cost: n distances per query, no memory beside the rows; a batch holds one tile and a heap per query of its block.

use std::borrow::Borrow;
use std::ops::Range;

use crate::distance::sums;
use crate::{
    Batch, DistanceOracle, ElementKind, Filter, FlatStore, GroundTruth, Index, MatrixView, MemoryUsage, Metric,
    Neighbor, Par, Route, RowError, Scalar, ScratchPool, SearchStats, TopK, VectorError, VectorStore,
};
use ann_simd::Rows;

/// Brute force over a store of any kind.
///
/// ```
/// use ann_core::{Exact, FlatStore, Matrix, Metric, Par, Searcher};
///
/// let rows = Matrix::from_rows(&[[0.0, 0.0], [3.0, 4.0], [1.0, 1.0]])?;
/// let index = Exact::new(FlatStore::<f32>::from_rows(rows.view(), Metric::L2)?);
///
/// let mut searcher = Searcher::new(&index, ());
/// let nearest = searcher.search(&[2.9, 4.1], 1)?[0];
/// assert_eq!(nearest.id, 1);
///
/// let truth = index.ground_truth(rows.view(), 2, Par::Ambient)?;
/// assert_eq!(truth.ids(1), [1, 2]);
/// assert_eq!(truth.distances(0), [0.0, 2f32.sqrt()]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Exact<S> {
    store: S,
}

/// What a search needs of memory: the prepared query, a block of ids with their distances, the heap.
#[derive(Debug, Clone, Default)]
pub struct ExactScratch<Q> {
    query: Q,
    block: Block,
    top: TopK,
}

impl<S> Exact<S> {
    /// Searches the rows of `store`.
    pub fn new(store: S) -> Self {
        Self { store }
    }

    /// The rows.
    pub fn store(&self) -> &S {
        &self.store
    }

    /// The rows, to append to.
    pub fn store_mut(&mut self) -> &mut S {
        &mut self.store
    }

    /// Gives the rows back.
    pub fn into_store(self) -> S {
        self.store
    }
}

impl<S: VectorStore> Exact<S> {
    /// The `min(k, matches)` nearest rows of every query among those that `filter` accepts, for rows of any type:
    /// strings, sets, structs. For dense vectors [`Self::search_batch`] takes a matrix.
    ///
    /// # Errors
    /// [`RowError`] for the first query that does not fit the store.
    pub fn search_each<Q: Borrow<S::Vector> + Sync>(
        &self,
        queries: &[Q],
        k: usize,
        filter: &(impl Filter + Sync),
        par: Par,
    ) -> Result<Batch, RowError> {
        let query = |i: usize| queries[i].borrow();
        self.check_all(queries.iter().map(Borrow::borrow))?;
        let pool = ScratchPool::<Block>::default();
        Ok(in_blocks(queries.len(), par, &pool, |block, range, batch: &mut Batch| {
            let queries: Vec<&S::Vector> = range.map(query).collect();
            let stats = SearchStats { evaluations: self.accepted(filter).count() as u64, ..SearchStats::default() };
            self.scan(&queries, k, filter, block, |_, found| batch.push_with(found, stats));
        }))
    }

    fn check_all<'q>(&self, queries: impl Iterator<Item = &'q S::Vector>) -> Result<(), RowError>
    where
        S::Vector: 'q,
    {
        queries
            .enumerate()
            .try_for_each(|(row, query)| self.store.check(query).map_err(|source| RowError { row, source }))
    }

    /// Every accepted row for a block of queries, through their oracles; `found(i, _)` gets the nearest of query `i`.
    fn scan<F: Filter>(
        &self,
        queries: &[&S::Vector],
        k: usize,
        filter: &F,
        block: &mut Block,
        mut found: impl FnMut(usize, &[Neighbor]),
    ) {
        let mut scratches: Vec<S::Scratch> = queries.iter().map(|_| S::Scratch::default()).collect();
        let prepared = queries.iter().zip(&mut scratches);
        let oracles: Vec<S::Oracle<'_>> = prepared.map(|(query, scratch)| self.store.oracle(query, scratch)).collect();
        let mut tops: Vec<TopK> = queries.iter().map(|_| TopK::new(k)).collect();
        let mut ids = self.accepted(filter);
        while block.fill(&mut ids) {
            for (oracle, top) in oracles.iter().zip(&mut tops) {
                block.offer(oracle, top);
            }
        }
        for (i, top) in tops.into_iter().enumerate() {
            found(i, &top.into_sorted());
        }
    }

    fn accepted<F: Filter>(&self, filter: &F) -> impl Iterator<Item = u32> {
        // Stores number their rows by u32.
        filter.among(0..self.store.len() as u32)
    }
}

impl<S: VectorStore> Index for Exact<S> {
    type Vector = S::Vector;
    type Params = ();
    type Scratch = ExactScratch<S::Scratch>;

    fn len(&self) -> usize {
        self.store.len()
    }

    fn search_with<F: Filter>(
        &self,
        query: &S::Vector,
        k: usize,
        (): &(),
        filter: &F,
        scratch: &mut Self::Scratch,
        out: &mut Vec<Neighbor>,
    ) -> Result<SearchStats, VectorError> {
        out.clear();
        self.store.check(query)?;
        let ExactScratch { query: prepared, block, top } = scratch;
        let oracle = self.store.oracle(query, prepared);
        let mut stats = SearchStats { route: Route::Scan, ..SearchStats::default() };
        let mut ids = self.accepted(filter);
        top.reset(k);
        while k > 0 && block.fill(&mut ids) {
            block.offer(&oracle, top);
            stats.evaluations += block.ids.len() as u64;
        }
        top.drain_sorted(out);
        Ok(stats)
    }

    fn memory_usage(&self) -> MemoryUsage {
        MemoryUsage { vectors: self.store.memory_usage(), structure: 0 }
    }
}

impl<T: Scalar> Exact<FlatStore<T>> {
    /// The `min(k, matches)` nearest rows of every query, `queries`: (nq, dim), among those that `filter` accepts.
    ///
    /// # Errors
    /// [`RowError`] for the first query that does not fit the store.
    pub fn search_batch(
        &self,
        queries: MatrixView<'_, f32>,
        k: usize,
        filter: &(impl Filter + Sync),
        par: Par,
    ) -> Result<Batch, RowError> {
        self.check_all(queries.rows())?;
        let pool = ScratchPool::<TileScratch>::default();
        Ok(in_blocks(queries.len(), par, &pool, |scratch, range, batch: &mut Batch| {
            let stats = SearchStats { evaluations: self.accepted(filter).count() as u64, ..SearchStats::default() };
            self.search_block(queries.slice(range), k, filter, scratch, |_, found| batch.push_with(found, stats));
        }))
    }

    /// The `min(k, n)` nearest rows of every query, with distances as data sets report them ([`Metric::reported`]).
    ///
    /// Candidates are found in `f32`, twenty more than asked for, and then ranked by distances taken in `f64`, ties
    /// by id: so no rounding of a kernel, which differs between processors, decides who is among the `k`.
    ///
    /// # Errors
    /// [`RowError`] for the first query that does not fit the store.
    pub fn ground_truth(&self, queries: MatrixView<'_, f32>, k: usize, par: Par) -> Result<GroundTruth, RowError> {
        self.check_all(queries.rows())?;
        let k = k.min(self.store.len());
        let pool = ScratchPool::<TileScratch>::default();
        let batch: Batch = in_blocks(queries.len(), par, &pool, |scratch, range, batch| {
            let queries = queries.slice(range);
            let (mut row, mut ranked) = (Vec::new(), Vec::new());
            self.search_block(queries, k.saturating_add(MARGIN), &crate::All, scratch, |i, found| {
                self.rank(queries.row(i), found, &mut row, &mut ranked);
                ranked.truncate(k);
                batch.push(&ranked);
            });
        });
        let (ids, distances) = batch.iter().flatten().map(|neighbor| (neighbor.id, neighbor.distance)).unzip();
        Ok(GroundTruth { k, ids, distances })
    }

    /// Replaces `ranked` by `found` in the order of distances in `f64`, as reported.
    fn rank(&self, query: &[f32], found: &[Neighbor], row: &mut Vec<f32>, ranked: &mut Vec<Neighbor>) {
        let metric = self.store.metric();
        let mut precise: Vec<(f64, u32)> = found
            .iter()
            .map(|neighbor| {
                row.clear();
                row.extend(self.store.row(neighbor.id).iter().map(|x| x.widen()));
                (precise(metric, query, row), neighbor.id)
            })
            .collect();
        precise.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        ranked.clear();
        ranked.extend(precise.iter().map(|&(d, id)| Neighbor::new(id, metric.reported(d as f32))));
    }

    fn search_block<F: Filter>(
        &self,
        queries: MatrixView<'_, f32>,
        k: usize,
        filter: &F,
        scratch: &mut TileScratch,
        found: impl FnMut(usize, &[Neighbor]),
    ) {
        // Bytes are compared in integers, which the oracles know how to choose; a filter leaves no runs of rows.
        if F::passes_all() && !matches!(T::KIND, ElementKind::U8 | ElementKind::I8) {
            self.scan_tiles(queries, k, scratch, found);
        } else {
            let queries: Vec<&[f32]> = queries.rows().collect();
            self.scan(&queries, k, filter, &mut scratch.block, found);
        }
    }

    /// Every row for a block of queries, tile by tile.
    fn scan_tiles(
        &self,
        queries: MatrixView<'_, f32>,
        k: usize,
        scratch: &mut TileScratch,
        mut found: impl FnMut(usize, &[Neighbor]),
    ) {
        let TileScratch { query, queries: prepared, distances, .. } = scratch;
        let rows = self.store.kernel_rows();
        prepared.clear();
        for row in queries.rows() {
            self.store.prepare(row, query);
            prepared.extend_from_slice(query);
        }
        let prepared = Rows::new(prepared, rows.stride(), rows.stride());
        let kernel = self.store.float_kernel();
        let mut tops: Vec<TopK> = queries.rows().map(|_| TopK::new(k)).collect();
        let tile = (TILE_BYTES / (rows.stride() * size_of::<T>())).clamp(MIN_TILE_ROWS, MAX_TILE_ROWS);
        for start in (0..rows.len()).step_by(tile) {
            let range = start..rows.len().min(start + tile);
            distances.resize(queries.len() * range.len(), 0.0);
            kernel.tile(prepared, rows.slice(range.clone()), distances);
            // Rows are numbered by u32.
            let ids = range.start as u32..range.end as u32;
            for (line, top) in distances.chunks_exact_mut(range.len()).zip(&mut tops) {
                self.store.finish(ids.clone(), line);
                offer_all(line, top, |i| ids.start + i as u32);
            }
        }
        for (i, top) in tops.into_iter().enumerate() {
            found(i, &top.into_sorted());
        }
    }
}

/// How many candidates more than `k` the ground truth ranks in `f64`.
const MARGIN: usize = 20;

/// Rows of a tile: a share of a second-level cache, the rest of which holds queries and distances.
const TILE_BYTES: usize = 64 * 1024;
const MIN_TILE_ROWS: usize = 16;
const MAX_TILE_ROWS: usize = 256;

/// Rows that one call of an oracle compares.
const BLOCK: usize = 128;

/// Queries that share a pass over the rows: many, to read rows seldom, unless that left threads without work. On
/// 300,000 rows of 128 `f32`, a Zen 5 core compares 37, 48, 57 and 64 G elements/s with blocks of 16, 32, 64 and 256.
fn block_of_queries(queries: usize) -> usize {
    (queries / 32).clamp(32, 256)
}

/// `f(scratch, range, results)` for blocks of queries on the threads of `par`, results in order.
fn in_blocks<S: Default + Send>(
    queries: usize,
    par: Par,
    pool: &ScratchPool<S>,
    f: impl Fn(&mut S, Range<usize>, &mut Batch) + Sync,
) -> Batch {
    let parts = par.install(|par| {
        par.map_chunks(queries, block_of_queries(queries), pool, |scratch, range| {
            let mut batch = Batch::default();
            f(scratch, range, &mut batch);
            batch
        })
    });
    let mut batch = Batch::default();
    parts.iter().for_each(|part| batch.append(part));
    batch
}

/// What a thread needs for a tile.
#[derive(Debug, Default)]
struct TileScratch {
    query: Vec<f32>,
    queries: Vec<f32>,
    distances: Vec<f32>,
    block: Block,
}

/// Some rows and their distances from one query.
#[derive(Debug, Clone, Default)]
struct Block {
    ids: Vec<u32>,
    distances: Vec<f32>,
}

impl Block {
    /// Takes the next ids; `false` when there are none.
    fn fill(&mut self, ids: &mut impl Iterator<Item = u32>) -> bool {
        self.ids.clear();
        self.ids.extend(ids.take(BLOCK));
        self.distances.resize(self.ids.len(), 0.0);
        !self.ids.is_empty()
    }

    fn offer(&mut self, oracle: &impl DistanceOracle, top: &mut TopK) {
        oracle.exact_within(top.threshold(), &self.ids, &mut self.distances);
        offer_all(&self.distances, top, |i| self.ids[i]);
    }
}

/// Pushes what may enter. Nearly nothing does, so sixteen are dismissed at a time, in a form that compiles to vector
/// compares.
fn offer_all(distances: &[f32], top: &mut TopK, id: impl Fn(usize) -> u32) {
    let mut threshold = top.threshold();
    for (c, chunk) in distances.chunks(16).enumerate() {
        if chunk.iter().fold(true, |all, &distance| all & (distance > threshold)) {
            continue;
        }
        for (i, &distance) in chunk.iter().enumerate() {
            top.push(Neighbor::new(id(16 * c + i), distance));
        }
        threshold = top.threshold();
    }
}

/// The distance in `f64`, smaller is nearer.
fn precise(metric: Metric, query: &[f32], row: &[f32]) -> f64 {
    let [value, query_norm, row_norm] = sums(query, row, |x, y| {
        let (x, y) = (f64::from(x), f64::from(y));
        match metric {
            Metric::L2 => [(x - y) * (x - y), 0.0, 0.0],
            Metric::L1 => [(x - y).abs(), 0.0, 0.0],
            _ => [x * y, x * x, y * y],
        }
    });
    match metric {
        Metric::InnerProduct => -value,
        // A store under cosine has no zero rows.
        Metric::Cosine => (1.0 - value / (query_norm * row_norm).sqrt()).clamp(0.0, 2.0),
        _ => value,
    }
}

#[cfg(test)]
mod tests;
