//! Building and growing an HNSW graph in rounds.
//!
//! A round takes as many rows as a fixed share of those already linked. Its rows search the graph as it was at the start
//! of the round, in parallel; then their links are written, links back are grouped by target and every target whose list
//! overflows chooses anew, in parallel again. Nothing is locked and nothing depends on threads. (ParlayANN: Manohar et
//! al., PPoPP 2024.) A single insertion is a round of one.

use super::hierarchy::Layer;
use super::parents::most_pinned;
use super::{BuildError, Hierarchy, Hnsw, HnswParams};
use crate::OcclusionRule;
use crate::adjacency::NONE;
use crate::frontier::Key;
use crate::search::Walk;
use crate::select::{Base, SelectScratch, Selection, select_neighbors};
use ann_core::{
    All, Cancelled, DistanceOracle, Monitor, Neighbor, Par, PushVector, ScratchPool, VectorError, VectorStore,
    split_mix,
};

/// Rows of a round: one for this many that are linked already. Rows of a round do not see each other: with 64 a graph of
/// 300,000 SIFT rows needs 1.5 % more distances for a recall of 0.99.
const LINKED_PER_NEW: usize = 512;

/// Rows per unit of parallel work, few because rounds are small.
const CHUNK: usize = 4;

/// Rows among which the medoid of a graph of one layer is sought: all pairs are compared.
const MEDOID_SAMPLE: usize = 256;

/// Most candidates of a row where they come from the whole path of its walk, as in DiskANN.
const POOL: usize = 750;

/// Keeps the order of insertion apart from the levels, which are drawn from the same seed.
const ORDER_STREAM: u64 = 0x6F72_6465_7221;

impl<S: PushVector> Hnsw<S> {
    /// Inserts one row and returns its id. Cost: about one search with `ef = ef_construction`.
    ///
    /// # Errors
    /// [`VectorError`] if the vector does not belong; the index is unchanged.
    pub fn insert(&mut self, vector: &S::Vector) -> Result<u32, VectorError> {
        let id = self.store.push(vector)?;
        // A monitor that nobody holds cannot cancel.
        let _ = self.link_new_rows(Par::Serial, Monitor::new());
        Ok(id)
    }

    /// Inserts many rows in parallel and returns the ids they got, which are consecutive.
    ///
    /// # Errors
    /// [`BuildError`] for the first vector that does not belong, or if the insertion was cancelled; the index is
    /// unchanged.
    pub fn extend<'v>(
        &mut self,
        vectors: impl IntoIterator<Item = &'v S::Vector>,
        par: Par,
        monitor: Monitor<'_>,
    ) -> Result<std::ops::Range<u32>, BuildError>
    where
        S::Vector: 'v,
    {
        let first = self.store.len();
        self.store.push_all(vectors)?;
        let before = monitor.can_cancel().then(|| self.hierarchy.clone());
        if let Err(cancelled) = par.install(|par| self.link_new_rows(par, monitor)) {
            if let Some(before) = before {
                self.hierarchy = before;
            }
            self.store.truncate(first);
            return Err(cancelled.into());
        }
        Ok(first as u32..self.store.len() as u32)
    }
}

/// A link back from `target` to `source`, with the distance between them.
#[derive(Debug, Clone, Copy)]
struct BackLink {
    target: u32,
    source: Neighbor,
}

/// What a thread needs to place rows.
pub(super) struct Scratch<S: VectorStore> {
    walk: Walk,
    pub(super) oracle: S::Scratch,
    pub(super) select: SelectScratch<S>,
    pub(super) candidates: Vec<Neighbor>,
    pub(super) chosen: Vec<Neighbor>,
    pub(super) block: Block,
}

/// Nodes of one layer, their rows, and the distances of these.
#[derive(Default)]
pub(super) struct Block {
    pub(super) nodes: Vec<u32>,
    rows: Vec<u32>,
    distances: Vec<f32>,
}

impl<S: VectorStore> Default for Scratch<S> {
    fn default() -> Self {
        Self {
            walk: Walk::default(),
            oracle: S::Scratch::default(),
            select: SelectScratch::default(),
            candidates: Vec::new(),
            chosen: Vec::new(),
            block: Block::default(),
        }
    }
}

