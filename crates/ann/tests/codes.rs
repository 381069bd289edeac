//! Rows as codes, from the string to the file and back.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use ann::core::{split_mix, unit};
use ann::prelude::*;
use ann::{ElementKind, Error, Monitor};
use std::path::Path;

const SPECS: [&str; 10] = [
    "SQ8",
    "SQ4",
    "HNSW8,SQ8",
    "HNSW8,SQ6",
    "HNSW8,SQ4",
    "HNSW8,SQ8,Refine(Flat)",
    "HNSW8,SQ6,Refine(f16)",
    "HNSW8,SQ8,Refine(bf16)",
    "HNSW8,SQ4,Refine(SQ8)",
    "HNSW8,SQ4,Refine(Flat)",
];

const METRICS: [Metric; 3] = [Metric::L2, Metric::InnerProduct, Metric::Cosine];

/// Numbers between -1 and 1, around one of 30 centres.
fn floats(n: usize, dim: usize, seed: u64) -> Matrix<f32> {
    let draw = |seed, i| unit(split_mix(seed, i)) as f32 - 0.5;
    let value = |i: u64| {
        let (row, column) = (i / dim as u64, i % dim as u64);
        draw(77, split_mix(seed + 1, row) % 30 * dim as u64 + column) + 0.6 * draw(seed, i)
    };
    Matrix::new((0..(n * dim) as u64).map(value).collect(), dim).unwrap()
}

fn build(spec: &str, rows: &Matrix<f32>, metric: Metric) -> Index {
    ann::index_factory(spec, rows, metric).unwrap()
}

fn labels(found: &[Hit]) -> Vec<u64> {
    found.iter().map(|hit| hit.label).collect()
}

fn recall(index: &Index, exact: &Index, queries: &Matrix<f32>) -> f64 {
    let found = |query: &[f32]| {
        let truth = labels(&exact.search(query, 10).unwrap());
        let hits = index.search_with(query, 10, &SearchParams::effort(100)).unwrap();
        labels(&hits).iter().filter(|label| truth.contains(label)).count()
    };
    queries.rows().map(found).sum::<usize>() as f64 / (queries.len() * 10) as f64
}

fn in_file<T>(index: &Index, then: impl FnOnce(&Path) -> T) -> T {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index.ann");
    index.save(&path).unwrap();
    then(&path)
}

#[test]
fn codes_find_what_they_tell_apart_and_refined_ones_nearly_everything() {
    let (rows, queries) = (floats(3000, 40, 1), floats(60, 40, 5));
    for metric in METRICS {
        let exact = build("Flat", &rows, metric);
        for spec in SPECS {
            let index = build(spec, &rows, metric);
            assert_eq!(index.spec().to_string(), spec);
            let found = recall(&index, &exact, &queries);
            let least = match spec {
                _ if spec.contains("Flat") || spec.contains("f16") => 0.97,
                _ if spec.contains('8') && !spec.contains("SQ4") && !spec.contains("SQ6") => 0.94,
                _ if spec.contains("Refine(SQ8)") => 0.94,
                _ if spec.contains("SQ6") => 0.88,
                _ => 0.7,
            };
            assert!(found >= least, "{spec} {metric}: {found}");
        }
    }
}

#[test]
fn refined_distances_are_exact_and_those_of_codes_are_near() {
    let (rows, queries) = (floats(1000, 24, 2), floats(10, 24, 3));
    for metric in METRICS {
        let exact = build("Flat", &rows, metric);
        for (spec, tolerance) in [("HNSW8,SQ4,Refine(Flat)", 0.0), ("HNSW8,SQ8,Refine(f16)", 2e-3), ("HNSW8,SQ8", 0.05)]
        {
            let index = build(spec, &rows, metric);
            for query in queries.rows() {
                let truth = exact.search(query, 1000).unwrap();
                for hit in index.search(query, 10).unwrap() {
                    let true_hit = truth.iter().find(|other| other.label == hit.label).unwrap();
                    let off = (hit.distance - true_hit.distance).abs();
                    assert!(off <= tolerance, "{spec} {metric}: {} instead of {}", hit.distance, true_hit.distance);
                }
            }
        }
    }
}

