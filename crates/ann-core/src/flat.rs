//! Rows of numbers under one of the built-in metrics.
//!
//! A row is stored as given in its element type; only `f32` rows under [`Metric::Cosine`] are normalised on entry
//! (narrower rows keep their exact values and one inverse norm beside). Rows are padded with zeros to whole cache lines
//! (short rows to a power of two), so that no row shares its first line with another and no kernel has a tail to handle.
//!
//! Rows come as they are or not at all, unless the store was told to round them ([`FlatStore::rounded`]); then they are
//! normalised under cosine whatever the type, since rounding may take small values to zero.
//!
//! A query that the element type holds exactly is compared in integers where the type is an integer, with the same
//! result on every instruction set; any other query is compared in `f32`.

use crate::dense::{MAX_DIM, MAX_ROWS, check_dense, inverse_norm, padded_len, prepare_dense, unit_distance};
use crate::{
    DistanceOracle, ElementKind, Gauge, MatrixView, Metric, PushVector, ReadRow, Reorder, RowError, Scalar,
    VectorError, VectorStore,
};
use ann_simd::{Arch, ArchError, Buffer, Kernel, Op, Rows};

/// Rows of numbers under one of the metrics `L2`, `InnerProduct`, `Cosine`, `L1`.
///
/// ```
/// use ann_core::{DistanceOracle, FlatStore, Matrix, Metric, VectorStore};
/// let rows = Matrix::from_rows(&[[0.0, 0.0], [3.0, 4.0]])?;
/// let store = FlatStore::<f32>::from_rows(rows.view(), Metric::L2)?;
/// let mut scratch = Default::default();
/// let oracle = store.oracle(&[0.0, 0.0], &mut scratch);
/// assert_eq!(oracle.distance(1), 25.0); // squared
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct FlatStore<T: Scalar> {
    metric: Metric,
    dim: usize,
    stride: usize,
    len: usize,
    /// Whether values are rounded that `T` cannot hold.
    rounds: bool,
    rows: Buffer<T>,
    /// `1 / ‖row‖` of every row under cosine, unless rows are normalised themselves; empty otherwise.
    inverse_norms: Buffer<f32>,
    kernels: Kernels<T>,
}

/// The two ways to compare: against an `f32` query, or type against type where kernels exist.
#[derive(Debug, Clone, Copy)]
struct Kernels<T: Scalar> {
    float: Kernel<f32, T>,
    same: Option<Kernel<T, T>>,
}

