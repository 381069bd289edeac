//! Removing rows.

use super::Deg;
use ann_core::PushVector;

/// A row that an index does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no row {row}, expected one of {len}")]
pub struct NoSuchRow {
    /// What was asked for.
    pub row: u32,
    /// Number of rows.
    pub len: usize,
}

impl NoSuchRow {
    pub(super) fn check(row: u32, len: usize) -> Result<(), Self> {
        if (row as usize) < len { Ok(()) } else { Err(Self { row, len }) }
    }
}

impl<S: PushVector> Deg<S> {
    /// Removes a row for good. The last row takes its number: the answer is the number it had, `None` if the last row is the
    /// one that was removed.
    ///
    /// # Errors
    /// [`NoSuchRow`]; the index is unchanged.
    pub fn remove(&mut self, row: u32) -> Result<Option<u32>, NoSuchRow> {
        NoSuchRow::check(row, self.edges.len())?;
        let orphans = self.edges.swap_remove(row);
        self.store.swap_remove(row);
        // As many rows as a row may have edges, or fewer, are all linked to each other, and still are.
        if self.store.len() > self.params.degree {
            self.restore(orphans);
        }
        let last = self.store.len() as u32;
        Ok((row != last).then_some(last))
    }
}
