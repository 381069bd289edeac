//! The parameters of an RP-forest.

use crate::ParamError;

/// How an [`RpForest`](crate::RpForest) is built.
///
/// ```
/// use ann_tree::RpForestParams;
/// assert!(RpForestParams { trees: 20, ..RpForestParams::default() }.check().is_ok());
/// assert!(RpForestParams { trees: 0, ..RpForestParams::default() }.check().is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "persist", derive(serde::Serialize, serde::Deserialize))]
pub struct RpForestParams {
    /// Number of trees, 1 to 1,000. More find more for the same `checks`, and take more time to go down.
    pub trees: usize,
    /// Most rows of a leaf, 2 to 65,536.
    pub leaf: usize,
    /// Everything drawn at random depends on it and the rows alone.
    pub seed: u64,
}

impl RpForestParams {
    /// [`TreeSearch::checks`](crate::TreeSearch) where the caller does not say.
    pub(super) const CHECKS: usize = 4000;

    /// Whether every field is in its range.
    ///
    /// # Errors
    /// [`ParamError`] that names the first that is not.
    pub fn check(&self) -> Result<(), ParamError> {
        ParamError::unless((1..=1000).contains(&self.trees), "trees", self.trees, "between 1 and 1,000")?;
        ParamError::unless((2..=65_536).contains(&self.leaf), "leaf", self.leaf, "between 2 and 65,536")
    }
}

impl Default for RpForestParams {
    /// 16 trees with leaves of 100 rows.
    fn default() -> Self {
        Self { trees: 16, leaf: 100, seed: 0 }
    }
}
