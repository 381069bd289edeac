//! Rows divided into overlapping shards that are small enough to be linked in memory.
//!
//! Centres come from k-means on a sample; every row goes to the two nearest shards that have room. Room is a promise: no
//! shard is larger than asked for, whatever the data. Rows come in order and prefer their nearest centre, so that one that
//! finds it full, which a little more room than needed makes rare, is placed by the next. If one shard alone has room left
//! (most rows are copies of each other), a row goes to that one only.
//!
//! Source: Subramanya et al., *DiskANN*, NeurIPS 2019, section 3.4.
//!
//! Cost: `n · shards` distances to place rows, and 4 bytes of memory per row.

use super::DiskError;
use ann_core::{
    DistanceOracle, FlatStore, Metric, Neighbor, Par, PushVector, ReadRow, RowError, ScratchPool, VectorStore,
    split_mix,
};

/// Shards of a row, most often: what links shards with each other.
pub(super) const COPIES: usize = 2;
/// In the place of a second shard.
const NO_SHARD: u16 = u16::MAX;
/// Room beyond what is needed.
const ROOM: f64 = 1.2;
/// Rows of the sample for each centre, and rounds of k-means on it: shards need not be more than neighbourhoods.
const SAMPLE_PER_CENTRE: usize = 64;
const ROUNDS: usize = 8;
/// Rows placed per unit of parallel work.
const CHUNK: usize = 256;
/// Rows whose distances to all centres are in memory at once.
const PLACED_AT_ONCE: usize = 16 * CHUNK;

/// The shards of every row, in order of their distance.
pub(super) struct Shards {
    of: Vec<[u16; COPIES]>,
}

impl Shards {
    /// How many shards of at most `most` rows `rows` rows take; `None` if more than there may be.
    pub(super) fn count(rows: usize, most: usize) -> Option<usize> {
        let count = (rows as f64 * COPIES as f64 * ROOM / most.max(1) as f64).ceil() as usize;
        (count < usize::from(NO_SHARD)).then_some(count.max(COPIES))
    }

    /// Divides `rows` into `count` shards of at most `most` rows each, on the threads of `par`; the same on any.
    pub(super) fn divide<R: ReadRow>(
        rows: &R,
        count: usize,
        most: usize,
        seed: u64,
        par: Par,
    ) -> Result<Self, DiskError> {
        let centres = centres(rows, count, seed)?;
        let mut room = vec![most; count];
        let mut of = Vec::with_capacity(rows.len());
        let pool = ScratchPool::<Scratch>::default();
        for start in (0..rows.len()).step_by(PLACED_AT_ONCE) {
            let len = PLACED_AT_ONCE.min(rows.len() - start);
            let ranked = par.map_chunks(len, CHUNK, &pool, |scratch, range| {
                range.map(|i| scratch.rank(rows, &centres, (start + i) as u32)).collect::<Vec<_>>()
            });
            for ranking in ranked.into_iter().flatten() {
                let mut shards = [NO_SHARD; COPIES];
                // There is room for more than all copies of all rows, so for this one in some shard.
                let with_room = ranking.into_iter().filter(|&shard| room[usize::from(shard)] > 0).take(COPIES);
                shards.iter_mut().zip(with_room).for_each(|(to, shard)| *to = shard);
                for shard in shards.into_iter().filter(|&shard| shard != NO_SHARD) {
                    room[usize::from(shard)] -= 1;
                }
                of.push(shards);
            }
        }
        Ok(Self { of })
    }

    /// The shards of a row.
    pub(super) fn of(&self, row: usize) -> impl Iterator<Item = usize> {
        self.of[row].into_iter().filter(|&shard| shard != NO_SHARD).map(usize::from)
    }

    /// The rows of a shard, ascending.
    pub(super) fn rows(&self, shard: usize) -> impl Iterator<Item = u32> + '_ {
        (0..self.of.len()).filter(move |&row| self.of(row).any(|other| other == shard)).map(|row| row as u32)
    }
}

/// Where a row is read and compared with the centres.
#[derive(Default)]
struct Scratch {
    row: Vec<f32>,
    oracle: <FlatStore<f32> as VectorStore>::Scratch,
    ids: Vec<u32>,
    distances: Vec<f32>,
}

impl Scratch {
    /// Distances from a row to all centres.
    fn compare<R: ReadRow>(&mut self, rows: &R, centres: &FlatStore<f32>, row: u32) -> &[f32] {
        let Self { row: values, oracle, ids, distances } = self;
        rows.read(row, values);
        ids.clear();
        ids.extend(0..centres.len() as u32);
        distances.resize(ids.len(), 0.0);
        centres.oracle(values, oracle).distances(ids, distances);
        distances
    }

