//! Walks on the upper halves of rows: what they find is what walks on whole rows find.

use crate::support::{recall, store, workload};
use ann_core::{Matrix, Metric, Predicate, Searcher, SplitStore, split_mix, unit};
use ann_graph::{Hnsw, HnswSearch};
use ann_testkit::portable;

/// The same graph over whole and over halved rows.
fn both(rows: &Matrix<f32>, metric: Metric) -> (Hnsw<ann_core::FlatStore<f32>>, Hnsw<SplitStore>) {
    let whole = Hnsw::builder().m(12).ef_construction(80).build(store::<f32>(rows.view(), metric)).unwrap();
    let halves =
        Hnsw::from_parts(whole.hierarchy().clone(), SplitStore::from_rows(rows.view(), metric).unwrap()).unwrap();
    (whole, halves)
}

#[test]
fn recall_is_that_of_whole_rows_and_distances_are_exact() {
    let set = portable::spec256(3_000, 50);
    let metric = set.metric;
    let (whole, halves) = both(&set.base, metric);
    let work = workload(set);
    for ef in [10, 40, 160] {
        let (found, expected) = (recall(&work, &halves, ef), recall(&work, &whole, ef));
        assert!(found >= expected - 0.01, "ef {ef}: {found}, on whole rows {expected}");
    }
    let mut searcher = Searcher::new(&halves, HnswSearch::ef(60));
    let mut exact = Searcher::new(&whole, HnswSearch::ef(3_000));
    for query in work.queries.rows() {
        let all = exact.search(query, 3_000).unwrap().to_vec();
        for neighbor in searcher.search(query, 10).unwrap() {
            assert!(all.contains(neighbor), "{neighbor:?} is not at its exact distance");
        }
        let stats = searcher.stats();
        assert!((10..=60).contains(&stats.refined), "{stats:?}");
    }
}

#[test]
fn rows_that_halves_cannot_tell_apart_are_found_as_on_whole_rows() {
    // Rounding moves such a row a hundred times farther than its neighbours are.
    let value = |i: u64| 1000.0 + 0.01 * unit(split_mix(3, i)) as f32;
    let rows = Matrix::new((0..800 * 40).map(value).collect(), 40).unwrap();
    let (whole, halves) = both(&rows, Metric::L2);
    let mut searchers = (Searcher::new(&whole, HnswSearch::ef(50)), Searcher::new(&halves, HnswSearch::ef(50)));
    for i in (0..800).step_by(7) {
        let expected = searchers.0.search(rows.row(i), 10).unwrap();
        assert_eq!(searchers.1.search(rows.row(i), 10).unwrap(), expected);
        assert_eq!(expected[0].id, i as u32);
        let filter = Predicate(|id| id % 5 == 2);
        let expected = searchers.0.search_filtered(rows.row(i), 10, &filter).unwrap();
        assert_eq!(searchers.1.search_filtered(rows.row(i), 10, &filter).unwrap(), expected);
    }
}

#[test]
fn an_index_of_halves_grows_and_counts() {
    let set = portable::spec256(600, 20);
    let mut halves = Hnsw::builder().m(8).build(SplitStore::new(256, set.metric).unwrap()).unwrap();
    for row in set.base.rows() {
        halves.insert(row).unwrap();
    }
    let mut searcher = Searcher::new(&halves, HnswSearch::ef(20));
    for (i, query) in set.queries.rows().enumerate() {
        let one_in = [1, 3, 50, 700][i % 4];
        let found = searcher.search_filtered(query, 15, &Predicate(|id| id % one_in == 0)).unwrap();
        assert_eq!(found.len(), 15.min(600_usize.div_ceil(one_in as usize)));
        assert!(found.is_sorted());
    }
    assert_eq!(searcher.search(set.base.row(77), 1).unwrap()[0].id, 77);
}
