//! Which nodes a walk has met, where there are too many for a mark each.

const EMPTY: u32 = u32::MAX;
/// Places of a new table.
const LEAST: usize = 1 << 12;

/// A set of ids below `u32::MAX`, a table with open addressing that is at most half full. It is asked, never walked.
#[derive(Debug, Default)]
pub(super) struct Met {
    /// A power of two of places.
    table: Vec<u32>,
    len: usize,
}

impl Met {
    /// Empties the set.
    pub(super) fn clear(&mut self) {
        self.table.fill(EMPTY);
        self.len = 0;
    }

    /// Adds `id`; says whether it is new.
    pub(super) fn insert(&mut self, id: u32) -> bool {
        if 2 * self.len >= self.table.len() {
            let larger = vec![EMPTY; LEAST.max(2 * self.table.len())];
            let smaller = std::mem::replace(&mut self.table, larger);
            smaller.into_iter().filter(|&id| id != EMPTY).for_each(|id| {
                self.place(id);
            });
        }
        let new = self.place(id);
        self.len += usize::from(new);
        new
    }

    fn place(&mut self, id: u32) -> bool {
        let mask = self.table.len() - 1;
        // Fibonacci hashing: the upper bits of the product depend on all bits of the id.
        let mut at = (u64::from(id).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as usize & mask;
        while self.table[at] != EMPTY {
            if self.table[at] == id {
                return false;
            }
            at = (at + 1) & mask;
        }
        self.table[at] = id;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    proptest! {
        #[test]
        fn it_knows_what_a_set_knows(ids in proptest::collection::vec(0u32..9000, 0..9000), cut in 0usize..9000) {
            let (mut met, mut set) = (Met::default(), HashSet::new());
            for (i, &id) in ids.iter().enumerate() {
                if i == cut {
                    met.clear();
                    set.clear();
                }
                prop_assert_eq!(met.insert(id), set.insert(id));
            }
        }
    }
}
