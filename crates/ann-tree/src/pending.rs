//! Branches that a search has left for later, the most promising first: one queue over all trees of an index.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A branch of one of the trees.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Branch {
    /// What nothing in it is nearer than, or whatever else tells how far it is: smaller comes first.
    pub(crate) bound: f32,
    /// The tree.
    pub(crate) tree: u32,
    /// Where the branch begins in that tree.
    pub(crate) node: u32,
}

/// A priority queue of [`Branch`]es; of those with one bound, the first tree and node comes first. Memory is reused.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pending(BinaryHeap<Reverse<(u32, u32, u32)>>);

impl Pending {
    /// Forgets everything and makes room for so many branches, that no later search need.
    pub(crate) fn reset(&mut self, most: usize) {
        self.0.clear();
        self.0.reserve(most);
    }

    /// Puts a branch by.
    pub(crate) fn push(&mut self, Branch { bound, tree, node }: Branch) {
        self.0.push(Reverse((ordered(bound), tree, node)));
    }

    /// The nearest branch.
    pub(crate) fn pop(&mut self) -> Option<Branch> {
        self.0.pop().map(|Reverse((bound, tree, node))| Branch { bound: unordered(bound), tree, node })
    }
}

/// A number that orders as `value` does; zeros are equal, NaN comes last.
#[inline(always)]
pub(crate) fn ordered(value: f32) -> u32 {
    // Adding zero makes of the negative zero a positive one.
    let bits = if value.is_nan() { f32::NAN.to_bits() & 0x7fff_ffff } else { (value + 0.0).to_bits() };
    bits ^ (((bits as i32 >> 31) as u32) | 0x8000_0000)
}

/// The inverse of [`ordered`].
#[inline(always)]
pub(crate) fn unordered(ordered: u32) -> f32 {
    let flip = if ordered & 0x8000_0000 == 0 { u32::MAX } else { 0x8000_0000 };
    f32::from_bits(ordered ^ flip)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn branches_come_nearest_first_and_ties_in_order() {
        let mut pending = Pending::default();
        for (bound, tree, node) in [(2.0, 0, 1), (-1.0, 1, 5), (f32::INFINITY, 0, 0), (-1.0, 0, 9), (-1.0, 0, 7)] {
            pending.push(Branch { bound, tree, node });
        }
        let order: Vec<_> = std::iter::from_fn(|| pending.pop()).map(|b| (b.bound, b.tree, b.node)).collect();
        assert_eq!(order, [(-1.0, 0, 7), (-1.0, 0, 9), (-1.0, 1, 5), (2.0, 0, 1), (f32::INFINITY, 0, 0)]);
    }

    proptest! {
        #[test]
        fn ordered_numbers_order_as_they_did(a: f32, b: f32) {
            prop_assume!(!a.is_nan() && !b.is_nan());
            prop_assert_eq!(a.partial_cmp(&b), Some(ordered(a).cmp(&ordered(b))));
            prop_assert_eq!(unordered(ordered(a)), a);
        }
    }

    #[test]
    fn zeros_are_equal_and_nan_is_last() {
        assert_eq!(ordered(0.0), ordered(-0.0));
        assert!(ordered(f32::NAN) > ordered(f32::INFINITY) && ordered(-f32::NAN) > ordered(f32::INFINITY));
    }
}
