//! Many queries at once.
//!
//! Queries of a block look through the same lists together: the codes of a list are read once and stay near while one query after the other passes over them. Every
//! query has a pool of its own, and what a pool holds in the end does not depend on the order of lists: results are those of one by one.

use crate::search::IvfScratch;
use crate::{Ivf, IvfSearch, ListRows};
use ann_core::{Batch, Filter, MatrixView, Par, RowError};

impl<S: ListRows> Ivf<S> {
    /// Searches every row of `queries`, `(m, dim)`; the same results as one by one, on any number of threads.
    ///
    /// # Errors
    /// [`RowError`] for the first query that does not fit.
    pub fn search_batch(
        &self,
        queries: MatrixView<'_, f32>,
        k: usize,
        params: &IvfSearch,
        filter: &(impl Filter + Sync),
        par: Par,
    ) -> Result<Batch, RowError> {
        let _ = IvfScratch::<S>::default;
        ann_core::search_batch(self, queries, k, params, filter, par)
    }
}
