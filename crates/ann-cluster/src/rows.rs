//! What can be clustered: rows of floats, of small integers, or of bits.

use crate::EvocError;
use ann_core::{MAX_DIM, MAX_ROWS, Matrix, MatrixView, RowError, check_finite};

/// Rows to cluster; their type says how they are compared.
///
/// ```
/// use ann_cluster::Embeddings;
/// use ann_core::Matrix;
/// let floats = Matrix::new(vec![0.5f32, 1.0], 2)?;
/// assert!(matches!(Embeddings::from(&floats), Embeddings::Cosine(_)));
/// let bits = Matrix::new(vec![0b0101_0000u8], 1)?;
/// assert!(matches!(Embeddings::from(&bits), Embeddings::Bits(_)));
/// # Ok::<(), ann_core::ShapeError>(())
/// ```
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Embeddings<'a> {
    /// By the angle between rows. A zero row has no direction: it is like no other, and ends as noise.
    Cosine(MatrixView<'a, f32>),
    /// By the inner product, larger is more alike: quantized embeddings.
    Dot(MatrixView<'a, i8>),
    /// By the share of common bits among those set in either, eight bits a byte.
    Bits(MatrixView<'a, u8>),
}

impl<'a> From<MatrixView<'a, f32>> for Embeddings<'a> {
    fn from(rows: MatrixView<'a, f32>) -> Self {
        Self::Cosine(rows)
    }
}

impl<'a> From<MatrixView<'a, i8>> for Embeddings<'a> {
    fn from(rows: MatrixView<'a, i8>) -> Self {
        Self::Dot(rows)
    }
}

impl<'a> From<MatrixView<'a, u8>> for Embeddings<'a> {
    fn from(rows: MatrixView<'a, u8>) -> Self {
        Self::Bits(rows)
    }
}

impl<'a, T> From<&'a Matrix<T>> for Embeddings<'a>
where
    Self: From<MatrixView<'a, T>>,
{
    fn from(rows: &'a Matrix<T>) -> Self {
        rows.view().into()
    }
}

impl Embeddings<'_> {
    /// Number of rows.
    pub fn len(&self) -> usize {
        match self {
            Self::Cosine(rows) => rows.len(),
            Self::Dot(rows) => rows.len(),
            Self::Bits(rows) => rows.len(),
        }
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Columns of a row; of bits, its bytes.
    pub fn dim(&self) -> usize {
        match self {
            Self::Cosine(rows) => rows.dim(),
            Self::Dot(rows) => rows.dim(),
            Self::Bits(rows) => rows.dim(),
        }
    }

    /// Whether these rows can be clustered.
    pub(crate) fn check(&self) -> Result<(), EvocError> {
        let (rows, dim) = (self.len(), self.dim());
        if rows > MAX_ROWS as usize || rows > 0 && !(1..=MAX_DIM).contains(&dim) {
            return Err(EvocError::Size { rows, dim, max_rows: MAX_ROWS as usize, max_dim: MAX_DIM });
        }
        if let Self::Cosine(rows) = self {
            for (row, values) in rows.rows().enumerate() {
                check_finite(values).map_err(|source| RowError { row, source })?;
            }
        }
        Ok(())
    }

    /// Adds row `row` to `sums`. Bytes of bits are taken as numbers, as the Python package takes them.
    pub(crate) fn add_to(&self, row: usize, sums: &mut [f64]) {
        fn add<T: Copy + Into<f64>>(values: &[T], sums: &mut [f64]) {
            sums.iter_mut().zip(values).for_each(|(sum, &value)| *sum += value.into());
        }
        match self {
            Self::Cosine(rows) => add(rows.row(row), sums),
            Self::Dot(rows) => add(rows.row(row), sums),
            Self::Bits(rows) => add(rows.row(row), sums),
        }
    }
}
