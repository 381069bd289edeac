//! Inner products as distances: rows with one more coordinate, by which all of them have the same norm.
//!
//! With `m` the largest norm, `(x, √(m² - ‖x‖²))` have products that order as their distances do, and a query `(q, 0)` is nearest to
//! the row with the largest product (Bachrach et al., *Speeding up the Xbox recommender system*, RecSys 2014). So a
//! graph for products is built where balls are balls, rows of great norm do not swallow all others, and no distance is
//! negative. The rows themselves are not needed: a product of a row with itself says its norm.

use ann_core::{DistanceOracle, Par, ScratchPool, VectorError, VectorStore};

/// Rows per unit of parallel work.
const CHUNK: usize = 1024;

/// A store under the inner product, measured as half of the squared distance of the lifted rows.
pub(super) struct Lifted<'s, S> {
    store: &'s S,
    norms: Vec<Norm>,
}

/// Half of a row's squared norm, and its coordinate beyond the columns.
#[derive(Debug, Clone, Copy, Default)]
struct Norm {
    half: f32,
    height: f32,
}

impl<'s, S: VectorStore> Lifted<'s, S> {
    /// `None` if no row is at a negative distance to itself: then distances are such already.
    pub(super) fn of(store: &'s S, par: Par) -> Option<Self> {
        let pool = ScratchPool::<S::Scratch>::default();
        let itself: Vec<Vec<f32>> = par.map_chunks(store.len(), CHUNK, &pool, |scratch, range| {
            range.map(|row| store.oracle_at(row as u32, scratch).distance(row as u32)).collect()
        });
        let least = itself.iter().flatten().fold(0.0, |least: f32, &distance| least.min(distance));
        let norm = |&itself: &f32| Norm { half: -itself / 2.0, height: (itself - least).max(0.0).sqrt() };
        (least < 0.0).then(|| Self { store, norms: itself.iter().flatten().map(norm).collect() })
    }
}

impl Norm {
    fn distance(self, other: Self, product: f32) -> f32 {
        let rise = self.height - other.height;
        product + (self.half + other.half) + rise * rise / 2.0
    }
}

impl<S: VectorStore> VectorStore for Lifted<'_, S> {
    type Vector = S::Vector;
    type Scratch = S::Scratch;
    type Oracle<'a>
        = LiftedOracle<'a, S::Oracle<'a>>
    where
        Self: 'a;

    fn len(&self) -> usize {
        self.store.len()
    }

    fn check(&self, vector: &S::Vector) -> Result<(), VectorError> {
        self.store.check(vector)
    }

    fn oracle<'a>(&'a self, query: &'a S::Vector, scratch: &'a mut S::Scratch) -> Self::Oracle<'a> {
        // Queries lie at height zero, and their norms change no order: none is asked for while building.
        LiftedOracle { oracle: self.store.oracle(query, scratch), norms: &self.norms, query: Norm::default() }
    }

    fn oracle_at<'a>(&'a self, id: u32, scratch: &'a mut S::Scratch) -> Self::Oracle<'a> {
        let oracle = self.store.oracle_at(id, scratch);
        LiftedOracle { oracle, norms: &self.norms, query: self.norms[id as usize] }
    }

    fn tile(&self, queries: &[u32], rows: &[u32], scratch: &mut S::Scratch, out: &mut [f32]) {
        self.store.tile(queries, rows, scratch, out);
        for (&query, line) in queries.iter().zip(out.chunks_exact_mut(rows.len().max(1))) {
            lift(self.norms[query as usize], &self.norms, rows, line);
        }
    }

    fn memory_usage(&self) -> usize {
        self.store.memory_usage() + self.norms.len() * size_of::<Norm>()
    }
}

/// Answers for one row of a [`Lifted`] store.
pub(super) struct LiftedOracle<'a, O> {
    oracle: O,
    norms: &'a [Norm],
    query: Norm,
}

impl<O: DistanceOracle> DistanceOracle for LiftedOracle<'_, O> {
    fn distances(&self, ids: &[u32], out: &mut [f32]) {
        self.oracle.distances(ids, out);
        lift(self.query, self.norms, ids, out);
    }

    fn prefetch(&self, id: u32) {
        self.oracle.prefetch(id);
    }
}

/// Turns negated products into distances.
fn lift(query: Norm, norms: &[Norm], ids: &[u32], out: &mut [f32]) {
    for (&id, out) in ids.iter().zip(out) {
        *out = query.distance(norms[id as usize], *out);
    }
}
