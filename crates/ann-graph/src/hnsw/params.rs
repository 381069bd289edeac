//! The parameters of HNSW.

use super::Hierarchy;
use crate::OcclusionRule;
use crate::search::Effort;
use ann_core::{Limits, Reach, Route};

/// How an [`Hnsw`](super::Hnsw) graph is built.
///
/// ```
/// use ann_graph::HnswParams;
/// let params = HnswParams { m: 32, ..HnswParams::default() };
/// assert_eq!(params.m0(), 64);
/// assert!(HnswParams { m: 1, ..params }.check().is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "persist", derive(serde::Serialize, serde::Deserialize))]
pub struct HnswParams {
    /// `M`: links made per inserted row, and most links per node above layer 0. 2 to 512; 16 suits most data, 32 to 64
    /// data of high intrinsic dimension.
    pub m: usize,
    /// `M_max0`: most links per node on layer 0; `2 * m` if `None`. 2 to 1024; below `m`
    /// fewer than `m` links are made there.
    pub m0: Option<usize>,
    /// Candidates considered per inserted row, at least 1. Higher builds slower and searches better.
    pub ef_construction: usize,
    /// Multiplies the paper's `mL = 1 / ln(m)`: below 1 fewer rows rise to upper layers. Above 0, at most 4.
    pub level_scale: f64,
    /// Most layers, 1 to 16. Levels above are cut off.
    pub max_layers: usize,
    /// Widen the candidates by their neighbours before choosing (paper, Alg. 4); for extremely clustered data.
    pub extend_candidates: bool,
    /// Fill lists with the nearest of the candidates that the rule discarded (paper, Alg. 4).
    pub keep_pruned: bool,
    /// When a neighbour makes another superfluous.
    pub rule: OcclusionRule,
    /// Decides the level of every row and the order of insertion.
    pub seed: u64,
}

impl Default for HnswParams {
    /// `m` 16, `ef_construction` 200, everything else as in the paper.
    fn default() -> Self {
        Self {
            m: 16,
            m0: None,
            ef_construction: 200,
            level_scale: 1.0,
            max_layers: 16,
            extend_candidates: false,
            keep_pruned: false,
            rule: OcclusionRule::Nearest,
            seed: 0,
        }
    }
}

/// A parameter outside its range.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{name} is {value}, must be {must}")]
pub struct ParamError {
    /// The field.
    pub name: &'static str,
    /// Its value.
    pub value: String,
    /// What it must be.
    pub must: &'static str,
}

impl ParamError {
    /// The error of a check that failed: `Ok` if the condition `holds`.
    ///
    /// # Errors
    /// Itself, if it does not.
    pub fn unless(holds: bool, name: &'static str, value: impl ToString, must: &'static str) -> Result<(), Self> {
        if holds { Ok(()) } else { Err(Self { name, value: value.to_string(), must }) }
    }
}

impl HnswParams {
    /// One layer, entered at a medoid: NSW with bounded lists. In more than some 30 dimensions it searches as the stack does
    /// (Munyampirwa, Lakshman & Coleman, *Down with the Hierarchy*, arXiv:2412.01940) and takes a little less memory.
    pub fn nsw(m: usize) -> Self {
        Self { m, max_layers: 1, ..Self::default() }
    }

    /// The graph of DiskANN in memory: one layer, entered at a medoid, up to `max_degree` links, candidates from the whole
    /// path of a walk, and links that are relaxed by 1.2 while there is room. Subramanya et al., *DiskANN*,
    /// NeurIPS 2019; one pass from an empty graph, as its code does it. 32 to 128 links suit most data.
    pub fn vamana(max_degree: usize) -> Self {
        Self {
            m: max_degree,
            m0: Some(max_degree),
            ef_construction: 100,
            max_layers: 1,
            rule: OcclusionRule::Staged { alpha: 1.2 },
            ..Self::default()
        }
    }

