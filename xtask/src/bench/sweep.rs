//! One index, one effort after another: speed as the best of a few passes, recall from distances computed anew.

use std::time::{Duration, Instant};

use ann_core::{Batch, GroundTruth, MatrixView, Metric};
use ann_testkit::recall::{Ranked, Recall};

use crate::error::Error;

/// Efforts tried where none are given: those of other libraries' sweeps, for curves with the same grid.
pub(crate) const EFFORTS: [usize; 13] = [10, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768];
/// Recall at which the default sweep ends: more effort only moves noise.
pub(crate) const ENOUGH: f64 = 0.999;

const PASSES: u32 = 3;
/// Further passes are left out once they would take longer than this together.
const PATIENCE: Duration = Duration::from_secs(60);

/// What one effort gave.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Measured {
    /// What was given to the index.
    pub effort: usize,
    /// Mean recall over the queries.
    pub recall: f64,
    /// Queries per second of the best pass.
    pub qps: f64,
}

/// Measures every effort in order, up to the one where `enough` recall is reached, and hands each to `report`.
///
/// `search` answers all queries at one effort.
///
/// # Errors
/// What `search`, `recall` or `report` meet.
pub(crate) fn sweep(
    efforts: &[usize],
    enough: f64,
    mut search: impl FnMut(usize) -> Result<Batch, Error>,
    recall: impl Fn(&Batch) -> Result<f64, Error>,
    mut report: impl FnMut(Measured) -> Result<(), Error>,
) -> Result<(), Error> {
    for &effort in efforts {
        let (mut best, mut found) = (Duration::MAX, Batch::default());
        for _ in 0..PASSES {
            let start = Instant::now();
            found = search(effort)?;
            best = best.min(start.elapsed());
            if best * (PASSES - 1) > PATIENCE {
                break;
            }
        }
        let qps = found.len() as f64 / best.as_secs_f64().max(1e-9);
        let measured = Measured { effort, recall: recall(&found)?, qps };
        report(measured)?;
        if measured.recall >= enough {
            break;
        }
    }
    Ok(())
}

/// What recall is counted against.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Yardstick<'a> {
    /// Base rows.
    pub train: MatrixView<'a, f32>,
    /// Queries.
    pub test: MatrixView<'a, f32>,
    /// How they are compared.
    pub metric: Metric,
    /// Exact neighbours of the queries, at least `k` each.
    pub truth: &'a GroundTruth,
    /// Results per query.
    pub k: usize,
}

impl Yardstick<'_> {
    /// Mean recall: the share of results no farther than the true `k`-th neighbour, with a slack of 1e-3 (1e-5 under
    /// cosine, where 1e-3 would be a material distance). Distances are computed here from the rows, so that an index
    /// cannot do itself a favour.
    ///
    /// # Errors
    /// If a result names a row twice or one that does not exist.
    pub(crate) fn recall(&self, found: &Batch) -> Result<f64, Error> {
        // The count allows 1e-3 in whatever units it is given.
        let scale = if self.metric == Metric::Cosine { 100.0 } else { 1.0 };
        let mut recall = Recall::new(self.k);
        let (mut ids, mut distances, mut bounds) = (Vec::new(), Vec::new(), Vec::new());
        for (query, found) in found.iter().enumerate() {
            ids.clear();
            distances.clear();
            bounds.clear();
            for neighbor in found.iter().take(self.k) {
                if neighbor.id as usize >= self.train.len() {
                    let (id, n) = (neighbor.id, self.train.len());
                    return Err(Error::Usage(format!("query {query} found row {id}, but there are {n}")));
                }
                ids.push(neighbor.id);
                let row = self.train.row(neighbor.id as usize);
                distances.push((distance(self.metric, self.test.row(query), row) * scale) as f32);
            }
            bounds.extend(self.truth.distances(query).iter().map(|&distance| (f64::from(distance) * scale) as f32));
            let truth = Ranked { ids: self.truth.ids(query), distances: &bounds };
            recall.add_by_threshold(truth, Ranked { ids: &ids, distances: &distances })?;
        }
        Ok(recall.mean())
    }
}

