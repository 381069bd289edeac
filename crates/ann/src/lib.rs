//! Approximate nearest-neighbour search: one crate for every index of the workspace.
//!
//! ```
//! use ann::prelude::*;
//!
//! fn main() -> Result<(), ann::Error> {
//!     let vectors = Matrix::from_rows(&[[0.0, 0.0], [1.0, 0.0], [0.0, 3.0]])?;
//!     let index = ann::build(&vectors, Metric::L2)?;
//!     let nearest = index.search(&[0.9, 0.1], 2)?;
//!     assert_eq!(nearest[0].label, 1);
//!     Ok(())
//! }
//! ```
//!
//! [`build`] chooses an index for you; a [`Spec`] such as `"HNSW32"` names one. [`Index`] is what both give: it searches,
//! grows, saves itself and is opened again by [`open`]. Rows are known to the outside by `u64` labels, which are their
//! positions unless you give others.
//!
//! This crate is thin: the metrics, matrices and exact search are in [`core`], the graphs in [`graph`], the files in
//! [`io`]. Whoever wants full control (own metrics, own row types, no dynamic dispatch) uses those directly:
//!
//! ```
//! use ann::core::{Par, SpaceStore, Searcher, distance::Levenshtein};
//! use ann::graph::{Hnsw, HnswSearch};
//! let words = ["nearest", "neighbour", "search"].map(str::to_owned).to_vec();
//! let hnsw = Hnsw::builder().par(Par::Serial).build(SpaceStore::<str, _>::from_rows(words, Levenshtein)?)?;
//! let mut searcher = Searcher::new(&hnsw, HnswSearch::default());
//! assert_eq!(searcher.search("neighbor", 1)?[0].id, 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What belongs together rather than what is near: `cluster::Evoc` finds clusters of embeddings in layers, noise and copies (`examples/cluster_embeddings.rs`).
//!
//! # Features
//! Each only adds: `graph` (HNSW, NSW, Vamana, DEG), `quant` (rows as codes), `ivf_pq` and `scann` (inverted lists), `tree` (KD-trees, ball trees, forests, k-means
//! trees), `evoc` (clusters of embeddings), `io` (files), `hdf5` (ann-benchmarks data sets), `rayon` (threads). All are on by
//! default; without any the crate still searches exactly.

#![forbid(unsafe_code)]

/// Runs the examples of the README as tests, so that they cannot go stale.
#[cfg(all(doctest, feature = "graph"))]
#[doc = include_str!("../../../README.md")]
struct Readme;

mod any;
mod calibration;
mod dead;
mod error;
mod index;
mod labels;
#[cfg(feature = "io")]
mod open;
mod pages;
mod search;
mod searcher;
mod select;
mod shared;

pub mod factory;
pub mod prelude;

#[cfg(feature = "evoc")]
pub use ann_cluster as cluster;
pub use ann_core as core;
pub use ann_core::{
    Batch, Cancelled, ElementKind, Limits, Matrix, MatrixView, MemoryUsage, Metric, Monitor, Neighbor, Par, Reach,
    Route, RowError, SearchStats, VectorError,
};
#[cfg(feature = "graph")]
pub use ann_graph as graph;
#[cfg(feature = "io")]
pub use ann_io as io;
#[cfg(feature = "ivf_pq")]
pub use ann_partition as partition;
#[cfg(feature = "quant")]
pub use ann_quant as quant;
#[cfg(feature = "tree")]
pub use ann_tree as tree;
pub use any::{AnyIndex, AnySearcher, RowFilter, SearchParams};
pub use calibration::Calibration;
pub use error::Error;
pub use factory::{BuildOptions, Spec, SpecError};
pub use index::Index;
pub use labels::LabelError;
#[cfg(feature = "io")]
pub use open::{open, open_with};
pub use pages::Pages;
pub use search::Hit;
pub use searcher::Searcher;
pub use select::Selection;
pub use shared::SharedIndex;

/// Builds the index that suits most, as the spec `Auto` does: for many rows a graph with codes of the neighbours beside the
/// links, as wide as held-out rows ask for ([`Index::report`] says so); else `HNSW16`, or exact search where the feature
/// `graph` is off.
///
/// Rows are kept in the narrowest element type that holds them exactly. Deterministic: the same rows give the same
/// index on any number of threads.
///
/// # Errors
/// [`Error::Row`] names the first row that is not finite, or is zero under the cosine metric.
pub fn build<'a>(vectors: impl Into<MatrixView<'a, f32>>, metric: Metric) -> Result<Index, Error> {
    let spec = Spec::from(factory::Structure::Auto(factory::Profile::Speed));
    spec.build(vectors, &BuildOptions { metric, ..BuildOptions::default() })
}

/// Builds the index that `spec` names, as faiss does: `index_factory("HNSW32", &vectors, Metric::Cosine)`.
///
/// # Errors
/// [`Error::Spec`] points at the column of the string; otherwise as [`build`].
///
/// ```
/// use ann::prelude::*;
/// let vectors = Matrix::from_rows(&[[1.0, 0.0], [0.0, 1.0]])?;
/// let index = ann::index_factory("HNSW32", &vectors, Metric::Cosine)?;
/// assert_eq!(index.spec().to_string(), "HNSW32");
/// # Ok::<(), ann::Error>(())
/// ```
pub fn index_factory<'a>(spec: &str, vectors: impl Into<MatrixView<'a, f32>>, metric: Metric) -> Result<Index, Error> {
    spec.parse::<Spec>()?.build(vectors, &BuildOptions { metric, ..BuildOptions::default() })
}
