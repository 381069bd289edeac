//! Everything that can end a command, with the sentence that the user gets.

use crate::bench::report::ReportError;
use crate::data::catalogue::CatalogueError;
use crate::data::download::DownloadError;
use crate::engine::EngineError;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "each variant is the failure of one module, documented there")]
pub(crate) enum Error {
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
    #[error(transparent)]
    Download(#[from] DownloadError),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Report(#[from] ReportError),
    #[error("{scheme}: {source}")]
    Train { scheme: String, source: ann::quant::TrainError },
    #[error(transparent)]
    Ci(#[from] crate::ci::CiError),
    #[error(transparent)]
    Cross(#[from] crate::cross::CrossError),
    #[error("{path}: {source}")]
    Read { path: String, source: ann_io::ReadError },
    #[error(transparent)]
    Write(#[from] ann_io::WriteError),
    #[error(transparent)]
    Shape(#[from] ann_core::ShapeError),
    #[error(transparent)]
    Recall(#[from] ann_testkit::recall::RecallError),
    /// What was asked for makes no sense.
    #[error("{0}")]
    Usage(String),
}
