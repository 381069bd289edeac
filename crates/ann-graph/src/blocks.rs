//! Neighbour blocks: a graph whose nodes keep codes of their neighbours beside the links.
//!
//! A hop of a walk over rows fetches every neighbour's row from wherever it lies. Here one piece of memory per node holds
//! the codes of all its neighbours, their numbers and the node's own row: a hop reads it from end to end, estimates all
//! neighbours together, and looks closer only at those that may enter the frontier. Which node comes next is settled
//! one step ahead, so that its piece comes from memory while the present one is computed. What was expanded is ordered
//! by own rows, and what is returned by the exact rows of the store.
//!
//! Source: Gou, Gao, Xu, Long, *SymphonyQG*, SIGMOD 2025, arXiv:2411.12229. *Where we differ*: own rows are codes too, the
//! results are refined exactly, and a table of leaders takes the place of the one entry.
//!
//! Cost: a piece per node beside the graph and the rows it was made from, see [`NodeCodec`].

mod encode;
#[cfg(feature = "persist")]
mod persist;

use crate::adjacency::NONE;
use crate::frontier::{Frontier, Key};
use crate::hnsw::{Hnsw, HnswScratch, HnswSearch};
use crate::refine::measure;
use crate::search::Effort;
use ann_core::Visited;
use ann_core::simd::{Buffer, Rows};
use ann_core::{
    Filter, Index, MemoryUsage, Metric, Neighbor, NodeCodec, Par, PushVector, ReadRow, RowSet, SearchStats,
    VectorError, VectorStore, lanes_for,
};

/// Most leaders: rows that are estimated to find where a walk begins. Twice as many cost more than they save.
const LEADERS: usize = 256;
/// Layers of so few rows are what leaders are taken from.
const FEW_ROWS: usize = 1024;
/// Cache lines asked for at a time: between the steps of a hop, so that asking never waits for room.
const FEW: usize = 4;
/// Lanes scored by one call.
const MOST_LANES: usize = 64;
/// Pieces written per task.
const CHUNK: usize = 256;

/// An HNSW graph with neighbour blocks.
///
/// ```
/// use ann_core::{FlatStore, Matrix, Metric, Par, Searcher};
/// use ann_graph::{BlockHnsw, BlockSearch, Hnsw};
/// use ann_quant::{NodeRabitq, NodeRabitqParams};
/// let rows = Matrix::new((0..64 * 40).map(|i| (i * i % 97) as f32).collect(), 64)?;
/// let graph = Hnsw::builder().keep_pruned(true).build(FlatStore::<f32>::from_rows(rows.view(), Metric::L2)?)?;
/// let codec = NodeRabitq::train(rows.view(), Metric::L2, &NodeRabitqParams::default())?;
/// let index = BlockHnsw::new(graph, codec, Par::Ambient)?;
/// let mut searcher = Searcher::new(&index, BlockSearch::default());
/// assert_eq!(searcher.search(rows.row(7), 1)?[0].id, 7);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct BlockHnsw<S, C> {
    graph: Hnsw<S>,
    codec: C,
    layout: Layout,
    /// One after another, each padded to whole cache lines.
    pieces: Buffer<u8>,
    /// Rows where walks begin, and their codes relative to the origin in blocks of [`MOST_LANES`].
    leaders: Vec<u32>,
    leader_codes: Buffer<u8>,
}

/// Where things lie within the piece of a node: codes of the neighbours, their numbers, its own row.
#[derive(Debug, Clone, Copy)]
struct Layout {
    lanes: usize,
    ids: usize,
    own: usize,
    len: usize,
    stride: usize,
}

/// Why neighbour blocks cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BlockError {
    /// The codec was trained for other rows.
    #[error("codes of {codec_dim} columns under {codec_metric} for rows of {dim} under {metric}")]
    Codec {
        /// Columns of the codec.
        codec_dim: usize,
        /// Metric of the codec.
        codec_metric: Metric,
        /// Columns of the rows.
        dim: usize,
        /// Metric of the rows.
        metric: Metric,
    },
    /// A node may have more neighbours than one call scores.
    #[error("up to {found} neighbours per node, blocks hold {MOST_LANES}")]
    Degree {
        /// Most neighbours of a node.
        found: usize,
    },
}

impl Layout {
    fn checked<S: ReadRow>(graph: &Hnsw<S>, codec: &impl NodeCodec) -> Result<Self, BlockError> {
        let (dim, metric, max_degree) =
            (graph.store().dim(), graph.store().metric(), graph.hierarchy().base().max_degree());
        let (codec_dim, codec_metric) = (codec.dim(), codec.metric());
        if (codec_dim, codec_metric) != (dim, metric) {
            return Err(BlockError::Codec { codec_dim, codec_metric, dim, metric });
        }
        let lanes = lanes_for(max_degree);
        if lanes > MOST_LANES {
            return Err(BlockError::Degree { found: max_degree });
        }
        let ids = codec.codes_len(lanes);
        let own = ids + lanes * size_of::<u32>();
        let len = own + codec.own_len();
        Ok(Self { lanes, ids, own, len, stride: len.next_multiple_of(64) })
    }
}

