//! Two stores of the same rows: a short one that a walk reads, and one that knows better.
//!
//! [`DistanceOracle::distances`] asks the first, [`DistanceOracle::exact`] the second. How far the two are apart is measured
//! when they are put together: for some vectors and the rows near them the differences are collected, and the slack is the
//! quantile of these of which [`Rerank::QUANTILE`] are no larger. [`DistanceOracle::floor`] rests on it, so it is what holds
//! nearly always, not a bound as in [`SplitStore`](crate::SplitStore).
//!
//! Costs the memory of both, and per search the distances of both for the rows that may be returned.

use crate::{
    DistanceOracle, FlatError, MatrixView, Metric, Neighbor, PushVector, RowError, TopK, VectorError, VectorStore,
};

/// Rows that are compared by `C` first and by `R` before they are returned. Both keep the same rows in the same order.
///
/// ```
/// use ann_core::{DistanceOracle, FlatStore, Matrix, Metric, Rerank, VectorStore};
/// use half::bf16;
/// let rows = Matrix::from_rows(&[[0.0, 0.0], [3.0, 4.001], [1.0, 7.77]])?;
/// let short = FlatStore::<bf16>::rounded(rows.view(), Metric::L2)?;
/// let whole = FlatStore::<f32>::from_rows(rows.view(), Metric::L2)?;
/// let store = Rerank::new(short, whole, Metric::L2, rows.view())?;
/// let mut scratch = Default::default();
/// let oracle = store.oracle(&[0.0, 0.0], &mut scratch);
/// let (mut estimate, mut exact) = ([0.0], [0.0]);
/// oracle.distances(&[1], &mut estimate);
/// oracle.exact(&[1], &mut exact);
/// assert_eq!((estimate, exact), ([25.0], [9.0 + 4.001 * 4.001]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Rerank<C, R> {
    coarse: C,
    fine: R,
    metric: Metric,
    slack: f32,
}

/// Vectors that ask while the slack is measured, rows that they ask about, and how many of the nearest count.
const PROBES: usize = 64;
const ROWS: usize = 4096;
const NEAREST: usize = 32;

