//! EVoC: clusters of embeddings, from the rows to layers of labels.
//!
//! A graph of the nearest neighbours of all rows is laid out in a few dimensions, where like rows crowd together;
//! crowds are clusters. Port of the Python package `evoc` 0.3.2 (Tutte Institute, unpublished), which joins UMAP
//! (arXiv:1802.03426), HDBSCAN (PAKDD 2013) and PLSCAN (arXiv:2512.16558). Its default and its seeded path are
//! different algorithms; only the seeded one is ported, which also finds what the other breaks up. Where we differ:
//! neighbours of small data are exact, draws do not come from its generator, copies never split, few rows and no rows
//! are fine.
//!
//! Cost: neighbours of all rows, then per epoch one pass over some 20 edges a row, then a spanning tree in few
//! dimensions; about 500 bytes per row beside the rows, which are copied.

use crate::fuzzy::fuzzy_graph;
use crate::layout::{Schedule, lay_out, scattered};
use crate::neighbors::Neighborhoods;
use crate::points::Point;
use crate::reduce::Start;
use crate::{ClusterTree, DensityLayers, Embeddings, EvocError, EvocParams, Layer};
use ann_core::{Matrix, MatrixView, Monitor, Par, split_mix};

/// The first step of the layout.
const ALPHA: f32 = 0.1;
/// How far the logarithm of a cosine of 1 is from 0 where rows have some thousand columns.
const ROUNDING: f32 = 2e-6;

/// Clusters of embeddings, in layers from fine to coarse.
///
/// ```
/// use ann_cluster::{Evoc, EvocParams};
/// use ann_core::{Matrix, Monitor, Par};
/// // Four directions with some noise about each.
/// let noise = |i: usize| (i * i % 97) as f32 / 970.0;
/// let rows: Vec<[f32; 4]> = (0..400)
///     .map(|i| std::array::from_fn(|d| if d == i % 4 { 1.0 } else { noise(5 * i + d) }))
///     .collect();
/// let rows = Matrix::from_rows(&rows)?;
/// let found = Evoc::fit(&rows, &EvocParams::default(), Par::Ambient, Monitor::new())?;
/// assert_eq!(found.labels().len(), 400);
/// assert!(found.layers().iter().any(|layer| layer.n_clusters >= 4));
/// // No cluster of any layer mixes directions.
/// for members in found.layers().iter().flat_map(|layer| layer.members()) {
///     assert!(members.iter().all(|row| row % 4 == members[0] % 4));
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Evoc {
    layers: DensityLayers,
    layout: Matrix<f32>,
    neighborhoods: Neighborhoods,
    /// By how much copies may seem less alike than a row and itself.
    rounding: f32,
}

