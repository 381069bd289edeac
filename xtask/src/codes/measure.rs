//! One scheme on one data set: seconds, errors, recall, ranks.
//!
//! *Relative error*: the mean of `|estimate - distance| / distance` over the pairs of every query and [`SAMPLE`] rows at
//! equal intervals, in squared Euclidean distance, of normalised vectors under cosine (where `1 - cos` is half of it, so
//! that the ratio is the same). Pairs that coincide are left out. *Recall*: of the [`K`] rows of the least estimates, counted as
//! `cargo xtask bench` does, with nothing measured again. *Rank* at a share: the least number of best rows by estimate
//! that hold this share of all true neighbours, over all queries together.

use std::ops::Range;
use std::time::Instant;

use ann::quant::{CodeStore, Quantizer, TrainError};
use ann_core::{Batch, GroundTruth, MatrixView, Metric, Neighbor, Par, ScratchPool, prepare_dense};

use super::schemes::{Coded, Scheme, Visit};
use crate::bench::sweep::Yardstick;
use crate::data::files::Dense;
use crate::error::Error;

/// Neighbours that are sought.
pub(crate) const K: usize = 10;
/// Rows whose estimates are compared with distances.
const SAMPLE: usize = 1000;
/// Nearer than this part of the mean distance, vectors coincide.
const COINCIDE: f64 = 1e-6;
/// Shares of the true neighbours at which ranks are told.
pub(crate) const SHARES: [f64; 2] = [0.95, 0.99];

/// What a scheme gave.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Measured {
    /// Bytes of a code, factors included.
    pub bytes: usize,
    /// Seconds of training.
    pub train_s: f64,
    /// Rows encoded in a second.
    pub encode_rows_per_s: f64,
    /// Mean relative error of the squared distance.
    pub relative_error: f64,
    /// Of a scan over the codes.
    pub recall: f64,
    /// For each of [`SHARES`].
    pub ranks: [usize; 2],
}

/// A data set, and the true distances that all schemes are compared with.
#[derive(Debug)]
pub(crate) struct Scene<'a> {
    rows: MatrixView<'a, f32>,
    queries: MatrixView<'a, f32>,
    metric: Metric,
    truth: &'a GroundTruth,
    sample: Vec<usize>,
    /// `(queries, sample)`, as quantizers give distances.
    distances: Vec<f32>,
    /// Least distance that counts.
    least: f64,
}

impl<'a> Scene<'a> {
    /// Computes the distances to the sample.
    ///
    /// # Errors
    /// [`Error::Usage`] if the truth is missing or names rows that are not there.
    pub(crate) fn new(data: &'a Dense, par: Par) -> Result<Self, Error> {
        let (rows, queries, metric, n) = (data.train.view(), data.test.view(), data.metric, data.train.len());
        let truth = data.truth.as_ref().ok_or_else(|| Error::Usage(format!("{}: no ground truth", data.name)))?;
        if let Some(id) = truth.ids.iter().find(|&&id| id as usize >= n) {
            return Err(Error::Usage(format!("{}: the truth names row {id}, but there are {n}", data.name)));
        }
        let count = SAMPLE.min(n);
        let sample: Vec<usize> = (0..count).map(|i| i * n / count).collect();
        let mut distances = vec![0.0; queries.len() * count];
        let pool = ScratchPool::<(Vec<f32>, Vec<f32>)>::default();
        par.install(|par| {
            par.for_each_chunk_mut(&mut distances, count, &pool, |(query, row), at, out| {
                let (of_query, dim) = (queries.row(at / count), queries.dim());
                prepare_dense(of_query, metric, dim, query);
                for (out, &i) in out.iter_mut().zip(&sample) {
                    prepare_dense(rows.row(i), metric, dim, row);
                    *out = squared(query, row) * if metric == Metric::Cosine { 0.5 } else { 1.0 };
                }
            });
        });
        let mean = distances.iter().map(|&d| f64::from(d)).sum::<f64>() / distances.len() as f64;
        Ok(Self { rows, queries, metric, truth, sample, distances, least: mean * COINCIDE })
    }

    /// Trains, encodes and scans.
    ///
    /// # Errors
    /// [`Error::Train`] if the scheme cannot be trained on these rows.
    pub(crate) fn measure(&self, scheme: &Scheme, par: Par) -> Result<Measured, Error> {
        let encode = Encode { rows: self.rows, par, start: Instant::now() };
        let (codes, train_s, encode_s) = scheme
            .train(self.rows, self.metric, par, encode)
            .map_err(|source| Error::Train { scheme: scheme.name(), source })?;
        let parts = par.install(|par| {
            let pool = ScratchPool::<Vec<f32>>::default();
            par.map_chunks(self.queries.len(), 8, &pool, |estimates, range| self.scan(&*codes, estimates, range))
        });
        let (mut error, mut pairs, mut found, mut ranks) = (0.0, 0, Batch::default(), Vec::new());
        for part in parts {
            error += part.error;
            pairs += part.pairs;
            part.found.iter().for_each(|best| found.push(best));
            ranks.extend(part.ranks);
        }
        let Self { rows: train, queries: test, metric, truth, .. } = *self;
        let recall = Yardstick { train, test, metric, truth, k: K }.recall(&found)?;
        ranks.sort_unstable();
        Ok(Measured {
            bytes: codes.bytes(),
            train_s,
            encode_rows_per_s: self.rows.len() as f64 / encode_s.max(1e-9),
            relative_error: error / f64::from(pairs.max(1)),
            recall,
            ranks: SHARES.map(|share| rank_at(&ranks, share)),
        })
    }

