//! Filters in terms of labels.

use crate::labels::Labels;
use crate::{Error, Index};
use ann_core::{Filter, RowSet};

/// What a closure says of labels, asked of rows.
pub(crate) struct ByLabel<'a> {
    pub(crate) labels: &'a Labels,
    pub(crate) accepts: &'a (dyn Fn(u64) -> bool + Sync),
}

impl Filter for ByLabel<'_> {
    fn accepts(&self, id: u32) -> bool {
        (self.accepts)(self.labels.label(id))
    }
}

/// Rows of an index that were selected by label, for any number of [`Index::search_selected`]. Rows that are added later are not among them.
#[derive(Debug, Clone)]
pub struct Selection {
    rows: RowSet,
    numbering: u64,
}

impl Selection {
    /// Number of rows; those that were removed since count.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The rows, if their numbers are those of `index`.
    pub(crate) fn rows_of(&self, index: &Index) -> Result<&RowSet, Error> {
        let beyond = self.rows.first_among(index.any.len() as u32..u32::MAX);
        if self.numbering != index.numbering || beyond.is_some() {
            return Err(Error::Selection);
        }
        Ok(&self.rows)
    }
}

impl Index {
    /// Selects the rows whose label `accepts` says yes to. Cost: one call per row, a bit per row.
    ///
    /// ```
    /// use ann::prelude::*;
    /// let vectors = Matrix::from_rows(&[[0.0, 0.0], [3.0, 4.0], [1.0, 1.0], [6.0, 8.0]])?;
    /// let index = ann::build(&vectors, Metric::L2)?;
    /// let odd = index.select(|label| label % 2 == 1);
    /// let found = index.search_selected(&[0.0, 0.0], 5, &SearchParams::default(), &odd)?;
    /// assert_eq!(found.iter().map(|hit| hit.label).collect::<Vec<_>>(), [1, 3]);
    /// # Ok::<(), ann::Error>(())
    /// ```
    pub fn select(&self, accepts: impl Fn(u64) -> bool) -> Selection {
        let rows = (0..self.any.len() as u32).filter(|&row| !self.dead.contains(row));
        Selection { rows: rows.filter(|&row| accepts(self.labels.label(row))).collect(), numbering: self.numbering }
    }

    /// Selects the rows that have these labels; labels that no row has are passed over. Cost: a bisection per label.
    pub fn select_labels(&self, labels: &[u64]) -> Selection {
        let rows = labels.iter().filter_map(|&label| self.labels.row(label, self.any.len()));
        Selection { rows: rows.collect(), numbering: self.numbering }
    }
}
