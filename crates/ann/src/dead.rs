//! Rows that were removed: they keep their place and their links, are walked through, and are never returned.

use crate::any::RowFilter;
use ann_core::{Neighbor, SearchStats, VectorError};

/// A set of removed rows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Dead {
    /// A bit per row; rows beyond the end are alive.
    words: Vec<u64>,
    count: usize,
}

impl Dead {
    /// Takes what [`Self::as_words`] gave; `None` if it names a row that is not among `rows`.
    #[cfg(feature = "io")]
    pub(crate) fn from_words(words: Vec<u64>, rows: usize) -> Option<Self> {
        let count = words.iter().map(|word| word.count_ones() as usize).sum();
        let beyond = (rows..64 * words.len()).any(|row| words[row / 64] >> (row % 64) & 1 == 1);
        (!beyond).then_some(Self { words, count })
    }

    #[cfg(feature = "io")]
    pub(crate) fn as_words(&self) -> &[u64] {
        &self.words
    }

    pub(crate) fn len(&self) -> usize {
        self.count
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(crate) fn contains(&self, row: u32) -> bool {
        self.words.get(row as usize / 64).is_some_and(|word| word >> (row % 64) & 1 == 1)
    }

    pub(crate) fn insert(&mut self, row: u32) {
        let at = row as usize / 64;
        self.words.resize(self.words.len().max(at + 1), 0);
        self.count += usize::from(!self.contains(row));
        self.words[at] |= 1 << (row % 64);
    }

    pub(crate) fn memory_usage(&self) -> usize {
        self.words.capacity() * size_of::<u64>()
    }

    /// Replaces `out` by the `k` nearest rows of `rows` that are left, by way of a search that does not know which these are.
    ///
    /// Without a filter a few more are asked for than `k`, since a walk that minds a filter costs more and few of the nearest
    /// are gone as a rule; if too few are left, the walk minds.
    pub(crate) fn search(
        &self,
        rows: usize,
        k: usize,
        filter: Option<RowFilter<'_>>,
        out: &mut Vec<Neighbor>,
        mut search: impl FnMut(usize, Option<RowFilter<'_>>, &mut Vec<Neighbor>) -> Result<SearchStats, VectorError>,
    ) -> Result<SearchStats, VectorError> {
        if self.is_empty() {
            return search(k, filter, out);
        }
        if let Some(filter) = filter {
            return search(k, Some(&|row| !self.contains(row) && filter(row)), out);
        }
        let mut stats = search(self.and_spare(k), None, out)?;
        out.retain(|neighbor| !self.contains(neighbor.id));
        if out.len() < k.min(rows - self.count) {
            stats += search(k, Some(&|row| !self.contains(row)), out)?;
        }
        out.truncate(k);
        Ok(stats)
    }

    /// How many rows to ask for where `k` are wanted.
    pub(crate) fn and_spare(&self, k: usize) -> usize {
        k.saturating_add(k.min(self.count))
    }
}
