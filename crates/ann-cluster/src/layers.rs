//! Density-based clusters of points of few dimensions, in layers from fine to coarse.
//!
//! One hierarchy of mutual reachability (`spanning`, `linkage`) is cut for many least sizes of clusters. The finest
//! layer has the leaves for the least size that was asked for; others have the sizes at which the total persistence
//! peaks (`persistence`).
//!
//! Cost: the spanning tree, then a few passes over its links; 8 + 4 bytes per point and layer.

use crate::condensed::Condensed;
use crate::linkage::Linkage;
use crate::params::MAX_LAYOUT_DIM;
use crate::persistence::Barcode;
use crate::points::{Point, padded};
use crate::spanning::spanning_tree;
use crate::tree::ClusterTree;
use crate::{DensityParams, EvocError};
use ann_core::{Cancelled, MAX_ROWS, MatrixView, Monitor, Par, RowError, check_finite};

/// One way to divide the rows into clusters.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// The cluster of every row, in `0..n_clusters`; `None` is noise.
    pub labels: Vec<Option<u32>>,
    /// How firmly every row belongs to its cluster, in `0..=1`: its density as part of the largest. 0 for noise.
    pub strengths: Vec<f32>,
    /// Number of clusters.
    pub n_clusters: usize,
    /// How well the layer stands out among others; 0 for the finest, which is there in any case.
    pub persistence: f32,
}

impl Layer {
    fn new(condensed: &Condensed, selected: &[u32], persistence: f32) -> Self {
        let labels = condensed.labels(selected);
        let strengths = condensed.strengths(selected, &labels);
        Self { labels, strengths, n_clusters: selected.len(), persistence }
    }

    /// All rows are noise.
    fn noise(n: usize) -> Self {
        Self { labels: vec![None; n], strengths: vec![0.0; n], n_clusters: 0, persistence: 0.0 }
    }

    /// The part of the rows that belongs to no cluster; 0 of none.
    pub fn noise_fraction(&self) -> f64 {
        let noise = self.labels.iter().filter(|label| label.is_none()).count();
        noise as f64 / self.labels.len().max(1) as f64
    }

    /// The rows of each cluster, ascending.
    pub fn members(&self) -> Vec<Vec<u32>> {
        let mut members = vec![Vec::new(); self.n_clusters];
        for (row, label) in self.labels.iter().enumerate() {
            if let Some(label) = label {
                // Stores number rows by u32.
                members[*label as usize].push(row as u32);
            }
        }
        members
    }

    /// The labels as other libraries write them: -1 for noise.
    pub fn signed_labels(&self) -> Vec<i32> {
        // Clusters are fewer than 2^31 rows.
        self.labels.iter().map(|label| label.map_or(-1, |label| label as i32)).collect()
    }
}

/// Clusters of points of up to 16 dimensions by their density, in layers: the second half of [`Evoc`](crate::Evoc), for
/// layouts that come from elsewhere (UMAP, PCA) and for places on a map.
///
/// ```
/// use ann_cluster::{DensityLayers, DensityParams};
/// use ann_core::{Matrix, Monitor, Par};
/// // Two squares of nine places, and one place far from both.
/// let squares = (0..18).map(|i| [(i % 3) as f32, (i / 3 % 3 + i / 9 * 20) as f32]);
/// let places: Vec<[f32; 2]> = squares.chain([[60.0, 60.0]]).collect();
/// let places = Matrix::from_rows(&places)?;
/// let found = DensityLayers::fit(places.view(), &DensityParams::default(), Par::Ambient, Monitor::new())?;
/// let layer = found.best();
/// assert_eq!(layer.n_clusters, 2);
/// assert!(layer.labels[0] == layer.labels[8] && layer.labels[0] != layer.labels[9]);
/// assert_eq!(layer.labels[18], None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct DensityLayers {
    layers: Vec<Layer>,
}

