//! What a DEG index promises, seen from outside.

#![allow(clippy::unwrap_used)]

mod acceptance;
#[cfg(feature = "persist")]
mod determinism;
mod explore;
#[cfg(feature = "persist")]
mod files;
mod filters;
mod growth;
mod hostile;
mod removal;
mod stores;
mod support;