impl<C, R> Rerank<C, R>
where
    C: VectorStore<Vector = [f32]> + 'static,
    R: VectorStore<Vector = [f32]> + 'static,
{
    /// Share of the differences between estimates and exact distances that the slack is not less than.
    pub const QUANTILE: f64 = 0.99;

    /// Puts two stores of the same rows under `metric` together; some of `sample`, `(n, dim)`, ask while the slack is
    /// measured: queries, or the rows themselves.
    ///
    /// # Errors
    /// [`FlatError::Parts`] if the stores differ in length or dimension, [`FlatError::Row`] for a vector of the sample that they refuse.
    pub fn new(coarse: C, fine: R, metric: Metric, sample: MatrixView<'_, f32>) -> Result<Self, FlatError> {
        let mut store = Self::from_parts(coarse, fine, metric, 0.0)?;
        store.slack = store.measure(sample)?;
        Ok(store)
    }

    /// Puts a store together from what [`Self::coarse`], [`Self::fine`], [`Self::metric`] and [`Self::slack`] gave.
    ///
    /// # Errors
    /// [`FlatError::Parts`] if the stores differ in length or dimension.
    pub fn from_parts(coarse: C, fine: R, metric: Metric, slack: f32) -> Result<Self, FlatError> {
        let (expected, found) = (coarse.len(), fine.len());
        if expected != found {
            return Err(FlatError::Parts { what: "rows to rerank by", expected, found });
        }
        // A vector without columns fits no store, and is refused with the columns that would.
        let dim = |refused| match refused {
            Err(VectorError::Dimension { expected, .. }) => Some(expected),
            _ => None,
        };
        if let (Some(expected), Some(found)) = (dim(coarse.check(&[])), dim(fine.check(&[])))
            && expected != found
        {
            return Err(FlatError::Parts { what: "columns to rerank by", expected, found });
        }
        Ok(Self { coarse, fine, metric, slack })
    }

    /// The store that a walk reads.
    pub fn coarse(&self) -> &C {
        &self.coarse
    }

    /// The store that knows better.
    pub fn fine(&self) -> &R {
        &self.fine
    }

    /// The metric of both.
    pub fn metric(&self) -> Metric {
        self.metric
    }

    /// How much less than its estimate the exact distance to a row may be: of square roots under `L2`, in units of the
    /// query's norm under `InnerProduct`, plainly otherwise.
    pub fn slack(&self) -> f32 {
        self.slack
    }

    fn measure(&self, sample: MatrixView<'_, f32>) -> Result<f32, FlatError> {
        let (mut coarse, mut fine) = (C::Scratch::default(), R::Scratch::default());
        let (probes, rows) = (sample.len().min(PROBES), self.len().min(ROWS));
        let ids: Vec<u32> = (0..rows).map(|i| (i * self.len() / rows) as u32).collect();
        let (mut estimates, mut exact) = (vec![0.0; rows], vec![0.0; rows]);
        let mut differences = Vec::with_capacity(probes * NEAREST);
        for probe in 0..probes {
            let row = probe * sample.len() / probes;
            let query = sample.row(row);
            self.check(query).map_err(|source| RowError { row, source })?;
            self.coarse.oracle(query, &mut coarse).distances(&ids, &mut estimates);
            self.fine.oracle(query, &mut fine).distances(&ids, &mut exact);
            let mut nearest = TopK::new(NEAREST + 1);
            exact.iter().enumerate().for_each(|(i, &distance)| nearest.push(Neighbor::new(i as u32, distance)));
            let unit = self.unit(query);
            // The nearest of all is the vector itself, where the sample is of the rows.
            differences.extend(
                nearest
                    .into_sorted()
                    .iter()
                    .skip(1)
                    .map(|n| self.difference(estimates[n.id as usize], n.distance, unit)),
            );
        }
        differences.sort_unstable_by(f32::total_cmp);
        let at = (differences.len() as f64 * Self::QUANTILE) as usize;
        let slack = differences.get(at.min(differences.len().saturating_sub(1))).copied().unwrap_or(0.0);
        Ok(if slack.is_finite() { slack } else { f32::MAX })
    }

    /// By how much an estimate is too large, if at all in part.
    fn difference(&self, estimate: f32, exact: f32, unit: f32) -> f32 {
        match self.metric {
            Metric::L2 => (estimate.max(0.0).sqrt() - exact.max(0.0).sqrt()).abs(),
            _ if unit > 0.0 => (estimate - exact).abs() / unit,
            _ => 0.0,
        }
    }

    /// What the slack is counted in.
    fn unit(&self, query: &[f32]) -> f32 {
        match self.metric {
            Metric::InnerProduct => query.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt() as f32,
            _ => 1.0,
        }
    }
}

/// Where a [`Rerank`] prepares a query.
#[derive(Debug)]
pub struct RerankScratch<C, R> {
    coarse: C,
    fine: R,
}

impl<C: Default, R: Default> Default for RerankScratch<C, R> {
    fn default() -> Self {
        Self { coarse: C::default(), fine: R::default() }
    }
}

/// Answers for one query against a [`Rerank`].
#[derive(Debug)]
pub struct RerankOracle<C, R> {
    coarse: C,
    fine: R,
    roots: bool,
    reach: f32,
}

impl<C: DistanceOracle, R: DistanceOracle> DistanceOracle for RerankOracle<C, R> {
    const ESTIMATES: bool = true;

    fn distances(&self, ids: &[u32], out: &mut [f32]) {
        self.coarse.distances(ids, out);
    }

    fn exact(&self, ids: &[u32], out: &mut [f32]) {
        // Nothing has asked for these rows before.
        ids.iter().for_each(|&id| self.fine.prefetch(id));
        self.fine.exact(ids, out);
    }