    fn scan(&self, codes: &dyn Coded, estimates: &mut Vec<f32>, range: Range<usize>) -> Part {
        let mut part = Part::default();
        let mut estimate = codes.estimator();
        estimates.resize(self.rows.len(), 0.0);
        for query in range {
            estimate(self.queries.row(query), estimates);
            // What is no number is no neighbour.
            estimates.iter_mut().filter(|x| x.is_nan()).for_each(|x| *x = f32::INFINITY);
            let distances = &self.distances[query * self.sample.len()..][..self.sample.len()];
            for (&row, &distance) in self.sample.iter().zip(distances) {
                let distance = f64::from(distance);
                if distance > self.least {
                    part.error += (f64::from(estimates[row]) - distance).abs() / distance;
                    part.pairs += 1;
                }
            }
            part.found.push(best(estimates));
            part.ranks.extend(ranks(estimates, &self.truth.ids(query)[..K]));
        }
        part
    }
}

/// What some of the queries gave.
#[derive(Default)]
struct Part {
    error: f64,
    pairs: u32,
    found: Vec<Vec<Neighbor>>,
    ranks: Vec<usize>,
}

/// Encodes rows with a quantizer whose training began at `start`.
struct Encode<'a> {
    rows: MatrixView<'a, f32>,
    par: Par,
    start: Instant,
}

impl Visit for Encode<'_> {
    /// The codes, seconds of training, seconds of encoding.
    type Output = (Box<dyn Coded>, f64, f64);

    fn visit<Q: Quantizer>(self, quantizer: Q) -> Result<Self::Output, TrainError> {
        let train_s = self.start.elapsed().as_secs_f64();
        let start = Instant::now();
        let store = CodeStore::from_rows(quantizer, self.rows, self.par)?;
        Ok((Box::new(store), train_s, start.elapsed().as_secs_f64()))
    }
}

/// In f64, eight sums side by side.
fn squared(a: &[f32], b: &[f32]) -> f32 {
    let square = |(&a, &b): (&f32, &f32)| (f64::from(a) - f64::from(b)).powi(2);
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let mut sums = [0.0_f64; 8];
    for (a, b) in a.iter().zip(b) {
        sums.iter_mut().zip(a.iter().zip(b)).for_each(|(sum, pair)| *sum += square(pair));
    }
    (sums.iter().sum::<f64>() + a_rest.iter().zip(b_rest).map(square).sum::<f64>()) as f32
}

/// The [`K`] least estimates, ties by row.
pub(super) fn best(estimates: &[f32]) -> Vec<Neighbor> {
    let mut best: Vec<(f32, u32)> = Vec::with_capacity(K + 1);
    for (row, &estimate) in (0..).zip(estimates) {
        if best.len() < K || best.last().is_some_and(|last| estimate < last.0) {
            let at = best.partition_point(|other| other.0 <= estimate);
            best.insert(at, (estimate, row));
            best.truncate(K);
        }
    }
    best.into_iter().map(|(estimate, row)| Neighbor::new(row, estimate)).collect()
}

/// The place of each of `ids` among all rows in order of their estimates, from 1, ties by row; in ascending order.
pub(super) fn ranks(estimates: &[f32], ids: &[u32]) -> Vec<usize> {
    let mut keys: Vec<(f32, u32)> = ids.iter().map(|&id| (estimates[id as usize], id)).collect();
    keys.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    // How many rows lie before each key but not before the one in front of it.
    let mut counts = vec![0; keys.len()];
    let farthest = keys.last().map_or(f32::NEG_INFINITY, |key| key.0);
    for (row, &estimate) in (0_u32..).zip(estimates) {
        if estimate <= farthest {
            let at = keys.partition_point(|key| key.0 < estimate || key.0 == estimate && key.1 < row);
            if let Some(count) = counts.get_mut(at) {
                *count += 1;
            }
        }
    }
    let mut sum = 0;
    for count in &mut counts {
        sum += *count;
        *count = sum;
    }
    counts
}

/// The least rank that `share` of `ranks` (ascending) do not exceed.
pub(super) fn rank_at(ranks: &[usize], share: f64) -> usize {
    let needed = (share * ranks.len() as f64).ceil() as usize;
    ranks.get(needed.saturating_sub(1)).copied().unwrap_or_default()
}
