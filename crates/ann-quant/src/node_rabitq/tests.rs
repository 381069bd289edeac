use super::*;
use ann_core::{Matrix, lanes_for};
use ann_testkit::portable;

/// What a codec says of the neighbours of row 0, and what is true: `(own, estimates, exact own, exact)`.
fn estimates(codec: &NodeRabitq, rows: &Matrix<f32>, query: &[f32]) -> (f32, Vec<f32>, f64, Vec<f64>) {
    let width = codec.transformed_len();
    let mut transformed = vec![0.0; rows.len() * width];
    for (row, out) in rows.view().rows().zip(transformed.chunks_exact_mut(width)) {
        codec.transform(row, out);
    }
    let near: Vec<&[f32]> = transformed.chunks_exact(width).collect();
    let lanes = lanes_for(near.len() - 1);
    let (mut codes, mut own) = (vec![1; codec.codes_len(lanes)], vec![1; codec.own_len()]);
    codec.encode(near[0], &near[1..], lanes, &mut codes);
    codec.encode_own(near[0], &mut own);
    let mut prepared = NodeRabitqQuery::default();
    codec.prepare(query, &mut prepared);
    let owner = codec.own(&prepared, &own);
    let mut out = vec![f32::NAN; lanes];
    codec.score(&prepared, owner, &codes, 0.0, &mut out);
    assert!(out[near.len() - 1..].iter().all(|&x| x == f32::INFINITY), "lanes without a neighbour are farthest");
    let exact = |row: &[f32]| match codec.metric() {
        Metric::L2 => query.iter().zip(row).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>(),
        _ => -query.iter().zip(row).map(|(a, b)| f64::from(a * b)).sum::<f64>(),
    };
    let truth: Vec<f64> = rows.view().rows().map(exact).collect();
    (owner, out[..near.len() - 1].to_vec(), truth[0], truth[1..].to_vec())
}

#[test]
fn estimates_come_nearer_with_every_plane() {
    let set = portable::spec256(65, 20);
    for metric in [Metric::L2, Metric::InnerProduct] {
        let mut last = f64::INFINITY;
        for planes in 1..=8 {
            let params = NodeRabitqParams { planes, seed: 3 };
            let codec = NodeRabitq::train(set.base.view(), metric, &params).unwrap();
            let (mut squared, mut bias, mut count) = (0.0, 0.0, 0.0);
            for query in set.queries.view().rows() {
                let (own, out, exact_own, exact) = estimates(&codec, &set.base, query);
                assert!((f64::from(own) - exact_own).abs() < 0.01, "{metric}: {own} for {exact_own}");
                for (estimate, exact) in out.iter().zip(exact) {
                    let error = f64::from(*estimate) - exact;
                    (squared, bias, count) = (squared + error * error, bias + error, count + 1.0);
                }
            }
            let (deviation, bias): (f64, f64) = ((squared / count).sqrt(), bias / count);
            // The error of a plane more is about half, until the query's own rounding is all that is left.
            assert!(
                deviation < 0.75 * last || deviation < 0.003,
                "{metric}, {planes} planes: {deviation} after {last}"
            );
            assert!(bias.abs() < 0.3 * deviation.max(0.003), "{metric}, {planes} planes: bias {bias}");
            last = deviation;
        }
    }
}

/// One plane: the standard deviation of a product is that of Gao and Long's theorem 3.2.
#[test]
fn one_plane_is_as_good_as_the_theorem_says() {
    let set = portable::spec256(65, 50);
    let codec = NodeRabitq::train(set.base.view(), Metric::L2, &NodeRabitqParams::default()).unwrap();
    let (mut squared, mut count) = (0.0, 0.0);
    let norm = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>().sqrt();
    for query in set.queries.view().rows() {
        let (_, out, _, exact) = estimates(&codec, &set.base, query);
        let owner = set.base.row(0);
        for (row, (estimate, exact)) in set.base.view().rows().skip(1).zip(out.iter().zip(exact)) {
            let (a, b, c) = (norm(query, owner), norm(row, owner), norm(query, row));
            // Only what is orthogonal to the difference is estimated with an error.
            let cosine = (a * a + b * b - c * c) / (2.0 * a * b);
            let unit = 2.0 * a * b * (1.0 - cosine * cosine).sqrt();
            squared += ((f64::from(*estimate) - exact) / unit).powi(2);
            count += 1.0;
        }
    }
    let expected = ((std::f64::consts::FRAC_PI_2 - 1.0) / 255.0).sqrt();
    let found: f64 = f64::sqrt(squared / count);
    assert!((found / expected - 1.0).abs() < 0.05, "{found}, expected {expected}");
}

#[test]
fn equal_rows_and_few_columns_are_estimated_exactly_enough() {
    for dim in [1, 3, 25, 64, 100] {
        let row: Vec<f32> = (0..dim).map(|i| i as f32 - 2.5).collect();
        let rows = Matrix::from_rows(&[row.clone(), row.clone(), row.clone()]).unwrap();
        let codec = NodeRabitq::train(rows.view(), Metric::L2, &NodeRabitqParams::default()).unwrap();
        let (own, out, exact, _) = estimates(&codec, &rows, &vec![1.0; dim]);
        assert!((f64::from(own) - exact).abs() <= 1e-4 * exact, "{dim}: {own} for {exact}");
        assert!(out.iter().all(|&x| x == own), "{dim}: {out:?} beside {own}");
    }
}

#[test]
fn what_cannot_be_trained_is_said() {
    let rows = Matrix::new(vec![1.0; 8], 4).unwrap();
    for planes in [0, 9] {
        let error = NodeRabitq::train(rows.view(), Metric::L2, &NodeRabitqParams { planes, seed: 0 }).unwrap_err();
        assert!(matches!(error, TrainError::Param { name: "planes", .. }), "{error}");
    }
    let error = NodeRabitq::train(rows.view(), Metric::L1, &NodeRabitqParams::default()).unwrap_err();
    assert_eq!(error.to_string(), "the metric l1 does not apply to RaBitQ codes");
    let empty = Matrix::new(Vec::new(), 4).unwrap();
    let error = NodeRabitq::train(empty.view(), Metric::L2, &NodeRabitqParams::default()).unwrap_err();
    assert_eq!(error.to_string(), "0 rows to train on, at least 1 are needed");
}

#[test]
fn tables_hold_the_sums_of_all_subsets() {
    let values = [0, 0, 0, 0, 1, -2, 3, -4, -255, 0, 0, 0, 0, 0, 0, 255, 64, -64, -63, 64, -1, -1, -252, -1];
    let mut out = [0; 4 * 24];
    let least = tables(&values, &mut out);
    assert_eq!(least, values.iter().filter(|x| **x < 0).sum::<i32>());
    for (four, table) in values.chunks(4).zip(out.chunks(16)) {
        let low: i32 = four.iter().map(|&x| x.min(0)).sum();
        for (subset, &entry) in table.iter().enumerate() {
            let sum: i32 = (0..4).filter(|i| subset >> i & 1 == 1).map(|i| four[i]).sum();
            assert_eq!(i32::from(entry), sum - low, "{four:?} {subset:04b}");
        }
    }
}
