//! Filters that leave few rows: these are compared one by one, which costs less than a walk through all the others and misses none.

use crate::any::RowFilter;
use ann_core::{DistanceOracle, Neighbor, SearchStats, TopK, VectorError, VectorStore, split_mix};

/// Rows that are asked what share of all a filter leaves.
const SAMPLE: usize = 512;
/// Distances of a walk without a filter. With one it costs about as many times more as the share is smaller than 1.
const WALK: f64 = 1000.0;
/// Rows compared by one call.
const BLOCK: usize = 256;

/// Memory of searches through few rows.
pub(crate) struct Few<S: VectorStore> {
    oracle: S::Scratch,
    rows: Vec<u32>,
    distances: Vec<f32>,
    nearest: TopK,
}

impl<S: VectorStore> Default for Few<S> {
    fn default() -> Self {
        Self { oracle: S::Scratch::default(), rows: Vec::new(), distances: Vec::new(), nearest: TopK::default() }
    }
}

impl<S: VectorStore<Vector = [f32]>> Few<S> {
    /// Replaces `out` by the `k` nearest of the rows that `accepts` leaves; `None`, and nothing done, if these seem to be many.
    ///
    /// The guess is made on rows that depend on their number alone: the same search takes the same way every time.
    pub(crate) fn search(
        &mut self,
        store: &S,
        query: &[f32],
        k: usize,
        accepts: RowFilter<'_>,
        out: &mut Vec<Neighbor>,
    ) -> Result<Option<SearchStats>, VectorError> {
        let len = store.len();
        let drawn = (0..SAMPLE.min(len)).map(|i| (split_mix(0, i as u64) % len as u64) as u32);
        // As if one more had been accepted: a filter may well leave a few rows of which none was drawn.
        let share = (drawn.filter(|&row| accepts(row)).count() + 1) as f64 / (SAMPLE.min(len) + 1) as f64;
        if share * share * len as f64 > WALK {
            return Ok(None);
        }
        out.clear();
        store.check(query)?;
        let Self { oracle, rows, distances, nearest } = self;
        rows.clear();
        rows.extend((0..len as u32).filter(|&row| accepts(row)));
        distances.resize(BLOCK, 0.0);
        nearest.reset(k);
        let oracle = store.oracle(query, oracle);
        for rows in rows.chunks(BLOCK) {
            let distances = &mut distances[..rows.len()];
            oracle.exact(rows, distances);
            rows.iter().zip(distances).for_each(|(&row, &mut distance)| nearest.push(Neighbor::new(row, distance)));
        }
        nearest.drain_sorted(out);
        Ok(Some(SearchStats { evaluations: rows.len() as u64, ..SearchStats::default() }))
    }
}
