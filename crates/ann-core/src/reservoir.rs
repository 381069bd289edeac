//! The nearest of a scan in which much passes at first, too much for a heap.

use crate::Neighbor;

/// Keeps the `want` nearest of everything pushed, ties by id, in no order.
///
/// Room for twice as many and some more: when it is full, the farther half goes, and what is farther than the rest need not be pushed any more. What
/// is kept in the end does not depend on the order of the pushes. What is no number has no place here. [`TopK`](crate::TopK) knows after every push how near the next must be, which is worth its price where
/// looking at the next is dear.
///
/// ```
/// use ann_core::{Neighbor, Reservoir};
/// let mut nearest = Reservoir::default();
/// nearest.reset(2);
/// for (id, distance) in [3.0, 1.0, 2.0].into_iter().enumerate() {
///     if distance <= nearest.bound() {
///         nearest.push(id as u32, distance);
///     }
/// }
/// assert!(nearest.sorted().eq([Neighbor::new(1, 1.0), Neighbor::new(2, 2.0)]));
/// ```
#[derive(Debug, Default)]
pub struct Reservoir {
    /// Distance, in bits that order as numbers do, above the id.
    keys: Vec<u64>,
    want: usize,
    bound: f32,
}

/// Room beyond `want`, so that small pools are not thinned all the time.
const SPARE: usize = 32;

impl Reservoir {
    /// Forgets everything and keeps `want` from now on.
    pub fn reset(&mut self, want: usize) {
        self.keys.clear();
        self.want = want;
        self.bound = f32::INFINITY;
        self.keys.reserve(self.room());
    }

    fn room(&self) -> usize {
        self.want.saturating_mul(2).saturating_add(SPARE)
    }

    /// Anything farther is of no use.
    #[inline]
    pub fn bound(&self) -> f32 {
        self.bound
    }

    /// Number of candidates, of which `want` count.
    pub fn len(&self) -> usize {
        self.keys.len().min(self.want)
    }

    /// Whether there is no candidate, or none is wanted.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Offers a row; one beyond [`Self::bound`] only costs time.
    #[inline]
    pub fn push(&mut self, id: u32, distance: f32) {
        self.keys.push(u64::from(ordered(distance)) << 32 | u64::from(id));
        if self.keys.len() >= self.room() {
            self.thin();
        }
    }

    fn thin(&mut self) {
        if self.want == 0 {
            self.keys.clear();
            self.bound = f32::NEG_INFINITY;
        } else if self.keys.len() > self.want {
            let (_, &mut last, _) = self.keys.select_nth_unstable(self.want - 1);
            self.keys.truncate(self.want);
            self.bound = number((last >> 32) as u32);
        }
    }

    /// What was kept, in no order that means anything.
    pub fn kept(&mut self) -> impl Iterator<Item = Neighbor> + '_ {
        self.thin();
        self.keys.iter().map(|&key| neighbor(key))
    }

    /// What was kept, nearest first.
    pub fn sorted(&mut self) -> impl Iterator<Item = Neighbor> + '_ {
        self.thin();
        self.keys.sort_unstable();
        self.keys.iter().map(|&key| neighbor(key))
    }
}

fn neighbor(key: u64) -> Neighbor {
    Neighbor::new(key as u32, number((key >> 32) as u32))
}

/// Bits that order as numbers do.
#[inline]
fn ordered(x: f32) -> u32 {
    // Zeros of either sign are equal.
    let bits = (x + 0.0).to_bits();
    bits ^ (((bits as i32 >> 31) as u32) | 1 << 31)
}

fn number(ordered: u32) -> f32 {
    f32::from_bits(if ordered >> 31 == 1 { ordered ^ 1 << 31 } else { !ordered })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn keeps_what_a_full_sort_would(distances in proptest::collection::vec(-9i8..20, 0..300), want in 0usize..40) {
            let mut all: Vec<_> = (0u32..).zip(&distances).map(|(id, &d)| Neighbor::new(id, if d == -1 { -0.0 } else { f32::from(d.max(-1)) })).collect();
            let mut pool = Reservoir::default();
            pool.reset(want);
            for n in all.iter().rev() {
                if n.distance <= pool.bound() {
                    pool.push(n.id, n.distance);
                }
            }
            all.sort();
            all.truncate(want);
            prop_assert_eq!(pool.sorted().collect::<Vec<_>>(), all);
        }

        #[test]
        fn bits_order_as_numbers(a: f32, b: f32) {
            prop_assume!(!a.is_nan() && !b.is_nan() && a != b);
            prop_assert_eq!(a < b, ordered(a) < ordered(b));
            prop_assert_eq!(number(ordered(a)), a);
        }
    }
}
