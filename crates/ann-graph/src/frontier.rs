//! The best nodes of a walk, sorted, with a cursor at the nearest that is not expanded yet.

use crate::search::Effort;
use ann_core::{Neighbor, Reach};

/// A distance, a node and whether it is expanded in one integer whose order is (distance, node).
///
/// Bits 63..32 are the distance mapped so that integers order as floats do, 31..1 the node, bit 0 the expanded mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key(u64);

impl Key {
    /// Behind every node.
    pub(crate) const NONE: Self = Self(u64::MAX);

    #[inline(always)]
    pub(crate) fn new(node: u32, distance: f32) -> Self {
        Self((u64::from(order_bits(distance)) << 32) | (u64::from(node) << 1))
    }

    #[inline(always)]
    pub(crate) fn node(self) -> u32 {
        (self.0 as u32) >> 1
    }

    pub(crate) fn distance(self) -> f32 {
        let bits = (self.0 >> 32) as u32;
        f32::from_bits(if bits >> 31 == 1 { bits ^ (1 << 31) } else { !bits })
    }

    pub(crate) fn neighbor(self) -> Neighbor {
        Neighbor::new(self.node(), self.distance())
    }

    fn expanded(self) -> bool {
        self.0 & 1 == 1
    }
}

/// Bits of a float, mapped so that unsigned integers order as the floats do; every NaN comes last.
#[inline(always)]
fn order_bits(distance: f32) -> u32 {
    let distance = if distance.is_nan() { f32::NAN } else { distance + 0.0 };
    let bits = distance.to_bits();
    bits ^ ((((bits as i32) >> 31) as u32) | (1 << 31))
}

/// At most `capacity` nodes in ascending order. Inserting shifts the tail, which for the sizes of a search (10 to 500
/// nodes of 8 bytes) is cheaper than any heap and keeps the results sorted.
#[derive(Debug, Default)]
pub(crate) struct Frontier {
    keys: Vec<Key>,
    capacity: usize,
    /// Everything before it is expanded.
    cursor: usize,
    /// How far beyond the key at a position, counted from 1, nodes matter.
    reach: Option<(usize, Reach)>,
    /// Nodes beyond this distance need not be expanded.
    limit: f32,
    /// Nodes beyond this distance need not be kept: the same, unless the reach ends before that key itself.
    kept: f32,
}

impl Frontier {
    /// Empties the frontier and sets how many nodes it keeps (at least one).
    pub(crate) fn reset(&mut self, capacity: usize) {
        self.keys.clear();
        self.capacity = capacity.max(1);
        self.cursor = 0;
        self.reach = None;
        (self.limit, self.kept) = (f32::INFINITY, f32::INFINITY);
    }

    /// Empties the frontier for a walk of this effort: where it has a reach, nodes beyond are neither kept nor expanded.
    pub(crate) fn reset_for(&mut self, effort: Effort) {
        self.reset(effort.ef);
        self.reach = effort.reach.map(|(k, reach)| (k.max(1), reach));
    }

    /// A distance above this can no longer enter; infinite until the frontier is full, or holds as many as its reach counts from.
    #[inline(always)]
    pub(crate) fn bound(&self) -> f32 {
        self.worst().min(self.kept)
    }

    /// A node beyond this distance need not be expanded.
    pub(crate) fn horizon(&self) -> f32 {
        self.worst().min(self.limit)
    }

    #[inline(always)]
    fn worst(&self) -> f32 {
        if self.keys.len() < self.capacity { f32::INFINITY } else { self.keys[self.keys.len() - 1].distance() }
    }

    /// How many nodes it keeps.
    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Whether the frontier holds as many nodes as it may.
    pub(crate) fn is_full(&self) -> bool {
        self.keys.len() == self.capacity
    }

    /// Offers a node; says whether it is now the next to expand. Each node may be offered once.
    #[inline(always)]
    pub(crate) fn insert(&mut self, key: Key) -> bool {
        if self.is_full() {
            if key >= self.keys[self.keys.len() - 1] {
                return false;
            }
            self.keys.pop();
        }
        let at = self.keys.partition_point(|&other| other < key);
        self.keys.insert(at, key);
        if let Some((k, reach)) = self.reach
            && at < k
            && let Some(farthest) = self.keys.get(k - 1)
        {
            self.limit = reach.beyond(farthest.distance());
            self.kept = self.limit.max(farthest.distance());
        }
        let next = at <= self.cursor;
        self.cursor = self.cursor.min(at);
        next
    }

    /// Takes the nearest node that is not expanded, and marks it; `None` if that is beyond reach.
    #[inline(always)]
    pub(crate) fn pop(&mut self) -> Option<Key> {
        let key = self.keys.get_mut(self.cursor)?;
        if key.distance() > self.limit {
            return None;
        }
        let next = *key;
        key.0 |= 1;
        self.cursor += 1;
        while self.keys.get(self.cursor).is_some_and(|key| key.expanded()) {
            self.cursor += 1;
        }
        Some(next)
    }

    /// The nodes that [`Self::pop`] would give now, one after another.
    #[inline(always)]
    pub(crate) fn unexpanded(&self) -> impl Iterator<Item = u32> + '_ {
        let rest = self.keys.get(self.cursor..).unwrap_or_default();
        rest.iter().filter(|key| !key.expanded()).map(|key| key.node())
    }

    /// All nodes, nearest first.
    pub(crate) fn neighbors(&self) -> impl ExactSizeIterator<Item = Neighbor> + '_ {
        self.keys.iter().map(|key| key.neighbor())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nan_of_either_sign_is_the_farthest() {
        assert!(Key::new(0, f32::INFINITY) < Key::new(0, f32::NAN));
        assert!(Key::new(0, f32::INFINITY) < Key::new(0, -f32::NAN));
        assert_eq!(Key::new(3, -0.0), Key::new(3, 0.0));
    }

    proptest! {
        #[test]
        fn keys_order_as_neighbors_do(a in any::<(f32, u32)>(), b in any::<(f32, u32)>()) {
            let [a, b] = [a, b].map(|(d, id)| Neighbor::new(id >> 1, d));
            let [ka, kb] = [a, b].map(|n| Key::new(n.id, n.distance));
            prop_assert_eq!(ka.cmp(&kb), a.cmp(&b));
            prop_assert_eq!(ka.node(), a.id);
        }

        #[test]
        fn frontier_keeps_the_nearest_and_pops_in_order(
            distances in proptest::collection::vec(-4i8..4, 1..60), capacity in 1usize..20, pops in 0usize..20,
        ) {
            let mut frontier = Frontier::default();
            frontier.reset(capacity);
            let mut expanded = Vec::new();
            for (id, &d) in distances.iter().enumerate() {
                frontier.insert(Key::new(id as u32, f32::from(d)));
                if id % 3 == 0 && expanded.len() < pops {
                    let nearest = frontier.neighbors().map(|n| n.id).find(|id| !expanded.contains(id));
                    prop_assert_eq!(frontier.unexpanded().next(), nearest);
                    prop_assert_eq!(frontier.pop().map(Key::node), nearest);
                    expanded.extend(nearest);
                }
            }
            let mut all: Vec<_> =
                distances.iter().enumerate().map(|(id, &d)| Neighbor::new(id as u32, f32::from(d))).collect();
            all.sort();
            all.truncate(capacity);
            prop_assert_eq!(frontier.neighbors().collect::<Vec<_>>(), all);
        }
    }
}
