//! The nearest rows of every row, by how unlike they are.
//!
//! Up to [`EXACT_ROWS`] rows all pairs are compared, tile by tile; of more rows a graph is built and every row looked
//! up in it. The Python package finds neighbours by NN-descent, which misses some; here those of small data are exact, but that
//! some thousands of rows of floats are compared as bytes first, where these serve, and the nearest by bytes as they are.
//!
//! How unlike two rows are: `-log2(cos)` of floats, at least 0, with a cosine below the smallest positive number
//! counted as that; `1 / dot` of small integers, and 2 where the product is not positive; `-log2(jaccard)` of bits.
//!
//! Cost: `n²` distances, or those of a graph; 8 bytes per neighbour.

use crate::{Embeddings, EvocError};
use ann_core::distance::BitJaccard;
use ann_core::{
    All, DistanceOracle, FlatError, FlatStore, Index, MatrixView, Metric, Monitor, Neighbor, Par, PushVector,
    Reservoir, RowError, Scalar, ScratchPool, SpaceStore, TopK, VectorStore, stand_in,
};
use ann_graph::{BuildError, HnswScratch, HnswSearch, Pipnn, Quality};
use std::borrow::Borrow;

/// More rows are looked up in a graph.
pub(crate) const EXACT_ROWS: usize = 20_000;
/// Rows of a unit of parallel work.
const SHARE: usize = 64;
/// How many rows are kept by bytes beside as many as there are neighbours.
const KEPT: usize = 16;

/// The nearest rows of every row, itself first.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Neighborhoods {
    /// Neighbours of a row, itself included.
    k: usize,
    ids: Vec<u32>,
    dissimilarities: Vec<f32>,
}

impl Neighborhoods {
    /// Of `k` neighbours each, row after row.
    #[cfg(test)]
    pub(crate) fn new(k: usize, ids: Vec<u32>, dissimilarities: Vec<f32>) -> Self {
        debug_assert!(ids.len() == dissimilarities.len() && ids.len().checked_rem(k).unwrap_or(0) == 0);
        Self { k, ids, dissimilarities }
    }

    /// Number of rows.
    pub(crate) fn len(&self) -> usize {
        self.ids.len().checked_div(self.k).unwrap_or(0)
    }

    /// The neighbours of a row and how unlike they are, ascending but for the row itself, which comes first.
    pub(crate) fn of(&self, row: usize) -> (&[u32], &[f32]) {
        let range = row * self.k..(row + 1) * self.k;
        (&self.ids[range.clone()], &self.dissimilarities[range])
    }

