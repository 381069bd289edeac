//! Searches: of one query and of many, with filters and without.

use crate::any::{RowFilter, SearchParams};
use crate::select::{ByLabel, Selection};
use crate::{Error, Index};
use ann_core::{MatrixView, Metric, Neighbor, Par, RowError, ScratchPool, SearchStats};

/// A row that was found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hit {
    /// The row's label: its position unless labels were given.
    pub label: u64,
    /// Its distance as people quote it ([`Metric::reported`]: Euclidean rather than squared). Smaller is nearer.
    pub distance: f32,
}

impl Index {
    /// The `min(k, len)` nearest rows, nearest first.
    ///
    /// # Errors
    /// [`Error::Query`] if the query has the wrong dimension, is not finite, or is zero under the cosine metric.
    pub fn search(&self, query: &[f32], k: usize) -> Result<Vec<Hit>, Error> {
        self.search_with(query, k, &SearchParams::default())
    }

    /// As [`Self::search`], looking as hard as `params` says.
    ///
    /// # Errors
    /// As [`Self::search`].
    pub fn search_with(&self, query: &[f32], k: usize, params: &SearchParams) -> Result<Vec<Hit>, Error> {
        Ok(self.hits(&self.find(query, k, params, None)?))
    }

    /// The `min(k, matches)` nearest rows among those whose label `filter` accepts.
    ///
    /// # Errors
    /// As [`Self::search`].
    pub fn search_filtered(
        &self,
        query: &[f32],
        k: usize,
        params: &SearchParams,
        filter: &(dyn Fn(u64) -> bool + Sync),
    ) -> Result<Vec<Hit>, Error> {
        Ok(self.hits(&self.find(query, k, params, Some(&ByLabel { labels: &self.labels, accepts: filter }))?))
    }

    /// As [`Self::search_filtered`] for rows that were selected before, which a search need not be told one by one: by far the faster for many queries and for
    /// selections of few rows.
    ///
    /// # Errors
    /// As [`Self::search`]; [`Error::Selection`] if the selection is of another index or was made before [`Self::compact`].
    pub fn search_selected(
        &self,
        query: &[f32],
        k: usize,
        params: &SearchParams,
        selection: &Selection,
    ) -> Result<Vec<Hit>, Error> {
        Ok(self.hits(&self.find(query, k, params, Some(selection.rows_of(self)?))?))
    }

    /// The `k` nearest rows of the row that has this label, without itself: where to go from there. On graphs the search begins at that row.
    ///
    /// # Errors
    /// [`LabelError::Unknown`](crate::LabelError::Unknown) if no row has the label; [`Error::Target`] and its like for a target recall.
    ///
    /// ```
    /// use ann::prelude::*;
    /// let vectors = Matrix::from_rows(&[[0.0, 0.0], [3.0, 4.0], [1.0, 1.0]])?;
    /// let index = ann::build(&vectors, Metric::L2)?;
    /// assert_eq!(index.search_like(0, 1, &SearchParams::default())?[0].label, 2);
    /// # Ok::<(), ann::Error>(())
    /// ```
    pub fn search_like(&self, label: u64, k: usize, params: &SearchParams) -> Result<Vec<Hit>, Error> {
        let row = self.labels.row(label, self.any.len());
        let row = row.ok_or(crate::LabelError::Unknown { position: 0, label })?;
        if params.target_recall.is_some() && self.metric() == Metric::InnerProduct {
            // What a recall takes depends on the length of the query, which only the store knows here.
            return Err(Error::Calibration { why: "a target recall under inner products takes a query, not a label" });
        }
        let params = self.resolved(&[], k, params)?;
        let mut found = Vec::new();
        let search = |k: usize, filter: Option<RowFilter<'_>>, out: &mut Vec<Neighbor>| {
            let stats = self.any.search_row(row, k.saturating_add(1), &params, filter, out);
            out.retain(|neighbor| neighbor.id != row);
            out.truncate(k);
            Ok(stats)
        };
        self.dead.search(self.any.len(), k, None, &mut found, search)?;
        Ok(self.hits(&found))
    }

    /// Searches every row of `queries`, `(n, dim)`, on the threads of `par`: the same results as one by one.
    ///
    /// # Errors
    /// [`Error::Row`] for the first query that does not fit.
    pub fn search_batch<'a>(
        &self,
        queries: impl Into<MatrixView<'a, f32>>,
        k: usize,
        params: &SearchParams,
        par: Par,
    ) -> Result<Vec<Vec<Hit>>, Error> {
        let queries = queries.into();
        if params.target_recall.is_some() && self.metric() == Metric::InnerProduct {
            // Every query has an effort of its own.
            let pool = ScratchPool::<()>::default();
            let one = |row| self.search_with(queries.row(row), k, params).map_err(|error| error.of_row(row));
            let all = par.install(|par| {
                par.map_chunks(queries.len(), 32, &pool, |(), range| range.map(one).collect::<Result<Vec<_>, _>>())
            });
            return Ok(all.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect());
        }
        let params = &self.resolved(&[], k, params)?;
        let batch = self.any.search_batch(queries, self.dead.and_spare(k), params, None, par)?;
        let (mut all, mut left) = (Vec::with_capacity(batch.len()), Vec::new());
        for (row, found) in batch.iter().enumerate() {
            let search = |k, filter: Option<RowFilter<'_>>, out: &mut Vec<Neighbor>| match filter {
                Some(_) => self.any.search(queries.row(row), k, params, filter, out),
                None => {
                    out.clear();
                    out.extend_from_slice(found);
                    Ok(SearchStats::default())
                }
            };
            self.dead.search(self.any.len(), k, None, &mut left, search).map_err(|source| RowError { row, source })?;
            all.push(self.hits(&left));
        }
        Ok(all)
    }

    pub(crate) fn find(
        &self,
        query: &[f32],
        k: usize,
        params: &SearchParams,
        filter: Option<RowFilter<'_>>,
    ) -> Result<Vec<Neighbor>, Error> {
        let params = &self.resolved(query, k, params)?;
        let mut found = Vec::new();
        let search =
            |k, filter: Option<RowFilter<'_>>, out: &mut Vec<Neighbor>| self.any.search(query, k, params, filter, out);
        self.dead.search(self.any.len(), k, filter, &mut found, search)?;
        Ok(found)
    }

    pub(crate) fn hits(&self, found: &[Neighbor]) -> Vec<Hit> {
        found.iter().map(|&neighbor| self.hit(neighbor)).collect()
    }

    pub(crate) fn hit(&self, neighbor: Neighbor) -> Hit {
        Hit { label: self.labels.label(neighbor.id), distance: self.metric().reported(neighbor.distance) }
    }
}
