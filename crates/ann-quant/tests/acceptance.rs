//! What codes keep of the portable data, against what faiss 1.15.1 keeps of it: the squared error of decoded rows relative to
//! the variance, and the share of the true ten nearest among the ten nearest by code.
//!
//! `cargo test --release -p ann-quant --test acceptance -- --ignored --nocapture` prints what is found on the full sets.

#![allow(clippy::unwrap_used, clippy::print_stderr)] // helpers outside of test functions, too

use ann_core::Metric;
use ann_core::{DistanceOracle, Matrix, Neighbor, Par, ScratchPool, TopK, VectorStore};
use ann_quant::{
    Binary, BinaryParams, CodeStore, Quantizer, Sq, SqParams, SqRange, Ternary, TernaryParams, Truncated, truncate,
};
use ann_testkit::portable::{Portable, iso64, mix128, mrl256, spec256};

/// Rows and queries of the full sets, and of those that always run.
const FULL: [(usize, usize); 3] = [(50_000, 1000), (20_000, 1000), (50_000, 1000)];
const SMALL: [(usize, usize); 3] = [(3000, 50); 3];

fn sets(sizes: [(usize, usize); 3]) -> [Portable; 3] {
    let [mix, iso, spec] = sizes;
    [mix128(mix.0, mix.1), iso64(iso.0, iso.1), spec256(spec.0, spec.1)]
}

/// `Σ‖x - x̂‖² / Σ‖x - mean‖²`.
fn relative_error<Q: Quantizer>(store: &CodeStore<Q>, rows: &Matrix<f32>) -> f64 {
    let (mut lost, mut spread) = (0.0, 0.0);
    let mut mean = vec![0.0; rows.dim()];
    for row in rows.rows() {
        mean.iter_mut().zip(row).for_each(|(mean, &x)| *mean += f64::from(x) / rows.len() as f64);
    }
    let mut decoded = vec![0.0; rows.dim()];
    for (id, row) in rows.rows().enumerate() {
        store.quantizer().decode(store.code(id as u32), &mut decoded);
        lost += row.iter().zip(&decoded).map(|(&x, &y)| f64::from(x - y).powi(2)).sum::<f64>();
        spread += row.iter().zip(&mean).map(|(&x, &y)| (f64::from(x) - y).powi(2)).sum::<f64>();
    }
    lost / spread
}

/// Nearest rows of every query by the distances of a store.
fn nearest<S: VectorStore<Vector = [f32]>>(store: &S, queries: &Matrix<f32>, k: usize) -> Vec<Vec<Neighbor>> {
    let ids: Vec<u32> = (0..store.len() as u32).collect();
    let pool = ScratchPool::<(S::Scratch, Vec<f32>)>::default();
    let found = Par::Ambient.map_chunks(queries.len(), 8, &pool, |(scratch, distances), range| {
        let one = |query: usize| {
            distances.resize(ids.len(), 0.0);
            store.oracle(queries.row(query), scratch).distances(&ids, distances);
            let mut top = TopK::new(k);
            ids.iter().zip(&*distances).for_each(|(&id, &distance)| top.push(Neighbor::new(id, distance)));
            top.into_sorted()
        };
        range.map(one).collect::<Vec<_>>()
    });
    found.into_iter().flatten().collect()
}

/// Share of the true ten nearest among the nearest by code: among 10, 20, 50, 100, 200 and 500.
fn overlap<Q: Quantizer>(store: &CodeStore<Q>, set: &Portable) -> [f64; 6] {
    let whole = ann_core::FlatStore::<f32>::from_rows(set.base.view(), set.metric).unwrap();
    let truth = nearest(&whole, &set.queries, 10);
    let found = nearest(store, &set.queries, 500);
    [10, 20, 50, 100, 200, 500].map(|among| {
        let hits = truth.iter().zip(&found).map(|(truth, found)| {
            truth.iter().filter(|true_one| found[..among].iter().any(|n| n.id == true_one.id)).count()
        });
        hits.sum::<usize>() as f64 / (10 * truth.len()) as f64
    })
}

/// What faiss reaches, and how far below it may be.
struct Row {
    bits: usize,
    range: SqRange,
    /// `relMSE` at most, and 10@10 and 10@20 at least: mix128, iso64, spec256.
    error: [f64; 3],
    in_10: [f64; 3],
    in_20: [f64; 3],
}

