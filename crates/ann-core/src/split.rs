//! Rows of `f32` in two planes of 16 bits, so that a walk reads half of their bytes.
//!
//! The upper plane is the row rounded to `bf16`, the lower what rounding took away: together they are the row, to the
//! bit. [`DistanceOracle::distances`] reads the upper plane alone and gives estimates, off by no more than the store
//! knows; [`DistanceOracle::exact`] reads both. A structure walks on estimates and asks for the exact distances of what
//! it returns. (Two levels as in Aguerrebere et al., *Similarity search in the blink of an eye with compressed indices*,
//! VLDB 2023, here without loss.)

use crate::dense::{check_dense, prepare_dense, unit_distance};
use crate::{
    DistanceOracle, FlatError, FlatOracle, FlatScratch, FlatStore, MatrixView, Metric, PushVector, ReadRow, Reorder,
    RowError, VectorError, VectorStore,
};
use ann_simd::{Arch, Buffer, Kernel, Op, Rows};
use half::bf16;
use std::cell::{Cell, RefCell};

/// Rows of `f32` under `L2`, `InnerProduct` or `Cosine`, of which searches read one half first.
///
/// ```
/// use ann_core::{DistanceOracle, Matrix, Metric, SplitStore, VectorStore};
/// let rows = Matrix::from_rows(&[[0.0, 0.0], [3.0, 4.001]])?;
/// let store = SplitStore::from_rows(rows.view(), Metric::L2)?;
/// let mut scratch = Default::default();
/// let oracle = store.oracle(&[0.0, 0.0], &mut scratch);
/// let (mut estimate, mut exact) = ([0.0], [0.0]);
/// oracle.distances(&[1], &mut estimate);
/// oracle.exact(&[1], &mut exact);
/// assert_eq!((estimate, exact), ([25.0], [9.0 + 4.001 * 4.001]));
/// assert!(oracle.floor(estimate[0]) < exact[0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct SplitStore {
    metric: Metric,
    /// Rounded rows; normalised before under cosine, hence compared by inner product.
    high: FlatStore<bf16>,
    /// What a row's bits are beyond those of its rounded values, with the same padding.
    low: Buffer<i16>,
    /// Largest norm of what rounding took from a row.
    error: f32,
    kernel: Kernel<f32, f32>,
}

impl SplitStore {
    /// What errors and files call its rows.
    pub const NAME: &str = "f32 in halves";

    /// An empty store of rows of `dim` values.
    ///
    /// # Errors
    /// [`FlatError`] if the metric is none of the three, `dim` is not 1 to 1,048,576, or `ANN_ARCH` asks for what is not
    /// there.
    pub fn new(dim: usize, metric: Metric) -> Result<Self, FlatError> {
        let refused = FlatError::Metric { metric, kind: Self::NAME };
        let (compared, op) = match metric {
            Metric::L2 => (Metric::L2, Op::SquaredL2),
            Metric::InnerProduct | Metric::Cosine => (Metric::InnerProduct, Op::Dot),
            _ => return Err(refused),
        };
        let kernel = Kernel::new(Arch::detect()?, op).ok_or(refused)?;
        Ok(Self { metric, high: FlatStore::new(dim, compared)?, low: Buffer::new(), error: 0.0, kernel })
    }

    /// Copies `rows`, `(n, dim)`, into a new store.
    ///
    /// # Errors
    /// [`FlatError::Row`] for the first row that is not finite, is zero under cosine, or has a value beyond the range of
    /// `bf16` (3.39e38).
    pub fn from_rows(rows: MatrixView<'_, f32>, metric: Metric) -> Result<Self, FlatError> {
        let mut store = Self::new(rows.dim(), metric)?;
        store.high.reserve(rows.len());
        store.low.reserve(rows.len().saturating_mul(store.stride()));
        for (row, vector) in rows.rows().enumerate() {
            store.push(vector).map_err(|source| RowError { row, source })?;
        }
        Ok(store)
    }

    /// Puts a store together from what [`Self::high`], [`Self::low`] and [`Self::error`] gave.
    ///
    /// # Errors
    /// [`FlatError::Parts`] if the parts do not fit together; contents are taken as they are.
    pub fn from_parts(metric: Metric, high: FlatStore<bf16>, low: Buffer<i16>, error: f32) -> Result<Self, FlatError> {
        let empty = Self::new(high.dim(), metric)?;
        if high.metric() != empty.high.metric() {
            return Err(FlatError::Metric { metric: high.metric(), kind: Self::NAME });
        }
        let (expected, found) = (high.padded_rows().len(), low.len());
        if expected != found {
            return Err(FlatError::Parts { what: "lower halves of the padded rows", expected, found });
        }
        Ok(Self { high, low, error, ..empty })
    }

