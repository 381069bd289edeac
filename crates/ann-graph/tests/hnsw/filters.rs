//! Filters: as many results as there are to find, all accepted, and nearly the nearest, however few are accepted.

use crate::support::{recall_of, store};
use ann_core::{All, Filter, FlatStore, Predicate, RowSet, Searcher, SortedIds, split_mix};
use ann_graph::{Hnsw, HnswSearch};
use ann_testkit::portable::{self, Portable};

const ROWS: u32 = 4_000;

fn data() -> (Portable, Hnsw<FlatStore<f32>>) {
    let set = portable::mix128(ROWS as usize, 60);
    let hnsw = Hnsw::builder().ef_construction(64).build(store(set.base.view(), set.metric)).unwrap();
    (set, hnsw)
}

#[test]
fn any_selectivity_keeps_recall_and_count() {
    let (set, hnsw) = data();
    for permille in [500, 100, 10, 1, 0] {
        let accepts = |id: u32| split_mix(3, u64::from(id)) % 1000 < permille;
        assert_eq!(permille == 0, (0..ROWS).all(|id| !accepts(id)));
        let recall = recall_of(&hnsw, set.queries.rows(), (10, 64), accepts);
        assert!(recall >= if permille == 0 { 0.0 } else { 0.95 }, "{permille}: {recall}");
    }
}

#[test]
fn accepted_rows_far_from_the_query_are_found() {
    // Only the farthest tenth is accepted: everything a walk meets first is not.
    let (set, hnsw) = data();
    let query = set.queries.row(0);
    let mut far: Vec<u32> =
        ann_testkit::nearest(set.base.view(), query, set.metric, ROWS as usize).iter().map(|n| n.0).collect();
    far.drain(..far.len() * 9 / 10);
    let nearest_of_far = far[..10].to_vec();
    far.sort_unstable();
    let filter = SortedIds::new(&far).unwrap();
    let mut searcher = Searcher::new(&hnsw, HnswSearch::ef(64));
    let found = searcher.search_filtered(query, 10, &filter).unwrap();
    assert!(found.iter().filter(|n| nearest_of_far.contains(&n.id)).count() >= 9, "{found:?} {nearest_of_far:?}");
}

#[test]
fn a_filter_that_goes_with_the_query_costs_what_none_does() {
    // The nearest twentieth of 20,000: a walk meets little else, and a scan of them is no cheaper.
    let set = portable::mix128(20_000, 40);
    let hnsw = Hnsw::builder().ef_construction(64).build(store::<f32>(set.base.view(), set.metric)).unwrap();
    let (mut compared, mut unfiltered, mut hits) = (0, 0, 0);
    let mut searcher = Searcher::new(&hnsw, HnswSearch::ef(24));
    for query in set.queries.rows() {
        let nearest = ann_testkit::nearest(set.base.view(), query, set.metric, 1_000);
        let near: RowSet = nearest.iter().map(|n| n.0).collect();
        searcher.search(query, 10).unwrap();
        unfiltered += searcher.stats().evaluations;
        let found = searcher.search_filtered(query, 10, &near).unwrap();
        hits += found.iter().filter(|n| nearest[..10].iter().any(|near| near.0 == n.id)).count();
        compared += searcher.stats().evaluations;
    }
    assert!(compared * 2 <= unfiltered * 3, "{compared} against {unfiltered}");
    assert!(hits >= 380, "{hits} of 400");
}

#[test]
fn one_accepted_row_is_the_result() {
    let (set, hnsw) = data();
    let mut searcher = Searcher::new(&hnsw, HnswSearch::ef(16));
    for row in (0..ROWS).step_by(211).chain(hnsw.hierarchy().entry()) {
        let found = searcher.search_filtered(set.queries.row(1), 10, &Predicate(|id| id == row)).unwrap();
        assert_eq!(found.iter().map(|n| n.id).collect::<Vec<_>>(), [row]);
    }
}

#[test]
fn a_filter_that_accepts_everything_finds_what_no_filter_finds() {
    let (set, hnsw) = data();
    let mut plain = Searcher::new(&hnsw, HnswSearch::ef(40));
    let mut filtered = Searcher::new(&hnsw, HnswSearch::ef(40));
    for query in set.queries.rows() {
        let found = filtered.search_filtered(query, 10, &Predicate(|_| true)).unwrap();
        assert_eq!(found, plain.search(query, 10).unwrap());
        assert_eq!(filtered.stats(), plain.stats());
    }
    assert!(All::passes_all() && !<Predicate<fn(u32) -> bool>>::passes_all());
}

#[test]
fn a_filter_between_searches_leaves_no_trace() {
    let (set, hnsw) = data();
    let mut searcher = Searcher::new(&hnsw, HnswSearch::ef(20));
    let query = set.queries.row(3);
    let before = searcher.search(query, 5).unwrap().to_vec();
    assert_eq!(searcher.search_filtered(query, 5, &Predicate(|_| false)).unwrap(), []);
    assert_eq!(searcher.search(query, 5).unwrap(), before);
}
