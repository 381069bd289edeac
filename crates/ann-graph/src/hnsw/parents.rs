//! The tree of links that are never pruned, through which every row can be reached from the root.

use super::Hierarchy;
use ann_core::split_mix;

/// Most children that keep their place in a list of `degree` whatever else there is to choose.
pub(super) fn most_pinned(degree: usize) -> usize {
    (degree / 4).max(1)
}

impl Hierarchy {
    /// Finds a parent for a row whose parent has no room for it: a neighbour that links to it or can, else a descendant
    /// of the former parent.
    pub(super) fn adopt(&mut self, row: u32) {
        let near: Vec<u32> = self.base.neighbors(row).filter(|&node| !self.descends(node, row)).collect();
        let links = |node: &&u32| self.base.neighbors(**node).any(|id| id == row);
        if let Some(&parent) = near.iter().find(links) {
            self.parents.as_mut_slice()[row as usize] = parent;
            return;
        }
        let has_room = |node: &&u32| self.base.neighbors(**node).count() < self.base.max_degree();
        let parent = near.iter().find(has_room).copied().unwrap_or(self.parents[row as usize]);
        self.take_in(parent, row);
    }

    /// Makes `row` a child of `parent`, which is below the root and not below `row`, or of one of its descendants where it has no
    /// room.
    pub(super) fn take_in(&mut self, mut parent: u32, row: u32) {
        for depth in 0.. {
            let is_child = |node: u32| self.parents[node as usize] == parent;
            let mut list: Vec<u32> = self.base.neighbors(parent).collect();
            if list.contains(&row) {
                break;
            }
            let degree = self.base.max_degree();
            let children: Vec<u32> = list.iter().copied().filter(|&node| is_child(node)).collect();
            if list.len() < degree {
                list.push(row);
            } else if children.len() < most_pinned(degree)
                && let Some(replaced) = list.iter().rposition(|&node| !is_child(node))
            {
                list[replaced] = row;
            } else {
                let draw = split_mix(self.params.seed ^ u64::from(row), depth);
                parent = children[draw as usize % children.len()];
                continue;
            }
            self.base.set(parent, &list);
            break;
        }
        self.parents.as_mut_slice()[row as usize] = parent;
    }

    /// Whether `row` is `ancestor` or following parents from it leads there.
    fn descends(&self, mut row: u32, ancestor: u32) -> bool {
        while row != ancestor && row != self.root {
            row = self.parents[row as usize];
        }
        row == ancestor
    }
}