    fn exact_within(&self, threshold: f32, ids: &[u32], out: &mut [f32]) {
        self.fine.exact_within(threshold, ids, out);
    }

    fn floor(&self, estimate: f32) -> f32 {
        if self.roots {
            let root = (estimate.max(0.0).sqrt() - self.reach).max(0.0);
            root * root
        } else {
            estimate - self.reach
        }
    }

    fn prefetch(&self, id: u32) {
        self.coarse.prefetch(id);
    }
}

impl<C, R> VectorStore for Rerank<C, R>
where
    C: VectorStore<Vector = [f32]> + 'static,
    R: VectorStore<Vector = [f32]> + 'static,
{
    type Vector = [f32];
    type Scratch = RerankScratch<C::Scratch, R::Scratch>;
    type Oracle<'a> = RerankOracle<C::Oracle<'a>, R::Oracle<'a>>;

    fn len(&self) -> usize {
        self.coarse.len()
    }

    fn check(&self, vector: &[f32]) -> Result<(), VectorError> {
        self.coarse.check(vector)?;
        self.fine.check(vector)
    }

    fn oracle<'a>(&'a self, query: &'a [f32], scratch: &'a mut Self::Scratch) -> Self::Oracle<'a> {
        let RerankScratch { coarse, fine } = scratch;
        let (coarse, fine) = (self.coarse.oracle(query, coarse), self.fine.oracle(query, fine));
        RerankOracle { coarse, fine, roots: self.metric == Metric::L2, reach: self.slack * self.unit(query) }
    }

    /// Estimates are those of the first store between its rows; how far off these are has not been measured.
    fn oracle_at<'a>(&'a self, id: u32, scratch: &'a mut Self::Scratch) -> Self::Oracle<'a> {
        let RerankScratch { coarse, fine } = scratch;
        let (coarse, fine) = (self.coarse.oracle_at(id, coarse), self.fine.oracle_at(id, fine));
        RerankOracle { coarse, fine, roots: self.metric == Metric::L2, reach: f32::INFINITY }
    }

    fn memory_usage(&self) -> usize {
        self.coarse.memory_usage() + self.fine.memory_usage()
    }
}

