//! Continuous refinement: edges are swapped along a path while their lengths add up to less than before.
//!
//! A try takes one edge out, joins one of its ends to a nearer row, takes an edge of that row out, and so on, until the two ends that are
//! left can be joined. All swaps are undone if that comes to nothing. Hezel et al., ICMR 2024, and the authors' code.

use super::{Deg, DegImprove};
use crate::find::Ground;
use crate::search::{Effort, Walk};
use ann_core::{All, DistanceOracle, Neighbor, VectorStore, split_mix};

/// Keeps the rows that are improved apart from the order of insertion, which comes from the same seed.
const IMPROVE_STREAM: u64 = 0x0069_6D70_726F_7665;

/// What a try has done to the graph.
#[derive(Debug, Clone, Copy)]
enum Change {
    Connected(u32, u32),
    Disconnected(u32, u32, f32),
}

/// Memory of tries, and the changes of the present one.
struct Trial<S: VectorStore> {
    params: DegImprove,
    walk: Walk,
    oracle: S::Scratch,
    changes: Vec<Change>,
    distances: Vec<f32>,
}

impl<S: VectorStore> Deg<S> {
    /// Tries to shorten the edges of as many rows, drawn at random: those that are the longest of a triangle and the longest of
    /// all. Says at how many rows something became better.
    ///
    /// About two searches per edge that is tried, a millisecond or more per row, and each row gains little: worthwhile
    /// where a graph lives long and there is time between insertions.
    ///
    /// ```
    /// use ann_core::{FlatStore, Matrix, Metric, split_mix, unit};
    /// use ann_graph::{Deg, DegImprove};
    /// let rows = Matrix::new((0..1200).map(|i| unit(split_mix(1, i)) as f32).collect(), 4)?;
    /// let mut deg = Deg::builder().degree(8).build(FlatStore::<f32>::from_rows(rows.view(), Metric::L2)?)?;
    /// let before = deg.mean_edge_weight();
    /// let better = deg.improve(100, &DegImprove::default());
    /// assert!(better > 0 && deg.mean_edge_weight() < before);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn improve(&mut self, tries: usize, params: &DegImprove) -> usize {
        // Among so few rows there are all edges that there can be.
        if self.edges.len() <= self.params.degree + 1 {
            return 0;
        }
        let mut trial = Trial {
            params: *params,
            walk: Walk::default(),
            oracle: S::Scratch::default(),
            changes: Vec::new(),
            distances: Vec::new(),
        };
        let mut improved = 0;
        for _ in 0..tries {
            let draw = split_mix(self.params.seed ^ IMPROVE_STREAM, self.tries);
            self.tries = self.tries.wrapping_add(1);
            improved += usize::from(self.improve_row((draw % self.edges.len() as u64) as u32, &mut trial));
        }
        improved
    }

    fn improve_row(&mut self, row: u32, trial: &mut Trial<S>) -> bool {
        let mut improved = false;
        let edges: Vec<(u32, f32)> = self.edges.edges(row).collect();
        for (other, weight) in edges {
            let still = self.edges.has(row, other);
            if still && !self.edges.conforms(other, weight, self.edges.edges(row)) {
                improved |= self.improve_edge(row, other, trial);
            }
        }
        let longest = self.edges.edges(row).max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0)));
        longest.is_some_and(|(other, _)| self.improve_edge(row, other, trial)) || improved
    }

    /// Tries to put better edges in the place of one.
    fn improve_edge(&mut self, a: u32, b: u32, trial: &mut Trial<S>) -> bool {
        trial.changes.clear();
        let Some(weight) = self.disconnect(a, b, trial) else { return false };
        let found = self.swap_along(a, b, weight, trial);
        if !found {
            for &change in trial.changes.iter().rev() {
                match change {
                    Change::Connected(a, b) => _ = self.edges.disconnect(a, b),
                    Change::Disconnected(a, b, weight) => self.edges.connect(a, b, weight),
                }
            }
        }
        found
    }

    /// Swaps edges until all rows have theirs again; `gain` is what has been saved so far. Says no if that cannot be.
    ///
    /// `first` and `second` miss an edge each (two, if they are one row). Apart from the part of the graph that holds `third` and `fourth`
    /// there may be one that holds `first` and one that holds `second`.
    fn swap_along(&mut self, a: u32, b: u32, mut gain: f32, trial: &mut Trial<S>) -> bool {
        let (mut first, mut second, mut third, mut fourth) = (a, b, a, a);
        for _ in 0..=trial.params.swaps {
            // Where gains are equal, the farther row, so that longer edges are left for later.
            let mut best: Option<(f32, Neighbor, u32)> = None;
            for near in self.near(second, [third, fourth], trial).into_iter().rev() {
                if near.id == first || near.id == second || self.edges.has(second, near.id) {
                    continue;
                }
                for (end, weight) in self.edges.edges(near.id) {
                    let sum = gain - near.distance + weight;
                    if sum > best.map_or(gain, |best| best.0) {
                        best = Some((sum, near, end));
                    }
                }
            }
            let Some((sum, near, end)) = best else { return false };
            self.disconnect(near.id, end, trial);
            self.connect(second, near, trial);
            (gain, third, fourth) = (sum, near.id, end);
            let closed = if first == fourth {
                self.break_open_near(first, [second, third], gain, trial)
            } else {
                self.close(first, fourth, [second, third], gain, trial)
            };
            if closed || gain < 0.0 {
                return closed;
            }
            (first, second, third, fourth) = (fourth, first, second, third);
        }
        false
    }

    /// Joins the two rows that miss an edge, if that leaves a gain and one of them can be reached.
    fn close(&mut self, a: u32, b: u32, from: [u32; 2], gain: f32, trial: &mut Trial<S>) -> bool {
        let distance = self.store.oracle_at(a, &mut trial.oracle).distance(b);
        let may = !self.edges.has(a, b) && gain - distance > 0.0;
        // Each other part of the graph holds one of the two.
        if may && [a, b].into_iter().any(|to| self.near(to, from, trial).iter().any(|near| near.id == to)) {
            self.connect(a, Neighbor::new(b, distance), trial);
            return true;
        }
        false
    }

    /// Puts a row that misses two edges between the ends of another edge, if that leaves a gain.
    fn break_open_near(&mut self, row: u32, from: [u32; 2], gain: f32, trial: &mut Trial<S>) -> bool {
        let mut best: Option<(f32, Neighbor, Neighbor)> = None;
        for near in self.near(row, from, trial) {
            if near.id == row || self.edges.has(row, near.id) {
                continue;
            }
            let ends = self.edges.neighbors(near.id);
            trial.distances.resize(ends.len(), 0.0);
            self.store.oracle_at(row, &mut trial.oracle).distances(ends, &mut trial.distances);
            for ((end, weight), &distance) in self.edges.edges(near.id).zip(&trial.distances) {
                let sum = gain + weight - (near.distance + distance);
                if end != row && !self.edges.has(row, end) && sum > best.map_or(0.0, |best| best.0) {
                    best = Some((sum, near, Neighbor::new(end, distance)));
                }
            }
        }
        let Some((_, near, end)) = best else { return false };
        self.disconnect(near.id, end.id, trial);
        self.connect(row, near, trial);
        self.connect(row, end, trial);
        true
    }

    /// The rows nearest to `row` that can be reached from others.
    fn near(&self, row: u32, from: [u32; 2], trial: &mut Trial<S>) -> Vec<Neighbor> {
        let oracle = self.store.oracle_at(row, &mut trial.oracle);
        let DegImprove { k, eps, .. } = trial.params;
        trial.walk.reset(self.view(), Effort::beyond(k, eps, self.edges.len()));
        trial.walk.go_on(self.view(), &oracle, &All, &from);
        trial.walk.found().take(k).collect()
    }

    fn connect(&mut self, row: u32, to: Neighbor, trial: &mut Trial<S>) {
        self.edges.connect(row, to.id, to.distance);
        trial.changes.push(Change::Connected(row, to.id));
    }

    fn disconnect(&mut self, a: u32, b: u32, trial: &mut Trial<S>) -> Option<f32> {
        let weight = self.edges.disconnect(a, b)?;
        trial.changes.push(Change::Disconnected(a, b, weight));
        Some(weight)
    }
}
