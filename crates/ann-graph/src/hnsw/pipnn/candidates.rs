//! The nearest candidates of every row, whatever the order in which they are offered.

use crate::FlatGraph;
use crate::frontier::Key;
use ann_core::{Neighbor, Par, ScratchPool};

/// Parts of the rows that are filled by one thread each: so many that the lists of one, some 2,048 rows, stay in a cache of the second
/// level, and no more than are worth their buffers.
fn ranges(rows: usize) -> usize {
    (rows / 2048).clamp(16, 256)
}

/// Rows per unit of parallel work.
const CHUNK: usize = 256;

/// For every row its `width` nearest candidates among those offered, ascending, each once. Offering the same in another order, or
/// twice, gives the same lists.
pub(super) struct Candidates {
    keys: Vec<Key>,
    width: usize,
    /// Rows of a part.
    range: usize,
}

/// Candidates on their way to the lists, by the part that their row belongs to.
pub(super) struct Offers {
    ranges: Vec<Vec<Offer>>,
    range: usize,
}

#[derive(Debug, Clone, Copy)]
struct Offer {
    row: u32,
    candidate: Neighbor,
}

impl Candidates {
    /// Empty lists for `rows` rows.
    pub(super) fn new(rows: usize, width: usize) -> Self {
        Self { keys: vec![Key::NONE; rows * width], width, range: rows.div_ceil(ranges(rows)).max(1) }
    }

    /// Most candidates of a row.
    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// The candidates of a row, nearest first.
    pub(super) fn of(&self, row: u32) -> impl Iterator<Item = Neighbor> + '_ {
        listed(&self.keys[row as usize * self.width..][..self.width])
    }

    /// A distance beyond which a row takes no candidate any more.
    pub(super) fn bound(&self, row: u32) -> f32 {
        let last = self.keys[(row as usize + 1) * self.width - 1];
        if last == Key::NONE { f32::INFINITY } else { last.distance() }
    }

    /// No offers yet, to be filled for [`Self::take`].
    pub(super) fn offers(&self) -> Offers {
        let rows = self.keys.len() / self.width;
        Offers { ranges: vec![Vec::new(); rows.div_ceil(self.range)], range: self.range }
    }

    /// Puts offers into the lists of their rows.
    pub(super) fn take(&mut self, parts: &[Offers], par: Par) {
        let (width, range) = (self.width, self.range);
        par.for_each_chunk_mut(&mut self.keys, range * width, &ScratchPool::<()>::default(), |(), start, keys| {
            let first = start / width;
            for &Offer { row, candidate } in parts.iter().flat_map(|part| &part.ranges[first / range]) {
                let list = &mut keys[(row as usize - first) * width..][..width];
                let key = Key::new(candidate.id, candidate.distance);
                if key >= list[width - 1] {
                    continue;
                }
                let at = list.partition_point(|&other| other < key);
                if list[at] != key {
                    list.copy_within(at..width - 1, at + 1);
                    list[at] = key;
                }
            }
        });
    }

    /// Offers every row to all of its candidates.
    pub(super) fn offer_back(&mut self, par: Par) {
        let rows = self.keys.len() / self.width;
        let parts: Vec<Offers> = par.map_chunks(rows, 16 * CHUNK, &ScratchPool::<()>::default(), |(), range| {
            let mut offers = self.offers();
            for row in range {
                let row = row as u32;
                self.of(row).for_each(|n| offers.push(n.id, Neighbor::new(row, n.distance)));
            }
            offers
        });
        self.take(&parts, par);
    }

    /// Replaces every list by what `change(scratch, row, list)` makes of it: nearest first, each once, no more than there is room
    /// for.
    pub(super) fn replace<S: Default + Send>(
        &mut self,
        par: Par,
        pool: &ScratchPool<S>,
        change: impl Fn(&mut S, u32, &mut Vec<Neighbor>) + Sync,
    ) {
        let width = self.width;
        par.for_each_chunk_mut(&mut self.keys, CHUNK * width, pool, |scratch, start, keys| {
            let mut list = Vec::with_capacity(width);
            for (row, keys) in ((start / width) as u32..).zip(keys.chunks_exact_mut(width)) {
                list.clear();
                list.extend(listed(keys));
                change(scratch, row, &mut list);
                keys.fill(Key::NONE);
                keys.iter_mut().zip(&list).for_each(|(key, n)| *key = Key::new(n.id, n.distance));
            }
        });
    }

    /// The lists as links; what goes beyond `max_degree` is left out.
    pub(super) fn to_graph(&self, max_degree: usize) -> FlatGraph {
        let mut graph = FlatGraph::new(max_degree);
        graph.add_nodes(self.keys.len() / self.width);
        for (slots, keys) in graph.all_slots_mut().chunks_exact_mut(max_degree).zip(self.keys.chunks_exact(self.width))
        {
            slots.iter_mut().zip(listed(keys)).for_each(|(slot, n)| *slot = n.id);
        }
        graph
    }
}

impl Offers {
    /// Offers `candidate` to `row`.
    pub(super) fn push(&mut self, row: u32, candidate: Neighbor) {
        self.ranges[row as usize / self.range].push(Offer { row, candidate });
    }
}

fn listed(keys: &[Key]) -> impl Iterator<Item = Neighbor> + '_ {
    keys.iter().take_while(|&&key| key != Key::NONE).map(|key| key.neighbor())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_do_not_depend_on_the_order_of_offers() {
        let offers: Vec<(u32, Neighbor)> =
            (0..400).map(|i| (i % 7, Neighbor::new(i % 31, ((i % 31) * 5 % 8) as f32))).collect();
        let lists = |order: &mut dyn Iterator<Item = &(u32, Neighbor)>| {
            let mut candidates = Candidates::new(7, 5);
            for &(row, candidate) in order {
                let mut part = candidates.offers();
                part.push(row, candidate);
                candidates.take(&[part], Par::Serial);
            }
            (0..7).map(|row| candidates.of(row).collect::<Vec<_>>()).collect::<Vec<_>>()
        };
        let forth = lists(&mut offers.iter());
        assert_eq!(forth, lists(&mut offers.iter().rev()));
        for (row, list) in (0..).zip(&forth) {
            let mut all: Vec<Neighbor> = offers.iter().filter(|offer| offer.0 == row).map(|offer| offer.1).collect();
            all.sort();
            all.dedup();
            assert_eq!(list, &all[..5]);
        }
    }

    #[test]
    fn offers_go_back_and_links_are_the_lists() {
        let mut candidates = Candidates::new(3, 4);
        let mut part = candidates.offers();
        part.push(0, Neighbor::new(2, 1.0));
        part.push(0, Neighbor::new(1, 3.0));
        candidates.take(&[part], Par::Serial);
        candidates.offer_back(Par::Serial);
        let graph = candidates.to_graph(2);
        let lists: Vec<Vec<u32>> = (0..3).map(|row| graph.neighbors(row).collect()).collect();
        assert_eq!(lists, [vec![2, 1], vec![0], vec![0]]);
        assert_eq!((candidates.bound(0), candidates.of(1).next()), (f32::INFINITY, Some(Neighbor::new(0, 3.0))));
    }
}
