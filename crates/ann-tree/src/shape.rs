//! The shape of a tree with sixteen branches at every node, which the number of rows implies: no pointers, no node but its bounds.
//!
//! Rows are in the order of leaves, [`LEAF`] in each, and only the last leaf may have fewer. Sixteen neighbouring leaves are a group, sixteen groups a
//! group of the next level, and so on to a single one. A group keeps the bounds of its sixteen branches side by side, so that one pass of
//! SIMD instructions compares a query with all of them: four levels of a binary tree at once, without a jump. The idea is that of the blocks of kiddo, whose
//! split values fill cache lines, with boxes in the place of split values: these are tight, which saves leaves.

use std::ops::Range;

/// Rows of a leaf.
pub(crate) const LEAF: usize = 32;
/// Branches of a node.
pub(crate) const FAN: usize = 16;
/// Levels that 2³¹ rows make.
pub(crate) const MAX_LEVELS: usize = 8;

/// Where nodes are. `Copy`; computed from the number of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Shape {
    rows: usize,
    levels: usize,
    /// The first group of every level; level 0 is that of groups of leaves.
    starts: [usize; MAX_LEVELS],
    groups: usize,
}

impl Shape {
    pub(crate) fn new(rows: usize) -> Self {
        let (mut starts, mut levels, mut groups) = ([0; MAX_LEVELS], 0, 0);
        let mut branches = rows.div_ceil(LEAF);
        while branches > 0 && levels < MAX_LEVELS {
            starts[levels] = groups;
            levels += 1;
            let level = branches.div_ceil(FAN);
            groups += level;
            branches = if level > 1 { level } else { 0 };
        }
        Self { rows, levels, starts, groups }
    }

    /// Rows in the tree.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    pub(crate) fn leaves(&self) -> usize {
        self.rows.div_ceil(LEAF)
    }

    /// Levels of groups; 0 without rows.
    pub(crate) fn levels(&self) -> usize {
        self.levels
    }

    /// Groups of all levels.
    pub(crate) fn groups(&self) -> usize {
        self.groups
    }

    /// The number among all groups of group `group` of a level.
    #[inline(always)]
    pub(crate) fn group(&self, level: usize, group: usize) -> usize {
        self.starts[level] + group
    }

    /// The groups of a level, by their numbers among all.
    pub(crate) fn level(&self, level: usize) -> Range<usize> {
        let end = if level + 1 < self.levels { self.starts[level + 1] } else { self.groups };
        self.starts[level]..end
    }

    /// Branches of a level: leaves, or the groups of the level below.
    #[inline(always)]
    pub(crate) fn branches(&self, level: usize) -> usize {
        if level == 0 { self.leaves() } else { self.level(level - 1).len() }
    }

    /// The places of the rows of a leaf.
    #[inline(always)]
    pub(crate) fn leaf(&self, leaf: usize) -> Range<usize> {
        leaf * LEAF..((leaf + 1) * LEAF).min(self.rows)
    }

    /// How many of the `leaves` of a part of the tree are to the left where it is cut in two: about half, whole groups as far as there are any.
    pub(crate) fn left(leaves: usize) -> usize {
        let mut unit = 1;
        while unit * FAN < leaves {
            unit *= FAN;
        }
        ((leaves + unit) / (2 * unit)).max(1) * unit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_branch_is_in_one_group_and_the_root_is_the_last() {
        for rows in [0, 1, 31, 32, 33, 512, 513, 8192, 8193, 131_073, 1 << 31] {
            let shape = Shape::new(rows);
            assert_eq!(shape.levels() == 0, rows == 0);
            for level in 0..shape.levels() {
                assert_eq!(shape.level(level).len(), shape.branches(level).div_ceil(FAN), "{rows}");
            }
            if rows > 0 {
                assert_eq!(shape.level(shape.levels() - 1), shape.groups() - 1..shape.groups(), "{rows}");
            }
        }
    }

    #[test]
    fn parts_are_cut_between_groups() {
        fn cut(start: usize, leaves: usize, borders: &mut Vec<usize>) {
            if leaves > 1 {
                let left = Shape::left(leaves);
                assert!(left > 0 && left < leaves, "{left} of {leaves}");
                borders.push(start + left);
                cut(start, left, borders);
                cut(start + left, leaves - left, borders);
            }
        }
        for leaves in [2, 15, 16, 17, 24, 31, 33, 255, 256, 257, 300, 4096, 5000] {
            // A part of more than one group is cut at groups: so a group is a part.
            fn check(start: usize, leaves: usize) {
                let mut unit = 1;
                while unit * FAN < leaves {
                    unit *= FAN;
                }
                assert!(start.is_multiple_of(unit));
                if leaves > 1 {
                    let left = Shape::left(leaves);
                    check(start, left);
                    check(start + left, leaves - left);
                }
            }
            check(0, leaves);
            let mut borders = Vec::new();
            cut(0, leaves, &mut borders);
            borders.sort_unstable();
            assert_eq!(borders, (1..leaves).collect::<Vec<_>>());
        }
    }
}
