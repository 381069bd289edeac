//! Searches with memory of their own.

use crate::any::{AnySearcher, RowFilter, SearchParams};
use crate::{Error, Hit, Index};
use ann_core::{Neighbor, SearchStats};

impl Index {
    /// A searcher with scratch of its own: one per thread, any number of queries, no allocation after the first.
    pub fn searcher(&self) -> Searcher<'_> {
        let (found, hits, stats) = (Vec::new(), Vec::new(), SearchStats::default());
        Searcher { index: self, inner: self.any.searcher(), found, hits, stats }
    }
}

/// Searches one index from one thread.
///
/// ```
/// use ann::prelude::*;
/// let vectors = Matrix::new((0..200).map(|x| x as f32).collect(), 2)?;
/// let index = ann::build(&vectors, Metric::L2)?;
/// let mut searcher = index.searcher();
/// for row in vectors.rows() {
///     assert_eq!(searcher.search(row, 1, &SearchParams::default())?[0].distance, 0.0);
/// }
/// assert!(searcher.stats().evaluations > 0);
/// # Ok::<(), ann::Error>(())
/// ```
pub struct Searcher<'i> {
    index: &'i Index,
    inner: Box<dyn AnySearcher + 'i>,
    found: Vec<Neighbor>,
    hits: Vec<Hit>,
    stats: SearchStats,
}

impl Searcher<'_> {
    /// The nearest rows, valid until the next search.
    ///
    /// # Errors
    /// As [`Index::search`].
    pub fn search(&mut self, query: &[f32], k: usize, params: &SearchParams) -> Result<&[Hit], Error> {
        let Self { index, inner, found, .. } = self;
        let params = &index.resolved(query, k, params)?;
        let search =
            |k, filter: Option<RowFilter<'_>>, out: &mut Vec<Neighbor>| inner.search(query, k, params, filter, out);
        self.stats = index.dead.search(index.any.len(), k, None, found, search)?;
        self.hits.clear();
        self.hits.extend(found.iter().map(|&neighbor| index.hit(neighbor)));
        Ok(&self.hits)
    }

    /// What the last search cost.
    pub fn stats(&self) -> SearchStats {
        self.stats
    }
}

impl std::fmt::Debug for Searcher<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Searcher").field("index", self.index).field("stats", &self.stats).finish_non_exhaustive()
    }
}
