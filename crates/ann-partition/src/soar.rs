//! A second list for every row, whose error is none of the first one's.
//!
//! A query misses the list of a near row where what the row adds to its centre lies along the query. A second centre that
//! is merely the next nearest lies on the same side, and is missed together with the first. So the second minimises
//! `‖x - c'‖² + λ ⟨r, x - c'⟩²`, where `r` is the direction of `x - c`: what goes along the first error is dearer by `λ`.
//! Sun, Simcha, Dopson, Guo and Kumar, *SOAR: improved indexing for approximate nearest neighbor search*, NeurIPS 2023,
//! arXiv:2404.00774. We look at all centres, where the paper's code looks at the nearest few.
//!
//! Cost: twice the products of finding the nearest centres, and every row's codes and number once more. At equal rows
//! scanned it gains little below some 100,000 rows: see [`IvfParams::soar`](crate::IvfParams::soar).

use ann_core::simd::{Arch, Kernel, Op, Rows};
use ann_core::{Matrix, MatrixView, Metric, Par, ScratchPool, prepare_dense};
use ann_quant::TrainError;

/// The list of rows that have no second one.
pub(crate) const NO_LIST: u32 = u32::MAX;
/// Squared distances to the first centre below which there is no direction, as in the code of the paper.
const NEAR: f32 = 1e-7;

/// Second lists of `rows`, whose first ones are `labels`; [`NO_LIST`] for all where there is but one centre.
pub(crate) fn second_lists(
    rows: MatrixView<'_, f32>,
    centres: &Matrix<f32>,
    metric: Metric,
    labels: &[u32],
    lambda: f32,
    par: Par,
) -> Result<Vec<u32>, TrainError> {
    /// Rows per task.
    const CHUNK: usize = 64;
    #[derive(Default)]
    struct Scratch {
        row: Vec<f32>,
        along: Vec<f32>,
        squared: Vec<f32>,
        products: Vec<f32>,
    }
    let mut seconds = vec![NO_LIST; rows.len()];
    let arch = Arch::detect()?;
    let (Some(l2), Some(dot)) = (Kernel::new(arch, Op::SquaredL2), Kernel::<f32, f32>::new(arch, Op::Dot)) else {
        return Ok(seconds);
    };
    let dim = centres.dim();
    let centre_rows = Rows::new(centres.as_slice(), dim, dim);
    let pool = ScratchPool::<Scratch>::default();
    par.for_each_chunk_mut(&mut seconds, CHUNK, &pool, |scratch, at, seconds| {
        let Scratch { row, along, squared, products } = scratch;
        squared.resize(centres.len(), 0.0);
        products.resize(centres.len(), 0.0);
        for (i, second) in (at..).zip(seconds) {
            let first = labels[i] as usize;
            prepare_dense(rows.row(i), metric, dim, row);
            l2.scan(row, centre_rows, squared);
            let norm = squared[first].max(0.0);
            let scale = if norm < NEAR { 0.0 } else { norm.sqrt().recip() };
            along.clear();
            along.extend(row.iter().zip(centres.row(first)).map(|(x, c)| (x - c) * scale));
            // Products with centres, as far as they differ from that with the row itself.
            dot.scan(along, centre_rows, products);
            let own = product(along, row);
            let mut least = f32::INFINITY;
            for (list, (&squared, &product)) in squared.iter().zip(&*products).enumerate() {
                let far = own - product;
                let cost = squared + lambda * far * far;
                if cost < least && list != first {
                    (least, *second) = (cost, list as u32);
                }
            }
        }
    });
    Ok(seconds)
}

fn product(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum::<f64>() as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use ann_quant::assign;
    use ann_testkit::portable::mix128;

    #[test]
    fn second_lists_minimise_the_loss_of_the_plain_loop() {
        let set = mix128(300, 40);
        let (rows, centres) = (set.base.view(), &set.queries);
        let mut labels = vec![0; rows.len()];
        assign(rows, centres.view(), Metric::L2, &mut labels, Par::Serial).unwrap();
        for lambda in [0.0, 1.0, 2.0] {
            let found = second_lists(rows, centres, Metric::L2, &labels, lambda, Par::Serial).unwrap();
            let parallel = second_lists(rows, centres, Metric::L2, &labels, lambda, Par::Threads(3)).unwrap();
            assert_eq!(found, parallel);
            for ((row, &label), &second) in rows.rows().zip(&labels).zip(&found) {
                assert_ne!(second, label);
                let minus = |c: u32| -> Vec<f64> {
                    row.iter().zip(centres.row(c as usize)).map(|(&x, &c)| f64::from(x) - f64::from(c)).collect()
                };
                let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
                let residual = minus(label);
                let cost = |c: u32| {
                    let other = minus(c);
                    dot(&other, &other) + f64::from(lambda) * dot(&residual, &other).powi(2) / dot(&residual, &residual)
                };
                let least = (0..40).filter(|&c| c != label).map(cost).fold(f64::INFINITY, f64::min);
                assert!(cost(second) <= least * (1.0 + 1e-4), "{lambda}");
            }
        }
    }

    #[test]
    fn rows_on_their_centres_and_single_centres_are_no_trouble() {
        let centres = Matrix::new(vec![0.0, 0.0, 1.0, 0.0, 3.0, 0.0], 2).unwrap();
        let rows = centres.clone();
        let found = second_lists(rows.view(), &centres, Metric::L2, &[0, 1, 2], 1.5, Par::Serial).unwrap();
        assert_eq!(found, [1, 0, 1]);
        let one = Matrix::new(vec![0.0, 0.0], 2).unwrap();
        let found = second_lists(rows.view(), &one, Metric::L2, &[0, 0, 0], 1.5, Par::Serial).unwrap();
        assert_eq!(found, [NO_LIST; 3]);
    }
}
