//! Inserting rows: each takes over ends of edges of its nearest rows.
//!
//! Rows go in rounds as those of [`Hnsw`](crate::Hnsw) do. The rows of a round search the same frozen graph in parallel, and
//! choose their edges in it; then the edges are swapped one row after another, each swap only if the graph still has what
//! it takes, and a row that is left with fewer edges than it needs chooses again in the graph as it is by then.

use super::{Deg, DegTarget, ENTRY};
use crate::BuildError;
use crate::find::Ground;
use crate::search::{Effort, Walk};
use ann_core::{
    All, Cancelled, DistanceOracle, Monitor, Neighbor, Par, PushVector, ScratchPool, VectorError, VectorStore,
    split_mix,
};

/// Rows of a round: one for this many that are linked already, as in [`Hnsw`](crate::Hnsw).
const LINKED_PER_NEW: usize = 512;

/// Rows per unit of parallel work, few because rounds are small.
const CHUNK: usize = 4;

impl<S: PushVector> Deg<S> {
    /// Inserts one row and returns its id.
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
        let before = monitor.can_cancel().then(|| self.edges.clone());
        if let Err(cancelled) = par.install(|par| self.link_new_rows(par, monitor)) {
            if let Some(before) = before {
                self.edges = before;
            }
            self.store.truncate(first);
            return Err(cancelled.into());
        }
        Ok(first as u32..self.store.len() as u32)
    }
}

/// The edge between two neighbours of a new row to be, which gives way to edges from both to the new row.
#[derive(Debug, Clone, Copy)]
struct Swap {
    near: Neighbor,
    other: Neighbor,
}

/// What a row found in a frozen graph.
struct Plan {
    /// Rows near it, nearest first, at least as many as it needs edges.
    candidates: Vec<Neighbor>,
    /// What it wants to change; nothing for [`DegTarget::Streaming`], where this follows from the graph alone.
    swaps: Vec<Swap>,
}

/// What a thread needs to place rows.
struct Scratch<S: VectorStore> {
    walk: Walk,
    oracle: S::Scratch,
    choice: Choice,
}

/// Memory of a choice of edges.
#[derive(Default)]
struct Choice {
    /// The edges that the row has or will have, in ascending order of ids.
    edges: Vec<(u32, f32)>,
    ids: Vec<u32>,
    weights: Vec<f32>,
    distances: Vec<f32>,
}

impl<S: VectorStore> Default for Scratch<S> {
    fn default() -> Self {
        Self { walk: Walk::default(), oracle: S::Scratch::default(), choice: Choice::default() }
    }
}

impl<S: VectorStore> Deg<S> {
    /// Links the rows that the store has and the graph has not.
    pub(super) fn link_new_rows(&mut self, par: Par, monitor: Monitor<'_>) -> Result<(), Cancelled> {
        let (first, len) = (self.edges.len(), self.store.len());
        let mut order: Vec<u32> = (first as u32..len as u32).collect();
        // Walks begin at the entry, which has to be there first.
        order.sort_unstable_by_key(|&row| (row != ENTRY, split_mix(self.params.seed, u64::from(row)), row));
        self.edges.add_nodes(len - first);
        let mut next = self.link_the_first(first, &order);
        let pool = ScratchPool::default();
        while next < order.len() {
            monitor.report((first + next) as u64, len as u64)?;
            let most = ((first + next) / LINKED_PER_NEW).max(1);
            let round = &order[next..(next + most).min(order.len())];
            let this = &*self;
            let plans: Vec<Vec<Plan>> = par.map_chunks(round.len(), CHUNK, &pool, |scratch, range| {
                round[range].iter().map(|&row| this.plan(row, scratch)).collect()
            });
            let mut scratch = pool.take();
            for (&row, plan) in round.iter().zip(plans.iter().flatten()) {
                self.link(row, plan, &mut scratch);
            }
            pool.give(scratch);
            next += round.len();
        }
        monitor.report(len as u64, len as u64)
    }

    /// Links rows to all others while these are no more than a row may have edges. Says how many of `order` those were.
    fn link_the_first(&mut self, first: usize, order: &[u32]) -> usize {
        let most = (self.params.degree + 1).saturating_sub(first).min(order.len());
        let mut linked: Vec<u32> = if most > 0 { (0..first as u32).collect() } else { Vec::new() };
        let (mut scratch, mut distances) = (S::Scratch::default(), Vec::new());
        for &row in &order[..most] {
            distances.resize(linked.len(), 0.0);
            self.store.oracle_at(row, &mut scratch).distances(&linked, &mut distances);
            for (&other, &distance) in linked.iter().zip(&distances) {
                self.edges.connect(row, other, distance);
            }
            linked.push(row);
        }
        most
    }

    /// Finds rows near a new row, and the edges to swap, in the graph as it is.
    fn plan(&self, row: u32, scratch: &mut Scratch<S>) -> Plan {
        let Scratch { walk, oracle, choice } = scratch;
        let oracle = self.store.oracle_at(row, oracle);
        let most = self.params.candidates();
        walk.search(self.view(), &oracle, &All, ENTRY, Effort::beyond(most, self.params.eps_ext, self.edges.len()));
        let candidates: Vec<Neighbor> = walk.found().take(most).collect();
        choice.edges.clear();
        let swaps = match self.params.target {
            DegTarget::Streaming => Vec::new(),
            DegTarget::LowLid | DegTarget::HighLid => self.choose(&oracle, &candidates, choice),
        };
        Plan { candidates, swaps }
    }

