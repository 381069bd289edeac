//! Neighbour blocks in the container: graph and codec as parts, pieces and leaders as sections.
//!
//! Version 1.

use super::{BlockHnsw, Layout, MOST_LANES};
use crate::Hnsw;
use ann_core::simd::Buffer;
use ann_core::{Index, NodeCodec, ReadRow, lanes_for};
use ann_io::container::{Archive, LoadError, Persist, SaveError, Writer};

impl<S: ReadRow + Persist, C: NodeCodec + Persist> Persist for BlockHnsw<S, C> {
    const KIND: &'static str = "blocks";
    const VERSION: u16 = 1;

    fn save<'a>(&'a self, writer: &mut Writer<'a>) -> Result<(), SaveError> {
        writer.part("graph", &self.graph)?;
        writer.part("codec", &self.codec)?;
        writer.section("pieces", &self.pieces)?;
        writer.section("leaders", &self.leaders)?;
        writer.section("leader_codes", &self.leader_codes)
    }

    fn load(archive: &Archive) -> Result<Self, LoadError> {
        let graph: Hnsw<S> = archive.part("graph")?;
        let codec: C = archive.part("codec")?;
        let layout = archive.valid("codec", Layout::checked(&graph, &codec))?;
        let pieces = archive.section_of("pieces", graph.len().saturating_mul(layout.stride))?;
        let leaders: Buffer<u32> = archive.section("leaders")?;
        if leaders.iter().any(|&row| row as usize >= graph.len()) {
            return Err(archive.corrupt("leaders", "a leader is no row"));
        }
        let blocks = leaders.chunks(MOST_LANES).map(|block| codec.codes_len(lanes_for(block.len())));
        let leader_codes = archive.section_of("leader_codes", blocks.sum())?;
        let index = Self { graph, codec, layout, pieces, leaders: leaders.to_vec(), leader_codes };
        // A walk takes the numbers in a piece for nodes.
        match (0..index.graph.len() as u32).find(|&node| !index.is_current(node)) {
            Some(node) => {
                Err(archive.corrupt("pieces", format!("the links of node {node} are not those of the graph")))
            }
            None => Ok(index),
        }
    }
}