    /// The metric that was chosen.
    pub fn metric(&self) -> Metric {
        self.metric
    }

    /// Columns of a row.
    pub fn dim(&self) -> usize {
        self.high.dim()
    }

    /// The upper halves: rows rounded to `bf16`.
    pub fn high(&self) -> &FlatStore<bf16> {
        &self.high
    }

    /// The lower halves, padded as the upper ones are.
    pub fn low(&self) -> &[i16] {
        &self.low
    }

    /// Largest norm of what rounding took from a row.
    pub fn error(&self) -> f32 {
        self.error
    }

    /// Whole rows in a store of their own.
    ///
    /// # Errors
    /// [`FlatError::Arch`] if `ANN_ARCH` asks for what is not there.
    pub fn joined(&self) -> Result<FlatStore<f32>, FlatError> {
        let mut whole = FlatStore::<f32>::new(self.dim(), self.metric)?;
        whole.reserve(self.len());
        let mut vector = Vec::with_capacity(self.stride());
        for row in 0..self.len() {
            self.join(row as u32, &mut vector);
            whole.push(&vector[..self.dim()]).map_err(|source| RowError { row, source })?;
        }
        Ok(whole)
    }

    fn stride(&self) -> usize {
        self.high.kernel_rows().stride()
    }

    fn low_rows(&self) -> Rows<'_, i16> {
        Rows::new(&self.low, self.stride(), self.stride())
    }

    /// Row `id` with its padding.
    fn join(&self, id: u32, out: &mut Vec<f32>) {
        let high = self.high.kernel_rows().row(id as usize);
        out.clear();
        out.extend(high.iter().zip(self.low_rows().row(id as usize)).map(|(&high, &low)| join(high, low)));
    }

    /// By how much the distance to a query may be off, in the terms of [`SplitOracle::floor`].
    fn reach(&self, query: &[f32]) -> f32 {
        // Kernels round too, by far less than this.
        const ROUNDING: f32 = 1.001;
        match self.metric {
            Metric::L2 => self.error * ROUNDING,
            _ => norm(query) * self.error * ROUNDING,
        }
    }
}

/// `value` as the nearest `bf16` and what must be added to its bits to have those of `value`; `None` if the nearest is
/// infinite.
fn split(value: f32) -> Option<(bf16, i16)> {
    let bits = value.to_bits();
    let high = bf16::from_bits((bits.wrapping_add(1 << 15) >> 16) as u16);
    high.is_finite().then_some((high, bits as u16 as i16))
}

fn join(high: bf16, low: i16) -> f32 {
    f32::from_bits((u32::from(high.to_bits()) << 16).wrapping_add(i32::from(low) as u32))
}

fn norm(vector: &[f32]) -> f32 {
    vector.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt() as f32
}

/// Where a [`SplitStore`] prepares a query.
#[derive(Debug, Default)]
pub struct SplitScratch {
    high: FlatScratch<bf16>,
    query: Vec<f32>,
    /// A row that is a query, and a row that it is compared with.
    rows: RefCell<[Vec<f32>; 2]>,
}

/// Answers for one query against a [`SplitStore`].
#[derive(Debug)]
pub struct SplitOracle<'a> {
    store: &'a SplitStore,
    high: FlatOracle<'a, bf16>,
    query: Query<'a>,
    reach: Cell<Option<f32>>,
    /// Where rows are put together.
    rows: &'a RefCell<[Vec<f32>; 2]>,
}

/// Builders compare rows by their upper halves alone, so a row is put together when its exact distances are asked for.
#[derive(Debug, Clone, Copy)]
enum Query<'a> {
    Given(&'a [f32]),
    Row(u32),
}

impl SplitOracle<'_> {
    /// By how much an estimate may be off.
    fn reach(&self) -> f32 {
        let reach = || match self.query {
            Query::Given(query) => self.store.reach(query),
            // Both sides are rounded.
            Query::Row(id) => {
                let row = &mut self.rows.borrow_mut()[0];
                self.store.join(id, row);
                2.0 * self.store.reach(row)
            }
        };
        let reach = self.reach.get().unwrap_or_else(reach);
        self.reach.set(Some(reach));
        reach
    }
}

