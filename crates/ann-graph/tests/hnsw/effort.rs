//! How far a walk goes: reach, limits, routes to what a filter accepts, and walks that begin at a row.

use crate::support::store;
use ann_core::{
    All, Exact, Filter, FlatStore, Index, Limits, Matrix, Metric, Predicate, Reach, Route, RowSet, Searcher,
    SplitStore, split_mix, unit,
};
use ann_graph::{Hnsw, HnswScratch, HnswSearch};
use ann_testkit::portable::{self, Portable};
use std::time::{Duration, Instant};

fn data(n: usize) -> (Portable, Hnsw<FlatStore<f32>>) {
    let set = portable::mix128(n, 60);
    let hnsw = Hnsw::builder().ef_construction(64).build(store::<f32>(set.base.view(), set.metric)).unwrap();
    (set, hnsw)
}

/// Rows, mean recall at 10 and distances of all queries.
fn measured(set: &Portable, hnsw: &Hnsw<FlatStore<f32>>, params: HnswSearch) -> (f64, u64) {
    let exact = Exact::new(hnsw.store().clone());
    let (mut truth, mut searcher) = (Searcher::new(&exact, ()), Searcher::new(hnsw, params));
    let (mut hits, mut evaluations) = (0, 0);
    for query in set.queries.rows() {
        let truth = truth.search(query, 10).unwrap();
        let found = searcher.search(query, 10).unwrap();
        assert_eq!(found.len(), 10);
        hits += found.iter().filter(|n| truth.contains(n)).count();
        evaluations += searcher.stats().evaluations;
    }
    (hits as f64 / (10 * set.queries.len()) as f64, evaluations)
}

#[test]
fn a_larger_reach_costs_more_and_finds_more() {
    let (set, hnsw) = data(8_000);
    let at = |factor| {
        let reach = Some(Reach { factor, offset: 0.0 });
        measured(&set, &hnsw, HnswSearch { reach, ..HnswSearch::ef(1_000) })
    };
    let all = [0.5, 0.9, 1.0, 1.1, 1.3, 1.6].map(at);
    assert!(all.windows(2).all(|pair| pair[0].1 < pair[1].1 && pair[0].0 <= pair[1].0 + 0.002), "{all:?}");
    assert!(all[0].0 < 0.9 && all[5].0 > 0.999, "{all:?}");
    // What is beyond any reach is not beyond `ef`.
    let wide =
        measured(&set, &hnsw, HnswSearch { reach: Some(Reach { factor: 1e9, offset: 0.0 }), ..HnswSearch::ef(20) });
    assert_eq!(wide, measured(&set, &hnsw, HnswSearch::ef(20)));
}

#[test]
fn products_have_a_reach_by_their_offset() {
    let set = portable::spec256(6_000, 40);
    assert_eq!(set.metric, Metric::InnerProduct);
    let hnsw = Hnsw::builder().build(store::<f32>(set.base.view(), set.metric)).unwrap();
    let norm = |row: &[f32]| row.iter().map(|x| x * x).sum::<f32>();
    let largest = set.base.rows().map(norm).fold(0.0, f32::max);
    let mut searcher = Searcher::new(&hnsw, HnswSearch::default());
    let mut costs = Vec::new();
    for factor in [1.0, 1.05, 1.2] {
        let mut cost = 0;
        for query in set.queries.rows() {
            let offset = 0.5 * (largest + norm(query));
            *searcher.params_mut() = HnswSearch { reach: Some(Reach { factor, offset }), ..HnswSearch::ef(1_000) };
            assert_eq!(searcher.search(query, 10).unwrap().len(), 10);
            cost += searcher.stats().evaluations;
        }
        costs.push(cost);
    }
    assert!(costs[0] * 5 < costs[1] * 4 && costs[1] < costs[2], "{costs:?}");
}

