//! Work and recall against other implementations.

use crate::support::{ball, forest, kd, search};
use ann_core::{All, Matrix, Metric};
use ann_testkit::portable::{self, gauss};
use ann_testkit::{Expected, Workload, check_recall};

/// Distances per query that `KDTree(X, leaf_size=32)` of scikit-learn computes for the ten nearest of 100,000 Gaussian rows (`get_n_calls`).
const SKLEARN_KD: [(usize, f64); 3] = [(2, 108.0), (4, 490.0), (8, 6433.0)];
/// The same of `BallTree`, bounds included.
const SKLEARN_BALL: [(usize, f64); 3] = [(2, 1621.0), (4, 11_748.0), (8, 67_691.0)];

fn normal(n: usize, dim: usize, seed: u64) -> Matrix<f32> {
    Matrix::new((0..n * dim).map(|i| gauss(seed, i as u64) as f32).collect(), dim).unwrap()
}

#[test]
fn a_kd_tree_compares_no_more_rows_than_that_of_scikit_learn() {
    for (dim, reference) in SKLEARN_KD {
        let (base, queries) = (normal(100_000, dim, 5), normal(200, dim, 6));
        let tree = kd::<f32>(&base, Metric::L2);
        let work: u64 = queries.rows().map(|query| search(&tree, query, 10, None, &All).1.evaluations).sum();
        let mean = work as f64 / 200.0;
        assert!(mean <= 1.2 * reference, "{dim} columns: {mean} rows");
    }
}

#[test]
fn a_ball_tree_computes_no_more_distances_than_that_of_scikit_learn() {
    for (dim, reference) in SKLEARN_BALL {
        let (base, queries) = (normal(100_000, dim, 5), normal(200, dim, 6));
        let tree = ball::<f32>(&base, Metric::L2);
        let work: u64 = queries.rows().map(|query| search(&tree, query, 10, None, &All).1.evaluations).sum();
        let mean = work as f64 / 200.0;
        assert!(mean <= 1.2 * reference, "{dim} columns: {mean} distances");
    }
}

/// Rows that are compared, of [`FLANN`].
const CHECKS: [usize; 5] = [32, 128, 512, 2048, 8192];

/// Recall@10 of FLANN's KD-forest (`cv2.flann_Index`) with so many trees and [`CHECKS`].
const FLANN: [(&str, usize, [f64; 5]); 6] = [
    ("mix128", 4, [0.365, 0.683, 0.911, 0.988, 0.9996]),
    ("iso64", 4, [0.032, 0.098, 0.263, 0.568, 0.939]),
    ("spec256", 4, [0.029, 0.090, 0.242, 0.539, 0.875]),
    ("mix128", 1, [0.290, 0.569, 0.834, 0.969, 0.999]),
    ("iso64", 1, [0.028, 0.079, 0.197, 0.473, 0.857]),
    ("spec256", 1, [0.026, 0.071, 0.175, 0.407, 0.748]),
];

#[test]
#[ignore = "three sets at full size: minutes unless optimised"]
fn a_forest_finds_what_that_of_flann_finds() {
    let expected: Vec<Expected> = FLANN
        .into_iter()
        .flat_map(|(data, trees, recalls)| {
            // What is drawn at random moves recalls by two hundredths.
            let line =
                move |(checks, recall)| Expected::at_least(data, &format!("KDForest{trees}"), checks, recall - 0.02);
            CHECKS.into_iter().zip(recalls).map(line)
        })
        .collect();
    let sets = [portable::mix128(50_000, 1000), portable::iso64(20_000, 1000), portable::spec256(50_000, 1000)];
    for work in sets.into_iter().map(|set| Workload::of(set, 10)) {
        // Inner products of rows of norm one order as cosines do.
        let metric = if work.metric == Metric::InnerProduct { Metric::Cosine } else { work.metric };
        for trees in [4, 1] {
            let index = forest::<f32>(&work.base, metric, trees);
            check_recall(&work, &format!("KDForest{trees}"), &expected, |query, checks| {
                let (found, stats) = search(&index, query, 10, Some(checks), &All);
                (found.iter().map(|n| n.id).collect(), stats.evaluations)
            });
        }
    }
}
