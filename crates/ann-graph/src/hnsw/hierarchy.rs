//! The stack of graphs of an HNSW index, without the rows it was built on.

use super::HnswParams;
use crate::FlatGraph;
use crate::find::Ground;
use crate::search::{Effort, GraphView, Walk};
use ann_core::simd::Buffer;
use ann_core::{All, DistanceOracle, Filter};

/// The links of an [`Hnsw`](super::Hnsw) index: what it was built for, married to any store of the same rows.
#[derive(Debug, Clone)]
pub struct Hierarchy {
    pub(super) params: HnswParams,
    /// Layer 0: nodes are rows.
    pub(super) base: FlatGraph,
    /// For every row the one whose link to it is never pruned; the root names itself. Following it leads to the root.
    pub(super) parents: Buffer<u32>,
    /// The row inserted first: links that are never pruned lead from it to every other.
    pub(super) root: u32,
    /// Layers 1, 2, …
    pub(super) upper: Vec<Layer>,
}

/// A layer above 0: a graph over some rows, with node numbers of its own.
#[derive(Debug, Clone)]
pub(super) struct Layer {
    pub(super) graph: FlatGraph,
    /// The row of every node.
    pub(super) rows: Buffer<u32>,
    /// The node of the same row in the layer below (the row itself for layer 1).
    pub(super) below: Buffer<u32>,
}

impl Hierarchy {
    /// No rows yet.
    pub(super) fn new(params: HnswParams) -> Self {
        let base = FlatGraph::new(params.m0());
        Self { params, base, parents: Buffer::new(), root: 0, upper: Vec::new() }
    }

    /// The parameters it was built with.
    pub fn params(&self) -> &HnswParams {
        &self.params
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.base.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.base.is_empty()
    }

    /// The graph of layer 0, whose nodes are rows.
    pub fn base(&self) -> &FlatGraph {
        &self.base
    }

    /// Mean number of links of a row on layer 0, 0 without rows.
    pub fn mean_degree(&self) -> f64 {
        let links: usize = (0..self.len() as u32).map(|row| self.base.neighbors(row).count()).sum();
        links as f64 / self.len().max(1) as f64
    }

    /// Number of layers, 0 for an empty index.
    pub fn layers(&self) -> usize {
        if self.base.is_empty() { 0 } else { 1 + self.upper.len() }
    }

    /// Number of rows on `layer`.
    pub fn layer_len(&self, layer: usize) -> usize {
        match layer.checked_sub(1) {
            None => self.base.len(),
            Some(above) => self.upper.get(above).map_or(0, |layer| layer.rows.len()),
        }
    }

    /// The rows on `layer`, each with the rows it links to there.
    pub fn links(&self, layer: usize) -> impl Iterator<Item = (u32, Vec<u32>)> + '_ {
        let (graph, rows) = match layer.checked_sub(1).map(|above| self.upper.get(above)) {
            None => (Some(&self.base), None),
            Some(layer) => (layer.map(|layer| &layer.graph), layer.map(|layer| &layer.rows)),
        };
        let row = move |node: u32| rows.map_or(node, |rows| rows[node as usize]);
        graph.into_iter().flat_map(move |graph| {
            (0..graph.len() as u32).map(move |node| (row(node), graph.neighbors(node).map(row).collect()))
        })
    }

    /// The row where a search starts, `None` for an empty index.
    pub fn entry(&self) -> Option<u32> {
        match self.upper.last() {
            Some(top) => top.rows.first().copied(),
            None => (!self.base.is_empty()).then_some(self.root),
        }
    }

    /// Goes down greedily from the top to `layer` (0 is the base) and gives the node of that layer to start from.
    pub(super) fn descend(&self, oracle: &impl DistanceOracle, layer: usize, walk: &mut Walk) -> u32 {
        if self.upper.is_empty() {
            return self.root;
        }
        let mut node = 0;
        for layer in self.upper[layer..].iter().rev() {
            walk.search(layer.view(), oracle, &All, node, 1);
            let nearest = walk.found().next().map_or(node, |n| n.id);
            node = layer.below[nearest as usize];
        }
        node
    }

    /// Walks layer 0 from `nodes`; if that part of the graph runs dry before all are found that were asked for, from the root too.
    pub(super) fn walk_base<F: Filter>(
        &self,
        oracle: &impl DistanceOracle,
        filter: &F,
        nodes: &[u32],
        effort: impl Into<Effort>,
        walk: &mut Walk,
    ) {
        walk.reset(self.view(), effort.into());
        walk.go_on(self.view(), oracle, filter, nodes);
        if walk.ran_dry() {
            walk.go_on(self.view(), oracle, filter, &[self.root]);
        }
    }

    /// Bytes held.
    pub fn memory_usage(&self) -> usize {
        let upper = self
            .upper
            .iter()
            .map(|layer| layer.graph.memory_usage() + layer.rows.memory_bytes() + layer.below.memory_bytes());
        self.base.memory_usage() + self.parents.memory_bytes() + upper.sum::<usize>()
    }

    pub(super) fn graph(&self, layer: usize) -> &FlatGraph {
        layer.checked_sub(1).map_or(&self.base, |above| &self.upper[above].graph)
    }

    pub(super) fn graph_mut(&mut self, layer: usize) -> &mut FlatGraph {
        match layer.checked_sub(1) {
            None => &mut self.base,
            Some(above) => &mut self.upper[above].graph,
        }
    }

    pub(super) fn row_of(&self, layer: usize, node: u32) -> u32 {
        layer.checked_sub(1).map_or(node, |above| self.upper[above].rows[node as usize])
    }
}

impl Ground for Hierarchy {
    fn view(&self) -> GraphView<'_> {
        GraphView { links: self.base.rows(), rows: None }
    }

    fn entry(&self, oracle: &impl DistanceOracle, walk: &mut Walk) -> u32 {
        self.descend(oracle, 0, walk)
    }

    fn walk_from<F: Filter>(
        &self,
        oracle: &impl DistanceOracle,
        filter: &F,
        starts: &[u32],
        effort: Effort,
        walk: &mut Walk,
    ) {
        self.walk_base(oracle, filter, starts, effort, walk);
    }
}

impl Layer {
    pub(super) fn with_capacity(max_degree: usize, rows: usize) -> Self {
        let mut graph = FlatGraph::new(max_degree);
        graph.reserve(rows);
        Self { graph, rows: Buffer::with_capacity(rows), below: Buffer::with_capacity(rows) }
    }

    pub(super) fn view(&self) -> GraphView<'_> {
        GraphView { links: self.graph.rows(), rows: Some(&self.rows) }
    }
}
