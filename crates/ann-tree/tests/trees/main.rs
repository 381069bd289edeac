//! KD-trees and ball trees against exact search, and against what they promise of files, threads, filters and memory.

#![allow(clippy::unwrap_used)]

mod acceptance;
mod exactness;
mod files;
mod growth;
mod spaces;
mod support;
