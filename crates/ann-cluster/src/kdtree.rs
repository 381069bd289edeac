//! A KD-tree over points of few dimensions that knows the bounds of every node.
//!
//! Bentley, *Multidimensional binary search trees used for associative searching*, CACM 1975. Nodes are split at the
//! median of their widest dimension, and points are copied in the order of the leaves. Private, since the spanning tree
//! asks what a general tree does not answer: which subtrees are of one component.
//!
//! Cost: `n log n` to build; `4 P + 4` bytes per point, and `8 P + 16` for every [`LEAF`] or fewer.

use crate::points::{Point, squared, sum};
use ann_core::{Par, ScratchPool};

/// Points of a leaf at most.
pub(crate) const LEAF: usize = 16;

/// A box with the points `start..end` in it.
#[derive(Debug, Clone)]
pub(crate) struct Node<const P: usize> {
    low: Point<P>,
    high: Point<P>,
    /// Places in the order of the tree.
    pub start: u32,
    pub end: u32,
    /// The second child; the first is the next node. 0 for a leaf.
    pub second: u32,
}

impl<const P: usize> Node<P> {
    /// The least squared distance from `point` to anything in the box.
    #[inline]
    pub(crate) fn nearest(&self, point: &Point<P>) -> f32 {
        let outside: Point<P> = std::array::from_fn(|d| {
            let by = (self.low[d] - point[d]).max(point[d] - self.high[d]).max(0.0);
            by * by
        });
        sum(&outside)
    }

    /// The places of the points of a leaf.
    pub(crate) fn places(&self) -> std::ops::Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// Points in the order of a tree.
#[derive(Debug, Clone)]
pub(crate) struct KdTree<const P: usize> {
    /// A node comes before its children.
    pub nodes: Vec<Node<P>>,
    /// The points, leaf after leaf.
    pub points: Vec<Point<P>>,
    /// Which point stands at a place.
    pub ids: Vec<u32>,
}

impl<const P: usize> KdTree<P> {
    /// Of `points`, which are finite.
    pub(crate) fn new(points: &[Point<P>]) -> Self {
        // Stores number rows by u32.
        let mut ids: Vec<u32> = (0..points.len() as u32).collect();
        let mut nodes = Vec::with_capacity(points.len() / LEAF * 4 + 1);
        if !points.is_empty() {
            split(points, &mut ids, 0, &mut nodes);
        }
        let points = ids.iter().map(|&id| points[id as usize]).collect();
        Self { nodes, points, ids }
    }

    /// The `k` nearest others of the point at every place, `(squared distance, place)` ascending, ties by place: rows
    /// of `k` or of all others.
    pub(crate) fn nearest_others(&self, k: usize, par: Par) -> Vec<Vec<(f32, u32)>> {
        const CHUNK: usize = 128;
        let parts = par.map_chunks(self.points.len(), CHUNK, &ScratchPool::<()>::default(), |(), range| {
            range.map(|place| self.nearest(place, k)).collect::<Vec<_>>()
        });
        parts.into_iter().flatten().collect()
    }

    fn nearest(&self, place: usize, k: usize) -> Vec<(f32, u32)> {
        let point = &self.points[place];
        let mut near: Vec<(f32, u32)> = Vec::with_capacity(k + 1);
        let mut stack = vec![(0.0, 0)];
        while let Some((bound, node)) = stack.pop() {
            let farthest = if near.len() < k { f32::INFINITY } else { near[k - 1].0 };
            if bound > farthest {
                continue;
            }
            let node_of = &self.nodes[node];
            if node_of.second == 0 {
                for other in node_of.places() {
                    let found = (squared(point, &self.points[other]), other as u32);
                    if other != place && (near.len() < k || less(found, near[k - 1])) {
                        near.insert(near.partition_point(|&n| less(n, found)), found);
                        near.truncate(k);
                    }
                }
            } else {
                stack.extend(self.children(node, point));
            }
        }
        near
    }

    /// The children of a node and how near they come to `point`, the nearer last.
    #[inline]
    pub(crate) fn children(&self, node: usize, point: &Point<P>) -> [(f32, usize); 2] {
        let second = self.nodes[node].second as usize;
        let (a, b) = (self.nodes[node + 1].nearest(point), self.nodes[second].nearest(point));
        if a <= b { [(b, second), (a, node + 1)] } else { [(a, node + 1), (b, second)] }
    }
}

fn less(a: (f32, u32), b: (f32, u32)) -> bool {
    a.0 < b.0 || a.0 == b.0 && a.1 < b.1
}

/// Appends the node of `ids`, which stand from `start` on, and all below it.
fn split<const P: usize>(points: &[Point<P>], ids: &mut [u32], start: usize, nodes: &mut Vec<Node<P>>) {
    let (mut low, mut high) = ([f32::INFINITY; P], [f32::NEG_INFINITY; P]);
    for &id in &*ids {
        for (d, &x) in points[id as usize].iter().enumerate() {
            low[d] = low[d].min(x);
            high[d] = high[d].max(x);
        }
    }
    let node = nodes.len();
    // Places are as many as ids.
    nodes.push(Node { low, high, start: start as u32, end: (start + ids.len()) as u32, second: 0 });
    if ids.len() <= LEAF {
        return;
    }
    let widest = (0..P).fold(0, |w, d| if high[d] - low[d] > high[w] - low[w] { d } else { w });
    let half = ids.len() / 2;
    let along = |id: u32| points[id as usize][widest];
    ids.select_nth_unstable_by(half, |&a, &b| along(a).total_cmp(&along(b)).then(a.cmp(&b)));
    let (first, second) = ids.split_at_mut(half);
    split(points, first, start, nodes);
    nodes[node].second = nodes.len() as u32;
    split(points, second, start + half, nodes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::scattered;

    #[test]
    fn nearest_others_are_those_of_all_pairs() {
        let mut points = scattered::<4>(500, 3, 9);
        // Copies, and a line.
        points.extend([[0.5, 0.0, 0.0, 0.0]; 40]);
        points.extend((0..50).map(|i| [i as f32, 0.0, 0.0, 0.0]));
        for n in [0, 1, 2, 5, 17, 590] {
            let tree = KdTree::new(&points[..n]);
            let found = tree.nearest_others(6, Par::Ambient);
            assert_eq!(found.len(), n);
            for (place, found) in found.iter().enumerate() {
                let others = (0..n).filter(|&other| other != place);
                let mut truth: Vec<(f32, u32)> =
                    others.map(|other| (squared(&tree.points[place], &tree.points[other]), other as u32)).collect();
                truth.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
                truth.truncate(6);
                assert_eq!(found, &truth, "{n} {place}");
            }
        }
    }
}