/// Why a store could not be made.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FlatError {
    /// A row does not belong.
    #[error(transparent)]
    Row(#[from] RowError),
    /// The metric is not one of dense rows.
    #[error("the metric {metric} does not apply to rows of {kind}")]
    Metric {
        /// What was asked for.
        metric: Metric,
        /// Element type of the rows.
        kind: &'static str,
    },
    /// The instruction set that `ANN_ARCH` asks for is not there.
    #[error(transparent)]
    Arch(#[from] ArchError),
    /// Rows of no columns, or of more than any data has.
    #[error("rows have {found} columns, must have 1 to {MAX_DIM}")]
    Dim {
        /// Columns asked for.
        found: usize,
    },
    /// Parts that do not fit together, found when a store is put together from a file.
    #[error("{what}: expected {expected}, found {found}")]
    Parts {
        /// Which part.
        what: &'static str,
        /// What the other parts ask for.
        expected: usize,
        /// What it is.
        found: usize,
    },
}

impl<T: Scalar> FlatStore<T> {
    /// An empty store of rows of `dim` values.
    ///
    /// # Errors
    /// [`FlatError`] if the metric is not one of dense rows, `dim` is not 1 to 1,048,576, or `ANN_ARCH` asks for what is not
    /// there.
    pub fn new(dim: usize, metric: Metric) -> Result<Self, FlatError> {
        Self::with_arch(dim, metric, Arch::detect()?)
    }

    /// As [`Self::new`], on a given instruction set.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_arch(dim: usize, metric: Metric, arch: Arch) -> Result<Self, FlatError> {
        if !(1..=MAX_DIM).contains(&dim) {
            return Err(FlatError::Dim { found: dim });
        }
        let kernels = Kernels::new(arch, metric).ok_or(FlatError::Metric { metric, kind: T::NAME })?;
        let stride = padded_len::<T>(dim);
        Ok(Self {
            metric,
            dim,
            stride,
            len: 0,
            rounds: false,
            rows: Buffer::new(),
            inverse_norms: Buffer::new(),
            kernels,
        })
    }

    /// Copies `rows`, `(n, dim)`, into a new store.
    ///
    /// # Errors
    /// [`FlatError::Row`] for the first row that is not finite, is zero under cosine, or has a value that `T` cannot
    /// hold exactly (see [`crate::narrowest`]).
    pub fn from_rows(rows: MatrixView<'_, f32>, metric: Metric) -> Result<Self, FlatError> {
        Self::new(rows.dim(), metric)?.with_rows(rows)
    }

    /// As [`Self::from_rows`], but values are rounded to the nearest that `T` holds, of these rows and of all that are
    /// pushed; under cosine once the row has norm 1.
    ///
    /// # Errors
    /// [`FlatError::Row`] for the first row that is not finite, is zero under cosine, or has a value beyond the range of `T`.
    ///
    /// ```
    /// use ann_core::{FlatStore, Matrix, Metric};
    /// use half::bf16;
    /// let thirds = Matrix::from_rows(&[[1.0 / 3.0, 2.0 / 3.0]])?;
    /// assert!(FlatStore::<bf16>::from_rows(thirds.view(), Metric::L2).is_err());
    /// let store = FlatStore::<bf16>::rounded(thirds.view(), Metric::L2)?;
    /// assert_eq!(store.row(0)[0].to_f32(), 0.333_984_38);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn rounded(rows: MatrixView<'_, f32>, metric: Metric) -> Result<Self, FlatError> {
        Self::new(rows.dim(), metric)?.rounding().with_rows(rows)
    }

    fn with_rows(mut self, rows: MatrixView<'_, f32>) -> Result<Self, FlatError> {
        self.reserve(rows.len());
        for (row, vector) in rows.rows().enumerate() {
            self.push(vector).map_err(|source| RowError { row, source })?;
        }
        Ok(self)
    }

    /// The same store, rounding the values of rows to come.
    pub fn rounding(self) -> Self {
        Self { rounds: true, ..self }
    }

    /// Whether values that `T` cannot hold are rounded rather than refused.
    pub fn rounds(&self) -> bool {
        self.rounds
    }

    /// Puts a store together from parts that were taken out of one by [`Self::padded_rows`] and
    /// [`Self::inverse_norms`].
    ///
    /// # Errors
    /// [`FlatError::Parts`] if the lengths do not fit; contents are taken as they are.
    pub fn from_parts(
        dim: usize,
        metric: Metric,
        len: usize,
        rows: Buffer<T>,
        inverse_norms: Buffer<f32>,
    ) -> Result<Self, FlatError> {
        let mut store = Self::new(dim, metric)?;
        let expected = len.saturating_mul(store.stride);
        if rows.len() != expected {
            return Err(FlatError::Parts { what: "values of the padded rows", expected, found: rows.len() });
        }
        let norms = if store.keeps_norms() { len } else { 0 };
        if inverse_norms.len() != norms {
            return Err(FlatError::Parts { what: "inverse norms", expected: norms, found: inverse_norms.len() });
        }
        if len > MAX_ROWS as usize {
            return Err(FlatError::Parts { what: "rows", expected: MAX_ROWS as usize, found: len });
        }
        (store.len, store.rows, store.inverse_norms) = (len, rows, inverse_norms);
        Ok(store)
    }

    /// The same rows in `f32`: the same distances up to rounding, and room for any value.
    ///
    /// # Errors
    /// [`FlatError::Arch`] if `ANN_ARCH` asks for what is not there.
    pub fn widened(&self) -> Result<FlatStore<f32>, FlatError> {
        let mut wide = FlatStore::<f32>::new(self.dim, self.metric)?;
        wide.reserve(self.len);
        let mut vector = Vec::with_capacity(self.dim);
        for row in 0..self.len {
            vector.clear();
            vector.extend(self.row(row as u32).iter().map(|x| x.widen()));
            wide.push(&vector).map_err(|source| RowError { row, source })?;
        }
        Ok(wide)
    }

    /// Makes room for `additional` rows.
    pub fn reserve(&mut self, additional: usize) {
        self.rows.reserve(additional.saturating_mul(self.stride));
        if self.keeps_norms() {
            self.inverse_norms.reserve(additional);
        }
    }

    /// Columns of a row.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// The metric that was chosen.
    pub fn metric(&self) -> Metric {
        self.metric
    }

    /// Row `id` as stored (normalised if `f32` under cosine), without padding.
    ///
    /// # Panics
    /// If `id` is no row.
    pub fn row(&self, id: u32) -> &[T] {
        &self.padded_row(id)[..self.dim]
    }

    /// All rows with their padding, `len * stride` values.
    pub fn padded_rows(&self) -> &[T] {
        &self.rows
    }

    /// The rows as kernels take them: padding included, since it is zero and spares them the tail.
    pub fn kernel_rows(&self) -> Rows<'_, T> {
        Rows::new(&self.rows, self.stride, self.stride)
    }

    /// `1 / ‖row‖` of every row where the store keeps them, empty otherwise.
    pub fn inverse_norms(&self) -> &[f32] {
        &self.inverse_norms
    }

    /// Whether rows live in a mapped file rather than in memory of their own.
    pub fn is_mapped(&self) -> bool {
        self.rows.is_mapped()
    }

    /// The kernel that compares `f32` queries with rows; its value still wants [`Self::finish`].
    pub fn float_kernel(&self) -> Kernel<f32, T> {
        self.kernels.float
    }

    /// Prepares a query as [`Self::float_kernel`] takes it: normalised under cosine, padded with zeros to the length
    /// of a stored row.
    pub fn prepare(&self, query: &[f32], out: &mut Vec<f32>) {
        prepare_dense(query, self.metric, self.stride, out);
    }

    /// Turns what the kernel gave for rows `ids` into distances.
    pub fn finish(&self, ids: impl Iterator<Item = u32>, out: &mut [f32]) {
        self.finish_scaled(1.0, ids, out);
    }

    fn finish_scaled(&self, query_scale: f32, ids: impl Iterator<Item = u32>, out: &mut [f32]) {
        match self.metric {
            Metric::InnerProduct => out.iter_mut().for_each(|x| *x = -*x),
            Metric::Cosine if self.inverse_norms.is_empty() => out.iter_mut().for_each(|x| *x = unit_distance(*x)),
            Metric::Cosine => {
                for (x, id) in out.iter_mut().zip(ids) {
                    *x = unit_distance(*x * (query_scale * self.inverse_norms[id as usize]));
                }
            }
            _ => {}
        }
    }

    fn padded_row(&self, id: u32) -> &[T] {
        &self.rows[id as usize * self.stride..][..self.stride]
    }

    /// Only `f32` can hold a normalised row without loss worth mentioning.
    fn normalises(&self) -> bool {
        self.metric == Metric::Cosine && T::KIND == ElementKind::F32
    }

    /// Other rows are kept as they come, with their norms beside them.
    fn keeps_norms(&self) -> bool {
        self.metric == Metric::Cosine && !self.normalises()
    }
}

