//! What can go wrong in training.

use ann_core::simd::ArchError;
use ann_core::{FlatError, Metric, RowError};

/// Why a quantizer could not be trained.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// A parameter is outside its range.
    #[error("{name} is {found}, must be {must}")]
    Param {
        /// Its name.
        name: &'static str,
        /// What it is.
        found: usize,
        /// What it should be.
        must: &'static str,
    },
    /// A number is outside its range.
    #[error("{name} is {found}, must be {must}")]
    Value {
        /// Its name.
        name: &'static str,
        /// What it is.
        found: f32,
        /// What it should be.
        must: &'static str,
    },
    /// Too few rows to learn from.
    #[error("{found} rows to train on, at least {needed} are needed")]
    TooFew {
        /// Rows given.
        found: usize,
        /// Rows needed.
        needed: usize,
    },
    /// The scheme has no distances of this kind.
    #[error("the metric {metric} does not apply to {kind} codes")]
    Metric {
        /// What was asked for.
        metric: Metric,
        /// The scheme.
        kind: &'static str,
    },
    /// A decomposition found no solution: magnitudes are too far apart.
    #[error("{what} could not be computed from these rows")]
    NotConverged {
        /// What was sought.
        what: &'static str,
    },
    /// A row cannot be trained on.
    #[error(transparent)]
    Row(#[from] RowError),
    /// Rows could not be kept while training.
    #[error(transparent)]
    Store(#[from] FlatError),
    /// The instruction set that `ANN_ARCH` asks for is not there.
    #[error(transparent)]
    Arch(#[from] ArchError),
}
