//! One check that the tests of every index share: a table of what recall and effort to expect.
//!
//! A [`Workload`] is data with its truth; an [`Expected`] row names data, index and search effort, and bounds the mean
//! recall and the mean number of distance evaluations. [`check_recall`] runs the rows that concern one index and fails
//! with the whole table, measured beside expected, so that one glance tells a shifted curve from a broken one.
//!
//! Recall is counted by id with ties, on distances recomputed in f64 from the returned ids: what a search claims about
//! distances is not believed. Evaluations tie recall to work independent of the machine.

use std::fmt;
use std::ops::RangeInclusive;

use ann_core::{GroundTruth, Matrix, Metric};

use crate::brute::{self, distance, reported};
use crate::portable::Portable;
use crate::recall::{Ranked, Recall};
use crate::shapes::Shape;

/// Data to index, queries, and their `k` true neighbours. Where the plain loop is too slow for the truth, fill the
/// fields from a search that was checked against it.
///
/// ```
/// use ann_testkit::{Workload, portable};
/// let work = Workload::of(portable::iso64(300, 5), 10);
/// assert_eq!((work.name.as_str(), work.truth.len(), work.truth.k), ("iso64", 5, 10));
/// ```
#[derive(Debug, Clone)]
pub struct Workload {
    /// Name of the data, as in [`Expected::data`].
    pub name: String,
    /// The rows to index.
    pub base: Matrix<f32>,
    /// The rows to ask for.
    pub queries: Matrix<f32>,
    /// What is near.
    pub metric: Metric,
    /// The true neighbours; `truth.k` results are asked for.
    pub truth: GroundTruth,
}

impl Workload {
    /// Finds the truth of a portable set by the plain loop: about `n_base · n_queries · dim` nanoseconds.
    pub fn of(set: Portable, k: usize) -> Self {
        Self::new(set.name, set.base, set.queries, set.metric, k)
    }

    /// Finds the truth of a hostile shape under one of its metrics.
    pub fn of_shape(shape: &Shape, metric: Metric, k: usize) -> Self {
        Self::new(shape.name, shape.base.clone(), shape.queries.clone(), metric, k)
    }

    /// Finds the truth by the plain loop.
    ///
    /// # Panics
    /// If base and queries differ in dimension.
    pub fn new(name: &str, base: Matrix<f32>, queries: Matrix<f32>, metric: Metric, k: usize) -> Self {
        let truth = brute::truth(base.view(), queries.view(), metric, k);
        Self { name: name.to_owned(), base, queries, metric, truth }
    }

    /// Recall of `search` at one effort, and its mean distance evaluations per query.
    ///
    /// `search(query, effort)` returns the ids found, nearest first, and the number of distances it evaluated.
    ///
    /// # Panics
    /// If a result lists a row twice or one that does not exist.
    pub fn measure(&self, effort: usize, mut search: impl FnMut(&[f32], usize) -> (Vec<u32>, u64)) -> Measured {
        let mut recall = Recall::new(self.truth.k);
        let mut evaluations = 0;
        for (i, query) in self.queries.rows().enumerate() {
            let (ids, spent) = search(query, effort);
            evaluations += spent;
            if let Some(id) = ids.iter().find(|&&id| id as usize >= self.base.len()) {
                panic!("{}, query {i}: row {id} of {} was returned", self.name, self.base.len());
            }
            let distance = |&id: &u32| reported(self.metric, distance(self.metric, query, self.base.row(id as usize)));
            let distances: Vec<f32> = ids.iter().map(distance).collect();
            let truth = Ranked { ids: self.truth.ids(i), distances: self.truth.distances(i) };
            let found = Ranked { ids: &ids, distances: &distances };
            recall.add_by_id(truth, found).unwrap_or_else(|error| panic!("{}: {error}", self.name));
        }
        Measured { evaluations: evaluations as f64 / self.queries.len() as f64, recall }
    }
}

/// What [`Workload::measure`] saw.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// Recall of every query.
    pub recall: Recall,
    /// Mean distance evaluations per query.
    pub evaluations: f64,
}

