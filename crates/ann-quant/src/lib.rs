//! Rows as codes: fewer bytes per row, and distances estimated from them.
//!
//! A [`Quantizer`] is trained on rows, encodes a row into bytes and estimates distances between a query and codes; a
//! [`CodeStore`] keeps the codes of many rows and is a [`VectorStore`](ann_core::VectorStore) like any other, so that every
//! structure searches on any code. What a scheme adds to its codes (norms, factors) lies within the code of a row.
//!
//! Read [`Quantizer`] and [`CodeStore`], then one scheme; each is one file.

#![forbid(unsafe_code)]

mod binary;
mod error;
#[cfg(feature = "persist")]
mod persist;
mod quantizer;
mod rotation;
mod signs;
mod sq;
mod store;
mod ternary;
mod truncated;

pub use binary::{Binary, BinaryParams};
pub use error::TrainError;
pub use quantizer::Quantizer;
pub use rotation::Rotation;
pub use signs::SignQuery;
pub use sq::{Sq, SqClip, SqParams, SqQuery, SqRange};
pub use store::{CodeOracle, CodeScratch, CodeStore};
pub use ternary::{Ternary, TernaryParams};
pub use truncated::{Truncated, truncate};
