//! Which rows a search may return.

use std::ops::Range;

/// Decides which rows a search may return. Rows that are not accepted may still be walked through.
///
/// Implemented by [`All`], by [`Predicate`] around any closure, by [`SortedIds`], by [`RowSet`] and by ranges of rows.
pub trait Filter {
    /// Whether every row passes; lets a search drop the whole machinery at compile time.
    fn passes_all() -> bool
    where
        Self: Sized,
    {
        false
    }

    /// Whether row `id` may be returned. Must answer the same for the same id during one search.
    fn accepts(&self, id: u32) -> bool;

    /// The first accepted row among `rows`.
    fn first_among(&self, mut rows: Range<u32>) -> Option<u32> {
        rows.find(|&id| self.accepts(id))
    }

    /// How many rows it accepts, if it knows without asking them one by one; rows beyond the index may count.
    fn known_count(&self) -> Option<usize> {
        None
    }

    /// The accepted rows among `rows`, ascending.
    fn among(&self, rows: Range<u32>) -> impl Iterator<Item = u32>
    where
        Self: Sized,
    {
        let mut rest = rows;
        std::iter::from_fn(move || {
            let id = self.first_among(rest.clone())?;
            rest.start = id + 1;
            Some(id)
        })
    }
}

/// Accepts every row.
#[derive(Debug, Clone, Copy, Default)]
pub struct All;

impl Filter for All {
    fn passes_all() -> bool {
        true
    }

    fn accepts(&self, _: u32) -> bool {
        true
    }
}

/// Accepts the rows for which a closure says yes.
///
/// ```
/// use ann_core::{Filter, Predicate};
/// let even = Predicate(|id| id % 2 == 0);
/// assert!(even.accepts(4) && !even.accepts(5));
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Predicate<F>(pub F);

impl<F: Fn(u32) -> bool> Filter for Predicate<F> {
    fn accepts(&self, id: u32) -> bool {
        self.0(id)
    }
}

/// Accepts the rows of a range.
///
/// ```
/// use ann_core::Filter;
/// assert!((3..5).accepts(4) && !(3..5).accepts(5));
/// assert_eq!((3..5).among(0..100).collect::<Vec<_>>(), [3, 4]);
/// ```
impl Filter for Range<u32> {
    fn accepts(&self, id: u32) -> bool {
        self.contains(&id)
    }

    fn first_among(&self, rows: Range<u32>) -> Option<u32> {
        let (start, end) = (self.start.max(rows.start), self.end.min(rows.end));
        (start < end).then_some(start)
    }

    fn known_count(&self) -> Option<usize> {
        Some(self.len())
    }
}

/// Accepts the rows of an ascending list, by binary search.
///
/// ```
/// use ann_core::{Filter, SortedIds};
/// let filter = SortedIds::new(&[2, 3, 5, 7]).unwrap();
/// assert!(filter.accepts(5) && !filter.accepts(6));
/// assert!(SortedIds::new(&[3, 2]).is_none());
/// ```
#[derive(Debug, Clone, Copy)]
pub struct SortedIds<'a>(&'a [u32]);

impl<'a> SortedIds<'a> {
    /// `None` if the list is not ascending.
    pub fn new(ids: &'a [u32]) -> Option<Self> {
        ids.is_sorted().then_some(Self(ids))
    }
}

impl Filter for SortedIds<'_> {
    fn accepts(&self, id: u32) -> bool {
        self.0.binary_search(&id).is_ok()
    }

    fn first_among(&self, rows: Range<u32>) -> Option<u32> {
        let at = self.0.partition_point(|&id| id < rows.start);
        self.0.get(at).copied().filter(|id| rows.contains(id))
    }

    fn known_count(&self) -> Option<usize> {
        Some(self.0.len())
    }
}

/// A set of rows, a bit each: the fastest filter to ask, and the one that knows how many rows it accepts.
///
/// ```
/// use ann_core::{Filter, RowSet};
/// let mut set: RowSet = [2, 70].into_iter().collect();
/// assert!(set.insert(5) && !set.insert(5));
/// assert_eq!((set.len(), set.among(3..100).collect::<Vec<_>>()), (3, vec![5, 70]));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RowSet {
    words: Vec<u64>,
    len: usize,
}

