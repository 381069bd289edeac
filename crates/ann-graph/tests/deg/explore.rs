//! Browsing: from a row to the rows around it.

use crate::support::{search, store, workload};
use ann_core::{Index, Metric};
use ann_graph::{Deg, DegScratch, NoSuchRow};
use ann_testkit::portable;

/// deglib 0.2.6 (`explore(row, 50, budget, 0.0, False)` on its own graph of these rows, `LowLID`, `extend_k` 60) finds .743, .880,
/// .962 and .993 of the true 50 nearest others.
#[test]
fn a_budget_of_distances_finds_the_rows_around() {
    let set = portable::mix128(8_000, 1);
    let deg = Deg::builder().degree(30).build(store(set.base.view(), set.metric)).unwrap();
    let exact = ann_core::Exact::new(store(set.base.view(), set.metric));
    let mut truth = ann_core::Searcher::new(&exact, ());
    let (mut scratch, mut found) = (DegScratch::default(), Vec::new());
    for (budget, expected) in [(100, 0.743), (200, 0.880), (400, 0.962), (800, 0.993)] {
        let mut hits = 0u32;
        for row in (0..8_000).step_by(40) {
            let mut near = truth.search(set.base.row(row as usize), 51).unwrap().to_vec();
            near.retain(|n| n.id != row);
            let stats = deg.explore(row, 50, budget, &mut scratch, &mut found).unwrap();
            assert!(stats.evaluations <= budget && found.len() <= 50 && found.is_sorted());
            hits += found.iter().filter(|n| **n <= near[49]).count() as u32;
        }
        let recall = f64::from(hits) / (200.0 * 50.0);
        assert!((recall - expected).abs() < 0.02, "{budget}: {recall}, expected {expected}");
    }
}

#[test]
fn without_a_budget_few_rows_are_all_found() {
    let work = workload(portable::iso64(120, 1));
    let deg = Deg::builder().degree(6).build(store(work.base.view(), Metric::L2)).unwrap();
    let (mut scratch, mut found) = (DegScratch::default(), Vec::new());
    for (k, expected) in [(0, 0), (1, 1), (119, 119), (usize::MAX, 119)] {
        deg.explore(7, k, u64::MAX, &mut scratch, &mut found).unwrap();
        assert!(found.len() == expected && found.iter().all(|n| n.id != 7), "{k}: {found:?}");
    }
    deg.explore(7, 5, 0, &mut scratch, &mut found).unwrap();
    assert_eq!(found, []);
}

#[test]
fn a_budget_leaves_no_trace_in_the_scratch() {
    let set = portable::iso64(500, 20);
    let deg = Deg::builder().degree(8).build(store(set.base.view(), set.metric)).unwrap();
    let (mut scratch, mut found) = (DegScratch::default(), Vec::new());
    let params = search(40, 0.1);
    let search = |scratch: &mut _| {
        let mut out = Vec::new();
        let stats = deg.search_with(set.queries.row(3), 10, &params, &ann_core::Predicate(|_| true), scratch, &mut out);
        (out, stats.unwrap())
    };
    let before = search(&mut scratch);
    deg.explore(9, 10, 12, &mut scratch, &mut found).unwrap();
    assert_eq!(search(&mut scratch), before);
}

#[test]
fn a_row_that_does_not_exist_is_an_error() {
    let deg = Deg::builder().build(store(portable::iso64(9, 1).base.view(), Metric::L2)).unwrap();
    let mut found = vec![ann_core::Neighbor::new(1, 1.0)];
    let outcome = deg.explore(9, 5, 100, &mut DegScratch::default(), &mut found);
    assert_eq!(outcome, Err(NoSuchRow { row: 9, len: 9 }));
    assert_eq!(outcome.unwrap_err().to_string(), "there is no row 9, expected one of 9");
    assert_eq!(found, []);
}
