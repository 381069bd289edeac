//! Which sizes of clusters give layers worth showing.
//!
//! PLSCAN (Bot et al., arXiv:2512.16558): a cluster of the condensed tree is there for all least sizes from its birth,
//! where its own children are gone, to its death, where its sibling is. Sizes at which much of what is there lasts
//! long, weighted by how dense it begins, are local maxima of the total persistence. As in the Python package the
//! weight is `exp(-distance)` and sums are `f32`.
//!
//! Cost: a pass over the clusters, and for each one over the sizes that it lasts.

use crate::condensed::Condensed;

/// For which least sizes a cluster is there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Bar {
    pub birth: u32,
    pub death: u32,
    /// How dense it begins, in `0..=1`.
    pub weight: f32,
}

impl Bar {
    /// Whether the cluster is there when clusters have more than `size` points.
    fn holds(&self, size: u32) -> bool {
        self.birth <= size && size < self.death
    }
}

/// The bars of all clusters, the root first.
pub(crate) struct Barcode {
    n: u32,
    bars: Vec<Bar>,
}

/// A least size at which the total persistence is at a local maximum.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Peak {
    pub size: u32,
    pub persistence: f32,
}

impl Barcode {
    /// Of the clusters of `condensed`, whose smallest have `min_cluster_size` points.
    pub(crate) fn new(condensed: &Condensed, min_cluster_size: usize) -> Self {
        // Trees have fewer than 2^31 points.
        let n = condensed.n as u32;
        let born = Bar { birth: min_cluster_size as u32, death: n, weight: 0.0 };
        let mut bars = vec![born; condensed.clusters().count() + 1];
        let mut siblings = condensed.clusters().rev();
        while let (Some(second), Some(first)) = (siblings.next(), siblings.next()) {
            let death = first.size.min(second.size);
            let weight = (-1.0 / f64::from(second.lambda)).exp() as f32;
            let mut births = death;
            for child in [first, second] {
                let bar = &mut bars[(child.child - n) as usize];
                (bar.death, bar.weight) = (death, weight);
                births = births.max(bar.birth);
            }
            bars[(first.parent - n) as usize].birth = births;
        }
        Self { n, bars }
    }

    /// The bar of every cluster, the root first.
    #[cfg(test)]
    pub(crate) fn bars(&self) -> &[Bar] {
        &self.bars
    }

    /// The clusters that are there at `size`, ascending.
    pub(crate) fn clusters_at(&self, size: u32) -> Vec<u32> {
        (self.n..).zip(&self.bars).filter(|(_, bar)| bar.holds(size)).map(|(cluster, _)| cluster).collect()
    }

    /// All sizes at which clusters are born, ascending, and the total persistence there.
    pub(crate) fn total_persistence(&self) -> (Vec<u32>, Vec<f32>) {
        let mut sizes: Vec<u32> = self.bars.iter().map(|bar| bar.birth).collect();
        sizes.sort_unstable();
        sizes.dedup();
        let mut total = vec![0.0f32; sizes.len()];
        for bar in self.bars.iter().skip(1).filter(|bar| bar.death > bar.birth) {
            let at = |size: u32| sizes.partition_point(|&other| other < size);
            let persistence = (bar.death - bar.birth) as f32 * bar.weight;
            total[at(bar.birth)..at(bar.death)].iter_mut().for_each(|total| *total += persistence);
        }
        (sizes, total)
    }

    /// At most `most` peaks, the most persistent first, of which no two share more than `similar` of their clusters.
    pub(crate) fn peaks(&self, most: usize, similar: f32) -> Vec<Peak> {
        let (sizes, total) = self.total_persistence();
        let mut peaks: Vec<Peak> =
            maxima(&total).into_iter().map(|at| Peak { size: sizes[at], persistence: total[at] }).collect();
        peaks.sort_by(|a, b| b.persistence.total_cmp(&a.persistence).then(b.size.cmp(&a.size)));
        let mut kept: Vec<Peak> = Vec::new();
        for peak in peaks {
            if kept.len() >= most {
                break;
            }
            if kept.iter().all(|other| self.similarity(peak.size, other.size) <= f64::from(similar)) {
                kept.push(peak);
            }
        }
        kept
    }

    /// The share of common clusters among those that are there at either size.
    fn similarity(&self, a: u32, b: u32) -> f64 {
        let both = self.bars.iter().filter(|bar| bar.holds(a) && bar.holds(b)).count();
        let either = self.bars.iter().filter(|bar| bar.holds(a) || bar.holds(b)).count();
        if either == 0 { 0.0 } else { both as f64 / either as f64 }
    }
}

/// Where values are larger than those before and after; of a plateau the middle. Neither the first nor the last counts.
fn maxima(values: &[f32]) -> Vec<usize> {
    let mut maxima = Vec::new();
    let mut at = 1;
    while at + 1 < values.len() {
        let end = (at..values.len()).find(|&i| values[i] != values[at]).unwrap_or(values.len());
        if values[at - 1] < values[at] && end < values.len() && values[end] < values[at] {
            maxima.push((at + end - 1) / 2);
        }
        at = end;
    }
    maxima
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::condensed::Branch;

    #[test]
    fn maxima_are_strict_and_plateaus_count_once() {
        assert_eq!(maxima(&[0.0, 2.0, 1.0, 3.0, 3.0, 3.0, 2.0, 5.0]), [1, 4]);
        assert!(maxima(&[3.0, 1.0, 1.0]).is_empty() && maxima(&[0.0, 1.0, 1.0]).is_empty() && maxima(&[]).is_empty());
        assert_eq!(maxima(&[0.0, 1.0, 0.0, 1.0, 0.0]), [1, 3]);
    }

    #[test]
    fn clusters_last_until_their_sibling_is_too_small() {
        // The root of 100 splits into 60 and 40, and 60 into 30 and 20.
        let branch = |parent, child, size, lambda| Branch { parent, child, lambda, size };
        let branches = vec![
            branch(100, 101, 60, 1.0),
            branch(100, 102, 40, 1.0),
            branch(101, 103, 30, 2.0),
            branch(101, 104, 20, 2.0),
        ];
        let barcode = Barcode::new(&Condensed { n: 100, branches }, 5);
        let spans: Vec<_> = barcode.bars.iter().map(|bar| (bar.birth, bar.death)).collect();
        assert_eq!(spans, [(40, 100), (20, 40), (5, 40), (5, 20), (5, 20)]);
        assert_eq!(barcode.clusters_at(5), [102, 103, 104]);
        assert_eq!(barcode.clusters_at(20), [101, 102]);
        let (sizes, total) = barcode.total_persistence();
        let (coarse, fine) = ((-1.0f64).exp() as f32, (-0.5f64).exp() as f32);
        assert_eq!(sizes, [5, 20, 40]);
        assert_eq!(total, [35.0 * coarse + 15.0 * fine + 15.0 * fine, 20.0 * coarse + 35.0 * coarse, 0.0]);
    }
}
