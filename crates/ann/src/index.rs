//! The index that users hold: any structure, with labels.

use crate::Error;
use crate::any::{AnyIndex, AnySearcher, SearchParams};
use crate::factory::Spec;
use crate::labels::Labels;
use ann_core::{ElementKind, MatrixView, MemoryUsage, Metric, Monitor, Neighbor, Par, SearchStats};

/// A row that was found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hit {
    /// The row's label: its position unless labels were given.
    pub label: u64,
    /// Its distance as people quote it ([`Metric::reported`]: Euclidean rather than squared). Smaller is nearer.
    pub distance: f32,
}

/// An index of any kind: made by [`crate::build`], a [`Spec`] or [`crate::open`].
///
/// `&self` searches from any number of threads; `&mut self` grows it. One query allocates the list it returns;
/// [`Index::searcher`] allocates nothing.
///
/// ```
/// use ann::prelude::*;
/// let vectors = Matrix::from_rows(&[[0.0, 0.0], [3.0, 4.0], [1.0, 1.0]])?;
/// let mut index = ann::build(&vectors, Metric::L2)?;
/// index.add(&Matrix::from_rows(&[[9.0, 9.0]])?, Some(&[1_000_000_000_000]))?;
/// let nearest = index.search(&[8.0, 8.0], 1)?;
/// assert_eq!(nearest[0].label, 1_000_000_000_000);
/// let odd = index.search_filtered(&[0.0, 0.0], 1, &SearchParams::default(), &|label| label % 2 == 1)?;
/// assert_eq!(odd[0], Hit { label: 1, distance: 5.0 });
/// # Ok::<(), ann::Error>(())
/// ```
pub struct Index {
    pub(crate) any: Box<dyn AnyIndex>,
    pub(crate) labels: Labels,
    /// Why it was chosen.
    pub(crate) report: Option<String>,
}

impl Index {
    /// Takes an index and labels for its rows; `None` numbers them.
    pub(crate) fn new(any: Box<dyn AnyIndex>, labels: Option<&[u64]>) -> Result<Self, Error> {
        let mut named = Labels::default();
        named.add(0, &named.check(0, any.len(), labels)?);
        Ok(Self { any, labels: named, report: None })
    }

    /// The string that builds such an index.
    pub fn spec(&self) -> Spec {
        Spec::from(self.any.structure())
    }

    /// What was chosen and why, where the spec left the choice to the library; not kept in files.
    pub fn report(&self) -> Option<&str> {
        self.report.as_deref()
    }

    /// The metric of its rows.
    pub fn metric(&self) -> Metric {
        self.any.metric()
    }

    /// Columns of a row.
    pub fn dim(&self) -> usize {
        self.any.dim()
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.any.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.any.is_empty()
    }

    /// Element type that the rows are kept in, without loss unless the spec says otherwise; `u8` for codes alone.
    pub fn element(&self) -> ElementKind {
        self.any.element()
    }

    /// Bytes held, by part; labels count as structure.
    pub fn memory_usage(&self) -> MemoryUsage {
        let usage = self.any.memory_usage();
        MemoryUsage { structure: usage.structure + self.labels.memory_usage(), ..usage }
    }

    /// Whether a row has this label.
    pub fn contains(&self, label: u64) -> bool {
        self.labels.row(label, self.len()).is_some()
    }

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
        let mut found = Vec::new();
        self.any.search(query, k, params, None, &mut found)?;
        Ok(found.iter().map(|&neighbor| self.hit(neighbor)).collect())
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
        let mut found = Vec::new();
        let accepts = |row| filter(self.labels.label(row));
        self.any.search(query, k, params, Some(&accepts), &mut found)?;
        Ok(found.iter().map(|&neighbor| self.hit(neighbor)).collect())
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
        let batch = self.any.search_batch(queries.into(), k, params, None, par)?;
        Ok(batch.iter().map(|found| found.iter().map(|&neighbor| self.hit(neighbor)).collect()).collect())
    }

    /// A searcher with scratch of its own: one per thread, any number of queries, no allocation after the first.
    pub fn searcher(&self) -> Searcher<'_> {
        Searcher { index: self, inner: self.any.searcher(), hits: Vec::new(), stats: SearchStats::default() }
    }

    /// Appends rows, `(n, dim)`, with labels of their own or, for `None`, their numbers.
    ///
    /// Rows that the element type of the index cannot hold make it widen its rows to `f32` first. Codes are those of the rows
    /// that the index was built on: values beyond their range become its end.
    ///
    /// # Errors
    /// [`Error::Row`] or [`Error::Label`]; the index then holds what it held.
    pub fn add<'a>(&mut self, rows: impl Into<MatrixView<'a, f32>>, labels: Option<&[u64]>) -> Result<(), Error> {
        self.add_with(rows, labels, Par::default(), Monitor::new())
    }

    /// As [`Self::add`], on the threads of `par`, with progress and cancellation.
    ///
    /// # Errors
    /// As [`Self::add`], and [`Error::Cancelled`].
    pub fn add_with<'a>(
        &mut self,
        rows: impl Into<MatrixView<'a, f32>>,
        labels: Option<&[u64]>,
        par: Par,
        monitor: Monitor<'_>,
    ) -> Result<(), Error> {
        let rows = rows.into();
        let first = self.len();
        let named = self.labels.check(first, rows.len(), labels)?;
        match self.any.extend(rows, par, monitor) {
            Err(Error::Row(error)) if matches!(error.source, ann_core::VectorError::Inexact { .. }) => {
                let Some(mut wide) = self.any.widened()? else { return Err(Error::Row(error)) };
                wide.extend(rows, par, monitor)?;
                self.any = wide;
            }
            result => result?,
        }
        self.labels.add(first, &named);
        Ok(())
    }

    /// Writes the index to `path`, whole or not at all; [`crate::open`] reads it.
    ///
    /// The same index gives the same bytes.
    ///
    /// # Errors
    /// [`Error::Save`].
    #[cfg(feature = "io")]
    pub fn save(&self, path: impl AsRef<std::path::Path>) -> Result<(), Error> {
        crate::open::save(self, path.as_ref())
    }

    fn hit(&self, neighbor: Neighbor) -> Hit {
        Hit { label: self.labels.label(neighbor.id), distance: self.metric().reported(neighbor.distance) }
    }
}

impl std::fmt::Debug for Index {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Index")
            .field("spec", &self.spec().to_string())
            .field("metric", &self.metric())
            .field("len", &self.len())
            .field("dim", &self.dim())
            .field("element", &self.element().name())
            .finish_non_exhaustive()
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
    hits: Vec<Hit>,
    stats: SearchStats,
}

impl Searcher<'_> {
    /// The nearest rows, valid until the next search.
    ///
    /// # Errors
    /// As [`Index::search`].
    pub fn search(&mut self, query: &[f32], k: usize, params: &SearchParams) -> Result<&[Hit], Error> {
        let (found, stats) = self.inner.search(query, k, params, None)?;
        self.stats = stats;
        self.hits.clear();
        self.hits.extend(found.iter().map(|&neighbor| self.index.hit(neighbor)));
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