impl<T: Scalar> Kernels<T> {
    fn new(arch: Arch, metric: Metric) -> Option<Self> {
        let op = match metric {
            Metric::L2 => Op::SquaredL2,
            Metric::InnerProduct | Metric::Cosine => Op::Dot,
            Metric::L1 => Op::L1,
            _ => return None,
        };
        Some(Self { float: Kernel::new(arch, op)?, same: Kernel::new(arch, op) })
    }
}

/// Whether `nearest` is `value` rounded rather than the end of a range: within half a whole number, or half a unit in the
/// last place of `bf16`, which is the coarsest.
fn is_near(nearest: f32, value: f32) -> bool {
    (nearest - value).abs() <= 0.5f32.max(value.abs() / 500.0)
}

/// Where a [`FlatStore`] prepares a query.
#[derive(Debug, Clone)]
pub struct FlatScratch<T> {
    float: Vec<f32>,
    same: Vec<T>,
    /// Rows of a tile.
    rows: Vec<T>,
}

impl<T> Default for FlatScratch<T> {
    fn default() -> Self {
        Self { float: Vec::new(), same: Vec::new(), rows: Vec::new() }
    }
}

/// Answers for one query against a [`FlatStore`].
#[derive(Debug)]
pub struct FlatOracle<'a, T: Scalar> {
    store: &'a FlatStore<T>,
    rows: Rows<'a, T>,
    query: Query<'a, T>,
    /// `1 / ‖query‖` under cosine where the query is kept as it came.
    scale: f32,
}