#[test]
fn an_index_on_codes_grows_saves_and_opens() {
    let (rows, more, queries) = (floats(400, 12, 1), floats(100, 12, 2), floats(20, 12, 3));
    for metric in METRICS {
        for spec in SPECS {
            let mut index = build(spec, &rows, metric);
            let names: Vec<u64> = (0..100).map(|i| 1 << 40 | i).collect();
            index.add(&more, Some(&names)).unwrap();
            let same = more.rows().zip(&names).filter(|(row, label)| index.search(row, 1).unwrap()[0].label == **label);
            let (found, least) = (same.count(), if spec.contains("SQ4") && !spec.contains("Refine") { 60 } else { 95 });
            assert!(metric == Metric::InnerProduct || found >= least, "{spec} {metric}: {found} of 100");
            in_file(&index, |path| {
                let mut opened = ann::open(path).unwrap();
                assert_eq!((opened.spec(), opened.metric(), opened.len()), (index.spec(), metric, 500));
                assert_eq!((opened.element(), opened.dim()), (index.element(), 12));
                for query in queries.rows() {
                    let accept = |label: u64| label.is_multiple_of(3);
                    let params = SearchParams::effort(60);
                    for k in [1, 10, 10_000] {
                        let expected = index.search(query, k).unwrap();
                        assert_eq!(opened.search(query, k).unwrap(), expected, "{spec}");
                        assert!(expected.len() == k.min(500) && expected.is_sorted_by_key(|hit| hit.distance));
                        let found = opened.search_filtered(query, k, &params, &accept).unwrap();
                        assert_eq!(found, index.search_filtered(query, k, &params, &accept).unwrap());
                        assert!(found.iter().all(|hit| hit.label % 3 == 0) && !found.is_empty());
                    }
                }
                // An opened index grows, and is then as well saved.
                opened.add(&queries, None).unwrap();
                let again = in_file(&opened, |path| {
                    ann::io::container::Archive::open(path, ann::io::container::OpenMode::Read).is_ok()
                });
                assert!(again && opened.len() == 520 && opened.search(queries.row(3), 9).unwrap().len() == 9);
            });
        }
    }
}

#[test]
fn files_are_the_same_on_any_number_of_threads() {
    let rows = floats(4500, 20, 4);
    for spec in ["SQ6", "HNSW8,SQ8,Refine(Flat)", "HNSW8,SQ4,Refine(f16)"] {
        let file = |threads| {
            let par = Par::Threads(threads);
            let options = BuildOptions { par, ef_construction: 40, metric: Metric::Cosine, ..BuildOptions::default() };
            let mut index = spec.parse::<Spec>().unwrap().build(rows.view().slice(0..4400), &options).unwrap();
            index.add_with(rows.view().slice(4400..4500), None, par, Monitor::new()).unwrap();
            in_file(&index, |path| std::fs::read(path).unwrap())
        };
        let one = file(1);
        assert!(file(2) == one && file(8) == one, "{spec}");
    }
}

#[test]
fn codes_take_the_memory_they_should() {
    let rows = floats(1000, 128, 6);
    let vectors = |spec| build(spec, &rows, Metric::Cosine).memory_usage().vectors;
    let whole = vectors("HNSW8");
    assert!(vectors("HNSW8,SQ8") <= whole / 4 + 4096 && vectors("HNSW8,SQ4") <= whole / 8 + 4096);
    assert!(vectors("HNSW8,SQ8,Refine(Flat)") <= whole * 5 / 4 + 8192);
    assert!(vectors("HNSW8,SQ8,Refine(f16)") <= whole * 3 / 4 + 8192 + 4096);
}

