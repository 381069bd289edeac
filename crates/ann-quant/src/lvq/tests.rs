//! LVQ against the laws of codes, the formulas of the paper, and recorded errors.

use super::*;
use crate::CodeStore;
use crate::tests::{check_laws, measure, report, speeds};
use ann_core::Matrix;
use ann_testkit::portable::{iso64, mix128, spec256};

fn train(bits: u32, residual: bool) -> impl Fn(MatrixView<'_, f32>, Metric, Par) -> Result<Lvq, TrainError> {
    move |rows, metric, par| Lvq::train(rows, metric, &LvqParams { bits, residual }, par)
}

#[test]
fn laws_hold() {
    for (bits, residual) in [(4, false), (8, false), (4, true), (8, true)] {
        check_laws(train(bits, residual));
    }
    let rows = crate::tests::rows(4, Metric::L2);
    assert!(matches!(train(5, false)(rows.view(), Metric::L2, Par::Serial), Err(TrainError::Param { .. })));
}

/// Distances are those to what the code stands for, but for the rounding of queries.
#[test]
fn distances_are_those_to_the_decoded_rows() {
    for metric in [Metric::L2, Metric::InnerProduct, Metric::Cosine] {
        for (bits, residual, coarse, fine) in [(8, false, 1e-4, 1e-4), (4, true, 0.06, 1e-3), (8, true, 1e-3, 1e-4)] {
            let rows = crate::tests::rows(33, metric);
            let lvq = train(bits, residual)(rows.view(), metric, Par::Serial).unwrap();
            let store = CodeStore::from_rows(lvq, rows.view(), Par::Serial).unwrap();
            let (lvq, ids) = (store.quantizer(), (0..600).collect::<Vec<u32>>());
            let (mut query, mut row, mut out) = (LvqQuery::default(), Vec::new(), vec![f32::NAN; 600]);
            prepare_dense(rows.row(3), metric, 33, &mut row);
            lvq.prepare(&row, &mut query);
            let check = |out: &[f32], most: f64, decode: &dyn Fn(&[u8], &mut [f32])| {
                let mut vector = vec![f32::NAN; 33];
                for (&id, &found) in ids.iter().zip(out) {
                    decode(store.code(id), &mut vector);
                    let apart: f64 = vector.iter().zip(&row).map(|(a, b)| f64::from(a - b).powi(2)).sum();
                    let exact = match metric {
                        Metric::L2 => apart,
                        Metric::Cosine => 1.0 - product(&vector, &row),
                        _ => -product(&vector, &row),
                    };
                    let size = product(&vector, &vector) + product(&row, &row);
                    assert!((f64::from(found) - exact).abs() < most * size, "{metric} {bits}: {found}, {exact}");
                }
            };
            lvq.gather(&query, store.rows(), &ids, &mut out);
            check(&out, coarse, &|code, out| lvq.decode_primary(code, out));
            lvq.refine(&query, store.rows(), &ids, &mut out);
            check(&out, fine, &|code, out| lvq.decode(code, out));
        }
    }
}

/// At most half a step off on the first level, half of a 255th on both; whatever the size of the data.
#[test]
fn decoded_rows_are_within_half_a_step() {
    for size in [1e-30, 1.0, 1e30] {
        let mut rows = crate::tests::rows(65, Metric::L2).into_vec();
        rows.iter_mut().for_each(|x| *x *= size);
        let rows = Matrix::new(rows, 65).unwrap();
        let lvq = train(4, true)(rows.view(), Metric::InnerProduct, Par::Serial).unwrap();
        let store = CodeStore::from_rows(lvq, rows.view(), Par::Serial).unwrap();
        let (lvq, mut vector) = (store.quantizer(), vec![0.0; 65]);
        for (id, row) in rows.rows().enumerate() {
            let code = store.code(id as u32);
            let step = lvq.constants(&code[lvq.primary()..]).step;
            let worst = |vector: &[f32]| row.iter().zip(vector).map(|(a, b)| (a - b).abs() / size).fold(0.0, f32::max);
            lvq.decode_primary(code, &mut vector);
            assert!(worst(&vector) <= 0.51 * step / size + 1e-3, "{size}, row {id}: {}", worst(&vector));
            lvq.decode(code, &mut vector);
            assert!(worst(&vector) <= 0.6 * step / size / 255.0 + 5e-3, "{size}, row {id}: {}", worst(&vector));
        }
    }
}

