//! What turns the rows of a list into blocks of sixteen lanes: one of the codecs of `ann-quant`, or nothing.
//!
//! Choosing among them costs one branch per list. Under cosine a codec estimates squared distances of normalised vectors, which are
//! twice what the metric says.

use ann_core::simd::lanes::LANES;
use ann_core::{LaneCodec, Metric};
use ann_quant::{LanePq, LanePqQuery, NodeRabitq, NodeRabitqQuery};

/// The trained scheme of a list.
#[derive(Debug, Clone)]
pub(crate) enum Codec {
    /// Rows are known by their numbers alone.
    Rows,
    Rabitq(Box<NodeRabitq>),
    Pq(Box<LanePq>),
}

/// A query for centres and lists.
#[derive(Debug, Default)]
pub(crate) struct Query {
    pub(crate) rabitq: NodeRabitqQuery,
    pq: LanePqQuery,
}

impl Codec {
    /// Bytes of a block.
    pub(crate) fn block_len(&self) -> usize {
        match self {
            Self::Rows => 0,
            Self::Rabitq(codec) => codec.codes_len(LANES),
            Self::Pq(codec) => codec.codes_len(LANES),
        }
    }

    /// Values of a transformed row.
    pub(crate) fn transformed_len(&self) -> usize {
        match self {
            Self::Rows => 0,
            Self::Rabitq(codec) => codec.transformed_len(),
            Self::Pq(codec) => codec.transformed_len(),
        }
    }

    pub(crate) fn transform(&self, row: &[f32], out: &mut [f32]) {
        match self {
            Self::Rows => {}
            Self::Rabitq(codec) => codec.transform(row, out),
            Self::Pq(codec) => codec.transform(row, out),
        }
    }

    /// As [`Self::transform`], for a centre.
    pub(crate) fn transform_centre(&self, centre: &[f32], out: &mut [f32]) {
        match self {
            Self::Rows => {}
            Self::Rabitq(codec) => codec.transform_prepared(centre, out),
            Self::Pq(codec) => codec.transform_prepared(centre, out),
        }
    }

    /// Encodes up to [`LANES`] transformed rows of a list into its block.
    pub(crate) fn encode(&self, centre: &[f32], rows: &[&[f32]], block: &mut [u8]) {
        match self {
            Self::Rows => {}
            Self::Rabitq(codec) => codec.encode(centre, rows, LANES, block),
            Self::Pq(codec) => codec.encode(centre, rows, LANES, block),
        }
    }

    /// Makes `query` ready for lists; where it was made ready for centres by `centres`, not again for codes of the same kind.
    pub(crate) fn prepare(&self, query: &[f32], centres: Option<&NodeRabitq>, out: &mut Query) {
        match self {
            Self::Rows => {}
            Self::Rabitq(_) if centres.is_some() => {}
            Self::Rabitq(codec) => codec.prepare(query, &mut out.rabitq),
            Self::Pq(codec) => codec.prepare(query, &mut out.pq),
        }
    }

    pub(crate) fn score(
        &self,
        query: &Query,
        centre: f32,
        blocks: &[u8],
        bound: f32,
        out: &mut [[f32; LANES]],
        near: &mut [u16],
    ) {
        match self {
            Self::Rows => near.fill(0),
            Self::Rabitq(codec) => codec.score_blocks(&query.rabitq, centre, blocks, bound, out, near),
            Self::Pq(codec) => codec.score_blocks(&query.pq, centre, blocks, bound, out, near),
        }
    }

    /// The row that a lane of a block stands for.
    pub(crate) fn decode(&self, centre: &[f32], block: &[u8], lane: usize) -> Option<Vec<f32>> {
        match self {
            Self::Rows => None,
            Self::Rabitq(codec) => Some(codec.decode_lane(centre, block, lane)),
            Self::Pq(codec) => Some(codec.decode_lane(centre, block, lane)),
        }
    }

    /// Moves a lane of one block to a lane of another.
    pub(crate) fn move_lane(&self, codes: &mut [u8], (from, lane): (usize, usize), (to, at): (usize, usize)) {
        let block_len = self.block_len();
        self.lane_bytes(|start, stride, size| {
            let (from, to) = (from * block_len + start + lane * stride, to * block_len + start + at * stride);
            codes.copy_within(from..from + size, to);
        });
    }

    /// Copies a lane of `block` to a lane of block `to` of `codes`.
    pub(crate) fn copy_lane(&self, block: &[u8], lane: usize, codes: &mut [u8], (to, at): (usize, usize)) {
        let to = &mut codes[to * self.block_len()..][..self.block_len()];
        self.lane_bytes(|start, stride, size| {
            let (from, at) = (start + lane * stride, start + at * stride);
            to[at..at + size].copy_from_slice(&block[from..from + size]);
        });
    }

    /// Calls `each(start, bytes from lane to lane, bytes of a lane)` for all pieces of a block.
    fn lane_bytes(&self, mut each: impl FnMut(usize, usize, usize)) {
        /// A group of codes, and the factors.
        const GROUP: usize = 64;
        let Some(codes) = self.block_len().checked_sub(GROUP) else { return };
        match self {
            // Row by row.
            Self::Pq(codec) if codec.pq().nbits() == 8 => each(0, codec.pq().m(), codec.pq().m()),
            // Four bytes of every lane in a group.
            _ => (0..codes).step_by(GROUP).for_each(|group| each(group, 4, 4)),
        }
        each(codes, 2, 2);
        each(codes + 2 * LANES, 2, 2);
    }

    pub(crate) fn memory_usage(&self) -> usize {
        match self {
            Self::Rows => 0,
            Self::Rabitq(codec) => size_of_val(codec.mean()),
            Self::Pq(codec) => {
                2 * size_of_val(codec.pq().codebooks()) + size_of_val(codec.rotation()) + size_of_val(codec.mean())
            }
        }
    }
}

/// What codecs call a distance, in the scale of the metric; estimates may lie beyond its range.
pub(crate) fn scaled(metric: Metric, estimate: f32) -> f32 {
    if metric == Metric::Cosine { 0.5 * estimate } else { estimate }
}

/// What codecs call a distance as the metric has it.
pub(crate) fn of_metric(metric: Metric, estimate: f32) -> f32 {
    let estimate = scaled(metric, estimate);
    match metric {
        Metric::L2 => estimate.max(0.0),
        Metric::Cosine => estimate.clamp(0.0, 2.0),
        _ => estimate,
    }
}
