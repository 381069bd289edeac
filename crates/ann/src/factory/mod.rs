//! Indexes named by short strings, as in faiss: `HNSW32`, `Flat@ip`.
//!
//! `spec.rs` is what a string says, as plain data; `grammar.rs` reads strings and explains what is wrong with one. Both
//! know names and ranges only: what a [`Spec`] becomes is decided where indexes are built.

mod auto;
#[cfg(all(feature = "graph", feature = "quant"))]
mod blocks;
mod build;
#[cfg(feature = "tree")]
mod cells;
#[cfg(feature = "graph")]
mod convert;
#[cfg(feature = "graph")]
mod deg;
mod grammar;
#[cfg(feature = "graph")]
mod graph;
#[cfg(feature = "ivf_pq")]
mod ivf;
#[cfg(feature = "quant")]
mod quant;
mod spec;
#[cfg(feature = "tree")]
mod tree;
#[cfg(all(feature = "graph", feature = "quant"))]
mod trial;

/// Links of an index that another is to have; without graphs there are none.
#[cfg(feature = "graph")]
use ann_graph::Hierarchy;
#[cfg(not(feature = "graph"))]
enum Hierarchy {}

pub use build::BuildOptions;
#[cfg(feature = "io")]
pub(crate) use build::Element;
pub use grammar::SpecError;
#[cfg(all(feature = "io", feature = "ivf_pq"))]
pub(crate) use ivf::load as load_ivf;
#[cfg(all(feature = "io", feature = "quant"))]
pub(crate) use quant::load;
pub use spec::{Code, Codes, Links, ListCode, Profile, Refine, Spec, Structure};
