//! The nodes that every search passes, in memory: those nearest to the entries, by hops.

use super::layout::Layout;
use super::met::Met;
use super::{DiskError, damaged};
use ann_core::simd::Buffer;
use ann_io::container::Pages;

/// Bytes that memory may be larger than what is in it.
const ROUNDING: usize = 4096;

/// Nodes as they lie in their pages.
#[derive(Debug, Default)]
pub(super) struct Cache {
    /// Nodes in ascending order, each with the place of its record.
    places: Vec<(u32, u32)>,
    records: Buffer<u32>,
    words: usize,
}

impl Cache {
    /// Reads the first levels of a search in breadth from `entries`, as far as `budget` bytes reach; of the last level the
    /// nodes with the smallest numbers.
    pub(super) fn fill(pages: &Pages, layout: Layout, entries: &[u32], budget: usize) -> Result<Self, DiskError> {
        let most = (budget.saturating_sub(ROUNDING) / (layout.words * size_of::<u32>() + size_of::<(u32, u32)>()))
            .min(layout.nodes);
        let mut cache = Self {
            places: Vec::with_capacity(most),
            records: Buffer::with_capacity(most * layout.words),
            words: layout.words,
        };
        let (mut met, mut at, mut page) = (Met::default(), None, Buffer::zeroed(layout.page_bytes / size_of::<u32>()));
        let mut level: Vec<u32> = entries.iter().copied().filter(|&node| met.insert(node)).collect();
        while !level.is_empty() && cache.places.len() < most {
            level.sort_unstable();
            level.truncate(most - cache.places.len());
            let mut next = Vec::new();
            for &node in &level {
                let number = layout.page_of(node);
                if at != Some(number) {
                    pages
                        .read(number, bytemuck::cast_slice_mut(page.as_mut_slice()))
                        .map_err(|source| DiskError::Page { page: number, source })?;
                    at = Some(number);
                }
                let record = layout.record(node, &page);
                let links = layout.node(record).ok_or_else(|| damaged(number, node))?.links;
                next.extend(links.iter().copied().filter(|&node| met.insert(node)));
                cache.places.push((node, cache.places.len() as u32));
                cache.records.extend_from_slice(record);
            }
            level = next;
        }
        cache.places.sort_unstable();
        Ok(cache)
    }

    /// Number of nodes.
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// The record of a node that is here.
    pub(super) fn record(&self, node: u32) -> Option<&[u32]> {
        let at = self.places.binary_search_by_key(&node, |&(node, _)| node).ok()?;
        let place = self.places[at].1 as usize;
        Some(&self.records[place * self.words..][..self.words])
    }

    /// Bytes held.
    pub(super) fn memory_usage(&self) -> usize {
        self.places.capacity() * size_of::<(u32, u32)>() + self.records.memory_bytes()
    }
}
