//! One result of a search: a row and how far it is.

use std::cmp::Ordering;

/// A row and its distance from the query. Ordered by distance, then by id, so that every ranking is total and the
/// same on every machine; a NaN distance sorts last.
///
/// ```
/// use ann_core::Neighbor;
/// let mut found = vec![Neighbor::new(7, 1.0), Neighbor::new(3, 1.0), Neighbor::new(9, 0.5)];
/// found.sort();
/// assert_eq!(found.iter().map(|n| n.id).collect::<Vec<_>>(), [9, 3, 7]);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Neighbor {
    /// The row, counted from 0 in the order of insertion.
    pub id: u32,
    /// Distance from the query, smaller is nearer; what it measures is the store's metric.
    pub distance: f32,
}

impl Neighbor {
    /// Pairs a row with its distance.
    pub fn new(id: u32, distance: f32) -> Self {
        Self { id, distance }
    }
}

impl Ord for Neighbor {
    fn cmp(&self, other: &Self) -> Ordering {
        order(self.distance, other.distance).then(self.id.cmp(&other.id))
    }
}

impl PartialOrd for Neighbor {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Neighbor {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Neighbor {}

/// `total_cmp`, except that a NaN of either sign comes last and zeros of either sign are equal.
fn order(a: f32, b: f32) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nan_sorts_last_whatever_its_sign() {
        let mut found = [Neighbor::new(0, f32::NAN), Neighbor::new(1, -f32::NAN), Neighbor::new(2, f32::INFINITY)];
        found.sort();
        assert_eq!(found[0].id, 2);
    }

    proptest! {
        #[test]
        fn order_is_total(a: (u32, u32), b: (u32, u32), c: (u32, u32)) {
            let [a, b, c] = [a, b, c].map(|(id, bits)| Neighbor::new(id, f32::from_bits(bits)));
            prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
            if a <= b && b <= c {
                prop_assert!(a <= c);
            }
        }
    }
}
