//! The hierarchy without what is too small: clusters that split, and points that fall out of them.
//!
//! Campello, Moulavi & Sander, *Density-based clustering based on hierarchical density estimates*, PAKDD 2013; McInnes
//! & Healy, arXiv:1705.07321. From the root down, a branch of fewer than `min_cluster_size` points falls out of its
//! cluster; where both are large enough the cluster ends and two begin. `λ` is one over the distance. Where we differ:
//! at distance 0 nothing splits, however many copies of a point there are, and a membership is measured by the largest
//! λ that is finite.
//!
//! Cost: two passes over the merges; 16 bytes per point.

use crate::linkage::Linkage;

/// A child of a cluster: a point, or a cluster that begins where its parent ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Branch {
    pub parent: u32,
    pub child: u32,
    /// One over the distance at which it leaves its parent; infinite among copies.
    pub lambda: f32,
    /// Points of the child.
    pub size: u32,
}

/// Branches from the root down. Points are `0..n`, the root is `n`, clusters follow in pairs.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Condensed {
    pub n: usize,
    pub branches: Vec<Branch>,
}

impl Condensed {
    /// Clusters of at least `min_cluster_size` points, which is at least 2.
    pub(crate) fn new(linkage: &Linkage, min_cluster_size: usize) -> Self {
        let n = linkage.n;
        let mut branches = Vec::with_capacity(linkage.merges.len() + n);
        if linkage.merges.is_empty() {
            return Self { n, branches };
        }
        let least = u32::try_from(min_cluster_size).unwrap_or(u32::MAX);
        let root = (n + linkage.merges.len() - 1) as u32;
        // The cluster of every merge that is not below what fell out.
        let mut cluster_of = vec![None; linkage.merges.len()];
        cluster_of[root as usize - n] = Some(n as u32);
        let mut next = n as u32 + 1;
        let (mut order, mut below) = (Vec::new(), Vec::new());
        linkage.levels(root, &mut order);
        for &node in &order {
            let Some(merge) = linkage.merge(node) else { continue };
            let Some(parent) = cluster_of[node as usize - n] else { continue };
            let lambda = if merge.distance > 0.0 { (1.0 / f64::from(merge.distance)) as f32 } else { f32::INFINITY };
            let children = [merge.left, merge.right].map(|child| (child, linkage.size(child)));
            let large = children.map(|(_, size)| size >= least);
            let splits = large == [true, true] && lambda.is_finite();
            // Copies fall out together.
            for ((child, size), large) in children.into_iter().zip(large) {
                if splits {
                    cluster_of[child as usize - n] = Some(next);
                    branches.push(Branch { parent, child: next, lambda, size });
                    next += 1;
                } else if large && lambda.is_finite() {
                    // A branch of at least two points is a merge.
                    cluster_of[child as usize - n] = Some(parent);
                } else {
                    linkage.levels(child, &mut below);
                    let points = below.iter().filter(|&&point| (point as usize) < n);
                    branches.extend(points.map(|&child| Branch { parent, child, lambda, size: 1 }));
                }
            }
        }
        Self { n, branches }
    }

    /// The branches that are clusters: siblings stand together, parents before their children.
    pub(crate) fn clusters(&self) -> impl DoubleEndedIterator<Item = &Branch> {
        self.branches.iter().filter(|branch| branch.child as usize >= self.n)
    }

    /// One more than the highest number of a cluster.
    fn end(&self) -> usize {
        self.n + 1 + self.clusters().count()
    }

    /// The clusters that do not split, ascending; the root if it does not, nothing without branches.
    pub(crate) fn leaves(&self) -> Vec<u32> {
        if self.branches.is_empty() {
            return Vec::new();
        }
        let mut leaf = vec![true; self.end() - self.n];
        self.clusters().for_each(|branch| leaf[branch.parent as usize - self.n] = false);
        (self.n as u32..).zip(leaf).filter(|(_, leaf)| *leaf).map(|(cluster, _)| cluster).collect()
    }

