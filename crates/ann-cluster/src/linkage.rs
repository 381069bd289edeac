//! Single linkage: who is merged with whom as the distance grows.
//!
//! The links of a minimum spanning tree, shortest first, join what they connect (Gower & Ross, Applied Statistics
//! 1969). Cost: a pass over the links.

use crate::spanning::{Link, Sets};

/// Two nodes that become one: points `0..n`, and from `n` on the merges in their order.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Merge {
    /// The later of both.
    pub left: u32,
    pub right: u32,
    pub distance: f32,
    /// Points of both.
    pub size: u32,
}

/// The merges of `n` points by the links of their tree, shortest first. The last is the root.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Linkage {
    pub n: usize,
    pub merges: Vec<Merge>,
}

impl Linkage {
    pub(crate) fn new(n: usize, links: &[Link]) -> Self {
        let (mut sets, mut node_of): (Sets, Vec<u32>) = (Sets::new(n), (0..n as u32).collect());
        let mut linkage = Self { n, merges: Vec::with_capacity(links.len()) };
        for link in links {
            let [a, b] = [link.a, link.b].map(|x| node_of[sets.root(x) as usize]);
            let size = linkage.size(a) + linkage.size(b);
            sets.join(link.a, link.b);
            // Nodes are fewer than twice the points, whose number is below 2^31.
            node_of[sets.root(link.a) as usize] = (n + linkage.merges.len()) as u32;
            linkage.merges.push(Merge { left: a.max(b), right: a.min(b), distance: link.distance, size });
        }
        linkage
    }

    /// What `node` was merged from, unless it is a point.
    pub(crate) fn merge(&self, node: u32) -> Option<&Merge> {
        (node as usize).checked_sub(self.n).map(|at| &self.merges[at])
    }

    /// The points of a node.
    pub(crate) fn size(&self, node: u32) -> u32 {
        self.merge(node).map_or(1, |merge| merge.size)
    }

    /// All nodes below `node` and itself, level after level.
    pub(crate) fn levels(&self, node: u32, out: &mut Vec<u32>) {
        out.clear();
        out.push(node);
        let mut at = 0;
        while let Some(&node) = out.get(at) {
            out.extend(self.merge(node).map(|merge| [merge.left, merge.right]).into_iter().flatten());
            at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merges_name_points_and_earlier_merges() {
        let link = |a, b, distance| Link { a, b, distance };
        let linkage = Linkage::new(4, &[link(1, 2, 0.5), link(0, 3, 0.75), link(2, 3, 2.0)]);
        let merge = |left, right, distance, size| Merge { left, right, distance, size };
        assert_eq!(linkage.merges, [merge(2, 1, 0.5, 2), merge(3, 0, 0.75, 2), merge(5, 4, 2.0, 4)]);
        let mut levels = Vec::new();
        linkage.levels(6, &mut levels);
        assert_eq!(levels, [6, 5, 4, 3, 0, 2, 1]);
    }
}