    /// Gives a new row its edges.
    fn link(&mut self, row: u32, plan: &Plan, scratch: &mut Scratch<S>) {
        if self.params.target == DegTarget::Streaming {
            return self.take_one_end(row, &plan.candidates);
        }
        plan.swaps.iter().for_each(|&swap| self.swap(row, swap));
        if self.edges.free(row) > 0 {
            let Scratch { oracle, choice, .. } = scratch;
            choice.edges.clear();
            choice.edges.extend(self.edges.edges(row));
            let swaps = self.choose(&self.store.oracle_at(row, oracle), &plan.candidates, choice);
            swaps.into_iter().for_each(|swap| self.swap(row, swap));
        }
        self.restore(vec![row]);
    }

    /// Puts a new row between the ends of an edge, unless another row of its round has changed what that takes.
    fn swap(&mut self, row: u32, Swap { near, other }: Swap) {
        let new = !self.edges.has(row, near.id) && !self.edges.has(row, other.id);
        if new && self.edges.free(row) >= 2 && self.edges.disconnect(near.id, other.id).is_some() {
            self.edges.connect(row, near.id, near.distance);
            self.edges.connect(row, other.id, other.distance);
        }
    }

    /// The swaps that give a row, which has the edges `choice.edges`, all it needs: first of candidates to which it may have an
    /// edge by the rule of [`Edges::conforms`](super::edges::Edges::conforms), then of the others.
    ///
    /// Where a candidate is not a neighbour yet, one of its own neighbours is not either, since it has more of them; and a swap
    /// changes no list of those that are left. So `degree` candidates suffice, and nothing is written here.
    fn choose(&self, oracle: &impl DistanceOracle, candidates: &[Neighbor], choice: &mut Choice) -> Vec<Swap> {
        let mut swaps = Vec::new();
        for conforming in [true, false] {
            for &near in candidates {
                if choice.edges.len() >= self.params.degree {
                    return swaps;
                }
                let known = choice.edges.binary_search_by_key(&near.id, |edge| edge.0).is_ok();
                let edges = choice.edges.iter().copied();
                if known || conforming && !self.edges.conforms(near.id, near.distance, edges) {
                    continue;
                }
                let Some(other) = self.other_end(oracle, near, choice) else { continue };
                for end in [near, other] {
                    let at = choice.edges.partition_point(|edge| edge.0 < end.id);
                    choice.edges.insert(at, (end.id, end.distance));
                }
                swaps.push(Swap { near, other });
            }
        }
        swaps
    }

    /// The neighbour of `near` that is to become one of the new row instead.
    fn other_end(&self, oracle: &impl DistanceOracle, near: Neighbor, choice: &mut Choice) -> Option<Neighbor> {
        let Choice { edges, ids, weights, distances } = choice;
        ids.clear();
        weights.clear();
        let new = |&(id, _): &(u32, f32)| edges.binary_search_by_key(&id, |edge| edge.0).is_err();
        self.edges.edges(near.id).filter(new).for_each(|(id, weight)| {
            ids.push(id);
            weights.push(weight);
        });
        if self.params.target == DegTarget::HighLid {
            let longest = (0..ids.len()).max_by(|&a, &b| weights[a].total_cmp(&weights[b]).then(b.cmp(&a)))?;
            return Some(Neighbor::new(ids[longest], oracle.distance(ids[longest])));
        }
        distances.resize(ids.len(), 0.0);
        oracle.distances(ids, distances);
        let longer = |i: usize| near.distance + distances[i] - weights[i];
        let least = (0..ids.len()).min_by(|&a, &b| longer(a).total_cmp(&longer(b)))?;
        Some(Neighbor::new(ids[least], distances[least]))
    }

    /// Gives a new row one end of an edge of each of its nearest rows, and joins the other ends among themselves and
    /// to it.
    fn take_one_end(&mut self, row: u32, candidates: &[Neighbor]) {
        let mut open = vec![row];
        for conforming in [true, false] {
            for &near in candidates {
                // One end is left for what follows.
                if self.edges.free(row) <= 1 {
                    break;
                }
                let known = self.edges.has(row, near.id);
                if known || conforming && !self.edges.conforms(near.id, near.distance, self.edges.edges(row)) {
                    continue;
                }
                if self.edges.free(near.id) == 0 {
                    let Some(other) = self.longest_edge(near.id, row) else { continue };
                    self.edges.disconnect(near.id, other);
                    open.push(other);
                }
                self.edges.connect(row, near.id, near.distance);
            }
        }
        self.restore(open);
    }

    /// The farthest neighbour of `near` that misses no edge and is not a neighbour of `row`.
    fn longest_edge(&self, near: u32, row: u32) -> Option<u32> {
        let mut longest: Option<(u32, f32)> = None;
        for (id, weight) in self.edges.edges(near) {
            // Asked last, since it reads another list.
            let longer = longest.is_none_or(|longest| weight.total_cmp(&longest.1).is_gt());
            if longer && self.edges.free(id) == 0 && !self.edges.has(row, id) {
                longest = Some((id, weight));
            }
        }
        longest.map(|(id, _)| id)
    }
}
