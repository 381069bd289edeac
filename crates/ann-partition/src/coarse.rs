//! Which lists a query looks through: those with the nearest centres.
//!
//! Reading every centre costs more than scanning the lists. So centres have codes of their own, of four bits per value around the
//! mean, which are scanned as those of lists are; somewhat more than are wanted are then measured. All of this is exact enough that one list in
//! thousands differs. Many centres are divided into groups by k-means, a tree of two levels, and only the nearest groups are scanned.

use crate::codec::Query;
use crate::lists::{Lists, NO_ROW};
use crate::probing::Margins;
use ann_core::simd::lanes::LANES;
use ann_core::{
    DistanceOracle, FlatError, FlatStore, LaneCodec, Matrix, MatrixView, Metric, Neighbor, NodeCodec, Par, Reservoir,
    VectorStore, prepare_dense,
};
use ann_quant::{KMeans, KMeansParams, NodeRabitq, NodeRabitqQuery, TrainError};

/// Bits of the codes of centres.
const PLANES: usize = 4;
/// Fewer centres are measured all.
const FEW: usize = 128;
/// Fewest centres that are divided into groups, about as many as a group holds.
const MANY: usize = 8192;
/// Of the centres a search looks at one in so many, and at so many times what it wants. On sift-300k in 16,384 lists with 2 bits that makes 32, 128 and 256 lists 1.8, 1.4
/// and 1.4 times as fast for .0004, .0024 and .0043 of recall; one in eight 2.0, 1.6 and 1.4 times for .009, .022 and .031. Two or three times as many groups, of which one
/// in six and eight centres is looked at, are slower for the same recall.
const SHARE: usize = 4;
/// Of k-means over centres.
const ITERATIONS: usize = 4;
/// Blocks that are scored together.
const BLOCKS: usize = 8;

/// The centres of all lists.
#[derive(Debug, Clone)]
pub(crate) struct Centres {
    /// Under cosine centres of normalised rows, compared by squared distance.
    pub(crate) rows: FlatStore<f32>,
    /// Nothing where there are few centres.
    codes: Option<Codes>,
    pub(crate) margins: Margins,
    metric: Metric,
}

/// Codes of centres around the mean of rows, in lists as those of rows are: one, or one for each group of many centres.
#[derive(Debug, Clone)]
struct Codes {
    codec: NodeRabitq,
    lists: Lists,
    /// Means of the groups; none where there is one.
    groups: Option<FlatStore<f32>>,
}

