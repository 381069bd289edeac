//! Filters: as many results as there are to find, all accepted, and nearly the nearest, however few are accepted.

use crate::support::{recall_of, search, store};
use ann_core::{Exact, Predicate, Route, Searcher, SortedIds, split_mix};
use ann_graph::{Deg, HnswSearch};
use ann_testkit::portable;

#[test]
fn any_selectivity_keeps_recall_and_count() {
    let set = portable::mix128(4_000, 60);
    let deg = Deg::builder().degree(20).build(store(set.base.view(), set.metric)).unwrap();
    for permille in [500, 100, 10, 1, 0] {
        let accepts = |id: u32| split_mix(3, u64::from(id)) % 1000 < permille;
        let recall = recall_of(&deg, set.queries.rows(), (10, 64), accepts);
        assert!(recall >= if permille == 0 { 0.0 } else { 0.95 }, "{permille}: {recall}");
    }
}

#[test]
fn every_route_leads_to_accepted_rows() {
    let set = portable::mix128(4_000, 30);
    let deg = Deg::builder().degree(20).build(store(set.base.view(), set.metric)).unwrap();
    let exact = Exact::new(store(set.base.view(), set.metric));
    let accepts = Predicate(|id: u32| split_mix(5, u64::from(id)) % 10 < 3);
    for route in [Route::Walk, Route::TwoHops, Route::Scan] {
        let (mut truth, mut hits) = (Searcher::new(&exact, ()), 0);
        let mut searcher = Searcher::new(&deg, HnswSearch { route: Some(route), ..HnswSearch::ef(64) });
        for query in set.queries.rows() {
            let truth = truth.search_filtered(query, 10, &accepts).unwrap();
            let found = searcher.search_filtered(query, 10, &accepts).unwrap();
            hits += found.iter().filter(|n| truth.contains(n)).count();
            assert_eq!(found.len(), 10);
            assert_eq!(searcher.stats().route, route);
        }
        assert!(hits >= 285, "{route:?}: {hits} of 300");
    }
}

#[test]
fn accepted_rows_that_lie_far_away_are_scanned() {
    let set = portable::mix128(4_000, 20);
    let deg = Deg::builder().degree(20).build(store(set.base.view(), set.metric)).unwrap();
    let mut searcher = Searcher::new(&deg, HnswSearch::ef(64));
    for query in set.queries.rows() {
        let mut far: Vec<u32> =
            ann_testkit::nearest(set.base.view(), query, set.metric, 4_000).iter().map(|n| n.0).collect();
        far.drain(..2_000);
        let mut nearest = far[..10].to_vec();
        far.sort_unstable();
        let filter = SortedIds::new(&far).unwrap();
        let mut found: Vec<u32> = searcher.search_filtered(query, 10, &filter).unwrap().iter().map(|n| n.id).collect();
        nearest.sort_unstable();
        found.sort_unstable();
        assert!(found.iter().filter(|id| nearest.contains(id)).count() >= 9, "{found:?} {nearest:?}");
    }
}

#[test]
fn a_filter_that_accepts_everything_finds_what_no_filter_finds() {
    let set = portable::mix128(2_000, 40);
    let deg = Deg::builder().degree(12).build(store(set.base.view(), set.metric)).unwrap();
    for params in [search(40, 0.0), search(10, 0.2)] {
        // So few rows might as well be scanned.
        let walk = HnswSearch { route: Some(Route::Walk), ..params };
        let (mut plain, mut filtered) = (Searcher::new(&deg, params), Searcher::new(&deg, walk));
        for query in set.queries.rows() {
            let found = filtered.search_filtered(query, 10, &Predicate(|_| true)).unwrap();
            assert_eq!(found, plain.search(query, 10).unwrap());
            assert_eq!(filtered.stats(), plain.stats());
        }
    }
}

#[test]
fn going_farther_finds_more_with_more_distances() {
    let set = portable::iso64(2_000, 100);
    let deg = Deg::builder().degree(12).build(store(set.base.view(), set.metric)).unwrap();
    let work = crate::support::workload(set);
    let curve = [0.0, 0.05, 0.1, 0.2, 0.4].map(|eps| crate::support::measure(&work, &deg, search(10, eps)));
    assert!(curve.is_sorted_by(|a, b| a.0 <= b.0 && a.1 < b.1), "{curve:?}");
    assert!(curve[0].0 < 0.7 && curve[4].0 > 0.99, "{curve:?}");
}
