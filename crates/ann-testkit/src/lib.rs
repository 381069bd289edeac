//! What the tests of the `ann` crates share: data, the plain truth, recall, and tables of what to expect.
//!
//! Development only: nothing here is part of a released library, so misuse panics instead of returning an error.
//! Everything is a function of its arguments; nothing reads a file, a clock or the network.
//!
//! 1. [`portable`]: bit-exact synthetic data sets with known hashes, easy and hard.
//! 2. [`shapes`]: small hostile data: duplicates, zero rows, heavy norms, extreme magnitudes.
//! 3. [`brute`]: distances and nearest rows by the plain loop in f64.
//! 4. [`recall`]: recall as ann-benchmarks counts it, and by ids with ties, with confidence intervals.
//! 5. [`expect`]: one table-driven check that the tests of every index use.
//! 6. [`acceptance`]: measured results of other implementations on the portable data.

#![forbid(unsafe_code)]

pub mod acceptance;
pub mod brute;
pub mod expect;
pub mod portable;
pub mod recall;
pub mod shapes;

pub use brute::{distance, nearest, truth};
pub use expect::{Expected, Workload, check_recall};
pub use recall::{Recall, RecallError};
