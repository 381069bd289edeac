//! Writing pieces: all of them, or those of nodes whose links have changed.

use super::{BlockHnsw, CHUNK, FEW_ROWS, LEADERS, Layout, MOST_LANES};
use crate::BuildError;
use crate::adjacency::NONE;
use ann_core::simd::{Buffer, Rows};
use ann_core::{Index, Monitor, NodeCodec, Par, PushVector, ReadRow, ScratchPool, lanes_for};

impl<S: ReadRow, C: NodeCodec> BlockHnsw<S, C> {
    /// Writes every piece and chooses leaders.
    pub(super) fn encode(&mut self, par: Par) {
        let (graph, codec, layout) = (&self.graph, &self.codec, self.layout);
        let width = codec.transformed_len();
        let mut rows = Buffer::<f32>::zeroed(graph.len() * width);
        let mut pieces = Buffer::<u8>::zeroed(graph.len() * layout.stride);
        let pool = ScratchPool::<Vec<f32>>::default();
        par.install(|par| {
            par.for_each_chunk_mut(rows.as_mut_slice(), CHUNK * width, &pool, |row, start, out| {
                for (i, out) in out.chunks_exact_mut(width).enumerate() {
                    graph.store().read((start / width + i) as u32, row);
                    codec.transform(row, out);
                }
            });
            let (rows, pool) = (Rows::new(&rows, width, width), ScratchPool::<()>::default());
            par.for_each_chunk_mut(pieces.as_mut_slice(), CHUNK * layout.stride, &pool, |(), start, pieces| {
                for (i, piece) in pieces.chunks_exact_mut(layout.stride).enumerate() {
                    let node = (start / layout.stride + i) as u32;
                    let neighbors: Vec<u32> = graph.hierarchy().base().neighbors(node).collect();
                    let near: Vec<&[f32]> = neighbors.iter().map(|&id| rows.row(id as usize)).collect();
                    write(codec, layout, rows.row(node as usize), &neighbors, &near, piece);
                }
            });
        });
        self.pieces = pieces;
        self.lead();
    }

    /// Writes the pieces of nodes that are new or whose links have changed.
    fn refresh(&mut self, par: Par) {
        let known = self.pieces.len() / self.layout.stride;
        self.pieces.resize(self.graph.len() * self.layout.stride, 0);
        let stale: Vec<bool> =
            (0..self.graph.len() as u32).map(|node| node as usize >= known || !self.is_current(node)).collect();
        let (graph, codec, layout) = (&self.graph, &self.codec, self.layout);
        let width = codec.transformed_len();
        let pool = ScratchPool::<(Vec<f32>, Vec<f32>)>::default();
        let pieces = self.pieces.as_mut_slice();
        par.install(|par| {
            par.for_each_chunk_mut(pieces, CHUNK * layout.stride, &pool, |(row, rows), start, pieces| {
                for (i, piece) in pieces.chunks_exact_mut(layout.stride).enumerate() {
                    let node = start / layout.stride + i;
                    if !stale[node] {
                        continue;
                    }
                    let neighbors: Vec<u32> = graph.hierarchy().base().neighbors(node as u32).collect();
                    rows.resize((neighbors.len() + 1) * width, 0.0);
                    let read = std::iter::once(node as u32).chain(neighbors.iter().copied());
                    for (id, out) in read.zip(rows.chunks_exact_mut(width)) {
                        graph.store().read(id, row);
                        codec.transform(row, out);
                    }
                    let (owner, near) = rows.split_at(width);
                    let near: Vec<&[f32]> = near.chunks_exact(width).collect();
                    write(codec, layout, owner, &neighbors, &near, piece);
                }
            });
        });
        self.lead();
    }

    /// Chooses the rows where walks begin: rows at equal intervals of the lowest upper layer that has few enough, which is a random sample; without layers
    /// of all rows.
    fn lead(&mut self) {
        let (graph, codec, hierarchy) = (&self.graph, &self.codec, self.graph.hierarchy());
        let layer = (1..hierarchy.layers()).find(|&layer| hierarchy.layer_len(layer) <= FEW_ROWS);
        self.leaders = match layer {
            Some(layer) => {
                let step = hierarchy.layer_len(layer).div_ceil(LEADERS);
                hierarchy.links(layer).map(|(row, _)| row).step_by(step.max(1)).collect()
            }
            None => {
                (0..LEADERS.min(graph.len())).map(|i| (i * graph.len() / LEADERS.min(graph.len())) as u32).collect()
            }
        };
        let origin = vec![0.0; codec.transformed_len()];
        let mut row = Vec::new();
        self.leader_codes = Buffer::new();
        for block in self.leaders.chunks(MOST_LANES) {
            let mut rows = vec![0.0; block.len() * origin.len()];
            for (&id, out) in block.iter().zip(rows.chunks_exact_mut(origin.len())) {
                graph.store().read(id, &mut row);
                codec.transform(&row, out);
            }
            let near: Vec<&[f32]> = rows.chunks_exact(origin.len()).collect();
            let (start, lanes) = (self.leader_codes.len(), lanes_for(block.len()));
            self.leader_codes.resize(start + codec.codes_len(lanes), 0);
            codec.encode(&origin, &near, lanes, &mut self.leader_codes.as_mut_slice()[start..]);
        }
    }

    /// Whether the piece of `node` has the links of the graph.
    pub(super) fn is_current(&self, node: u32) -> bool {
        let piece = &self.pieces[node as usize * self.layout.stride..];
        let ids: &[u32] = bytemuck::cast_slice(&piece[self.layout.ids..self.layout.own]);
        let slots = self.graph.hierarchy().base().slots(node);
        ids[..slots.len()] == *slots && ids[slots.len()..].iter().all(|&id| id == NONE)
    }
}

impl<S: ReadRow + PushVector, C: NodeCodec> BlockHnsw<S, C> {
    /// Inserts rows, `(n, dim)`, and writes the pieces that change; the codec stays as it was trained.
    ///
    /// # Errors
    /// As [`crate::Hnsw::extend`]; the index is then unchanged.
    pub fn extend<'v>(
        &mut self,
        vectors: impl IntoIterator<Item = &'v [f32]>,
        par: Par,
        monitor: Monitor<'_>,
    ) -> Result<std::ops::Range<u32>, BuildError> {
        let added = self.graph.extend(vectors, par, monitor)?;
        self.refresh(par);
        Ok(added)
    }
}

/// Writes the piece of a node over zeros or an older piece.
fn write(codec: &impl NodeCodec, layout: Layout, owner: &[f32], neighbors: &[u32], near: &[&[f32]], piece: &mut [u8]) {
    codec.encode(owner, near, layout.lanes, &mut piece[..layout.ids]);
    let ids: &mut [u32] = bytemuck::cast_slice_mut(&mut piece[layout.ids..layout.own]);
    let (used, unused) = ids.split_at_mut(neighbors.len());
    used.copy_from_slice(neighbors);
    unused.fill(NONE);
    codec.encode_own(owner, &mut piece[layout.own..layout.len]);
}
