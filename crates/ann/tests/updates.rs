//! Rows that come and go: removed ones are never returned, and every search still finds as many as there are.

#![cfg(all(feature = "graph", feature = "quant", feature = "io"))]
#![allow(clippy::unwrap_used)] // helpers outside of test functions, too

use ann::core::{split_mix, unit};
use ann::prelude::*;
use ann::{Error, LabelError};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// `HNSW8,Block2` walks over blocks, the others over rows; `Flat` is the truth.
const SPECS: [&str; 6] = ["Flat", "HNSW8", "HNSW8,Block2", "HNSW8,SQ8,Refine(Flat)", "IVF4,Flat", "IVF4,RaBitQ2,RFlat"];
const DIM: usize = 6;

fn row(seed: u64) -> Vec<f32> {
    (0..DIM as u64).map(|i| unit(split_mix(seed, i)) as f32 - 0.5).collect()
}

fn rows(seeds: std::ops::Range<u64>) -> Matrix<f32> {
    Matrix::from_rows(&seeds.map(row).collect::<Vec<_>>()).unwrap()
}

fn labels(found: &[Hit]) -> Vec<u64> {
    found.iter().map(|hit| hit.label).collect()
}

/// The labels of a model in order of distance.
fn nearest(model: &BTreeMap<u64, u64>, query: &[f32], accept: impl Fn(u64) -> bool) -> Vec<u64> {
    let distance = |seed: u64| query.iter().zip(row(seed)).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>();
    let mut all: Vec<(f64, u64)> =
        model.iter().filter(|(label, _)| accept(**label)).map(|(&label, &seed)| (distance(seed), label)).collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    all.into_iter().map(|(_, label)| label).collect()
}