/// One line of expectations.
///
/// ```
/// use ann_testkit::Expected;
/// let row = Expected::near("mix128", "HNSW16", 40, 0.996, 0.005).evaluations(570.0..=615.0);
/// assert!(row.recall.contains(&0.9985) && !row.recall.contains(&0.990));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Expected {
    /// Name of the data, as in [`Workload::name`].
    pub data: String,
    /// The index and its parameters, in any notation: equal strings are the same index.
    pub spec: String,
    /// Search effort (`ef` of a graph, `nprobe` of a partition).
    pub effort: usize,
    /// Mean recall at the `k` of the workload, ends included.
    pub recall: RangeInclusive<f64>,
    /// Mean distance evaluations per query, ends included.
    pub evaluations: RangeInclusive<f64>,
}

impl Expected {
    /// Recall within `tolerance` of a known value, on both sides: too good is suspicious as well. Any evaluations.
    pub fn near(data: &str, spec: &str, effort: usize, recall: f64, tolerance: f64) -> Self {
        Self::within(data, spec, effort, recall - tolerance..=recall + tolerance)
    }

    /// Recall of at least `recall`. Any evaluations.
    pub fn at_least(data: &str, spec: &str, effort: usize, recall: f64) -> Self {
        Self::within(data, spec, effort, recall..=1.0)
    }

    /// Recall in a range. Any evaluations.
    pub fn within(data: &str, spec: &str, effort: usize, recall: RangeInclusive<f64>) -> Self {
        Self { data: data.to_owned(), spec: spec.to_owned(), effort, recall, evaluations: 0.0..=f64::INFINITY }
    }

    /// Bounds the mean distance evaluations per query too.
    pub fn evaluations(self, evaluations: RangeInclusive<f64>) -> Self {
        Self { evaluations, ..self }
    }
}

/// Runs the rows of `table` whose data is `workload.name` and whose spec is `spec`, and checks all of them.
/// `search(query, effort)` is as in [`Workload::measure`]. Returns what was measured, in order of the rows.
///
/// ```
/// use ann_testkit::{Expected, Workload, check_recall, nearest, portable};
/// let work = Workload::of(portable::mix128(500, 20), 10);
/// let table = [Expected::at_least("mix128", "Flat", 10, 1.0).evaluations(500.0..=500.0)];
/// check_recall(&work, "Flat", &table, |query, _| {
///     let found = nearest(work.base.view(), query, work.metric, 10);
///     (found.iter().map(|&(id, _)| id).collect(), work.base.len() as u64)
/// });
/// ```
///
/// # Panics
/// With the whole table if a row is missed; if no row applies, since such a test could not fail; and as
/// [`Workload::measure`].
pub fn check_recall(
    workload: &Workload,
    spec: &str,
    table: &[Expected],
    mut search: impl FnMut(&[f32], usize) -> (Vec<u32>, u64),
) -> Vec<Measured> {
    let rows = table.iter().filter(|row| row.data == workload.name && row.spec == spec);
    let results: Vec<(&Expected, Measured)> =
        rows.map(|row| (row, workload.measure(row.effort, &mut search))).collect();
    assert!(!results.is_empty(), "no expectation for {spec} on {}", workload.name);
    let table = Table { workload, spec, results: &results };
    assert!(results.iter().all(|(row, measured)| met(row, measured)), "\n{table}");
    results.into_iter().map(|(_, measured)| measured).collect()
}

fn met(row: &Expected, measured: &Measured) -> bool {
    // Means of decimal fractions miss the decimal bounds they sit on by a rounding.
    let recall = measured.recall.mean();
    (row.recall.start() - 1e-9..=row.recall.end() + 1e-9).contains(&recall)
        && row.evaluations.contains(&measured.evaluations)
}