    /// All neighbours, row after row.
    pub(crate) fn ids(&self) -> MatrixView<'_, u32> {
        MatrixView::new(&self.ids, self.k).unwrap_or_else(|_| unreachable!("whole rows"))
    }

    /// How unlike they are.
    pub(crate) fn dissimilarities(&self) -> &[f32] {
        &self.dissimilarities
    }

    /// The `k` nearest rows of every row of `rows`, which have been checked; all of them if there are no more.
    pub(crate) fn find(
        rows: &Embeddings<'_>,
        k: usize,
        seed: u64,
        par: Par,
        monitor: Monitor<'_>,
    ) -> Result<Self, EvocError> {
        Self::find_with(rows, k, seed, EXACT_ROWS, par, monitor)
    }

    /// [`Self::find`], exactly up to `exact_rows` rows.
    fn find_with(
        rows: &Embeddings<'_>,
        k: usize,
        seed: u64,
        exact_rows: usize,
        par: Par,
        monitor: Monitor<'_>,
    ) -> Result<Self, EvocError> {
        let k = k.min(rows.len());
        if k == 0 {
            return Ok(Self::default());
        }
        let search = Search { k, seed, exact_rows, par, monitor };
        match rows {
            Embeddings::Cosine(rows) => {
                let row = |row| unit(rows.row(row));
                let store = dense::<f32>(rows.len(), rows.dim(), row)?;
                let unlike = |distance: f32| (-(-distance).max(f32::MIN_POSITIVE).log2()).max(0.0);
                let bytes = if store.len() <= exact_rows { stand_in::bytes(*rows, Metric::Cosine) } else { None };
                match bytes {
                    Some(bytes) => search.by(&bytes, &store, unlike),
                    None => search.of(store, row, unlike),
                }
            }
            Embeddings::Dot(rows) => {
                let row = |row| rows.row(row).iter().map(|x| x.widen()).collect();
                let store = dense::<i8>(rows.len(), rows.dim(), row)?;
                search.of(store, row, |distance| if distance < 0.0 { -1.0 / distance } else { 2.0 })
            }
            Embeddings::Bits(rows) => {
                let row = |row| rows.row(row).chunks(8).map(word).collect::<Vec<u64>>();
                let store = SpaceStore::<[u64], _>::from_rows((0..rows.len()).map(row), BitJaccard)?;
                search.of(store, row, |distance| (-(1.0 - distance).max(f32::MIN_POSITIVE).log2()).max(0.0))
            }
        }
    }

    /// Adds a row: itself, and the nearest that were found, of which it may be one.
    fn add(&mut self, row: u32, itself: f32, found: &[Neighbor], unlike: &impl Fn(f32) -> f32) {
        let others = found.iter().filter(|neighbor| neighbor.id != row).take(self.k - 1);
        for neighbor in std::iter::once(&Neighbor::new(row, itself)).chain(others) {
            self.ids.push(neighbor.id);
            self.dissimilarities.push(unlike(neighbor.distance));
        }
    }

    fn append(&mut self, part: Self) {
        self.ids.extend(part.ids);
        self.dissimilarities.extend(part.dissimilarities);
    }

    /// Pairs of rows `(a, b)`, `a < b`, ascending, that are neighbours and no more unlike than `most` says of how
    /// unlike themselves both are.
    pub(crate) fn pairs_within(&self, most: impl Fn(f32, f32) -> f32) -> Vec<(u32, u32)> {
        let itself = |row: u32| self.dissimilarities[row as usize * self.k];
        let mut pairs = Vec::new();
        for row in 0..self.len() {
            let (ids, dissimilarities) = self.of(row);
            for (&id, &unlike) in ids.iter().zip(dissimilarities).skip(1) {
                // Stores number rows by u32.
                let row = row as u32;
                if unlike <= most(itself(row), itself(id)) {
                    pairs.push((row.min(id), row.max(id)));
                }
            }
        }
        pairs.sort_unstable();
        pairs.dedup();
        pairs
    }
}

/// What to look for, and how.
#[derive(Clone, Copy)]
struct Search<'a> {
    k: usize,
    seed: u64,
    /// More rows are looked up in a graph.
    exact_rows: usize,
    par: Par,
    monitor: Monitor<'a>,
}

