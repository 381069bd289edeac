//! How hard an index looks: target recall, limits, pages, rows like a row, selections.

#![cfg(all(feature = "graph", feature = "quant", feature = "io"))]
#![allow(clippy::unwrap_used)] // helpers outside of test functions, too

use ann::core::{split_mix, unit};
use ann::prelude::*;
use ann::{Error, LabelError, Limits, Route};
use std::collections::BTreeSet;

fn rows(n: usize, dim: usize, seed: u64) -> Matrix<f32> {
    // Sums of uniform numbers around ten centres, some of them long: near and far rows under every metric.
    let value = |i: usize| (0..4).map(|j| unit(split_mix(seed, (4 * i + j) as u64)) as f32 - 0.5).sum::<f32>();
    let centre = |row: usize, j: usize| unit(split_mix(77, (row % 10 * dim + j) as u64)) as f32 * 1.5;
    Matrix::new((0..n * dim).map(|i| value(i) + centre(i / dim, i % dim)).collect(), dim).unwrap()
}

fn labels(found: &[Hit]) -> Vec<u64> {
    found.iter().map(|hit| hit.label).collect()
}

fn recall(index: &Index, exact: &Index, queries: &Matrix<f32>, k: usize, params: &SearchParams) -> f64 {
    let found = index.search_batch(queries, k, params, Par::Ambient).unwrap();
    let truth = exact.search_batch(queries, k, &SearchParams::default(), Par::Ambient).unwrap();
    let hits = |(found, truth): (&Vec<Hit>, &Vec<Hit>)| {
        let truth: BTreeSet<u64> = labels(truth).into_iter().collect();
        found.iter().filter(|hit| truth.contains(&hit.label)).count()
    };
    found.iter().zip(&truth).map(hits).sum::<usize>() as f64 / (k * queries.len()) as f64
}

/// Queries that calibration has not seen get the recall that was named, on rows, on codes and on blocks, whatever the metric, for numbers of results
/// between those that were measured; and more recall costs more.
#[test]
fn a_target_recall_is_reached_on_queries_not_seen_before() {
    for (spec, metric) in [
        ("HNSW8", Metric::L2),
        ("HNSW8,Block2", Metric::L2),
        ("Vamana16,SQ8,Refine(Flat)", Metric::Cosine),
        ("NSW8", Metric::InnerProduct),
        ("DEG16", Metric::L2),
        ("IVF32,Flat", Metric::InnerProduct),
        ("IVF32,RaBitQ2,RFlat", Metric::Cosine),
    ] {
        let (base, learn, test) = (rows(3_000, 16, 1), rows(400, 16, 2), rows(400, 16, 3));
        let mut index = ann::index_factory(spec, &base, metric).unwrap();
        let exact = ann::index_factory("Flat", &base, metric).unwrap();
        index.calibrate(&learn, Par::Ambient).unwrap();
        for k in [10, 25] {
            let mut costs = Vec::new();
            for target in [0.85, 0.95] {
                let params = SearchParams::target_recall(target);
                let reached = recall(&index, &exact, &test, k, &params);
                assert!(reached >= target - 0.005, "{spec}@{metric} {k}: {reached}, expected {target}");
                let mut searcher = index.searcher();
                costs.push(
                    test.rows()
                        .map(|query| {
                            searcher.search(query, k, &params).unwrap();
                            searcher.stats().evaluations
                        })
                        .sum::<u64>(),
                );
            }
            assert!(costs.is_sorted(), "{spec}@{metric} {k}: {costs:?}");
        }
        let reachable = index.calibration().unwrap().reachable(10);
        assert!((0.97..1.0).contains(&reachable), "{spec}@{metric}: {reachable}");
        let error = index.search_with(test.row(0), 10, &SearchParams::target_recall(0.99999)).unwrap_err();
        assert!(matches!(error, Error::OutOfReach { k: 10, .. }), "{error}");
    }
}

