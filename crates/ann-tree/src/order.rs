//! Rows in the order of leaves: which row is at a place of the store, and at which place a row is.
//!
//! A tree puts the rows of its store in the order of its leaves, so that a leaf is one piece of memory. Rows that come later are appended to the store and
//! compared one by one, beside the tree, until there are so many that the tree is built anew: see [`tail_is_long`]. Cost: 8 bytes per row.

use crate::BuildError;
#[cfg(feature = "persist")]
use crate::shape::Shape;
use ann_core::simd::Buffer;
use ann_core::{Monitor, PushVector, RowSet};
#[cfg(feature = "persist")]
use ann_io::container::{Archive, LoadError};

/// A permutation of rows and its inverse.
#[derive(Debug, Clone, Default)]
pub(crate) struct LeafOrder {
    rows: Buffer<u32>,
    places: Buffer<u32>,
}

impl LeafOrder {
    /// Every row at the place of its number.
    pub(crate) fn identity(len: usize) -> Self {
        let all: Vec<u32> = (0..len as u32).collect();
        Self { rows: Buffer::from_slice(&all), places: Buffer::from_slice(&all) }
    }

    /// Reads the order of `len` rows from the section `rows`, of which the first `in_tree` are in a tree.
    #[cfg(feature = "persist")]
    pub(crate) fn load(archive: &Archive, in_tree: u64, len: usize) -> Result<(Shape, Self), LoadError> {
        let in_tree = usize::try_from(in_tree).ok().filter(|&rows| rows <= len);
        let in_tree = in_tree.ok_or_else(|| archive.corrupt("rows", "more rows in the tree than there are"))?;
        let order = Self::from_rows(archive.section_of("rows", len)?);
        let order = order.ok_or_else(|| archive.corrupt("rows", "a row is missing, or there twice"))?;
        Ok((Shape::new(in_tree), order))
    }

    /// Takes what [`Self::rows`] gave; `None` if that is no permutation.
    #[cfg(feature = "persist")]
    fn from_rows(rows: Buffer<u32>) -> Option<Self> {
        let mut places = vec![u32::MAX; rows.len()];
        for (place, &row) in rows.iter().enumerate() {
            let free = places.get_mut(row as usize).filter(|at| **at == u32::MAX)?;
            *free = place as u32;
        }
        Some(Self { rows, places: Buffer::from_slice(&places) })
    }

    /// The row at every place.
    #[inline(always)]
    pub(crate) fn rows(&self) -> &[u32] {
        &self.rows
    }

    /// The place of every row.
    #[inline(always)]
    pub(crate) fn places(&self) -> &[u32] {
        &self.places
    }

    /// What is at place `i` becomes what was at place `order[i]`.
    pub(crate) fn reorder(&mut self, order: &[u32]) {
        let rows: Vec<u32> = order.iter().map(|&place| self.rows[place as usize]).collect();
        let places = self.places.as_mut_slice();
        rows.iter().enumerate().for_each(|(place, &row)| places[row as usize] = place as u32);
        self.rows = Buffer::from_slice(&rows);
    }

    /// As [`push_all`], keeping the order.
    pub(crate) fn push_all<'v, S: PushVector>(
        &mut self,
        rows: impl IntoIterator<Item = &'v S::Vector>,
        store: &mut S,
        in_tree: usize,
        monitor: Monitor<'_>,
    ) -> Result<bool, BuildError>
    where
        S::Vector: 'v,
    {
        let is_long = push_all(store, rows, in_tree, monitor)?;
        for row in self.rows.len()..store.len() {
            self.rows.push(row as u32);
            self.places.push(row as u32);
        }
        Ok(is_long)
    }

    /// Takes rows out of a store that is in this order: the last rows take their numbers, and the rows at the last places their places. Gives the former
    /// number of every row that is left.
    pub(crate) fn remove_rows(&mut self, dead: &RowSet, store: &mut impl PushVector) -> Vec<u32> {
        let mut len = self.rows.len();
        dead.swap_out(len, |row| {
            len -= 1;
            let (rows, places) = (self.rows.as_mut_slice(), self.places.as_mut_slice());
            let place = places[row as usize] as usize;
            store.swap_remove(place as u32);
            // What was at the last place.
            let moved = rows[len];
            rows[place] = moved;
            places[moved as usize] = place as u32;
            // The row that takes the number, unless it was the one that went.
            let renamed = places[len] as usize;
            if row as usize != len {
                rows[renamed] = row;
                places[row as usize] = renamed as u32;
            }
            self.rows.truncate(len);
            self.places.truncate(len);
        })
    }

    pub(crate) fn memory_usage(&self) -> usize {
        self.rows.memory_bytes() + self.places.memory_bytes()
    }
}

/// Appends rows to a store whose first `in_tree` rows are in a tree; says whether so many are beside it that it is to be built anew.
pub(crate) fn push_all<'v, S: PushVector>(
    store: &mut S,
    rows: impl IntoIterator<Item = &'v S::Vector>,
    in_tree: usize,
    monitor: Monitor<'_>,
) -> Result<bool, BuildError>
where
    S::Vector: 'v,
{
    let before = store.len();
    store.push_all(rows)?;
    let is_long = tail_is_long(store.len() - in_tree, in_tree);
    if is_long && let Err(cancelled) = monitor.report(before as u64, store.len() as u64) {
        store.truncate(before);
        return Err(cancelled.into());
    }
    Ok(is_long)
}

/// Whether so many rows beside a tree of `rows` rows are better put into it: more than a thousand and than one in 256, which at a few nanoseconds each are compared in
/// some microseconds, and make the share of an insertion in building anew some hundreds of times what one row costs in a build.
fn tail_is_long(tail: usize, rows: usize) -> bool {
    tail > (rows / 256).max(1024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ann_core::{FlatStore, Matrix, Metric, Reorder};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn rows_stay_at_their_places(len in 1usize..40, seed: u64, dead in proptest::collection::vec(0u32..50, 0..20)) {
            let rows = Matrix::new((0..len).map(|x| x as f32).collect(), 1).unwrap();
            let mut store = FlatStore::<f32>::from_rows(rows.view(), Metric::L2).unwrap();
            let mut order = LeafOrder::identity(len);
            let mut shuffled: Vec<u32> = (0..len as u32).collect();
            shuffled.sort_by_key(|&row| ann_core::split_mix(seed, u64::from(row)));
            for _ in 0..2 {
                order.reorder(&shuffled);
                store.reorder(&shuffled);
            }
            let dead: RowSet = dead.into_iter().filter(|&row| (row as usize) < len).collect();
            let left = order.remove_rows(&dead, &mut store);
            prop_assert_eq!(left.clone(), dead.swap_out(len, |_| ()));
            for (row, &former) in left.iter().enumerate() {
                let place = order.places()[row];
                prop_assert_eq!(order.rows()[place as usize] as usize, row);
                prop_assert_eq!(store.row(place), &[former as f32]);
            }
        }
    }
}
