//! What a graph on disk promises, seen from outside.

#![allow(clippy::unwrap_used)]

mod acceptance;
mod build;
mod files;
mod search;
mod support;
