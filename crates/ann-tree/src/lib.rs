//! Tree indexes: space cut in two, again and again.
//!
//! A tree index is rows in the order of leaves, married to a [store](ann_core::VectorStore), and what is known of the branches that lead to them. Read `shape` (where
//! nodes are), `order` (which row is where), `nearest` and `pending` (what a search found and what it left for later), `walk` (the two searches), then
//! [`KdTree`] and [`BallTree`]; [`KdForest`] has several trees over rows that stay where they are.

#![forbid(unsafe_code)]

mod ball;
mod cells;
mod forest;
mod kd;
mod nearest;
mod order;
mod params;
mod pending;
mod shape;
mod walk;

pub use ball::{BallScratch, BallTree};
pub use forest::{KdForest, KdForestParams, KdForestScratch};
pub use kd::{KdScratch, KdTree};
pub use params::{BuildError, ParamError, TreeSearch};
