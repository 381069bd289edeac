//! The parameters of a clustering, with the defaults of the Python package.

use ann_graph::ParamError;

/// Dimensions of a layout, at most.
pub(crate) const MAX_LAYOUT_DIM: usize = 16;

/// The parameters of [`Evoc`](crate::Evoc).
///
/// ```
/// use ann_cluster::EvocParams;
/// let params = EvocParams { noise_level: 0.2, seed: 7, ..EvocParams::default() };
/// assert!(params.check().is_ok());
/// let error = EvocParams { n_neighbors: 1, ..params }.check().unwrap_err();
/// assert_eq!(error.to_string(), "n_neighbors is 1, must be at least 2");
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[must_use]
pub struct EvocParams {
    /// How much of the data is expected to belong nowhere, in `0..=1`: with less, more rows are clustered and clusters
    /// are less pure.
    pub noise_level: f32,
    /// Rows of the smallest clusters of the finest layer, at least 2.
    pub base_min_cluster_size: usize,
    /// How many clusters the finest layer is to have, about: in place of [`Self::base_min_cluster_size`].
    pub base_n_clusters: Option<usize>,
    /// How many clusters there are to be, about. The result is then one layer.
    pub approx_n_clusters: Option<usize>,
    /// Neighbours of a row, itself included, at least 2.
    pub n_neighbors: usize,
    /// Density at a point is measured up to this many others, at least 1.
    pub min_samples: usize,
    /// Passes over the edges of the graph that lay it out, 1 to 255.
    pub n_epochs: usize,
    /// Whether a layout starts from labels that spread over the graph, coarse to fine; else at random.
    pub label_propagation: bool,
    /// Whether a row is also a neighbour of its neighbours. On but for experiments.
    pub symmetrize_graph: bool,
    /// Dimensions of the layout, 1 to 16; a quarter of [`Self::n_neighbors`], 4 to 15, if not set.
    pub node_embedding_dim: Option<usize>,
    /// Above 1 the edges of the graph are stronger, as if rows had that many times their neighbours.
    pub neighbor_scale: f32,
    /// A layer is left out if it shares more than this part of its clusters with a better one, in `0..=1`.
    pub min_similarity_threshold: f32,
    /// Layers at most, at least 1.
    pub max_layers: usize,
    /// Rounds of label propagation.
    pub n_label_prop_iter: usize,
    /// Of every random choice. The same rows, parameters and seed give the same clusters on any number of threads.
    pub seed: u64,
}

impl Default for EvocParams {
    fn default() -> Self {
        Self {
            noise_level: 0.5,
            base_min_cluster_size: 5,
            base_n_clusters: None,
            approx_n_clusters: None,
            n_neighbors: 15,
            min_samples: 5,
            n_epochs: 50,
            label_propagation: true,
            symmetrize_graph: true,
            node_embedding_dim: None,
            neighbor_scale: 1.0,
            min_similarity_threshold: 0.2,
            max_layers: 10,
            n_label_prop_iter: 20,
            seed: 0,
        }
    }
}

/// The parameters of [`DensityLayers`](crate::DensityLayers): those of [`EvocParams`] that are about density.
///
/// ```
/// assert!(ann_cluster::DensityParams::default().check().is_ok());
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[must_use]
pub struct DensityParams {
    /// [`EvocParams::base_min_cluster_size`].
    pub base_min_cluster_size: usize,
    /// [`EvocParams::base_n_clusters`].
    pub base_n_clusters: Option<usize>,
    /// [`EvocParams::min_samples`].
    pub min_samples: usize,
    /// [`EvocParams::min_similarity_threshold`].
    pub min_similarity_threshold: f32,
    /// [`EvocParams::max_layers`].
    pub max_layers: usize,
}

impl Default for DensityParams {
    fn default() -> Self {
        EvocParams::default().density()
    }
}

