//! Rows that answer distance questions in blocks.
//!
//! Every structure asks through the same door: it makes an oracle for a query once and then hands it blocks of row
//! ids. The oracle dispatches on metric, element type and instruction set once per block, so a structure pays one
//! indirect call per hop and needs no type parameter for any of them.

use crate::{Gauge, Metric, RowSet};

/// Distances between one query and any rows of a store.
pub trait DistanceOracle {
    /// Whether [`Self::distances`] are estimates, and [`Self::exact`] is to be asked about rows that are returned.
    const ESTIMATES: bool = false;

    /// `out[i]` becomes the distance to row `ids[i]`.
    ///
    /// # Panics
    /// If an id is not a row of the store, or the lengths differ.
    fn distances(&self, ids: &[u32], out: &mut [f32]);

    /// The distance to one row, the same value to the bit that [`Self::distances`] gives.
    fn distance(&self, id: u32) -> f32 {
        let mut out = [0.0];
        self.distances(&[id], &mut out);
        out[0]
    }

    /// As [`Self::distances`], but exact where those are estimates.
    ///
    /// # Panics
    /// As [`Self::distances`].
    fn exact(&self, ids: &[u32], out: &mut [f32]) {
        self.distances(ids, out);
    }

    /// As [`Self::exact`], but a row that is farther than `threshold` for certain may be given any distance beyond it: scans
    /// that keep the nearest have no use for the others.
    ///
    /// # Panics
    /// As [`Self::distances`].
    fn exact_within(&self, threshold: f32, ids: &[u32], out: &mut [f32]) {
        let _ = threshold;
        self.exact(ids, out);
    }

    /// The least that the exact distance to a row can be whose estimate is `estimate`, up to rounding.
    fn floor(&self, estimate: f32) -> f32 {
        estimate
    }

    /// Hints that row `id` will be asked for soon. Free to do nothing.
    fn prefetch(&self, id: u32) {
        let _ = id;
    }
}

/// Rows `0..len()` of one kind, with a distance between them.
pub trait VectorStore: Send + Sync {
    /// What a query looks like: `[f32]` nearly always.
    type Vector: ?Sized + Sync;
    /// Where a query is prepared (normalised, padded, turned into tables). Reused from query to query.
    type Scratch: Default + Send;
    /// Answers for one query.
    type Oracle<'a>: DistanceOracle
    where
        Self: 'a;

    /// Number of rows.
    fn len(&self) -> usize;

    /// Whether there are no rows.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether `vector` may be asked for or stored here.
    ///
    /// # Errors
    /// [`VectorError`] that says what is wrong with it.
    fn check(&self, vector: &Self::Vector) -> Result<(), VectorError>;

    /// Prepares `query`, which has passed [`Self::check`].
    fn oracle<'a>(&'a self, query: &'a Self::Vector, scratch: &'a mut Self::Scratch) -> Self::Oracle<'a>;

    /// Prepares row `id` as a query.
    ///
    /// # Panics
    /// If `id` is no row.
    fn oracle_at<'a>(&'a self, id: u32, scratch: &'a mut Self::Scratch) -> Self::Oracle<'a>;

    /// Many to many: `out[i * rows.len() + j]` becomes the distance from row `queries[i]` to row `rows[j]`, the same value to
    /// the bit that [`Self::oracle_at`] leads to.
    ///
    /// # Panics
    /// If an id is no row, or `out.len()` is not the product of the lengths.
    ///
    /// ```
    /// use ann_core::{FlatStore, Matrix, Metric, VectorStore};
    /// let rows = Matrix::from_rows(&[[0.0], [1.0], [3.0]])?;
    /// let store = FlatStore::<f32>::from_rows(rows.view(), Metric::L2)?;
    /// let mut tile = [0.0; 4];
    /// store.tile(&[0, 1], &[1, 2], &mut Default::default(), &mut tile);
    /// assert_eq!(tile, [1.0, 9.0, 0.0, 4.0]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn tile(&self, queries: &[u32], rows: &[u32], scratch: &mut Self::Scratch, out: &mut [f32]) {
        /// Rows that stay in the cache while the queries pass.
        const BLOCK: usize = 32;
        assert_eq!(out.len(), queries.len() * rows.len(), "room for the distances of a tile");
        for (block, ids) in rows.chunks(BLOCK).enumerate() {
            for (i, &query) in queries.iter().enumerate() {
                let line = &mut out[i * rows.len() + block * BLOCK..][..ids.len()];
                self.oracle_at(query, scratch).distances(ids, line);
            }
        }
    }

    /// How distances are read as those of a metric; `None` if they keep no triangle inequality.
    fn gauge(&self) -> Option<Gauge> {
        None
    }

    /// Bytes held by the rows.
    fn memory_usage(&self) -> usize;
}

/// A store that grows.
pub trait PushVector: VectorStore {
    /// Appends a row and returns its id, which is the former [`VectorStore::len`].
    ///
    /// # Errors
    /// [`VectorError`] if the vector does not belong here; the store is unchanged.
    fn push(&mut self, vector: &Self::Vector) -> Result<u32, VectorError>;