#[test]
fn whole_numbers_lose_nothing_in_codes() {
    let value = |i: u64| (split_mix(8, i) % 256) as f32;
    let rows = Matrix::new((0..600 * 32).map(value).collect(), 32).unwrap();
    let (exact, codes) = (build("Flat", &rows, Metric::L2), build("SQ8", &rows, Metric::L2));
    let (graph, on_codes) = (build("HNSW8", &rows, Metric::L2), build("HNSW8,SQ8", &rows, Metric::L2));
    for row in rows.rows().take(30) {
        assert_eq!(codes.search(row, 20).unwrap(), exact.search(row, 20).unwrap());
        assert_eq!(on_codes.search(row, 20).unwrap(), graph.search(row, 20).unwrap());
    }
    assert_eq!(graph.memory_usage().vectors, on_codes.memory_usage().vectors);
}

#[test]
fn rows_that_refining_ones_cannot_hold_widen_them_or_are_refused() {
    let value = |i: u64| (split_mix(8, i) % 256) as f32;
    let rows = Matrix::new((0..100 * 4).map(value).collect(), 4).unwrap();
    let third = Matrix::new(vec![1.0 / 3.0; 4], 4).unwrap();
    let mut index = build("HNSW8,SQ8,Refine(Flat)", &rows, Metric::L2);
    assert_eq!(index.element(), ElementKind::F16);
    index.add(&third, None).unwrap();
    assert_eq!((index.element(), index.len()), (ElementKind::F32, 101));
    assert_eq!(index.search(third.row(0), 1).unwrap()[0], Hit { label: 100, distance: 0.0 });
    assert_eq!(in_file(&index, |path| ann::open(path).unwrap().spec().to_string()), "HNSW8,SQ8,Refine(Flat)");

    let mut rounding = build("HNSW8,SQ8,Refine(f16)", &rows, Metric::L2);
    rounding.add(&third, None).unwrap();
    let beyond = Matrix::new(vec![0.0, 0.0, 1e6, 0.0], 4).unwrap();
    let error = rounding.add(&beyond, None).unwrap_err();
    assert!(matches!(&error, Error::Row(row) if row.row == 0), "{error}");
    assert_eq!((rounding.len(), rounding.element()), (101, ElementKind::F16));
}

#[test]
fn what_cannot_be_coded_is_refused_with_the_reason() {
    let message = |spec, rows: &Matrix<f32>, metric| ann::index_factory(spec, rows, metric).unwrap_err().to_string();
    let empty = Matrix::new(Vec::new(), 3).unwrap();
    let mut rows = floats(5, 3, 1);
    assert_eq!(message("HNSW8,SQ8", &empty, Metric::L2), "0 rows to train on, at least 1 are needed");
    assert_eq!(message("SQ8", &rows, Metric::L1), "the metric l1 does not apply to scalar codes");
    rows.as_mut_slice()[7] = f32::NAN;
    for spec in SPECS {
        assert_eq!(message(spec, &rows, Metric::L2), "row 2: column 1 is NaN, expected a finite number");
    }
    let index = build("HNSW8,SQ8,Refine(Flat)", &floats(5, 3, 1), Metric::L2);
    assert!(index.search(&[0.0, f32::NAN, 1.0], 1).is_err() && index.search(&[0.0], 1).is_err());
}

#[test]
fn damaged_files_are_refused() {
    for spec in ["SQ4", "HNSW4,SQ8", "HNSW4,SQ8,Refine(f16)", "HNSW4,SQ6,Refine(SQ8)"] {
        let index = build(spec, &floats(20, 5, 1), Metric::L2);
        in_file(&index, |path| {
            let honest = std::fs::read(path).unwrap();
            for seed in 0..300 {
                let mut bytes = honest.clone();
                let at = split_mix(seed, 1) as usize % bytes.len();
                bytes[at] ^= 1 << (split_mix(seed, 2) % 8);
                std::fs::write(path, &bytes).unwrap();
                assert!(ann::open(path).is_err(), "{spec}, byte {at}");
            }
            for len in (0..honest.len()).step_by(37) {
                std::fs::write(path, &honest[..len]).unwrap();
                assert!(ann::open(path).is_err(), "{spec}, cut to {len}");
            }
        });
    }
}
