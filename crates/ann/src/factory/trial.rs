//! Trying neighbour blocks of several widths on a sample: rows that were held out ask, the others are searched.
//!
//! What a search will cost is counted in hops and cache lines, which are the same on every machine and in every run.

use super::auto::LINKS;
use super::blocks::params;
use super::build::BuildOptions;
use super::graph::Linking;
use crate::Error;
use ann_core::{ElementKind, Exact, FlatStore, GroundTruth, Matrix, MatrixView, search_batch};
use ann_graph::{BlockHnsw, BlockSearch};
use ann_quant::NodeRabitq;
use std::fmt;

/// Rows of the sample at most, and of those held out of it.
const SAMPLE: usize = 20_000;
const HELD_OUT: usize = 400;
/// Neighbours asked for.
const K: usize = 10;
/// Widths that are tried. Odd ones cost more than the next narrower and gain less than the next wider.
const BITS: [usize; 3] = [1, 2, 4];
/// Efforts that are tried.
const EFS: [usize; 9] = [10, 14, 20, 28, 40, 56, 80, 112, 160];
/// Recalls that matter.
const RECALLS: [f64; 2] = [0.95, 0.99];
/// What a hop costs beside its cache lines, in their terms: measured on Emerald Rapids, where a hop took 0.26 µs and
/// 5 ns a line with 13 to 40 lines.
const HOP: f64 = 52.0;

/// What codes of one width did.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Trial {
    pub(super) bits: usize,
    /// Hops to each of the [`RECALLS`], infinite where it was not reached.
    hops: [f64; 2],
    lines: usize,
}

impl Trial {
    /// Smaller is better: the product of what the recalls cost.
    pub(super) fn cost(&self) -> f64 {
        self.hops.iter().map(|hops| hops * (HOP + self.lines as f64)).product()
    }
}

impl fmt::Display for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bit{}:", self.bits, if self.bits == 1 { "" } else { "s" })?;
        for (recall, hops) in RECALLS.iter().zip(self.hops) {
            match hops.is_finite() {
                true => write!(f, " {:.0} % found in {hops:.0} hops,", 100.0 * recall)?,
                false => write!(f, " {:.0} % never found,", 100.0 * recall)?,
            }
        }
        write!(f, " {} cache lines each", self.lines)
    }
}

/// Searches a sample of `vectors` with codes of every width.
pub(super) fn trials(vectors: MatrixView<'_, f32>, options: &BuildOptions<'_>) -> Result<Vec<Trial>, Error> {
    let (sample, held_out) = split(vectors);
    let exact = Exact::new(FlatStore::<f32>::from_rows(sample.view(), options.metric)?);
    let truth = exact.ground_truth(held_out.view(), K, options.par)?;
    let options = BuildOptions { monitor: ann_core::Monitor::new(), ..*options };
    let linking =
        Linking { links: LINKS, vectors: sample.view(), element: ElementKind::F32, options: &options, ready: None };
    let mut graph = linking.over(exact.into_store(), true)?;
    let mut trials = Vec::new();
    for bits in BITS {
        let codec = NodeRabitq::train(sample.view(), options.metric, &params(bits, &options))?;
        let index = BlockHnsw::new(graph, codec, options.par)?;
        let mut points = Vec::new();
        for ef in EFS {
            points.push(point(&index, held_out.view(), &truth, ef, &options)?);
            if points.last().is_some_and(|&(recall, _)| recall >= RECALLS[1]) {
                break;
            }
        }
        trials.push(Trial { bits, hops: RECALLS.map(|recall| at(&points, recall)), lines: index.lines_per_hop() });
        graph = index.into_graph();
    }
    Ok(trials)
}

/// Recall and hops per query with one effort.
fn point(
    index: &BlockHnsw<FlatStore<f32>, NodeRabitq>,
    queries: MatrixView<'_, f32>,
    truth: &GroundTruth,
    ef: usize,
    options: &BuildOptions<'_>,
) -> Result<(f64, f64), Error> {
    let params = BlockSearch::ef(ef);
    let batch = search_batch(index, queries, K, &params, &ann_core::All, options.par)?;
    let found = batch.iter().enumerate().map(|(query, found)| {
        // Copies of a row are as good as the row.
        let farthest = truth.distances(query).last().copied().unwrap_or(f32::INFINITY);
        found.iter().filter(|n| options.metric.reported(n.distance) <= farthest * (1.0 + 1e-5)).count()
    });
    let found: usize = found.sum();
    let queries = queries.len() as f64;
    Ok((found as f64 / (K as f64 * queries), batch.stats().hops as f64 / queries))
}

/// Hops at a recall, between two points on a line.
fn at(points: &[(f64, f64)], recall: f64) -> f64 {
    match points.iter().position(|&(reached, _)| reached >= recall) {
        None => f64::INFINITY,
        Some(0) => points[0].1,
        Some(after) => {
            let ((r0, h0), (r1, h1)) = (points[after - 1], points[after]);
            h0 + (h1 - h0) * (recall - r0) / (r1 - r0)
        }
    }
}

/// Rows spread evenly over `vectors`, and others between them.
fn split(vectors: MatrixView<'_, f32>) -> (Matrix<f32>, Matrix<f32>) {
    let taken = vectors.len().min(SAMPLE + HELD_OUT);
    let held = HELD_OUT.min(taken / 10);
    let row = |i: usize| vectors.row(i * vectors.len() / taken);
    // Every so manieth of the rows taken is held out.
    let is_held = |i: usize| (i * held) / taken != ((i + 1) * held) / taken;
    let part = |wanted: bool| {
        let rows = (0..taken).filter(|&i| is_held(i) == wanted).flat_map(|i| row(i).iter().copied());
        Matrix::new(rows.collect(), vectors.dim())
    };
    match (part(false), part(true)) {
        (Ok(sample), Ok(held_out)) => (sample, held_out),
        _ => unreachable!("whole rows of the same length"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(n: usize) -> Matrix<f32> {
        Matrix::new((0..n * 3).map(|i| i as f32).collect(), 3).unwrap()
    }

    #[test]
    fn every_row_that_is_taken_is_on_one_side() {
        for n in [10, 100, 4_096, 30_000] {
            let (sample, held_out) = split(rows(n).view());
            assert_eq!(sample.len() + held_out.len(), n.min(SAMPLE + HELD_OUT));
            assert_eq!(held_out.len(), HELD_OUT.min(n.min(SAMPLE + HELD_OUT) / 10));
            let known: Vec<&[f32]> = sample.view().rows().collect();
            assert!(held_out.view().rows().all(|row| !known.contains(&row)), "{n}");
        }
    }

    #[test]
    fn hops_at_a_recall_lie_between_the_points() {
        let points = [(0.8, 10.0), (0.9, 20.0), (1.0, 40.0)];
        assert_eq!(at(&points, 0.7), 10.0);
        assert!((at(&points, 0.95) - 30.0).abs() < 1e-9);
        assert_eq!(at(&points[..2], 0.95), f64::INFINITY);
    }

    #[test]
    fn a_recall_that_is_never_reached_costs_most() {
        let narrow = Trial { bits: 1, hops: [50.0, f64::INFINITY], lines: 13 };
        let wide = Trial { bits: 4, hops: [40.0, 90.0], lines: 20 };
        assert!(wide.cost() < narrow.cost());
        assert_eq!(wide.to_string(), "4 bits: 95 % found in 40 hops, 99 % found in 90 hops, 20 cache lines each");
        assert!(narrow.to_string().contains("99 % never found"));
    }
}
