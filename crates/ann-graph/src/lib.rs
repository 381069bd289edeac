//! Graphs of ids over any store of rows.
//!
//! A graph index is neighbour lists married to a [`VectorStore`](ann_core::VectorStore). Graphs differ in how they are
//! built and where a search starts; the walk is one (`search.rs`), the choice of neighbours is one (`select.rs`).
//! Read `adjacency`, `search`, `select`, then [`Hnsw`] and [`Deg`]; `disk` last, where rows are not in memory.

#![forbid(unsafe_code)]

mod adjacency;
mod blocks;
mod deg;
mod dimension;
#[cfg(feature = "persist")]
mod disk;
mod find;
mod frontier;
mod hnsw;
mod refine;
mod search;
mod select;
mod share;

pub use adjacency::FlatGraph;
pub use blocks::{BlockError, BlockHnsw, BlockScratch, BlockSearch};
pub use deg::{Deg, DegBuilder, DegImprove, DegParams, DegScratch, DegTarget, NoSuchRow};
pub use dimension::{
    Dimension, dimensional_outlier_factors, global_dimension, local_dimension, local_outlier_factors,
    neighbors_of_rows, two_nearest_dimension,
};
#[cfg(feature = "persist")]
pub use disk::{DiskBuilder, DiskError, DiskGraph, DiskScratch, DiskSearch};
pub use hnsw::{
    BuildError, DualHnsw, DualParams, Hierarchy, Hnsw, HnswBuilder, HnswParams, HnswScratch, HnswSearch, ParamError,
    Pipnn, Quality,
};
pub use select::OcclusionRule;
