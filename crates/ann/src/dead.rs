//! Rows that were removed: they keep their place and their links, are walked through, and are never returned.

use crate::any::RowFilter;
use ann_core::{All, Filter, Neighbor, RowSet, SearchStats, VectorError};
use std::ops::Range;

/// A set of removed rows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Dead(RowSet);

/// The rows that are left of those that a filter accepts.
struct Left<'a> {
    dead: &'a RowSet,
    filter: RowFilter<'a>,
}

impl Filter for Left<'_> {
    fn accepts(&self, id: u32) -> bool {
        !self.dead.accepts(id) && self.filter.accepts(id)
    }

    fn first_among(&self, mut rows: Range<u32>) -> Option<u32> {
        loop {
            let id = self.filter.first_among(rows.clone())?;
            if !self.dead.accepts(id) {
                return Some(id);
            }
            rows.start = id + 1;
        }
    }
}

impl Dead {
    /// Takes what [`Self::as_words`] gave; `None` if it names a row that is not among `rows`.
    #[cfg(feature = "io")]
    pub(crate) fn from_words(words: Vec<u64>, rows: usize) -> Option<Self> {
        let set = RowSet::from_words(words);
        let beyond = u32::try_from(rows).is_ok_and(|rows| set.first_among(rows..u32::MAX).is_some());
        (!beyond).then_some(Self(set))
    }

    #[cfg(feature = "io")]
    pub(crate) fn as_words(&self) -> &[u64] {
        self.0.as_words()
    }

    pub(crate) fn rows(&self) -> &RowSet {
        &self.0
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn contains(&self, row: u32) -> bool {
        self.0.accepts(row)
    }

    pub(crate) fn insert(&mut self, row: u32) {
        self.0.insert(row);
    }

    pub(crate) fn memory_usage(&self) -> usize {
        self.0.memory_usage()
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
            return search(k, Some(&Left { dead: &self.0, filter }), out);
        }
        let mut stats = search(self.and_spare(k), None, out)?;
        out.retain(|neighbor| !self.contains(neighbor.id));
        if out.len() < k.min(rows - self.len()) && !stats.cut_short {
            stats += search(k, Some(&Left { dead: &self.0, filter: &All }), out)?;
        }
        out.truncate(k);
        Ok(stats)
    }

    /// How many rows to ask for where `k` are wanted.
    pub(crate) fn and_spare(&self, k: usize) -> usize {
        k.saturating_add(k.min(self.len()))
    }
}
