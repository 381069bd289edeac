//! Rows of any type under a distance of the user's: histograms, sets, strings, structs.
//!
//! Every row is an owned value of its own, so rows may differ in length; a distance call per pair is the price. The
//! store is a [`VectorStore`] like any other: whatever searches vectors searches these.

use std::borrow::Borrow;
use std::fmt;

use crate::dense::MAX_ROWS;
use crate::distance::{Distance, ElementError};
use crate::{DistanceOracle, Gauge, PushVector, Reorder, RowError, VectorError, VectorStore};

/// Owned rows compared as `V` by a [`Distance`]: `SpaceStore<str, _>` keeps `String`s, `SpaceStore<[f64], _>` keeps
/// `Vec<f64>`s, and for a `Clone` struct of yours `SpaceStore<YourStruct, _>` keeps the struct.
///
/// ```
/// use ann_core::distance::Levenshtein;
/// use ann_core::{Exact, Searcher, SpaceStore};
///
/// let words = ["graph", "grape", "giraffe"].map(String::from);
/// let index = Exact::new(SpaceStore::<str, _>::from_rows(words, Levenshtein)?);
/// let found = Searcher::new(&index, ()).search("grate", 2)?.to_vec();
/// assert_eq!((found[0].id, found[0].distance), (1, 1.0));
/// assert_eq!(index.store().row(0), "graph");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct SpaceStore<V: ?Sized + ToOwned, D> {
    rows: Vec<V::Owned>,
    distance: D,
}

impl<V: ?Sized + ToOwned, D: Distance<V>> SpaceStore<V, D> {
    /// A store without rows.
    pub fn new(distance: D) -> Self {
        Self { rows: Vec::new(), distance }
    }

    /// Takes rows in, in order.
    ///
    /// # Errors
    /// [`RowError`] for the first row that [`Distance::check`] refuses.
    pub fn from_rows(rows: impl IntoIterator<Item = V::Owned>, distance: D) -> Result<Self, RowError> {
        let rows = rows.into_iter();
        let mut store = Self { rows: Vec::with_capacity(rows.size_hint().0), distance };
        for (row, value) in rows.enumerate() {
            store.push_owned(value).map_err(|source| RowError { row, source })?;
        }
        Ok(store)
    }

    /// Appends a row without copying it and returns its id.
    ///
    /// # Errors
    /// [`VectorError::Element`] if [`Distance::check`] refuses it, [`VectorError::Full`] beyond 2³¹ rows; the store is
    /// then unchanged.
    pub fn push_owned(&mut self, value: V::Owned) -> Result<u32, VectorError> {
        self.distance.check(value.borrow())?;
        match u32::try_from(self.rows.len()) {
            Ok(id) if id < MAX_ROWS => {
                self.rows.push(value);
                Ok(id)
            }
            _ => Err(VectorError::Full { limit: MAX_ROWS }),
        }
    }

    /// Row `id`.
    ///
    /// # Panics
    /// If `id` is no row.
    pub fn row(&self, id: u32) -> &V {
        self.rows[id as usize].borrow()
    }

    /// All rows in order.
    pub fn rows(&self) -> &[V::Owned] {
        &self.rows
    }

    /// What compares the rows.
    pub fn metric(&self) -> &D {
        &self.distance
    }
}

impl From<ElementError> for VectorError {
    fn from(ElementError { position, must, found }: ElementError) -> Self {
        Self::Element { position, must, found }
    }
}

/// Answers for one query against a [`SpaceStore`].
pub struct SpaceOracle<'a, V: ?Sized + ToOwned, D> {
    store: &'a SpaceStore<V, D>,
    query: &'a V,
}

impl<V: ?Sized + ToOwned, D: Distance<V>> DistanceOracle for SpaceOracle<'_, V, D> {
    fn distances(&self, ids: &[u32], out: &mut [f32]) {
        assert_eq!(ids.len(), out.len(), "as many distances as ids");
        for (&id, distance) in ids.iter().zip(out) {
            *distance = self.distance(id);
        }
    }

    fn distance(&self, id: u32) -> f32 {
        self.store.distance.eval(self.query, self.store.row(id))
    }
}

impl<V, D> VectorStore for SpaceStore<V, D>
where
    V: ?Sized + ToOwned<Owned: Send + Sync> + Sync,
    D: Distance<V>,
{
    type Vector = V;
    type Scratch = ();
    type Oracle<'a>
        = SpaceOracle<'a, V, D>
    where
        Self: 'a;

    fn len(&self) -> usize {
        self.rows.len()
    }

    fn check(&self, vector: &V) -> Result<(), VectorError> {
        Ok(self.distance.check(vector)?)
    }

    fn oracle<'a>(&'a self, query: &'a V, (): &'a mut ()) -> SpaceOracle<'a, V, D> {
        SpaceOracle { store: self, query }
    }

    fn oracle_at<'a>(&'a self, id: u32, (): &'a mut ()) -> SpaceOracle<'a, V, D> {
        SpaceOracle { store: self, query: self.row(id) }
    }

    /// As the distance says of itself; distances are taken to be within a hundred thousandth of the truth, or a ten millionth where that is more.
    fn gauge(&self) -> Option<Gauge> {
        self.distance.is_metric().then(|| Gauge::plain(1e-5, 1e-7))
    }

    /// Counts the rows and what `[T]` and `str` rows point to; what a struct of yours points to is unknown here.
    fn memory_usage(&self) -> usize {
        let pointed_to = |row: &V::Owned| {
            let value: &V = row.borrow();
            let inline = std::ptr::addr_eq(std::ptr::from_ref(row), std::ptr::from_ref(value));
            if inline { 0 } else { size_of_val(value) }
        };
        self.rows.capacity() * size_of::<V::Owned>() + self.rows.iter().map(pointed_to).sum::<usize>()
    }
}

