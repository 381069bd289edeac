//! Tree indexes: space cut in two, again and again.
//!
//! A tree index is rows in the order of leaves, married to a [store](ann_core::VectorStore), and what is known of the branches that lead to them. Read `shape` (where
//! nodes are), `order` (which row is where), `nearest` and `pending` (what a search found and what it left for later), `walk` (the two searches), then
//! [`KdTree`] and [`BallTree`]; [`KdForest`] has several trees over rows that stay where they are. Trees without bounds are [`RpForest`] and [`KMeansTree`]: read
//! `euclid` (rows as points), `places` and `open` (what the two share), then each.

#![forbid(unsafe_code)]

mod ball;
mod cells;
mod euclid;
mod forest;
mod kd;
mod kmeans_tree;
mod nearest;
mod open;
mod order;
mod params;
mod pending;
#[cfg(feature = "persist")]
mod persist;
mod places;
mod rp_forest;
mod shape;
mod walk;

pub use ball::{BallScratch, BallTree};
pub use forest::{KdForest, KdForestParams, KdForestScratch};
pub use kd::{KdScratch, KdTree};
pub use kmeans_tree::{Centres, CentresScratch, KMeansTree, KMeansTreeParams};
pub use params::{BuildError, ParamError, TreeSearch};
#[cfg(feature = "persist")]
pub use persist::Stored;
pub use places::{CellScratch, CellTree, Cells};
pub use rp_forest::{Planes, PlanesScratch, RpForest, RpForestParams};
