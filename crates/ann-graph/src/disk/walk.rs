//! The walk: estimates order it, pages bring exact distances.
//!
//! The frontier holds the `ef` nearest nodes by their estimates. A hop takes the nearest that are not expanded: those in the
//! cache are expanded at once, the others form a beam whose pages are read together. With each node comes its row, so what is
//! expanded is measured; when everything in the frontier is expanded, the nearest of all measured are the results.
//!
//! With a filter the frontier holds accepted nodes and a heap what is to be expanded, as in a walk in memory. A read takes
//! as long as many estimates, though, and codes of all rows are in memory: where a sample says that comparing the codes of
//! all accepted rows is cheaper, that is done, and the pages of the `ef` nearest are read. The same is done if a walk expands
//! far more nodes than the sample promised, or a part of the graph runs dry. So `min(k, matches)` rows are always found.

use super::batch::Batch;
use super::layout::Node;
use super::met::Met;
use super::{DiskError, DiskGraph, DiskSearch, damaged};
use crate::frontier::{Frontier, Key};
use crate::share::sampled_share;
use ann_core::{DistanceOracle, Filter, Neighbor, SearchStats, TopK, VectorError, VectorStore};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Most pages read at once.
const MOST_BEAM: usize = 64;
/// Estimates that take as long as a read: 20 to 100 microseconds, by the beam, for 20 nanoseconds each.
const PER_READ: f64 = 1000.0;
/// Estimates that take as long as asking a filter about one row.
const PER_QUESTION: f64 = 0.2;
/// A filtered walk gives up when it has expanded this many times the nodes that the sample promised.
const PATIENCE: f64 = 4.0;
/// Codes compared by one call.
const BLOCK: usize = 256;

/// Memory of a search in a [`DiskGraph`].
#[derive(Debug)]
pub struct DiskScratch<C: VectorStore> {
    oracle: C::Scratch,
    seen: Seen,
    beam: Beam,
}

impl<C: VectorStore> Default for DiskScratch<C> {
    fn default() -> Self {
        Self { oracle: C::Scratch::default(), seen: Seen::default(), beam: Beam::default() }
    }
}

/// What a search knows so far.
#[derive(Debug, Default)]
struct Seen {
    /// The query as rows are measured with it, and a row with its padding.
    query: Vec<f32>,
    padded: Vec<f32>,
    met: Met,
    frontier: Frontier,
    /// Nodes to expand in a filtered walk, where the frontier holds accepted nodes only.
    open: BinaryHeap<Reverse<Key>>,
    /// The nearest of what was measured.
    nearest: TopK,
    /// The current block and its estimates.
    nodes: Vec<u32>,
    distances: Vec<f32>,
    stats: SearchStats,
}

/// Nodes whose pages are read together.
#[derive(Debug, Default)]
struct Beam {
    /// Each with the place of its page among those that are read.
    nodes: Vec<(u32, usize)>,
    pages: Vec<u64>,
    batch: Batch,
}

impl<C: VectorStore<Vector = [f32]>> DiskGraph<C> {
    /// Replaces `out` by the nearest `min(k, matches)` rows found; the query has been checked, `k` is not 0, and there are rows.
    pub(super) fn walk<F: Filter>(
        &self,
        query: &[f32],
        k: usize,
        params: &DiskSearch,
        filter: &F,
        scratch: &mut DiskScratch<C>,
        out: &mut Vec<Neighbor>,
    ) -> Result<SearchStats, VectorError> {
        let DiskScratch { oracle, seen, beam } = scratch;
        let nodes = self.layout.nodes;
        let (ef, k, width) = (params.ef.max(k).min(nodes), k.min(nodes), params.beam.clamp(1, MOST_BEAM));
        let oracle = self.codes.oracle(query, oracle);
        self.measure.prepare(query, &mut seen.query);
        seen.stats = SearchStats::default();
        let most = most_hops(filter, nodes, ef, &mut seen.nodes);
        if most == 0 || !self.expand_all(&oracle, filter, (ef, k, width), most, seen, beam)? {
            self.scan(&oracle, filter, (ef, k, width), seen, beam)?;
        }
        seen.nearest.drain_sorted(out);
        Ok(seen.stats)
    }

    /// Walks until everything in the frontier is expanded. Says no if there was less than the frontier holds, or more
    /// than `most` nodes were expanded.
    fn expand_all<F: Filter>(
        &self,
        oracle: &impl DistanceOracle,
        filter: &F,
        (ef, k, width): (usize, usize, usize),
        most: u64,
        seen: &mut Seen,
        beam: &mut Beam,
    ) -> Result<bool, DiskError> {
        seen.frontier.reset(ef);
        seen.nearest.reset(k);
        seen.met.clear();
        seen.open.clear();
        seen.nodes.clear();
        seen.meet(&self.entries);
        seen.score(oracle, filter);
        while seen.stats.hops < most {
            beam.clear();
            while beam.nodes.len() < width
                && let Some(node) = seen.next::<F>()
            {
                let Some(record) = self.cache.record(node) else {
                    beam.push(node, self.layout.page_of(node));
                    continue;
                };
                self.expand(node, record, filter, seen)?;
                seen.score(oracle, filter);
            }
            if beam.nodes.is_empty() {
                return Ok(seen.frontier.is_full());
            }
            self.read(beam, seen)?;
            for &(node, slot) in &beam.nodes {
                self.expand(node, self.layout.record(node, beam.batch.page(slot)), filter, seen)?;
            }
            seen.score(oracle, filter);
        }
        Ok(false)
    }