/// The neighbours chosen for a new row, from its highest linked layer down to 0.
type Plan = Vec<Vec<Neighbor>>;

impl<S: VectorStore> Hnsw<S> {
    /// Links the rows that the store has and the graph has not.
    pub(super) fn link_new_rows(&mut self, par: Par, monitor: Monitor<'_>) -> Result<(), Cancelled> {
        let (first, len) = (self.hierarchy.base.len(), self.store.len());
        let mut order: Vec<u32> = (first as u32..len as u32).collect();
        order.sort_unstable_by_key(|&row| (split_mix(self.hierarchy.params.seed ^ ORDER_STREAM, u64::from(row)), row));
        if self.hierarchy.params.max_layers == 1
            && first == 0
            && let Some(medoid) = medoid(&self.store)
        {
            // The row inserted first is where walks begin.
            order.sort_by_key(|&row| row != medoid);
        }
        self.hierarchy.base.add_nodes(len - first);
        self.hierarchy.parents.resize(len, NONE);
        if first == 0
            && let Some(&row) = order.first()
        {
            self.hierarchy.root = row;
            self.hierarchy.parents.as_mut_slice()[row as usize] = row;
            self.hierarchy.raise(row, 0, row);
        }
        let pool = ScratchPool::default();
        let mut next = usize::from(first == 0).min(order.len());
        while next < order.len() {
            monitor.report((first + next) as u64, len as u64)?;
            let most = ((first + next) / LINKED_PER_NEW).max(1);
            let top = self.hierarchy.upper.len();
            // A row that rises above the top changes where everyone starts: it goes alone.
            let fits = |&&row: &&u32| self.hierarchy.params.level(row) <= top;
            let round = order[next..].iter().take(most).take_while(fits).count().max(1);
            self.insert_round(&order[next..next + round], par, &pool);
            next += round;
        }
        monitor.report(len as u64, len as u64)
    }

    fn insert_round(&mut self, rows: &[u32], par: Par, pool: &ScratchPool<Scratch<S>>) {
        let this = &*self;
        let plans: Vec<Vec<Plan>> = par.map_chunks(rows.len(), CHUNK, pool, |scratch, range| {
            rows[range].iter().map(|&row| this.plan(row, scratch)).collect()
        });
        let mut links = vec![Vec::new(); self.hierarchy.upper.len() + 1];
        for (&row, plan) in rows.iter().zip(plans.into_iter().flatten()) {
            let mut node = row;
            for (layer, neighbors) in plan.into_iter().rev().enumerate() {
                if let Some(above) = layer.checked_sub(1) {
                    node = self.hierarchy.upper[above].add(row, node);
                } else if let Some(nearest) = neighbors.first() {
                    self.hierarchy.parents.as_mut_slice()[row as usize] = nearest.id;
                }
                links[layer].push((node, neighbors));
            }
            self.hierarchy.raise(row, self.hierarchy.upper.len(), node);
        }
        for (layer, links) in links.into_iter().enumerate() {
            self.link(layer, &links, par, pool);
        }
    }

