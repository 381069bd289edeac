//! An HNSW index in the container: the store as a part, links, parents and upper layers as sections.
//!
//! Version 1.

use super::hierarchy::Layer;
use super::{Hierarchy, Hnsw, HnswParams};
use crate::FlatGraph;
use ann_core::VectorStore;
use ann_core::simd::Buffer;
use ann_io::container::{Archive, LoadError, Persist, SaveError, Writer};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Meta {
    params: HnswParams,
    root: u32,
    upper: u8,
}

impl<S: VectorStore + Persist> Persist for Hnsw<S> {
    const KIND: &'static str = "hnsw";
    const VERSION: u16 = 1;

    fn save<'a>(&'a self, writer: &mut Writer<'a>) -> Result<(), SaveError> {
        let Hierarchy { params, base, parents, root, upper } = &self.hierarchy;
        // At most 16 layers: see `HnswParams::max_layers`.
        writer.meta(&Meta { params: *params, root: *root, upper: upper.len() as u8 })?;
        writer.part("store", &self.store)?;
        writer.section("links", base.as_slots())?;
        writer.section("parents", parents)?;
        for (above, layer) in upper.iter().enumerate() {
            writer.section(&section(above, "links"), layer.graph.as_slots())?;
            writer.section(&section(above, "rows"), &layer.rows)?;
            writer.section(&section(above, "below"), &layer.below)?;
        }
        Ok(())
    }

    fn load(archive: &Archive) -> Result<Self, LoadError> {
        let meta: Meta = archive.meta()?;
        archive.valid("params", meta.params.check())?;
        let store: S = archive.part("store")?;
        let base = graph(archive, "links", meta.params.m0(), store.len())?;
        let parents = archive.section_of("parents", store.len())?;
        check_parents(&base, &parents, meta.root).map_err(|reason| archive.corrupt("parents", reason))?;
        let mut upper: Vec<Layer> = Vec::new();
        // Graphs of one layer may have a layer of entries above it.
        if usize::from(meta.upper) >= meta.params.max_layers.max(2) {
            return Err(archive.corrupt("upper", format!("{} layers above the base", meta.upper)));
        }
        for above in 0..usize::from(meta.upper) {
            let rows: Buffer<u32> = archive.section(&section(above, "rows"))?;
            let below = archive.section_of(&section(above, "below"), rows.len())?;
            let graph = graph(archive, &section(above, "links"), meta.params.m, rows.len())?;
            let layer = Layer { graph, rows, below };
            let rows_below = upper.last().map(|layer| &layer.rows[..]);
            check_layer(&layer, rows_below, store.len())
                .map_err(|reason| archive.corrupt(&section(above, "below"), reason))?;
            upper.push(layer);
        }
        if archive.has_section(&section(upper.len(), "links")) {
            return Err(archive.corrupt(&section(upper.len(), "links"), "a layer above the last"));
        }
        let hierarchy = Hierarchy { params: meta.params, base, parents, root: meta.root, upper };
        Ok(Self { hierarchy, store })
    }
}

fn section(above: usize, what: &str) -> String {
    format!("layer{}.{what}", above + 1)
}

pub(super) fn graph(archive: &Archive, name: &str, max_degree: usize, nodes: usize) -> Result<FlatGraph, LoadError> {
    // A product that overflows is the length of no section.
    let slots = archive.section_of(name, nodes.saturating_mul(max_degree))?;
    FlatGraph::from_slots(slots, max_degree)
        .ok_or_else(|| archive.corrupt(name, "a link leads to no node, or back to its own"))
}

/// Whether every parent links to its child and following parents leads to the root.
fn check_parents(base: &FlatGraph, parents: &[u32], root: u32) -> Result<(), String> {
    if parents.is_empty() {
        return Ok(());
    }
    if parents.get(root as usize) != Some(&root) {
        return Err(format!("row {root} is not the root"));
    }
    for (row, &parent) in parents.iter().enumerate() {
        let linked = (parent as usize) < base.len() && base.neighbors(parent).any(|id| id as usize == row);
        if !linked && row != root as usize {
            return Err(format!("row {row} has the parent {parent}, which does not link to it"));
        }
    }
    // Every row is walked once: a path ends at a row known to be sound, and all of it is then known.
    let mut sound = vec![false; parents.len()];
    sound[root as usize] = true;
    let mut path = Vec::new();
    for start in 0..parents.len() {
        let mut row = start;
        while !sound[row] && path.len() <= parents.len() {
            path.push(row);
            row = parents[row] as usize;
        }
        if path.len() > parents.len() {
            return Err(format!("the parents of row {start} form a circle"));
        }
        path.drain(..).for_each(|row| sound[row] = true);
    }
    Ok(())
}

/// Whether every node stands for the same row as its node on the layer below, whose rows are given unless it is the base.
fn check_layer(layer: &Layer, rows_below: Option<&[u32]>, len: usize) -> Result<(), String> {
    if layer.rows.is_empty() {
        return Err("a layer without rows".to_owned());
    }
    for (node, (&row, &below)) in layer.rows.iter().zip(layer.below.iter()).enumerate() {
        let row_below = match rows_below {
            Some(rows) => rows.get(below as usize).copied(),
            None => Some(below),
        };
        if row_below != Some(row) || row as usize >= len {
            return Err(format!("node {node} stands for row {row}, its node below for another"));
        }
    }
    Ok(())
}