impl<V, D> PushVector for SpaceStore<V, D>
where
    V: ?Sized + ToOwned<Owned: Send + Sync> + Sync,
    D: Distance<V>,
{
    fn push(&mut self, vector: &V) -> Result<u32, VectorError> {
        self.distance.check(vector)?;
        self.push_owned(vector.to_owned())
    }

    fn truncate(&mut self, len: usize) {
        self.rows.truncate(len);
    }

    fn swap_remove(&mut self, id: u32) {
        self.rows.swap_remove(id as usize);
    }
}

impl<V, D> Reorder for SpaceStore<V, D>
where
    V: ?Sized + ToOwned<Owned: Send + Sync> + Sync,
    D: Distance<V>,
{
    fn reorder(&mut self, order: &[u32]) {
        assert_eq!(order.len(), self.rows.len(), "as many places as rows");
        let mut rows: Vec<Option<V::Owned>> = std::mem::take(&mut self.rows).into_iter().map(Some).collect();
        // Every row is named once, as the caller says.
        self.rows.extend(order.iter().filter_map(|&from| rows[from as usize].take()));
    }
}

impl<V: ?Sized + ToOwned<Owned: Clone>, D: Clone> Clone for SpaceStore<V, D> {
    fn clone(&self) -> Self {
        Self { rows: self.rows.clone(), distance: self.distance.clone() }
    }
}

impl<V: ?Sized + ToOwned, D: fmt::Debug> fmt::Debug for SpaceStore<V, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpaceStore").field("rows", &self.rows.len()).field("distance", &self.distance).finish()
    }
}

impl<V: ?Sized + ToOwned + fmt::Debug, D> fmt::Debug for SpaceOracle<'_, V, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpaceOracle").field("query", &self.query).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::distance::{Jaccard, L1, Levenshtein, SetJaccard};

    #[test]
    fn rows_that_a_distance_refuses_name_row_and_position() {
        let error = SpaceStore::<[f32], _>::from_rows([vec![1.0], vec![0.0, -2.0]], Jaccard).unwrap_err();
        assert_eq!(error.to_string(), "row 1: element 1 is -2, expected finite and not negative");
        let mut store = SpaceStore::<[u32], _>::new(SetJaccard);
        assert_eq!(store.push(&[1, 4, 9]), Ok(0));
        assert!(store.push(&[4, 1]).is_err());
        assert_eq!(store.len(), 1);
        assert!(store.check(&[2, 2]).is_err());
    }

    #[test]
    fn rows_of_any_length_answer_by_query_and_by_id() {
        let rows = ["", "a", "abc"].map(String::from);
        let store = SpaceStore::<str, _>::from_rows(rows, Levenshtein).unwrap();
        let mut out = [0.0; 3];
        store.oracle("ab", &mut ()).distances(&[2, 0, 1], &mut out);
        assert_eq!(out, [1.0, 2.0, 1.0]);
        store.oracle_at(2, &mut ()).distances(&[2, 0, 1], &mut out);
        assert_eq!(out, [0.0, 3.0, 2.0]);
    }

    #[test]
    fn structs_compare_by_closure() {
        #[derive(Clone)]
        struct Event {
            hour: u8,
        }
        let around_the_clock = |a: &Event, b: &Event| {
            let apart = a.hour.abs_diff(b.hour) % 24;
            f32::from(apart.min(24 - apart))
        };
        let mut store = SpaceStore::<Event, _>::new(around_the_clock);
        for hour in [1, 12, 23] {
            store.push(&Event { hour }).unwrap();
        }
        let midnight = Event { hour: 0 };
        assert_eq!(store.oracle(&midnight, &mut ()).distance(2), 1.0);
        assert_eq!(store.oracle(&midnight, &mut ()).distance(1), 12.0);
        assert_eq!(store.memory_usage(), store.rows.capacity());
    }

    #[test]
    fn memory_counts_what_rows_point_to() {
        let store = SpaceStore::<[u16], _>::from_rows([vec![1, 2, 3], vec![]], L1).unwrap();
        assert_eq!(store.memory_usage(), 2 * size_of::<Vec<u16>>() + 6);
    }

    #[test]
    fn truncate_takes_insertions_back() {
        let mut store = SpaceStore::<[u8], _>::from_rows([vec![1], vec![2]], L1).unwrap();
        store.truncate(1);
        assert_eq!((store.len(), store.push(&[7])), (1, Ok(1)));
        assert_eq!(store.row(1), [7]);
    }
}