impl Search<'_> {
    /// `row` gives a row as a query, `unlike` makes of a distance what this module speaks of.
    fn of<S, Q>(
        self,
        store: S,
        row: impl Fn(usize) -> Q + Sync,
        unlike: impl Fn(f32) -> f32 + Sync,
    ) -> Result<Neighborhoods, EvocError>
    where
        S: VectorStore,
        Q: Borrow<S::Vector>,
    {
        if store.len() <= self.exact_rows { self.exact(&store, unlike) } else { self.graph(store, row, unlike) }
    }

    /// Compares all rows with all.
    fn exact<S: VectorStore>(self, store: &S, unlike: impl Fn(f32) -> f32 + Sync) -> Result<Neighborhoods, EvocError> {
        let mut found = self.none();
        let mut scratch = S::Scratch::default();
        for (row, near) in (0u32..).zip(self.nearest(store, self.k)?) {
            found.add(row, store.oracle_at(row, &mut scratch).distance(row), &near, &unlike);
        }
        Ok(found)
    }

    /// Compares all rows with all as `coarse` has them, and some of the nearest by that as they are.
    fn by<C: VectorStore, S: VectorStore>(
        self,
        coarse: &C,
        store: &S,
        unlike: impl Fn(f32) -> f32 + Sync,
    ) -> Result<Neighborhoods, EvocError> {
        let kept = (self.k + KEPT).min(store.len());
        let near = self.nearest(coarse, kept)?;
        let pool = ScratchPool::<(S::Scratch, Vec<u32>, Vec<f32>)>::default();
        let parts = self.par.map_chunks(near.len(), SHARE, &pool, |(scratch, ids, distances), range| {
            let mut part = self.none();
            for row in range {
                ids.clear();
                ids.extend(near[row].iter().map(|n| n.id));
                distances.resize(ids.len(), 0.0);
                // Stores number rows by u32.
                let row = row as u32;
                let oracle = store.oracle_at(row, scratch);
                oracle.distances(ids, distances);
                let mut top = TopK::new(self.k);
                ids.iter().zip(&*distances).for_each(|(&id, &distance)| top.push(Neighbor::new(id, distance)));
                part.add(row, oracle.distance(row), &top.into_sorted(), &unlike);
            }
            part
        });
        let mut found = self.none();
        parts.into_iter().for_each(|part| found.append(part));
        Ok(found)
    }

    /// The `k` nearest rows of every row.
    fn nearest<S: VectorStore>(self, store: &S, k: usize) -> Result<Vec<Vec<Neighbor>>, EvocError> {
        /// Rows between two looks at the monitor.
        const STEP: usize = 4096;
        /// Rows that share a pass, and those that stay in the cache meanwhile.
        const TILE: (usize, usize) = (SHARE, 256);
        let n = store.len();
        // Stores number rows by u32.
        let all: Vec<u32> = (0..n as u32).collect();
        let mut found = Vec::with_capacity(n);
        let pool = ScratchPool::<(S::Scratch, Vec<f32>, Vec<Reservoir>)>::default();
        for step in all.chunks(STEP) {
            self.monitor.report(u64::from(step[0]), n as u64)?;
            let parts = self.par.map_chunks(step.len(), TILE.0, &pool, |(scratch, tile, nearest), range| {
                let queries = &step[range];
                nearest.resize_with(TILE.0, Reservoir::default);
                nearest.iter_mut().for_each(|nearest| nearest.reset(k));
                for rows in all.chunks(TILE.1) {
                    tile.resize(queries.len() * rows.len(), 0.0);
                    store.tile(queries, rows, scratch, tile);
                    for (nearest, line) in nearest.iter_mut().zip(tile.chunks_exact(rows.len())) {
                        offer(nearest, rows[0], line);
                    }
                }
                nearest[..queries.len()].iter_mut().map(|nearest| nearest.sorted().collect()).collect::<Vec<_>>()
            });
            found.extend(parts.into_iter().flatten());
        }
        Ok(found)
    }

    /// Looks every row up in a graph.
    fn graph<S: VectorStore, Q: Borrow<S::Vector>>(
        self,
        store: S,
        row: impl Fn(usize) -> Q + Sync,
        unlike: impl Fn(f32) -> f32 + Sync,
    ) -> Result<Neighborhoods, EvocError> {
        let n = store.len();
        let batch = Pipnn { quality: Quality::Fast, seed: self.seed, ..Pipnn::default() };
        let graph = batch.build(store, self.par, self.monitor.silent()).map_err(|error| match error {
            BuildError::Cancelled(cancelled) => EvocError::Cancelled(cancelled),
            BuildError::Row(error) => EvocError::Row(error),
            BuildError::Param(error) => EvocError::Param(error),
            other => unreachable!("{other}"),
        })?;
        self.monitor.report(n as u64 / 2, n as u64)?;
        let params = HnswSearch::ef((3 * self.k).max(48));
        let pool = ScratchPool::<(HnswScratch<S>, S::Scratch, Vec<Neighbor>)>::default();
        let parts = self.par.map_chunks(n, SHARE, &pool, |(scratch, own, out), range| {
            let mut part = self.none();
            for id in range {
                let query = row(id);
                let found = graph.search_with(query.borrow(), self.k, &params, &All, scratch, out);
                found.map_err(|source| RowError { row: id, source })?;
                // Stores number rows by u32.
                let id = id as u32;
                part.add(id, graph.store().oracle_at(id, own).distance(id), out, &unlike);
            }
            Ok(part)
        });
        let mut found = self.none();
        for part in parts {
            found.append(part.map_err(EvocError::Row)?);
        }
        Ok(found)
    }

    fn none(&self) -> Neighborhoods {
        Neighborhoods { k: self.k, ..Neighborhoods::default() }
    }
}

