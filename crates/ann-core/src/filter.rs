//! Which rows a search may return.

/// Decides which rows a search may return. Rows that are not accepted are still walked through.
///
/// Implemented by [`All`], by [`Predicate`] around any closure, and by [`SortedIds`].
pub trait Filter {
    /// Whether every row passes; lets a search drop the whole machinery at compile time.
    const PASS_ALL: bool = false;

    /// Whether row `id` may be returned. Must answer the same for the same id during one search.
    fn accepts(&self, id: u32) -> bool;
}

/// Accepts every row.
#[derive(Debug, Clone, Copy, Default)]
pub struct All;

impl Filter for All {
    const PASS_ALL: bool = true;

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
}

impl<F: Filter + ?Sized> Filter for &F {
    const PASS_ALL: bool = false;

    fn accepts(&self, id: u32) -> bool {
        (**self).accepts(id)
    }
}