#[derive(Debug)]
enum Query<'a, T: Scalar> {
    Float(&'a [f32]),
    Same(Kernel<T, T>, &'a [T]),
}

impl<T: Scalar> DistanceOracle for FlatOracle<'_, T> {
    fn distances(&self, ids: &[u32], out: &mut [f32]) {
        match self.query {
            Query::Float(query) => self.store.kernels.float.gather(query, self.rows, ids, out),
            Query::Same(kernel, query) => kernel.gather(query, self.rows, ids, out),
        }
        self.store.finish_scaled(self.scale, ids.iter().copied(), out);
    }

    fn prefetch(&self, id: u32) {
        /// Lines asked for ahead of time; the hardware's stream prefetcher brings the rest of a longer row.
        const LINES: usize = 4;
        self.rows.prefetch(id, LINES);
    }
}

impl<T: Scalar> VectorStore for FlatStore<T> {
    type Vector = [f32];
    type Scratch = FlatScratch<T>;
    type Oracle<'a> = FlatOracle<'a, T>;

    fn len(&self) -> usize {
        self.len
    }

    fn check(&self, vector: &[f32]) -> Result<(), VectorError> {
        check_dense(vector, self.dim, self.metric)
    }

    fn oracle<'a>(&'a self, query: &'a [f32], scratch: &'a mut FlatScratch<T>) -> FlatOracle<'a, T> {
        if let Some(kernel) = self.kernels.same.filter(|_| T::KIND != ElementKind::F32) {
            scratch.same.clear();
            scratch.same.extend(query.iter().map_while(|&x| T::exact(x)));
            if scratch.same.len() == query.len() {
                scratch.same.resize(self.stride, T::zeroed());
                let scale = if self.keeps_norms() { inverse_norm(query) as f32 } else { 1.0 };
                return FlatOracle {
                    store: self,
                    rows: self.kernel_rows(),
                    query: Query::Same(kernel, &scratch.same),
                    scale,
                };
            }
        }
        self.prepare(query, &mut scratch.float);
        FlatOracle { store: self, rows: self.kernel_rows(), query: Query::Float(&scratch.float), scale: 1.0 }
    }

    fn oracle_at<'a>(&'a self, id: u32, scratch: &'a mut FlatScratch<T>) -> FlatOracle<'a, T> {
        let row = self.padded_row(id);
        let query = match self.kernels.same {
            Some(kernel) => Query::Same(kernel, row),
            None => {
                scratch.float.clear();
                scratch.float.extend(row.iter().map(|x| x.widen()));
                Query::Float(&scratch.float)
            }
        };
        let scale = self.inverse_norms.get(id as usize).copied().unwrap_or(1.0);
        FlatOracle { store: self, rows: self.kernel_rows(), query, scale }
    }

    /// Rows are brought together first, so that a kernel may pass over them as a block.
    fn tile(&self, queries: &[u32], rows: &[u32], scratch: &mut FlatScratch<T>, out: &mut [f32]) {
        let FlatScratch { float, same, rows: block } = scratch;
        let gather = |ids: &[u32], block: &mut Vec<T>| {
            block.clear();
            ids.iter().for_each(|&id| block.extend_from_slice(self.padded_row(id)));
        };
        gather(rows, block);
        gather(queries, same);
        let table = Rows::new(block, self.stride, self.stride);
        match self.kernels.same {
            Some(kernel) => kernel.tile(Rows::new(same, self.stride, self.stride), table, out),
            None => {
                float.clear();
                float.extend(same.iter().map(|x| x.widen()));
                self.kernels.float.tile(Rows::new(float, self.stride, self.stride), table, out);
            }
        }
        for (&query, line) in queries.iter().zip(out.chunks_exact_mut(rows.len().max(1))) {
            let scale = self.inverse_norms.get(query as usize).copied().unwrap_or(1.0);
            self.finish_scaled(scale, rows.iter().copied(), line);
        }
    }

    /// Under L2 the root, under cosine the chord, which is the root of twice the distance.
    fn gauge(&self) -> Option<Gauge> {
        // Kernels add up an eighth of the columns one after another at the most.
        let error = (self.dim as f64 / 8.0 + 32.0) * f64::from(f32::EPSILON);
        // Squares below all numbers count as none.
        let lost = self.dim as f64 * f64::from(f32::MIN_POSITIVE);
        match self.metric {
            Metric::L2 => Some(Gauge::square(1.0, error, lost)),
            Metric::L1 => Some(Gauge::plain(error, 0.0)),
            Metric::Cosine => Some(Gauge::square(0.5, 0.0, error)),
            _ => None,
        }
    }

    fn memory_usage(&self) -> usize {
        self.rows.memory_bytes() + self.inverse_norms.memory_bytes()
    }
}

