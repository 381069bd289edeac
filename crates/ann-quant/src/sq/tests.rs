use super::*;
use crate::CodeStore;
use ann_core::{DistanceOracle, Matrix, Par, PushVector, VectorStore, split_mix, unit};
use ann_testkit::{distance, shapes};

const METRICS: [Metric; 3] = [Metric::L2, Metric::InnerProduct, Metric::Cosine];
const RANGES: [SqRange; 3] = [SqRange::PerDimension, SqRange::PerVector, SqRange::Uniform];

fn params(bits: usize, range: SqRange) -> SqParams {
    SqParams { bits, range, clip: SqClip::MinMax }
}

fn floats(n: usize, dim: usize, seed: u64) -> Matrix<f32> {
    Matrix::new((0..(n * dim) as u64).map(|i| 2.0 * unit(split_mix(seed, i)) as f32 - 1.0).collect(), dim).unwrap()
}

fn store(rows: &Matrix<f32>, metric: Metric, params: &SqParams) -> CodeStore<Sq> {
    let sq = Sq::train(rows.view(), metric, params, Par::Serial).unwrap();
    CodeStore::from_rows(sq, rows.view(), Par::Serial).unwrap()
}

fn decoded(store: &CodeStore<Sq>, id: u32) -> Vec<f32> {
    let mut vector = vec![0.0; store.quantizer().dim()];
    store.quantizer().decode(store.code(id), &mut vector);
    vector
}

fn distances(store: &CodeStore<Sq>, query: &[f32]) -> Vec<f32> {
    let (mut scratch, mut out) = (Default::default(), vec![0.0; store.len()]);
    store.scan(query, &mut scratch, &mut out);
    let ids: Vec<u32> = (0..store.len() as u32).rev().collect();
    let mut gathered = vec![0.0; store.len()];
    store.oracle(query, &mut scratch).distances(&ids, &mut gathered);
    gathered.reverse();
    assert_eq!(gathered, out, "gather and scan differ");
    out
}

#[test]
fn values_are_off_by_half_a_step_at_most() {
    for range in RANGES {
        for bits in [8, 6, 4] {
            for dim in [1, 3, 130, 1030] {
                let rows = floats(40, dim, 7);
                let store = store(&rows, Metric::L2, &params(bits, range));
                for (id, row) in rows.rows().enumerate() {
                    for (x, y) in row.iter().zip(decoded(&store, id as u32)) {
                        // Ranges of rows may lie around a mean that is not 0.
                        let width = if range == SqRange::PerVector { 3.0 } else { 2.02 };
                        let reach = width / store.quantizer().params().top() / 2.0;
                        assert!((x - y).abs() <= reach, "{range:?}, {bits} bits, {dim} columns: {x}, {y}");
                    }
                }
            }
        }
    }
}