/// Every door of an index against a model of labels and the seeds of their rows.
fn check(index: &Index, model: &BTreeMap<u64, u64>, query: &[f32]) {
    let spec = index.spec().to_string();
    let params = SearchParams::effort(400);
    assert_eq!((index.len(), index.is_empty()), (model.len(), model.is_empty()), "{spec}");
    let truth = nearest(model, query, |_| true);
    let mut searcher = index.searcher();
    for k in [0, 1, 10, model.len(), model.len() + 5] {
        let found = labels(&index.search_with(query, k, &params).unwrap());
        assert_eq!(found, truth[..k.min(truth.len())], "{spec} {k}");
        assert_eq!(labels(searcher.search(query, k, &params).unwrap()), found, "{spec} {k}");
        let queries = Matrix::from_rows(&[query, query]).unwrap();
        let batch = index.search_batch(&queries, k, &params, Par::Ambient).unwrap();
        assert!(batch.len() == 2 && batch.iter().all(|one| labels(one) == found), "{spec} {k}");
    }
    let odd = |label: u64| label % 2 == 1;
    let found = labels(&index.search_filtered(query, 7, &params, &odd).unwrap());
    let odds = nearest(model, query, odd);
    assert_eq!(found, odds[..odds.len().min(7)], "{spec}");
    let radius = 0.6;
    let found = index.search_range(query, radius, usize::MAX, &params, None).unwrap();
    let seeds = |hit: &Hit| model[&hit.label];
    let within = truth.iter().take_while(|label| {
        query.iter().zip(row(model[label])).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>().sqrt() <= radius.into()
    });
    assert_eq!(
        found.iter().map(seeds).collect::<Vec<_>>(),
        within.map(|label| model[label]).collect::<Vec<_>>(),
        "{spec}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn an_index_is_what_a_map_would_be(
        steps in proptest::collection::vec((0u8..4, 1u64..60, 0u64..1000), 1..12),
        spec in prop::sample::select(SPECS.to_vec()),
    ) {
        let mut index = spec.parse::<Spec>().unwrap().build(&rows(0..40), &BuildOptions::default()).unwrap();
        let mut model: BTreeMap<u64, u64> = (0..40).map(|i| (i, i)).collect();
        let mut next = 1000;
        for (what, count, seed) in steps {
            match what {
                0 => {
                    let new: Vec<u64> = (0..count).map(|i| 100 + (seed + 7 * i) % 500).filter(|l| !model.contains_key(l)).collect();
                    let new: Vec<u64> = new.iter().enumerate().filter(|(i, l)| !new[..*i].contains(l)).map(|(_, l)| *l).collect();
                    if !new.is_empty() {
                        index.add(&rows(next..next + new.len() as u64), Some(&new)).unwrap();
                        model.extend(new.iter().zip(next..).map(|(&label, seed)| (label, seed)));
                        next += new.len() as u64;
                    }
                }
                // Codes that were learnt from a handful of rows hold those that come later badly.
                3 if model.len() < 40 && spec.contains("SQ8") => {}
                3 => index.compact(Par::Serial).unwrap(),
                _ => {
                    let gone: Vec<u64> = model.keys().copied().filter(|l| split_mix(seed, *l) % 100 < count).collect();
                    index.remove(&gone).unwrap();
                    model.retain(|label, _| !gone.contains(label));
                }
            }
            check(&index, &model, &row(seed + 5));
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("index.ann");
        index.save(&path).unwrap();
        let opened = ann::open(&path).unwrap();
        prop_assert_eq!((opened.removed(), opened.spec()), (index.removed(), index.spec()));
        check(&opened, &model, &row(77));
    }
}

#[test]
fn most_rows_of_a_graph_may_go_the_entry_among_them() {
    for spec in SPECS {
        let mut index = spec.parse::<Spec>().unwrap().build(&rows(0..3_000), &BuildOptions::default()).unwrap();
        let gone: Vec<u64> = (0..3_000).filter(|i| i % 100 != 7).collect();
        index.remove(&gone).unwrap();
        let model: BTreeMap<u64, u64> = (0..3_000).filter(|i| i % 100 == 7).map(|i| (i, i)).collect();
        check(&index, &model, &row(9_999));
        let before = index.memory_usage().total();
        index.compact(Par::Ambient).unwrap();
        assert!(index.memory_usage().total() < before / 10, "{spec}: {} of {before}", index.memory_usage().total());
        check(&index, &model, &row(9_999));
        index.remove(&model.keys().copied().collect::<Vec<_>>()).unwrap();
        check(&index, &BTreeMap::new(), &row(1));
        index.compact(Par::Ambient).unwrap();
        index.add(&rows(5..6), Some(&[7])).unwrap();
        check(&index, &BTreeMap::from([(7, 5)]), &row(1));
    }
}

#[test]
fn a_removed_label_is_free_and_an_unknown_one_is_named() {
    let mut index = ann::build(&rows(0..10), Metric::L2).unwrap();
    index.remove(&[]).unwrap();
    index.remove(&[3, 4, 3]).unwrap();
    assert_eq!((index.len(), index.removed(), index.contains(3), index.contains(2)), (8, 2, false, true));
    let error = index.remove(&[2, 3]).unwrap_err();
    assert!(matches!(error, Error::Label(LabelError::Unknown { position: 1, label: 3 })), "{error}");
    assert!(index.contains(2));
    index.add(&rows(50..51), Some(&[3])).unwrap();
    assert_eq!(index.search(&row(50), 1).unwrap()[0].label, 3);
    assert_ne!(index.search(&row(3), 1).unwrap()[0].distance, 0.0);
    assert!(matches!(index.add(&rows(51..52), Some(&[3])), Err(Error::Label(LabelError::Taken { .. }))));
}

/// Links and codes stay where few rows go, and where there is nothing to build from: a window that slides over rows that come and go.
#[test]
fn a_window_slides_over_indexes_of_every_kind() {
    for spec in [
        "Flat",
        "SQ8",
        "HNSW8",
        "DEG12",
        "RPForest4",
        "KMeansTree16",
        "HNSW8,SQ8",
        "HNSW8,Block2",
        "HNSW8,SQ8,Refine(Flat)",
        "Vamana16,SQ8,Refine(f16)",
        "KDTree",
        "BallTree",
        "KDForest4",
    ] {
        let mut index = ann::index_factory(spec, &rows(0..1_000), Metric::L2).unwrap();
        for start in (0..3_000).step_by(200) {
            let labels: Vec<u64> = (start + 1_000..start + 1_200).collect();
            index.add(&rows(start + 1_000..start + 1_200), Some(&labels)).unwrap();
            index.remove(&(start..start + 200).collect::<Vec<_>>()).unwrap();
            index.compact(Par::Ambient).unwrap();
            assert_eq!((index.len(), index.removed()), (1_000, 0), "{spec}");
        }
        let fresh = ann::index_factory(spec, &rows(3_000..4_000), Metric::L2).unwrap();
        let (now, then) = (index.memory_usage().total(), fresh.memory_usage().total());
        // Labels that are not row numbers take 12 bytes per row, and memory grows in strides.
        assert!(now as f64 <= 1.3 * then as f64 + 1_000.0 * 24.0, "{spec}: {now} bytes, {then} fresh");
        let mut found = 0;
        for seed in 3_000..4_000 {
            let hits = index.search(&row(seed), 3).unwrap();
            assert!(hits.iter().all(|hit| (3_000..4_000).contains(&hit.label)) && hits.len() == 3, "{spec}");
            found += usize::from(hits[0].label == seed);
        }
        assert!(found >= 985, "{spec}: {found} of 1,000 found themselves");
        // To the last row, and on from there.
        index.remove(&(3_000..4_000).collect::<Vec<_>>()).unwrap();
        index.compact(Par::Ambient).unwrap();
        assert_eq!((index.len(), index.search(&row(1), 3).unwrap().len()), (0, 0), "{spec}");
        index.add(&rows(7..9), Some(&[70, 80])).unwrap();
        assert_eq!(labels(&index.search(&row(8), 1).unwrap()), [80], "{spec}");
    }
}

#[test]
fn a_range_has_limits() {
    let index = ann::index_factory("HNSW8", &rows(0..500), Metric::L2).unwrap();
    let (params, query) = (SearchParams::effort(500), row(3));
    let range = |radius, limit| index.search_range(&query, radius, limit, &params, None).unwrap();
    assert_eq!((range(100.0, usize::MAX).len(), range(100.0, 45).len(), range(100.0, 0).len()), (500, 45, 0));
    assert_eq!((labels(&range(0.0, 10)), range(-1.0, 10).len()), (vec![3], 0));
    assert_eq!(range(f32::INFINITY, 33), index.search_with(&query, 33, &params).unwrap());
    let even = |label: u64| label.is_multiple_of(2);
    assert_eq!(index.search_range(&query, 100.0, usize::MAX, &params, Some(&even)).unwrap().len(), 250);
    assert!(matches!(index.search_range(&query, f32::NAN, 1, &params, None), Err(Error::Radius)));
    assert!(index.search_range(&query[1..], 1.0, 1, &params, None).is_err());
}
