//! How many lists a query looks through: more where many centres are about as near, fewer where few are.
//!
//! Of `nprobe` lists in the mean a query takes those whose centres are no farther than its nearest [`NEAREST`] in the mean and a margin, which a sample of
//! rows tells: how much farther the `nprobe`-th centre is. On sift-300k, wordnet-113k and words-25 that scans .72 to .92 of the rows that as many lists for every
//! query hold, for the same recall. (SPANN takes a factor of the distance to the nearest centre: Chen et al., NeurIPS 2021, arXiv:2111.08566; it
//! leans on one centre, and products have no such factor.)

use crate::coarse::plain;
use ann_core::{DistanceOracle, FlatError, FlatStore, MatrixView, Metric, Neighbor, Par, ScratchPool, VectorStore};

/// Centres whose mean distance a margin is added to.
const NEAREST: usize = 8;
/// Most rows of the sample.
const SAMPLE: usize = 512;
/// Rows that a thread takes at a time.
const CHUNK: usize = 16;

/// How much farther the first, second, fourth, eighth .. and the last centre is than the nearest few; under inner products for a query of norm 1.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Margins(Vec<f32>);

impl Margins {
    /// The margins of some rows of `sample`, kept as the metric keeps rows, to `centres`; none where distances are beyond numbers.
    pub(crate) fn learn(
        sample: MatrixView<'_, f32>,
        centres: MatrixView<'_, f32>,
        metric: Metric,
        par: Par,
    ) -> Result<Self, FlatError> {
        let centres = FlatStore::<f32>::from_rows(centres, plain(metric))?;
        let ids: Vec<u32> = (0..centres.len() as u32).collect();
        let count = sample.len().min(SAMPLE);
        let pool = ScratchPool::<(<FlatStore<f32> as VectorStore>::Scratch, Vec<f32>)>::default();
        let parts = par.map_chunks(count, CHUNK, &pool, |(scratch, distances), range| {
            let of_row = |i: usize| {
                let row = sample.row(i * sample.len() / count);
                distances.resize(ids.len(), 0.0);
                centres.oracle(row, scratch).distances(&ids, distances);
                of_query(distances, scale(metric, row))
            };
            range.map(of_row).collect::<Vec<_>>()
        });
        let mut means = vec![0f64; steps(ids.len())];
        for margins in parts.iter().flatten() {
            means.iter_mut().zip(margins).for_each(|(mean, &margin)| *mean += f64::from(margin) / count as f64);
        }
        let means = means.into_iter().map(|mean| mean as f32).collect();
        Ok(Self::from_parts(means, ids.len()).unwrap_or_default())
    }

    /// Takes what [`Self::parts`] gave for so many centres; `None` if that cannot have been.
    pub(crate) fn from_parts(margins: Vec<f32>, centres: usize) -> Option<Self> {
        let sound = margins.len() == steps(centres) && margins.iter().all(|x| x.is_finite()) && margins.is_sorted();
        (margins.is_empty() || sound).then_some(Self(margins))
    }

    #[cfg(feature = "persist")]
    pub(crate) fn parts(&self) -> &[f32] {
        &self.0
    }

    /// Most lists of a query that is to take `nprobe` in the mean, and as many as [`Self::cut`] has to see.
    pub(crate) fn most(nprobe: usize) -> usize {
        (2 * nprobe).max(NEAREST)
    }

    /// Leaves the lists that `query` takes of `found`, the nearest [`Self::most`] of `lists` in their order: half of `nprobe` at least, and twice as many at the most.
    pub(crate) fn cut(&self, query: &[f32], nprobe: usize, metric: Metric, lists: usize, found: &mut Vec<Neighbor>) {
        if nprobe >= lists {
            return;
        }
        let Some(margin) = self.at(nprobe, lists) else { return found.truncate(nprobe) };
        let near = &found[..found.len().min(NEAREST)];
        let mean = near.iter().map(|list| list.distance).sum::<f32>() / near.len() as f32;
        let most = mean + scale(metric, query) * margin;
        let taken = found.partition_point(|list| list.distance <= most);
        found.truncate(taken.clamp(nprobe.div_ceil(2), 2 * nprobe));
    }

    /// The margin of so many lists, between two steps by the logarithm.
    fn at(&self, nprobe: usize, lists: usize) -> Option<f32> {
        let below = nprobe.ilog2() as usize;
        let &[a, b, ..] = self.0.get(below..)? else { return None };
        let log = |n: usize| (n as f32).log2();
        let above = lists.min(2 << below);
        let share = (log(nprobe) - below as f32) / (log(above) - below as f32);
        Some(if share > 0.0 { a + share * (b - a) } else { a })
    }
}

