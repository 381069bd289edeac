//! Data on which graphs have lost rows, looped or returned nonsense, and indexes of hardly any rows.

use crate::support::{check_reach, check_structure, lost, recall_of, store};
use ann_core::{Exact, FlatStore, Index, Matrix, Metric, Neighbor, Searcher, VectorError};
use ann_graph::{Hnsw, HnswSearch};
use ann_testkit::shapes::{self, Shape};

/// Every shape under each of its metrics as `(context, base, queries, metric)`; without zero rows under cosine, which a
/// store refuses.
fn cases() -> Vec<(String, Matrix<f32>, Matrix<f32>, Metric)> {
    let mut cases = Vec::new();
    for Shape { name, base, queries, metrics } in shapes::hostile(1_200, 12, 17) {
        for &metric in metrics {
            let [base, queries] = [&base, &queries].map(|rows| {
                let fits = |row: &&[f32]| metric != Metric::Cosine || row.iter().any(|&x| x != 0.0);
                Matrix::from_rows(&rows.rows().filter(fits).collect::<Vec<_>>()).unwrap()
            });
            cases.push((format!("{name} under {metric}"), base, queries, metric));
        }
    }
    cases
}

fn build(base: &Matrix<f32>, metric: Metric) -> Hnsw<FlatStore<f32>> {
    Hnsw::builder().m(8).ef_construction(64).build(store(base.view(), metric)).unwrap()
}

#[test]
fn structure_survives_every_shape() {
    let cases = cases();
    assert!(cases.len() > 35, "{}", cases.len());
    for (context, base, _, metric) in cases {
        let hnsw = build(&base, metric);
        check_structure(&hnsw, &context);
        // Under the inner product all rows of a line link to its end: what a search relies on is checked by loading.
        if context != "line under ip" {
            check_reach(&hnsw, &context);
        }
        #[cfg(feature = "persist")]
        loads_as_saved(&hnsw, &context);
    }
}

/// Loading checks, beside what is checked here, that links which are never pruned lead from the first row to every
/// other.
#[cfg(feature = "persist")]
fn loads_as_saved(hnsw: &Hnsw<FlatStore<f32>>, context: &str) {
    use crate::support::bytes;
    let saved = bytes(hnsw);
    let archive = ann_io::container::Archive::from_bytes(ann_core::simd::Buffer::from_slice(&saved)).unwrap();
    let loaded: Hnsw<FlatStore<f32>> = archive.load().unwrap_or_else(|error| panic!("{context}: {error}"));
    assert!(bytes(&loaded) == saved, "{context}: loaded and saved again, the file differs");
}

/// Rows of huge norm among small ones lie off every path: hnswlib 0.8.0 loses 4 or 5 of the 1,200 here (and 83 of those
/// with zero rows), same parameters.
#[test]
fn every_row_of_every_shape_finds_itself_or_a_copy() {
    for (context, base, _, metric) in cases() {
        // Under the inner product a row is seldom its own nearest.
        if metric != Metric::InnerProduct {
            let hnsw = Hnsw::builder().build(store::<f32>(base.view(), metric)).unwrap();
            let lost = lost(&hnsw, base.view(), 64);
            let most = if context == "heavy norms under l2" { 4 } else { 0 };
            assert!(lost.len() <= most, "{context}: {} rows, {lost:?}", lost.len());
        }
    }
}

#[test]
fn a_search_as_wide_as_the_index_is_exact() {
    for (context, base, queries, metric) in cases() {
        let (hnsw, exact) = (build(&base, metric), Exact::new(store::<f32>(base.view(), metric)));
        let mut all = Searcher::new(&hnsw, HnswSearch::ef(base.len()));
        let mut truth = Searcher::new(&exact, ());
        for query in queries.rows().take(20) {
            let (found, truth) = (all.search(query, 30).unwrap(), truth.search(query, 30).unwrap());
            assert_eq!(found, truth, "{context}");
        }
        let everything = all.search(queries.row(0), base.len()).unwrap();
        assert_eq!(everything, truth.search(queries.row(0), base.len()).unwrap(), "{context}");
    }
}

