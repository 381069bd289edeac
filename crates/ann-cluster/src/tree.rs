//! Which clusters of finer layers are within which of coarser ones.

use crate::Layer;

/// A cluster of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterId {
    /// The layer, 0 is the finest.
    pub layer: usize,
    /// The cluster in it.
    pub cluster: u32,
}

/// The clusters of all layers as a forest: the parent of a cluster is the one of the next coarser layer that holds rows
/// of it and does not leave all of them to noise.
///
/// ```
/// use ann_cluster::{ClusterId, DensityLayers, DensityParams};
/// use ann_core::{Matrix, Monitor, Par};
/// let places: Vec<[f32; 1]> = (0..40).map(|i| [(i + i / 20 * 100) as f32]).collect();
/// let places = Matrix::from_rows(&places)?;
/// let found = DensityLayers::fit(places.view(), &DensityParams::default(), Par::Ambient, Monitor::new())?;
/// let tree = found.tree();
/// let finest = ClusterId { layer: 0, cluster: 0 };
/// assert!(tree.parent(finest).is_some() || tree.roots().contains(&finest));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterTree {
    /// By layer and cluster.
    parents: Vec<Vec<Option<ClusterId>>>,
}

impl ClusterTree {
    pub(crate) fn new(layers: &[Layer]) -> Self {
        let parents = layers.iter().enumerate().map(|(finer, layer)| {
            let mut parents = vec![None; layer.n_clusters];
            for (coarser, upper) in layers.iter().enumerate().skip(finer + 1) {
                let mut found = vec![None; layer.n_clusters];
                for (label, above) in layer.labels.iter().zip(&upper.labels) {
                    if let (Some(label), Some(above)) = (*label, *above) {
                        found[label as usize].get_or_insert(ClusterId { layer: coarser, cluster: above });
                    }
                }
                parents.iter_mut().zip(found).for_each(|(parent, found)| *parent = parent.or(found));
            }
            parents
        });
        Self { parents: parents.collect() }
    }

    /// The cluster that holds this one; `None` if none does, or there is no such cluster.
    pub fn parent(&self, of: ClusterId) -> Option<ClusterId> {
        *self.parents.get(of.layer)?.get(of.cluster as usize)?
    }

    /// The clusters that `of` holds, ascending.
    pub fn children(&self, of: ClusterId) -> Vec<ClusterId> {
        self.clusters().filter(|&child| self.parent(child) == Some(of)).collect()
    }

    /// The clusters that none holds, ascending.
    pub fn roots(&self) -> Vec<ClusterId> {
        self.clusters().filter(|&cluster| self.parent(cluster).is_none()).collect()
    }

    /// All clusters, the finest layer first.
    pub fn clusters(&self) -> impl Iterator<Item = ClusterId> {
        let of_layer = |(layer, clusters): (usize, &Vec<_>)| {
            // Clusters are numbered by u32.
            (0..clusters.len() as u32).map(move |cluster| ClusterId { layer, cluster })
        };
        self.parents.iter().enumerate().flat_map(of_layer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parents_are_in_the_next_layer_that_keeps_a_row() {
        let layer = |labels: &[i32]| Layer {
            labels: labels.iter().map(|&label| u32::try_from(label).ok()).collect(),
            strengths: vec![1.0; labels.len()],
            n_clusters: (labels.iter().max().unwrap() + 1) as usize,
            persistence: 0.0,
        };
        let tree = ClusterTree::new(&[
            layer(&[0, 0, 1, 1, 2, 2, 3, 3]),
            layer(&[0, 0, 0, -1, -1, -1, 1, 1]),
            layer(&[0, 0, 0, 0, 0, 0, -1, -1]),
        ]);
        let id = |layer, cluster| ClusterId { layer, cluster };
        assert_eq!(tree.children(id(1, 0)), [id(0, 0), id(0, 1)]);
        assert_eq!(tree.children(id(2, 0)), [id(0, 2), id(1, 0)]);
        assert_eq!(tree.roots(), [id(1, 1), id(2, 0)]);
        assert_eq!(tree.parent(id(0, 3)), Some(id(1, 1)));
        assert_eq!(tree.parent(id(7, 0)), None);
    }
}