#[test]
fn limits_end_a_search_with_the_best_so_far() {
    let (set, hnsw) = data(8_000);
    let query = set.queries.row(0);
    let mut searcher = Searcher::new(&hnsw, HnswSearch::ef(400));
    let whole = searcher.search(query, 10).unwrap().to_vec();
    let all = searcher.stats();
    assert!(!all.cut_short);
    for evaluations in [1, 100, 400] {
        searcher.params_mut().limits = Limits { evaluations: Some(evaluations), deadline: None };
        let found = searcher.search(query, 10).unwrap();
        assert!(found.len() <= 10 && found.is_sorted() && found >= &whole[..found.len()]);
        // A hop takes up to three nodes of at most 32 links.
        let cost = searcher.stats();
        assert!(cost.cut_short && cost.evaluations <= evaluations + 96, "{evaluations}: {cost:?}");
    }
    searcher.params_mut().limits = Limits { evaluations: None, deadline: Some(Instant::now()) };
    searcher.search(query, 10).unwrap();
    assert!(searcher.stats().cut_short && searcher.stats().evaluations < 400);
    searcher.params_mut().limits =
        Limits { evaluations: Some(1 << 40), deadline: Some(Instant::now() + Duration::from_secs(3_600)) };
    assert_eq!(searcher.search(query, 10).unwrap(), whole);
    assert_eq!(searcher.stats(), all);
}

/// Estimates that cannot tell rows apart make a walk start again on exact distances, but not once a limit has ended it: that would throw away what was found.
#[test]
fn a_limit_on_estimates_keeps_what_was_found() {
    // Rows crowd together so far from the origin that half of their bits say nothing.
    let rows: Vec<[f32; 96]> =
        (0..2_000u64).map(|i| std::array::from_fn(|j| 1e4 + unit(split_mix(8, 96 * i + j as u64)) as f32)).collect();
    let rows = Matrix::from_rows(&rows).unwrap();
    let hnsw = Hnsw::builder().m(8).build(SplitStore::from_rows(rows.view(), Metric::L2).unwrap()).unwrap();
    let mut searcher = Searcher::new(&hnsw, HnswSearch::ef(20));
    // Only exact distances lead to one row of these.
    let whole = searcher.search(rows.row(5), 10).unwrap();
    assert!(whole.len() == 10 && whole[0].id == 5, "not walked again: {whole:?}");
    for evaluations in (100..400).step_by(25) {
        searcher.params_mut().limits = Limits { evaluations: Some(evaluations), deadline: None };
        let found = searcher.search(rows.row(5), 10).unwrap().len();
        assert_eq!(found, 10, "{evaluations}: {:?}", searcher.stats());
    }
}

#[test]
fn limits_hold_on_every_route() {
    let (set, hnsw) = data(8_000);
    for route in [Route::Walk, Route::TwoHops, Route::Scan] {
        let limits = Limits { evaluations: Some(300), deadline: None };
        let mut searcher = Searcher::new(&hnsw, HnswSearch { limits, route: Some(route), ..HnswSearch::ef(200) });
        searcher.search_filtered(set.queries.row(0), 10, &Predicate(|id| id % 3 == 0)).unwrap();
        let cost = searcher.stats();
        assert!(cost.cut_short && cost.route == route && (300..1_400).contains(&cost.evaluations), "{cost:?}");
    }
}

/// Every route to the rows that a filter accepts gives as many as there are; which was taken is told.
#[test]
fn routes_differ_in_cost_and_not_in_count() {
    let (set, hnsw) = data(8_000);
    let accepts = |permille: u64| move |id: u32| split_mix(9, u64::from(id)) % 1000 < permille;
    for permille in [0, 1, 10, 100, 500, 1000] {
        let matches: RowSet = Predicate(accepts(permille)).among(0..8_000).collect();
        for route in [Route::Walk, Route::TwoHops, Route::Scan] {
            let mut searcher = Searcher::new(&hnsw, HnswSearch { route: Some(route), ..HnswSearch::ef(100) });
            for query in set.queries.rows().take(10) {
                let found = searcher.search_filtered(query, 10, &Predicate(accepts(permille))).unwrap().to_vec();
                assert_eq!(found.len(), matches.len().min(10), "{permille} {route:?}");
                assert!(found.iter().all(|n| matches.accepts(n.id)) && found.is_sorted(), "{permille} {route:?}");
                // Whether rows are asked one by one or known makes no difference.
                assert_eq!(searcher.search_filtered(query, 10, &matches).unwrap(), found, "{permille} {route:?}");
                let took = searcher.stats().route;
                assert!(
                    took == route || (route == Route::TwoHops && took == Route::Scan),
                    "{permille} {route:?} {took:?}"
                );
            }
        }
    }
}