impl Evoc {
    /// Clusters `rows`: floats by the angle between them, `i8` by inner product, `u8` as bits by their share of common
    /// ones. The same rows, parameters and seed give the same result on any number of threads.
    ///
    /// `monitor` hears how many of 100 parts of the work are done, and may cancel.
    ///
    /// # Errors
    /// [`EvocError`] if a parameter is outside its range, a value is not finite, or `monitor` cancels.
    pub fn fit<'r>(
        rows: impl Into<Embeddings<'r>>,
        params: &EvocParams,
        par: Par,
        monitor: Monitor<'_>,
    ) -> Result<Self, EvocError> {
        let rows = rows.into();
        params.check()?;
        rows.check()?;
        let fit = match params.layout_dim().div_ceil(4) {
            1 => Self::of::<4>,
            2 => Self::of::<8>,
            3 => Self::of::<12>,
            _ => Self::of::<16>,
        };
        par.install(|par| fit(&rows, params, par, monitor))
    }

    fn of<const P: usize>(
        rows: &Embeddings<'_>,
        params: &EvocParams,
        par: Par,
        monitor: Monitor<'_>,
    ) -> Result<Self, EvocError> {
        let seed = |stage| split_mix(params.seed, stage);
        monitor.report(0, 100)?;
        let neighborhoods = Neighborhoods::find(rows, params.n_neighbors, seed(0), par, monitor.silent())?;
        monitor.report(50, 100)?;
        let layout = layout::<P>(&neighborhoods, rows, params, par, monitor)?;
        monitor.report(90, 100)?;
        let density = params.density();
        let layers = DensityLayers::of(&layout, &density, params.approx_n_clusters, par, monitor.silent())?;
        monitor.report(100, 100)?;
        let dim = params.layout_dim();
        let values = layout.iter().flat_map(|place| &place[..dim]).copied().collect();
        let layout = Matrix::new(values, dim).unwrap_or_else(|_| unreachable!("whole rows"));
        // Integers and bits are compared without rounding.
        let rounding = if matches!(rows, Embeddings::Cosine(_)) { ROUNDING } else { 0.0 };
        Ok(Self { layers, layout, neighborhoods, rounding })
    }

    /// The cluster of every row in the layer that stands out most; `None` is noise.
    pub fn labels(&self) -> &[Option<u32>] {
        &self.best().labels
    }

    /// How firmly every row belongs to its cluster of [`Self::labels`], in `0..=1`.
    pub fn strengths(&self) -> &[f32] {
        &self.best().strengths
    }

    /// The layer that stands out most.
    pub fn best(&self) -> &Layer {
        self.layers.best()
    }

    /// All layers, the finest first. At least one.
    pub fn layers(&self) -> &[Layer] {
        self.layers.layers()
    }

    /// Which clusters of finer layers are within which of coarser ones.
    pub fn tree(&self) -> ClusterTree {
        self.layers.tree()
    }

    /// Where every row lies in the layout, `(n, node_embedding_dim)`.
    pub fn layout(&self) -> MatrixView<'_, f32> {
        self.layout.view()
    }

    /// The nearest rows of every row, itself first: `(n, min(n_neighbors, n))`.
    pub fn neighbors(&self) -> MatrixView<'_, u32> {
        self.neighborhoods.ids()
    }

    /// How unlike they are: `-log2` of the cosine or of the share of common bits, one over the inner product.
    pub fn dissimilarities(&self) -> MatrixView<'_, f32> {
        let k = self.neighborhoods.ids().dim();
        MatrixView::new(self.neighborhoods.dissimilarities(), k).unwrap_or_else(|_| unreachable!("whole rows"))
    }

    /// Pairs of rows `(a, b)`, `a < b`, ascending, that are as alike as either is to itself, up to rounding: rows of
    /// floats that are equal or multiples of each other, equal rows of integers or bits. Of more copies than there are
    /// neighbours not all pairs are named.
    pub fn duplicates(&self) -> Vec<(u32, u32)> {
        self.neighborhoods.pairs_within(|a, b| a.min(b) + self.rounding)
    }

    /// Pairs of neighbours `(a, b)`, `a < b`, ascending, no more unlike than `most` (see [`Self::dissimilarities`]):
    /// for floats that is a cosine of `2^-most` or more.
    pub fn near_duplicates(&self, most: f32) -> Vec<(u32, u32)> {
        self.neighborhoods.pairs_within(|_, _| most)
    }
}

/// Where the rows lie that have these neighbours.
pub(crate) fn layout<const P: usize>(
    neighborhoods: &Neighborhoods,
    rows: &Embeddings<'_>,
    params: &EvocParams,
    par: Par,
    monitor: Monitor<'_>,
) -> Result<Vec<Point<P>>, EvocError> {
    let seed = |stage| split_mix(params.seed, stage);
    let count = params.neighbor_scale * params.n_neighbors as f32;
    let edges = fuzzy_graph(neighborhoods, count, params.symmetrize_graph, par);
    let (dim, noise_level, rounds) = (params.layout_dim(), params.noise_level, params.n_label_prop_iter);
    let start = if params.label_propagation {
        Start { dim, noise_level, rounds, par, monitor: monitor.silent() }.of(&edges, rows, seed(1))?
    } else {
        scattered(rows.len(), dim, seed(1))
    };
    monitor.report(60, 100)?;
    let schedule = Schedule { epochs: params.n_epochs, alpha: ALPHA, noise_level, seed: seed(2) };
    Ok(lay_out(&edges, start, schedule, par, monitor.silent())?)
}
