//! Files of the ann crates: vectors and ground truth in the formats of the field, and the index container.
//!
//! Reading trusts nothing that a file says about itself: counts are compared with the file's length before memory is
//! taken, and what does not fit ends in a typed error that names the place. Writing is whole or not at all.
#![forbid(unsafe_code)]

mod bin;
pub mod container;
mod dataset;
#[cfg(feature = "hdf5")]
mod hdf5;
mod npy;
mod read_at;
mod replace;
mod rows;
mod sink;
mod source;
mod truth;
mod vecs;
mod vectors;

pub use dataset::{BitRows, Dataset, IdSets, Points};
pub use read_at::ReadAt;
pub use sink::WriteError;
pub use source::{ReadError, ReadOptions};
pub use truth::{read_truth, read_truth_ids, write_truth};
pub use vectors::{Format, Scalar, VectorData, read_vectors, read_vectors_from, read_vectors_with, write_vectors};
