//! Hostile data: the shapes on which indexes have lost points, looped, or returned nonsense.
//!
//! Every shape comes from a seed, names the metrics that are defined on it, and has queries of the same law, drawn
//! apart from the base. [`hostile`] gives them all, for tests that no shape may escape; each maker is public for tests
//! of one. Sizes are the caller's; a few thousand rows show every effect.
//!
//! Cost: at most a few microseconds per row.

use std::f64::consts::TAU;

use ann_core::{Matrix, Metric};

use crate::portable::{bits, gauss, matrix, uniform};

/// Metrics of rows of floats that may be anything but zero rows.
const ALL: &[Metric] = &[Metric::L2, Metric::InnerProduct, Metric::Cosine, Metric::L1];

/// Data that an index must survive.
///
/// ```
/// for shape in ann_testkit::shapes::hostile(300, 8, 7) {
///     assert!(shape.base.as_slice().iter().all(|x| x.is_finite()), "{}", shape.name);
///     assert!(!shape.metrics.is_empty() && shape.base.dim() == shape.queries.dim());
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Shape {
    /// What is hostile about it, such as `duplicates 25 %`.
    pub name: &'static str,
    /// The rows to index, finite.
    pub base: Matrix<f32>,
    /// Rows to ask for, finite, [`QUERIES`] of them.
    pub queries: Matrix<f32>,
    /// The metrics that make sense here.
    pub metrics: &'static [Metric],
}

/// Queries of every shape.
pub const QUERIES: usize = 50;

/// Every shape of this module: `n` rows of `dim` columns ([`one_dimension`] has 1).
///
/// # Panics
/// If `n` or `dim` is 0.
pub fn hostile(n: usize, dim: usize, seed: u64) -> Vec<Shape> {
    let makers = [
        uniform_cube,
        clustered,
        all_equal,
        one_dimension,
        line,
        duplicates,
        duplicate_clusters,
        heavy_norms,
        zero_rows,
        huge,
        tiny,
        integral,
    ];
    makers.iter().map(|make| make(n, dim, seed)).collect()
}

/// Not hostile: independent uniform values in `-1..1`, for comparison.
pub fn uniform_cube(n: usize, dim: usize, seed: u64) -> Shape {
    shape("uniform", ALL, n, dim, |i, j| 2.0 * draw(seed, i, dim, j) - 1.0)
}

/// About one tight cluster per 100 rows, far apart: graphs tend to fall into pieces.
pub fn clustered(n: usize, dim: usize, seed: u64) -> Shape {
    let clusters = n.div_ceil(100) as u64;
    shape("clustered", ALL, n, dim, |i, j| {
        let cluster = bits(seed + 1, i) % clusters;
        10.0 * normal(seed + 2, cluster, dim, j) + 0.1 * normal(seed, i, dim, j)
    })
}

/// One vector `n` times: every distance is a tie, every pruning rule occludes.
pub fn all_equal(n: usize, dim: usize, seed: u64) -> Shape {
    shape("all equal", ALL, n, dim, |_, j| 1.0 + draw(seed, 0, dim, j))
}

/// A single column: the nearest neighbours lie on two sides only. Ignores `dim`.
pub fn one_dimension(n: usize, _dim: usize, seed: u64) -> Shape {
    let metrics = &[Metric::L2, Metric::L1];
    shape("one dimension", metrics, n, 1, |i, _| 2.0 * uniform(seed, i) - 1.0)
}

/// Points of a straight line through space, evenly spaced in order of insertion: no shortcut but long edges.
pub fn line(n: usize, dim: usize, seed: u64) -> Shape {
    let step = 100.0 / n as f64;
    shape("line", &[Metric::L2, Metric::InnerProduct, Metric::L1], n, dim, |i, j| {
        let along = if i < n as u64 { i as f64 } else { n as f64 * uniform(seed + 1, i) };
        step * along * normal(seed, 0, dim, j)
    })
}

/// Gaussian rows, every fourth of which (25 %) copies an earlier one exactly.
pub fn duplicates(n: usize, dim: usize, seed: u64) -> Shape {
    shape("duplicates 25 %", ALL, n, dim, |i, j| {
        let copied = i % 4 == 3 && i < n as u64;
        // Rows of index 4m are never copies themselves.
        let source = if copied { bits(seed + 1, i) % (i / 4 + 1) * 4 } else { i };
        normal(seed, source, dim, j)
    })
}

/// Runs of 1,000 exact copies of one vector (all in one run if `n` is less), more than any neighbour list holds.
pub fn duplicate_clusters(n: usize, dim: usize, seed: u64) -> Shape {
    shape("1,000 copies each", ALL, n, dim, |i, j| {
        // Queries are near a vector, not on it.
        let (vector, noise) = if i < n as u64 { (i / 1000, 0.0) } else { (i % (n as u64).div_ceil(1000), 0.1) };
        normal(seed, vector, dim, j) + noise * normal(seed + 1, i, dim, j)
    })
}

/// Norms of a Pareto law with exponent 1.5, from 1 to 1,000: a few rows win nearly every inner product.
pub fn heavy_norms(n: usize, dim: usize, seed: u64) -> Shape {
    let metrics = &[Metric::InnerProduct, Metric::L2, Metric::Cosine];
    let scale = 1.0 / (dim as f64).sqrt();
    shape("heavy norms", metrics, n, dim, |i, j| {
        let norm = (1.0 - uniform(seed + 1, i)).powf(-1.0 / 1.5).min(1000.0);
        norm * scale * normal(seed, i, dim, j)
    })
}