    /// Finds the neighbours of a new row on the layers that exist, in the graph as it is.
    fn plan(&self, row: u32, scratch: &mut Scratch<S>) -> Plan {
        let Scratch { walk, oracle, select, candidates, chosen, block } = scratch;
        let oracle = self.store.oracle_at(row, oracle);
        let itself = oracle.distance(row);
        let top = self.hierarchy.params.level(row).min(self.hierarchy.upper.len());
        walk.keeps_expanded = matches!(self.hierarchy.params.rule, OcclusionRule::Staged { .. });
        let mut node = self.hierarchy.descend(&oracle, top, walk);
        let mut plan = Vec::with_capacity(top + 1);
        for layer in (0..=top).rev() {
            let HnswParams { m, ef_construction, .. } = self.hierarchy.params;
            // What is chosen from the path of a walk need not fit into its frontier.
            let ef = if walk.keeps_expanded { ef_construction } else { ef_construction.max(m) };
            match layer.checked_sub(1) {
                None => self.hierarchy.walk_base(&oracle, &All, &[node], ef, walk),
                Some(above) => walk.search(self.hierarchy.upper[above].view(), &oracle, &All, node, ef),
            }
            candidates.clear();
            if layer == 0 && walk.keeps_expanded {
                walk.expanded.sort_unstable();
                candidates.extend(walk.expanded.iter().take(POOL));
            } else {
                candidates.extend(walk.found());
            }
            if self.hierarchy.params.extend_candidates {
                self.extend_candidates(layer, &oracle, candidates, block);
            }
            if let (Some(above), Some(nearest)) = (layer.checked_sub(1), candidates.first()) {
                node = self.hierarchy.upper[above].below[nearest.id as usize];
            }
            let row_of = |node| self.hierarchy.row_of(layer, node);
            let base = Base { itself, degree: self.hierarchy.params.m.min(self.hierarchy.graph(layer).max_degree()) };
            select_neighbors(&self.store, self.selection(), row_of, base, candidates, chosen, select);
            plan.push(chosen.clone());
        }
        plan
    }

    /// Adds the neighbours of all candidates to them.
    fn extend_candidates(
        &self,
        layer: usize,
        oracle: &impl DistanceOracle,
        candidates: &mut Vec<Neighbor>,
        block: &mut Block,
    ) {
        let (graph, nodes) = (self.hierarchy.graph(layer), &mut block.nodes);
        nodes.clear();
        nodes.extend(candidates.iter().flat_map(|candidate| graph.neighbors(candidate.id)));
        nodes.sort_unstable();
        nodes.dedup();
        nodes.retain(|&node| candidates.iter().all(|candidate| candidate.id != node));
        candidates.extend(self.measure(layer, oracle, block));
        candidates.sort_unstable();
    }

    /// The nodes of `block` with their distances.
    pub(super) fn measure<'b>(
        &self,
        layer: usize,
        oracle: &impl DistanceOracle,
        block: &'b mut Block,
    ) -> impl Iterator<Item = Neighbor> + 'b {
        let Block { nodes, rows, distances } = block;
        rows.clear();
        rows.extend(nodes.iter().map(|&node| self.hierarchy.row_of(layer, node)));
        distances.resize(rows.len(), 0.0);
        oracle.distances(rows, distances);
        nodes.iter().zip(distances).map(|(&node, &mut distance)| Neighbor::new(node, distance))
    }

    /// Writes the links of new nodes on one layer, and the links back.
    fn link(&mut self, layer: usize, links: &[(u32, Vec<Neighbor>)], par: Par, pool: &ScratchPool<Scratch<S>>) {
        let mut ids = Vec::new();
        let mut back = Vec::new();
        for (node, neighbors) in links {
            ids.clear();
            ids.extend(neighbors.iter().map(|n| n.id));
            self.hierarchy.graph_mut(layer).set(*node, &ids);
            back.extend(neighbors.iter().map(|n| BackLink { target: n.id, source: Neighbor::new(*node, n.distance) }));
        }
        par.sort_unstable_by_key(&mut back, |b| (b.target, Key::new(b.source.id, b.source.distance)));
        let groups: Vec<&[BackLink]> = back.chunk_by(|a, b| a.target == b.target).collect();
        let this = &*self;
        let changed: Vec<Relinked> = par.map_chunks(groups.len(), CHUNK, pool, |scratch, range| {
            let mut relinked = Relinked::default();
            for group in &groups[range] {
                this.relink(layer, group, scratch, &mut relinked);
            }
            relinked
        });
        let graph = self.hierarchy.graph_mut(layer);
        for relinked in &changed {
            let mut start = 0;
            for &(target, end) in &relinked.lists {
                graph.set(target, &relinked.ids[start..end]);
                start = end;
            }
        }
        for row in changed.into_iter().flat_map(|relinked| relinked.orphans) {
            self.hierarchy.adopt(row);
        }
    }

    /// The new list of a target that new nodes link to.
    fn relink(&self, layer: usize, group: &[BackLink], scratch: &mut Scratch<S>, out: &mut Relinked) {
        let Scratch { oracle, select, candidates, chosen, block, .. } = scratch;
        let (graph, target) = (self.hierarchy.graph(layer), group[0].target);
        block.nodes.clear();
        block.nodes.extend(graph.neighbors(target));
        let degree = graph.max_degree();
        if block.nodes.len() + group.len() <= degree {
            out.ids.extend(block.nodes.iter().copied().chain(group.iter().map(|b| b.source.id)));
            out.lists.push((target, out.ids.len()));
            return;
        }
        let row = self.hierarchy.row_of(layer, target);
        let oracle = self.store.oracle_at(row, oracle);
        candidates.clear();
        candidates.extend(self.measure(layer, &oracle, block));
        candidates.extend(group.iter().map(|b| b.source));
        let mut children = Vec::new();
        if layer == 0 {
            let is_child = |&child: &u32| self.hierarchy.parents[child as usize] == target;
            children.extend(candidates.iter().map(|n| n.id).filter(is_child));
        }
        candidates.sort_unstable();
        let base = Base { itself: oracle.distance(row), degree };
        let row_of = |node| self.hierarchy.row_of(layer, node);
        select_neighbors(&self.store, self.selection(), row_of, base, candidates, chosen, select);
        let start = out.ids.len();
        out.ids.extend(chosen.iter().map(|n| n.id));
        // Children that were not chosen stay where there is room, old ones first. In a full list a few push others out;
        // most of it is left to the choice, since a few rows are the nearest of very many and must lead to each other.
        let mut pinned = children.iter().filter(|&child| out.ids[start..].contains(child)).count();
        for &child in &children {
            if out.ids[start..].contains(&child) {
                continue;
            }
            let replaced = out.ids[start..].iter().rposition(|id| !children.contains(id));
            match replaced {
                _ if out.ids.len() - start < degree => out.ids.push(child),
                Some(replaced) if pinned < most_pinned(degree) => out.ids[start + replaced] = child,
                _ => {
                    out.orphans.push(child);
                    continue;
                }
            }
            pinned += 1;
        }
        out.lists.push((target, out.ids.len()));
    }

    pub(super) fn selection(&self) -> Selection {
        Selection { rule: self.hierarchy.params.rule, keep_pruned: self.hierarchy.params.keep_pruned }
    }
}