    /// The place among `selected`, ascending, of the cluster that a point is in or below; the root counts only if it is
    /// all that is selected, and then only for the points that are as dense as any.
    pub(crate) fn labels(&self, selected: &[u32]) -> Vec<Option<u32>> {
        let root = self.n as u32;
        if selected == [root] {
            let densest = self.branches.iter().map(|branch| branch.lambda).fold(0.0, f32::max);
            let mut labels = vec![None; self.n];
            for branch in self.branches.iter().filter(|branch| branch.lambda >= densest) {
                if let Some(label) = labels.get_mut(branch.child as usize) {
                    *label = Some(0);
                }
            }
            return labels;
        }
        let mut labels = vec![None; self.end()];
        for branch in &self.branches {
            let own = selected.binary_search(&branch.child).ok().map(|at| at as u32);
            labels[branch.child as usize] = own.or(labels[branch.parent as usize]);
        }
        labels.truncate(self.n);
        labels
    }

    /// How firmly every point belongs to its cluster: its λ as part of the largest of the points of the cluster
    /// itself, at most 1; 0 for noise.
    pub(crate) fn strengths(&self, selected: &[u32], labels: &[Option<u32>]) -> Vec<f32> {
        let mut largest = vec![0.0f32; selected.len()];
        let points = || self.branches.iter().filter(|branch| (branch.child as usize) < self.n);
        for branch in points().filter(|branch| branch.lambda.is_finite()) {
            if let Ok(at) = selected.binary_search(&branch.parent) {
                largest[at] = largest[at].max(branch.lambda);
            }
        }
        let mut strengths = vec![0.0; labels.len()];
        for branch in points() {
            if let Some(label) = labels[branch.child as usize] {
                let largest = largest[label as usize];
                strengths[branch.child as usize] = if largest == 0.0 || !branch.lambda.is_finite() {
                    1.0
                } else {
                    branch.lambda.min(largest) / largest
                };
            }
        }
        strengths
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spanning::Link;

    /// Points on a line, linked in a chain.
    fn chain(at: &[f32]) -> Linkage {
        let mut links: Vec<Link> =
            (1..at.len()).map(|i| Link { a: i as u32 - 1, b: i as u32, distance: at[i] - at[i - 1] }).collect();
        links.sort_by(|x, y| x.distance.total_cmp(&y.distance).then(x.a.cmp(&y.a)));
        Linkage::new(at.len(), &links)
    }

    #[test]
    fn two_groups_are_two_leaves_and_what_is_far_from_both_is_noise() {
        let linkage = chain(&[0.0, 0.25, 0.5, 0.75, 8.5, 9.0, 9.5, 10.0, 12.0, 30.0]);
        let condensed = Condensed::new(&linkage, 3);
        assert_eq!(condensed.leaves(), [11, 12]);
        let labels = condensed.labels(&[11, 12]);
        let side = |points: std::ops::Range<usize>| {
            let first = labels[points.start].unwrap();
            assert!(labels[points].iter().all(|label| *label == Some(first)));
            first
        };
        assert_eq!(side(0..4) + side(4..9), 1);
        assert_eq!(labels[9], None);
        let strengths = condensed.strengths(&[11, 12], &labels);
        // The last of the second group is four times as far from it as others are from each other.
        assert_eq!(strengths, [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.25, 0.0]);
        assert_eq!(condensed.branches.iter().filter(|b| b.child < 10).count(), 10, "every point falls out once");
    }

    #[test]
    fn one_group_is_the_root_and_its_densest_points() {
        let condensed = Condensed::new(&chain(&[0.0, 2.0, 3.5, 4.5, 4.75, 5.0]), 4);
        assert_eq!(condensed.leaves(), [6]);
        let labels = condensed.labels(&[6]);
        assert_eq!(labels.iter().map(Option::is_some).collect::<Vec<_>>(), [false, false, true, true, true, true]);
    }

    #[test]
    fn copies_do_not_split() {
        let condensed = Condensed::new(&chain(&[1.0; 40]), 5);
        assert_eq!(condensed.leaves(), [40]);
        let labels = condensed.labels(&[40]);
        assert!(labels.iter().all(|label| *label == Some(0)));
        assert_eq!(condensed.strengths(&[40], &labels), [1.0; 40]);
        // Two heaps of copies do.
        let heaps: Vec<f32> = (0..40).map(|i| if i < 20 { 0.0 } else { 8.0 }).collect();
        let condensed = Condensed::new(&chain(&heaps), 5);
        assert_eq!(condensed.leaves(), [41, 42]);
        assert_eq!(condensed.strengths(&[41, 42], &condensed.labels(&[41, 42])), [1.0; 40]);
    }
}