impl DistanceOracle for SplitOracle<'_> {
    const ESTIMATES: bool = true;

    fn distances(&self, ids: &[u32], out: &mut [f32]) {
        self.high.distances(ids, out);
        if self.store.metric == Metric::Cosine {
            // The upper halves give the negated product.
            out.iter_mut().for_each(|x| *x = unit_distance(-*x));
        }
    }

    fn exact(&self, ids: &[u32], out: &mut [f32]) {
        /// Rows asked for ahead of the one that is compared.
        const AHEAD: usize = 4;
        let (high, low) = (self.store.high.kernel_rows(), self.store.low_rows());
        let ask = |&id: &u32| {
            high.prefetch(id, usize::MAX);
            low.prefetch(id, usize::MAX);
        };
        let (soon, later) = ids.split_at(AHEAD.min(ids.len()));
        let mut later = later.iter();
        soon.iter().for_each(ask);
        let [query, row] = &mut *self.rows.borrow_mut();
        let query = match self.query {
            Query::Given(query) => query,
            Query::Row(id) => {
                self.store.join(id, query);
                query
            }
        };
        for (&id, out) in ids.iter().zip(out.iter_mut()) {
            later.next().into_iter().for_each(ask);
            self.store.join(id, row);
            *out = self.store.kernel.pair(query, row);
        }
        match self.store.metric {
            Metric::Cosine => out.iter_mut().for_each(|x| *x = unit_distance(*x)),
            Metric::InnerProduct => out.iter_mut().for_each(|x| *x = -*x),
            _ => {}
        }
    }

    fn exact_within(&self, threshold: f32, ids: &[u32], out: &mut [f32]) {
        // Kernels round: a sum of squares by such a share, a product of unit vectors by so much. That of others has no bound here.
        let rounding = 2.0 * f32::EPSILON * self.store.stride() as f32;
        if threshold == f32::INFINITY || self.store.metric == Metric::InnerProduct {
            return self.exact(ids, out);
        }
        let beyond = |estimate: f32| {
            let floor = match self.store.metric {
                Metric::L2 => self.floor(estimate) * (1.0 - rounding),
                _ => self.floor(estimate) - rounding,
            };
            estimate.is_finite() && floor > threshold
        };
        self.distances(ids, out);
        let low = self.store.low_rows();
        ids.iter()
            .zip(&*out)
            .filter(|&(_, &estimate)| !beyond(estimate))
            .for_each(|(&id, _)| low.prefetch(id, usize::MAX));
        for (id, out) in ids.chunks(1).zip(out.chunks_mut(1)) {
            if beyond(out[0]) {
                out[0] = f32::INFINITY;
            } else {
                self.exact(id, out);
            }
        }
    }

    fn floor(&self, estimate: f32) -> f32 {
        match self.store.metric {
            Metric::L2 => {
                let root = (estimate.sqrt() - self.reach()).max(0.0);
                root * root
            }
            _ => estimate - self.reach(),
        }
    }

    fn prefetch(&self, id: u32) {
        self.high.prefetch(id);
    }
}

impl VectorStore for SplitStore {
    type Vector = [f32];
    type Scratch = SplitScratch;
    type Oracle<'a> = SplitOracle<'a>;

    fn len(&self) -> usize {
        self.high.len()
    }

    fn check(&self, vector: &[f32]) -> Result<(), VectorError> {
        check_dense(vector, self.dim(), self.metric)
    }

    fn oracle<'a>(&'a self, query: &'a [f32], scratch: &'a mut SplitScratch) -> SplitOracle<'a> {
        prepare_dense(query, self.metric, self.stride(), &mut scratch.query);
        let SplitScratch { high, query, rows } = scratch;
        let high = self.high.oracle(&query[..self.dim()], high);
        SplitOracle { store: self, high, query: Query::Given(query), reach: Cell::new(None), rows }
    }

    /// Compares rounded rows with rounded rows: the same from either side, and 0 between copies.
    fn oracle_at<'a>(&'a self, id: u32, scratch: &'a mut SplitScratch) -> SplitOracle<'a> {
        let SplitScratch { high, rows, .. } = scratch;
        let high = self.high.oracle_at(id, high);
        SplitOracle { store: self, high, query: Query::Row(id), reach: Cell::new(None), rows }
    }

    fn tile(&self, queries: &[u32], rows: &[u32], scratch: &mut SplitScratch, out: &mut [f32]) {
        self.high.tile(queries, rows, &mut scratch.high, out);
        if self.metric == Metric::Cosine {
            out.iter_mut().for_each(|x| *x = unit_distance(-*x));
        }
    }

    fn memory_usage(&self) -> usize {
        self.high.memory_usage() + self.low.memory_bytes()
    }
}