#[test]
fn a_calibration_stays_with_the_index() {
    let (base, learn) = (rows(3_000, 8, 1), rows(300, 8, 2));
    let mut index = ann::index_factory("HNSW8", &base, Metric::L2).unwrap();
    let target = SearchParams::target_recall(0.9);
    let error = index.search_with(learn.row(0), 5, &target).unwrap_err();
    assert!(error.to_string().contains("calibrate"), "{error}");
    index.calibrate(&learn, Par::Serial).unwrap();
    let one = index.calibration().cloned();
    index.calibrate(&learn, Par::Threads(3)).unwrap();
    assert_eq!(one.as_ref(), index.calibration(), "threads made a difference");

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("calibrated.ann");
    index.save(&path).unwrap();
    let opened = ann::open(&path).unwrap();
    assert_eq!(opened.calibration(), index.calibration());
    for query in learn.rows().take(20) {
        assert_eq!(opened.search_with(query, 5, &target).unwrap(), index.search_with(query, 5, &target).unwrap());
    }

    index.remove(&(0..500).collect::<Vec<_>>()).unwrap();
    assert_eq!(index.search_with(learn.row(0), 5, &target).unwrap().len(), 5);
    index.compact(Par::Ambient).unwrap();
    assert_eq!(index.search_with(learn.row(0), 5, &target).unwrap().len(), 5);
    assert!(index.calibrate(&rows(5, 7, 2), Par::Serial).is_err());
    assert_eq!(index.calibration(), opened.calibration());
}

/// Exact indexes reach any recall without being told how; trees also where the caller names a budget beside it.
#[test]
fn what_is_exact_needs_no_calibration() {
    let (base, test) = (rows(2_000, 6, 1), rows(50, 6, 3));
    let exact = ann::index_factory("Flat", &base, Metric::L2).unwrap();
    for spec in ["Flat", "KDTree", "BallTree"] {
        let index = ann::index_factory(spec, &base, Metric::L2).unwrap();
        let params = SearchParams { checks: Some(1), ..SearchParams::target_recall(0.999) };
        assert_eq!(recall(&index, &exact, &test, 10, &params), 1.0, "{spec}");
    }
}

#[test]
fn what_cannot_be_calibrated_is_said() {
    let (base, learn) = (rows(500, 8, 1), rows(50, 8, 2));
    let mut codes = ann::index_factory("HNSW8,SQ8", &base, Metric::L2).unwrap();
    assert!(matches!(codes.calibrate(&learn, Par::Serial), Err(Error::RowsGone { .. })));
    let mut index = ann::index_factory("HNSW8", &base, Metric::L2).unwrap();
    assert!(matches!(index.calibrate(&Matrix::new(vec![], 8).unwrap(), Par::Serial), Err(Error::Calibration { .. })));
    for target in [0.0, 1.0, -1.0, f64::NAN] {
        let error = index.search_with(learn.row(0), 1, &SearchParams::target_recall(target)).unwrap_err();
        assert!(matches!(error, Error::Target { .. }), "{error}");
    }
    // Exact search reaches any recall untold.
    let exact = ann::index_factory("Flat", &base, Metric::L2).unwrap();
    assert_eq!(exact.search_with(learn.row(0), 3, &SearchParams::target_recall(0.999)).unwrap().len(), 3);
}

/// Fewer rows than queries, one row, all rows the same: nothing to learn, and nothing that breaks.
#[test]
fn small_and_equal_rows_are_calibrated_too() {
    for base in [rows(1, 4, 1), rows(7, 4, 1), Matrix::new(vec![0.5; 4 * 300], 4).unwrap()] {
        let mut index = ann::index_factory("HNSW8", &base, Metric::L2).unwrap();
        index.calibrate(&rows(200, 4, 2), Par::Ambient).unwrap();
        let found = index.search_with(&[0.1; 4], 10, &SearchParams::target_recall(0.9)).unwrap();
        assert_eq!(found.len(), base.len().min(10));
    }
}