#[test]
fn recall_holds_on_every_shape() {
    for (context, base, queries, metric) in cases() {
        let recall = recall_of(&build(&base, metric), queries.rows(), (10, 128), |_| true);
        assert!(recall >= 0.975, "{context}: {recall}");
    }
}

#[test]
fn copies_do_not_hide_other_rows() {
    // 1,000 copies are more than any list or frontier here holds; what lies behind them must still be found.
    let base = shapes::duplicate_clusters(3_000, 12, 5).base;
    let mut rows: Vec<Vec<f32>> = base.rows().map(<[f32]>::to_vec).collect();
    for i in 0..60 {
        let mut near = base.row(1_000 * (i % 3)).to_vec();
        near[i % 12] += 0.01 + 0.001 * i as f32;
        rows.insert(i * 47, near);
    }
    let rows = Matrix::from_rows(&rows).unwrap();
    let hnsw = build(&rows, Metric::L2);
    check_structure(&hnsw, "copies with near rows between them");
    check_reach(&hnsw, "copies with near rows between them");
    assert_eq!(lost(&hnsw, rows.view(), 64), []);
}

#[test]
fn no_rows_answer_nothing() {
    let hnsw = Hnsw::builder().build(FlatStore::<f32>::new(3, Metric::L2).unwrap()).unwrap();
    check_structure(&hnsw, "no rows");
    assert!(hnsw.is_empty() && hnsw.hierarchy().entry().is_none());
    let mut searcher = Searcher::new(&hnsw, HnswSearch::default());
    assert_eq!(searcher.search(&[0.0; 3], 5).unwrap(), []);
    assert_eq!(searcher.search(&[0.0; 2], 5).unwrap_err(), VectorError::Dimension { expected: 3, found: 2 });
}

#[test]
fn one_row_and_two_rows_are_found() {
    let both = Matrix::from_rows(&[[0.0, 1.0], [3.0, 1.0]]).unwrap();
    for n in [1, 2] {
        let rows = both.view().slice(0..n);
        let hnsw = Hnsw::builder().build(store::<f32>(rows, Metric::L2)).unwrap();
        check_structure(&hnsw, "few rows");
        let mut searcher = Searcher::new(&hnsw, HnswSearch::ef(1));
        let expected = [Neighbor::new(0, 1.0), Neighbor::new(1, 4.0)];
        assert_eq!(searcher.search(&[1.0, 1.0], 7).unwrap(), &expected[..n]);
        assert_eq!(searcher.search(&[1.0, 1.0], 1).unwrap(), &expected[..1]);
        assert_eq!(searcher.search(&[1.0, 1.0], 0).unwrap(), []);
    }
}

#[test]
fn more_neighbors_than_rows_are_all_rows_and_ef_is_raised_to_k() {
    let base = shapes::uniform_cube(500, 6, 3).base;
    let hnsw = build(&base, Metric::L2);
    let mut searcher = Searcher::new(&hnsw, HnswSearch::ef(1));
    assert_eq!(searcher.search(base.row(0), usize::MAX).unwrap().len(), 500);
    assert_eq!(searcher.search(base.row(0), 120).unwrap().len(), 120);
    assert_eq!(searcher.search(base.row(0), 0).unwrap(), []);
    *searcher.params_mut() = HnswSearch::ef(usize::MAX);
    assert_eq!(searcher.search(base.row(9), 1).unwrap(), [Neighbor::new(9, 0.0)]);
}

#[test]
fn queries_that_do_not_fit_are_refused_and_do_no_harm() {
    let base = shapes::uniform_cube(100, 4, 3).base;
    let hnsw = build(&base, Metric::Cosine);
    let mut searcher = Searcher::new(&hnsw, HnswSearch::default());
    let before = searcher.search(base.row(7), 5).unwrap().to_vec();
    assert!(matches!(searcher.search(&[0.0, f32::NAN, 0.0, 0.0], 5), Err(VectorError::NonFinite { column: 1, .. })));
    assert_eq!(searcher.search(&[0.0; 4], 5), Err(VectorError::Zero));
    assert_eq!(searcher.search(base.row(7), 5).unwrap(), before);
}
