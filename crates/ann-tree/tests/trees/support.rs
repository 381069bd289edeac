//! Data of every kind, and both trees behind one door.

use ann_core::{
    Filter, FlatStore, Index, Matrix, Metric, Monitor, Neighbor, Par, Scalar, SearchStats, split_mix, unit,
};
use ann_testkit::portable::gauss;
use ann_tree::{BallTree, KdForest, KdForestParams, KdTree, TreeSearch};

/// Shapes on which trees have gone wrong.
pub(crate) const KINDS: [&str; 6] = ["gauss", "duplicates", "line", "grid", "equal", "far"];

/// `n` rows of a kind; no row is zero.
pub(crate) fn rows(kind: &str, n: usize, dim: usize, seed: u64) -> Matrix<f32> {
    let draw = |i: usize, j: usize| split_mix(seed, (i * dim + j) as u64);
    let value = |i: usize, j: usize| match kind {
        "gauss" => gauss(seed, (i * dim + j) as u64) as f32,
        // A few values in a few rows, each many times.
        "duplicates" => (draw(i % 7, j) % 3) as f32 + f32::from(j == 0),
        "line" => {
            (i as f32 - n as f32 / 2.0) * 0.37 * unit(split_mix(seed, j as u64)) as f32 + f32::from(j == 0) * 0.01
        }
        "grid" => (draw(i, j) % 4) as f32 + f32::from(j == 0),
        "equal" => 1.0 + unit(split_mix(seed, j as u64)) as f32,
        // Squares that overflow next to such that vanish.
        _ => [1e-25, 1.0, 1e12, -3e19][(draw(i, 0) % 4) as usize] * (0.5 + unit(draw(i, j)) as f32),
    };
    Matrix::new((0..n * dim).map(|at| value(at / dim, at % dim)).collect(), dim).unwrap()
}

/// Queries: rows of the base, rows that are a little off, and others.
pub(crate) fn queries(base: &Matrix<f32>, count: usize, seed: u64) -> Vec<Vec<f32>> {
    let dim = base.dim();
    let query = |q: usize| -> Vec<f32> {
        let noise = |j: usize| gauss(seed ^ 77, (q * dim + j) as u64) as f32;
        let row = (!base.is_empty()).then(|| base.row(split_mix(seed, q as u64) as usize % base.len()));
        match (row, q % 3) {
            (Some(row), 0) => row.to_vec(),
            (Some(row), 1) => row.iter().enumerate().map(|(j, x)| x + 0.1 * noise(j)).collect(),
            _ => (0..dim).map(|j| 1.0 + noise(j)).collect(),
        }
    };
    (0..count).map(query).collect()
}

pub(crate) fn store<T: Scalar>(rows: &Matrix<f32>, metric: Metric) -> FlatStore<T> {
    FlatStore::from_rows(rows.view(), metric).unwrap()
}

pub(crate) fn kd<T: Scalar>(rows: &Matrix<f32>, metric: Metric) -> KdTree<FlatStore<T>> {
    KdTree::build(store(rows, metric), Par::Serial, Monitor::new()).unwrap()
}

pub(crate) fn ball<T: Scalar>(rows: &Matrix<f32>, metric: Metric) -> BallTree<FlatStore<T>> {
    BallTree::build(store(rows, metric), Par::Serial, Monitor::new()).unwrap()
}

pub(crate) fn forest<T: Scalar>(rows: &Matrix<f32>, metric: Metric, trees: usize) -> KdForest<FlatStore<T>> {
    let params = KdForestParams { trees, ..KdForestParams::default() };
    KdForest::build(store(rows, metric), params, Par::Serial, Monitor::new()).unwrap()
}

/// What a search finds, and what it cost.
pub(crate) fn search<I: Index<Params = TreeSearch>>(
    index: &I,
    query: &I::Vector,
    k: usize,
    checks: Option<usize>,
    filter: &impl Filter,
) -> (Vec<Neighbor>, SearchStats) {
    let (mut scratch, mut out) = (I::Scratch::default(), Vec::new());
    let stats = index.search_with(query, k, &TreeSearch { checks }, filter, &mut scratch, &mut out).unwrap();
    (out, stats)
}

/// Equal to the bit.
pub(crate) fn same(found: &[Neighbor], expected: &[Neighbor]) -> bool {
    let bits = |all: &[Neighbor]| all.iter().map(|n| (n.id, (n.distance + 0.0).to_bits())).collect::<Vec<_>>();
    bits(found) == bits(expected)
}