/// Two hops compute no distance to rows that are not accepted, and still find what is near.
#[test]
fn two_hops_cost_less_than_a_walk_and_lose_little() {
    let (set, hnsw) = data(20_000);
    let filter = Predicate(|id| split_mix(9, u64::from(id)).is_multiple_of(10));
    let exact = Exact::new(hnsw.store().clone());
    let mut truth = Searcher::new(&exact, ());
    let mut costs = Vec::new();
    for route in [Route::Walk, Route::TwoHops] {
        let mut searcher = Searcher::new(&hnsw, HnswSearch { route: Some(route), ..HnswSearch::ef(40) });
        let (mut hits, mut cost) = (0, 0);
        for query in set.queries.rows() {
            let truth = truth.search_filtered(query, 10, &filter).unwrap();
            let found = searcher.search_filtered(query, 10, &filter).unwrap();
            hits += found.iter().filter(|n| truth.contains(n)).count();
            cost += searcher.stats().evaluations;
        }
        // algorithms of the paper reach .999 at this ef and share.
        assert!(hits as f64 >= 0.985 * 600.0, "{route:?}: {hits}");
        costs.push(cost);
    }
    assert!(2 * costs[1] < costs[0], "{costs:?}");
}

/// Accepted rows that all lie far from the query: a walk that has cost more than a scan would gives up, and what is returned is exact.
#[test]
fn a_walk_on_a_wrong_track_gives_way_to_a_scan() {
    let value = |i: u64| unit(split_mix(4, i)) as f32;
    // Two clouds; the second is accepted, the queries are in the first.
    let far = |i: u64, j: usize| if j == 0 && i >= 6_600 { 100.0 } else { 0.0 };
    let rows: Vec<[f32; 8]> =
        (0..12_000u64).map(|i| std::array::from_fn(|j| value(8 * i + j as u64) + far(i, j))).collect();
    let rows = Matrix::from_rows(&rows).unwrap();
    let hnsw = Hnsw::builder().m(8).ef_construction(64).build(store::<f32>(rows.view(), Metric::L2)).unwrap();
    let filter = 6_600..12_000;
    let exact = Exact::new(hnsw.store().clone());
    let (mut truth, mut searcher) = (Searcher::new(&exact, ()), Searcher::new(&hnsw, HnswSearch::ef(16)));
    for query in rows.rows().take(20) {
        let truth = truth.search_filtered(query, 10, &filter).unwrap();
        assert_eq!(searcher.search_filtered(query, 10, &filter).unwrap(), truth);
        let cost = searcher.stats();
        assert!(cost.route == Route::Scan && cost.hops > 0 && !cost.cut_short, "{cost:?}");
        assert!(cost.evaluations < 2 * 5_600, "{cost:?}");
    }
}

#[test]
fn a_search_from_a_row_finds_its_neighbours() {
    let (_, hnsw) = data(8_000);
    let exact = Exact::new(hnsw.store().clone());
    let mut truth = Searcher::new(&exact, ());
    let (mut scratch, mut found) = (HnswScratch::default(), Vec::new());
    let (mut hits, mut from_row, mut from_entry) = (0, 0, 0);
    for row in (0..8_000u32).step_by(200) {
        let query = hnsw.store().row(row).to_vec();
        let truth = truth.search(&query[..128], 10).unwrap();
        from_row += hnsw.search_row(row, 10, &HnswSearch::ef(40), &All, &mut scratch, &mut found).evaluations;
        assert_eq!((found[0].id, found.len()), (row, 10));
        hits += found.iter().filter(|n| truth.contains(n)).count();
        from_entry += hnsw
            .search_with(&query[..128], 10, &HnswSearch::ef(40), &All, &mut scratch, &mut found)
            .unwrap()
            .evaluations;
        let odd = Predicate(|id| id % 2 == 1);
        hnsw.search_row(row, 10, &HnswSearch::ef(40), &odd, &mut scratch, &mut found);
        assert!(found.len() == 10 && found.iter().all(|n| n.id % 2 == 1));
    }
    assert!(hits >= 390, "{hits}");
    assert!(from_row < from_entry, "{from_row} {from_entry}");
}
