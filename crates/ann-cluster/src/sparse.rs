//! Weighted edges, row after row: a sparse matrix of `n` by `n`.

use ann_core::{Par, ScratchPool};
use std::ops::Range;

/// Rows of a unit of parallel work.
pub(crate) const CHUNK: usize = 256;

/// The edges of every node, targets ascending within a node. 8 bytes an edge and 8 a node.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Edges {
    /// Where the edges of a node start; one more than there are nodes.
    starts: Vec<usize>,
    targets: Vec<u32>,
    weights: Vec<f32>,
}

impl Edges {
    /// The edges that `of(scratch, node, out)` gives for each of `n` nodes, targets ascending.
    pub(crate) fn build<S: Default + Send>(
        n: usize,
        par: Par,
        of: impl Fn(&mut S, usize, &mut Vec<(u32, f32)>) + Sync,
    ) -> Self {
        let parts = par.map_chunks(n, CHUNK, &ScratchPool::<S>::default(), |scratch, range| {
            let (mut ends, mut edges, mut all) = (Vec::with_capacity(range.len()), Vec::new(), Vec::new());
            for node in range {
                edges.clear();
                of(scratch, node, &mut edges);
                all.extend_from_slice(&edges);
                ends.push(all.len());
            }
            (ends, all)
        });
        let total = parts.iter().map(|(_, edges)| edges.len()).sum();
        let mut built = Self {
            starts: Vec::with_capacity(n + 1),
            targets: Vec::with_capacity(total),
            weights: Vec::with_capacity(total),
        };
        built.starts.push(0);
        for (ends, edges) in parts {
            let before = built.targets.len();
            built.starts.extend(ends.iter().map(|end| before + end));
            built.targets.extend(edges.iter().map(|edge| edge.0));
            built.weights.extend(edges.iter().map(|edge| edge.1));
        }
        built
    }

    /// Number of nodes.
    pub(crate) fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// The numbers of the edges of `node`.
    pub(crate) fn range(&self, node: usize) -> Range<usize> {
        self.starts[node]..self.starts[node + 1]
    }

    /// Where the edges of `node` lead.
    pub(crate) fn targets(&self, node: usize) -> &[u32] {
        &self.targets[self.range(node)]
    }

    /// The edges of `node`: target and weight.
    pub(crate) fn of(&self, node: usize) -> impl Iterator<Item = (u32, f32)> {
        let range = self.range(node);
        self.targets[range.clone()].iter().copied().zip(self.weights[range].iter().copied())
    }

    /// All targets, node after node.
    pub(crate) fn all_targets(&self) -> &[u32] {
        &self.targets
    }

    /// The weights that belong to [`Self::all_targets`].
    pub(crate) fn weights(&self) -> &[f32] {
        &self.weights
    }

    /// The same edges, turned round.
    pub(crate) fn transposed(&self) -> Self {
        let mut starts = vec![0; self.starts.len()];
        self.targets.iter().for_each(|&target| starts[target as usize + 1] += 1);
        for node in 0..self.len() {
            starts[node + 1] += starts[node];
        }
        let (mut next, mut targets, mut weights) =
            (starts.clone(), vec![0; self.targets.len()], vec![0.0; self.targets.len()]);
        for node in 0..self.len() {
            for (target, weight) in self.of(node) {
                let at = next[target as usize];
                // Stores number rows by u32.
                (targets[at], weights[at]) = (node as u32, weight);
                next[target as usize] += 1;
            }
        }
        Self { starts, targets, weights }
    }

    /// `A + Aᵀ - A ∘ Aᵀ`: the chance that one of two edges is there, if weights are chances.
    pub(crate) fn symmetrized(&self, par: Par) -> Self {
        let transposed = self.transposed();
        Self::build(self.len(), par, |(): &mut (), node, out| {
            let (mut there, mut back) = (self.of(node).peekable(), transposed.of(node).peekable());
            loop {
                let edge = match (there.peek().copied(), back.peek().copied()) {
                    (Some(a), Some(b)) if a.0 == b.0 => {
                        back.next();
                        there.next();
                        (a.0, a.1 + b.1 - a.1 * b.1)
                    }
                    (Some(a), Some(b)) if b.0 < a.0 => {
                        back.next();
                        b
                    }
                    (Some(a), _) => {
                        there.next();
                        a
                    }
                    (None, Some(b)) => {
                        back.next();
                        b
                    }
                    (None, None) => break,
                };
                if edge.1 != 0.0 {
                    out.push(edge);
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symmetrized_edges_lead_both_ways_with_one_weight() {
        let edges = [vec![(1, 0.5), (2, 1.0)], vec![(0, 0.5)], vec![], vec![(1, 0.25)]];
        let edges = Edges::build(4, Par::Serial, |(): &mut (), node, out| out.extend(&edges[node]));
        let both = edges.symmetrized(Par::Serial);
        let of = |node| both.of(node).collect::<Vec<_>>();
        assert_eq!(of(0), [(1, 0.75), (2, 1.0)]);
        assert_eq!(of(1), [(0, 0.75), (3, 0.25)]);
        assert_eq!((of(2), of(3)), (vec![(0, 1.0)], vec![(1, 0.25)]));
        assert_eq!(both, both.transposed());
    }
}
