//! Setting the parameters of an index and starting its build.

use super::{Hierarchy, Hnsw, HnswParams, ParamError};
use crate::OcclusionRule;
use ann_core::{Cancelled, Monitor, Par, RowError, VectorStore};

/// Why a build failed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A parameter is outside its range.
    #[error(transparent)]
    Param(#[from] ParamError),
    /// A row does not belong in the store.
    #[error(transparent)]
    Row(#[from] RowError),
    /// The caller asked to stop.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

/// Sets the parameters of an [`Hnsw`] index one by one, then builds it.
///
/// ```
/// use ann_core::{FlatStore, Matrix, Metric, Par};
/// use ann_graph::Hnsw;
/// let rows = Matrix::new((0..64).map(|x| x as f32).collect(), 2)?;
/// let store = FlatStore::<f32>::from_rows(rows.view(), Metric::L2)?;
/// let hnsw = Hnsw::builder().m(8).ef_construction(100).seed(7).par(Par::Serial).build(store)?;
/// assert_eq!(hnsw.hierarchy().len(), 32);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct HnswBuilder<'a> {
    params: HnswParams,
    par: Par,
    monitor: Monitor<'a>,
}

impl<'a> HnswBuilder<'a> {
    /// All parameters at once.
    pub fn params(mut self, params: HnswParams) -> Self {
        self.params = params;
        self
    }

    /// [`HnswParams::m`].
    pub fn m(mut self, m: usize) -> Self {
        self.params.m = m;
        self
    }

    /// [`HnswParams::m0`].
    pub fn m0(mut self, m0: usize) -> Self {
        self.params.m0 = Some(m0);
        self
    }

    /// [`HnswParams::ef_construction`].
    pub fn ef_construction(mut self, ef_construction: usize) -> Self {
        self.params.ef_construction = ef_construction;
        self
    }

    /// [`HnswParams::level_scale`].
    pub fn level_scale(mut self, level_scale: f64) -> Self {
        self.params.level_scale = level_scale;
        self
    }

    /// [`HnswParams::max_layers`].
    pub fn max_layers(mut self, max_layers: usize) -> Self {
        self.params.max_layers = max_layers;
        self
    }

    /// [`HnswParams::extend_candidates`].
    pub fn extend_candidates(mut self, extend_candidates: bool) -> Self {
        self.params.extend_candidates = extend_candidates;
        self
    }

    /// [`HnswParams::keep_pruned`].
    pub fn keep_pruned(mut self, keep_pruned: bool) -> Self {
        self.params.keep_pruned = keep_pruned;
        self
    }

    /// [`HnswParams::rule`].
    pub fn rule(mut self, rule: OcclusionRule) -> Self {
        self.params.rule = rule;
        self
    }

    /// [`HnswParams::seed`].
    pub fn seed(mut self, seed: u64) -> Self {
        self.params.seed = seed;
        self
    }

    /// On which threads to build; the result is the same on any.
    pub fn par(mut self, par: Par) -> Self {
        self.par = par;
        self
    }

    /// Whom to tell of progress, and who may cancel.
    pub fn monitor(mut self, monitor: Monitor<'a>) -> Self {
        self.monitor = monitor;
        self
    }

    /// Links all rows of `store`.
    ///
    /// # Errors
    /// [`BuildError`] if a parameter is outside its range or the build was cancelled.
    pub fn build<S: VectorStore>(self, store: S) -> Result<Hnsw<S>, BuildError> {
        self.params.check()?;
        let mut hnsw = Hnsw { hierarchy: Hierarchy::new(self.params), store };
        self.par.install(|par| hnsw.link_new_rows(par, self.monitor))?;
        Ok(hnsw)
    }
}

impl Hnsw<()> {
    /// Starts with the default parameters.
    pub fn builder<'a>() -> HnswBuilder<'a> {
        HnswBuilder::default()
    }
}