impl Hierarchy {
    /// Adds `row`, which is `node` on layer `top`, the highest, to new layers above as far as its level goes.
    fn raise(&mut self, row: u32, top: usize, mut node: u32) {
        for above in top..self.params.level(row) {
            // Exact room for the rows there are: doubling would leave half of a layer unused.
            let rows = (0..self.base.len() as u32).filter(|&row| self.params.level(row) > above).count();
            let mut layer = Layer::with_capacity(self.params.m, rows);
            node = layer.add(row, node);
            self.upper.push(layer);
        }
    }
}

impl Layer {
    /// Appends a node for `row`, which is `below` on the layer below.
    pub(super) fn add(&mut self, row: u32, below: u32) -> u32 {
        self.graph.add_nodes(1);
        self.rows.push(row);
        self.below.push(below);
        self.rows.len() as u32 - 1
    }
}

/// The row nearest to all others, of a sample; `None` if there is no row.
pub(super) fn medoid<S: VectorStore>(store: &S) -> Option<u32> {
    let (len, mut scratch) = (store.len(), S::Scratch::default());
    let count = MEDOID_SAMPLE.min(len);
    let sample: Vec<u32> = (0..count).map(|i| (i * len / count) as u32).collect();
    let mut distances = vec![0.0; count];
    let mut sum = |&row: &u32| {
        store.oracle_at(row, &mut scratch).distances(&sample, &mut distances);
        distances.iter().map(|&distance| f64::from(distance)).sum::<f64>()
    };
    let sums: Vec<(f64, u32)> = sample.iter().map(|row| (sum(row), *row)).collect();
    sums.into_iter().min_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, row)| row)
}

/// New lists of targets, one after another.
#[derive(Default)]
struct Relinked {
    /// A target and where its list ends.
    lists: Vec<(u32, usize)>,
    ids: Vec<u32>,
    /// Rows whose parent has no room for them.
    orphans: Vec<u32>,
}