    /// Removes the rows from `len` on: how a failed or cancelled insertion is taken back.
    fn truncate(&mut self, len: usize);

    /// Appends many rows, or none.
    ///
    /// # Errors
    /// [`RowError`] for the first vector that does not belong here; the store is then unchanged.
    fn push_all<'v>(&mut self, vectors: impl IntoIterator<Item = &'v Self::Vector>) -> Result<(), RowError>
    where
        Self::Vector: 'v,
    {
        let first = self.len();
        for (row, vector) in vectors.into_iter().enumerate() {
            if let Err(source) = self.push(vector) {
                self.truncate(first);
                return Err(RowError { row, source });
            }
        }
        Ok(())
    }

    /// Removes row `id`; the last row takes its place and its number.
    ///
    /// # Panics
    /// If `id` is no row.
    fn swap_remove(&mut self, id: u32);

    /// Removes the rows of a set, from the last on: rows from the end take the free places. Returns the former number of every row that is left; numbers that no row has
    /// are passed over.
    fn remove_rows(&mut self, rows: &RowSet) -> Vec<u32> {
        rows.swap_out(self.len(), |row| self.swap_remove(row))
    }
}

/// A store whose rows can change places: trees keep together what they compare together.
pub trait Reorder: VectorStore {
    /// Row `i` becomes what row `order[i]` was; `order` holds every row once.
    ///
    /// # Panics
    /// If `order` is shorter or longer, or names no row.
    ///
    /// ```
    /// use ann_core::{FlatStore, Matrix, Metric, Reorder};
    /// let rows = Matrix::from_rows(&[[0.0], [1.0], [3.0]])?;
    /// let mut store = FlatStore::<f32>::from_rows(rows.view(), Metric::L2)?;
    /// store.reorder(&[2, 0, 1]);
    /// assert_eq!((store.row(0), store.row(1)), (&[3.0][..], &[0.0][..]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn reorder(&mut self, order: &[u32]);
}

/// A store whose rows can be read back as `f32`.
pub trait ReadRow: VectorStore<Vector = [f32]> {
    /// Columns of a row.
    fn dim(&self) -> usize;

    /// The metric that was chosen.
    fn metric(&self) -> Metric;

    /// Replaces `out` by row `id` as stored: some stores normalise rows under cosine.
    ///
    /// # Panics
    /// If `id` is no row.
    fn read(&self, id: u32, out: &mut Vec<f32>);

    /// Whether distances under [`Metric::L2`] and [`Metric::L1`] are sums over columns of what a query and the values of [`Self::read`] give there, added up in the order of the
    /// kernels of [`FlatStore`](crate::FlatStore).
    fn sums_columns(&self) -> bool {
        false
    }
}

/// What is wrong with a vector.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum VectorError {
    /// It has the wrong number of columns.
    #[error("the vector has {found} columns, expected {expected}")]
    Dimension {
        /// Columns of the store.
        expected: usize,
        /// Columns of the vector.
        found: usize,
    },
    /// A value is NaN or infinite.
    #[error("column {column} is {value}, expected a finite number")]
    NonFinite {
        /// Where it stands.
        column: usize,
        /// What stands there.
        value: f32,
    },
    /// All columns are zero, which has no direction.
    #[error("the vector is zero, which has no direction under the cosine metric")]
    Zero,
    /// The store keeps an element type that cannot hold this value exactly.
    #[error("column {column} is {value}, which rows of {kind} cannot hold exactly")]
    Inexact {
        /// Where it stands.
        column: usize,
        /// What stands there.
        value: f32,
        /// Element type of the store.
        kind: &'static str,
    },
    /// A value that the user's metric does not accept.
    #[error("element {position} is {found}, expected {must}")]
    Element {
        /// Where it stands.
        position: usize,
        /// What was expected.
        must: &'static str,
        /// What stands there.
        found: String,
    },
    /// The vector is sound, but rows that are on disk could not be read to compare it with.
    #[error("page {page} of the rows on disk: {reason}")]
    Unread {
        /// The page, counted from 0.
        page: u64,
        /// What the system or the checksum says.
        reason: String,
    },
    /// The store has as many rows as ids can name.
    #[error("the store is full: rows are numbered below {limit}")]
    Full {
        /// Most rows a store may have.
        limit: u32,
    },
}

/// A vector among many that is wrong.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("row {row}: {source}")]
pub struct RowError {
    /// Its position in what was given.
    pub row: usize,
    /// What is wrong with it.
    pub source: VectorError,
}

/// The first value that is not finite, as an error.
///
/// # Errors
/// [`VectorError::NonFinite`].
///
/// ```
/// let error = ann_core::check_finite(&[1.0, f32::NAN]).unwrap_err();
/// assert_eq!(error.to_string(), "column 1 is NaN, expected a finite number");
/// ```
pub fn check_finite(vector: &[f32]) -> Result<(), VectorError> {
    // One vectorised pass in the ordinary case.
    if vector.iter().fold(true, |finite, x| finite & x.is_finite()) {
        return Ok(());
    }
    match vector.iter().enumerate().find(|(_, x)| !x.is_finite()) {
        Some((column, &value)) => Err(VectorError::NonFinite { column, value }),
        None => Ok(()),
    }
}
