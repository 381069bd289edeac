//! Partition indexes: rows in lists by their nearest centre, of which a search looks through a few.
//!
//! An [`Ivf`] marries lists to a store of rows. What lies in the lists is a [`ListCode`]: codes of the rows relative to the centre of
//! their list, which are scanned sixteen at a time, or numbers of rows alone. The store measures what the codes let through; where codes
//! are all that is kept, [`NoRows`] is in its place.
//!
//! Read [`Ivf`], then in the order of a search: `coarse.rs` and `probing.rs` (which lists), `lists.rs` and `codec.rs` (what lies in them), `search.rs` and
//! `refine.rs`; then how an index comes to be: `build.rs`, `update.rs`.

#![forbid(unsafe_code)]

mod error;
mod group;
mod ivf;
mod params;
mod rows;

mod coarse;
mod codec;
mod lists;
mod probing;
mod refine;
mod search;

mod build;
#[cfg(feature = "persist")]
mod persist;
mod soar;
mod update;

pub use error::IvfError;
pub use ivf::Ivf;
pub use params::{IvfParams, IvfSearch, ListCode};
pub use rows::{ListRows, NoRows};
pub use search::IvfScratch;
