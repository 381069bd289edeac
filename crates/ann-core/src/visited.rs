//! Which nodes or rows a search has met.

/// A set of nodes that empties in O(1): one byte per node holds the number of the search that met it last.
///
/// One byte keeps the array of a million nodes in the second-level cache; once in 255 searches it is wiped.
///
/// ```
/// let mut met = ann_core::Visited::default();
/// met.reset(10);
/// assert!(met.insert(3) && !met.insert(3));
/// ```
#[derive(Debug, Clone, Default)]
pub struct Visited {
    marks: Vec<u8>,
    epoch: u8,
}

impl Visited {
    /// Empties the set and makes room for nodes `0..len`.
    pub fn reset(&mut self, len: usize) {
        if self.marks.len() < len {
            self.marks.resize(len, 0);
        }
        self.epoch = self.epoch.wrapping_add(1);
        if self.epoch == 0 {
            self.marks.fill(0);
            self.epoch = 1;
        }
    }

    /// Adds `node`; says whether it is new.
    ///
    /// # Panics
    /// If there was no room made for it.
    #[inline]
    pub fn insert(&mut self, node: u32) -> bool {
        let mark = &mut self.marks[node as usize];
        let new = *mark != self.epoch;
        *mark = self.epoch;
        new
    }

    /// Adds `nodes`, writes those that are new to the beginning of `new`, and says how many they are.
    ///
    /// # Panics
    /// If there was no room made for a node, or there is none in `new`.
    #[inline]
    pub fn insert_all(&mut self, nodes: impl Iterator<Item = u32>, new: &mut [u32]) -> usize {
        insert_all(&mut self.marks, self.epoch, nodes, new)
    }
}

/// What a loop keeps in registers, since nothing that it writes can be what it reads: that takes arguments of a function.
#[inline]
fn insert_all(marks: &mut [u8], epoch: u8, nodes: impl Iterator<Item = u32>, new: &mut [u32]) -> usize {
    let mut count = 0;
    for node in nodes {
        // Whether a node is new is a coin toss that no processor predicts: written always, kept by counting.
        new[count] = node;
        let mark = &mut marks[node as usize];
        count += usize::from(*mark != epoch);
        *mark = epoch;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_searches_never_see_each_other() {
        let mut visited = Visited::default();
        for search in 0..1000u32 {
            visited.reset(8);
            assert!(visited.insert(search % 8));
            assert!(!visited.insert(search % 8));
        }
    }
}