/// Memory of a ranking.
#[derive(Debug, Default)]
pub(crate) struct Ranking {
    query: Vec<f32>,
    store: <FlatStore<f32> as VectorStore>::Scratch,
    pool: Reservoir,
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
        par: Par,
    ) -> Result<Self, FlatError> {
        let rows = FlatStore::from_rows(centres, plain(metric))?;
        Ok(Self::over(rows, metric, codec, margins, par))
    }

    pub(crate) fn over(
        rows: FlatStore<f32>,
        metric: Metric,
        codec: Option<&NodeRabitq>,
        margins: Margins,
        par: Par,
    ) -> Self {
        let codec = codec.filter(|_| rows.len() > FEW).and_then(|codec| codec.with_planes(PLANES).ok());
        let codes = codec.map(|codec| Codes::of(&rows, codec, par));
        Self { rows, metric, codes, margins }
    }

    /// The codec of the centres, for which [`Self::rank`] makes queries ready.
    pub(crate) fn codec(&self) -> Option<&NodeRabitq> {
        self.codes.as_ref().map(|codes| &codes.codec)
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
        if let Some(codes) = &self.codes {
            codes.codec.prepare(query, &mut prepared.rabitq);
            if want < count / 2 {
                codes.rank_groups(unit, want, store, ids, distances, found);
                codes.scan(&prepared.rabitq, found, pool);
                ids.clear();
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
        self.rows.memory_usage() + self.codes.as_ref().map_or(0, Codes::memory_usage)
    }
}

impl Codes {
    fn of(rows: &FlatStore<f32>, codec: NodeRabitq, par: Par) -> Self {
        let (width, block_len) = (codec.transformed_len(), codec.codes_len(LANES));
        let (groups, labels) = groups(rows, par).unzip();
        let labels = labels.unwrap_or_else(|| vec![0; rows.len()]);
        let count = groups.as_ref().map_or(1, VectorStore::len);
        let mut lists = Lists::new((0..).zip(labels), count, block_len);
        let (mut transformed, origin) = (vec![0.0; LANES * width], vec![0.0; width]);
        for (ids, out) in lists.ids.chunks(LANES).zip(lists.codes.as_mut_slice().chunks_exact_mut(block_len)) {
            let ids = ids.iter().filter(|&&id| id != NO_ROW);
            let mut many = 0;
            for (&id, out) in ids.zip(transformed.chunks_exact_mut(width)) {
                codec.transform_prepared(rows.row(id), out);
                many += 1;
            }
            let near: Vec<&[f32]> = transformed.chunks_exact(width).take(many).collect();
            codec.encode(&origin, &near, LANES, out);
        }
        Self { codec, lists, groups }
    }

    /// Replaces `found` by the nearest groups of `query`, as many as hold enough centres for `want` of them.
    fn rank_groups(
        &self,
        query: &[f32],
        want: usize,
        store: &mut <FlatStore<f32> as VectorStore>::Scratch,
        ids: &mut Vec<u32>,
        distances: &mut Vec<f32>,
        found: &mut Vec<Neighbor>,
    ) {
        found.clear();
        let Some(groups) = &self.groups else { return found.push(Neighbor::new(0, 0.0)) };
        ids.clear();
        ids.extend(0..groups.len() as u32);
        distances.resize(ids.len(), 0.0);
        groups.oracle(query, store).distances(ids, distances);
        found.extend(ids.iter().zip(&*distances).map(|(&id, &distance)| Neighbor::new(id, distance)));
        found.sort_unstable();
        let mut missing = (self.lists.ids.len() / SHARE).max(SHARE * want);
        let enough = found.iter().position(|group| {
            missing = missing.saturating_sub(self.lists.lens[group.id as usize] as usize);
            missing == 0
        });
        found.truncate(enough.map_or(found.len(), |last| last + 1));
    }

    /// Scores the centres of `groups` and keeps the nearest in `pool`.
    fn scan(&self, query: &NodeRabitqQuery, groups: &[Neighbor], pool: &mut Reservoir) {
        let (block_len, origin) = (self.codec.codes_len(LANES), self.codec.origin(query));
        let (mut out, mut near) = ([[0.0; LANES]; BLOCKS], [0; BLOCKS]);
        for run in groups.iter().flat_map(|group| self.lists.runs(group.id as usize, BLOCKS)) {
            let ids = &self.lists.ids[run.first * LANES..][..run.rows];
            let blocks = &self.lists.codes[run.first * block_len..][..run.blocks * block_len];
            let (out, near) = (&mut out[..run.blocks], &mut near[..run.blocks]);
            self.codec.score_blocks(query, origin, blocks, pool.bound(), out, near);
            for ((ids, out), &mut near) in ids.chunks(LANES).zip(out).zip(near) {
                let mut near = near;
                while near != 0 {
                    let lane = near.trailing_zeros() as usize;
                    near &= near - 1;
                    if let Some(&id) = ids.get(lane) {
                        pool.push(id, out[lane]);
                    }
                }
            }
        }
    }

    fn memory_usage(&self) -> usize {
        let (codes, lists) = self.lists.memory_usage();
        codes + lists + self.groups.as_ref().map_or(0, VectorStore::memory_usage)
    }
}

/// Divides many centres into groups: the means of these, and the group of every centre.
fn groups(rows: &FlatStore<f32>, par: Par) -> Option<(FlatStore<f32>, Vec<u32>)> {
    if rows.len() < MANY {
        return None;
    }
    let values = (0..rows.len() as u32).flat_map(|id| rows.row(id)).copied().collect();
    let values = Matrix::new(values, rows.dim()).ok()?;
    let params = KMeansParams { k: rows.len().isqrt(), iterations: ITERATIONS, ..KMeansParams::default() };
    let KMeans { centroids, labels, .. } = KMeans::train(values.view(), &params, par).ok()?;
    // Means of centres that are of use as such: under no metric of theirs they are refused.
    Some((FlatStore::from_rows(centroids.view(), rows.metric()).ok()?, labels))
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

#[cfg(test)]
mod tests {
    use super::*;
    use ann_core::{split_mix, unit};
    use ann_quant::NodeRabitqParams;
    use std::collections::BTreeSet;

    const DIM: usize = 16;

    /// Around forty points.
    fn rows(n: usize, seed: u64) -> Matrix<f32> {
        let value = |row: usize, j: usize| {
            let around = split_mix(seed, row as u64) % 40;
            unit(split_mix(1, around * 100 + j as u64)) + 0.4 * unit(split_mix(seed + 1, (row * DIM + j) as u64))
        };
        Matrix::new((0..n * DIM).map(|i| value(i / DIM, i % DIM) as f32 - 0.6).collect(), DIM).unwrap()
    }

    fn centres(rows: &Matrix<f32>, metric: Metric, par: Par) -> Centres {
        let codec = NodeRabitq::train(rows.view(), metric, &NodeRabitqParams { planes: 4, seed: 0 }).unwrap();
        Centres::new(rows.view(), metric, Some(&codec), Margins::default(), par).unwrap()
    }

    fn ranked(centres: &Centres, query: &[f32], nprobe: usize) -> Vec<u32> {
        let (mut prepared, mut ranking) = (Query::default(), Ranking::default());
        centres.rank(query, nprobe, false, &mut prepared, &mut ranking);
        ranking.found.iter().map(|list| list.id).collect()
    }

    #[test]
    fn many_centres_are_in_groups_of_which_the_nearest_are_looked_at() {
        let queries = rows(100, 5);
        for metric in [Metric::L2, Metric::InnerProduct] {
            let centres = centres(&rows(MANY, 2), metric, Par::Ambient);
            let lists = &centres.codes.as_ref().unwrap().lists;
            let held: BTreeSet<u32> = lists.ids.iter().copied().filter(|&id| id != NO_ROW).collect();
            assert!(lists.len() == 90 && held.len() == MANY && held.last() == Some(&(MANY as u32 - 1)));
            assert_eq!(lists.lens.iter().sum::<u32>(), MANY as u32);
            let mut hits = 0;
            for query in queries.rows() {
                // Of more than a quarter all are measured.
                let all = ranked(&centres, query, MANY);
                assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), MANY);
                let near = ranked(&centres, query, 20);
                assert_eq!(near.len(), 20);
                hits += near.iter().filter(|list| all[..20].contains(list)).count();
            }
            assert!(hits >= 1_950, "{metric}: {hits} of 2000");
        }
    }

    #[test]
    fn threads_do_not_change_groups() {
        let rows = rows(MANY + 7, 3);
        let [one, four] = [Par::Serial, Par::Threads(4)].map(|par| centres(&rows, Metric::L2, par));
        let [one, four] = [&one, &four].map(|centres| &centres.codes.as_ref().unwrap().lists);
        assert_eq!((&*one.ids, &*one.codes, &one.lens), (&*four.ids, &*four.codes, &four.lens));
    }

    #[test]
    fn equal_centres_are_all_found() {
        let rows = Matrix::new([1.0, 2.0].repeat(MANY), 2).unwrap();
        let centres = centres(&rows, Metric::L2, Par::Ambient);
        assert_eq!(ranked(&centres, &[1.0, 2.0], 5).len(), 5);
        assert_eq!(ranked(&centres, &[0.0, 9.0], MANY).len(), MANY);
    }
}
