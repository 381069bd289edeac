//! What every scheme must keep, and how its estimates are measured: shared by the tests of the schemes.

#![allow(clippy::unwrap_used)] // helpers outside of test functions, too

use crate::floats::product;
use crate::rotation::gauss;
use crate::{CodeStore, Quantizer, TrainError};
use ann_core::simd::Rows;
use ann_core::{DistanceOracle, Matrix, MatrixView, Metric, Par, PushVector, VectorError, VectorStore, prepare_dense};
use ann_testkit::portable::Portable;

/// How a scheme is trained.
pub(crate) trait Train<Q>: Fn(MatrixView<'_, f32>, Metric, Par) -> Result<Q, TrainError> {}

impl<Q, F: Fn(MatrixView<'_, f32>, Metric, Par) -> Result<Q, TrainError>> Train<Q> for F {}

/// Rows of `dim` columns with copies, a constant column and, where the metric has them, zeros.
pub(crate) fn rows(dim: usize, metric: Metric) -> Matrix<f32> {
    let mut data: Vec<f32> = (0..600 * dim as u64).map(|i| gauss(77, i) as f32).collect();
    data.chunks_exact_mut(dim).for_each(|row| row[dim / 2] = 0.75);
    data.copy_within(5 * dim..6 * dim, 9 * dim);
    if metric != Metric::Cosine {
        data[20 * dim..22 * dim].fill(0.0);
    }
    Matrix::new(data, dim).unwrap()
}

/// Everything that does not depend on how good the codes are.
pub(crate) fn check_laws<Q: Quantizer + Clone>(train: impl Train<Q>) {
    for metric in [Metric::L2, Metric::InnerProduct, Metric::Cosine] {
        for dim in [1, 3, 40, 64, 100, 200] {
            let rows = rows(dim, metric);
            let quantizer = train(rows.view(), metric, Par::Serial).unwrap();
            assert_eq!((quantizer.dim(), quantizer.metric()), (dim, metric));
            let store = CodeStore::from_rows(quantizer, rows.view(), Par::Serial).unwrap();
            for threads in [2, 8] {
                let quantizer = train(rows.view(), metric, Par::Threads(threads)).unwrap();
                let other = CodeStore::from_rows(quantizer, rows.view(), Par::Threads(threads)).unwrap();
                assert_eq!(store.padded_codes(), other.padded_codes(), "{metric} {dim}, {threads} threads");
            }
            assert_eq!(store.code(5), store.code(9), "{metric} {dim}: copies");
            check_doors(&store, rows.row(30));
            let mut vector = vec![f32::NAN; dim];
            for id in 0..rows.len() as u32 {
                store.quantizer().decode(store.code(id), &mut vector);
                assert!(vector.iter().all(|x| x.is_finite()), "{metric} {dim}: row {id} as {vector:?}");
            }
            check_refusals(&train, store);
        }
    }
    let same = Matrix::new(vec![0.25; 50 * 64], 64).unwrap();
    let store =
        CodeStore::from_rows(train(same.view(), Metric::L2, Par::Serial).unwrap(), same.view(), Par::Serial).unwrap();
    let (mut scratch, mut out) = (Default::default(), [f32::NAN; 50]);
    store.scan(same.row(0), &mut scratch, &mut out);
    assert_eq!(out, [0.0; 50], "rows that are all the same");
}

/// All ways to ask give the same finite values, whatever lies between codes and in whatever order.
fn check_doors<Q: Quantizer>(store: &CodeStore<Q>, query: &[f32]) {
    let (n, quantizer) = (store.len(), store.quantizer());
    let (mut scratch, mut scanned) = (Default::default(), vec![f32::NAN; n]);
    store.scan(query, &mut scratch, &mut scanned);
    assert!(scanned.iter().all(|x| x.is_finite()));
    let ids: Vec<u32> = (0..n as u32).rev().chain([3, 3, 3]).collect();
    let mut gathered = vec![f32::NAN; ids.len()];
    store.oracle(query, &mut scratch).distances(&ids, &mut gathered);
    assert!(ids.iter().zip(&gathered).all(|(&id, x)| x.to_bits() == scanned[id as usize].to_bits()));

    // Close together, behind one byte of something else.
    let len = quantizer.code_len();
    let mut codes = vec![0xa5; n * (len + 1)];
    for (id, code) in codes.chunks_exact_mut(len + 1).enumerate() {
        code[..len].copy_from_slice(store.code(id as u32));
    }
    let (mut row, mut prepared) = (Vec::new(), Q::Prepared::default());
    prepare_dense(query, quantizer.metric(), query.len(), &mut row);
    quantizer.prepare(&row, &mut prepared);
    quantizer.scan(&prepared, Rows::new(&codes, len, len + 1), &mut gathered[..n]);
    assert!(gathered.iter().zip(&scanned).all(|(a, b)| a.to_bits() == b.to_bits()));
    quantizer.gather(&prepared, Rows::new(&codes, len, len + 1), &[], &mut []);
}

/// What cannot be trained on or stored is refused by name.
fn check_refusals<Q: Quantizer>(train: &impl Train<Q>, mut store: CodeStore<Q>) {
    let (dim, metric) = (store.quantizer().dim(), store.quantizer().metric());
    let mut bad = vec![1.0; 3 * dim];
    bad[2 * dim - 1] = f32::NAN;
    let bad = Matrix::new(bad, dim).unwrap();
    assert!(matches!(train(bad.view(), metric, Par::Serial), Err(TrainError::Row(error)) if error.row == 1));
    assert_eq!(store.extend(bad.view(), Par::Serial).unwrap_err().row, 1);
    assert_eq!(store.len(), 600);
    assert_eq!(store.push(&vec![1.0; dim + 1]), Err(VectorError::Dimension { expected: dim, found: dim + 1 }));
    let none = Matrix::new(Vec::new(), dim).unwrap();
    assert!(matches!(train(none.view(), metric, Par::Serial), Err(TrainError::TooFew { .. })));
    let good = Matrix::new(vec![1.0; 3 * dim], dim).unwrap();
    assert!(matches!(train(good.view(), Metric::L1, Par::Serial), Err(TrainError::Metric { .. })));
}

/// How far estimates of squared distances are off, and whether they find what is near.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Measured {
    /// Mean of `|estimate - distance| / distance`.
    pub(crate) relative: f64,
    /// Mean of `estimate - distance` over the mean size of twice the inner product from the centre.
    pub(crate) bias: f64,
    /// Share of the ten nearest among the 10, 20, 50 and 100 best estimates.
    pub(crate) found: [f64; 4],
}

/// Measures a store of the base rows of `set` under `L2`.
pub(crate) fn measure<Q: Quantizer>(store: &CodeStore<Q>, set: &Portable) -> Measured {
    let n = store.len();
    let norms: Vec<f64> = set.base.rows().map(|row| product(row, row)).collect();
    let (mut scratch, mut estimates, mut exact) = (Default::default(), vec![0.0; n], vec![0.0; n]);
    let (mut measured, mut size) = (Measured::default(), 0.0);
    for query in set.queries.rows() {
        store.scan(query, &mut scratch, &mut estimates);
        let norm = product(query, query);
        for ((exact, row), size) in exact.iter_mut().zip(set.base.rows()).zip(&norms) {
            *exact = size + norm - 2.0 * product(query, row);
        }
        for (&estimate, &exact) in estimates.iter().zip(&exact) {
            let off = f64::from(estimate) - exact;
            measured.relative += off.abs() / exact;
            measured.bias += off;
            size += (norm - exact).abs();
        }
        let mut near: Vec<usize> = (0..n).collect();
        let (best, _, _) = near.select_nth_unstable_by(10, |&a, &b| exact[a].total_cmp(&exact[b]));
        let mut ranks: Vec<usize> = best
            .iter()
            .map(|&id| {
                let own = (estimates[id], id);
                estimates.iter().zip(0..).filter(|&(&other, at)| (other, at) < own).count()
            })
            .collect();
        ranks.sort_unstable();
        for (found, most) in measured.found.iter_mut().zip([10, 20, 50, 100]) {
            *found += ranks.iter().filter(|&&rank| rank < most).count() as f64 / 10.0;
        }
    }
    let queries = set.queries.len() as f64;
    measured.relative /= queries * n as f64;
    measured.bias /= size;
    measured.found = measured.found.map(|found| found / queries);
    measured
}

/// A line of an acceptance table, for those who run it.
#[allow(clippy::print_stderr)]
pub(crate) fn report(line: impl std::fmt::Display) {
    eprintln!("acceptance: {line}");
}

/// Vectors encoded per second, and nanoseconds per distance of a gather of 32 codes that lie in cache; on one thread.
pub(crate) fn speeds<Q: Quantizer>(name: &str, dim: usize, train: impl Train<Q>) {
    let rows = Matrix::new((0..1000 * dim as u64).map(|i| gauss(3, i) as f32).collect(), dim).unwrap();
    let quantizer = train(rows.view(), Metric::L2, Par::Serial).unwrap();
    let best = |f: &mut dyn FnMut()| {
        let run = |f: &mut dyn FnMut()| {
            let start = std::time::Instant::now();
            f();
            start.elapsed().as_secs_f64()
        };
        (0..9).map(|_| run(f)).fold(f64::INFINITY, f64::min)
    };
    let (mut scratch, mut code) = (Vec::new(), vec![0; quantizer.code_len()]);
    let encode = best(&mut || {
        for row in rows.rows().take(200) {
            quantizer.encode(std::hint::black_box(row), &mut scratch, &mut code);
        }
    });
    let store = CodeStore::from_rows(quantizer, rows.slice_to(64), Par::Serial).unwrap();
    let (mut prepared, mut out) = (Q::Prepared::default(), [0.0; 32]);
    let ids: [u32; 32] = std::array::from_fn(|i| (i * 37 % 64) as u32);
    let prepare = best(&mut || {
        for _ in 0..100 {
            store.quantizer().prepare(std::hint::black_box(rows.row(1)), &mut prepared);
        }
    });
    let gather = best(&mut || {
        for _ in 0..1000 {
            store.quantizer().gather(&prepared, store.rows(), std::hint::black_box(&ids), &mut out);
            std::hint::black_box(&mut out);
        }
    });
    report(format_args!(
        "{name} of {dim}: {:.0} vectors/s, query {:.0} ns, {:.1} ns per distance",
        200.0 / encode,
        prepare * 1e7,
        gather * 1e6 / 32.0
    ));
}

trait SliceTo {
    fn slice_to(&self, rows: usize) -> MatrixView<'_, f32>;
}

impl SliceTo for Matrix<f32> {
    fn slice_to(&self, rows: usize) -> MatrixView<'_, f32> {
        self.view().slice(0..rows)
    }
}
