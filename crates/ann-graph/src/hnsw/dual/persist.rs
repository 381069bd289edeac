//! A [`DualHnsw`] index in the container: the base as a part, rows and layers of the branches as sections.
//!
//! Version 1.

use super::{Branch, DualHnsw, DualParams};
use crate::FlatGraph;
use crate::hnsw::persist::graph;
use ann_core::simd::Buffer;
use ann_core::{Index, VectorStore};
use ann_io::container::{Archive, LoadError, Persist, SaveError, Writer};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Meta {
    params: DualParams,
    near: f32,
    /// Nodes on layers 1, 2, … of both branches.
    lens: [Vec<u32>; 2],
}

impl<S: VectorStore + Persist> Persist for DualHnsw<S> {
    const KIND: &'static str = "dual-hnsw";
    const VERSION: u16 = 1;

    fn save<'a>(&'a self, writer: &mut Writer<'a>) -> Result<(), SaveError> {
        let Self { params, base, branches, near } = self;
        let lens = branches.each_ref().map(|branch| branch.layers.iter().map(|graph| graph.len() as u32).collect());
        writer.meta(&Meta { params: *params, near: *near, lens })?;
        writer.part("base", base)?;
        for (turn, branch) in branches.iter().enumerate() {
            writer.section(&section(turn, "rows"), &branch.rows)?;
            for (above, graph) in branch.layers.iter().enumerate() {
                writer.section(&links(turn, above), graph.as_slots())?;
            }
        }
        Ok(())
    }

    fn load(archive: &Archive) -> Result<Self, LoadError> {
        let Meta { params, near, lens } = archive.meta()?;
        archive.valid("params", params.check())?;
        let base: crate::Hnsw<S> = archive.part("base")?;
        if base.hierarchy().layers() > 1 || base.params().m0() != params.hnsw.m0() {
            return Err(archive.corrupt("base", "layers or lists that these parameters do not lead to"));
        }
        let mut branches = [Branch::default(), Branch::default()];
        for (turn, (branch, lens)) in branches.iter_mut().zip(&lens).enumerate() {
            *branch = load_branch(archive, &params, (turn, base.len()), lens)?;
        }
        let [more, less] = branches.each_ref().map(|branch| branch.rows.len());
        if more != less && more != less + 1 {
            return Err(archive.corrupt("rows", format!("branches of {more} and {less} rows")));
        }
        Ok(Self { params, base, branches, near })
    }
}

/// A branch whose rows are rows of the base, and whose layers are not larger than the one below.
fn load_branch(
    archive: &Archive,
    params: &DualParams,
    (turn, len): (usize, usize),
    lens: &[u32],
) -> Result<Branch, LoadError> {
    let rows: Buffer<u32> = archive.section(&section(turn, "rows"))?;
    let corrupt = |reason: &str| Err(archive.corrupt(&section(turn, "rows"), reason));
    if rows.iter().any(|&row| row as usize >= len) {
        return corrupt("a row that the base has not");
    }
    let sound = lens.first().map_or(0, |&len| len as usize) == rows.len()
        && lens.len() < params.hnsw.max_layers
        && lens.is_sorted_by(|below, above| below >= above)
        && !lens.contains(&0);
    if !sound {
        return corrupt("layers that do not become smaller");
    }
    let graph = |(above, &nodes): (usize, &u32)| -> Result<FlatGraph, LoadError> {
        graph(archive, &links(turn, above), params.branch_degree(), nodes as usize)
    };
    let layers = lens.iter().enumerate().map(graph).collect::<Result<_, _>>()?;
    Ok(Branch { rows, layers })
}

fn section(turn: usize, what: &str) -> String {
    format!("branch{turn}.{what}")
}

fn links(turn: usize, above: usize) -> String {
    section(turn, &format!("layer{}.links", above + 1))
}
