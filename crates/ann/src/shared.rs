//! An index that some threads search while others change it.

use crate::any::SearchParams;
use crate::{Error, Hit, Index};
use ann_core::{MatrixView, Monitor, Par};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Rows that are added before waiting searches get their turn: some milliseconds of linking.
const ROUND: usize = 32;

/// An [`Index`] behind a lock: any number of threads search it, and rows come and go meanwhile.
///
/// A search sees the index between two changes, never the middle of one. Rows are added a few at a time, so that a search waits for some
/// milliseconds at the most; what is added together may therefore be seen in part. A panic in one thread does not keep the others out:
/// changes are whole or undone.
///
/// ```
/// use ann::prelude::*;
/// let vectors = Matrix::new((0..400).map(|x| x as f32).collect(), 2)?;
/// let index = ann::SharedIndex::new(ann::build(&vectors, Metric::L2)?);
/// std::thread::scope(|threads| {
///     threads.spawn(|| index.add(&vectors, Some(&(1_000..1_200).collect::<Vec<_>>()), Par::Serial));
///     threads.spawn(|| index.search(&[8.0, 9.0], 3, &SearchParams::default()));
/// });
/// assert_eq!(index.read().len(), 400);
/// # Ok::<(), ann::Error>(())
/// ```
#[derive(Debug)]
pub struct SharedIndex(RwLock<Index>);

impl SharedIndex {
    /// Shares an index.
    pub fn new(index: Index) -> Self {
        Self(RwLock::new(index))
    }

    /// The index, as it is until the guard is dropped; changes wait for that.
    pub fn read(&self) -> RwLockReadGuard<'_, Index> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The index, for changes of any kind; searches wait until the guard is dropped.
    pub fn write(&self) -> RwLockWriteGuard<'_, Index> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The index, no longer shared.
    pub fn into_inner(self) -> Index {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// As [`Index::search_with`].
    ///
    /// # Errors
    /// As [`Index::search_with`].
    pub fn search(&self, query: &[f32], k: usize, params: &SearchParams) -> Result<Vec<Hit>, Error> {
        self.read().search_with(query, k, params)
    }

    /// As [`Index::add`], a few rows at a time, so that searches go on; returns how many rows were added, which is all of them unless there is an error.
    ///
    /// # Errors
    /// As [`Index::add`], and what was added before the rows in question stays: the number of rows tells.
    pub fn add<'a>(
        &self,
        rows: impl Into<MatrixView<'a, f32>>,
        labels: Option<&[u64]>,
        par: Par,
    ) -> Result<usize, Error> {
        let rows = rows.into();
        if let Some(labels) = labels.filter(|labels| labels.len() != rows.len()) {
            return Err(crate::LabelError::Count { labels: labels.len(), rows: rows.len() }.into());
        }
        for start in (0..rows.len()).step_by(ROUND) {
            let range = start..(start + ROUND).min(rows.len());
            let labels = labels.map(|labels| &labels[range.clone()]);
            let added = self.write().add_with(rows.slice(range), labels, par, Monitor::new());
            added.map_err(|error| error.of_rows_from(start))?;
        }
        Ok(rows.len())
    }

    /// As [`Index::remove`].
    ///
    /// # Errors
    /// As [`Index::remove`].
    pub fn remove(&self, labels: &[u64]) -> Result<(), Error> {
        self.write().remove(labels)
    }
}