impl<C, R> PushVector for Rerank<C, R>
where
    C: PushVector<Vector = [f32]> + 'static,
    R: PushVector<Vector = [f32]> + 'static,
{
    fn push(&mut self, vector: &[f32]) -> Result<u32, VectorError> {
        let len = self.coarse.len();
        let id = self.coarse.push(vector)?;
        self.fine.push(vector).inspect_err(|_| self.coarse.truncate(len))?;
        Ok(id)
    }

    fn truncate(&mut self, len: usize) {
        self.coarse.truncate(len);
        self.fine.truncate(len);
    }

    fn swap_remove(&mut self, id: u32) {
        self.coarse.swap_remove(id);
        self.fine.swap_remove(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FlatStore, Matrix, split_mix, unit};
    use half::{bf16, f16};

    const METRICS: [Metric; 3] = [Metric::L2, Metric::InnerProduct, Metric::Cosine];

    fn floats(n: usize, dim: usize, seed: u64) -> Matrix<f32> {
        Matrix::new((0..(n * dim) as u64).map(|i| unit(split_mix(seed, i)) as f32 - 0.4).collect(), dim).unwrap()
    }

    fn both(rows: &Matrix<f32>, metric: Metric) -> Rerank<FlatStore<bf16>, FlatStore<f32>> {
        let short = FlatStore::rounded(rows.view(), metric).unwrap();
        Rerank::new(short, FlatStore::from_rows(rows.view(), metric).unwrap(), metric, rows.view()).unwrap()
    }

    #[test]
    fn exact_distances_are_those_of_the_second_store() {
        for metric in METRICS {
            let (rows, query) = (floats(300, 24, 1), floats(1, 24, 2));
            let store = both(&rows, metric);
            let ids = [3, 299, 0];
            let (mut scratch, mut fine, mut coarse) = Default::default();
            let (mut exact, mut estimates, mut expected) = ([0.0; 3], [0.0; 3], [0.0; 3]);
            let oracle = store.oracle(query.row(0), &mut scratch);
            oracle.exact(&ids, &mut exact);
            store.fine().oracle(query.row(0), &mut fine).distances(&ids, &mut expected);
            assert_eq!(exact, expected);
            oracle.distances(&ids, &mut estimates);
            store.coarse().oracle(query.row(0), &mut coarse).distances(&ids, &mut expected);
            assert_eq!(estimates, expected);
            assert_ne!(estimates, exact);
        }
    }

    #[test]
    fn exact_distances_are_hardly_ever_below_the_floor_and_often_near_it() {
        for metric in METRICS {
            let (rows, queries) = (floats(2000, 24, 3), floats(40, 24, 4));
            let store = both(&rows, metric);
            let ids: Vec<u32> = (0..2000).collect();
            let (mut below, mut near) = (0, 0);
            for query in queries.rows() {
                let mut scratch = Default::default();
                let (mut exact, mut estimates) = (vec![0.0; 2000], vec![0.0; 2000]);
                let oracle = store.oracle(query, &mut scratch);
                oracle.exact(&ids, &mut exact);
                oracle.distances(&ids, &mut estimates);
                for (&exact, &estimate) in exact.iter().zip(&estimates) {
                    let (floor, reach) = (oracle.floor(estimate), estimate - oracle.floor(estimate));
                    below += usize::from(exact < floor);
                    near += usize::from((exact - estimate).abs() > reach / 4.0);
                }
            }
            assert!(below < 80_000 / 50, "{metric}: {below} of 80,000");
            assert!(near > 80_000 / 10, "{metric}: {near} of 80,000, so that the slack is too large");
        }
    }

    #[test]
    fn a_row_that_the_second_store_refuses_is_in_neither() {
        let rows = floats(9, 3, 5);
        let short = FlatStore::<f32>::from_rows(rows.view(), Metric::L2).unwrap();
        let halves = FlatStore::<f16>::rounded(rows.view(), Metric::L2).unwrap();
        let mut store = Rerank::new(short, halves, Metric::L2, rows.view()).unwrap();
        assert!(store.push(&[1.0, 1e6, 0.0]).is_err() && store.push(&[1.0]).is_err());
        assert_eq!((store.len(), store.coarse().len(), store.fine().len()), (9, 9, 9));
        assert_eq!(store.push(&[1.0, 2.0, 3.0]), Ok(9));
        assert_eq!((store.coarse().len(), store.fine().len()), (10, 10));
        store.truncate(4);
        assert_eq!((store.coarse().len(), store.fine().len()), (4, 4));
        assert_eq!(store.memory_usage(), store.coarse().memory_usage() + store.fine().memory_usage());
    }

    #[test]
    fn stores_of_different_length_or_samples_of_another_dimension_are_refused() {
        let rows = floats(9, 3, 5);
        let store = |len: usize| FlatStore::<f32>::from_rows(rows.view().slice(0..len), Metric::L2).unwrap();
        assert!(matches!(Rerank::new(store(9), store(8), Metric::L2, rows.view()), Err(FlatError::Parts { .. })));
        assert!(matches!(Rerank::new(store(9), store(9), Metric::L2, floats(2, 4, 1).view()), Err(FlatError::Row(_))));
        let wider = FlatStore::<f32>::from_rows(floats(9, 4, 1).view(), Metric::L2).unwrap();
        assert!(matches!(Rerank::from_parts(store(9), wider, Metric::L2, 0.0), Err(FlatError::Parts { .. })));
        let empty = Rerank::new(store(0), store(0), Metric::L2, rows.view()).unwrap();
        assert_eq!((empty.len(), empty.slack()), (0, 0.0));
        let equal = Rerank::new(store(9), store(9), Metric::L2, rows.view()).unwrap();
        assert_eq!(equal.slack(), 0.0);
    }
}