impl EvocParams {
    /// Whether every parameter is within its range.
    ///
    /// # Errors
    /// [`ParamError`] for the first that is not.
    pub fn check(&self) -> Result<(), ParamError> {
        let unit = |name, value: f32| ParamError::unless((0.0..=1.0).contains(&value), name, value, "in 0..=1");
        unit("noise_level", self.noise_level)?;
        at_least("n_neighbors", self.n_neighbors, 2, "at least 2")?;
        at_least("approx_n_clusters", self.approx_n_clusters.unwrap_or(1), 1, "at least 1")?;
        ParamError::unless((1..=255).contains(&self.n_epochs), "n_epochs", self.n_epochs, "1 to 255")?;
        let dim = self.layout_dim();
        ParamError::unless((1..=MAX_LAYOUT_DIM).contains(&dim), "node_embedding_dim", dim, "1 to 16")?;
        let scale = self.neighbor_scale;
        let usable = scale.is_finite() && scale > 0.0;
        ParamError::unless(usable, "neighbor_scale", scale, "finite and greater than 0")?;
        self.density().check()
    }

    /// What the second half of the work is told.
    pub(crate) fn density(&self) -> DensityParams {
        DensityParams {
            base_min_cluster_size: self.base_min_cluster_size,
            base_n_clusters: self.base_n_clusters,
            min_samples: self.min_samples,
            min_similarity_threshold: self.min_similarity_threshold,
            max_layers: self.max_layers,
        }
    }

    /// [`Self::node_embedding_dim`], chosen if it was not given.
    pub(crate) fn layout_dim(&self) -> usize {
        self.node_embedding_dim.unwrap_or((self.n_neighbors / 4).clamp(4, 15))
    }
}

impl DensityParams {
    /// Whether every parameter is within its range.
    ///
    /// # Errors
    /// [`ParamError`] for the first that is not.
    pub fn check(&self) -> Result<(), ParamError> {
        at_least("base_min_cluster_size", self.base_min_cluster_size, 2, "at least 2")?;
        at_least("base_n_clusters", self.base_n_clusters.unwrap_or(1), 1, "at least 1")?;
        at_least("min_samples", self.min_samples, 1, "at least 1")?;
        at_least("max_layers", self.max_layers, 1, "at least 1")?;
        let similar = self.min_similarity_threshold;
        ParamError::unless((0.0..=1.0).contains(&similar), "min_similarity_threshold", similar, "in 0..=1")
    }
}

fn at_least(name: &'static str, value: usize, least: usize, must: &'static str) -> Result<(), ParamError> {
    ParamError::unless(value >= least, name, value, must)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_parameter_out_of_range_is_named() {
        let good = EvocParams::default();
        assert_eq!(good.check(), Ok(()));
        let bad = [
            ("noise_level", EvocParams { noise_level: f32::NAN, ..good }),
            ("noise_level", EvocParams { noise_level: 1.5, ..good }),
            ("min_similarity_threshold", EvocParams { min_similarity_threshold: -0.1, ..good }),
            ("base_min_cluster_size", EvocParams { base_min_cluster_size: 1, ..good }),
            ("n_neighbors", EvocParams { n_neighbors: 0, ..good }),
            ("min_samples", EvocParams { min_samples: 0, ..good }),
            ("max_layers", EvocParams { max_layers: 0, ..good }),
            ("base_n_clusters", EvocParams { base_n_clusters: Some(0), ..good }),
            ("approx_n_clusters", EvocParams { approx_n_clusters: Some(0), ..good }),
            ("n_epochs", EvocParams { n_epochs: 256, ..good }),
            ("node_embedding_dim", EvocParams { node_embedding_dim: Some(17), ..good }),
            ("node_embedding_dim", EvocParams { node_embedding_dim: Some(0), ..good }),
            ("neighbor_scale", EvocParams { neighbor_scale: f32::INFINITY, ..good }),
        ];
        for (name, params) in bad {
            assert_eq!(params.check().unwrap_err().name, name);
        }
    }

    #[test]
    fn the_layout_has_a_quarter_of_the_neighbors() {
        let dim = |n_neighbors| EvocParams { n_neighbors, ..EvocParams::default() }.layout_dim();
        assert_eq!([2, 15, 30, 400].map(dim), [4, 4, 7, 15]);
    }
}
