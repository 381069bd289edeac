//! The names that rows have outside: `u64` labels.
//!
//! Labels lie in order of rows, mapped from the file if there is one; beside them a permutation finds the row of a
//! label by bisection. Cost: 12 bytes per row, nothing as long as labels are row numbers.

use crate::dead::Dead;
use ann_core::simd::Buffer;

/// Labels of rows `0..n`, all different but for rows that are gone. Unless others are given a row's label is its number.
#[derive(Debug, Clone, Default)]
pub(crate) struct Labels {
    /// Empty as long as every label is the row's number.
    of_rows: Buffer<u64>,
    /// The rows that are left in ascending order of their labels; empty as `of_rows` is.
    by_label: Vec<u32>,
}

/// Labels for new rows that were found to be free.
pub(crate) struct NewLabels {
    /// One per new row; none if labels stay row numbers.
    labels: Vec<u64>,
    /// The new rows in ascending order of their labels.
    by_label: Vec<u32>,
}

/// Labels that do not fit their rows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LabelError {
    /// Not one label per row.
    #[error("{labels} labels for {rows} rows")]
    Count {
        /// Labels given.
        labels: usize,
        /// Rows given.
        rows: usize,
    },
    /// A label that no row has.
    #[error("position {position}: no row has the label {label}")]
    Unknown {
        /// Where it stands in the list.
        position: usize,
        /// The label.
        label: u64,
    },
    /// A label that another row has.
    #[error("row {row}: label {label} is taken by row {by}")]
    Taken {
        /// The second row to ask for it.
        row: usize,
        /// The label.
        label: u64,
        /// The row that has it.
        by: u32,
    },
}

impl Labels {
    /// Takes the labels of all rows, or says which two rows share one.
    ///
    /// # Errors
    /// [`LabelError::Taken`].
    #[cfg(feature = "io")]
    pub(crate) fn from_buffer(of_rows: Buffer<u64>, dead: &Dead) -> Result<Self, LabelError> {
        let mut by_label = in_order(0, &of_rows);
        by_label.retain(|&row| !dead.contains(row));
        let label = |row: u32| of_rows[row as usize];
        match by_label.windows(2).find(|pair| label(pair[0]) == label(pair[1])) {
            Some(pair) => Err(LabelError::Taken { row: pair[1] as usize, label: label(pair[1]), by: pair[0] }),
            None => Ok(Self { of_rows, by_label }),
        }
    }

    /// Whether every label is the row's number.
    pub(crate) fn are_rows(&self) -> bool {
        self.of_rows.is_empty()
    }

    /// The labels one by one, empty if they are the row's numbers.
    #[cfg(feature = "io")]
    pub(crate) fn as_slice(&self) -> &[u64] {
        &self.of_rows
    }

    pub(crate) fn label(&self, row: u32) -> u64 {
        self.of_rows.get(row as usize).copied().unwrap_or(u64::from(row))
    }

    /// The row of a label, among `len` rows.
    pub(crate) fn row(&self, label: u64, len: usize) -> Option<u32> {
        if self.are_rows() {
            u32::try_from(label).ok().filter(|&row| (row as usize) < len)
        } else {
            let at = self.by_label.binary_search_by_key(&label, |&row| self.label(row)).ok()?;
            Some(self.by_label[at])
        }
    }

    /// Labels for rows `first..first + count`, their numbers if none are given, to be added by [`Self::add`].
    ///
    /// # Errors
    /// [`LabelError`] for the first row whose label is taken.
    pub(crate) fn check(&self, first: usize, count: usize, labels: Option<&[u64]>) -> Result<NewLabels, LabelError> {
        if let Some(labels) = labels.filter(|labels| labels.len() != count) {
            return Err(LabelError::Count { labels: labels.len(), rows: count });
        }
        let labels = match labels {
            Some(labels) => labels.to_vec(),
            None if self.are_rows() => Vec::new(),
            None => (first as u64..(first + count) as u64).collect(),
        };
        let by_label = in_order(first as u32, &labels);
        let label = |row: u32| labels[row as usize - first];
        let taken = by_label.iter().enumerate().filter_map(|(at, &row)| {
            let twin = || by_label[..at].last().copied().filter(|&other| label(other) == label(row));
            let by = self.row(label(row), first).or_else(twin)?;
            Some(LabelError::Taken { row: row as usize - first, label: label(row), by })
        });
        match taken.min_by_key(|error| if let LabelError::Taken { row, .. } = error { *row } else { 0 }) {
            Some(error) => Err(error),
            None => Ok(NewLabels { labels, by_label }),
        }
    }

