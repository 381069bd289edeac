//! The vocabulary that every `ann` crate speaks: what a row, a metric, a neighbour and a search are.
//!
//! Read in this order: [`Metric`] and [`Neighbor`], then [`VectorStore`] (rows that answer distance questions in
//! blocks) with its first implementation [`FlatStore`], then [`Index`] (anything that can be searched) and its simplest
//! form, exact search. Structures such as graphs live in crates above and see rows only through [`VectorStore`].
//!
//! Invariants: no structure and no quantizer is named here; rows are dense `u32` ids; smaller distance is nearer;
//! threads are named in `par.rs` alone.

#![forbid(unsafe_code)]

mod dense;
pub mod distance;
mod element;
mod exact;
mod filter;
mod flat;
mod gauge;
mod index;
mod limits;
mod matrix;
mod metric;
mod neighbor;
mod nodes;
mod par;
mod progress;
mod rerank;
mod reservoir;
mod rng;
mod space;
mod split;
pub mod stand_in;
mod stats;
mod store;
mod topk;
mod truth;
mod visited;

pub use ann_simd as simd;
pub use dense::{MAX_DIM, MAX_ROWS, check_dense, padded_len, prepare_dense, unit_distance};
pub use element::{ElementKind, Scalar, narrowest};
pub use exact::{Exact, ExactScratch};
pub use filter::{All, Filter, Predicate, RowSet, SortedIds};
pub use flat::{FlatError, FlatOracle, FlatScratch, FlatStore};
pub use gauge::Gauge;
pub use index::{Batch, Index, Searcher, search_batch, search_each};
pub use limits::{Limits, Reach};
pub use matrix::{Matrix, MatrixView, ShapeError};
pub use metric::{Metric, MetricError};
pub use neighbor::Neighbor;
pub use nodes::{LaneCodec, NodeCodec, lanes_for};
pub use par::{Par, ScratchPool};
pub use progress::{Cancelled, Monitor};
pub use rerank::{Rerank, RerankOracle, RerankScratch};
pub use reservoir::Reservoir;
pub use rng::{split_mix, unit};
pub use space::{SpaceOracle, SpaceStore};
pub use split::{SplitOracle, SplitScratch, SplitStore};
pub use stats::{MemoryUsage, Route, SearchStats};
pub use store::{DistanceOracle, PushVector, ReadRow, Reorder, RowError, VectorError, VectorStore, check_finite};
pub use topk::TopK;
pub use truth::GroundTruth;
pub use visited::Visited;
