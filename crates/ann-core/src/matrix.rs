//! Rows of equal length in one piece of memory, row-major.

/// `n` rows of `dim` values, owned.
///
/// ```
/// use ann_core::Matrix;
/// let matrix = Matrix::new(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 3)?;
/// assert_eq!((matrix.len(), matrix.dim()), (2, 3));
/// assert_eq!(matrix.row(1), [4.0, 5.0, 6.0]);
/// # Ok::<(), ann_core::ShapeError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Matrix<T> {
    data: Vec<T>,
    dim: usize,
}

/// Values that do not form whole rows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ShapeError {
    /// The number of values is no multiple of the dimension.
    #[error("{len} values do not form rows of {dim}: {} are left over", len % dim)]
    Ragged {
        /// Number of values given.
        len: usize,
        /// Dimension asked for.
        dim: usize,
    },
    /// Rows of no columns.
    #[error("a matrix needs at least one column, got dimension 0 for {len} values")]
    ZeroDim {
        /// Number of values given.
        len: usize,
    },
    /// A row of another length than the first.
    #[error("row {row} has {found} columns, expected {expected}")]
    RowLength {
        /// The row that differs.
        row: usize,
        /// Length of row 0.
        expected: usize,
        /// Length of that row.
        found: usize,
    },
}

impl<T> Matrix<T> {
    /// Takes `data` as rows of `dim` values. A matrix of no values may have any dimension, 0 included.
    ///
    /// # Errors
    /// [`ShapeError`] if the values do not form whole rows.
    pub fn new(data: Vec<T>, dim: usize) -> Result<Self, ShapeError> {
        shape(data.len(), dim)?;
        Ok(Self { data, dim })
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.view().len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// Number of columns.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Row `i`.
    ///
    /// # Panics
    /// If `i >= self.len()`.
    pub fn row(&self, i: usize) -> &[T] {
        self.view().row(i)
    }

    /// All rows in order.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[T]> {
        self.view().rows()
    }

    /// A borrowed view of all rows.
    pub fn view(&self) -> MatrixView<'_, T> {
        MatrixView { data: &self.data, dim: self.dim }
    }

    /// All values, row after row.
    pub fn as_slice(&self) -> &[T] {
        &self.data
    }

    /// All values, row after row, to change in place.
    pub fn as_mut_slice(&mut self) -> &mut [T] {
        &mut self.data
    }

    /// Gives the values back.
    pub fn into_vec(self) -> Vec<T> {
        self.data
    }
}

impl<T: Clone> Matrix<T> {
    /// Copies rows of equal length.
    ///
    /// # Errors
    /// [`ShapeError::RowLength`] for the first row that is as long as no other.
    pub fn from_rows<R: AsRef<[T]>>(rows: &[R]) -> Result<Self, ShapeError> {
        let dim = rows.first().map_or(0, |row| row.as_ref().len());
        let mut data = Vec::with_capacity(rows.len() * dim);
        for (row, values) in rows.iter().map(AsRef::as_ref).enumerate() {
            if values.len() != dim {
                return Err(ShapeError::RowLength { row, expected: dim, found: values.len() });
            }
            data.extend_from_slice(values);
        }
        if dim == 0 && !rows.is_empty() {
            return Err(ShapeError::ZeroDim { len: 0 });
        }
        Ok(Self { data, dim })
    }
}

/// `n` rows of `dim` values, borrowed. Cheap to copy.
#[derive(Debug, PartialEq)]
pub struct MatrixView<'a, T> {
    data: &'a [T],
    dim: usize,
}

impl<T> Clone for MatrixView<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for MatrixView<'_, T> {}

impl<'a, T> MatrixView<'a, T> {
    /// Views `data` as rows of `dim` values.
    ///
    /// # Errors
    /// [`ShapeError`] if the values do not form whole rows.
    pub fn new(data: &'a [T], dim: usize) -> Result<Self, ShapeError> {
        shape(data.len(), dim)?;
        Ok(Self { data, dim })
    }

    /// Number of rows.
    pub fn len(self) -> usize {
        self.data.len().checked_div(self.dim).unwrap_or(0)
    }

    /// Whether there are no rows.
    pub fn is_empty(self) -> bool {
        self.data.is_empty()
    }

    /// Number of columns.
    pub fn dim(self) -> usize {
        self.dim
    }

    /// Row `i`.
    ///
    /// # Panics
    /// If `i >= self.len()`.
    pub fn row(self, i: usize) -> &'a [T] {
        &self.data[i * self.dim..][..self.dim]
    }

    /// All rows in order.
    pub fn rows(self) -> impl ExactSizeIterator<Item = &'a [T]> {
        self.data.chunks_exact(self.dim.max(1))
    }

    /// Rows `range`, without copying.
    ///
    /// # Panics
    /// If the range is not within `0..self.len()`.
    pub fn slice(self, range: std::ops::Range<usize>) -> Self {
        Self { data: &self.data[range.start * self.dim..range.end * self.dim], dim: self.dim }
    }

    /// All values, row after row.
    pub fn as_slice(self) -> &'a [T] {
        self.data
    }
}

impl<'a, T> From<&'a Matrix<T>> for MatrixView<'a, T> {
    fn from(matrix: &'a Matrix<T>) -> Self {
        matrix.view()
    }
}

fn shape(len: usize, dim: usize) -> Result<(), ShapeError> {
    match (len, dim) {
        (0, _) => Ok(()),
        (len, 0) => Err(ShapeError::ZeroDim { len }),
        (len, dim) if len % dim != 0 => Err(ShapeError::Ragged { len, dim }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ragged_values_name_what_is_left_over() {
        let error = Matrix::new(vec![0u8; 10], 4).unwrap_err();
        assert_eq!(error.to_string(), "10 values do not form rows of 4: 2 are left over");
        assert_eq!(Matrix::new(vec![0u8; 10], 0), Err(ShapeError::ZeroDim { len: 10 }));
    }

    #[test]
    fn rows_of_unequal_length_name_the_row() {
        let error = Matrix::from_rows(&[vec![1, 2], vec![3, 4], vec![5]]).unwrap_err();
        assert_eq!(error, ShapeError::RowLength { row: 2, expected: 2, found: 1 });
    }

    #[test]
    fn an_empty_matrix_keeps_its_dimension() {
        let empty = Matrix::<f32>::new(Vec::new(), 7).unwrap();
        assert_eq!((empty.len(), empty.dim(), empty.rows().len()), (0, 7, 0));
        assert_eq!(Matrix::<f32>::default().len(), 0);
    }

    #[test]
    fn slices_share_rows() {
        let matrix = Matrix::new((0..12).collect(), 3).unwrap();
        let middle = matrix.view().slice(1..3);
        assert_eq!((middle.len(), middle.row(1)), (2, [6, 7, 8].as_slice()));
    }
}