/// Pushes what may enter. Nearly nothing does, so sixteen are dismissed at a time.
fn offer(nearest: &mut Reservoir, first: u32, distances: &[f32]) {
    for (ids, chunk) in (first..).step_by(16).zip(distances.chunks(16)) {
        let bound = nearest.bound();
        if chunk.iter().fold(true, |all, &distance| all & (distance > bound)) {
            continue;
        }
        for (id, &distance) in (ids..).zip(chunk) {
            if distance <= nearest.bound() {
                nearest.push(id, distance);
            }
        }
    }
}

/// The rows in a store of `T`, by the inner product.
fn dense<T: Scalar>(n: usize, dim: usize, row: impl Fn(usize) -> Vec<f32>) -> Result<FlatStore<T>, EvocError> {
    let unusable = |error: FlatError| EvocError::Kernels { reason: error.to_string() };
    let mut store = FlatStore::<T>::new(dim, Metric::InnerProduct).map_err(unusable)?;
    store.reserve(n);
    for id in 0..n {
        store.push(&row(id)).map_err(|source| RowError { row: id, source })?;
    }
    Ok(store)
}

/// A row of norm 1, or of zeros.
fn unit(row: &[f32]) -> Vec<f32> {
    let norm = row.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
    let scale = if norm > 0.0 { 1.0 / norm } else { 1.0 };
    row.iter().map(|&x| (f64::from(x) * scale) as f32).collect()
}

