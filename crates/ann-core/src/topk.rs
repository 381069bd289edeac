//! The `k` nearest of a stream.

use crate::Neighbor;
use std::collections::BinaryHeap;

/// Keeps the `k` nearest of everything pushed, ties by id.
///
/// ```
/// use ann_core::{Neighbor, TopK};
/// let mut top = TopK::new(2);
/// for (id, distance) in [3.0, 1.0, 2.0].into_iter().enumerate() {
///     top.push(Neighbor::new(id as u32, distance));
/// }
/// assert_eq!(top.into_sorted(), [Neighbor::new(1, 1.0), Neighbor::new(2, 2.0)]);
/// ```
#[derive(Debug, Clone, Default)]
pub struct TopK {
    heap: BinaryHeap<Neighbor>,
    k: usize,
}

impl TopK {
    /// Keeps `k` neighbours; 0 keeps none.
    pub fn new(k: usize) -> Self {
        Self { heap: BinaryHeap::new(), k }
    }

    /// Forgets everything and keeps `k` from now on; memory is reused.
    pub fn reset(&mut self, k: usize) {
        self.heap.clear();
        self.k = k;
    }

    /// Anything at this distance or farther can no longer enter (a tie may, by its id).
    pub fn threshold(&self) -> f32 {
        if self.heap.len() < self.k {
            f32::INFINITY
        } else {
            self.heap.peek().map_or(f32::NEG_INFINITY, |n| n.distance)
        }
    }

    /// Offers a neighbour.
    pub fn push(&mut self, neighbor: Neighbor) {
        if self.heap.len() < self.k {
            self.heap.push(neighbor);
        } else if let Some(mut worst) = self.heap.peek_mut()
            && neighbor < *worst
        {
            *worst = neighbor;
        }
    }

    /// What was kept, nearest first.
    pub fn into_sorted(self) -> Vec<Neighbor> {
        self.heap.into_sorted_vec()
    }

    /// Moves what was kept to the end of `out`, nearest first, and forgets it.
    pub fn drain_sorted(&mut self, out: &mut Vec<Neighbor>) {
        let start = out.len();
        out.extend(self.heap.drain());
        out[start..].sort_unstable();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn keeps_what_a_full_sort_would(distances in proptest::collection::vec(0u8..20, 0..60), k in 0usize..20) {
            let mut all: Vec<_> =
                distances.iter().enumerate().map(|(id, &d)| Neighbor::new(id as u32, f32::from(d))).collect();
            let mut top = TopK::new(k);
            all.iter().rev().for_each(|&n| top.push(n));
            all.sort();
            all.truncate(k);
            prop_assert_eq!(top.into_sorted(), all);
        }
    }
}