impl DensityLayers {
    /// Clusters `points`, `(n, dim)`, under the Euclidean distance.
    ///
    /// # Errors
    /// [`EvocError`] if a parameter is outside its range, there are more than 16 columns or a value is not finite, or
    /// `monitor` cancels.
    pub fn fit(
        points: MatrixView<'_, f32>,
        params: &DensityParams,
        par: Par,
        monitor: Monitor<'_>,
    ) -> Result<Self, EvocError> {
        params.check()?;
        let (rows, dim) = (points.len(), points.dim());
        if rows > MAX_ROWS as usize || rows > 0 && !(1..=MAX_LAYOUT_DIM).contains(&dim) {
            return Err(EvocError::Size { rows, dim, max_rows: MAX_ROWS as usize, max_dim: MAX_LAYOUT_DIM });
        }
        for (row, values) in points.rows().enumerate() {
            check_finite(values).map_err(|source| RowError { row, source })?;
        }
        fn of<const P: usize>(
            points: MatrixView<'_, f32>,
            params: &DensityParams,
            par: Par,
            monitor: Monitor<'_>,
        ) -> Result<DensityLayers, Cancelled> {
            let points: Vec<Point<P>> = points.rows().map(padded).collect();
            par.install(|par| DensityLayers::of(&points, params, None, par, monitor))
        }
        Ok(match dim {
            0..=4 => of::<4>(points, params, par, monitor)?,
            5..=8 => of::<8>(points, params, par, monitor)?,
            9..=12 => of::<12>(points, params, par, monitor)?,
            _ => of::<16>(points, params, par, monitor)?,
        })
    }

    /// All layers, the finest first.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// The layer that stands out most.
    pub fn best(&self) -> &Layer {
        let first_best = self
            .layers
            .iter()
            .enumerate()
            .max_by(|(i, a), (j, b)| a.persistence.total_cmp(&b.persistence).then(j.cmp(i)));
        first_best.map_or_else(|| unreachable!("there is a layer"), |(_, layer)| layer)
    }

    /// Which clusters of finer layers are within which of coarser ones.
    pub fn tree(&self) -> ClusterTree {
        ClusterTree::new(&self.layers)
    }

    /// [`Self::fit`] of what has been checked. `exactly`: one layer of about so many clusters.
    pub(crate) fn of<const P: usize>(
        points: &[Point<P>],
        params: &DensityParams,
        exactly: Option<usize>,
        par: Par,
        monitor: Monitor<'_>,
    ) -> Result<Self, Cancelled> {
        let n = points.len();
        // Fewer points are no cluster, and have no density to tell.
        if n < params.base_min_cluster_size || n <= params.min_samples {
            return Ok(Self { layers: vec![Layer::noise(n)] });
        }
        let links = spanning_tree(points, params.min_samples, par, monitor)?;
        let linkage = Linkage::new(n, &links);
        Ok(match exactly {
            Some(wanted) => Self { layers: vec![of_about(&linkage, wanted)] },
            None => Self { layers: layers(&linkage, params) },
        })
    }
}

/// The finest layer and the peaks, finest first.
pub(crate) fn layers(linkage: &Linkage, params: &DensityParams) -> Vec<Layer> {
    let (condensed, base, least) = match params.base_n_clusters {
        None => {
            let condensed = Condensed::new(linkage, params.base_min_cluster_size);
            let base = Layer::new(&condensed, &condensed.leaves(), 0.0);
            (condensed, base, params.base_min_cluster_size)
        }
        Some(wanted) => {
            let base = of_about(linkage, wanted);
            let smallest = base.members().iter().map(Vec::len).filter(|&size| size > 0).min();
            let least = smallest.unwrap_or(params.base_min_cluster_size).max(2);
            (Condensed::new(linkage, least), base, least)
        }
    };
    let barcode = Barcode::new(&condensed, least);
    let mut layers = vec![base];
    for peak in barcode.peaks(params.max_layers - 1, params.min_similarity_threshold) {
        layers.push(Layer::new(&condensed, &barcode.clusters_at(peak.size), peak.persistence));
    }
    layers.sort_by_key(|layer| std::cmp::Reverse(layer.n_clusters));
    layers
}

