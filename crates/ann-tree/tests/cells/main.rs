//! RP-forests and k-means trees: what they find, what they cost, how they change.

#![allow(clippy::unwrap_used)]

mod acceptance;
#[cfg(feature = "persist")]
mod changes;
mod found;
mod support;