impl<T: Scalar> PushVector for FlatStore<T> {
    fn push(&mut self, vector: &[f32]) -> Result<u32, VectorError> {
        self.check(vector)?;
        if self.len >= MAX_ROWS as usize {
            return Err(VectorError::Full { limit: MAX_ROWS });
        }
        let start = self.rows.len();
        self.rows.resize(start + self.stride, T::zeroed());
        let (unit, rounds) = (self.metric == Metric::Cosine && (self.normalises() || self.rounds), self.rounds);
        let scale = if unit { inverse_norm(vector) } else { 1.0 };
        let row = &mut self.rows.as_mut_slice()[start..][..self.dim];
        for (column, (to, &value)) in row.iter_mut().zip(vector).enumerate() {
            let scaled = if unit { (f64::from(value) * scale) as f32 } else { value };
            let kept = match T::exact(scaled) {
                None if rounds => Some(T::nearest(scaled)).filter(|nearest| is_near(nearest.widen(), scaled)),
                kept => kept,
            };
            let Some(kept) = kept else {
                self.rows.truncate(start);
                return Err(VectorError::Inexact { column, value, kind: T::NAME });
            };
            *to = kept;
        }
        if self.keeps_norms() {
            let norm = match self.rounds {
                false => inverse_norm(vector),
                true => {
                    let kept: Vec<f32> = self.row(self.len as u32).iter().map(|x| x.widen()).collect();
                    inverse_norm(&kept)
                }
            };
            self.inverse_norms.push(norm as f32);
        }
        self.len += 1;
        Ok(self.len as u32 - 1)
    }

    fn truncate(&mut self, len: usize) {
        if len < self.len {
            self.len = len;
            self.rows.truncate(len * self.stride);
            if self.keeps_norms() {
                self.inverse_norms.truncate(len);
            }
        }
    }

    fn swap_remove(&mut self, id: u32) {
        let row = id as usize;
        assert!(row < self.len, "row {row} of {}", self.len);
        let last = self.len - 1;
        self.rows.as_mut_slice().copy_within(last * self.stride.., row * self.stride);
        if self.keeps_norms() {
            self.inverse_norms.as_mut_slice().copy_within(last.., row);
        }
        self.truncate(last);
    }
}

impl<T: Scalar> Reorder for FlatStore<T> {
    fn reorder(&mut self, order: &[u32]) {
        assert_eq!(order.len(), self.len, "as many places as rows");
        let mut rows = Buffer::zeroed(self.rows.len());
        for (to, &from) in rows.as_mut_slice().chunks_exact_mut(self.stride).zip(order) {
            to.copy_from_slice(self.padded_row(from));
        }
        if self.keeps_norms() {
            let norms: Vec<f32> = order.iter().map(|&from| self.inverse_norms[from as usize]).collect();
            self.inverse_norms = Buffer::from_slice(&norms);
        }
        self.rows = rows;
    }
}

impl<T: Scalar> ReadRow for FlatStore<T> {
    fn dim(&self) -> usize {
        self.dim
    }

    fn metric(&self) -> Metric {
        self.metric
    }

    fn read(&self, id: u32, out: &mut Vec<f32>) {
        out.clear();
        out.extend(self.row(id).iter().map(|x| x.widen()));
    }

