//! The nearest candidates of every row, whatever the order in which they are offered.

use super::copies::Copies;
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

/// For every row of a sample its `width` nearest candidates among those offered, ascending, each once. Offering the same in another order, or
/// twice, gives the same lists.
pub(super) struct Candidates {
    /// The list of a row is at the place that its number says without the last `shift` bits.
    rows: Vec<u32>,
    shift: u32,
    keys: Vec<Key>,
    width: usize,
    /// Rows of a part.
    range: usize,
}

/// Candidates on their way to the lists, by the part that their row belongs to.
pub(super) struct Offers {
    ranges: Vec<Vec<Offer>>,
    shift: u32,
    range: usize,
    copies: Vec<(u32, u32)>,
}

#[derive(Debug, Clone, Copy)]
struct Offer {
    row: u32,
    candidate: Neighbor,
}

/// The nearest candidate of every row.
pub(super) struct Nearest {
    nearest: Vec<u32>,
    shift: u32,
}

impl Nearest {
    /// The row itself if it had none.
    pub(super) fn of(&self, row: u32) -> u32 {
        self.nearest[(row >> self.shift) as usize]
    }
}

impl Candidates {
    /// Empty lists for rows of which each, without its last `shift` bits, is the number of its place.
    pub(super) fn new(rows: Vec<u32>, shift: u32, width: usize) -> Self {
        let (keys, range) = (vec![Key::NONE; rows.len() * width], rows.len().div_ceil(ranges(rows.len())).max(1));
        Self { rows, shift, keys, width, range }
    }

    /// The rows, ascending.
    pub(super) fn rows(&self) -> &[u32] {
        &self.rows
    }

    /// Most candidates of a row.
    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// The candidates of a row, nearest first.
    pub(super) fn of(&self, row: u32) -> impl Iterator<Item = Neighbor> + '_ {
        listed(&self.keys[(row >> self.shift) as usize * self.width..][..self.width])
    }

    /// The nearest candidate of every row as it is now.
    pub(super) fn nearest(&self) -> Nearest {
        let nearest = self.rows.iter().map(|&row| self.of(row).next().map_or(row, |n| n.id)).collect();
        Nearest { nearest, shift: self.shift }
    }

    /// A distance beyond which a row takes no candidate any more.
    pub(super) fn bound(&self, row: u32) -> f32 {
        let last = self.keys[((row >> self.shift) as usize + 1) * self.width - 1];
        if last == Key::NONE { f32::INFINITY } else { last.distance() }
    }

    /// No offers yet, to be filled for [`Self::take`].
    pub(super) fn offers(&self) -> Offers {
        let (shift, range) = (self.shift, self.range);
        Offers { ranges: vec![Vec::new(); self.rows.len().div_ceil(range)], shift, range, copies: Vec::new() }
    }

    /// Puts offers into the lists of their rows.
    pub(super) fn take(&mut self, parts: &[Offers], par: Par) {
        let (width, range, shift) = (self.width, self.range, self.shift);
        par.for_each_chunk_mut(&mut self.keys, range * width, &ScratchPool::<()>::default(), |(), start, keys| {
            let first = start / width;
            for &Offer { row, candidate } in parts.iter().flat_map(|part| &part.ranges[first / range]) {
                let list = &mut keys[((row >> shift) as usize - first) * width..][..width];
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
        let parts = self.offered(self, par, |row, n, offers| offers.push(n.id, Neighbor::new(row, n.distance)));
        self.take(&parts, par);
    }

    /// Offers to rows what they have in the lists of a sample of them.
    pub(super) fn add(&mut self, sample: &Self, copies: &Copies, par: Par) {
        let parts = self.offered(sample, par, |row, n, offers| {
            let (row, id) = (copies.first(row), copies.first(n.id));
            if row != id {
                offers.push(row, Neighbor::new(id, n.distance));
            }
        });
        self.take(&parts, par);
    }

    /// Puts the first row of a kind in the place of its copies, everywhere: what these were offered is offered to it.
    pub(super) fn unite(&mut self, copies: &Copies, par: Par) {
        if copies.is_empty() {
            return;
        }
        let parts = self.offered(self, par, |row, n, offers| {
            if copies.first(row) != row {
                offers.push(copies.first(row), n);
            }
        });
        self.take(&parts, par);
        self.replace(par, &ScratchPool::<()>::default(), |(), row, list| copies.unite(row, list));
    }

    /// What `offer(row, candidate, offers)` makes of all lists of `others`.
    fn offered(&self, others: &Self, par: Par, offer: impl Fn(u32, Neighbor, &mut Offers) + Sync) -> Vec<Offers> {
        par.map_chunks(others.rows.len(), 16 * CHUNK, &ScratchPool::<()>::default(), |(), range| {
            let mut offers = self.offers();
            for &row in &others.rows[range] {
                others.of(row).for_each(|n| offer(row, n, &mut offers));
            }
            offers
        })
    }

    /// Replaces every list by what `change(scratch, row, list)` makes of it: nearest first, each once, no more than there is room
    /// for.
    pub(super) fn replace<S: Default + Send>(
        &mut self,
        par: Par,
        pool: &ScratchPool<S>,
        change: impl Fn(&mut S, u32, &mut Vec<Neighbor>) + Sync,
    ) {
        let (width, rows) = (self.width, &self.rows);
        par.for_each_chunk_mut(&mut self.keys, CHUNK * width, pool, |scratch, start, keys| {
            let mut list = Vec::with_capacity(width);
            for (&row, keys) in rows[start / width..].iter().zip(keys.chunks_exact_mut(width)) {
                list.clear();
                list.extend(listed(keys));
                change(scratch, row, &mut list);
                keys.fill(Key::NONE);
                keys.iter_mut().zip(&list).for_each(|(key, n)| *key = Key::new(n.id, n.distance));
            }
        });
    }

    /// The lists of all rows as links; what goes beyond `max_degree` is left out.
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
        self.ranges[(row >> self.shift) as usize / self.range].push(Offer { row, candidate });
    }

    /// Takes note of a row that equals another.
    pub(super) fn push_copy(&mut self, row: u32, copy: u32) {
        self.copies.push((row, copy));
    }

    /// Pairs of equal rows.
    pub(super) fn copies(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        self.copies.iter().copied()
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
            let mut candidates = Candidates::new((0..7).collect(), 0, 5);
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
        let mut candidates = Candidates::new((0..3).collect(), 0, 4);
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