/// The leaves for the least size of clusters that gives nearest to `wanted` of them; of equals the one with less noise.
fn of_about(linkage: &Linkage, wanted: usize) -> Layer {
    let count = |least: usize| Condensed::new(linkage, least).leaves().len();
    let layer = |least: usize| {
        let condensed = Condensed::new(linkage, least);
        Layer::new(&condensed, &condensed.leaves(), 0.0)
    };
    let (mut fine, mut coarse) = (2, (linkage.n / 2).max(2));
    let (mut most, mut fewest) = (count(fine), count(coarse));
    while coarse - fine > 1 {
        // Halves are rounded to even, as Python does: where counts are not monotonic the way there matters.
        let sum = fine + coarse;
        let middle = if sum % 4 == 3 { sum / 2 + 1 } else { sum / 2 };
        let found = count(middle);
        if found < wanted {
            (coarse, fewest) = (middle, found);
        } else {
            (fine, most) = (middle, found);
        }
    }
    match most.abs_diff(wanted).cmp(&fewest.abs_diff(wanted)) {
        std::cmp::Ordering::Less => layer(fine),
        std::cmp::Ordering::Greater => layer(coarse),
        std::cmp::Ordering::Equal => {
            let (fine, coarse) = (layer(fine), layer(coarse));
            if fine.noise_fraction() < coarse.noise_fraction() { fine } else { coarse }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ann_core::{Matrix, VectorError};

    fn fit(points: &Matrix<f32>, params: DensityParams) -> DensityLayers {
        DensityLayers::fit(points.view(), &params, Par::Ambient, Monitor::new()).unwrap()
    }

    /// `groups` discs of 40 points in a row, pairs of them nearer than others.
    fn discs(groups: usize) -> Matrix<f32> {
        let points: Vec<[f32; 3]> = (0..40 * groups)
            .map(|i| {
                let at = |stream| ann_testkit::portable::gauss(stream, i as u64) as f32;
                let group = i / 40;
                [at(1) + (group / 2 * 60 + group % 2 * 12) as f32, at(2), 0.1 * at(3)]
            })
            .collect();
        Matrix::from_rows(&points).unwrap()
    }

    #[test]
    fn layers_go_from_discs_to_pairs_of_discs() {
        let found = fit(&discs(8), DensityParams { base_min_cluster_size: 15, ..DensityParams::default() });
        assert_eq!(found.layers()[0].n_clusters, 8);
        assert!(found.layers().windows(2).all(|pair| pair[0].n_clusters >= pair[1].n_clusters));
        let tree = found.tree();
        for (at, layer) in found.layers().iter().enumerate() {
            for (label, members) in layer.members().iter().enumerate() {
                let mut group: Vec<_> = members.iter().map(|row| row / 80).collect();
                group.dedup();
                assert_eq!(group.len(), 1, "layer {at} cluster {label}");
            }
        }
        assert!(!tree.roots().is_empty());
    }

    #[test]
    fn about_as_many_clusters_are_found_as_were_asked_for() {
        let points = discs(8);
        let points: Vec<Point<4>> = points.rows().map(padded).collect();
        for wanted in [4, 8] {
            let params = DensityParams::default();
            let found = DensityLayers::of(&points, &params, Some(wanted), Par::Serial, Monitor::new()).unwrap();
            assert_eq!((found.layers().len(), found.best().n_clusters), (1, wanted));
        }
        let params = DensityParams { base_n_clusters: Some(8), ..DensityParams::default() };
        let found = DensityLayers::of(&points, &params, None, Par::Serial, Monitor::new()).unwrap();
        assert_eq!(found.layers()[0].n_clusters, 8);
    }

    #[test]
    fn few_points_are_noise_and_copies_are_one_cluster() {
        for n in 0..=5 {
            let found = fit(&Matrix::new(vec![1.0; 2 * n], 2).unwrap(), DensityParams::default());
            assert_eq!((found.best().labels.len(), found.best().n_clusters), (n, 0));
        }
        let copies = fit(&Matrix::new(vec![1.0; 200], 2).unwrap(), DensityParams::default());
        assert_eq!((copies.best().n_clusters, copies.best().noise_fraction()), (1, 0.0));
        assert_eq!(copies.layers().len(), 1);
    }

    #[test]
    fn bad_points_are_named() {
        let fit = |data: Vec<f32>, dim| {
            let points = Matrix::new(data, dim).unwrap();
            DensityLayers::fit(points.view(), &DensityParams::default(), Par::Serial, Monitor::new()).unwrap_err()
        };
        let error = fit(vec![0.0, 1.0, f32::NAN, 0.0], 2);
        assert!(matches!(error, EvocError::Row(RowError { row: 1, source: VectorError::NonFinite { column: 0, .. } })));
        assert_eq!(
            fit(vec![0.0; 17], 17).to_string(),
            "1 rows of 17 columns, expected at most 2147483648 rows of 1 to 16 columns"
        );
    }
}
