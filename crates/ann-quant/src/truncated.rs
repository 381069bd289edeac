//! Codes of the first columns of a vector.
//!
//! Of models that were trained so, the first columns of an embedding are an embedding (Kusupati et al., *Matryoshka
//! Representation Learning*, NeurIPS 2022, arXiv:2205.13147); of others they are once the columns have been turned to
//! principal components. Scaling what is left to norm 1 again finds a little less among as many rows and more among a few
//! times as many: renormalise where exact distances follow.

use crate::{Quantizer, TrainError};
use ann_core::simd::Rows;
use ann_core::{Matrix, MatrixView, Metric, ShapeError, prepare_dense};

/// A quantizer for the first columns of longer vectors.
///
/// ```
/// use ann_core::{DistanceOracle, Matrix, Metric, Par, VectorStore};
/// use ann_quant::{CodeStore, Sq, SqParams, Truncated, truncate};
/// let rows = Matrix::from_rows(&[[0.9, 0.3, 0.01], [-0.5, 0.8, 0.02], [0.1, 0.7, 0.0]])?;
/// let first = truncate(rows.view(), Metric::Cosine, 2, false)?;
/// let sq = Sq::train(first.view(), Metric::InnerProduct, &SqParams::default(), Par::Serial)?;
/// let truncated = Truncated::new(sq, 3, false)?;
/// let store = CodeStore::from_rows(truncated, rows.view(), Par::Serial)?;
/// let mut scratch = Default::default();
/// let oracle = store.oracle(rows.row(0), &mut scratch);
/// assert!(oracle.distance(0) < oracle.distance(1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Truncated<Q> {
    inner: Q,
    dim: usize,
    renormalise: bool,
}

impl<Q: Quantizer> Truncated<Q> {
    /// Codes vectors of `dim` columns by what `inner` makes of as many of the first as it has columns.
    ///
    /// # Errors
    /// [`TrainError::Param`] if `dim` is less than the columns of `inner`.
    pub fn new(inner: Q, dim: usize, renormalise: bool) -> Result<Self, TrainError> {
        if dim < inner.dim() {
            return Err(TrainError::Param { name: "dim", found: dim, must: "no less than the columns that are kept" });
        }
        Ok(Self { inner, dim, renormalise })
    }

    /// What codes the first columns.
    pub fn inner(&self) -> &Q {
        &self.inner
    }

    /// Whether what is left of a vector is scaled to norm 1.
    pub fn renormalises(&self) -> bool {
        self.renormalise
    }

    fn first(&self, vector: &[f32], out: &mut Vec<f32>) {
        first(vector, self.inner.dim(), self.renormalise, out);
    }
}

/// The first `keep` columns of `vector`, scaled to norm 1 if `renormalise`.
fn first(vector: &[f32], keep: usize, renormalise: bool, out: &mut Vec<f32>) {
    let metric = if renormalise { Metric::Cosine } else { Metric::L2 };
    prepare_dense(&vector[..keep], metric, keep, out);
}

/// The first `keep` columns of `rows`, `(n, dim)`, as [`Truncated`] gives them to the quantizer within; to train it on. Under
/// cosine whole rows are normalised first.
///
/// # Errors
/// [`ShapeError`] if `keep` is 0.
///
/// # Panics
/// If `keep` is more than the columns of `rows`.
///
/// ```
/// use ann_core::{Matrix, Metric};
/// let rows = Matrix::from_rows(&[[3.0, 4.0, 0.0]])?;
/// let first = ann_quant::truncate(rows.view(), Metric::Cosine, 1, false)?;
/// assert_eq!(first.row(0), [0.6]);
/// # Ok::<(), ann_core::ShapeError>(())
/// ```
pub fn truncate(
    rows: MatrixView<'_, f32>,
    metric: Metric,
    keep: usize,
    renormalise: bool,
) -> Result<Matrix<f32>, ShapeError> {
    let (mut whole, mut part, mut all) = (Vec::new(), Vec::new(), Vec::with_capacity(rows.len() * keep));
    for row in rows.rows() {
        prepare_dense(row, metric, rows.dim(), &mut whole);
        first(&whole, keep, renormalise, &mut part);
        all.extend_from_slice(&part);
    }
    Matrix::new(all, keep)
}

impl<Q: Quantizer> Quantizer for Truncated<Q> {
    const NAME: &'static str = Q::NAME;
    type Prepared = (Vec<f32>, Q::Prepared);

    fn dim(&self) -> usize {
        self.dim
    }

    fn metric(&self) -> Metric {
        self.inner.metric()
    }

    fn code_len(&self) -> usize {
        self.inner.code_len()
    }

    fn encode(&self, vector: &[f32], scratch: &mut Vec<f32>, code: &mut [u8]) {
        let mut part = Vec::new();
        self.first(vector, &mut part);
        self.inner.encode(&part, scratch, code);
    }

    fn is_code(&self, code: &[u8]) -> bool {
        self.inner.is_code(code)
    }

    /// Columns that are not kept become 0.
    fn decode(&self, code: &[u8], vector: &mut [f32]) {
        let (kept, rest) = vector.split_at_mut(self.inner.dim());
        self.inner.decode(code, kept);
        rest.fill(0.0);
    }

    fn prepare(&self, query: &[f32], (part, prepared): &mut Self::Prepared) {
        self.first(query, part);
        self.inner.prepare(part, prepared);
    }

    fn gather(&self, (_, query): &Self::Prepared, codes: Rows<'_, u8>, ids: &[u32], out: &mut [f32]) {
        self.inner.gather(query, codes, ids, out);
    }

    fn scan(&self, (_, query): &Self::Prepared, codes: Rows<'_, u8>, out: &mut [f32]) {
        self.inner.scan(query, codes, out);
    }
}
