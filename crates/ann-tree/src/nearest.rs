//! Where a search puts what it finds: the `k` nearest rows, or all within a radius.

use crate::pending::{ordered, unordered};
use ann_core::Neighbor;
use std::collections::BinaryHeap;

/// Takes rows as they are found.
pub(crate) trait Collect {
    /// What is farther does not matter; at this distance a row may, by its id.
    fn threshold(&self) -> f32;
    /// Whether the nearest row alone is wanted.
    fn is_single(&self) -> bool {
        false
    }
    /// Whether a search may end before it has seen everything.
    fn is_full(&self) -> bool;
    /// Offers a row.
    fn offer(&mut self, distance: f32, id: u32);
}

/// Up to so many neighbours are kept sorted, more in a heap.
const SORTED: usize = 48;

/// The `k` nearest of what is offered, ties by id. A pair of distance and id is one number, so that one comparison orders them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Nearest {
    k: usize,
    /// The last that was kept, once there are `k`: what is to be kept comes before it.
    last: u64,
    sorted: Vec<u64>,
    heap: BinaryHeap<u64>,
}

/// No pair of distance and id: NaN comes before it.
const NONE: u64 = u64::MAX;

impl Nearest {
    /// Forgets everything and keeps `k` from now on; memory is reused.
    pub(crate) fn reset(&mut self, k: usize) {
        self.k = k;
        self.last = if k == 0 { u64::from(ordered(f32::NEG_INFINITY)) << 32 } else { NONE };
        self.heap.clear();
        self.sorted.clear();
        if k <= SORTED {
            self.sorted.resize(k, NONE);
        }
    }

    /// Moves what was kept to the end of `out`, nearest first.
    pub(crate) fn drain_sorted(&mut self, out: &mut Vec<Neighbor>) {
        if self.k > SORTED {
            self.sorted.extend(self.heap.drain());
            self.sorted.sort_unstable();
        }
        let kept = self.sorted.drain(..).take_while(|&key| key != NONE);
        out.extend(kept.map(|key| Neighbor::new(key as u32, unordered((key >> 32) as u32))));
    }
}

impl Collect for Nearest {
    #[inline(always)]
    fn threshold(&self) -> f32 {
        if self.last == NONE { f32::INFINITY } else { unordered((self.last >> 32) as u32) }
    }

    fn is_single(&self) -> bool {
        self.k == 1
    }

    fn is_full(&self) -> bool {
        self.last != NONE
    }

    #[inline]
    fn offer(&mut self, distance: f32, id: u32) {
        let key = u64::from(ordered(distance)) << 32 | u64::from(id);
        if key >= self.last {
            return;
        }
        if self.k <= SORTED {
            // Places that are free hold what comes after everything.
            let mut at = self.k - 1;
            while at > 0 && self.sorted[at - 1] > key {
                self.sorted[at] = self.sorted[at - 1];
                at -= 1;
            }
            self.sorted[at] = key;
            self.last = self.sorted[self.k - 1];
            return;
        }
        if self.heap.len() < self.k {
            self.heap.push(key);
        } else if let Some(mut last) = self.heap.peek_mut() {
            *last = key;
        }
        if self.heap.len() == self.k {
            self.last = self.heap.peek().copied().unwrap_or(NONE);
        }
    }
}

/// All that is offered within a radius.
#[derive(Debug)]
pub(crate) struct Within<'a> {
    pub(crate) radius: f32,
    pub(crate) out: &'a mut Vec<Neighbor>,
}

impl Collect for Within<'_> {
    fn threshold(&self) -> f32 {
        self.radius
    }

    fn is_full(&self) -> bool {
        false
    }

    fn offer(&mut self, distance: f32, id: u32) {
        if distance <= self.radius {
            self.out.push(Neighbor::new(id, distance));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ann_core::TopK;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn keeps_what_the_heap_of_every_other_search_keeps(
            distances in proptest::collection::vec(-9i8..9, 0..200), k in 0usize..100,
        ) {
            let (mut nearest, mut top, mut out) = (Nearest::default(), TopK::new(k), Vec::new());
            nearest.reset(k);
            for (id, &distance) in distances.iter().enumerate().rev() {
                nearest.offer(f32::from(distance), id as u32);
                top.push(Neighbor::new(id as u32, f32::from(distance)));
                prop_assert_eq!(nearest.threshold(), top.threshold());
            }
            nearest.drain_sorted(&mut out);
            prop_assert_eq!(out, top.into_sorted());
        }
    }
}
