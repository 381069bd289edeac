//! The parameters of DEG.

use crate::hnsw::ParamError;
use crate::{global_dimension, local_dimension};
use ann_core::{DistanceOracle, Metric, Neighbor, Par, ReadRow, ScratchPool, TopK};

/// How a [`Deg`](super::Deg) graph is built.
///
/// ```
/// use ann_graph::DegParams;
/// let params = DegParams { degree: 20, ..DegParams::default() };
/// assert!(params.check().is_ok());
/// assert!(DegParams { degree: 21, ..params }.check().is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "persist", derive(serde::Serialize, serde::Deserialize))]
pub struct DegParams {
    /// `d`: edges of every row, even, 4 to 512. 20 to 32 suit most data.
    pub degree: usize,
    /// `k_ext`: candidates considered per inserted row, at least 1; raised to `degree` (twice that for
    /// [`DegTarget::Streaming`]) where it is less.
    pub k_ext: usize,
    /// `ε_ext`: how far beyond these the search for them goes, on the stored distance (squared for L2). 0 to 10.
    pub eps_ext: f32,
    /// Which edges a new row takes over.
    pub target: DegTarget,
    /// Decides the order of insertion and the rows that are improved.
    pub seed: u64,
}

/// Which edge of a candidate gives way to an inserted row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "persist", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum DegTarget {
    /// The one whose detour over the new row adds the least length. For a local intrinsic dimension up to about 25, and for data of
    /// any dimension in tight clusters.
    #[default]
    LowLid,
    /// The longest; the new row takes both its ends. For higher dimensions.
    HighLid,
    /// The longest; the new row takes one end, and the other ends are joined among themselves. For data of any dimension, known or
    /// not, whose distribution may change: the best of the three where rows are spread evenly, for twice the time of a build. Not
    /// for tight clusters far apart, between which it leaves so few edges that a narrow walk ends in the wrong one.
    Streaming,
}

/// Rows whose dimension is measured, and the nearest others of each that are looked at.
const SAMPLE: usize = 64;
const NEAREST: usize = 20;

/// The dimension between [`DegTarget::LowLid`] and [`DegTarget::HighLid`]. In this measure 300,000 SIFT rows have 20 (1,168 distances
/// give recall .950 with the former, 1,221 .936 with the latter), 20,000 Gaussian rows of 64 columns 40 (.35 with 800 against .51).
/// The authors say 15, of estimates that are lower.
const HIGH: f64 = 25.0;

impl DegTarget {
    /// The target for the local intrinsic dimension of `store`: exact distances from 64 rows to all others are computed. The
    /// default where it cannot be told: of inner products, and of hardly any rows.
    ///
    /// ```
    /// use ann_core::{FlatStore, Matrix, Metric, Par, split_mix, unit};
    /// use ann_graph::DegTarget;
    /// let of = |dim| -> Result<_, Box<dyn std::error::Error>> {
    ///     let rows = Matrix::new((0..500 * dim as u64).map(|i| unit(split_mix(1, i)) as f32).collect(), dim)?;
    ///     Ok(DegTarget::of(&FlatStore::<f32>::from_rows(rows.view(), Metric::L2)?, Par::Ambient))
    /// };
    /// assert_eq!(of(3)?, DegTarget::LowLid);
    /// assert_eq!(of(100)?, DegTarget::HighLid);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn of<S: ReadRow>(store: &S, par: Par) -> Self {
        let (len, metric) = (store.len(), store.metric());
        if metric == Metric::InnerProduct {
            return Self::default();
        }
        let count = SAMPLE.min(len);
        let all: Vec<u32> = (0..len as u32).collect();
        let dimension = |(scratch, distances): &mut (S::Scratch, Vec<f32>), i: usize| {
            let row = (i * len / count) as u32;
            distances.resize(len, 0.0);
            store.oracle_at(row, scratch).exact(&all, distances);
            let mut nearest = TopK::new(NEAREST);
            let others = all.iter().zip(distances.iter()).filter(|&(&id, _)| id != row);
            others.for_each(|(&id, &distance)| nearest.push(Neighbor::new(id, distance)));
            let distances: Vec<f32> = nearest.into_sorted().iter().map(|n| metric.reported(n.distance)).collect();
            local_dimension(&distances).map(|dimension| dimension.value)
        };
        let pool = ScratchPool::default();
        let local = par.install(|par| {
            par.map_chunks(count, 1, &pool, |scratch, range| range.filter_map(|i| dimension(scratch, i)).collect())
        });
        match global_dimension(local.into_iter().flat_map(|local: Vec<f64>| local)) {
            None => Self::default(),
            Some(dimension) if dimension <= HIGH => Self::LowLid,
            Some(_) => Self::HighLid,
        }
    }
}

impl Default for DegParams {
    /// `degree` 32, `k_ext` 60, `eps_ext` 0.1, for rows of a low dimension.
    fn default() -> Self {
        Self { degree: 32, k_ext: 60, eps_ext: 0.1, target: DegTarget::default(), seed: 0 }
    }
}

impl DegParams {
    /// Whether every field is in its range.
    ///
    /// # Errors
    /// [`ParamError`] that names the first that is not.
    pub fn check(&self) -> Result<(), ParamError> {
        let even = (4..=512).contains(&self.degree) && self.degree.is_multiple_of(2);
        ParamError::unless(even, "degree", self.degree, "even and between 4 and 512")?;
        ParamError::unless(self.k_ext >= 1, "k_ext", self.k_ext, "at least 1")?;
        ParamError::unless((0.0..=10.0).contains(&self.eps_ext), "eps_ext", self.eps_ext, "between 0 and 10")
    }

    /// Candidates per inserted row.
    pub(super) fn candidates(&self) -> usize {
        let least = if self.target == DegTarget::Streaming { 2 * self.degree } else { self.degree };
        self.k_ext.max(least)
    }
}

/// How [`Deg::improve`](super::Deg::improve) looks for better edges.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DegImprove {
    /// `k_opt`: candidates for the end of a new edge, at least 1.
    pub k: usize,
    /// `ε_opt`: how far beyond these the search for them goes: to nodes farther than the last of them by this share.
    pub eps: f32,
    /// `i_opt`: most edges swapped, beyond the first, before a try is given up.
    pub swaps: usize,
}

impl Default for DegImprove {
    /// As in the papers: 30, 0.001 and 5.
    fn default() -> Self {
        Self { k: 30, eps: 0.001, swaps: 5 }
    }
}
