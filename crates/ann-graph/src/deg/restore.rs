//! Giving rows that miss edges all of theirs again, and keeping the graph connected.
//!
//! Hezel et al., MMM 2025, and the authors' code. It works since every row has an even number of edges: in whatever parts a graph
//! falls when edges are taken out, the edges that are missing in one part come to an even number, so that each part has an end for another
//! one and a second to be closed with. Where we differ: ends are paired nearest first, rather than those of the first row first,
//! and a row may miss any number of edges.

use super::Deg;
use ann_core::{DistanceOracle, VectorStore};
use std::collections::HashMap;

/// Rows that miss edges, by their position in a list, in groups known to be connected.
struct Groups {
    rows: Vec<u32>,
    /// Distances between the rows, all by all.
    distances: Vec<f32>,
    /// Missing edges of every row.
    free: Vec<usize>,
    /// A member of the same group, itself for the one that stands for the group.
    parent: Vec<usize>,
    /// Missing edges of a group, beside the member that stands for it.
    missing: Vec<usize>,
}

impl Groups {
    fn find(&self, mut member: usize) -> usize {
        while self.parent[member] != member {
            member = self.parent[member];
        }
        member
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.find(a), self.find(b));
        if a != b {
            // The first stands for both, so that the order of joining tells nothing.
            let (first, second) = (a.min(b), a.max(b));
            self.parent[second] = first;
            self.missing[first] += self.missing[second];
        }
    }

    /// Those that stand for groups.
    fn roots(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.rows.len()).filter(|&member| self.parent[member] == member)
    }

    /// Groups that miss more than two edges can take in those that miss one: whether there is room for all of these.
    fn suffice(&self) -> bool {
        let single = self.roots().filter(|&root| self.missing[root] == 1).count();
        self.roots().map(|root| self.missing[root].saturating_sub(2)).sum::<usize>() >= single
    }

    fn distance(&self, a: usize, b: usize) -> f32 {
        self.distances[a.min(b) * self.rows.len() + a.max(b)]
    }

    /// The nearest two members that miss edges among pairs of `a` and `b`.
    fn nearest(&self, a: impl Fn(usize) -> bool, b: impl Fn(usize) -> bool) -> Option<(usize, usize)> {
        let open = |member: &usize| self.free[*member] > 0;
        let members = 0..self.rows.len();
        let pairs = members
            .clone()
            .filter(open)
            .filter(|&m| a(m))
            .flat_map(|first| members.clone().filter(open).filter(|&m| b(m)).map(move |second| (first, second)));
        pairs.min_by(|&(a, b), &(c, d)| self.distance(a, b).total_cmp(&self.distance(c, d)).then((a, b).cmp(&(c, d))))
    }
}

impl<S: VectorStore> Deg<S> {
    /// Gives `rows` all edges that they miss. There are more rows than a row may have edges, and with those edges all of them could
    /// reach each other.
    pub(super) fn restore(&mut self, mut rows: Vec<u32>) {
        rows.retain(|&row| self.edges.free(row) > 0);
        if rows.is_empty() {
            return;
        }
        rows.sort_unstable();
        rows.dedup();
        let mut groups = self.groups(rows);
        self.join_groups(&mut groups);
        self.pair(&mut groups);
        self.break_open(&mut groups);
    }

    /// Finds out which rows can reach each other, as far as it has to be known.
    fn groups(&self, rows: Vec<u32>) -> Groups {
        let mut scratch = S::Scratch::default();
        let mut distances = vec![0.0; rows.len() * rows.len()];
        for (&row, distances) in rows.iter().zip(distances.chunks_exact_mut(rows.len())) {
            self.store.oracle_at(row, &mut scratch).distances(&rows, distances);
        }
        let free: Vec<usize> = rows.iter().map(|&row| self.edges.free(row)).collect();
        let parent = (0..rows.len()).collect();
        let mut groups = Groups { distances, missing: free.clone(), free, parent, rows };
        // The group that reached a node first. Searched only, never walked.
        let mut reached = HashMap::with_capacity(groups.rows.len() * (self.params.degree + 1));
        reached.extend(groups.rows.iter().copied().zip(0..));
        let mut ring: Vec<(u32, usize)> = groups.rows.iter().copied().zip(0..).collect();
        // The first ring is looked at in any case: rows of different groups must have no edge between them.
        let mut first = true;
        while !ring.is_empty() && (first || !groups.suffice()) {
            let mut beyond = Vec::new();
            for (node, member) in ring {
                let own = groups.find(member);
                if !first && groups.missing[own] > 1 {
                    continue;
                }
                for &neighbor in self.edges.neighbors(node) {
                    match reached.get(&neighbor) {
                        Some(&other) => groups.join(own, other),
                        None => {
                            reached.insert(neighbor, own);
                            beyond.push((neighbor, own));
                        }
                    }
                }
            }
            (ring, first) = (beyond, false);
        }
        groups
    }

