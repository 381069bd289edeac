//! A DEG index in the container: the store as a part, links and their lengths as sections.
//!
//! Version 1.

use super::edges::Edges;
use super::{Deg, DegParams};
use crate::FlatGraph;
use ann_core::VectorStore;
use ann_io::container::{Archive, LoadError, Persist, SaveError, Writer};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Meta {
    params: DegParams,
    tries: u64,
}

impl<S: VectorStore + Persist> Persist for Deg<S> {
    const KIND: &'static str = "deg";
    const VERSION: u16 = 1;

    fn save<'a>(&'a self, writer: &mut Writer<'a>) -> Result<(), SaveError> {
        writer.meta(&Meta { params: self.params, tries: self.tries })?;
        writer.part("store", &self.store)?;
        writer.section("links", self.edges.graph().as_slots())?;
        writer.section("weights", self.edges.all_weights())
    }

    fn load(archive: &Archive) -> Result<Self, LoadError> {
        let Meta { params, tries } = archive.meta()?;
        archive.valid("params", params.check())?;
        let store: S = archive.part("store")?;
        // A product that overflows is the length of no section.
        let slots = store.len().saturating_mul(params.degree);
        let graph = FlatGraph::from_slots(archive.section_of("links", slots)?, params.degree)
            .ok_or_else(|| archive.corrupt("links", "a link leads to no node, or back to its own"))?;
        let edges = Edges::from_parts(graph, archive.section_of("weights", slots)?);
        archive.valid("links", edges.check())?;
        Ok(Self { params, edges, tries, store })
    }
}
