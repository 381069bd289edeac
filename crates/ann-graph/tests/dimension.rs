//! Dimensions and outliers against published figures and other implementations.

#![allow(clippy::unwrap_used)] // helpers outside of test functions, too

use ann_core::{Batch, Exact, FlatStore, Matrix, Metric, Par, split_mix, unit};
use ann_graph::{
    Hnsw, HnswSearch, dimensional_outlier_factors, global_dimension, local_dimension, local_outlier_factors,
    neighbors_of_rows, two_nearest_dimension,
};
use ann_testkit::portable;
use proptest::prelude::*;

fn exact(rows: &Matrix<f32>, metric: Metric, k: usize) -> Batch {
    let index = Exact::new(FlatStore::<f32>::from_rows(rows.view(), metric).unwrap());
    neighbors_of_rows(&index, rows.view(), metric, k, &(), Par::Ambient).unwrap()
}

fn local(neighbors: &Batch) -> Vec<f64> {
    let one = |near: &[ann_core::Neighbor]| {
        local_dimension(&near.iter().map(|n| n.distance).collect::<Vec<_>>()).map_or(f64::NAN, |found| found.value)
    };
    neighbors.iter().map(one).collect()
}

/// Standard normal.
fn gauss(seed: u64, i: u64) -> f64 {
    let (u, v) = (unit(split_mix(seed, 2 * i)), unit(split_mix(seed, 2 * i + 1)));
    (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}

/// Uniform in a ball.
fn ball(n: usize, dim: usize) -> Matrix<f32> {
    let row = |i: usize| {
        let x: Vec<f64> = (0..dim).map(|j| gauss(7, (i * dim + j) as u64)).collect();
        let norm = x.iter().map(|x| x * x).sum::<f64>().sqrt();
        let radius = unit(split_mix(9, i as u64)).powf(1.0 / dim as f64);
        x.iter().map(|x| (x / norm * radius) as f32).collect::<Vec<_>>()
    };
    Matrix::from_rows(&(0..n).map(row).collect::<Vec<_>>()).unwrap()
}

/// Where rows fill their space evenly its dimension is found, by either way and within the intervals.
#[test]
fn balls_have_their_dimension() {
    for (dim, tolerance) in [(1, 0.06), (2, 0.06), (4, 0.1)] {
        let neighbors = exact(&ball(4_000, dim), Metric::L2, 20);
        let found = global_dimension(local(&neighbors)).unwrap();
        assert!((found / dim as f64 - 1.0).abs() < tolerance, "{dim}: {found}");
        let pairs = neighbors.iter().map(|near| (near[0].distance, near[1].distance));
        let two = two_nearest_dimension(pairs).unwrap();
        assert!(
            (two.value / dim as f64 - 1.0).abs() < tolerance && two.low < two.value && two.value < two.high,
            "{dim}: {two:?}"
        );
        let within = |near: &[ann_core::Neighbor]| {
            let distances: Vec<f32> = near.iter().map(|n| n.distance).collect();
            local_dimension(&distances).is_some_and(|found| found.low <= dim as f64 && dim as f64 <= found.high)
        };
        let share = neighbors.iter().filter(|near| within(near)).count() as f64 / 4_000.0;
        assert!(share > 0.9 && share < 0.98, "{dim}: {share}");
    }
}

#[test]
fn what_says_nothing_is_no_estimate() {
    assert_eq!((local_dimension(&[]), local_dimension(&[1.0]), local_dimension(&[0.0, 0.0])), (None, None, None));
    assert_eq!(local_dimension(&[2.0, 2.0, 2.0]).unwrap().value, f64::INFINITY);
    assert_eq!((global_dimension([]), two_nearest_dimension([(0.0, 1.0); 50])), (None, None));
    assert!(two_nearest_dimension([(1.0, 2.0); 9]).is_none() && two_nearest_dimension([(1.0, 2.0); 10]).is_some());
}

#[test]
fn copies_and_lone_rows_have_finite_or_telling_scores() {
    let mut rows = vec![vec![1.0f32, 1.0]; 30];
    rows.push(vec![9.0, 9.0]);
    let neighbors = exact(&Matrix::from_rows(&rows).unwrap(), Metric::L2, 5);
    assert!(
        neighbors.iter().enumerate().all(|(row, near)| near.len() == 5 && near.iter().all(|n| n.id as usize != row))
    );
    let lof = local_outlier_factors(&neighbors);
    assert!(lof[..30].iter().all(|&x| (x - 1.0).abs() < 1e-6) && lof[30] > 1e3, "{lof:?}");
    let dao = dimensional_outlier_factors(&neighbors, &[2.0; 31]);
    assert!(dao[..30].iter().all(|&x| x == 1.0) && dao[30] == f64::INFINITY, "{dao:?}");
}

proptest! {
    #[test]
    fn scale_does_not_matter(seed: u64, power in -6i32..7) {
        // Powers of two scale without rounding: else a tenth neighbour that is hardly nearer than the next may be another.
        let scale = 2f32.powi(power);
        let rows = Matrix::new((0..600).map(|i| unit(split_mix(seed, i)) as f32).collect(), 3).unwrap();
        let scaled = Matrix::new(rows.as_slice().iter().map(|x| x * scale).collect(), 3).unwrap();
        let (a, b) = (exact(&rows, Metric::L2, 10), exact(&scaled, Metric::L2, 10));
        for (x, y) in local(&a).iter().zip(local(&b)).chain(local_outlier_factors(&a).iter().zip(local_outlier_factors(&b))) {
            prop_assert!((x / y - 1.0).abs() < 1e-6, "{} {}", x, y);
        }
    }
}

/// A graph serves as well as an exact search.
#[test]
fn neighbours_may_come_from_a_graph() {
    let set = portable::mix128(2_000, 1);
    let hnsw = Hnsw::builder().build(FlatStore::<f32>::from_rows(set.base.view(), Metric::L2).unwrap()).unwrap();
    let found = neighbors_of_rows(&hnsw, set.base.view(), Metric::L2, 20, &HnswSearch::ef(100), Par::Ambient).unwrap();
    let truth = exact(&set.base, Metric::L2, 20);
    let (found, truth) = (global_dimension(local(&found)).unwrap(), global_dimension(local(&truth)).unwrap());
    assert!((found / truth - 1.0).abs() < 0.005, "{found} {truth}");
}

/// numpy: mean, harmonic mean and median of the estimates at all rows.
#[test]
#[ignore = "20,000 to 50,000 rows, for release builds"]
fn portable_sets_have_the_dimension_that_numpy_finds() {
    for (set, k, expected) in [
        (portable::iso64(20_000, 1), 20, [39.5, 37.6, 38.4]),
        (portable::iso64(20_000, 1), 100, [34.3, 33.9, 34.1]),
        (portable::mix128(50_000, 1), 20, [12.5, 11.8, 12.0]),
        (portable::mix128(50_000, 1), 100, [10.0, 9.6, 9.6]),
    ] {
        let mut local = local(&exact(&set.base, Metric::L2, k));
        let harmonic = global_dimension(local.iter().copied()).unwrap();
        local.sort_unstable_by(f64::total_cmp);
        let found = [local.iter().sum::<f64>() / local.len() as f64, harmonic, local[local.len() / 2]];
        let near = found.iter().zip(expected).all(|(found, expected)| (found / expected - 1.0).abs() < 0.02);
        assert!(near, "{} {k}: {found:?}, expected {expected:?}", set.name);
    }
}

/// scikit-learn and numpy: the area under the curve of rows that were moved off their sheet, among 10,000 that were not.
#[test]
#[ignore = "10,100 rows, for release builds"]
fn local_outliers_are_told_as_well_as_scikit_learn_tells_them() {
    let set = portable::mix128(10_000, 1);
    let mut rows: Vec<Vec<f32>> = set.base.view().rows().map(<[f32]>::to_vec).collect();
    for i in 0..100u64 {
        let moved =
            rows[97 * i as usize].iter().zip(0u64..).map(|(x, j)| x + (0.9 * gauss(31, 128 * i + j)) as f32).collect();
        rows.push(moved);
    }
    let rows = Matrix::from_rows(&rows).unwrap();
    let local = local(&exact(&rows, Metric::L2, 100));
    let near = exact(&rows, Metric::L2, 20);
    let auc = |scores: &[f64]| {
        let (inliers, outliers) = scores.split_at(10_000);
        let above = |x: f64| {
            inliers.iter().filter(|y| **y < x).count() as f64 + 0.5 * inliers.iter().filter(|y| **y == x).count() as f64
        };
        outliers.iter().map(|x| above(*x)).sum::<f64>() / (100.0 * 10_000.0)
    };
    let found = [auc(&local_outlier_factors(&near)), auc(&dimensional_outlier_factors(&near, &local))];
    for (found, expected) in found.into_iter().zip([0.965, 0.949]) {
        assert!((found - expected).abs() < 0.02, "{found}, expected {expected}");
    }
}
