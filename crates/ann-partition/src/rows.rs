//! What may stand behind lists: stores of rows, or nothing.

use ann_core::{
    DistanceOracle, FlatError, FlatStore, MAX_DIM, MAX_ROWS, Metric, PushVector, Rerank, Scalar, SplitStore,
    VectorError, VectorStore, check_dense,
};
use ann_quant::{CodeStore, Quantizer};

/// Rows that measure what codes let through.
pub trait ListRows: PushVector<Vector = [f32]> + 'static {
    /// Whether there is anything to measure by; where not, distances are those of the codes.
    const KEPT: bool = true;
}

impl<T: Scalar> ListRows for FlatStore<T> {}
impl ListRows for SplitStore {}
impl<Q: Quantizer> ListRows for CodeStore<Q> {}
impl<C, R> ListRows for Rerank<C, R>
where
    C: PushVector<Vector = [f32]> + 'static,
    R: PushVector<Vector = [f32]> + 'static,
{
}

/// In the place of rows where codes are all that is kept: counts rows and checks them. Every one is infinitely far away.
///
/// ```
/// use ann_core::{Metric, PushVector, VectorStore};
/// use ann_partition::NoRows;
/// let mut rows = NoRows::new(2, Metric::L2)?;
/// assert_eq!(rows.push(&[1.0, 2.0]), Ok(0));
/// assert!(rows.push(&[f32::NAN, 2.0]).is_err());
/// assert_eq!((rows.len(), rows.memory_usage()), (1, 0));
/// # Ok::<(), ann_core::FlatError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoRows {
    dim: usize,
    metric: Metric,
    len: usize,
}

impl NoRows {
    /// No rows of `dim` columns.
    ///
    /// # Errors
    /// [`FlatError::Dim`] if rows cannot have so many columns.
    pub fn new(dim: usize, metric: Metric) -> Result<Self, FlatError> {
        if (1..=MAX_DIM).contains(&dim) { Ok(Self { dim, metric, len: 0 }) } else { Err(FlatError::Dim { found: dim }) }
    }

    /// As if `len` rows had been pushed, most that ids can name.
    pub fn with_len(self, len: usize) -> Self {
        Self { len: len.min(MAX_ROWS as usize), ..self }
    }

    /// Columns of a row.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// The metric that rows are checked for.
    pub fn metric(&self) -> Metric {
        self.metric
    }
}

impl ListRows for NoRows {
    const KEPT: bool = false;
}

/// Says that every row is infinitely far away.
#[derive(Debug, Clone, Copy)]
pub struct NoOracle;

impl DistanceOracle for NoOracle {
    fn distances(&self, ids: &[u32], out: &mut [f32]) {
        assert!(ids.len() == out.len(), "{} ids, room for {} values", ids.len(), out.len());
        out.fill(f32::INFINITY);
    }
}

impl VectorStore for NoRows {
    type Vector = [f32];
    type Scratch = ();
    type Oracle<'a> = NoOracle;

    fn len(&self) -> usize {
        self.len
    }

    fn check(&self, vector: &[f32]) -> Result<(), VectorError> {
        check_dense(vector, self.dim, self.metric)
    }

    fn oracle<'a>(&'a self, _: &'a [f32], (): &'a mut ()) -> NoOracle {
        NoOracle
    }

    fn oracle_at<'a>(&'a self, _: u32, (): &'a mut ()) -> NoOracle {
        NoOracle
    }

    fn memory_usage(&self) -> usize {
        0
    }
}

impl PushVector for NoRows {
    fn push(&mut self, vector: &[f32]) -> Result<u32, VectorError> {
        self.check(vector)?;
        if self.len >= MAX_ROWS as usize {
            return Err(VectorError::Full { limit: MAX_ROWS });
        }
        self.len += 1;
        Ok(self.len as u32 - 1)
    }

    fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    fn swap_remove(&mut self, id: u32) {
        assert!((id as usize) < self.len, "row {id} of {}", self.len);
        self.len -= 1;
    }
}