#[test]
fn distances_are_those_to_decoded_rows_but_for_the_rounding_of_the_query() {
    for metric in METRICS {
        for range in RANGES {
            for bits in [8, 6, 4] {
                for dim in [2, 31, 128, 1300] {
                    let (rows, queries) = (floats(21, dim, 1), floats(5, dim, 2));
                    let store = store(&rows, metric, &params(bits, range));
                    for query in queries.rows() {
                        for (id, found) in distances(&store, query).into_iter().enumerate() {
                            let expected = match metric {
                                Metric::Cosine => {
                                    let mut unit = Vec::new();
                                    ann_core::prepare_dense(query, metric, dim, &mut unit);
                                    (1.0 + distance(Metric::InnerProduct, &unit, &decoded(&store, id as u32)))
                                        .clamp(0.0, 2.0)
                                }
                                _ => distance(metric, query, &decoded(&store, id as u32)),
                            };
                            // Rounding takes at most half a step of 1/127 of the largest weight from each column, and with a
                            // second byte next to nothing.
                            let scale = if metric == Metric::Cosine { 0.5 } else { (dim as f64).sqrt() };
                            let off = (f64::from(found) - expected).abs();
                            assert!(
                                off <= if bits == 8 { 0.0003 } else { 0.02 } * scale + 1e-4,
                                "{metric} {range:?} {bits} bits {dim}: {found}, {expected}"
                            );
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn whole_numbers_that_fit_are_exact() {
    let whole = |bits: usize, low: f32| {
        let number = |i| (split_mix(9, i) % (1 << bits)) as f32 + low;
        Matrix::new((0..100 * 37).map(number).collect(), 37).unwrap()
    };
    for (bits, low) in [(8, 0.0), (8, -128.0), (8, 1000.0), (6, 0.0), (4, -8.0), (4, 3.0)] {
        let rows = whole(bits, low);
        let store = store(&rows, Metric::L2, &params(bits, SqRange::PerDimension));
        assert!(store.quantizer().is_exact());
        let halves: Vec<f32> = rows.row(3).iter().map(|x| x + 0.5).collect();
        for (id, row) in rows.rows().enumerate() {
            assert_eq!(decoded(&store, id as u32), row);
        }
        for query in [rows.row(0), rows.row(99), &halves] {
            let expected = rows.rows().map(|row| distance(Metric::L2, query, row));
            for (found, expected) in distances(&store, query).into_iter().zip(expected) {
                assert!((f64::from(found) - expected).abs() <= 1e-6 * expected, "{bits} bits: {found}, {expected}");
            }
        }
    }
}

#[test]
fn rows_far_from_the_origin_are_told_apart() {
    let rows = Matrix::new(floats(200, 16, 3).as_slice().iter().map(|x| 1000.0 + x).collect(), 16).unwrap();
    let store = store(&rows, Metric::L2, &SqParams::default());
    for (found, row) in distances(&store, rows.row(0)).into_iter().zip(rows.rows()) {
        let expected = distance(Metric::L2, rows.row(0), row);
        assert!((f64::from(found) - expected).abs() < 0.05 + 0.01 * expected, "{found}, {expected}");
    }
}

#[test]
fn hostile_rows_train_encode_and_compare() {
    for shape in shapes::hostile(120, 9, 5) {
        let rows = &shape.base;
        for metric in METRICS.into_iter().filter(|metric| shape.metrics.contains(metric)) {
            let zero = rows.rows().position(|row| row.iter().all(|&x| x == 0.0));
            for (range, bits) in RANGES.into_iter().flat_map(|range| [8, 6, 4].map(|bits| (range, bits))) {
                let trained = Sq::train(rows.view(), metric, &params(bits, range), Par::Serial);
                if let (Metric::Cosine, Some(zero)) = (metric, zero) {
                    assert!(matches!(trained, Err(TrainError::Row(error)) if error.row == zero));
                    continue;
                }
                let store = CodeStore::from_rows(trained.unwrap(), rows.view(), Par::Serial).unwrap();
                let found = distances(&store, rows.row(0));
                assert!(found.iter().all(|x| x.is_finite()), "{} {metric} {range:?} {bits} bits", shape.name);
            }
        }
    }
}

#[test]
fn constant_columns_and_equal_rows_lose_nothing() {
    let rows = Matrix::new((0..50).flat_map(|i| [0.37, i as f32 / 7.0]).collect(), 2).unwrap();
    for bits in [8, 6, 4] {
        let store = store(&rows, Metric::L2, &params(bits, SqRange::PerDimension));
        assert_eq!(decoded(&store, 17)[0], 0.37);
        let far = distances(&store, &[1000.37, 0.0])[0];
        assert!((far - 1e6).abs() < 10.0, "{far}");
    }
    let equal = Matrix::new(vec![0.37; 20], 2).unwrap();
    for range in RANGES {
        let store = store(&equal, Metric::L2, &params(8, range));
        assert_eq!(distances(&store, &[0.37, 0.37]), [0.0; 10], "{range:?}");
        assert!((distances(&store, &[0.37, 0.67])[0] - 0.09).abs() < 0.001, "{range:?}");
    }
}

#[test]
fn clipping_narrows_ranges() {
    let mut rows = floats(1000, 4, 4);
    rows.as_mut_slice()[4] = 1e6;
    let step = |clip| {
        let params = SqParams { clip, ..SqParams::default() };
        Sq::train(rows.view(), Metric::L2, &params, Par::Serial).unwrap().step()[0]
    };
    assert!(step(SqClip::MinMax) > 3000.0);
    assert!(step(SqClip::Quantile(0.99)) < 0.01);
    assert!(step(SqClip::Sigma(3.0)) < step(SqClip::MinMax));
    let params = SqParams { clip: SqClip::Quantile(0.99), ..SqParams::default() };
    let store = store(&rows, Metric::L2, &params);
    assert!(decoded(&store, 1)[0] < 1.1, "values beyond the range become its end");
}

#[test]
fn training_is_the_same_on_any_number_of_threads() {
    let rows = floats(9000, 5, 8);
    let codes = |par| {
        let sq = Sq::train(rows.view(), Metric::Cosine, &params(6, SqRange::PerVector), par).unwrap();
        CodeStore::from_rows(sq, rows.view(), par).unwrap().padded_codes().to_vec()
    };
    let serial = codes(Par::Serial);
    assert!([2, 8].iter().all(|&threads| codes(Par::Threads(threads)) == serial));
}

#[test]
fn what_cannot_be_trained_is_refused_with_the_reason() {
    let message = |rows: &Matrix<f32>, metric, params| {
        Sq::train(rows.view(), metric, &params, Par::Serial).map(|_| ()).unwrap_err().to_string()
    };
    let (rows, default) = (floats(3, 2, 1), SqParams::default());
    let mut broken = rows.clone();
    broken.as_mut_slice()[5] = f32::NAN;
    assert_eq!(message(&broken, Metric::L2, default), "row 2: column 1 is NaN, expected a finite number");
    assert_eq!(message(&rows, Metric::L1, default), "the metric l1 does not apply to scalar codes");
    let empty = Matrix::new(Vec::new(), 2).unwrap();
    assert_eq!(message(&empty, Metric::L2, default), "0 rows to train on, at least 1 are needed");
    let odd = SqParams { bits: 7, ..default };
    assert_eq!(message(&rows, Metric::L2, odd), "bits is 7, must be 8, 6 or 4");
    let half = SqParams { clip: SqClip::Quantile(0.5), ..default };
    assert_eq!(message(&rows, Metric::L2, half), "quantile is 0.5, must be above 0.5, at most 1");
    let own = SqParams { clip: SqClip::Sigma(2.0), range: SqRange::PerVector, ..default };
    assert!(message(&rows, Metric::L2, own).starts_with("clip is 2, must be MinMax"));
}

#[test]
fn a_wrong_row_is_not_pushed() {
    let rows = floats(10, 3, 6);
    let mut store = store(&rows, Metric::Cosine, &SqParams::default());
    assert!(store.push(&[0.0, f32::NAN, 0.0]).is_err() && store.push(&[0.0; 3]).is_err() && store.push(&[]).is_err());
    assert_eq!((store.len(), store.push(rows.row(4))), (10, Ok(10)));
    assert_eq!(store.code(10), store.code(4));
    store.truncate(10);
    assert_eq!(store.len(), 10);
}

#[test]
#[ignore = "a measurement"]
fn speeds_of_scalar_codes() {
    for dim in [128, 384] {
        for bits in [8, 6, 4] {
            let train = |rows: ann_core::MatrixView<'_, f32>, metric, par| {
                Sq::train(rows, metric, &params(bits, SqRange::PerDimension), par)
            };
            crate::tests::speeds(&format!("SQ{bits}"), dim, train);
        }
    }
}
