//! Setting the parameters of an index and starting its build.

use super::edges::Edges;
use super::{Deg, DegParams, DegTarget};
use crate::BuildError;
use ann_core::{Monitor, Par, VectorStore};

/// Sets the parameters of a [`Deg`] index one by one, then builds it.
///
/// ```
/// use ann_core::{FlatStore, Matrix, Metric, Par};
/// use ann_graph::{Deg, DegTarget};
/// let rows = Matrix::new((0..128).map(|x| x as f32).collect(), 2)?;
/// let store = FlatStore::<f32>::from_rows(rows.view(), Metric::L2)?;
/// let deg = Deg::builder().degree(8).k_ext(20).target(DegTarget::LowLid).seed(7).par(Par::Serial).build(store)?;
/// assert_eq!(deg.neighbors(5).count(), 8);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct DegBuilder<'a> {
    params: DegParams,
    par: Par,
    monitor: Monitor<'a>,
}

impl<'a> DegBuilder<'a> {
    /// All parameters at once.
    pub fn params(mut self, params: DegParams) -> Self {
        self.params = params;
        self
    }

    /// [`DegParams::degree`].
    pub fn degree(mut self, degree: usize) -> Self {
        self.params.degree = degree;
        self
    }

    /// [`DegParams::k_ext`].
    pub fn k_ext(mut self, k_ext: usize) -> Self {
        self.params.k_ext = k_ext;
        self
    }

    /// [`DegParams::eps_ext`].
    pub fn eps_ext(mut self, eps_ext: f32) -> Self {
        self.params.eps_ext = eps_ext;
        self
    }

    /// [`DegParams::target`].
    pub fn target(mut self, target: DegTarget) -> Self {
        self.params.target = target;
        self
    }

    /// [`DegParams::seed`].
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
    pub fn build<S: VectorStore>(self, store: S) -> Result<Deg<S>, BuildError> {
        self.params.check()?;
        let mut deg = Deg { params: self.params, edges: Edges::new(self.params.degree), tries: 0, store };
        self.par.install(|par| deg.link_new_rows(par, self.monitor))?;
        Ok(deg)
    }
}

impl Deg<()> {
    /// Starts with the default parameters.
    pub fn builder<'a>() -> DegBuilder<'a> {
        DegBuilder::default()
    }
}
