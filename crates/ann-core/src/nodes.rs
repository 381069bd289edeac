//! Codes of a node's neighbours, kept beside its links and scored together.
//!
//! A walk over rows fetches every neighbour's row from wherever it lies. Where a node keeps codes of its neighbours next
//! to the links, one contiguous piece of memory answers the whole hop, and only nodes that are worth expanding are ever
//! fetched. Graphs keep the pieces; a [`NodeCodec`] says what lies in them. A partition
//! keeps such codes in its lists, relative to their centres: a [`LaneCodec`].

use crate::Metric;
use crate::simd::lanes::LANES;

/// A trained scheme that encodes rows relative to another row, in lanes that are scored together.
///
/// Distances are in a scale of the codec's own: they order as those of the metric do.
pub trait LaneCodec: Send + Sync + 'static {
    /// A query made ready. Reused from query to query without allocating.
    type Query: Default + Send;

    /// Columns of a row.
    fn dim(&self) -> usize;

    /// The metric it was trained for.
    fn metric(&self) -> Metric;

    /// Values of a transformed row.
    fn transformed_len(&self) -> usize;

    /// Writes the form of `row` (`dim` finite values) that is encoded into `out` (`transformed_len` values).
    fn transform(&self, row: &[f32], out: &mut [f32]);

    /// Bytes of the codes of `lanes` neighbours, a multiple of [`LANES`]; itself a multiple of 64.
    fn codes_len(&self, lanes: usize) -> usize;

    /// Encodes transformed `neighbors` relative to the transformed `owner` into `codes`, `codes_len(lanes)` bytes of which
    /// lanes without a neighbour become the farthest of all.
    ///
    /// # Panics
    /// If there are more neighbours than lanes.
    fn encode(&self, owner: &[f32], neighbors: &[&[f32]], lanes: usize, codes: &mut [u8]);

    /// Makes `query` (`dim` finite values) ready.
    fn prepare(&self, query: &[f32], out: &mut Self::Query);

    /// Estimates for the neighbours of a row at distance `owner`, a multiple of [`LANES`] up to 64 of them, into `out`. Bit
    /// `i` of the answer says whether lane `i` is at most `bound`.
    fn score(&self, query: &Self::Query, owner: f32, codes: &[u8], bound: f32, out: &mut [f32]) -> u64;

    /// As [`Self::score`] for any number of blocks of [`LANES`], each as [`Self::encode`] makes them for so many lanes. `out[b]`
    /// becomes the estimates of block `b`, and bit `i` of `near[b]` says whether its lane `i` is at most `bound`.
    ///
    /// # Panics
    /// If `codes`, `out` and `near` differ in the number of blocks.
    fn score_blocks(
        &self,
        query: &Self::Query,
        owner: f32,
        codes: &[u8],
        bound: f32,
        out: &mut [[f32; LANES]],
        near: &mut [u16],
    ) {
        assert!(codes.len() == out.len() * self.codes_len(LANES) && near.len() == out.len(), "blocks of one number");
        for ((codes, out), near) in codes.chunks_exact(self.codes_len(LANES)).zip(out).zip(near) {
            *near = self.score(query, owner, codes, bound, out) as u16;
        }
    }
}

/// A scheme that encodes the neighbours of a node relative to it, and the node's own row more finely.
pub trait NodeCodec: LaneCodec {
    /// Bytes of a node's own row.
    fn own_len(&self) -> usize;

    /// Encodes a transformed row as a node's own, into `own_len` bytes.
    fn encode_own(&self, owner: &[f32], own: &mut [u8]);

    /// The distance to a node, from its own row.
    fn own(&self, query: &Self::Query, own: &[u8]) -> f32;

    /// The distance to the origin of the transformed rows: what [`LaneCodec::score`] takes for codes relative to it.
    fn origin(&self, query: &Self::Query) -> f32;
}

/// Lanes for `neighbors` neighbours: whole blocks.
#[must_use]
pub fn lanes_for(neighbors: usize) -> usize {
    neighbors.next_multiple_of(LANES)
}