/// Gaussian rows, every tenth of which is zero: without a cosine of its own.
pub fn zero_rows(n: usize, dim: usize, seed: u64) -> Shape {
    shape("zero rows", ALL, n, dim, |i, j| if i % 10 == 9 { 0.0 } else { normal(seed, i, dim, j) })
}

/// Values around 1e16: squares and their sums stay within f32, cubes do not.
pub fn huge(n: usize, dim: usize, seed: u64) -> Shape {
    shape("huge", ALL, n, dim, |i, j| 1e16 * normal(seed, i, dim, j))
}

/// Values around 1e-18: squares are still normal numbers, products of squares are not.
pub fn tiny(n: usize, dim: usize, seed: u64) -> Shape {
    shape("tiny", ALL, n, dim, |i, j| 1e-18 * normal(seed, i, dim, j))
}

/// Whole numbers in `0..=255`, a ring of them at both ends of the range: what is stored as bytes without loss.
pub fn integral(n: usize, dim: usize, seed: u64) -> Shape {
    shape("integral 0..=255", ALL, n, dim, |i, j| {
        let phase = TAU * (draw(seed, i, dim, 0) + j as f64 / dim as f64);
        (127.5 + 150.0 * phase.sin() + 20.0 * normal(seed + 1, i, dim, j)).round().clamp(0.0, 255.0)
    })
}

/// Base rows `0..n` and then the queries, each value from its row and column.
fn shape(
    name: &'static str,
    metrics: &'static [Metric],
    n: usize,
    dim: usize,
    value: impl Fn(u64, u64) -> f64,
) -> Shape {
    assert!(n > 0 && dim > 0, "{name}: {n} rows of {dim} columns");
    let rows = |range: std::ops::Range<usize>| {
        let values = range.flat_map(|i| (0..dim).map(move |j| (i as u64, j as u64)));
        matrix(values.map(|(i, j)| value(i, j) as f32).collect(), dim)
    };
    Shape { name, base: rows(0..n), queries: rows(n..n + QUERIES), metrics }
}

/// Uniform in `[0, 1)` for a row and column.
fn draw(seed: u64, i: u64, dim: usize, j: u64) -> f64 {
    uniform(seed, i * dim as u64 + j)
}

/// Gaussian for a row and column.
fn normal(seed: u64, i: u64, dim: usize, j: u64) -> f64 {
    gauss(seed, i * dim as u64 + j)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::brute::distance;

    const N: usize = 2_500;
    const DIM: usize = 12;

    fn distinct(matrix: &Matrix<f32>) -> usize {
        let mut rows: Vec<Vec<u32>> = matrix.rows().map(|row| row.iter().map(|x| x.to_bits()).collect()).collect();
        rows.sort_unstable();
        rows.dedup();
        rows.len()
    }

    #[test]
    fn every_distance_is_finite_in_f32_under_every_named_metric() {
        for shape in hostile(N, 256, 3) {
            for &metric in shape.metrics {
                for i in 0..QUERIES {
                    let found = distance(metric, shape.queries.row(i), shape.base.row(i * 31)) as f32;
                    assert!(found.is_finite(), "{} {metric}: {found}", shape.name);
                }
            }
        }
    }

    #[test]
    fn shapes_depend_on_the_seed_alone() {
        for ((a, b), c) in hostile(64, DIM, 1).iter().zip(hostile(64, DIM, 1)).zip(hostile(64, DIM, 2)) {
            assert_eq!((a.name, &a.base, &a.queries), (b.name, &b.base, &b.queries));
            assert_ne!(a.base, c.base, "{}", a.name);
        }
    }

    #[test]
    fn names_differ() {
        let mut names: Vec<&str> = hostile(10, 2, 1).iter().map(|shape| shape.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), 12);
    }

    #[test]
    fn duplicates_are_as_many_as_named() {
        assert_eq!(distinct(&all_equal(N, DIM, 1).base), 1);
        assert_eq!(distinct(&duplicate_clusters(N, DIM, 1).base), 3);
        assert_eq!(distinct(&duplicates(N, DIM, 1).base), N - N / 4);
        assert_eq!(distinct(&clustered(N, DIM, 1).base), N);
    }

    #[test]
    fn queries_are_not_base_rows() {
        for shape in hostile(N, DIM, 1).iter().filter(|shape| !["all equal", "zero rows"].contains(&shape.name)) {
            let copies = shape.queries.rows().filter(|query| shape.base.rows().any(|row| row == *query)).count();
            assert_eq!(copies, 0, "{}", shape.name);
        }
    }

    #[test]
    fn a_tenth_of_zero_rows_is_zero() {
        let zero = zero_rows(N, DIM, 1).base.rows().filter(|row| row.iter().all(|&x| x == 0.0)).count();
        assert_eq!(zero, N / 10);
    }

    #[test]
    fn heavy_norms_span_two_decades() {
        let shape = heavy_norms(N, DIM, 1);
        let mut norms: Vec<f32> = shape.base.rows().map(|row| row.iter().map(|x| x * x).sum::<f32>().sqrt()).collect();
        norms.sort_by(f32::total_cmp);
        assert!(norms[N - 1] > 50.0 * norms[N / 2], "{} {}", norms[N / 2], norms[N - 1]);
    }

    #[test]
    fn integral_values_are_bytes_and_use_both_ends() {
        let base = integral(N, DIM, 1).base;
        assert!(base.as_slice().iter().all(|&x| f32::from(x as u8) == x));
        assert!(base.as_slice().contains(&0.0) && base.as_slice().contains(&255.0));
    }
}