    /// Compares the codes of all accepted rows, and measures the `ef` nearest.
    fn scan<F: Filter>(
        &self,
        oracle: &impl DistanceOracle,
        filter: &F,
        (ef, k, width): (usize, usize, usize),
        seen: &mut Seen,
        beam: &mut Beam,
    ) -> Result<(), DiskError> {
        seen.frontier.reset(ef);
        seen.nearest.reset(k);
        let mut rows = filter.among(0..self.layout.nodes as u32);
        loop {
            seen.nodes.clear();
            seen.nodes.extend(rows.by_ref().take(BLOCK));
            if seen.nodes.is_empty() {
                break;
            }
            seen.estimate(oracle);
            for (&node, &distance) in seen.nodes.iter().zip(&seen.distances) {
                seen.frontier.insert(Key::new(node, distance));
            }
        }
        loop {
            beam.clear();
            while beam.nodes.len() < width
                && let Some(key) = seen.frontier.pop()
            {
                match self.cache.record(key.node()) {
                    None => beam.push(key.node(), self.layout.page_of(key.node())),
                    Some(record) => {
                        self.measure_node(key.node(), record, true, seen)?;
                    }
                }
            }
            if beam.nodes.is_empty() {
                return Ok(());
            }
            self.read(beam, seen)?;
            for &(node, slot) in &beam.nodes {
                self.measure_node(node, self.layout.record(node, beam.batch.page(slot)), true, seen)?;
            }
        }
    }

    fn read(&self, beam: &mut Beam, seen: &mut Seen) -> Result<(), DiskError> {
        seen.stats.reads += beam.pages.len() as u64;
        beam.batch.read(&self.pages, &beam.pages, self.threads.as_ref())
    }

    /// Measures a node and puts those of its neighbours that are new on the block.
    fn expand<F: Filter>(&self, node: u32, record: &[u32], filter: &F, seen: &mut Seen) -> Result<(), DiskError> {
        let Node { links, .. } = self.measure_node(node, record, F::passes_all() || filter.accepts(node), seen)?;
        seen.stats.hops += 1;
        seen.meet(links);
        Ok(())
    }

    /// Takes a record apart, and measures its row if it may be returned.
    fn measure_node<'r>(
        &self,
        node: u32,
        record: &'r [u32],
        accepted: bool,
        seen: &mut Seen,
    ) -> Result<Node<'r>, DiskError> {
        let whole = self.layout.node(record).ok_or_else(|| damaged(self.layout.page_of(node), node))?;
        if accepted {
            let distance = self.measure.distance(&seen.query, whole.row, &mut seen.padded);
            seen.nearest.push(Neighbor::new(node, distance));
            seen.stats.refined += 1;
        }
        Ok(whole)
    }
}

impl Seen {
    /// Puts the nodes of a list that are new on the block.
    fn meet(&mut self, list: &[u32]) {
        let Self { met, nodes, .. } = self;
        nodes.extend(list.iter().copied().filter(|&node| met.insert(node)));
    }

    fn estimate(&mut self, oracle: &impl DistanceOracle) {
        self.stats.evaluations += self.nodes.len() as u64;
        self.distances.resize(self.nodes.len(), 0.0);
        oracle.distances(&self.nodes, &mut self.distances);
    }

    /// Estimates the block, keeps what is near enough, and empties it.
    fn score<F: Filter>(&mut self, oracle: &impl DistanceOracle, filter: &F) {
        self.nodes.iter().for_each(|&node| oracle.prefetch(node));
        self.estimate(oracle);
        for (&node, &distance) in self.nodes.iter().zip(&self.distances) {
            if distance > self.frontier.bound() {
                continue;
            }
            let key = Key::new(node, distance);
            if F::passes_all() {
                self.frontier.insert(key);
            } else {
                self.open.push(Reverse(key));
                if filter.accepts(node) {
                    self.frontier.insert(key);
                }
            }
        }
        self.nodes.clear();
    }

    /// The nearest node that is not expanded, unless it is too far to matter.
    fn next<F: Filter>(&mut self) -> Option<u32> {
        if F::passes_all() {
            return self.frontier.pop().map(Key::node);
        }
        let Reverse(key) = self.open.pop()?;
        (key.distance() <= self.frontier.bound() || !self.frontier.is_full()).then(|| key.node())
    }
}

impl Beam {
    fn clear(&mut self) {
        self.nodes.clear();
        self.pages.clear();
    }

    fn push(&mut self, node: u32, page: u64) {
        let slot = self.pages.iter().position(|&other| other == page).unwrap_or(self.pages.len());
        if slot == self.pages.len() {
            self.pages.push(page);
        }
        self.nodes.push((node, slot));
    }
}

/// Most nodes that a walk may expand; 0 if all accepted codes should be compared in its place.
fn most_hops<F: Filter>(filter: &F, nodes: usize, ef: usize, sample: &mut Vec<u32>) -> u64 {
    if F::passes_all() {
        return u64::MAX;
    }
    let share = sampled_share(nodes, filter, sample);
    let (walk, scan) = (ef as f64 / share * PER_READ, nodes as f64 * (share + PER_QUESTION));
    if walk > scan { 0 } else { (PATIENCE * ef as f64 / share) as u64 }
}