    /// Adds an edge between each group and another until there is one group.
    fn join_groups(&mut self, groups: &mut Groups) {
        for member in 0..groups.rows.len() {
            if groups.missing[groups.find(member)] == 1 {
                let has_room = |other: usize| groups.missing[groups.find(other)] > 2;
                if let Some((a, b)) = groups.nearest(|m| m == member, has_room) {
                    self.add_edge(groups, a, b);
                }
            }
        }
        loop {
            let mut roots: Vec<usize> = groups.roots().collect();
            roots.sort_by_key(|&root| (usize::MAX - groups.missing[root], root));
            let [largest, second, ..] = roots[..] else { break };
            let pair = groups.nearest(|m| groups.find(m) == largest, |m| groups.find(m) == second);
            let Some((a, b)) = pair else { break };
            self.add_edge(groups, a, b);
        }
    }

    /// Adds edges between rows that have none between them, nearest first.
    fn pair(&mut self, groups: &mut Groups) {
        let open: Vec<usize> = (0..groups.rows.len()).filter(|&member| groups.free[member] > 0).collect();
        let later = |(i, &a)| open[i + 1..].iter().map(move |&b| (a, b));
        let mut pairs: Vec<(usize, usize)> = open.iter().enumerate().flat_map(later).collect();
        pairs.retain(|&(a, b)| !self.edges.has(groups.rows[a], groups.rows[b]));
        pairs.sort_by(|&(a, b), &(c, d)| groups.distance(a, b).total_cmp(&groups.distance(c, d)));
        for (a, b) in pairs {
            if groups.free[a] > 0 && groups.free[b] > 0 {
                self.add_edge(groups, a, b);
            }
        }
    }

    /// Puts edges that are elsewhere between two rows that miss edges and have one between them already, or one row that misses
    /// two: the end of such an edge that is next to the one, the other end to the other.
    ///
    /// Such edges exist. A row that misses edges has no edge to some row, as there are more than it may have; one of these is
    /// two steps away, as all are connected. That one has all its edges, so more than the other row, whence one of its neighbours is
    /// none of the other row's.
    fn break_open(&mut self, groups: &mut Groups) {
        let mut scratch = S::Scratch::default();
        loop {
            let mut open = (0..groups.rows.len()).filter(|&member| groups.free[member] > 0);
            let Some(first) = open.next() else { return };
            let second = if groups.free[first] > 1 { Some(first) } else { open.next() };
            let a = groups.rows[first];
            let Some(c) = second.map(|second| groups.rows[second]) else { return };
            let mut ids: Vec<u32> =
                self.edges.neighbors(a).iter().flat_map(|&next| self.edges.neighbors(next)).copied().collect();
            ids.sort_unstable();
            ids.dedup();
            ids.retain(|&id| id != a && !self.edges.has(a, id));
            let Some((b, to_a)) = nearest_of(&self.store.oracle_at(a, &mut scratch), &ids) else { return };
            ids.clear();
            ids.extend(self.edges.neighbors(b).iter().filter(|&&id| id != c && !self.edges.has(c, id)));
            let Some((d, to_c)) = nearest_of(&self.store.oracle_at(c, &mut scratch), &ids) else { return };
            self.edges.disconnect(b, d);
            self.edges.connect(a, b, to_a);
            self.edges.connect(c, d, to_c);
            groups.free[first] = self.edges.free(a);
            if let Some(second) = second {
                groups.free[second] = self.edges.free(c);
            }
        }
    }

    fn add_edge(&mut self, groups: &mut Groups, a: usize, b: usize) {
        self.edges.connect(groups.rows[a], groups.rows[b], groups.distance(a, b));
        groups.join(a, b);
        groups.free[a] -= 1;
        groups.free[b] -= 1;
        let root = groups.find(a);
        groups.missing[root] -= 2;
    }
}

/// The nearest of `ids`, which are ascending, with its distance.
fn nearest_of(oracle: &impl DistanceOracle, ids: &[u32]) -> Option<(u32, f32)> {
    let mut distances = vec![0.0; ids.len()];
    oracle.distances(ids, &mut distances);
    ids.iter().copied().zip(distances).min_by(|a, b| a.1.total_cmp(&b.1))
}