    /// All centres, nearest first.
    fn rank<R: ReadRow>(&mut self, rows: &R, centres: &FlatStore<f32>, row: u32) -> Vec<u16> {
        let distances = self.compare(rows, centres, row);
        let mut order: Vec<Neighbor> = (0u32..).zip(distances).map(|(id, &d)| Neighbor::new(id, d)).collect();
        order.sort_unstable();
        order.iter().map(|n| n.id as u16).collect()
    }
}

/// `count` centres under L2, whatever the metric of the rows: shards are about who is beside whom.
fn centres<R: ReadRow>(rows: &R, count: usize, seed: u64) -> Result<FlatStore<f32>, DiskError> {
    let (dim, len) = (rows.dim(), rows.len());
    let sample_len = (count * SAMPLE_PER_CENTRE).min(len);
    let sample: Vec<u32> = (0..sample_len).map(|i| (i as u64 * len as u64 / sample_len as u64) as u32).collect();
    let mut starts = sample.clone();
    starts.sort_unstable_by_key(|&row| (split_mix(seed, u64::from(row)), row));
    let (mut values, mut row) = (Vec::with_capacity(count * dim), Vec::new());
    for &start in starts.iter().cycle().take(count) {
        rows.read(start, &mut row);
        values.extend_from_slice(&row);
    }
    let mut scratch = Scratch::default();
    for _ in 0..ROUNDS {
        let store = stored(&values, dim)?;
        let (mut sums, mut sizes) = (vec![0f64; count * dim], vec![0u32; count]);
        for &row in &sample {
            let distances = scratch.compare(rows, &store, row);
            let nearest = (0u32..).zip(distances).map(|(id, &d)| Neighbor::new(id, d)).min();
            let at = nearest.map_or(0, |n| n.id as usize);
            sizes[at] += 1;
            let sum = &mut sums[at * dim..][..dim];
            sum.iter_mut().zip(&scratch.row).for_each(|(sum, &x)| *sum += f64::from(x));
        }
        for ((centre, sum), &size) in values.chunks_exact_mut(dim).zip(sums.chunks_exact(dim)).zip(&sizes) {
            // A centre without rows stays where it is.
            if size > 0 {
                centre.iter_mut().zip(sum).for_each(|(x, sum)| *x = (sum / f64::from(size)) as f32);
            }
        }
    }
    stored(&values, dim)
}

fn stored(values: &[f32], dim: usize) -> Result<FlatStore<f32>, DiskError> {
    let mut store = FlatStore::<f32>::new(dim, Metric::L2)?;
    for (row, centre) in values.chunks_exact(dim).enumerate() {
        store.push(centre).map_err(|source| DiskError::Flat(RowError { row, source }.into()))?;
    }
    Ok(store)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ann_testkit::shapes;

    #[test]
    fn every_row_is_in_a_shard_nearly_all_in_two_and_none_is_larger_than_asked_for() {
        for shape in shapes::hostile(900, 6, 3) {
            let rows = FlatStore::<f32>::from_rows(shape.base.view(), Metric::L2).unwrap();
            for most in [300, 450, 899] {
                let count = Shards::count(900, most).unwrap();
                let divide = |par: Par| par.install(|par| Shards::divide(&rows, count, most, 1, par).unwrap());
                let shards = divide(Par::Serial);
                assert!(shards.of == divide(Par::Threads(2)).of && shards.of == divide(Par::Threads(8)).of);
                assert!((0..900).all(|row| shards.of(row).count() > 0), "{}", shape.name);
                let sizes: Vec<usize> = (0..count).map(|shard| shards.rows(shard).count()).collect();
                let copies: usize = sizes.iter().sum();
                assert!(copies > 1_700, "{}: {copies}", shape.name);
                assert!(sizes.iter().all(|&size| size <= most), "{}: {sizes:?}", shape.name);
            }
        }
    }

    #[test]
    fn neighbours_share_a_shard() {
        let set = ann_testkit::portable::mix128(2_000, 1);
        let rows = FlatStore::<f32>::from_rows(set.base.view(), Metric::L2).unwrap();
        let shards = Shards::divide(&rows, 8, 700, 1, Par::Serial).unwrap();
        let exact = ann_core::Exact::new(rows);
        let truth = exact.ground_truth(set.base.view(), 2, Par::Ambient).unwrap();
        let share = |row: usize| {
            let nearest = truth.ids(row)[1] as usize;
            shards.of(row).any(|shard| shards.of(nearest).any(|other| other == shard))
        };
        let shared = (0..2_000).filter(|&row| share(row)).count();
        assert!(shared > 1_900, "{shared} of 2,000 rows are in a shard of their nearest");
    }
}
