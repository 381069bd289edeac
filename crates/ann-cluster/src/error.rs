//! Why a clustering failed.

use ann_core::{Cancelled, RowError};
use ann_graph::ParamError;

/// Why a clustering failed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum EvocError {
    /// A parameter is outside its range.
    #[error(transparent)]
    Param(#[from] ParamError),
    /// A row holds what is not a finite number.
    #[error(transparent)]
    Row(#[from] RowError),
    /// There are more rows than `u32` numbers, or rows longer than a store takes.
    #[error("{rows} rows of {dim} columns, expected at most {max_rows} rows of 1 to {max_dim} columns")]
    Size {
        /// Rows given.
        rows: usize,
        /// Their columns.
        dim: usize,
        /// The most rows.
        max_rows: usize,
        /// The most columns.
        max_dim: usize,
    },
    /// The kernels cannot be had: `ANN_ARCH` asks for an instruction set that this processor lacks.
    #[error("{reason}")]
    Kernels {
        /// What the store says.
        reason: String,
    },
    /// The starting layout was not found: magnitudes are beyond what `f64` can square.
    #[error("the principal components of {rows} rows were not found: magnitudes are out of range")]
    Start {
        /// Rows of the coarsest level.
        rows: usize,
    },
    /// The caller asked to stop.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}
