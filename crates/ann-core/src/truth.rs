//! What an exact search found: the yardstick of every recall.

use crate::ShapeError;

/// The `k` nearest rows of every query, nearest first, both arrays `(queries, k)` row-major.
///
/// Distances are as a data set reports them (see [`Metric::reported`](crate::Metric::reported)): Euclidean rather
/// than squared.
///
/// ```
/// use ann_core::GroundTruth;
/// let truth = GroundTruth::new(2, vec![4, 1, 0, 2], vec![0.1, 0.2, 0.0, 0.5])?;
/// assert_eq!(truth.len(), 2);
/// assert_eq!(truth.ids(1), [0, 2]);
/// # Ok::<(), ann_core::ShapeError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct GroundTruth {
    /// Results per query.
    pub k: usize,
    /// Rows of the base set, `(queries, k)`.
    pub ids: Vec<u32>,
    /// Their distances, `(queries, k)`.
    pub distances: Vec<f32>,
}

impl GroundTruth {
    /// Checks that both arrays hold `k` entries for the same number of queries.
    ///
    /// # Errors
    /// [`ShapeError`] if they do not.
    pub fn new(k: usize, ids: Vec<u32>, distances: Vec<f32>) -> Result<Self, ShapeError> {
        crate::MatrixView::new(&ids, k)?;
        if ids.len() != distances.len() {
            return Err(ShapeError::RowLength { row: 0, expected: ids.len(), found: distances.len() });
        }
        Ok(Self { k, ids, distances })
    }

    /// Number of queries.
    pub fn len(&self) -> usize {
        self.ids.len().checked_div(self.k).unwrap_or(0)
    }

    /// Whether there are no queries.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The rows nearest to query `i`.
    ///
    /// # Panics
    /// If `i >= self.len()`.
    pub fn ids(&self, i: usize) -> &[u32] {
        &self.ids[i * self.k..][..self.k]
    }

    /// The distances of [`Self::ids`].
    ///
    /// # Panics
    /// If `i >= self.len()`.
    pub fn distances(&self, i: usize) -> &[f32] {
        &self.distances[i * self.k..][..self.k]
    }
}
