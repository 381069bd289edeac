//! Rows as codes: fewer bytes per row, and distances estimated from them.
//!
//! A [`Quantizer`] is trained on rows, encodes a row into bytes and estimates distances between a query and codes; a
//! [`CodeStore`] keeps the codes of many rows and is a [`VectorStore`](ann_core::VectorStore) like any other, so that every
//! structure searches on any code. What a scheme adds to its codes (norms, factors) lies within the code of a row.
//!
//! Read [`Quantizer`] and [`CodeStore`], then one scheme; each is one file.

#![forbid(unsafe_code)]

mod error;
mod quantizer;
mod store;

mod sq;

mod anisotropic;
mod assign;
mod fastscan;
mod opq;
mod pq;

mod caq;
mod g4;
mod lane_pq;
mod lvq;
mod node_rabitq;
mod rabitq;
mod saq;

mod binary;
mod reduced;
mod ternary;
mod truncated;

mod bits;
mod factors;
mod floats;
mod kmeans;
mod linalg;
mod nearest;
#[cfg(feature = "persist")]
mod persist;
mod rotated;
mod rotation;
mod signs;
#[cfg(test)]
mod tests;
mod training;

pub use anisotropic::{Anisotropic, AnisotropicParams};
pub use assign::assign;
pub use binary::{Binary, BinaryParams};
pub use error::TrainError;
pub use fastscan::{FastCodes, FastQuery};
pub use g4::{G4, G4Params};
pub use kmeans::{KMeans, KMeansInit, KMeansParams};
pub use lane_pq::{LanePq, LanePqParams, LanePqQuery};
pub use linalg::Pca;
pub use lvq::{Lvq, LvqParams, LvqQuery};
pub use node_rabitq::{NodeRabitq, NodeRabitqParams, NodeRabitqQuery};
pub use opq::{Opq, OpqParams, OpqQuery};
pub use pq::{Pq, PqParams, PqQuery, Symmetric};
pub use quantizer::Quantizer;
pub use rabitq::{Rabitq, RabitqParams};
pub use reduced::{Keep, Reduced, ReducedQuery};
pub use rotated::RotatedQuery;
pub use rotation::Rotation;
pub use saq::{Saq, SaqParams, SaqQuery};
pub use signs::SignQuery;
pub use sq::{Sq, SqClip, SqParams, SqQuery, SqRange};
pub use store::{CodeOracle, CodeScratch, CodeStore};
pub use ternary::{Ternary, TernaryParams};
pub use truncated::{Truncated, truncate};
