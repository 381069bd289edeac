//! What can go wrong when a partition index is made or grown.

use ann_core::{Cancelled, FlatError, RowError};
use ann_quant::TrainError;

/// Why a partition index could not be built or grown.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum IvfError {
    /// A parameter is outside its range.
    #[error("{name} is {found}, must be {must}")]
    Param {
        /// Its name.
        name: &'static str,
        /// What it was.
        found: usize,
        /// What it may be.
        must: &'static str,
    },
    /// Centres or codes could not be learnt from the rows.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// A row does not belong.
    #[error(transparent)]
    Row(#[from] RowError),
    /// The metric or the dimension is not to be had.
    #[error(transparent)]
    Store(FlatError),
    /// The caller asked to stop.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

impl From<FlatError> for IvfError {
    fn from(error: FlatError) -> Self {
        match error {
            FlatError::Row(error) => Self::Row(error),
            error => Self::Store(error),
        }
    }
}