    fn sums_columns(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Matrix;
    use half::{bf16, f16};

    fn thirds(n: usize, dim: usize) -> Matrix<f32> {
        Matrix::new((0..n * dim).map(|i| ((i * 7919) % 1000) as f32 / 3000.0 - 0.1).collect(), dim).unwrap()
    }

    #[test]
    fn rounded_rows_are_as_near_as_their_type_allows() {
        for metric in [Metric::L2, Metric::InnerProduct, Metric::Cosine] {
            let rows = thirds(50, 20);
            let whole = FlatStore::<f32>::from_rows(rows.view(), metric).unwrap();
            let (f16s, bf16s) =
                (FlatStore::<f16>::rounded(rows.view(), metric), FlatStore::<bf16>::rounded(rows.view(), metric));
            let (f16s, bf16s) = (f16s.unwrap(), bf16s.unwrap());
            let (mut a, mut b, mut c) = Default::default();
            let query = rows.row(7);
            let (a, b, c) = (whole.oracle(query, &mut a), f16s.oracle(query, &mut b), bf16s.oracle(query, &mut c));
            for id in 0..50 {
                assert!((a.distance(id) - b.distance(id)).abs() < 1e-3, "{metric} {id}");
                assert!((a.distance(id) - c.distance(id)).abs() < 1e-2, "{metric} {id}");
            }
        }
    }

    /// A tile holds what the oracles of its rows give, to the bit, whatever the type and metric.
    #[test]
    fn tiles_are_what_oracles_say() {
        fn same<T: Scalar>(rows: &Matrix<f32>, metric: Metric) {
            let store = FlatStore::<T>::rounded(rows.view(), metric).unwrap();
            let (queries, ids) = ([3, 0, 48, 3], (0..47).rev().collect::<Vec<u32>>());
            let (mut scratch, mut tile, mut line) = (FlatScratch::default(), vec![0.0; 4 * 47], vec![0.0; 47]);
            store.tile(&queries, &ids, &mut scratch, &mut tile);
            for (&query, found) in queries.iter().zip(tile.chunks(47)) {
                store.oracle_at(query, &mut scratch).distances(&ids, &mut line);
                let bits = |line: &[f32]| line.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
                assert_eq!(bits(found), bits(&line), "{} {metric}", T::NAME);
            }
            store.tile(&[], &ids, &mut scratch, &mut []);
            store.tile(&queries, &[], &mut scratch, &mut []);
        }
        let (thirds, whole) = (thirds(49, 21), Matrix::new((1..=49 * 21).map(|i| (i * 31 % 101) as f32).collect(), 21));
        for metric in [Metric::L2, Metric::InnerProduct, Metric::Cosine, Metric::L1] {
            same::<f32>(&thirds, metric);
            same::<f16>(&thirds, metric);
            same::<bf16>(&thirds, metric);
            same::<f32>(whole.as_ref().unwrap(), metric);
        }
        for metric in [Metric::L2, Metric::InnerProduct, Metric::L1] {
            same::<u8>(whole.as_ref().unwrap(), metric);
            same::<i8>(whole.as_ref().unwrap(), metric);
        }
        let bytes = FlatStore::<u8>::from_rows(whole.unwrap().view(), Metric::Cosine).unwrap();
        let (mut scratch, mut tile) = (FlatScratch::default(), [0.0; 2]);
        bytes.tile(&[5], &[9, 5], &mut scratch, &mut tile);
        assert_eq!(tile, [9, 5].map(|id| bytes.oracle_at(5, &mut scratch).distance(id)));
    }

    #[test]
    fn values_beyond_the_range_are_refused_even_when_rounding() {
        let mut store = FlatStore::<f16>::rounded(thirds(2, 2).view(), Metric::L2).unwrap();
        assert!(matches!(store.push(&[0.1, 1e6]), Err(VectorError::Inexact { column: 1, .. })));
        assert_eq!((store.len(), store.push(&[0.1, 65_000.0])), (2, Ok(2)));
        let mut bytes = FlatStore::<u8>::rounded(thirds(1, 1).view(), Metric::L2).unwrap();
        assert!(bytes.push(&[-0.7]).is_err() && bytes.push(&[256.0]).is_err() && bytes.push(&[254.6]).is_ok());
    }

    #[test]
    fn rows_of_tiny_values_keep_their_direction_when_rounded() {
        let tiny = Matrix::new(vec![1e-20, 2e-20, -1e-20, 1e-20], 2).unwrap();
        let store = FlatStore::<f16>::rounded(tiny.view(), Metric::Cosine).unwrap();
        let mut scratch = Default::default();
        assert!(store.oracle(&[1.0, 2.0], &mut scratch).distance(0) < 1e-3);
        assert!(store.oracle(&[1.0, 2.0], &mut scratch).distance(1) > 0.5);
    }
}
