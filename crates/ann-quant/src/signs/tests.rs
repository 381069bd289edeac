use super::*;
use crate::{
    Binary, BinaryParams, CodeStore, Quantizer, Sq, SqParams, Ternary, TernaryParams, TrainError, Truncated, truncate,
};
use ann_core::simd::{Arch, Op};
use ann_core::{DistanceOracle, Matrix, Metric, Par, VectorStore, split_mix, unit};
use ann_testkit::{distance, shapes};

const METRICS: [Metric; 3] = [Metric::L2, Metric::InnerProduct, Metric::Cosine];

fn floats(n: usize, dim: usize, seed: u64) -> Matrix<f32> {
    Matrix::new((0..(n * dim) as u64).map(|i| 2.0 * unit(split_mix(seed, i)) as f32 - 0.8).collect(), dim).unwrap()
}

/// Distances by gather, checked to be those by scan.
fn distances<Q: Quantizer>(store: &CodeStore<Q>, query: &[f32]) -> Vec<f32> {
    let (mut scratch, mut out) = (Default::default(), vec![0.0; store.len()]);
    store.scan(query, &mut scratch, &mut out);
    let ids: Vec<u32> = (0..store.len() as u32).rev().collect();
    let mut gathered = vec![0.0; store.len()];
    store.oracle(query, &mut scratch).distances(&ids, &mut gathered);
    gathered.reverse();
    assert_eq!(gathered, out, "gather and scan differ");
    out
}

/// Distances are those of the query to decoded rows, but for `tolerance` of their size; products with `centre`, if there is
/// one, are those of `rows` themselves.
fn check_decoded<Q: Quantizer>(
    store: &CodeStore<Q>,
    (rows, centre): (&Matrix<f32>, &[f32]),
    queries: &Matrix<f32>,
    tolerance: f64,
) {
    let metric = store.quantizer().metric();
    let (mut decoded, mut unit, mut row) = (vec![0.0; queries.dim()], Vec::new(), Vec::new());
    for query in queries.rows() {
        for (id, found) in distances(store, query).into_iter().enumerate() {
            store.quantizer().decode(store.code(id as u32), &mut decoded);
            ann_core::prepare_dense(query, metric, query.len(), &mut unit);
            ann_core::prepare_dense(rows.row(id), metric, query.len(), &mut row);
            let lost = row.iter().zip(&decoded).zip(centre).map(|((x, y), c)| f64::from((x - y) * c)).sum::<f64>();
            let expected = match metric {
                Metric::L2 => distance(metric, query, &decoded),
                Metric::Cosine => (1.0 + distance(Metric::InnerProduct, &unit, &decoded) - lost).clamp(0.0, 2.0),
                _ => distance(metric, query, &decoded) - lost,
            };
            let size = if metric == Metric::Cosine { 1.0 } else { queries.dim() as f64 };
            assert!((f64::from(found) - expected).abs() < tolerance * size, "{metric}: {found}, {expected}");
        }
    }
}

fn binary(rows: &Matrix<f32>, metric: Metric, params: &BinaryParams) -> CodeStore<Binary> {
    CodeStore::from_rows(Binary::train(rows.view(), metric, params).unwrap(), rows.view(), Par::Serial).unwrap()
}

fn ternary(rows: &Matrix<f32>, metric: Metric, params: &TernaryParams) -> CodeStore<Ternary> {
    CodeStore::from_rows(Ternary::train(rows.view(), metric, params).unwrap(), rows.view(), Par::Serial).unwrap()
}

#[test]
fn products_are_those_of_signs_whether_or_not_rows_begin_at_words() {
    let kernel = Kernel::new(Arch::detect().unwrap(), Op::Hamming).unwrap();
    for dim in [1, 63, 64, 65, 200] {
        let (rows, query) = (floats(70, dim, 1), floats(1, dim, 2));
        for (planes, stride) in [(1, 8 * words(dim)), (8, 8 * words(dim) + 3), (8, 8 * words(dim) + 8)] {
            let mut table = vec![0; 70 * stride];
            for (code, row) in table.chunks_mut(stride).zip(rows.rows()) {
                write(row.iter().map(|&x| x > 0.0), &mut code[..8 * words(dim)]);
            }
            let mut prepared = SignQuery { vector: query.as_slice().to_vec(), ..SignQuery::default() };
            prepared.reset(dim);
            prepared.round(planes, 1);
            let mut out = vec![0.0; 70];
            prepared.products(kernel, Rows::new(&table, stride, stride), |i| i as u32, &mut out);
            for (row, found) in rows.rows().zip(out) {
                let signs = || row.iter().map(|&x| if x > 0.0 { 1.0 } else { -1.0 });
                let exact: f32 = signs().zip(query.as_slice()).map(|(sign, x)| sign * x).sum();
                let mean = query.as_slice().iter().map(|x| x.abs()).sum::<f32>() / dim as f32;
                let by_sign: f32 = signs()
                    .zip(query.as_slice())
                    .map(|(sign, x)| sign * mean * if *x > 0.0 { 1.0 } else { -1.0 })
                    .sum();
                let expected = if planes == 1 { by_sign } else { exact };
                assert!((found - expected).abs() < 0.006 * dim as f32, "{dim} {planes}: {found}, {expected}");
            }
        }
    }
}