/// Mean of `1 - cos²` between centred rows and their codes.
fn sine(lvq: &Lvq, rows: MatrixView<'_, f32>) -> f64 {
    let (mut scratch, mut code, mut vector) = (Vec::new(), vec![0; lvq.code_len()], vec![0.0; lvq.dim()]);
    let centred = |x: &[f32]| x.iter().zip(&lvq.mean).map(|(x, mean)| x - mean).collect::<Vec<_>>();
    let sines = rows.rows().map(|row| {
        lvq.encode(row, &mut scratch, &mut code);
        lvq.decode(&code, &mut vector);
        let (a, b) = (centred(row), centred(&vector));
        1.0 - product(&a, &b).powi(2) / (product(&a, &a) * product(&b, &b))
    });
    sines.sum::<f64>() / rows.len() as f64
}

/// The same rows in a random basis, where coordinates are normal: recorded numbers are of those.
fn rotated(rows: MatrixView<'_, f32>) -> Matrix<f32> {
    let (rotation, mut row, mut all) = (crate::Rotation::new(rows.dim(), 1), Vec::new(), Vec::new());
    for x in rows.rows() {
        rotation.apply(x, &mut row);
        all.extend_from_slice(&row);
    }
    Matrix::new(all, rows.dim()).unwrap()
}

#[test]
fn codes_are_as_near_as_recorded() {
    let rows = rotated(spec256(500, 1).base.view());
    for (bits, expected) in [(4, 0.0117), (8, 4.1e-5)] {
        let sine = sine(&train(bits, false)(rows.view(), Metric::L2, Par::Serial).unwrap(), rows.view());
        assert!((sine / expected - 1.0).abs() < 0.1, "{bits} bits: {sine}");
    }
}

#[test]
fn lossless_for_ranking_with_eight_bits_or_two_levels() {
    let set = mix128(2000, 50);
    let lvq = train(8, false)(set.base.view(), Metric::L2, Par::Serial).unwrap();
    let measured = measure(&CodeStore::from_rows(lvq, set.base.view(), Par::Serial).unwrap(), &set);
    assert!(measured.found[0] > 0.985, "{measured:?}");
    let lvq = train(4, true)(set.base.view(), Metric::L2, Par::Serial).unwrap();
    let store = CodeStore::from_rows(lvq, set.base.view(), Par::Serial).unwrap();
    let coarse = measure(&store, &set);
    assert!(coarse.found[0] > 0.8 && coarse.found[2] > 0.999, "{coarse:?}");
    let (mut query, ids, mut out) = (LvqQuery::default(), (0..2000).collect::<Vec<u32>>(), vec![0.0; 2000]);
    let (mut worst, mut sum) = (0.0_f64, 0.0);
    for q in set.queries.rows() {
        store.quantizer().prepare(q, &mut query);
        store.quantizer().refine(&query, store.rows(), &ids, &mut out);
        for (row, &out) in set.base.rows().zip(&out) {
            let exact: f64 = row.iter().zip(q).map(|(a, b)| f64::from(a - b).powi(2)).sum();
            worst = worst.max((f64::from(out) - exact).abs());
            sum += exact;
        }
    }
    assert!(worst < 2e-3 * sum / (50.0 * 2000.0), "{worst}");
}

#[test]
#[ignore = "slow: the full sets"]
fn lvq_acceptance() {
    for set in [spec256(50_000, 200), mix128(50_000, 200), iso64(20_000, 200)] {
        for bits in [4, 8] {
            let lvq = train(bits, false)(set.base.view(), Metric::L2, Par::Serial).unwrap();
            let sine = sine(&lvq, set.base.view().slice(0..2000));
            let measured = measure(&CodeStore::from_rows(lvq, set.base.view(), Par::Serial).unwrap(), &set);
            report(format_args!("lvq {} {bits} bits: 1 - cos² {sine:.3e}, {measured:?}", set.name));
        }
    }
}

#[test]
#[ignore = "slow: a clock, for optimised builds"]
fn lvq_speed_acceptance() {
    for (bits, residual, dim) in [(4, false, 128), (4, false, 384), (4, true, 384), (8, false, 384)] {
        speeds(&format!("lvq, {bits} bits, residual {residual}"), dim, train(bits, residual));
    }
}