impl<S: ReadRow, C: NodeCodec> BlockHnsw<S, C> {
    /// Encodes the neighbours of every node of `graph`, on the threads of `par`; the result is the same on any.
    ///
    /// # Errors
    /// [`BlockError`] if the codec is for other rows, or a node may have more than 64 neighbours.
    pub fn new(graph: Hnsw<S>, codec: C, par: Par) -> Result<Self, BlockError> {
        let layout = Layout::checked(&graph, &codec)?;
        let (pieces, leader_codes) = (Buffer::new(), Buffer::new());
        let mut index = Self { graph, codec, layout, pieces, leaders: Vec::new(), leader_codes };
        index.encode(par);
        Ok(index)
    }

    /// The graph and the rows.
    pub fn graph(&self) -> &Hnsw<S> {
        &self.graph
    }

    /// The graph and the rows, without the blocks.
    pub fn into_graph(self) -> Hnsw<S> {
        self.graph
    }

    /// The same blocks over another store of the same rows, such as wider ones. `None` if the number of rows differs.
    pub fn with_store<T: ReadRow>(&self, store: T) -> Option<BlockHnsw<T, C>>
    where
        C: Clone,
    {
        Some(BlockHnsw {
            graph: Hnsw::from_parts(self.graph.hierarchy().clone(), store)?,
            codec: self.codec.clone(),
            layout: self.layout,
            pieces: self.pieces.clone(),
            leaders: self.leaders.clone(),
            leader_codes: self.leader_codes.clone(),
        })
    }

    /// Cache lines that a hop reads.
    pub fn lines_per_hop(&self) -> usize {
        self.layout.stride / 64
    }

    /// The codec.
    pub fn codec(&self) -> &C {
        &self.codec
    }

    /// As [`Hnsw::purge`]; all blocks are written again.
    pub fn purge(&mut self, dead: &RowSet, par: Par) -> Vec<u32>
    where
        S: PushVector,
    {
        let left = self.graph.purge(dead, par);
        self.encode(par);
        left
    }

    /// As [`Hnsw::search_row`]: rows are walked, not blocks.
    ///
    /// # Panics
    /// If `row` is no row.
    pub fn search_row<F: Filter>(
        &self,
        row: u32,
        k: usize,
        params: &BlockSearch,
        filter: &F,
        scratch: &mut BlockScratch<S, C>,
        out: &mut Vec<Neighbor>,
    ) -> SearchStats {
        self.graph.search_row(row, k, &params.walk, filter, &mut scratch.rows, out)
    }

    fn rows(&self) -> Rows<'_, u8> {
        Rows::new(&self.pieces, self.layout.len, self.layout.stride)
    }

    /// Walks from the nearest leader until everything in the frontier is expanded.
    fn walk(&self, effort: Effort, keep: usize, walk: &mut BlockWalk<C::Query>) {
        let BlockWalk { visited, frontier, query, expanded, stats } = walk;
        let (layout, pieces) = (self.layout, self.rows());
        visited.reset(self.graph.len());
        frontier.reset_for(effort);
        expanded.reset(keep);
        if let Some(leader) = self.nearest_leader(query) {
            visited.insert(leader.id);
            frontier.insert(Key::new(leader.id, leader.distance));
        }
        let mut estimates = [0.0; MOST_LANES];
        let mut next = frontier.pop().map(Key::node);
        let mut coming = Coming { node: next, line: 0 };
        coming.ask(pieces, usize::MAX);
        while let Some(node) = next {
            if effort.limits.reached(stats) {
                stats.cut_short = true;
                break;
            }
            // The node after this one is settled before its neighbours are known, and comes from memory meanwhile.
            next = frontier.pop().map(Key::node);
            coming = Coming { node: next, line: 0 };
            coming.ask(pieces, FEW);
            let piece = pieces.row(node as usize);
            let distance = self.codec.own(query, &piece[layout.own..]);
            coming.ask(pieces, FEW);
            expanded.insert(Key::new(node, distance));
            let (codes, ids) = (&piece[..layout.ids], &piece[layout.ids..layout.own]);
            let ids: &[u32] = bytemuck::cast_slice(ids);
            let out = &mut estimates[..layout.lanes];
            let near = self.codec.score(query, distance, codes, frontier.bound(), out);
            coming.ask(pieces, FEW);
            stats.hops += 1;
            stats.evaluations += layout.lanes as u64;
            for lane in lanes_of(near) {
                let (id, estimate) = (ids[lane], out[lane]);
                if id != NONE && estimate <= frontier.bound() && visited.insert(id) {
                    frontier.insert(Key::new(id, estimate));
                    coming.ask(pieces, FEW);
                }
            }
            if next.is_none() {
                next = frontier.pop().map(Key::node);
                coming = Coming { node: next, line: 0 };
            }
            coming.ask(pieces, usize::MAX);
        }
    }

    /// Where a walk begins, by its estimate. `None` if there is no row, or no estimate is a number.
    fn nearest_leader(&self, query: &C::Query) -> Option<Neighbor> {
        let origin = self.codec.origin(query);
        let (mut nearest, mut start, mut estimates) = (Neighbor::new(NONE, f32::INFINITY), 0, [0.0; MOST_LANES]);
        for block in self.leaders.chunks(MOST_LANES) {
            let lanes = lanes_for(block.len());
            let codes = &self.leader_codes[start..start + self.codec.codes_len(lanes)];
            start += codes.len();
            let near = self.codec.score(query, origin, codes, nearest.distance, &mut estimates[..lanes]);
            for lane in lanes_of(near) {
                if let Some(&id) = block.get(lane)
                    && estimates[lane] < nearest.distance
                {
                    nearest = Neighbor::new(id, estimates[lane]);
                }
            }
        }
        (nearest.id != NONE).then_some(nearest)
    }
}