#[test]
fn distances_are_those_to_decoded_rows() {
    for metric in METRICS {
        for dim in [5, 64, 130] {
            let (rows, queries) = (floats(70, dim, 3), floats(4, dim, 4));
            for (centred, scaled, rotation) in [(true, true, None), (false, false, None), (true, true, Some(5))] {
                // What a rotation pads is in the norm of a code and not in what is decoded.
                if rotation.is_some() && metric == Metric::L2 && dim % 64 != 0 {
                    continue;
                }
                let params = BinaryParams { centred, scaled, rotation, planes: 8 };
                let store = binary(&rows, metric, &params);
                let centre = if scaled { store.quantizer().centre() } else { &[] };
                check_decoded(&store, (&rows, centre), &queries, 0.02);
            }
            for (nonzero, optimal) in [(None, false), (Some(dim / 3), false), (None, true)] {
                let params = TernaryParams { centred: true, nonzero, optimal, planes: 8 };
                let store = ternary(&rows, metric, &params);
                check_decoded(&store, (&rows, store.quantizer().centre()), &queries, 0.02);
            }
        }
    }
}

#[test]
fn the_optimal_number_of_places_is_nearest_in_angle() {
    let rows = floats(40, 30, 6);
    let cosines = |params: &TernaryParams| {
        let params = TernaryParams { centred: false, ..*params };
        let store = ternary(&rows, Metric::L2, &params);
        let mut decoded = vec![0.0; 30];
        (0..40)
            .map(|id| {
                store.quantizer().decode(store.code(id), &mut decoded);
                1.0 - distance(Metric::Cosine, rows.row(id as usize), &decoded)
            })
            .collect::<Vec<_>>()
    };
    let best = cosines(&TernaryParams { optimal: true, ..TernaryParams::default() });
    for nonzero in 1..=30 {
        let some = cosines(&TernaryParams { nonzero: Some(nonzero), ..TernaryParams::default() });
        assert!(best.iter().zip(&some).all(|(best, some)| *best >= some - 1e-6), "{nonzero}");
    }
}

#[test]
fn hostile_rows_give_finite_distances() {
    for shape in shapes::hostile(60, 9, 5) {
        let rows = &shape.base;
        for metric in METRICS.into_iter().filter(|metric| shape.metrics.contains(metric)) {
            let trained = Binary::train(rows.view(), metric, &BinaryParams::default());
            if let Some(zero) =
                rows.rows().position(|row| row.iter().all(|&x| x == 0.0)).filter(|_| metric == Metric::Cosine)
            {
                assert!(matches!(trained, Err(TrainError::Row(error)) if error.row == zero));
                continue;
            }
            let store = CodeStore::from_rows(trained.unwrap(), rows.view(), Par::Serial).unwrap();
            assert!(distances(&store, rows.row(0)).iter().all(|x| x.is_finite()), "{} {metric}", shape.name);
            let store = ternary(rows, metric, &TernaryParams::default());
            assert!(distances(&store, rows.row(0)).iter().all(|x| x.is_finite()), "{} {metric}", shape.name);
        }
    }
}

#[test]
fn truncated_rows_are_the_first_columns() {
    let (rows, query) = (floats(50, 20, 7), floats(1, 20, 8));
    for (metric, renormalise) in [(Metric::L2, false), (Metric::InnerProduct, true), (Metric::Cosine, true)] {
        let part = truncate(rows.view(), metric, 6, renormalise).unwrap();
        let sq = || Sq::train(part.view(), metric, &SqParams::default(), Par::Serial).unwrap();
        let truncated = Truncated::new(sq(), 20, renormalise).unwrap();
        let store = CodeStore::from_rows(truncated, rows.view(), Par::Serial).unwrap();
        let inner = CodeStore::from_rows(sq(), part.view(), Par::Serial).unwrap();
        let asked = truncate(query.view(), metric, 6, renormalise).unwrap();
        let (found, expected) = (distances(&store, query.row(0)), distances(&inner, asked.row(0)));
        assert!(found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-2), "{metric}: {found:?} {expected:?}");
    }
    let sq = Sq::train(rows.view(), Metric::L2, &SqParams::default(), Par::Serial).unwrap();
    assert!(Truncated::new(sq, 19, false).is_err());
}

#[test]
fn what_cannot_be_trained_is_refused() {
    let rows = floats(3, 2, 1);
    let message = |rows: &Matrix<f32>, metric| {
        Binary::train(rows.view(), metric, &BinaryParams::default()).map(|_| ()).unwrap_err().to_string()
    };
    assert_eq!(message(&rows, Metric::L1), "the metric l1 does not apply to binary codes");
    let mut broken = rows.clone();
    broken.as_mut_slice()[3] = f32::INFINITY;
    assert_eq!(message(&broken, Metric::L2), "row 1: column 1 is inf, expected a finite number");
    let empty = Matrix::new(Vec::new(), 2).unwrap();
    assert_eq!(message(&empty, Metric::L2), "0 rows to train on, at least 1 are needed");
}
