//! Parts of a graph, from labels that spread along its edges.
//!
//! Some nodes are given labels of their own. In every round a node without a label takes the one with the most weight
//! among its neighbours, if that is at least 1: Raghavan, Albert & Kumara, *Near linear time algorithm to detect
//! community structures*, Phys. Rev. E 2007, but a label is never changed. As in the Python package the last of equals
//! wins, and who is left at the end takes the label of whom a short walk meets, or any.
//!
//! All read the labels of the round before, so the result does not depend on threads. Cost: the edges of nodes without
//! a label, per round.

use crate::sparse::{CHUNK, Edges};
use ann_core::{Par, ScratchPool, split_mix};

/// Steps of the walk of a node that no label has reached.
const STEPS: usize = 64;

/// The least weight by which a label is taken over.
const LEAST_WEIGHT: f32 = 1.0;

/// The part of every node, and how many parts there are, about `parts`: `0..count`, none empty.
pub(crate) fn parts(edges: &Edges, parts: usize, rounds: usize, seed: u64, par: Par) -> (Vec<u32>, usize) {
    let n = edges.len();
    let mut labels: Vec<Option<u32>> = vec![None; n];
    for label in 0..parts {
        // Stores number rows by u32, and there are fewer parts. A later label may take the node of another.
        labels[below(split_mix(seed, label as u64), n)] = Some(label as u32);
    }
    let pool = ScratchPool::<Votes>::default();
    for _ in 0..rounds {
        let chunks = par.map_chunks(n, CHUNK, &pool, |votes, range| {
            votes.weights.resize(parts, 0.0);
            let taken = |node: usize| (labels[node].is_none()).then(|| votes.winner(edges, node, &labels)).flatten();
            let mut taken = taken;
            range.filter_map(|node| taken(node).map(|label| (node, label))).collect::<Vec<_>>()
        });
        let mut changed = false;
        for (node, label) in chunks.into_iter().flatten() {
            labels[node] = Some(label);
            changed = true;
        }
        // Who found nothing would find nothing again.
        if !changed {
            break;
        }
    }
    let highest = labels.iter().flatten().copied().max().unwrap_or(0);
    let mut stack = Vec::new();
    for node in 0..n {
        if labels[node].is_none() {
            let any = || below(split_mix(!seed, node as u64), highest as usize + 1) as u32;
            labels[node] = Some(met(edges, node, &labels, &mut stack).unwrap_or_else(any));
        }
    }
    renumbered(&labels)
}

/// The weight of every label among the neighbours of one node.
#[derive(Default)]
struct Votes {
    weights: Vec<f32>,
    met: Vec<u32>,
}

impl Votes {
    fn winner(&mut self, edges: &Edges, node: usize, labels: &[Option<u32>]) -> Option<u32> {
        for (target, weight) in edges.of(node) {
            let Some(label) = labels[target as usize] else { continue };
            let sum = &mut self.weights[label as usize];
            if *sum == 0.0 {
                self.met.push(label);
            }
            *sum += weight;
        }
        let (mut most, mut winner) = (LEAST_WEIGHT, None);
        for label in self.met.drain(..) {
            let weight = std::mem::take(&mut self.weights[label as usize]);
            if weight >= most {
                (most, winner) = (weight, Some(label));
            }
        }
        winner
    }
}

/// The first label that a walk from `node` meets, always on from where it saw the last.
fn met(edges: &Edges, node: usize, labels: &[Option<u32>], stack: &mut Vec<u32>) -> Option<u32> {
    stack.clear();
    // Stores number rows by u32.
    stack.push(node as u32);
    // The package gives up on the last step, whatever it has found there.
    for _ in 1..STEPS {
        let current = stack.pop()? as usize;
        for &target in edges.targets(current) {
            match labels[target as usize] {
                Some(label) => return Some(label),
                None => stack.push(target),
            }
        }
    }
    None
}

/// Labels numbered from 0 in their order, without gaps, and how many there are.
fn renumbered(labels: &[Option<u32>]) -> (Vec<u32>, usize) {
    let mut present: Vec<u32> = labels.iter().flatten().copied().collect();
    present.sort_unstable();
    present.dedup();
    let place = |label: &u32| present.partition_point(|other| other < label) as u32;
    (labels.iter().flatten().map(place).collect(), present.len())
}

/// A draw as a number below `n`.
pub(crate) fn below(draw: u64, n: usize) -> usize {
    // The high half of a product with fewer than 2^32 rows is below `n`.
    (((draw >> 32) * n as u64) >> 32) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rings of ten nodes, each linked to all others of its ring.
    fn rings(count: usize, weight: f32) -> Edges {
        Edges::build(10 * count, Par::Serial, |(): &mut (), node, out| {
            let first = node / 10 * 10;
            out.extend((first..first + 10).filter(|&other| other != node).map(|other| (other as u32, weight)));
        })
    }

    #[test]
    fn labels_stay_within_what_is_connected() {
        let edges = rings(12, 1.0);
        let (labels, count) = parts(&edges, 60, 20, 3, Par::Serial);
        assert!(labels.iter().all(|&label| (label as usize) < count));
        let mut rings_of = vec![None; count];
        for (node, &label) in labels.iter().enumerate() {
            let ring = rings_of[label as usize].get_or_insert(node / 10);
            // A ring without any label takes any.
            assert!(*ring == node / 10 || !(0..120).any(|n| n / 10 == node / 10 && labels[n] != label));
        }
    }

    #[test]
    fn weak_ties_pass_no_label_on_but_a_walk_finds_one() {
        let (labels, count) = parts(&rings(1, 0.3), 1, 20, 3, Par::Serial);
        assert_eq!((labels, count), (vec![0; 10], 1));
    }

    #[test]
    fn parts_are_the_same_on_any_number_of_threads() {
        let edges = rings(100, 0.7);
        let serial = parts(&edges, 300, 20, 1, Par::Serial);
        assert_eq!(serial, Par::Threads(3).install(|par| parts(&edges, 300, 20, 1, par)));
        assert_ne!(serial, parts(&edges, 300, 20, 2, Par::Serial));
    }
}
