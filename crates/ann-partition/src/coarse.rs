//! Which lists a query looks through: those with the nearest centres.
//!
//! Reading every centre costs more than scanning the lists. So centres have codes of their own, of four bits per value around the
//! mean, which are scanned as those of lists are; somewhat more than are wanted are then measured. All of this is exact enough that one list in
//! thousands differs.

use crate::codec::Query;
use crate::pool::Pool;
use crate::probing::Margins;
use ann_core::simd::Buffer;
use ann_core::simd::lanes::LANES;
use ann_core::{
    DistanceOracle, FlatError, FlatStore, LaneCodec, MatrixView, Metric, Neighbor, NodeCodec, VectorStore,
    prepare_dense,
};
use ann_quant::{NodeRabitq, TrainError};

/// Bits of the codes of centres.
const PLANES: usize = 4;
/// Fewer centres are measured all.
const FEW: usize = 128;
/// Blocks that are scored together.
const BLOCKS: usize = 8;

/// The centres of all lists.
#[derive(Debug, Clone)]
pub(crate) struct Centres {
    /// Under cosine centres of normalised rows, compared by squared distance.
    pub(crate) rows: FlatStore<f32>,
    /// Codes around the mean, and their codec; nothing where there are few centres.
    codes: Option<(NodeRabitq, Buffer<u8>)>,
    pub(crate) margins: Margins,
    metric: Metric,
}

/// Memory of a ranking.
#[derive(Debug, Default)]
pub(crate) struct Ranking {
    query: Vec<f32>,
    store: <FlatStore<f32> as VectorStore>::Scratch,
    pool: Pool,
    ids: Vec<u32>,
    distances: Vec<f32>,
    /// The lists, nearest first.
    pub(crate) found: Vec<Neighbor>,
}

impl Centres {
    /// `centres` of rows under `metric`, which may be codec for the rows.
    pub(crate) fn new(
        centres: MatrixView<'_, f32>,
        metric: Metric,
        codec: Option<&NodeRabitq>,
        margins: Margins,
    ) -> Result<Self, FlatError> {
        let rows = FlatStore::from_rows(centres, plain(metric))?;
        Ok(Self::over(rows, metric, codec, margins))
    }

    pub(crate) fn over(rows: FlatStore<f32>, metric: Metric, codec: Option<&NodeRabitq>, margins: Margins) -> Self {
        let codec = codec.filter(|_| rows.len() > FEW).map(|codec| codec.with_planes(PLANES));
        let Some(Ok(codec)) = codec else { return Self { rows, metric, codes: None, margins } };
        let (width, block_len) = (codec.transformed_len(), codec.codes_len(LANES));
        let mut codes = Buffer::zeroed(rows.len().div_ceil(LANES) * block_len);
        let (mut transformed, origin) = (vec![0.0; LANES * width], vec![0.0; width]);
        for (block, out) in codes.as_mut_slice().chunks_exact_mut(block_len).enumerate() {
            let ids = block * LANES..rows.len().min((block + 1) * LANES);
            for (id, out) in ids.clone().zip(transformed.chunks_exact_mut(width)) {
                codec.transform_prepared(rows.row(id as u32), out);
            }
            let near: Vec<&[f32]> = transformed.chunks_exact(width).take(ids.len()).collect();
            codec.encode(&origin, &near, LANES, out);
        }
        Self { rows, metric, codes: Some((codec, codes)), margins }
    }

    /// The codec of the centres, for which [`Self::rank`] makes queries ready.
    pub(crate) fn codec(&self) -> Option<&NodeRabitq> {
        self.codes.as_ref().map(|(codec, _)| codec)
    }

    /// Makes `query` ready and leaves the `nprobe` nearest lists in `ranking.found`, so many in the mean over queries if that is adaptive, with distances in the scale
    /// of codecs.
    pub(crate) fn rank(
        &self,
        query: &[f32],
        nprobe: usize,
        adaptive: bool,
        prepared: &mut Query,
        ranking: &mut Ranking,
    ) {
        let count = self.rows.len();
        let nprobe = nprobe.clamp(1, count);
        let Ranking { query: unit, store, pool, ids, distances, found } = ranking;
        prepare_dense(query, self.metric, query.len(), unit);
        ids.clear();
        // Twice as many as are wanted, of which codes put the right ones first; as many as an adaptive search may take.
        let want = 2 * nprobe + 8;
        // Also where it is not needed, so that a search of fewer lists need not ask for room.
        pool.reset(want);
        if let Some((codec, codes)) = &self.codes {
            codec.prepare(query, &mut prepared.rabitq);
            if want < count / 2 {
                let (block_len, origin) = (codec.codes_len(LANES), codec.origin(&prepared.rabitq));
                let (mut out, mut near) = ([[0.0; LANES]; BLOCKS], [0; BLOCKS]);
                for (chunk, blocks) in codes.chunks(BLOCKS * block_len).enumerate() {
                    let many = blocks.len() / block_len;
                    codec.score_blocks(
                        &prepared.rabitq,
                        origin,
                        blocks,
                        pool.bound(),
                        &mut out[..many],
                        &mut near[..many],
                    );
                    for (block, (out, &near)) in out.iter().zip(&near[..many]).enumerate() {
                        let mut near = near;
                        while near != 0 {
                            let lane = near.trailing_zeros() as usize;
                            near &= near - 1;
                            let id = (chunk * BLOCKS + block) * LANES + lane;
                            if id < count {
                                pool.push(id as u32, out[lane]);
                            }
                        }
                    }
                }
                ids.extend(pool.kept().map(|centre| centre.id));
            }
        }
        if ids.len() < nprobe {
            ids.clear();
            ids.extend(0..count as u32);
        }
        distances.resize(ids.len(), 0.0);
        self.rows.oracle(unit, store).distances(ids, distances);
        found.clear();
        found.extend(ids.iter().zip(&*distances).map(|(&id, &distance)| Neighbor::new(id, distance)));
        let most = if adaptive { Margins::most(nprobe) } else { nprobe };
        if most < found.len() {
            found.select_nth_unstable(most - 1);
            found.truncate(most);
        }
        found.sort_unstable();
        if adaptive {
            self.margins.cut(query, nprobe, self.metric, count, found);
        }
    }

    pub(crate) fn memory_usage(&self) -> usize {
        self.rows.memory_usage() + self.codes.as_ref().map_or(0, |(_, codes)| codes.memory_bytes())
    }
}

/// How centres are compared: normalised vectors by squared distance.
pub(crate) fn plain(metric: Metric) -> Metric {
    if metric == Metric::Cosine { Metric::L2 } else { metric }
}

/// Whether the mistake is one of a metric that codes do not know, which centres do without.
pub(crate) fn without_codes(trained: Result<NodeRabitq, TrainError>) -> Result<Option<NodeRabitq>, TrainError> {
    match trained {
        Err(TrainError::Metric { .. }) => Ok(None),
        trained => trained.map(Some),
    }
}
