//! Recall: the share of the true nearest neighbours that a search found.
//!
//! Two ways of counting. *By threshold*, as ann-benchmarks does: a result counts if it is no farther than the true
//! `k`-th neighbour plus 1e-3, whatever its id. *By id*: a result counts if it is one of the true `k` or exactly as
//! near as the last of them. The first compares with published curves, the second is stricter where 1e-3 is a
//! material distance (unit vectors). A result that lists a row twice is an error under both, since the threshold would
//! count it twice.
//!
//! Source: Aumüller, Bernhardsson and Faithfull, *ANN-Benchmarks*, Information Systems 87 (2020), and its
//! `metrics.py`; intervals after Wilson, JASA 22 (1927), with the design effect of Kish, *Survey Sampling* (1965).
//!
//! Cost: `O(k²)` per query at worst, no allocation but one number per query. Needs slices only.

/// What ann-benchmarks allows beyond the true `k`-th distance, in reported units (Euclidean, not squared).
pub const SLACK: f64 = 1e-3;

/// Relative width within which two distances are a tie when counting by id: rounding of f32 sums, no more.
pub const TIE: f64 = 1e-6;

/// 97.5 % quantile of the normal distribution: two-sided 95 %.
const Z95: f64 = 1.959_964;

/// A result that recall cannot be counted for.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RecallError {
    /// The same row twice among the first `k` results.
    #[error("query {query}: row {id} is listed twice among the results")]
    Duplicate {
        /// The query whose result it is.
        query: usize,
        /// The row listed twice.
        id: u32,
    },
    /// Ids without distances or distances without ids.
    #[error("query {query}: {ids} ids but {distances} distances")]
    Lengths {
        /// The query whose result it is.
        query: usize,
        /// Number of ids given.
        ids: usize,
        /// Number of distances given.
        distances: usize,
    },
    /// A truth of fewer than `k` neighbours.
    #[error("query {query}: the truth lists {found} neighbours, {k} are needed")]
    ShortTruth {
        /// The query whose truth it is.
        query: usize,
        /// Neighbours in the truth.
        found: usize,
        /// Neighbours asked for.
        k: usize,
    },
}

/// One query: ids, and distances in the same units on both sides, nearest first.
#[derive(Debug, Clone, Copy)]
pub struct Ranked<'a> {
    /// Rows, nearest first.
    pub ids: &'a [u32],
    /// Their distances, in reported units.
    pub distances: &'a [f32],
}

/// Recall at `k` of a run of queries.
///
/// ```
/// use ann_testkit::recall::{Ranked, Recall};
/// let mut recall = Recall::new(2);
/// let truth = Ranked { ids: &[4, 1, 0], distances: &[0.1, 0.5, 0.9] };
/// recall.add_by_threshold(truth, Ranked { ids: &[4, 7], distances: &[0.1, 0.5004] })?;
/// recall.add_by_threshold(truth, Ranked { ids: &[4, 7], distances: &[0.1, 0.6] })?;
/// assert_eq!((recall.mean(), recall.of(1)), (0.75, 0.5));
/// let (low, high) = recall.interval95();
/// assert!(low < 0.75 && 0.75 < high);
/// # Ok::<(), ann_testkit::RecallError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recall {
    k: usize,
    hits: Vec<u32>,
}

impl Recall {
    /// No queries yet; every one will be asked for `k` neighbours.
    ///
    /// # Panics
    /// If `k` is 0.
    pub fn new(k: usize) -> Self {
        assert!(k > 0, "recall at 0 is not defined");
        Self { k, hits: Vec::new() }
    }

    /// Counts one query as ann-benchmarks does: results among the first `k` no farther than the true `k`-th distance
    /// plus [`SLACK`]. Missing results are misses; a NaN distance is a miss.
    ///
    /// # Errors
    /// [`RecallError`] for a row listed twice, unequal lengths, or a truth shorter than `k`.
    pub fn add_by_threshold(&mut self, truth: Ranked<'_>, found: Ranked<'_>) -> Result<(), RecallError> {
        let bound = self.kth(truth, found)? + SLACK;
        self.push(found.distances.iter().take(self.k).filter(|&&d| f64::from(d) <= bound).count());
        Ok(())
    }

    /// Counts one query by id: results among the first `k` that are one of the true `k`, or tied with the last of
    /// them within [`TIE`]. Missing results are misses.
    ///
    /// # Errors
    /// As [`Self::add_by_threshold`].
    pub fn add_by_id(&mut self, truth: Ranked<'_>, found: Ranked<'_>) -> Result<(), RecallError> {
        let kth = self.kth(truth, found)?;
        // The absolute value keeps the bound beyond the distance where distances are negative (inner product).
        let bound = kth + kth.abs() * TIE;
        let nearest = truth.ids.get(..self.k).unwrap_or(truth.ids);
        let results = found.ids.iter().zip(found.distances).take(self.k);
        self.push(results.filter(|&(id, &d)| f64::from(d) <= bound || nearest.contains(id)).count());
        Ok(())
    }