#[test]
fn limits_are_told_and_pages_hold_every_row_once() {
    let base = rows(3_000, 12, 4);
    for spec in ["Flat", "HNSW8", "HNSW8,Block2"] {
        let mut index = ann::index_factory(spec, &base, Metric::L2).unwrap();
        index.remove(&(0..100).collect::<Vec<_>>()).unwrap();
        let query = base.row(5);
        let odd = |label: u64| label % 2 == 1;
        type Filter<'a> = Option<&'a (dyn Fn(u64) -> bool + Sync)>;
        let filters: [(usize, Filter<'_>); 2] = [(2_900, None), (1_450, Some(&odd))];
        for (expected, filter) in filters {
            let mut pages = index.pages(query, &SearchParams::default(), filter);
            let (mut all, mut sizes) = (Vec::new(), [3, 50, 1, 700].into_iter().cycle());
            loop {
                let page = pages.next_page(sizes.next().unwrap()).unwrap();
                if page.is_empty() {
                    break;
                }
                assert!(page.is_sorted_by(|a, b| a.distance <= b.distance), "{spec}");
                all.extend(labels(&page));
            }
            assert_eq!(all.len(), expected, "{spec}");
            assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), expected, "{spec}: a row came twice");
            assert!(all.iter().all(|&label| label >= 100 && filter.is_none_or(|filter| filter(label))), "{spec}");
        }
        if spec != "Flat" {
            let limits = Limits { evaluations: Some(40), deadline: None };
            let mut searcher = index.searcher();
            searcher.search(query, 10, &SearchParams { limits, ..SearchParams::effort(300) }).unwrap();
            assert!(searcher.stats().cut_short, "{spec}");
        }
    }
}

#[test]
fn rows_like_a_row_are_its_nearest_without_itself() {
    let base = rows(2_000, 10, 6);
    let named: Vec<u64> = (0..2_000).map(|i| 10_000 + i).collect();
    for spec in [
        "Flat",
        "SQ8",
        "HNSW8",
        "DEG12",
        "HNSW8,Block2",
        "NSW8,SQ8,Refine(Flat)",
        "KDTree",
        "RPForest8",
        "KMeansTree16",
    ] {
        for metric in [Metric::L2, Metric::Cosine, Metric::InnerProduct] {
            let options = BuildOptions { metric, labels: Some(&named), ..BuildOptions::default() };
            let mut index = spec.parse::<Spec>().unwrap().build(&base, &options).unwrap();
            index.remove(&[10_001]).unwrap();
            // A tree compares every row here, as looking for rows like a row does.
            let params = SearchParams { checks: Some(2_000), ..SearchParams::effort(200) };
            for row in (0..2_000).step_by(331) {
                let label = 10_000 + row as u64;
                let found = labels(&index.search_like(label, 10, &params).unwrap());
                assert!(found.len() == 10 && !found.contains(&label) && !found.contains(&10_001), "{spec} {metric}");
                let mut near = labels(&index.search_with(base.row(row), 12, &params).unwrap());
                near.retain(|&other| other != label);
                let same = found.iter().filter(|label| near.contains(label)).count();
                assert!(same >= if spec == "SQ8" { 8 } else { 9 }, "{spec} {metric}: {found:?} {near:?}");
            }
            let error = index.search_like(10_001, 3, &SearchParams::default()).unwrap_err();
            assert!(matches!(error, Error::Label(LabelError::Unknown { label: 10_001, .. })), "{error}");
        }
    }
}

#[test]
fn selections_are_filters_for_one_numbering_of_rows() {
    let base = rows(4_000, 10, 8);
    let mut index = ann::index_factory("HNSW8", &base, Metric::L2).unwrap();
    let third = |label: u64| label.is_multiple_of(3);
    let selected = index.select(third);
    assert_eq!((selected.len(), index.select_labels(&[3, 9, 3, 1 << 40]).len()), (1_334, 2));
    for query in base.rows().take(20) {
        let params = SearchParams { route: Some(Route::Scan), ..SearchParams::default() };
        let truth = index.search_filtered(query, 10, &params, &third).unwrap();
        assert_eq!(index.search_selected(query, 10, &params, &selected).unwrap(), truth);
        let few = index.search_selected(query, 10, &SearchParams::default(), &index.select_labels(&[3, 9])).unwrap();
        assert_eq!(labels(&few).into_iter().collect::<BTreeSet<_>>(), [3, 9].into());
    }
    index.remove(&[0]).unwrap();
    assert!(
        !labels(&index.search_selected(base.row(0), 1_334, &SearchParams::default(), &selected).unwrap()).contains(&0)
    );
    index.compact(Par::Ambient).unwrap();
    let stale = index.search_selected(base.row(0), 1, &SearchParams::default(), &selected);
    assert!(matches!(stale, Err(Error::Selection)));
}
