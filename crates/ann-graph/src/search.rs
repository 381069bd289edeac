//! The one walk that every graph shares: best-first search with a bounded, sorted frontier.
//!
//! Each hop takes the few nearest nodes that are not expanded, collects their neighbours that were not met before, asking
//! memory for their rows, then scores the whole block with one call of the oracle. The walk ends when everything in the
//! frontier is expanded. Malkov & Yashunin, TPAMI 2018, Alg. 2; Vamana's greedy search with `L = ef` visits the same
//! nodes. Two passes per hop hide the latency of memory behind the collection of ids.

use crate::adjacency::NONE;
use crate::frontier::{Frontier, Key};
use ann_core::Visited;
use ann_core::simd::Rows;
use ann_core::{DistanceOracle, Filter, Limits, Neighbor, Reach, SearchStats};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Most nodes expanded per hop, and the room in the frontier that each beyond the first asks for.
///
/// Those behind the first are nearly always expanded anyway, and their neighbours' rows come from memory while those of the
/// first do: on 300,000 SIFT rows a distance takes 27, 22, 20, 19 ns with 1, 2, 3, 4, for 0, 1.5, 3, 5 % more distances
/// and a little more recall at the same `ef`. A small frontier takes them one by one, where the surplus would tell.
const BEAM: usize = 3;
const EF_PER_BEAM: usize = 24;

/// Cache lines of a neighbour list that are asked for ahead of time.
const LINK_LINES: usize = 2;

/// The part of a graph that a walk reads: neighbour lists, and which row of the store each node stands for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct GraphView<'a> {
    /// Neighbour lists, ended by the first unused slot.
    pub(crate) links: Rows<'a, u32>,
    /// Row of every node; nodes are rows where there is none.
    pub(crate) rows: Option<&'a [u32]>,
}

/// How far a walk goes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Effort {
    /// Nodes in the frontier.
    pub(crate) ef: usize,
    /// Ends the walk where nodes are beyond reach of the so many nearest.
    pub(crate) reach: Option<(usize, Reach)>,
    pub(crate) limits: Limits,
    /// Steps from accepted row to accepted row, through one that is not at the most.
    pub(crate) two_hops: bool,
}

impl Effort {
    /// To the `k` nearest of `len` nodes, and through nodes farther than the last of them by the share `eps`: the ε of DEG and NGT.
    pub(crate) fn beyond(k: usize, eps: f32, len: usize) -> Self {
        /// Nodes that lie within such a share of the `k`-th, as far as they can matter.
        const POOL: usize = 4096;
        let reach = (eps > 0.0).then_some((k, Reach { factor: 1.0 + eps, offset: 0.0 }));
        let ef = if reach.is_some() { k.saturating_mul(16).max(POOL) } else { k };
        Self { reach, ..Self::from(ef.min(len)) }
    }
}

impl From<usize> for Effort {
    fn from(ef: usize) -> Self {
        Self { ef, reach: None, limits: Limits::default(), two_hops: false }
    }
}

/// Memory of a walk, reused from search to search.
#[derive(Debug, Default)]
pub(crate) struct Walk {
    visited: Visited,
    pub(crate) frontier: Frontier,
    /// Nodes of the current block, and their rows where these differ.
    pub(crate) nodes: Vec<u32>,
    rows: Vec<u32>,
    pub(crate) distances: Vec<f32>,
    /// Nodes that are not accepted, and stepped through in a walk in two hops.
    passed: Vec<u32>,
    /// Nodes that a refinement looks at.
    pub(crate) estimated: Vec<Neighbor>,
    /// Nodes to expand in a filtered walk, where the frontier holds accepted nodes only.
    open: BinaryHeap<Reverse<Key>>,
    /// The nodes expanded, in that order, of walks without a filter that are asked to keep them.
    pub(crate) expanded: Vec<Neighbor>,
    pub(crate) keeps_expanded: bool,
    pub(crate) stats: SearchStats,
    /// Nodes expanded per hop.
    beam: usize,
    limits: Limits,
    two_hops: bool,
}

impl Walk {
    /// Finds the nearest nodes, starting from `node`.
    pub(crate) fn search<F: Filter>(
        &mut self,
        graph: GraphView<'_>,
        oracle: &impl DistanceOracle,
        filter: &F,
        node: u32,
        effort: impl Into<Effort>,
    ) {
        self.reset(graph, effort.into());
        self.go_on(graph, oracle, filter, &[node]);
    }

    /// Forgets everything, and makes room for a search.
    pub(crate) fn reset(&mut self, graph: GraphView<'_>, effort: Effort) {
        self.visited.reset(graph.links.len());
        self.frontier.reset_for(effort);
        // A walk that ends by its reach is as long as that makes it, whatever room there is.
        let wanted = effort.reach.map_or(self.frontier.capacity(), |(k, _)| k);
        self.beam = (1 + wanted / EF_PER_BEAM).min(BEAM);
        self.limits = effort.limits;
        self.two_hops = effort.two_hops;
        self.open.clear();
        self.expanded.clear();
        // The most that a hop can meet, so that no later hop allocates.
        let block = BEAM * graph.links.dim();
        self.nodes.reserve(block.saturating_sub(self.nodes.len()));
        self.distances.reserve(block.saturating_sub(self.distances.len()));
        if graph.rows.is_some() {
            self.rows.reserve(block.saturating_sub(self.rows.len()));
        }
    }

    /// Goes on with the same search from other nodes, those that have not been met.
    pub(crate) fn go_on<F: Filter>(
        &mut self,
        graph: GraphView<'_>,
        oracle: &impl DistanceOracle,
        filter: &F,
        nodes: &[u32],
    ) {
        self.nodes.clear();
        self.rows.clear();
        self.meet(graph, oracle, nodes);
        self.score(graph, oracle, filter);
        self.run(graph, oracle, filter);
    }

