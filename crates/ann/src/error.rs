//! Everything that can go wrong at the door.

use crate::LabelError;
use crate::factory::SpecError;
use ann_core::{Cancelled, FlatError, RowError, ShapeError, VectorError};

/// Why a call of this crate failed. Each variant wraps the small error of one activity, which says what was expected,
/// what came and where.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An index string is malformed.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// Values do not form rows.
    #[error(transparent)]
    Shape(#[from] ShapeError),
    /// A row does not belong in the index.
    #[error(transparent)]
    Row(#[from] RowError),
    /// A query does not fit the index.
    #[error("the query does not fit: {0}")]
    Query(#[from] VectorError),
    /// Labels do not fit the rows.
    #[error(transparent)]
    Label(#[from] LabelError),
    /// The metric, the dimension or the instruction set asked for is not to be had.
    #[error(transparent)]
    Store(FlatError),
    /// A parameter is outside its range.
    #[cfg(feature = "graph")]
    #[error(transparent)]
    Param(#[from] ann_graph::ParamError),
    /// Neighbour blocks cannot be made of such a graph.
    #[cfg(feature = "graph")]
    #[error(transparent)]
    Block(#[from] ann_graph::BlockError),
    /// Lists cannot be made or grown.
    #[cfg(feature = "ivf_pq")]
    #[error(transparent)]
    Ivf(ann_partition::IvfError),
    /// Codes could not be learnt from the rows.
    #[cfg(feature = "quant")]
    #[error(transparent)]
    Train(ann_quant::TrainError),
    /// The feature of this crate that holds the index is off.
    #[error("{what} needs the feature `{feature}` of the crate `ann`")]
    Feature {
        /// What was asked for.
        what: String,
        /// What to turn on.
        feature: &'static str,
    },
    /// The spec names one metric, the options or the file another.
    #[error("the index string asks for the metric {spec}, the options for {options}")]
    Metric {
        /// Metric of the string.
        spec: ann_core::Metric,
        /// Metric of the options.
        options: ann_core::Metric,
    },
    /// An index cannot become another over the same rows.
    #[error("`{from}` cannot become `{to}`: {why}")]
    Convert {
        /// What there is.
        from: crate::factory::Spec,
        /// What was asked for.
        to: crate::factory::Spec,
        /// What stands in the way.
        why: &'static str,
    },
    /// The rows are not there to build anything from.
    #[error("an index `{spec}` keeps codes or rounded rows in place of its rows")]
    RowsGone {
        /// What there is.
        spec: crate::factory::Spec,
    },
    /// A recall was named that cannot be had with certainty.
    #[error("recall {target} for {k} results was asked for, searches are sure to reach {reachable} at the most")]
    OutOfReach {
        /// What was asked for.
        target: f64,
        /// Results of the search.
        k: usize,
        /// The most that may be asked for.
        reachable: f64,
    },
    /// A recall that is none.
    #[error("the target recall is {target}, must be above 0 and below 1")]
    Target {
        /// What was asked for.
        target: f64,
    },
    /// How hard to look for a recall is not known, or cannot be learnt.
    #[error("{why}")]
    Calibration {
        /// What is missing.
        why: &'static str,
    },
    /// Rows were selected before the index was compacted, which numbers them anew.
    #[error("the selection was made before the index was compacted, or for another index")]
    Selection,
    /// A radius that no distance can be compared with.
    #[error("the radius is NaN, expected a number")]
    Radius,
    /// The caller asked to stop.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
    /// A file could not be read as an index.
    #[cfg(feature = "io")]
    #[error(transparent)]
    Load(#[from] ann_io::container::LoadError),
    /// A file could not be written.
    #[cfg(feature = "io")]
    #[error(transparent)]
    Save(#[from] ann_io::container::SaveError),
}

impl Error {
    /// What went wrong with rows of which `start` are not counted.
    pub(crate) fn of_rows_from(self, start: usize) -> Self {
        match self {
            Self::Row(RowError { row, source }) => Self::Row(RowError { row: start + row, source }),
            Self::Label(LabelError::Taken { row, label, by }) => {
                Self::Label(LabelError::Taken { row: start + row, label, by })
            }
            other => other,
        }
    }

    /// What went wrong with one query, as that of query `row` of many.
    pub(crate) fn of_row(self, row: usize) -> Self {
        match self {
            Self::Query(source) => Self::Row(RowError { row, source }),
            other => other,
        }
    }
}

impl From<FlatError> for Error {
    fn from(error: FlatError) -> Self {
        match error {
            FlatError::Row(row) => Self::Row(row),
            other => Self::Store(other),
        }
    }
}

#[cfg(feature = "quant")]
impl From<ann_quant::TrainError> for Error {
    fn from(error: ann_quant::TrainError) -> Self {
        use ann_quant::TrainError;
        match error {
            TrainError::Row(row) => Self::Row(row),
            TrainError::Store(store) => store.into(),
            other => Self::Train(other),
        }
    }
}

#[cfg(feature = "ivf_pq")]
impl From<ann_partition::IvfError> for Error {
    fn from(error: ann_partition::IvfError) -> Self {
        use ann_partition::IvfError;
        match error {
            IvfError::Row(row) => Self::Row(row),
            IvfError::Store(store) => store.into(),
            IvfError::Train(train) => train.into(),
            IvfError::Cancelled(cancelled) => Self::Cancelled(cancelled),
            other => Self::Ivf(other),
        }
    }
}

#[cfg(feature = "graph")]
impl From<ann_graph::BuildError> for Error {
    fn from(error: ann_graph::BuildError) -> Self {
        use ann_graph::BuildError;
        match error {
            BuildError::Param(param) => Self::Param(param),
            BuildError::Row(row) => Self::Row(row),
            // The enum may grow; what is left today is the cancelled build.
            _ => Self::Cancelled(Cancelled),
        }
    }
}
