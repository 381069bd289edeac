//! Clusters of embeddings, in layers from fine to coarse, with what belongs to none of them.
//!
//! [`Evoc`] is the port of a Python package: a graph of nearest neighbours is laid out in a few dimensions, and density
//! there says what belongs together. Nothing has to be known beforehand, not even the number of clusters.
//! [`DensityLayers`] is the second half alone, for points of few dimensions that come from elsewhere.
//!
//! Read in the order of the work: `params`, `rows`, `neighbors`, `fuzzy`, `propagation` and `reduce` (where a layout
//! starts), `layout`, `kdtree` and `spanning` (the minimum spanning tree), `linkage`, `condensed`, `persistence`,
//! `layers`, `tree`; `evoc` puts them together.

#![forbid(unsafe_code)]

mod condensed;
mod error;
mod evoc;
mod fuzzy;
mod kdtree;
mod layers;
mod layout;
mod linkage;
mod neighbors;
mod params;
mod persistence;
mod points;
mod propagation;
mod reduce;
mod rows;
mod spanning;
mod sparse;
#[cfg(test)]
mod stages;
mod tree;

pub use ann_graph::ParamError;
pub use error::EvocError;
pub use evoc::Evoc;
pub use layers::{DensityLayers, Layer};
pub use params::{DensityParams, EvocParams};
pub use rows::Embeddings;
pub use tree::{ClusterId, ClusterTree};