/// faiss cuts values to codes below them and decodes into the middle; we round, so that errors are the same or less.
const SCALAR: [Row; 5] = [
    Row {
        bits: 8,
        range: SqRange::PerDimension,
        error: [9e-5, 9e-5, 9e-5],
        in_10: [0.9915, 0.9825, 0.989],
        in_20: [1.0; 3],
    },
    Row { bits: 6, range: SqRange::PerDimension, error: [0.0014; 3], in_10: [0.962, 0.930, 0.956], in_20: [1.0; 3] },
    Row {
        bits: 4,
        range: SqRange::PerDimension,
        error: [0.024; 3],
        in_10: [0.870, 0.746, 0.834],
        in_20: [0.9975, 0.9405, 0.987],
    },
    Row {
        bits: 8,
        range: SqRange::Uniform,
        error: [2.5e-4, 1.1e-4, 1.6e-4],
        in_10: [0.983, 0.977, 0.985],
        in_20: [1.0; 3],
    },
    Row {
        bits: 4,
        range: SqRange::Uniform,
        error: [0.072, 0.030, 0.040],
        in_10: [0.786, 0.702, 0.780],
        in_20: [0.0; 3],
    },
];

fn check_scalar(sizes: [(usize, usize); 3], slack: f64) {
    for (at, set) in sets(sizes).iter().enumerate() {
        for row in &SCALAR {
            let params = SqParams { bits: row.bits, range: row.range, ..SqParams::default() };
            let sq = Sq::train(set.base.view(), set.metric, &params, Par::Ambient).unwrap();
            let store = CodeStore::from_rows(sq, set.base.view(), Par::Ambient).unwrap();
            let (error, shares) = (relative_error(&store, &set.base), overlap(&store, set));
            let case = format!("{} SQ{} {:?}: error {error:.2e}, {shares:.4?}", set.name, row.bits, row.range);
            eprintln!("{case}; faiss {:.1e}, {} {}", row.error[at], row.in_10[at], row.in_20[at]);
            assert!(error <= row.error[at] * 1.05, "{case}");
            assert!(shares[0] >= row.in_10[at] - slack, "{case}");
            assert!(shares[1] >= row.in_20[at] - 0.5 * slack, "{case}");
        }
    }
}

#[test]
fn scalar_codes_rank_as_they_should_on_small_sets() {
    check_scalar(SMALL, 0.02);
}

#[test]
#[ignore = "the full sets take a minute in release"]
fn acceptance_of_scalar_codes() {
    // The draw of 1,000 queries alone is worth 0.004, that of 200 for some of the numbers of faiss 0.008.
    check_scalar(FULL, 0.01);
}

/// 10@10, 10@100 and 10@500 of codes of one or two bits, in numpy: mix128, iso64, spec256.
type Shares = [[f64; 3]; 3];

/// `slack` is how far below the numbers may be, where they are not near 1.
fn check_bits<Q: Quantizer>(
    name: &str,
    sizes: [(usize, usize); 3],
    expected: Shares,
    slack: f64,
    train: impl Fn(&Portable) -> Q,
) {
    for (set, expected) in sets(sizes).iter().zip(expected) {
        let store = CodeStore::from_rows(train(set), set.base.view(), Par::Ambient).unwrap();
        let shares = overlap(&store, set);
        let case = format!("{} {name}: {shares:.3?}, expected {expected:?}", set.name);
        eprintln!("{case}");
        for (found, expected) in [shares[0], shares[3], shares[5]].into_iter().zip(expected) {
            assert!(found >= expected - slack, "{case}");
        }
    }
}