/// Margins of so many centres.
fn steps(centres: usize) -> usize {
    centres.max(1).ilog2() as usize + 2
}

/// The margins of one query, whose distances to all centres lose their order.
fn of_query(distances: &mut [f32], scale: f32) -> Vec<f32> {
    let last = distances.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut steps = vec![last];
    for step in (0..=distances.len().max(1).ilog2()).rev() {
        let before = (2 << step).min(distances.len());
        steps.push(*distances[..before].select_nth_unstable_by((1 << step) - 1, f32::total_cmp).1);
    }
    // Now the nearest come first.
    let near = &distances[..distances.len().min(NEAREST)];
    let mean = near.iter().sum::<f32>() / near.len() as f32;
    let unit = if scale > 0.0 { 1.0 / scale } else { 0.0 };
    steps.iter().rev().map(|distance| (distance - mean) * unit).collect()
}

/// What distances of `query` grow with: products with its norm.
fn scale(metric: Metric, query: &[f32]) -> f32 {
    match metric {
        Metric::InnerProduct => query.iter().map(|x| x * x).sum::<f32>().sqrt(),
        _ => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn list(distances: &[f32]) -> Vec<Neighbor> {
        (0u32..).zip(distances).map(|(id, &distance)| Neighbor::new(id, distance)).collect()
    }

    #[test]
    fn margins_are_those_of_a_sorted_row() {
        let mut distances: Vec<f32> = (0..100).map(|i| ((i * 37) % 100) as f32).collect();
        // Of 0, 1, .., 99 the nearest eight have the mean 3.5.
        let expected = [0.0, 1.0, 3.0, 7.0, 15.0, 31.0, 63.0, 99.0].map(|x: f32| 0.5 * (x - 3.5));
        assert_eq!(of_query(&mut distances, 2.0), expected);
        assert_eq!(of_query(&mut [5.0], 1.0), [0.0, 0.0]);
        assert_eq!(of_query(&mut [5.0, 1.0, 3.0], 1.0), [-2.0, 0.0, 2.0]);
    }

    #[test]
    fn a_query_between_many_centres_takes_more_lists_than_one_beside_one() {
        let margins = Margins::from_parts(vec![-3.0, -2.0, 0.0, 5.0, 10.0, 20.0, 40.0, 50.0], 100).unwrap();
        let cut = |distances: &[f32], nprobe| {
            let mut found = list(distances);
            found.truncate(Margins::most(nprobe));
            margins.cut(&[1.0], nprobe, Metric::L2, 100, &mut found);
            found.len()
        };
        let (even, steep) = ([7.0; 100], [0.0, 40.0, 41.0, 42.0, 43.0, 44.0, 45.0, 46.0, 90.0, 91.0, 92.0, 93.0, 94.0]);
        assert_eq!((cut(&even, 8), cut(&steep, 8)), (16, 4));
        let line: Vec<f32> = (0..100).map(|i| i as f32).collect();
        // 3.5 and a margin of 5, of 10, and of 5 and log2(1.5) of the way to 10.
        assert_eq!((cut(&line, 8), cut(&line, 16), cut(&line, 12)), (9, 14, 12));
        assert_eq!((cut(&line, 100), cut(&line, 300)), (100, 100));
    }

    proptest! {
        #[test]
        fn more_is_never_less(margins in proptest::collection::vec(0u8..50, 8), distances in proptest::collection::vec(0u8..80, 100)) {
            let mut margins: Vec<f32> = margins.iter().map(|&x| f32::from(x)).collect();
            let mut distances: Vec<f32> = distances.iter().map(|&x| f32::from(x)).collect();
            margins.sort_unstable_by(f32::total_cmp);
            distances.sort_unstable_by(f32::total_cmp);
            let margins = Margins::from_parts(margins, 100).unwrap();
            let mut before = 0;
            for nprobe in 1..=100 {
                let mut found = list(&distances[..Margins::most(nprobe).min(100)]);
                margins.cut(&[1.0], nprobe, Metric::L2, 100, &mut found);
                prop_assert!(found.len() >= before && found.len() >= nprobe.div_ceil(2) && found.len() <= 2 * nprobe);
                before = found.len();
            }
            prop_assert_eq!(before, 100);
        }
    }

    #[test]
    fn what_no_sample_gave_is_refused() {
        assert!(Margins::from_parts(vec![0.0; 8], 100).is_some() && Margins::from_parts(Vec::new(), 100).is_some());
        for margins in [vec![0.0; 7], vec![0.0, 1.0, 0.5, 2.0, 3.0, 4.0, 5.0, 6.0], vec![f32::NAN; 8]] {
            assert_eq!(Margins::from_parts(margins, 100), None);
        }
    }
}