/// Up to eight bytes of bits in one word.
fn word(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |word, &byte| (word << 8) | u64::from(byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ann_core::Matrix;
    use ann_testkit::portable::mix128;

    fn find(rows: &Embeddings<'_>, k: usize) -> Neighborhoods {
        Neighborhoods::find(rows, k, 0, Par::Ambient, Monitor::new()).unwrap()
    }

    #[test]
    fn a_row_comes_first_even_among_its_copies() {
        let mut data = vec![1.0f32; 20];
        data[18..].copy_from_slice(&[0.0, 1.0]);
        let rows = Matrix::new(data, 2).unwrap();
        let found = find(&(&rows).into(), 4);
        for row in 0..10 {
            let (ids, unlike) = found.of(row);
            assert_eq!((ids.len(), ids[0] as usize), (4, row));
            assert!(unlike[1..].is_sorted());
        }
        let copies: Vec<_> = (0..9).flat_map(|a| (a + 1..9).map(move |b| (a, b))).collect();
        let pairs = found.pairs_within(f32::min);
        assert!(!pairs.is_empty() && pairs.iter().all(|pair| copies.contains(pair)));
    }

    #[test]
    fn a_graph_finds_nearly_the_nearest_of_each_kind_of_row() {
        const N: usize = 2001;
        let floats = mix128(N, 0).base;
        let small: Vec<i8> = floats.as_slice().iter().map(|x| (x * 10.0).round().clamp(-128.0, 127.0) as i8).collect();
        let small = Matrix::new(small, 128).unwrap();
        let byte = |x: &[f32]| x.iter().fold(0u8, |byte, &x| (byte << 1) | u8::from(x > 0.0));
        let bits = Matrix::new(floats.as_slice().chunks(8).map(byte).collect(), 16).unwrap();
        let kinds: [(&str, Embeddings<'_>); 3] =
            [("cosine", (&floats).into()), ("dot", (&small).into()), ("bits", (&bits).into())];
        for (name, rows) in kinds {
            let find =
                |exact_rows, par| Neighborhoods::find_with(&rows, 15, 3, exact_rows, par, Monitor::new()).unwrap();
            let (exact, found) = (find(N, Par::Ambient), find(N - 1, Par::Threads(2)));
            assert_eq!(found, find(N - 1, Par::Serial), "{name}");
            assert_eq!((found.len(), found.ids.len()), (N, 15 * N), "{name}");
            // By how unlike they are, since bits have many ties; the row itself does not count.
            let mut hits = 0;
            for row in 0..N {
                let (ids, unlike) = found.of(row);
                assert_eq!(ids[0] as usize, row, "{name}");
                assert!(unlike[1..].is_sorted(), "{name} {row}");
                let most = exact.of(row).1[14];
                hits += unlike[1..].iter().filter(|&&unlike| unlike <= most + 1e-6).count();
            }
            let recall = hits as f64 / (14 * N) as f64;
            assert!(recall >= 0.95, "{name}: recall {recall:.3}");
        }
    }

    #[test]
    fn rows_that_are_compared_as_bytes_first_have_nearly_the_neighbors_that_they_have() {
        const N: usize = 4500;
        let rows = mix128(N, 0).base;
        assert!(stand_in::bytes(rows.view(), Metric::Cosine).is_some());
        let found = find(&(&rows).into(), 15);
        let store = dense::<f32>(N, 128, |row| unit(rows.row(row))).unwrap();
        let search = Search { k: 15, seed: 0, exact_rows: N, par: Par::Ambient, monitor: Monitor::new() };
        let truth = search.exact(&store, |distance| (-(-distance).max(f32::MIN_POSITIVE).log2()).max(0.0)).unwrap();
        let (mut same, mut farther) = (0, 0);
        for row in 0..N {
            let [(ids, unlike), (true_ids, least)] = [found.of(row), truth.of(row)];
            assert_eq!(ids[0] as usize, row);
            same += ids.iter().filter(|id| true_ids.contains(id)).count();
            farther += unlike.iter().zip(least).filter(|(a, b)| a > b).count();
        }
        assert!(same as f64 >= 0.9999 * (15 * N) as f64, "{same} of {}", 15 * N);
        assert!(farther <= 50, "{farther}");
    }

    #[test]
    fn neighbors_are_the_nearest_of_each_kind_of_row() {
        let floats = mix128(300, 0).base;
        let small: Vec<i8> = floats.as_slice().iter().map(|x| (x * 10.0).round().clamp(-128.0, 127.0) as i8).collect();
        let small = Matrix::new(small, 128).unwrap();
        let bits =
            floats.rows().map(|row| row.chunks(8).map(|x| x.iter().fold(0u8, |b, &x| (b << 1) | u8::from(x > 0.0))));
        let bits = Matrix::new(bits.flatten().collect(), 16).unwrap();
        let alike = |row: usize, other: usize| {
            let products =
                |of: &dyn Fn(usize, usize) -> f64| -> [f64; 3] { [of(row, other), of(row, row), of(other, other)] };
            let float = products(&|a, b| {
                floats.row(a).iter().zip(floats.row(b)).map(|(&x, &y)| f64::from(x) * f64::from(y)).sum()
            });
            let dot = products(&|a, b| {
                small.row(a).iter().zip(small.row(b)).map(|(&x, &y)| f64::from(x) * f64::from(y)).sum()
            });
            let common: u32 = bits.row(row).iter().zip(bits.row(other)).map(|(x, y)| (x & y).count_ones()).sum();
            let either: u32 = bits.row(row).iter().zip(bits.row(other)).map(|(x, y)| (x | y).count_ones()).sum();
            [
                -(float[0] / (float[1] * float[2]).sqrt()).log2(),
                1.0 / dot[0],
                -(f64::from(common) / f64::from(either)).log2(),
            ]
        };
        let kinds: [Embeddings<'_>; 3] = [(&floats).into(), (&small).into(), (&bits).into()];
        for (kind, rows) in kinds.iter().enumerate() {
            let found = find(rows, 6);
            for row in [0, 7, 299] {
                let mut truth: Vec<f64> = (0..300)
                    .filter(|&other| other != row)
                    .map(|other| alike(row, other)[kind])
                    .filter(|x| *x > 0.0)
                    .collect();
                truth.sort_by(f64::total_cmp);
                for (&found, truth) in found.of(row).1[1..].iter().zip(truth) {
                    assert!(
                        (f64::from(found) - truth).abs() < 1e-5 * truth.abs().max(0.1),
                        "{kind} {row}: {found} {truth}"
                    );
                }
            }
        }
    }
}