impl RowSet {
    /// The rows whose bits are set: bit `i % 64` of word `i / 64` is row `i`.
    pub fn from_words(words: Vec<u64>) -> Self {
        let len = words.iter().map(|word| word.count_ones() as usize).sum();
        Self { words, len }
    }

    /// What [`Self::from_words`] takes.
    pub fn as_words(&self) -> &[u64] {
        &self.words
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds a row; says whether it is new.
    pub fn insert(&mut self, row: u32) -> bool {
        let at = row as usize / 64;
        self.words.resize(self.words.len().max(at + 1), 0);
        let new = !self.accepts(row);
        self.len += usize::from(new);
        self.words[at] |= 1 << (row % 64);
        new
    }

    /// Calls `remove` for the rows of the set among `0..len`, from the last on, where removing a row lets the last one take its number.
    /// Gives the former number of every row that is left.
    ///
    /// ```
    /// use ann_core::RowSet;
    /// let mut letters = vec!['a', 'b', 'c', 'd'];
    /// let gone: RowSet = [0, 2].into_iter().collect();
    /// assert_eq!(gone.swap_out(4, |row| _ = letters.swap_remove(row as usize)), [3, 1]);
    /// assert_eq!(letters, ['d', 'b']);
    /// ```
    pub fn swap_out(&self, len: usize, mut remove: impl FnMut(u32)) -> Vec<u32> {
        let mut left: Vec<u32> = (0..len as u32).collect();
        let mut gone: Vec<u32> = self.among(0..len as u32).collect();
        gone.reverse();
        for row in gone {
            left.swap_remove(row as usize);
            remove(row);
        }
        left
    }

    /// Bytes held.
    pub fn memory_usage(&self) -> usize {
        self.words.capacity() * size_of::<u64>()
    }
}

impl FromIterator<u32> for RowSet {
    fn from_iter<I: IntoIterator<Item = u32>>(rows: I) -> Self {
        let mut set = Self::default();
        rows.into_iter().for_each(|row| {
            set.insert(row);
        });
        set
    }
}

impl Filter for RowSet {
    fn accepts(&self, id: u32) -> bool {
        self.words.get(id as usize / 64).is_some_and(|word| word >> (id % 64) & 1 == 1)
    }

    fn first_among(&self, rows: Range<u32>) -> Option<u32> {
        let first = rows.start as usize / 64;
        let words = self.words.get(first..)?.iter().enumerate();
        let mut from = u64::MAX << (rows.start % 64);
        for (word, bits) in words.map(|(i, word)| (first + i, word & std::mem::replace(&mut from, u64::MAX))) {
            if bits != 0 {
                let id = (64 * word) as u32 + bits.trailing_zeros();
                return rows.contains(&id).then_some(id);
            }
        }
        None
    }

    fn known_count(&self) -> Option<usize> {
        Some(self.len)
    }
}

impl<F: Filter + ?Sized> Filter for &F {
    fn accepts(&self, id: u32) -> bool {
        (**self).accepts(id)
    }

    fn first_among(&self, rows: Range<u32>) -> Option<u32> {
        (**self).first_among(rows)
    }

    fn known_count(&self) -> Option<usize> {
        (**self).known_count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn filters_that_know_better_agree_with_those_that_ask(
            ids in proptest::collection::btree_set(0u32..300, 0..40), start in 0u32..310, len in 0u32..310,
        ) {
            let ids: Vec<u32> = ids.into_iter().collect();
            let (asked, rows) = (Predicate(|id| ids.contains(&id)), start..start + len);
            let expected: Vec<u32> = asked.among(rows.clone()).collect();
            let set: RowSet = ids.iter().copied().collect();
            prop_assert_eq!(set.among(rows.clone()).collect::<Vec<_>>(), expected.clone());
            prop_assert_eq!(SortedIds::new(&ids).unwrap().among(rows.clone()).collect::<Vec<_>>(), expected);
            prop_assert_eq!(set.known_count(), Some(ids.len()));
            prop_assert_eq!(RowSet::from_words(set.as_words().to_vec()).first_among(0..300), ids.first().copied());
            let (a, b) = (start.min(150), 150);
            prop_assert_eq!((a..b).among(rows.clone()).collect::<Vec<_>>(), Predicate(|id| (a..b).contains(&id)).among(rows).collect::<Vec<_>>());
        }
    }
}
