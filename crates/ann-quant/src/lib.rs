//! Rows as codes: fewer bytes per row, and distances estimated from them.
//!
//! A [`Quantizer`] is trained on rows, encodes a row into bytes and estimates distances between a query and codes; a
//! [`CodeStore`] keeps the codes of many rows and is a [`VectorStore`](ann_core::VectorStore) like any other, so that every
//! structure searches on any code. What a scheme adds to its codes (norms, factors) lies within the code of a row.
//!
//! Read [`Quantizer`] and [`CodeStore`], then one scheme; each is one file.

#![forbid(unsafe_code)]

mod caq;
mod error;
mod g4;
#[cfg(test)]
mod laws;
mod lvq;
mod quantizer;
mod rabitq;
mod rotated;
mod rotation;
mod store;

pub use error::TrainError;
pub use g4::{G4, G4Params};
pub use lvq::{Lvq, LvqParams, LvqQuery};
pub use quantizer::Quantizer;
pub use rabitq::{Rabitq, RabitqParams};
pub use rotated::RotatedQuery;
pub use rotation::Rotation;
pub use store::{CodeOracle, CodeScratch, CodeStore};