    /// Whether nodes are still wanted that this part of the graph does not hold.
    pub(crate) fn ran_dry(&self) -> bool {
        self.frontier.bound() == f32::INFINITY && !self.stats.cut_short
    }

    /// The nodes found, nearest first.
    pub(crate) fn found(&self) -> impl ExactSizeIterator<Item = Neighbor> + '_ {
        self.frontier.neighbors()
    }

    /// Expands until the frontier is spent.
    fn run<F: Filter>(&mut self, graph: GraphView<'_>, oracle: &impl DistanceOracle, filter: &F) {
        let beam = self.beam;
        while let Some(node) = self.next::<F>() {
            if self.limits.reached(&self.stats) {
                self.stats.cut_short = true;
                break;
            }
            self.nodes.clear();
            self.rows.clear();
            self.expand(graph, oracle, filter, node);
            for _ in 1..beam {
                let Some(node) = self.next::<F>() else { break };
                self.expand(graph, oracle, filter, node);
            }
            if F::passes_all() {
                // Most often the next to expand; if nearer ones turn up, their lists are asked for then.
                self.frontier.unexpanded().take(beam).for_each(|after| graph.links.prefetch(after, LINK_LINES));
            }
            self.score(graph, oracle, filter);
        }
    }

    #[inline(always)]
    fn expand<F: Filter>(&mut self, graph: GraphView<'_>, oracle: &impl DistanceOracle, filter: &F, node: u32) {
        self.stats.hops += 1;
        if !F::passes_all() && self.two_hops {
            return self.meet_accepted(graph, oracle, filter, node);
        }
        self.meet(graph, oracle, graph.links.row(node as usize));
    }

    /// The nearest node that is not expanded, unless it is too far to matter.
    #[inline(always)]
    fn next<F: Filter>(&mut self) -> Option<u32> {
        if F::passes_all() {
            let key = self.frontier.pop()?;
            if self.keeps_expanded {
                self.expanded.push(key.neighbor());
            }
            return Some(key.node());
        }
        let Reverse(key) = self.open.pop()?;
        // A NaN is expanded while there is room.
        let beyond = key.distance() > self.frontier.horizon() || key.distance().is_nan() && self.frontier.is_full();
        (!beyond).then(|| key.node())
    }

    /// Pass one: puts the nodes of a list that are new on the block, then asks memory for their rows.
    #[inline(always)]
    fn meet(&mut self, graph: GraphView<'_>, oracle: &impl DistanceOracle, list: &[u32]) {
        let start = self.nodes.len();
        self.nodes.resize(start + list.len(), 0);
        let used = list.iter().copied().take_while(|&node| node != NONE);
        let count = self.visited.insert_all(used, &mut self.nodes[start..]);
        self.nodes.truncate(start + count);
        if let Some(rows) = graph.rows {
            self.rows.extend(self.nodes[start..].iter().map(|&node| rows[node as usize]));
        }
        let rows = if graph.rows.is_some() { &self.rows } else { &self.nodes };
        rows[start..].iter().for_each(|&row| oracle.prefetch(row));
    }

    /// Pass one of a walk in two hops: neighbours that are accepted, and those of neighbours that are not. On graphs whose nodes are rows.
    fn meet_accepted<F: Filter>(&mut self, graph: GraphView<'_>, oracle: &impl DistanceOracle, filter: &F, node: u32) {
        let used = |node: u32| graph.links.row(node as usize).iter().copied().take_while(|&node| node != NONE);
        let start = self.nodes.len();
        self.passed.clear();
        for near in used(node) {
            if !self.visited.insert(near) {
                continue;
            }
            if filter.accepts(near) {
                self.nodes.push(near);
            } else {
                graph.links.prefetch(near, LINK_LINES);
                self.passed.push(near);
            }
        }
        for &near in &self.passed {
            for far in used(near) {
                // One that is not accepted may still be stepped through as a neighbour of another.
                if filter.accepts(far) && self.visited.insert(far) {
                    self.nodes.push(far);
                }
            }
        }
        self.nodes[start..].iter().for_each(|&row| oracle.prefetch(row));
    }

    /// Pass two: scores the block and keeps what is near enough.
    #[inline(always)]
    fn score<F: Filter>(&mut self, graph: GraphView<'_>, oracle: &impl DistanceOracle, filter: &F) {
        if let Some(most) = self.limits.evaluations {
            let left = usize::try_from(most.saturating_sub(self.stats.evaluations)).unwrap_or(usize::MAX);
            if self.nodes.len() > left {
                self.stats.cut_short = true;
                self.nodes.truncate(left);
                self.rows.truncate(left);
            }
        }
        let rows = if graph.rows.is_some() { &self.rows } else { &self.nodes };
        self.stats.evaluations += rows.len() as u64;
        self.distances.resize(rows.len(), 0.0);
        oracle.distances(rows, &mut self.distances);
        let mut bound = self.frontier.bound();
        for (&node, &distance) in self.nodes.iter().zip(&self.distances) {
            // A tie may still enter by its number; a NaN enters while there is room.
            if distance > bound {
                continue;
            }
            let key = Key::new(node, distance);
            if F::passes_all() {
                if self.frontier.insert(key) {
                    graph.links.prefetch(node, LINK_LINES);
                }
            } else {
                self.open.push(Reverse(key));
                if filter.accepts(graph.rows.map_or(node, |rows| rows[node as usize])) {
                    self.frontier.insert(key);
                }
            }
            bound = self.frontier.bound();
        }
    }
}