/// Expected beside measured, a line per row.
struct Table<'a> {
    workload: &'a Workload,
    spec: &'a str,
    results: &'a [(&'a Expected, Measured)],
}

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Workload { name, base, queries, metric, truth } = self.workload;
        writeln!(
            f,
            "{} on {name}: {} x {} {metric}, {} queries, recall@{}",
            self.spec,
            base.len(),
            base.dim(),
            queries.len(),
            truth.k
        )?;
        writeln!(
            f,
            "{:>7}  {:>15}  {:>8}  {:>15}  {:>17}  {:>11}",
            "effort", "recall expected", "measured", "95 % interval", "evaluations", "measured"
        )?;
        for (row, measured) in self.results {
            let (low, high) = measured.recall.interval95();
            writeln!(
                f,
                "{:>7}  {:>15}  {:>8.4}  {:>15}  {:>17}  {:>11.1}{}",
                row.effort,
                format!("{:.4}..={:.4}", row.recall.start(), row.recall.end().min(1.0)),
                measured.recall.mean(),
                format!("{low:.4}..={high:.4}"),
                format!("{:.0}..={:.0}", row.evaluations.start(), row.evaluations.end()),
                measured.evaluations,
                if met(row, measured) { "" } else { "  <- missed" }
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::brute::nearest;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    fn workload() -> Workload {
        let axis = |n: usize, from: f32| Matrix::new((0..n).map(|i| from + i as f32).collect(), 1).unwrap();
        Workload::new("axis", axis(40, 0.0), axis(8, 10.25), Metric::L2, 4)
    }

    /// Finds `effort` of the 4 nearest and a far row for each it lacks.
    fn partial<'a>(work: &'a Workload) -> impl FnMut(&[f32], usize) -> (Vec<u32>, u64) + 'a {
        |query, effort| {
            let near = nearest(work.base.view(), query, work.metric, effort.min(4));
            (near.iter().map(|n| n.0).chain((0..4).skip(effort)).collect(), 10 * effort as u64)
        }
    }

    fn failure(table: &[Expected]) -> String {
        let work = workload();
        let outcome = catch_unwind(AssertUnwindSafe(|| check_recall(&work, "X", table, partial(&work))));
        *outcome.unwrap_err().downcast::<String>().unwrap()
    }

    #[test]
    fn rows_that_hold_return_what_was_measured() {
        let work = workload();
        let table = [
            Expected::near("axis", "X", 3, 0.75, 0.0).evaluations(30.0..=30.0),
            Expected::near("axis", "Y", 3, 0.1, 0.0),
            Expected::at_least("axis", "X", 4, 1.0),
            Expected::near("line", "X", 3, 0.1, 0.0),
        ];
        let measured = check_recall(&work, "X", &table, partial(&work));
        assert_eq!(measured.iter().map(|m| m.recall.mean()).collect::<Vec<_>>(), [0.75, 1.0]);
        assert_eq!(measured[1].evaluations, 40.0);
    }

    #[test]
    fn a_missed_row_fails_with_the_whole_table() {
        let message = failure(&[Expected::at_least("axis", "X", 4, 1.0), Expected::near("axis", "X", 2, 0.9, 0.05)]);
        assert!(message.contains("X on axis: 40 x 1 l2, 8 queries, recall@4"), "{message}");
        assert!(message.contains("0.8500..=0.9500    0.5000"), "{message}");
        assert_eq!(message.lines().filter(|line| line.ends_with("<- missed")).count(), 1, "{message}");
        assert!(message.contains("1.0000..=1.0000"), "{message}");
    }

    #[test]
    fn recall_above_the_range_is_missed() {
        assert!(failure(&[Expected::near("axis", "X", 4, 0.9, 0.05)]).contains("<- missed"));
    }

    #[test]
    fn evaluations_out_of_range_are_missed() {
        let table = [Expected::at_least("axis", "X", 4, 1.0).evaluations(0.0..=39.0)];
        assert!(failure(&table).contains("0..=39         40.0  <- missed"), "{}", failure(&table));
    }

    #[test]
    fn a_table_without_rows_for_the_index_fails() {
        assert_eq!(failure(&[Expected::at_least("axis", "Y", 4, 1.0)]), "no expectation for X on axis");
    }

    #[test]
    #[should_panic(expected = "query 0: row 7 is listed twice")]
    fn repeated_rows_fail() {
        workload().measure(1, |_, _| (vec![7, 7], 1));
    }

    #[test]
    #[should_panic(expected = "query 0: row 40 of 40 was returned")]
    fn rows_that_do_not_exist_fail() {
        workload().measure(1, |_, _| (vec![40], 1));
    }
}
