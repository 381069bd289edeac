//! What an HNSW index promises, seen from outside.

#![allow(clippy::unwrap_used)]

mod acceptance;
mod contention;
#[cfg(feature = "persist")]
mod determinism;
mod effort;
mod filters;
mod flat;
mod growth;
mod halves;
mod hostile;
mod metrics;
mod parameters;
mod pipnn;
mod purge;
mod support;
