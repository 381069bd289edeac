//! Neighbour lists of a fixed capacity in one piece of memory.

use ann_core::simd::{Buffer, Rows};

/// Marks the unused slots at the end of a list.
pub(crate) const NONE: u32 = u32::MAX;

/// A directed graph over nodes `0..len()`, each with at most `max_degree` neighbours.
///
/// A list is `max_degree` slots of 4 bytes, filled from the front; with 16 or 32 slots it is whole cache lines. No
/// count is stored: the walk stops at the first unused slot, which it has to read anyway.
///
/// ```
/// use ann_graph::FlatGraph;
/// let mut graph = FlatGraph::new(4);
/// graph.add_nodes(3);
/// graph.set(0, &[2, 1]);
/// assert_eq!(graph.neighbors(0).collect::<Vec<_>>(), [2, 1]);
/// assert_eq!(graph.neighbors(1).count(), 0);
/// ```
#[derive(Debug, Clone)]
pub struct FlatGraph {
    links: Buffer<u32>,
    max_degree: usize,
}

impl FlatGraph {
    /// A graph of no nodes.
    pub fn new(max_degree: usize) -> Self {
        Self { links: Buffer::new(), max_degree: max_degree.max(1) }
    }

    /// Takes slots as [`Self::as_slots`] gave them. `None` if they do not form whole lists, or a neighbour is no node or
    /// the node itself, or a slot behind an unused one is used.
    pub fn from_slots(links: Buffer<u32>, max_degree: usize) -> Option<Self> {
        let graph = Self { links, max_degree };
        if max_degree == 0 || !graph.links.len().is_multiple_of(max_degree) {
            return None;
        }
        let nodes = u32::try_from(graph.len()).ok()?;
        let sound = (0..nodes).zip(graph.links.chunks_exact(max_degree)).all(|(node, list)| {
            let used = list.iter().take_while(|&&id| id != NONE).count();
            list[..used].iter().all(|&id| id < nodes && id != node) && list[used..].iter().all(|&id| id == NONE)
        });
        sound.then_some(graph)
    }

    /// Every slot of every list, unused ones as `u32::MAX`.
    pub fn as_slots(&self) -> &[u32] {
        &self.links
    }

    /// Number of nodes.
    pub fn len(&self) -> usize {
        self.links.len() / self.max_degree
    }

    /// Whether there are no nodes.
    pub fn is_empty(&self) -> bool {
        self.links.is_empty()
    }

    /// Most neighbours of a node.
    pub fn max_degree(&self) -> usize {
        self.max_degree
    }

    /// Makes room for `count` more nodes.
    pub fn reserve(&mut self, count: usize) {
        self.links.reserve(count.saturating_mul(self.max_degree));
    }

    /// Appends nodes without neighbours.
    pub fn add_nodes(&mut self, count: usize) {
        self.links.resize(self.links.len() + count * self.max_degree, NONE);
    }

    /// The neighbours of `node`, in the order they were set.
    ///
    /// # Panics
    /// If `node` is not in the graph.
    pub fn neighbors(&self, node: u32) -> impl Iterator<Item = u32> + Clone {
        self.slots(node).iter().copied().take_while(|&id| id != NONE)
    }

    /// Replaces the neighbours of `node`.
    ///
    /// # Panics
    /// If `node` is not in the graph, or there are more than `max_degree` neighbours.
    pub fn set(&mut self, node: u32, neighbors: &[u32]) {
        let start = node as usize * self.max_degree;
        let slots = &mut self.links.as_mut_slice()[start..start + self.max_degree];
        let (used, unused) = slots.split_at_mut(neighbors.len());
        used.copy_from_slice(neighbors);
        unused.fill(NONE);
    }

    /// All slots, to be filled list by list.
    pub(crate) fn all_slots_mut(&mut self) -> &mut [u32] {
        self.links.as_mut_slice()
    }

    /// Removes the nodes from `len` on, to which no list may lead.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.links.truncate(len * self.max_degree);
    }

    /// The slots of `node`, for writing.
    pub(crate) fn slots_mut(&mut self, node: u32) -> &mut [u32] {
        &mut self.links.as_mut_slice()[node as usize * self.max_degree..][..self.max_degree]
    }

    /// The slots of `node`.
    pub(crate) fn slots(&self, node: u32) -> &[u32] {
        &self.links[node as usize * self.max_degree..][..self.max_degree]
    }

    /// What a walk reads, taken once per search.
    pub(crate) fn rows(&self) -> Rows<'_, u32> {
        Rows::new(&self.links, self.max_degree, self.max_degree)
    }

    /// Bytes held.
    pub fn memory_usage(&self) -> usize {
        self.links.memory_bytes()
    }
}