impl Reorder for SplitStore {
    fn reorder(&mut self, order: &[u32]) {
        self.high.reorder(order);
        let (stride, mut low) = (self.stride(), Buffer::zeroed(self.low.len()));
        for (to, &from) in low.as_mut_slice().chunks_exact_mut(stride).zip(order) {
            to.copy_from_slice(&self.low[from as usize * stride..][..stride]);
        }
        self.low = low;
    }
}

impl PushVector for SplitStore {
    fn push(&mut self, vector: &[f32]) -> Result<u32, VectorError> {
        self.check(vector)?;
        let (start, stride) = (self.low.len(), self.stride());
        let mut row = Vec::new();
        prepare_dense(vector, self.metric, stride, &mut row);
        self.low.resize(start + stride, 0);
        let mut lost = 0.0;
        for (column, (value, low)) in row.iter_mut().zip(&mut self.low.as_mut_slice()[start..]).enumerate() {
            let Some((high, rest)) = split(*value) else {
                let value = *value;
                self.low.truncate(start);
                return Err(VectorError::Inexact { column, value, kind: Self::NAME });
            };
            lost += (f64::from(*value) - f64::from(high.to_f32())).powi(2);
            (*value, *low) = (high.to_f32(), rest);
        }
        let id = self.high.push(&row[..self.high.dim()]).inspect_err(|_| self.low.truncate(start))?;
        self.error = self.error.max(lost.sqrt() as f32);
        Ok(id)
    }

    fn truncate(&mut self, len: usize) {
        // The error stays as large as it was, which is never wrong.
        self.high.truncate(len);
        self.low.truncate(self.high.padded_rows().len());
    }

    fn swap_remove(&mut self, id: u32) {
        let (row, stride) = (id as usize, self.stride());
        self.high.swap_remove(id);
        let last = self.high.len() * stride;
        self.low.as_mut_slice().copy_within(last.., row * stride);
        self.low.truncate(last);
    }
}

impl ReadRow for SplitStore {
    fn dim(&self) -> usize {
        self.high.dim()
    }

    fn metric(&self) -> Metric {
        self.metric
    }