    /// [`Self::vamana`] relaxed by `alpha`, with as many links as OPT-SNG allows: the mean of a graph built without such a
    /// bound (`max_degree` 512, say) over the rows or a sample of them, times the square of its own relaxation over `alpha`. Ma et al., *Sparse
    /// neighborhood graph-based ANNS revisited*, arXiv:2509.15531, Alg. 3, in which the number of rows cancels. Graphs
    /// are sparse: compare them at equal distances per query rather than at equal `ef`.
    ///
    /// ```
    /// use ann_core::{FlatStore, Matrix, Metric};
    /// use ann_graph::{Hnsw, HnswParams, OcclusionRule};
    /// let rows = Matrix::new((0..3000).map(|i| (i * i % 997) as f32).collect(), 6)?;
    /// let store = FlatStore::<f32>::from_rows(rows.view(), Metric::L2)?;
    /// let reference = HnswParams { rule: OcclusionRule::Staged { alpha: 1.0 }, ..HnswParams::vamana(512) };
    /// let reference = Hnsw::builder().params(reference).build(store.clone())?;
    /// let params = HnswParams::opt_sng(reference.hierarchy(), 1.2);
    /// assert!(params.m < 512);
    /// let graph = Hnsw::builder().params(params).build(store)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn opt_sng(reference: &Hierarchy, alpha: f32) -> Self {
        let before = match reference.params().rule {
            OcclusionRule::Relaxed { alpha } | OcclusionRule::Staged { alpha } => alpha,
            OcclusionRule::Nearest | OcclusionRule::Angle { .. } => 1.0,
        };
        let most = reference.mean_degree() * f64::from(before / alpha).powi(2);
        let vamana = Self::vamana((most.round() as usize).clamp(2, 512));
        Self { rule: OcclusionRule::Staged { alpha }, ..vamana }
    }

    /// Most links per node on layer 0.
    pub fn m0(&self) -> usize {
        self.m0.unwrap_or(2 * self.m)
    }

    /// Whether every field is in its range.
    ///
    /// # Errors
    /// [`ParamError`] that names the first that is not.
    pub fn check(&self) -> Result<(), ParamError> {
        ParamError::unless((2..=512).contains(&self.m), "m", self.m, "between 2 and 512")?;
        ParamError::unless((2..=1024).contains(&self.m0()), "m0", self.m0(), "between 2 and 1024")?;
        ParamError::unless(self.ef_construction >= 1, "ef_construction", self.ef_construction, "at least 1")?;
        let scale = self.level_scale;
        ParamError::unless(scale > 0.0 && scale <= 4.0, "level_scale", scale, "above 0 and at most 4")?;
        ParamError::unless((1..=16).contains(&self.max_layers), "max_layers", self.max_layers, "between 1 and 16")?;
        match self.rule {
            OcclusionRule::Nearest => Ok(()),
            OcclusionRule::Relaxed { alpha } | OcclusionRule::Staged { alpha } => {
                ParamError::unless(alpha >= 1.0 && alpha.is_finite(), "alpha", alpha, "at least 1")
            }
            OcclusionRule::Angle { min_degrees } => {
                let range = (0.0..=180.0).contains(&min_degrees);
                ParamError::unless(range, "min_degrees", min_degrees, "between 0 and 180")
            }
        }
    }

    /// The level of row `id`: `floor(-ln(u) * mL)`, cut to the layers there may be.
    pub(crate) fn level(&self, id: u32) -> usize {
        let u = ann_core::unit(ann_core::split_mix(self.seed, u64::from(id)));
        let level = -u.ln() * self.level_scale / (self.m as f64).ln();
        (level as usize).min(self.max_layers - 1)
    }
}

/// How hard a search looks.
///
/// ```
/// use ann_core::Reach;
/// use ann_graph::HnswSearch;
/// assert_eq!(HnswSearch::ef(200).ef, 200);
/// // Few candidates for easy queries, up to 1,000 for hard ones.
/// let adaptive = HnswSearch { reach: Some(Reach { factor: 1.3, offset: 0.0 }), ..HnswSearch::ef(1_000) };
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HnswSearch {
    /// Candidates kept during the walk; raised to `k` where it is less. Recall and time grow with it.
    pub ef: usize,
    /// Ends the walk before `ef` candidates are expanded, where the next is out of reach of the `k` nearest.
    pub reach: Option<Reach>,
    /// What the search may cost.
    pub limits: Limits,
    /// How rows are looked for that a filter accepts; `None` chooses what seems to cost the least.
    pub route: Option<Route>,
}

impl HnswSearch {
    /// Keeps `ef` candidates, without limits.
    pub fn ef(ef: usize) -> Self {
        Self { ef, ..Self::default() }
    }

    /// For a walk to the `k` nearest of `len` rows.
    pub(crate) fn effort(&self, k: usize, len: usize) -> Effort {
        let reach = self.reach.map(|reach| (k, reach));
        Effort { ef: self.ef.max(k).min(len), reach, limits: self.limits, two_hops: false }
    }
}

impl Default for HnswSearch {
    /// `ef` 64, nothing else.
    fn default() -> Self {
        Self { ef: 64, reach: None, limits: Limits::default(), route: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_follow_the_geometric_law() {
        let params = HnswParams::default();
        let mut counts = [0usize; 16];
        (0..50_000).for_each(|id| counts[params.level(id)] += 1);
        // Expected n * (1 - 1/16) / 16^l, within four standard deviations.
        assert!(counts[0].abs_diff(46_875) < 220, "{counts:?}");
        assert!(counts[1].abs_diff(2_930) < 210, "{counts:?}");
        assert!(counts[2].abs_diff(183) < 55, "{counts:?}");
    }

    #[test]
    fn a_parameter_out_of_range_is_named() {
        let error = HnswParams { m0: Some(1), ..HnswParams::default() }.check().unwrap_err();
        assert_eq!(error.to_string(), "m0 is 1, must be between 2 and 1024");
    }
}
