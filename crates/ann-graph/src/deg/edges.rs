//! An undirected graph of bounded degree with the length of every edge.

use crate::FlatGraph;
use crate::adjacency::NONE;
use ann_core::simd::Buffer;

/// Both ends of an edge list each other, in ascending order of ids so that an edge is found by halving; unused slots stand at
/// the end of a list. Beside every neighbour stands the distance to it.
#[derive(Debug, Clone)]
pub(super) struct Edges {
    graph: FlatGraph,
    weights: Buffer<f32>,
}

impl Edges {
    /// A graph of no nodes.
    pub(super) fn new(degree: usize) -> Self {
        Self { graph: FlatGraph::new(degree), weights: Buffer::new() }
    }

    /// Puts a graph together from what [`Self::graph`] and [`Self::all_weights`] gave, which are as long as each other.
    #[cfg(feature = "persist")]
    pub(super) fn from_parts(graph: FlatGraph, weights: Buffer<f32>) -> Self {
        Self { graph, weights }
    }

    /// The lists alone.
    pub(super) fn graph(&self) -> &FlatGraph {
        &self.graph
    }

    /// The lengths of all slots, 0 for unused ones.
    #[cfg(feature = "persist")]
    pub(super) fn all_weights(&self) -> &[f32] {
        &self.weights
    }

    /// Most edges of a node.
    pub(super) fn degree(&self) -> usize {
        self.graph.max_degree()
    }

    /// Number of nodes.
    pub(super) fn len(&self) -> usize {
        self.graph.len()
    }

    /// Ids of the neighbours of `node`, ascending.
    pub(super) fn neighbors(&self, node: u32) -> &[u32] {
        let slots = self.graph.slots(node);
        &slots[..slots.partition_point(|&id| id != NONE)]
    }

    /// The distances to [`Self::neighbors`].
    pub(super) fn weights(&self, node: u32) -> &[f32] {
        &self.weights[node as usize * self.degree()..][..self.neighbors(node).len()]
    }

    /// Neighbours of `node` and the distances to them.
    pub(super) fn edges(&self, node: u32) -> impl Iterator<Item = (u32, f32)> + Clone {
        self.neighbors(node).iter().copied().zip(self.weights(node).iter().copied())
    }

    /// How many edges `node` misses.
    pub(super) fn free(&self, node: u32) -> usize {
        self.degree() - self.neighbors(node).len()
    }

    /// Whether there is an edge between `a` and `b`.
    pub(super) fn has(&self, a: u32, b: u32) -> bool {
        self.neighbors(a).binary_search(&b).is_ok()
    }

    /// Appends nodes without edges.
    pub(super) fn add_nodes(&mut self, count: usize) {
        self.graph.add_nodes(count);
        self.weights.resize(self.weights.len() + count * self.degree(), 0.0);
    }

    /// Adds the edge between `a` and `b`, which is not there yet and for which both have room.
    pub(super) fn connect(&mut self, a: u32, b: u32, weight: f32) {
        debug_assert!(a != b && !self.has(a, b) && self.free(a) > 0 && self.free(b) > 0, "{a} and {b}");
        self.insert(a, b, weight);
        self.insert(b, a, weight);
    }

    /// Removes the edge between `a` and `b` and gives its length; `None` if there is no such edge.
    pub(super) fn disconnect(&mut self, a: u32, b: u32) -> Option<f32> {
        self.take(b, a)?;
        self.take(a, b)
    }

    /// Removes `node`; the last node takes its number. Gives the nodes that have lost a neighbour, ascending, by their
    /// new numbers.
    pub(super) fn swap_remove(&mut self, node: u32) -> Vec<u32> {
        let mut orphans = self.neighbors(node).to_vec();
        for &orphan in &orphans {
            self.take(orphan, node);
        }
        let last = self.len() as u32 - 1;
        let moved: Vec<(u32, f32)> = if node == last { Vec::new() } else { self.edges(last).collect() };
        for &(neighbor, _) in &moved {
            self.take(neighbor, last);
        }
        self.graph.truncate(last as usize);
        self.weights.truncate(last as usize * self.degree());
        if node != last {
            self.graph.set(node, &[]);
            let start = node as usize * self.degree();
            let degree = self.degree();
            self.weights.as_mut_slice()[start..start + degree].fill(0.0);
            for (neighbor, weight) in moved {
                self.connect(node, neighbor, weight);
            }
            orphans.iter_mut().filter(|orphan| **orphan == last).for_each(|orphan| *orphan = node);
            orphans.sort_unstable();
        }
        orphans
    }

