//! HNSW: a stack of graphs, each over fewer rows than the one below. Malkov & Yashunin, *Efficient and robust
//! approximate nearest neighbor search using hierarchical navigable small world graphs*, TPAMI 2018, arXiv:1603.09320.
//!
//! A search goes down the stack greedily and then walks layer 0 with a frontier of `ef` nodes. Where we differ from the
//! paper: rows are inserted in rounds that read a frozen graph (ParlayANN, PPoPP 2024), so that a build gives the same
//! bytes on any number of threads; one incoming link of every row on layer 0 is never pruned, so that every row can be
//! reached; ties occlude and copies do not hide others (see [`OcclusionRule`](crate::OcclusionRule)).
//!
//! Memory beyond the rows: `4 * m0 + 4` bytes per row and about `4 * (m + 2) / (m - 1)` for the upper layers.

mod build;
mod builder;
mod params;
mod parents;
#[cfg(feature = "persist")]
mod persist;

pub use builder::{BuildError, HnswBuilder};
pub use params::{HnswParams, HnswSearch, ParamError};

use crate::FlatGraph;
use crate::refine::ExactOracle;
use crate::search::{GraphView, Walk};
use ann_core::simd::Buffer;
use ann_core::{All, DistanceOracle, Filter, Index, MemoryUsage, Neighbor, SearchStats, VectorError, VectorStore};

/// An HNSW graph over the rows of a store.
///
/// ```
/// use ann_core::{FlatStore, Matrix, Metric, Searcher};
/// use ann_graph::{Hnsw, HnswSearch};
/// let rows = Matrix::from_rows(&[[0.0, 0.0], [1.0, 0.0], [0.0, 3.0]])?;
/// let hnsw = Hnsw::builder().m(8).build(FlatStore::<f32>::from_rows(rows.view(), Metric::L2)?)?;
/// let mut searcher = Searcher::new(&hnsw, HnswSearch { ef: 10 });
/// let nearest = searcher.search(&[0.9, 0.2], 2)?;
/// assert_eq!(nearest.iter().map(|n| n.id).collect::<Vec<_>>(), [1, 0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Hnsw<S> {
    params: HnswParams,
    store: S,
    /// Layer 0: nodes are rows.
    base: FlatGraph,
    /// For every row the one whose link to it is never pruned; the root names itself. Following it leads to the root.
    parents: Buffer<u32>,
    /// The row inserted first: links that are never pruned lead from it to every other.
    root: u32,
    /// Layers 1, 2, …
    upper: Vec<Layer>,
}

/// A layer above 0: a graph over some rows, with node numbers of its own.
#[derive(Debug, Clone)]
struct Layer {
    graph: FlatGraph,
    /// The row of every node.
    rows: Buffer<u32>,
    /// The node of the same row in the layer below (the row itself for layer 1).
    below: Buffer<u32>,
}

impl Layer {
    fn with_capacity(max_degree: usize, rows: usize) -> Self {
        let mut graph = FlatGraph::new(max_degree);
        graph.reserve(rows);
        Self { graph, rows: Buffer::with_capacity(rows), below: Buffer::with_capacity(rows) }
    }

    fn view(&self) -> GraphView<'_> {
        GraphView { links: self.graph.rows(), rows: Some(&self.rows) }
    }
}

impl<S: VectorStore> Hnsw<S> {
    /// The parameters it was built with.
    pub fn params(&self) -> &HnswParams {
        &self.params
    }

    /// The rows.
    pub fn store(&self) -> &S {
        &self.store
    }

    /// The same graph over another store of the same rows, such as wider or narrower ones. `None` if the number of rows
    /// differs.
    pub fn with_store<T: VectorStore>(&self, store: T) -> Option<Hnsw<T>> {
        (store.len() == self.store.len()).then(|| Hnsw {
            params: self.params,
            store,
            base: self.base.clone(),
            parents: self.parents.clone(),
            root: self.root,
            upper: self.upper.clone(),
        })
    }

    /// As [`Self::with_store`], giving up its own store.
    pub fn into_store<T: VectorStore>(self, store: T) -> Option<Hnsw<T>> {
        let Self { params, store: own, base, parents, root, upper } = self;
        (store.len() == own.len()).then_some(Hnsw { params, store, base, parents, root, upper })
    }

    /// The graph of layer 0, whose nodes are rows.
    pub fn base(&self) -> &FlatGraph {
        &self.base
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
    fn descend(&self, oracle: &impl DistanceOracle, layer: usize, walk: &mut Walk) -> u32 {
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

    /// Walks from the entry down to the `ef` nearest rows.
    fn walk_down<F: Filter>(&self, oracle: &impl DistanceOracle, filter: &F, ef: usize, walk: &mut Walk) {
        let node = self.descend(oracle, 0, walk);
        self.walk_base(oracle, filter, node, ef, walk);
    }

    /// Walks layer 0 from `node`; if that part of the graph runs dry before `ef` rows are found, from the root too.
    fn walk_base<F: Filter>(&self, oracle: &impl DistanceOracle, filter: &F, node: u32, ef: usize, walk: &mut Walk) {
        let view = GraphView { links: self.base.rows(), rows: None };
        walk.search(view, oracle, filter, node, ef);
        if !walk.frontier.is_full() {
            walk.go_on(view, oracle, filter, self.root);
        }
    }
}

/// Memory of a search in an [`Hnsw`] index.
pub struct HnswScratch<S: VectorStore> {
    walk: Walk,
    oracle: S::Scratch,
}

impl<S: VectorStore> Default for HnswScratch<S> {
    fn default() -> Self {
        Self { walk: Walk::default(), oracle: S::Scratch::default() }
    }
}

impl<S: VectorStore> Index for Hnsw<S> {
    type Vector = S::Vector;
    type Params = HnswSearch;
    type Scratch = HnswScratch<S>;

    fn len(&self) -> usize {
        self.base.len()
    }

    fn search_with<F: Filter>(
        &self,
        query: &S::Vector,
        k: usize,
        params: &HnswSearch,
        filter: &F,
        scratch: &mut HnswScratch<S>,
        out: &mut Vec<Neighbor>,
    ) -> Result<SearchStats, VectorError> {
        out.clear();
        self.store.check(query)?;
        if k == 0 || self.is_empty() {
            return Ok(SearchStats::default());
        }
        let HnswScratch { walk, oracle } = scratch;
        walk.stats = SearchStats::default();
        let oracle = self.store.oracle(query, oracle);
        let ef = params.ef.max(k).min(self.len());
        self.walk_down(&oracle, filter, ef, walk);
        if !walk.take_nearest(&oracle, k, out) {
            let oracle = ExactOracle(&oracle);
            self.walk_down(&oracle, filter, ef, walk);
            walk.take_nearest(&oracle, k, out);
        }
        Ok(walk.stats)
    }

    fn memory_usage(&self) -> MemoryUsage {
        let upper = self
            .upper
            .iter()
            .map(|layer| layer.graph.memory_usage() + layer.rows.memory_bytes() + layer.below.memory_bytes());
        MemoryUsage {
            vectors: self.store.memory_usage(),
            structure: self.base.memory_usage() + self.parents.memory_bytes() + upper.sum::<usize>(),
        }
    }
}
