//! The names that rows have outside: `u64` labels.

use std::collections::HashMap;

/// Labels of rows `0..n`. Unless others are given a row's label is its number, which takes no memory.
#[derive(Debug, Clone, Default)]
pub(crate) struct Labels {
    /// Empty as long as every label is the row's number.
    of_rows: Vec<u64>,
    rows: HashMap<u64, u32>,
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
            self.rows.get(&label).copied()
        }
    }

    /// Names rows `first..first + count`, by number if no labels are given.
    ///
    /// # Errors
    /// [`LabelError`]; nothing is changed then.
    pub(crate) fn extend(&mut self, first: usize, count: usize, labels: Option<&[u64]>) -> Result<(), LabelError> {
        if let Some(labels) = labels.filter(|labels| labels.len() != count) {
            return Err(LabelError::Count { labels: labels.len(), rows: count });
        }
        if labels.is_none() && self.are_rows() {
            return Ok(());
        }
        let mut next = self.clone();
        if next.are_rows() {
            next.of_rows.extend(0..first as u64);
            next.rows.extend((0..first as u32).map(|row| (u64::from(row), row)));
        }
        for i in 0..count {
            let row = (first + i) as u32;
            let label = labels.map_or(u64::from(row), |labels| labels[i]);
            if let Some(by) = next.rows.insert(label, row) {
                return Err(LabelError::Taken { row: i, label, by });
            }
            next.of_rows.push(label);
        }
        *self = next;
        Ok(())
    }

    pub(crate) fn memory_usage(&self) -> usize {
        self.of_rows.capacity() * 8 + self.rows.capacity() * 16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_their_own_labels_until_others_are_given() {
        let mut labels = Labels::default();
        labels.extend(0, 3, None).unwrap();
        assert!(labels.are_rows());
        assert_eq!((labels.label(2), labels.row(2, 3), labels.row(3, 3)), (2, Some(2), None));
        labels.extend(3, 2, Some(&[70, 1 << 40])).unwrap();
        assert_eq!((labels.label(1), labels.label(4), labels.row(70, 5)), (1, 1 << 40, Some(3)));
    }

    #[test]
    fn a_taken_label_changes_nothing() {
        let mut labels = Labels::default();
        labels.extend(0, 2, Some(&[5, 6])).unwrap();
        assert_eq!(labels.extend(2, 2, Some(&[7, 6])), Err(LabelError::Taken { row: 1, label: 6, by: 1 }));
        assert_eq!(labels.row(7, 4), None);
        assert_eq!(labels.extend(2, 2, Some(&[7])), Err(LabelError::Count { labels: 1, rows: 2 }));
    }
}