/// The lanes whose bits are set, ascending.
#[inline(always)]
fn lanes_of(mut bits: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let lane = (bits != 0).then(|| bits.trailing_zeros() as usize);
        bits &= bits.wrapping_sub(1);
        lane
    })
}

/// A node whose piece is under way from memory, and how many of its cache lines have been asked for.
struct Coming {
    node: Option<u32>,
    line: usize,
}

impl Coming {
    /// Asks for the next `lines` lines.
    #[inline(always)]
    fn ask(&mut self, pieces: Rows<'_, u8>, lines: usize) {
        if let Some(node) = self.node {
            let end = self.line.saturating_add(lines);
            pieces.prefetch_lines(node, self.line..end);
            self.line = end;
        }
    }
}

/// Memory of a walk over blocks.
#[derive(Debug, Default)]
struct BlockWalk<Q> {
    visited: Visited,
    frontier: Frontier,
    query: Q,
    /// The nearest of the nodes that were expanded, by their own rows.
    expanded: Frontier,
    stats: SearchStats,
}

/// Memory of a search in a [`BlockHnsw`] index.
pub struct BlockScratch<S: VectorStore, C: NodeCodec> {
    walk: BlockWalk<C::Query>,
    oracle: S::Scratch,
    ids: Vec<u32>,
    distances: Vec<f32>,
    /// Of searches that walk over rows.
    rows: HnswScratch<S>,
}

impl<S: VectorStore, C: NodeCodec> Default for BlockScratch<S, C> {
    fn default() -> Self {
        Self {
            walk: BlockWalk::default(),
            oracle: S::Scratch::default(),
            ids: Vec::new(),
            distances: Vec::new(),
            rows: HnswScratch::default(),
        }
    }
}

/// How a [`BlockHnsw`] is searched.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BlockSearch {
    /// How hard the walk looks: at estimates without a filter, at rows with one.
    pub walk: HnswSearch,
    /// Rows measured exactly beyond `k`.
    pub refine: usize,
}

impl BlockSearch {
    /// Keeps `ef` candidates, without limits.
    pub fn ef(ef: usize) -> Self {
        Self { walk: HnswSearch::ef(ef), ..Self::default() }
    }
}

impl Default for BlockSearch {
    fn default() -> Self {
        Self { walk: HnswSearch::default(), refine: 2 }
    }
}

impl<S: ReadRow, C: NodeCodec> Index for BlockHnsw<S, C> {
    type Vector = [f32];
    type Params = BlockSearch;
    type Scratch = BlockScratch<S, C>;

    fn len(&self) -> usize {
        self.graph.len()
    }

    fn search_with<F: Filter>(
        &self,
        query: &[f32],
        k: usize,
        params: &BlockSearch,
        filter: &F,
        scratch: &mut BlockScratch<S, C>,
        out: &mut Vec<Neighbor>,
    ) -> Result<SearchStats, VectorError> {
        out.clear();
        self.graph.store().check(query)?;
        let BlockScratch { walk, oracle, ids, distances, rows } = scratch;
        walk.stats = SearchStats::default();
        if F::passes_all() && k > 0 && !self.is_empty() {
            self.codec.prepare(query, &mut walk.query);
            let effort = params.walk.effort(k, self.len());
            self.walk(effort, k.saturating_add(params.refine).min(self.len()), walk);
            let oracle = self.graph.store().oracle(query, oracle);
            measure(&oracle, walk.expanded.neighbors(), ids, distances, out);
            walk.stats.refined += out.len() as u64;
            out.sort_unstable();
            out.truncate(k);
        }
        if out.len() == k.min(self.len()) || walk.stats.cut_short {
            return Ok(walk.stats);
        }
        // With a filter, or where a part of the graph ran dry, rows are walked, which finds all that there is.
        self.graph.search_with(query, k, &params.walk, filter, rows, out)
    }

    fn memory_usage(&self) -> MemoryUsage {
        let MemoryUsage { vectors, structure } = self.graph.memory_usage();
        let leaders = self.leaders.len() * size_of::<u32>() + self.leader_codes.memory_bytes();
        MemoryUsage { vectors, structure: structure + self.pieces.memory_bytes() + leaders }
    }
}
