//! The tree through which every row can be reached from the root, and the links that it lacks.

use super::{Hierarchy, HnswParams};
use crate::FlatGraph;
use crate::adjacency::NONE;
use crate::search::Walk;
use ann_core::simd::Buffer;
use ann_core::{All, VectorStore};

/// Width of the search for a row that nothing leads to.
const EF: usize = 32;

/// Makes `graph` a hierarchy of one layer: every row gets the parent through which a search in breadth finds it from `root`; rows
/// that it does not find are linked to by a neighbour of theirs or the nearest row that can be found.
pub(super) fn connect<S: VectorStore>(store: &S, params: HnswParams, graph: FlatGraph, root: u32) -> Hierarchy {
    let mut parents = Buffer::new();
    parents.resize(graph.len(), NONE);
    parents.as_mut_slice()[root as usize] = root;
    let mut hierarchy = Hierarchy { params, base: graph, parents, root, upper: Vec::new() };
    let mut open = vec![root];
    hierarchy.adopt_all(&mut open);
    let (mut walk, mut scratch) = (Walk::default(), S::Scratch::default());
    for row in 0..hierarchy.len() as u32 {
        if hierarchy.parents[row as usize] != NONE {
            continue;
        }
        let near = hierarchy.base.neighbors(row).find(|&node| hierarchy.parents[node as usize] != NONE);
        let near = near.or_else(|| {
            let oracle = store.oracle_at(row, &mut scratch);
            hierarchy.walk_base(&oracle, &All, &[root], EF, &mut walk);
            walk.found().next().map(|n| n.id)
        });
        hierarchy.take_in(near.unwrap_or(root), row);
        open.push(row);
        hierarchy.adopt_all(&mut open);
    }
    hierarchy
}

impl Hierarchy {
    /// Gives parents to all rows that links lead to from `open`, level by level, and empties it.
    fn adopt_all(&mut self, open: &mut Vec<u32>) {
        let mut next = Vec::new();
        while !open.is_empty() {
            for row in open.drain(..) {
                for to in self.base.slots(row).iter().copied().take_while(|&to| to != NONE) {
                    let parent = &mut self.parents.as_mut_slice()[to as usize];
                    if *parent == NONE {
                        *parent = row;
                        next.push(to);
                    }
                }
            }
            std::mem::swap(open, &mut next);
        }
    }
}
