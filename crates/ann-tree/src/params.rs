//! What all trees share at their doors: how hard a search looks, and the errors of a build.

use ann_core::simd::ArchError;
use ann_core::{Cancelled, RowError};

/// How hard a search in a tree looks.
///
/// ```
/// use ann_tree::TreeSearch;
/// assert_eq!(TreeSearch::checks(500).checks, Some(500));
/// assert_eq!(TreeSearch::default().checks, None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TreeSearch {
    /// Rows that are compared before a search ends, as long as it has found `k`; the leaf that is open is finished. `None` is what the index
    /// thinks best: a tree with bounds finds the nearest rows with certainty.
    pub checks: Option<usize>,
}

impl TreeSearch {
    /// Compares about that many rows.
    pub fn checks(checks: usize) -> Self {
        Self { checks: Some(checks) }
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
    pub(crate) fn unless(
        holds: bool,
        name: &'static str,
        value: impl ToString,
        must: &'static str,
    ) -> Result<(), ParamError> {
        if holds { Ok(()) } else { Err(ParamError { name, value: value.to_string(), must }) }
    }
}

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
    /// The distance of the store does not keep the triangle inequality, on which the structure rests.
    #[error("a {structure} needs a distance that keeps the triangle inequality, {found} does not")]
    NoMetric {
        /// What was to be built.
        structure: &'static str,
        /// The distance.
        found: String,
    },
    /// The instruction set that `ANN_ARCH` asks for is not there.
    #[error(transparent)]
    Arch(#[from] ArchError),
    /// The caller asked to stop.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}