    /// Results asked for per query.
    pub fn k(&self) -> usize {
        self.k
    }

    /// Number of queries counted.
    pub fn len(&self) -> usize {
        self.hits.len()
    }

    /// Whether no query was counted.
    pub fn is_empty(&self) -> bool {
        self.hits.is_empty()
    }

    /// Recall of query `i`, in `0..=1`.
    ///
    /// # Panics
    /// If `i >= self.len()`.
    pub fn of(&self, i: usize) -> f64 {
        f64::from(self.hits[i]) / self.k as f64
    }

    /// Recall of every query, in order.
    pub fn per_query(&self) -> impl ExactSizeIterator<Item = f64> + '_ {
        self.hits.iter().map(|&hits| f64::from(hits) / self.k as f64)
    }

    /// Mean over queries, in `0..=1`; NaN without queries.
    pub fn mean(&self) -> f64 {
        self.hits.iter().map(|&hits| u64::from(hits)).sum::<u64>() as f64 / (self.hits.len() * self.k) as f64
    }

    /// Bounds of the mean at 95 % confidence for other queries of the same kind: Wilson's interval on all `k` results
    /// of all queries, their number divided by the measured design effect, since hits of one query come together.
    /// Where every query scored the same (often 1) that effect cannot be measured, and each query counts as a single
    /// trial. `(0, 1)` without queries.
    pub fn interval95(&self) -> (f64, f64) {
        if self.is_empty() {
            return (0.0, 1.0);
        }
        let (mean, trials) = (self.mean(), self.len() as f64 * self.k as f64 / self.design_effect());
        let shrink = 1.0 + Z95 * Z95 / trials;
        let centre = (mean + Z95 * Z95 / (2.0 * trials)) / shrink;
        let half = Z95 * (mean * (1.0 - mean) / trials + (Z95 / (2.0 * trials)).powi(2)).sqrt() / shrink;
        ((centre - half).max(0.0), (centre + half).min(1.0))
    }

    /// Variance of the per-query recalls over what independent hits would have, in `1..=k`.
    fn design_effect(&self) -> f64 {
        let (mean, k) = (self.mean(), self.k as f64);
        let independent = mean * (1.0 - mean) / k;
        let variance = self.per_query().map(|r| (r - mean).powi(2)).sum::<f64>() / self.len() as f64;
        if variance > 0.0 { (variance / independent).clamp(1.0, k) } else { k }
    }

    /// Mean of `self - other` over the same queries and its 95 % half width. Two systems on the same queries differ
    /// significantly if the difference exceeds the half width; the intervals of each alone are far wider.
    ///
    /// # Panics
    /// If the two counted different numbers of queries, or fewer than two.
    pub fn paired_difference(&self, other: &Self) -> (f64, f64) {
        let n = self.len();
        assert!(n == other.len() && n > 1, "{n} queries cannot be paired with {}", other.len());
        let differences = || self.per_query().zip(other.per_query()).map(|(a, b)| a - b);
        let mean = differences().sum::<f64>() / n as f64;
        let variance = differences().map(|d| (d - mean).powi(2)).sum::<f64>() / (n - 1) as f64;
        (mean, Z95 * (variance / n as f64).sqrt())
    }

    /// The true `k`-th distance, after checking both sides.
    fn kth(&self, truth: Ranked<'_>, found: Ranked<'_>) -> Result<f64, RecallError> {
        let (query, k) = (self.hits.len(), self.k);
        for side in [truth, found] {
            if side.ids.len() != side.distances.len() {
                return Err(RecallError::Lengths { query, ids: side.ids.len(), distances: side.distances.len() });
            }
        }
        let ids = found.ids.get(..k).unwrap_or(found.ids);
        if let Some((_, &id)) = ids.iter().enumerate().find(|&(i, id)| ids[..i].contains(id)) {
            return Err(RecallError::Duplicate { query, id });
        }
        let kth = truth.distances.get(k - 1).copied();
        kth.map(f64::from).ok_or(RecallError::ShortTruth { query, found: truth.distances.len(), k })
    }

    fn push(&mut self, hits: usize) {
        // At most k results are looked at, and k fits: it counts u32 ids that all differ.
        self.hits.push(hits as u32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TRUTH: Ranked<'_> = Ranked { ids: &[10, 11, 12, 13], distances: &[1.0, 2.0, 3.0, 3.0] };

    fn by(count: fn(&mut Recall, Ranked<'_>, Ranked<'_>) -> Result<(), RecallError>, found: &[(u32, f32)]) -> f64 {
        let (ids, distances): (Vec<_>, Vec<_>) = found.iter().copied().unzip();
        let mut recall = Recall::new(3);
        count(&mut recall, TRUTH, Ranked { ids: &ids, distances: &distances }).unwrap();
        recall.mean() * 3.0
    }

    #[test]
    fn threshold_counts_near_ties_whatever_their_ids() {
        assert_eq!(by(Recall::add_by_threshold, &[(10, 1.0), (70, 3.0009), (71, 3.0011)]), 2.0);
    }

    #[test]
    fn ids_count_only_with_exact_ties() {
        assert_eq!(by(Recall::add_by_id, &[(10, 1.0), (13, 3.0), (71, 3.0009)]), 2.0);
    }

    #[test]
    fn ids_count_though_their_distances_are_rounded() {
        assert_eq!(by(Recall::add_by_id, &[(10, 1.01), (12, 3.01), (71, 3.01)]), 2.0);
    }

    #[test]
    fn results_beyond_k_are_not_looked_at_and_missing_ones_are_misses() {
        assert_eq!(by(Recall::add_by_threshold, &[(1, 9.0), (2, 9.0), (3, 9.0), (10, 1.0)]), 0.0);
        assert_eq!(by(Recall::add_by_id, &[(10, 1.0)]), 1.0);
        assert_eq!(by(Recall::add_by_id, &[]), 0.0);
    }

    #[test]
    fn nan_distances_are_misses_by_threshold() {
        assert_eq!(by(Recall::add_by_threshold, &[(10, f32::NAN), (11, 2.0)]), 1.0);
    }

    #[test]
    fn negative_distances_tie_outwards() {
        let mut recall = Recall::new(1);
        let truth = Ranked { ids: &[5], distances: &[-8.0] };
        recall.add_by_id(truth, Ranked { ids: &[6], distances: &[-8.0 + 1e-6] }).unwrap();
        recall.add_by_id(truth, Ranked { ids: &[6], distances: &[-7.9] }).unwrap();
        assert_eq!((recall.of(0), recall.of(1)), (1.0, 0.0));
    }

    #[test]
    fn repeated_rows_are_rejected() {
        let found = Ranked { ids: &[10, 11, 10], distances: &[1.0; 3] };
        let error = Recall::new(3).add_by_threshold(TRUTH, found).unwrap_err();
        assert_eq!(error, RecallError::Duplicate { query: 0, id: 10 });
        assert_eq!(Recall::new(3).add_by_id(TRUTH, found), Err(error));
    }

    #[test]
    fn short_truth_and_unequal_lengths_are_rejected() {
        let none = Ranked { ids: &[], distances: &[] };
        let short = Recall::new(5).add_by_id(TRUTH, none);
        assert_eq!(short, Err(RecallError::ShortTruth { query: 0, found: 4, k: 5 }));
        let uneven = Recall::new(3).add_by_id(TRUTH, Ranked { ids: &[1], distances: &[] });
        assert_eq!(uneven, Err(RecallError::Lengths { query: 0, ids: 1, distances: 0 }));
    }

    fn with_hits(k: usize, hits: impl IntoIterator<Item = u32>) -> Recall {
        Recall { k, hits: hits.into_iter().collect() }
    }

    #[test]
    fn interval_matches_the_rule_of_thumb() {
        // 1,000 queries at k = 10 and recall .95: ±.007 to ±.010 with correlated hits, ±.004 with independent ones.
        let correlated = with_hits(10, (0..1000).map(|i| if i % 10 == 0 { 5 } else { 10 }));
        let (low, high) = correlated.interval95();
        assert!((0.0085..0.0105).contains(&((high - low) / 2.0)), "{low} {high}");
        let independent = with_hits(10, (0..1000).map(|i| if i % 2 == 0 { 9 } else { 10 }));
        let (low, high) = independent.interval95();
        assert!((0.0040..0.0050).contains(&((high - low) / 2.0)), "{low} {high}");
    }

    #[test]
    fn perfect_recall_still_has_a_lower_bound_below_one() {
        let (low, high) = with_hits(10, vec![10; 100]).interval95();
        assert!(high == 1.0 && (0.95..0.97).contains(&low), "{low} {high}");
    }

    #[test]
    fn pairing_sees_a_difference_that_intervals_do_not() {
        let better = with_hits(10, (0..100).map(|i| 1 + i % 10));
        let worse = with_hits(10, (0..100).map(|i| i % 10));
        let (difference, half) = better.paired_difference(&worse);
        assert!((difference - 0.1).abs() < 1e-12 && half < 1e-9, "{difference} {half}");
        assert!(better.interval95().0 < worse.interval95().1);
    }

    proptest! {
        #[test]
        fn mean_lies_within_its_interval(hits in prop::collection::vec(0u32..=10, 1..50)) {
            let recall = with_hits(10, hits);
            let (low, high) = recall.interval95();
            prop_assert!(0.0 <= low && low <= recall.mean() + 1e-12 && recall.mean() <= high + 1e-12 && high <= 1.0);
        }
    }
}