    /// Whether an edge of length `weight` between `node` and another node, whose edges are `others` in ascending order, has no
    /// detour over one common neighbour of which both parts are shorter: the rule of the relative neighbourhood graph,
    /// asked of the triangles of the graph only.
    pub(super) fn conforms(&self, node: u32, weight: f32, others: impl Iterator<Item = (u32, f32)>) -> bool {
        let mut own = self.edges(node).peekable();
        for (other, to_other) in others {
            while own.next_if(|&(id, _)| id < other).is_some() {}
            if let Some((_, to_own)) = own.next_if(|&(id, _)| id == other)
                && weight > to_own.max(to_other)
            {
                return false;
            }
        }
        true
    }

    /// Whether every list has `degree` neighbours (all others if these are fewer), ascending and each listing the node at the same
    /// distance, and whether every node can be reached.
    pub(super) fn check(&self) -> Result<(), String> {
        let degree = self.degree().min(self.len().saturating_sub(1));
        // Nodes are met in ascending order, so those before a node must stand in its list one after another.
        let mut before = vec![0u32; self.len()];
        for node in 0..self.len() as u32 {
            let (list, unused) = self.graph.slots(node).split_at(degree);
            if !list.is_sorted_by(|a, b| a < b) || unused.iter().any(|&id| id != NONE) {
                return Err(format!("node {node} has not {degree} neighbours in ascending order"));
            }
            let start = before[node as usize] as usize;
            if list.get(start).is_some_and(|&id| id <= node || id as usize >= self.len()) {
                return Err(format!("node {node} lists {}, which does not list it", list[start]));
            }
            for (&id, &weight) in list.iter().zip(self.weights(node)).skip(start) {
                let at = before.get_mut(id as usize).map(|count| (*count as usize, *count += 1).0);
                let back = at.filter(|&at| at < degree).map(|at| id as usize * self.degree() + at);
                let matches =
                    |at: usize| self.graph.as_slots()[at] == node && self.weights[at].to_bits() == weight.to_bits();
                if !back.is_some_and(matches) {
                    return Err(format!("node {id} does not list {node} at the same distance"));
                }
            }
        }
        match self.reached() {
            reached if reached == self.len() => Ok(()),
            reached => Err(format!("{reached} of {} nodes can be reached", self.len())),
        }
    }

    /// How many nodes can be reached from the first.
    fn reached(&self) -> usize {
        let mut met = vec![false; self.len()];
        let mut open: Vec<u32> = met.first_mut().map(|first| (*first = true, 0).1).into_iter().collect();
        let mut count = 0;
        while let Some(node) = open.pop() {
            count += 1;
            let new = self.neighbors(node).iter().filter(|&&id| !std::mem::replace(&mut met[id as usize], true));
            open.extend(new);
        }
        count
    }

    /// Bytes held.
    pub(super) fn memory_usage(&self) -> usize {
        self.graph.memory_usage() + self.weights.memory_bytes()
    }

    /// Puts `id` into the list of `node`.
    fn insert(&mut self, node: u32, id: u32, weight: f32) {
        let (used, start) = (self.neighbors(node).len(), node as usize * self.degree());
        let slots = self.graph.slots_mut(node);
        let at = slots[..used].partition_point(|&other| other < id);
        slots.copy_within(at..used, at + 1);
        slots[at] = id;
        let weights = &mut self.weights.as_mut_slice()[start..];
        weights.copy_within(at..used, at + 1);
        weights[at] = weight;
    }

    /// Takes `id` out of the list of `node`.
    fn take(&mut self, node: u32, id: u32) -> Option<f32> {
        let at = self.neighbors(node).binary_search(&id).ok()?;
        let (used, start) = (self.neighbors(node).len(), node as usize * self.degree());
        let slots = self.graph.slots_mut(node);
        slots.copy_within(at + 1..used, at);
        slots[used - 1] = NONE;
        let weights = &mut self.weights.as_mut_slice()[start..];
        let weight = weights[at];
        weights.copy_within(at + 1..used, at);
        weights[used - 1] = 0.0;
        Some(weight)
    }
}