/// The distance as benchmarks report it, in f64.
fn distance(metric: Metric, a: &[f32], b: &[f32]) -> f64 {
    let sum = |term: fn(f64, f64) -> f64| a.iter().zip(b).map(|(&x, &y)| term(x.into(), y.into())).sum::<f64>();
    let norm = |v: &[f32]| v.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
    match metric {
        Metric::L2 => sum(|x, y| (x - y) * (x - y)).sqrt(),
        Metric::L1 => sum(|x, y| (x - y).abs()),
        Metric::InnerProduct => -sum(|x, y| x * y),
        Metric::Cosine => 1.0 - sum(|x, y| x * y) / (norm(a) * norm(b)).max(1e-30),
        // Points under the other metrics are no float vectors; comparing them as such counts nothing as found.
        _ => f64::INFINITY,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ann_core::{Matrix, Neighbor};

    fn batch(rows: &[&[u32]]) -> Batch {
        // Distances of the index are not looked at.
        rows.iter().map(|ids| ids.iter().map(|&id| Neighbor::new(id, f32::NAN)).collect::<Vec<_>>()).collect()
    }

    fn with_yardstick<R>(metric: Metric, k: usize, then: impl FnOnce(Yardstick<'_>) -> R) -> R {
        let train = Matrix::new(vec![1.0, 0.0, 2.0, 0.0, 0.0, 3.0, 0.0, 3.0005], 2).unwrap();
        let test = Matrix::new(vec![0.0, 0.0, 1.0, 0.0], 2).unwrap();
        let distances = if metric == Metric::Cosine { vec![1.0; 6] } else { vec![1.0, 2.0, 3.0, 0.0, 1.0, 3.1623] };
        let truth = GroundTruth::new(3, vec![0, 1, 2, 0, 1, 2], distances).unwrap();
        then(Yardstick { train: train.view(), test: test.view(), metric, truth: &truth, k })
    }

    #[test]
    fn ties_within_the_slack_count_and_missing_results_do_not() {
        with_yardstick(Metric::L2, 3, |yardstick| {
            assert_eq!(yardstick.recall(&batch(&[&[0, 1, 2], &[0, 1, 2]])).unwrap(), 1.0);
            let tied = yardstick.recall(&batch(&[&[0, 1, 3], &[0]])).unwrap();
            assert!((tied - 4.0 / 6.0).abs() < 1e-12, "{tied}");
        });
        with_yardstick(Metric::L2, 1, |yardstick| {
            assert_eq!(yardstick.recall(&batch(&[&[0, 3, 3], &[2]])).unwrap(), 0.5, "only the first k count");
        });
    }

    #[test]
    fn cosine_slack_is_a_hundredth() {
        let train = Matrix::new(vec![1.0, 0.0, 1.0, 0.03], 2).unwrap();
        let test = Matrix::new(vec![2.0, 0.0], 2).unwrap();
        let truth = GroundTruth::new(1, vec![0], vec![0.0]).unwrap();
        let yardstick =
            Yardstick { train: train.view(), test: test.view(), metric: Metric::Cosine, truth: &truth, k: 1 };
        assert_eq!(yardstick.recall(&batch(&[&[0]])).unwrap(), 1.0);
        assert_eq!(yardstick.recall(&batch(&[&[1]])).unwrap(), 0.0, "4.5e-4 farther is within 1e-3, not 1e-5");
    }

    #[test]
    fn rows_found_twice_or_out_of_range_are_errors() {
        with_yardstick(Metric::L2, 3, |yardstick| {
            assert!(matches!(yardstick.recall(&batch(&[&[1, 1, 2]])), Err(Error::Recall(_))));
            assert!(yardstick.recall(&batch(&[&[9]])).unwrap_err().to_string().contains("row 9"));
        });
    }

    #[test]
    fn sweep_ends_where_recall_is_enough() {
        let mut seen = Vec::new();
        let recall = |found: &Batch| Ok(f64::from(found.get(0)[0].id) / 100.0);
        let search = |effort| Ok(batch(&[&[effort as u32]]));
        let report = |measured: Measured| {
            seen.push((measured.effort, measured.recall));
            assert!(measured.qps > 0.0);
            Ok(())
        };
        sweep(&[50, 80, 90, 95], 0.9, search, recall, report).unwrap();
        assert_eq!(seen, [(50, 0.5), (80, 0.8), (90, 0.9)]);
    }
}
