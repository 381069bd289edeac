//! Where a node lies in the file, and what it consists of: its row, the number of its links, its links.
//!
//! Everything is 32 bits wide, so that a page is a slice of words. A page is as many whole nodes as fit beside its checksum,
//! or as many times 4 KiB as one node needs.

use ann_io::container::{PAGE_BYTES, PAGE_SEAL_BYTES};

/// Most links of a node, as of any graph of this crate.
pub(super) const MAX_DEGREE: usize = 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) nodes: usize,
    pub(super) dim: usize,
    pub(super) max_degree: usize,
    /// Words of a node.
    pub(super) words: usize,
    pub(super) page_bytes: usize,
    per_page: usize,
}

/// A node as it lies in a page.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node<'a> {
    pub(super) row: &'a [f32],
    pub(super) links: &'a [u32],
}

impl Layout {
    /// `dim` at most `MAX_DIM`, `max_degree` at most [`MAX_DEGREE`]: far from overflow.
    pub(super) fn new(nodes: usize, dim: usize, max_degree: usize) -> Self {
        let words = dim + 1 + max_degree;
        let page_bytes = (words * size_of::<u32>() + PAGE_SEAL_BYTES).next_multiple_of(PAGE_BYTES);
        let per_page = (page_bytes - PAGE_SEAL_BYTES) / (words * size_of::<u32>());
        Self { nodes, dim, max_degree, words, page_bytes, per_page }
    }

    /// Number of pages.
    pub(super) fn pages(&self) -> u64 {
        self.nodes.div_ceil(self.per_page) as u64
    }

    /// The page of a node.
    pub(super) fn page_of(&self, node: u32) -> u64 {
        u64::from(node) / self.per_page as u64
    }

    /// The nodes of a page.
    pub(super) fn nodes_of(&self, page: u64) -> std::ops::Range<u32> {
        let start = page as usize * self.per_page;
        start as u32..(start + self.per_page).min(self.nodes) as u32
    }

    /// The words of a node within those of its page.
    pub(super) fn record<'p>(&self, node: u32, page: &'p [u32]) -> &'p [u32] {
        &page[node as usize % self.per_page * self.words..][..self.words]
    }

    /// Takes a record apart; `None` if it names more links than there is room for, or one to no node.
    pub(super) fn node<'p>(&self, record: &'p [u32]) -> Option<Node<'p>> {
        let (row, rest) = record.split_at(self.dim);
        let (&count, slots) = rest.split_first()?;
        let links = slots.get(..count as usize)?;
        let sound = links.iter().fold(true, |sound, &id| sound & ((id as usize) < self.nodes));
        sound.then(|| Node { row: bytemuck::cast_slice(row), links })
    }

    /// Puts a record of `row` and at most [`Self::max_degree`] links together, at the place of `node` in the body of its page.
    pub(super) fn put(&self, node: u32, row: &[f32], links: &[u32], body: &mut [u8]) {
        let start = node as usize % self.per_page * self.words * size_of::<u32>();
        let (row_bytes, rest) =
            body[start..][..self.words * size_of::<u32>()].split_at_mut(self.dim * size_of::<f32>());
        row_bytes.copy_from_slice(bytemuck::cast_slice(row));
        let (count, slots) = rest.split_at_mut(size_of::<u32>());
        count.copy_from_slice(&(links.len() as u32).to_le_bytes());
        slots[..size_of_val(links)].copy_from_slice(bytemuck::cast_slice(links));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_of_a_page_are_whole_and_long_ones_have_pages_of_their_own() {
        for (dim, degree, bytes, per_page) in
            [(128, 64, 4096, 5), (960, 64, 8192, 1), (1022, 0, 4096, 1), (1023, 0, 8192, 1), (1, 2, 4096, 255)]
        {
            let layout = Layout::new(1000, dim, degree);
            assert_eq!((layout.page_bytes, layout.per_page), (bytes, per_page), "{dim} {degree}");
            assert_eq!(layout.pages(), 1000u64.div_ceil(per_page as u64));
            let all: Vec<u32> = (0..layout.pages()).flat_map(|page| layout.nodes_of(page)).collect();
            assert_eq!(all, (0..1000).collect::<Vec<_>>());
            assert!(all.iter().all(|&node| layout.nodes_of(layout.page_of(node)).contains(&node)));
        }
    }

    #[test]
    fn a_node_survives_the_round_trip_and_a_wrong_one_is_refused() {
        let layout = Layout::new(9, 3, 4);
        let mut page = vec![0u32; layout.page_bytes / 4];
        let rows = [[1.0, 2.0, 3.0], [-1.5, 0.0, 7.0]];
        layout.put(0, &rows[0], &[1, 8], bytemuck::cast_slice_mut(&mut page));
        layout.put(1, &rows[1], &[0, 2, 3, 4], bytemuck::cast_slice_mut(&mut page));
        let node = |id| layout.node(layout.record(id, &page));
        assert_eq!((node(0).unwrap().row, node(0).unwrap().links), (&rows[0][..], &[1, 8][..]));
        assert_eq!((node(1).unwrap().row, node(1).unwrap().links), (&rows[1][..], &[0, 2, 3, 4][..]));
        for (word, wrong) in [(3, 5), (3, u32::MAX), (4, 9)] {
            let mut page = page.clone();
            page[word] = wrong;
            assert!(layout.node(layout.record(0, &page)).is_none(), "{word} {wrong}");
        }
    }
}
