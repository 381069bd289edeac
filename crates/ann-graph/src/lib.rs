//! Graphs of ids over any store of rows.
//!
//! A graph index is neighbour lists married to a [`VectorStore`](ann_core::VectorStore). Graphs differ in how they are
//! built and where a search starts; the walk is one (`search.rs`), the choice of neighbours is one (`select.rs`).
//! Read `adjacency`, `search`, `select`, then [`Hnsw`].

#![forbid(unsafe_code)]

mod adjacency;
mod blocks;
mod dimension;
mod frontier;
mod hnsw;
mod refine;
mod search;
mod select;
mod visited;

pub use adjacency::FlatGraph;
pub use blocks::{BlockError, BlockHnsw, BlockScratch, BlockSearch};
pub use dimension::{
    Dimension, dimensional_outlier_factors, global_dimension, local_dimension, local_outlier_factors,
    neighbors_of_rows, two_nearest_dimension,
};
pub use hnsw::{
    BuildError, Hierarchy, Hnsw, HnswBuilder, HnswParams, HnswScratch, HnswSearch, ParamError, Pipnn, Quality,
};
pub use select::OcclusionRule;