    /// Names rows `first..` as [`Self::check`] found they may be.
    pub(crate) fn add(&mut self, first: usize, new: &NewLabels) {
        if new.labels.is_empty() {
            return;
        }
        self.write_down(first);
        self.of_rows.extend_from_slice(&new.labels);
        // Both orders are merged from the end: what is larger than the largest new label moves once, and so on down.
        let Self { of_rows, by_label } = self;
        let mut end = by_label.len();
        by_label.resize(end + new.by_label.len(), 0);
        for (smaller, &row) in new.by_label.iter().enumerate().rev() {
            let at = by_label[..end].partition_point(|&other| of_rows[other as usize] < of_rows[row as usize]);
            by_label.copy_within(at..end, at + smaller + 1);
            by_label[at + smaller] = row;
            end = at;
        }
    }

    /// Frees the labels of rows that are gone, among `len` rows.
    pub(crate) fn free(&mut self, dead: &Dead, len: usize) {
        self.write_down(len);
        self.by_label.retain(|&row| !dead.contains(row));
    }

    /// Writes down the labels of `len` rows that are their numbers.
    fn write_down(&mut self, len: usize) {
        if self.are_rows() {
            self.of_rows.extend_from_slice(&(0..len as u64).collect::<Vec<_>>());
            self.by_label.extend(0..len as u32);
        }
    }

    pub(crate) fn memory_usage(&self) -> usize {
        self.of_rows.memory_bytes() + self.by_label.capacity() * size_of::<u32>()
    }
}

/// Rows `first..` in ascending order of their labels, equal labels in order of rows.
fn in_order(first: u32, labels: &[u64]) -> Vec<u32> {
    let mut rows: Vec<u32> = (0..labels.len() as u32).map(|row| first + row).collect();
    rows.sort_unstable_by_key(|&row| (labels[(row - first) as usize], row));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn extend(labels: &mut Labels, first: usize, count: usize, new: Option<&[u64]>) -> Result<(), LabelError> {
        let new = labels.check(first, count, new)?;
        labels.add(first, &new);
        Ok(())
    }

    #[test]
    fn rows_are_their_own_labels_until_others_are_given() {
        let mut labels = Labels::default();
        extend(&mut labels, 0, 3, None).unwrap();
        assert!(labels.are_rows());
        assert_eq!((labels.label(2), labels.row(2, 3), labels.row(3, 3)), (2, Some(2), None));
        extend(&mut labels, 3, 2, Some(&[70, 1 << 40])).unwrap();
        assert_eq!((labels.label(1), labels.label(4), labels.row(70, 5)), (1, 1 << 40, Some(3)));
    }

    #[test]
    fn a_taken_label_changes_nothing() {
        let mut labels = Labels::default();
        extend(&mut labels, 0, 2, Some(&[5, 6])).unwrap();
        let error = extend(&mut labels, 2, 2, Some(&[7, 6]));
        assert_eq!(error, Err(LabelError::Taken { row: 1, label: 6, by: 1 }));
        let error = extend(&mut labels, 2, 5, Some(&[9, 8, 8, 5, 9]));
        assert_eq!(error, Err(LabelError::Taken { row: 2, label: 8, by: 3 }));
        assert_eq!(labels.row(7, 4), None);
        assert_eq!(extend(&mut labels, 2, 2, Some(&[7])), Err(LabelError::Count { labels: 1, rows: 2 }));
    }

    proptest! {
        #[test]
        fn labels_find_their_rows_as_a_map_does(
            batches in proptest::collection::vec(proptest::option::of(proptest::collection::vec(0u64..200, 0..9)), 0..20),
        ) {
            let (mut labels, mut map, mut len) = (Labels::default(), BTreeMap::new(), 0usize);
            for batch in batches {
                let count = batch.as_ref().map_or(3, Vec::len);
                let named: Vec<u64> = batch.clone().unwrap_or((len as u64..(len + count) as u64).collect());
                let mut next: BTreeMap<u64, u32> = map.clone();
                let free = named.iter().zip(len as u32..).all(|(&label, row)| next.insert(label, row).is_none());
                prop_assert_eq!(extend(&mut labels, len, count, batch.as_deref()).is_ok(), free);
                if free {
                    (map, len) = (next, len + count);
                }
                for label in 0..210 {
                    prop_assert_eq!(labels.row(label, len), map.get(&label).copied());
                }
                prop_assert!(map.iter().all(|(&label, &row)| labels.label(row) == label));
            }
        }
    }
}
