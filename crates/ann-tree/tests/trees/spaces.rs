//! Rows of any type under true metrics, and the refusal of others.

use crate::support::{same, search};
use ann_core::distance::{BitHamming, Cosine, Dot, L1, Levenshtein, SetJaccard, SquaredL2, TrueMetric};
use ann_core::{
    All, Exact, FlatStore, Index, Metric, Monitor, Par, Reorder, Searcher, SpaceStore, VectorStore, split_mix,
};
use ann_tree::{BallTree, BuildError};
use std::borrow::Borrow;

fn check<S: VectorStore + Reorder + Clone>(store: S, queries: &[impl Borrow<S::Vector>], name: &str) -> f64 {
    let exact = Exact::new(store.clone());
    let tree = BallTree::build(store, Par::Serial, Monitor::new()).unwrap();
    let mut compared = 0;
    for query in queries {
        let expected = Searcher::new(&exact, ()).search(query.borrow(), 5).unwrap().to_vec();
        let (found, stats) = search(&tree, query.borrow(), 5, None, &All);
        assert!(same(&found, &expected), "{name}: {found:?}, {expected:?}");
        compared += stats.evaluations;
    }
    compared as f64 / queries.len() as f64 / exact.len() as f64
}

fn words(count: usize, seed: u64) -> Vec<String> {
    let letter = |i: usize, j: u64| (b'a' + (split_mix(seed, i as u64 * 16 + j) % 4) as u8) as char;
    (0..count).map(|i| (0..3 + split_mix(seed, i as u64) % 8).map(|j| letter(i, j)).collect()).collect()
}

#[test]
fn any_rows_are_found_exactly_under_true_metrics() {
    let share = check(SpaceStore::<str, _>::from_rows(words(2000, 1), Levenshtein).unwrap(), &words(40, 2), "words");
    assert!(share < 0.9, "compared {share} of all words");
    let bits =
        |count: u64, seed| (0..count).map(|i| vec![split_mix(seed, i), split_mix(seed + 1, i)]).collect::<Vec<_>>();
    check(SpaceStore::<[u64], _>::from_rows(bits(800, 1), BitHamming).unwrap(), &bits(20, 9), "bits");
    let sets = |count: u64, seed| {
        let set =
            |i| (0..40u32).filter(|&j| split_mix(seed, i * 40 + u64::from(j)).is_multiple_of(3)).collect::<Vec<_>>();
        (0..count).map(set).collect::<Vec<_>>()
    };
    check(SpaceStore::<[u32], _>::from_rows(sets(700, 1), SetJaccard).unwrap(), &sets(20, 9), "sets");
    let rows =
        |count: u64, seed| (0..count).map(|i| vec![(split_mix(seed, i) % 1000) as i32, i as i32]).collect::<Vec<_>>();
    check(SpaceStore::<[i32], _>::from_rows(rows(900, 1), L1).unwrap(), &rows(20, 4), "whole numbers");
    let hours = |a: &u16, b: &u16| f32::from(a.abs_diff(*b).min(1440 - a.abs_diff(*b)));
    let minutes = |count: u64, seed| (0..count).map(|i| (split_mix(seed, i) % 1440) as u16).collect::<Vec<_>>();
    let store = SpaceStore::<u16, _>::from_rows(minutes(5000, 1), TrueMetric(hours)).unwrap();
    let exact = Exact::new(SpaceStore::<u16, _>::from_rows(minutes(5000, 1), hours).unwrap());
    let tree = BallTree::build(store, Par::Serial, Monitor::new()).unwrap();
    for query in &minutes(50, 7) {
        let expected = Searcher::new(&exact, ()).search(query, 9).unwrap().to_vec();
        let (found, stats) = search(&tree, query, 9, None, &All);
        assert!(same(&found, &expected));
        assert!(stats.evaluations < 500, "{stats:?}");
    }
}

#[test]
fn what_keeps_no_triangle_inequality_is_refused() {
    fn refused<S: VectorStore + Reorder>(store: S) {
        let error = BallTree::build(store, Par::Serial, Monitor::new()).err();
        assert!(matches!(error, Some(BuildError::NoMetric { structure: "ball tree", .. })), "{error:?}");
    }
    let row = [vec![1.0f32, 2.0]];
    refused(SpaceStore::<[f32], _>::from_rows(row.clone(), SquaredL2).unwrap());
    refused(SpaceStore::<[f32], _>::from_rows(row.clone(), Dot).unwrap());
    refused(SpaceStore::<[f32], _>::from_rows(row.clone(), Cosine).unwrap());
    refused(SpaceStore::<[f32], _>::from_rows(row, |_: &[f32], _: &[f32]| 0.0).unwrap());
    refused(FlatStore::<f32>::new(2, Metric::InnerProduct).unwrap());
}