    fn read(&self, id: u32, out: &mut Vec<f32>) {
        self.join(id, out);
        out.truncate(self.high.dim());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Matrix;
    use proptest::prelude::*;

    #[test]
    fn halves_are_the_value_to_the_bit() {
        for value in [0.0, -0.0, 1.0, -1.0, 1e-45, f32::MIN_POSITIVE, 1.003_906_3, -2.7, 3.3e38, 0.1] {
            let (high, low) = split(value).unwrap();
            assert_eq!(join(high, low).to_bits(), value.to_bits(), "{value}");
        }
        assert_eq!(split(f32::MAX), None);
    }

    #[test]
    fn a_value_beyond_the_range_is_refused_and_nothing_changes() {
        let mut store = SplitStore::from_rows(Matrix::from_rows(&[[1.0, 2.0]]).unwrap().view(), Metric::L2).unwrap();
        let error = store.push(&[0.0, f32::MAX]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "column 1 is 340282350000000000000000000000000000000, which rows of f32 in halves cannot hold exactly"
        );
        assert_eq!((store.len(), store.low().len()), (1, store.high().padded_rows().len()));
        assert!(matches!(SplitStore::new(2, Metric::L1), Err(FlatError::Metric { .. })));
    }

    #[test]
    fn rows_beyond_a_threshold_are_not_put_together() {
        let rows = Matrix::from_rows(&[[0.0, 0.1], [0.3, 0.1], [0.0, 0.2], [0.4, 0.3]]).unwrap();
        let store = SplitStore::from_rows(rows.view(), Metric::L2).unwrap();
        let mut scratch = SplitScratch::default();
        let (oracle, mut found) = (store.oracle(rows.row(0), &mut scratch), [0.0; 4]);
        oracle.exact_within(0.02, &[0, 1, 2, 3], &mut found);
        assert_eq!(found, [0.0, f32::INFINITY, 0.1 * 0.1, f32::INFINITY]);
    }

    #[test]
    fn tiles_and_exact_distances_of_rows_are_what_oracles_say() {
        let rows = Matrix::new((0..30 * 19).map(|i| ((i * 7919) % 1000) as f32 / 3000.0 - 0.1).collect(), 19).unwrap();
        for metric in [Metric::L2, Metric::InnerProduct, Metric::Cosine] {
            let store = SplitStore::from_rows(rows.view(), metric).unwrap();
            let ids: Vec<u32> = (0..30).collect();
            let [mut a, mut b] = [SplitScratch::default(), SplitScratch::default()];
            let (mut tile, mut line, mut given) = (vec![0.0; 60], vec![0.0; 30], vec![0.0; 30]);
            store.tile(&[29, 4], &ids, &mut a, &mut tile);
            for (id, found) in [29, 4].into_iter().zip(tile.chunks(30)) {
                let oracle = store.oracle_at(id, &mut a);
                oracle.distances(&ids, &mut line);
                assert_eq!(found, line);
                oracle.exact(&ids, &mut line);
                let query = store.oracle(rows.row(id as usize), &mut b);
                query.exact(&ids, &mut given);
                assert_eq!(line, given, "{metric}");
                assert!(
                    oracle.floor(0.5) < query.floor(0.5) && query.floor(0.5) < 0.5,
                    "{metric}: twice as much is rounded"
                );
            }
        }
    }

    fn vectors() -> impl Strategy<Value = Vec<[f32; 37]>> {
        let value = prop_oneof![-1.0f32..1.0, Just(0.25f32), -1e3f32..1e3, -1e-6f32..1e-6];
        proptest::collection::vec(proptest::collection::vec(value, 37), 2..12)
            .prop_map(|rows| rows.into_iter().map(|row| row.try_into().unwrap()).collect())
    }

    proptest! {
        #[test]
        fn any_finite_value_in_range_comes_back(bits in any::<u32>()) {
            let value = f32::from_bits(bits);
            if value.abs() < 3.38e38 {
                let (high, low) = split(value).unwrap();
                prop_assert_eq!(join(high, low).to_bits(), bits);
            }
        }

        /// Exact distances are those of whole rows to the bit, and never below the floor of the estimate.
        #[test]
        fn exact_is_exact_and_the_floor_holds(rows in vectors()) {
            let rows = Matrix::from_rows(&rows).unwrap();
            for metric in [Metric::L2, Metric::InnerProduct, Metric::Cosine] {
                let (Ok(split), Ok(flat)) =
                    (SplitStore::from_rows(rows.view(), metric), FlatStore::<f32>::from_rows(rows.view(), metric))
                else {
                    continue; // a zero row under cosine
                };
                let ids: Vec<u32> = (0..rows.len() as u32).collect();
                let [mut estimates, mut exact, mut whole] = [(); 3].map(|()| vec![0.0; ids.len()]);
                let (mut scratch, mut flat_scratch) = Default::default();
                let oracle = split.oracle(rows.row(0), &mut scratch);
                oracle.distances(&ids, &mut estimates);
                oracle.exact(&ids, &mut exact);
                flat.oracle(rows.row(0), &mut flat_scratch).distances(&ids, &mut whole);
                prop_assert_eq!(&exact, &whole);
                for &threshold in exact.iter().chain(&[f32::INFINITY, 0.0, -1.0]) {
                    oracle.exact_within(threshold, &ids, &mut estimates);
                    for (&within, &exact) in estimates.iter().zip(&exact) {
                        prop_assert!(within == exact || within > threshold && exact > threshold, "{metric} {threshold}: {within} {exact}");
                    }
                }
                oracle.distances(&ids, &mut estimates);
                for (&estimate, &exact) in estimates.iter().zip(&exact) {
                    let slack = 1e-5 * (1.0 + exact.abs());
                    prop_assert!(oracle.floor(estimate) <= exact + slack, "{metric}: {estimate} for {exact}");
                }
                prop_assert_eq!(split.joined().unwrap().padded_rows().len(), flat.padded_rows().len());
            }
        }

        #[test]
        fn rows_see_each_other_alike(rows in vectors()) {
            let rows = Matrix::from_rows(&rows).unwrap();
            let store = SplitStore::from_rows(rows.view(), Metric::L2).unwrap();
            let (mut a, mut b) = Default::default();
            let (a, b) = (store.oracle_at(0, &mut a), store.oracle_at(1, &mut b));
            prop_assert_eq!(a.distance(1), b.distance(0));
            prop_assert_eq!(a.distance(0), 0.0);
        }
    }
}