fn check_signs(sizes: [(usize, usize); 3], slack: f64) {
    let binary =
        |params: BinaryParams| move |set: &Portable| Binary::train(set.base.view(), set.metric, &params).unwrap();
    let ternary =
        |params: TernaryParams| move |set: &Portable| Ternary::train(set.base.view(), set.metric, &params).unwrap();
    let bits = BinaryParams { centred: true, rotation: None, scaled: false, planes: 1 };
    let raw = [[0.380, 0.905, 0.989], [0.073, 0.277, 0.558], [0.172, 0.536, 0.836]];
    check_bits("sign raw, Hamming", sizes, raw, slack, binary(BinaryParams { centred: false, ..bits }));
    let centred = [[0.383, 0.903, 0.989], [0.072, 0.278, 0.557], [0.178, 0.553, 0.850]];
    check_bits("sign centred, Hamming", sizes, centred, slack, binary(bits));
    let rotated = [[0.379, 0.904, 0.991], [0.075, 0.274, 0.556], [0.244, 0.684, 0.933]];
    check_bits("sign rotated, Hamming", sizes, rotated, slack, binary(BinaryParams { rotation: Some(1), ..bits }));
    let float = [[0.486, 0.973, 1.0], [0.265, 0.728, 0.956], [0.442, 0.932, 0.997]];
    let numbers = BinaryParams { rotation: Some(1), scaled: true, planes: 8, ..bits };
    check_bits("query of 8 bits by signs", sizes, float, slack, binary(numbers));
    let three = [[0.477, 0.968, 0.998], [0.153, 0.501, 0.810], [0.402, 0.904, 0.996]];
    let places = TernaryParams { planes: 1, ..TernaryParams::default() };
    check_bits("ternary symmetric, half", sizes, three, slack, ternary(places));
    let fewer = [[0.422, 0.940, 0.995], [0.102, 0.375, 0.678], [0.333, 0.830, 0.984]];
    check_bits("ternary symmetric, a third", sizes, fewer, slack, |set| {
        let params = TernaryParams { nonzero: Some(set.base.dim() / 3), ..places };
        Ternary::train(set.base.view(), set.metric, &params).unwrap()
    });
}

#[test]
fn codes_of_few_bits_rank_as_they_should_on_small_sets() {
    check_signs(SMALL, 0.03);
}

#[test]
#[ignore = "the full sets take a minute in release"]
fn acceptance_of_codes_of_few_bits() {
    check_signs(FULL, 0.015);
}

/// What rows and queries have in common is known exactly, so that it costs nothing.
#[test]
fn products_of_rows_of_norm_1_rank_as_their_distances() {
    let set = spec256(2000, 20);
    for rotation in [None, Some(1)] {
        let params = BinaryParams { rotation, planes: 8, ..BinaryParams::default() };
        let distances = |metric| {
            let binary = Binary::train(set.base.view(), metric, &params).unwrap();
            let store = CodeStore::from_rows(binary, set.base.view(), Par::Ambient).unwrap();
            let (mut scratch, mut out) = (Default::default(), vec![0.0; 2000]);
            let scan = |query| {
                store.scan(query, &mut scratch, &mut out);
                out.clone()
            };
            set.queries.rows().flat_map(scan).collect::<Vec<f32>>()
        };
        let squared = distances(Metric::L2);
        for (metric, add) in [(Metric::Cosine, 0.0), (Metric::InnerProduct, 1.0)] {
            for (squared, x) in squared.iter().zip(distances(metric)) {
                assert!((squared / 2.0 - (add + x)).abs() < 1e-4, "{metric}: {squared} and {x}");
            }
        }
    }
}

/// Columns kept, and 10@10 and 10@20 of raw products, then of products of parts of norm 1.
const MATRYOSHKA: [(usize, [f64; 2], [f64; 2]); 3] =
    [(32, [0.535, 0.720], [0.519, 0.724]), (64, [0.767, 0.947], [0.762, 0.960]), (128, [0.904, 0.999], [0.900, 0.999])];

#[test]
#[ignore = "the full set takes a minute in release"]
fn acceptance_of_first_columns() {
    let set = mrl256(50_000, 1000);
    for (keep, raw, unit) in MATRYOSHKA {
        for (renormalise, expected) in [(false, raw), (true, unit)] {
            let part = truncate(set.base.view(), set.metric, keep, renormalise).unwrap();
            let sq = Sq::train(part.view(), Metric::InnerProduct, &SqParams::default(), Par::Ambient).unwrap();
            let truncated = Truncated::new(sq, 256, renormalise).unwrap();
            let shares = overlap(&CodeStore::from_rows(truncated, set.base.view(), Par::Ambient).unwrap(), &set);
            eprintln!("first {keep}, renormalised {renormalise}: {shares:.3?}, expected {expected:?}");
            assert!(
                shares.iter().zip(expected).all(|(found, expected)| *found >= expected - 0.015),
                "{keep}: {shares:?}"
            );
        }
    }
}
