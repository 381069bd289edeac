//! Filters of every width behind the door of every index.

#![cfg(all(feature = "graph", feature = "quant"))]
#![allow(clippy::unwrap_used)] // helpers outside of test functions, too

use ann::core::{split_mix, unit};
use ann::prelude::*;

const ROWS: usize = 6_000;

/// Rows around 20 centres; row `i` belongs to centre `i % 20`.
fn rows(n: usize, seed: u64) -> Matrix<f32> {
    let value = |seed, i: usize| unit(split_mix(seed, i as u64)) as f32 - 0.5;
    let row = |i: usize| (0..16).map(|j| 3.0 * value(1, i % 20 * 16 + j) + value(seed, i * 16 + j)).collect::<Vec<_>>();
    Matrix::from_rows(&(0..n).map(row).collect::<Vec<_>>()).unwrap()
}

fn labels(found: &[Hit]) -> Vec<u64> {
    found.iter().map(|hit| hit.label).collect()
}

/// Random, and all far from or all near the query: what is left is found as by comparing everything.
#[test]
fn filters_of_every_width_give_as_many_as_match() {
    let (base, queries) = (rows(ROWS, 2), rows(40, 3));
    let exact = ann::index_factory("Flat", &base, Metric::L2).unwrap();
    let random = |share: u64| move |label: u64| split_mix(5, label) % 1000 < share;
    let filters: [(&str, &(dyn Fn(u64) -> bool + Sync)); 8] = [
        ("all", &|_| true),
        ("half", &random(500)),
        ("a tenth", &random(100)),
        ("a hundredth", &random(10)),
        ("a thousandth", &random(1)),
        ("one", &|label| label == 4_321),
        ("none", &|_| false),
        ("one cluster", &|label| label % 20 == 7),
    ];
    for spec in [
        "Flat",
        "HNSW16",
        "NSW16",
        "Vamana32",
        "DEG16",
        "HNSW16,Block2",
        "HNSW16,SQ8,Refine(Flat)",
        "Auto",
        "KDTree",
        "BallTree",
        "KDForest4",
        "RPForest8",
        "KMeansTree",
    ] {
        let index = ann::index_factory(spec, &base, Metric::L2).unwrap();
        for (name, filter) in filters {
            let matches = (0..ROWS as u64).filter(|&label| filter(label)).count();
            let (mut hits, mut wanted) = (0, 0);
            for query in queries.view().rows() {
                let truth = labels(&exact.search_filtered(query, 10, &SearchParams::default(), filter).unwrap());
                let found = labels(&index.search_filtered(query, 10, &SearchParams::default(), filter).unwrap());
                assert_eq!(found.len(), matches.min(10), "{spec}, {name}");
                assert!(found.iter().all(|&label| filter(label)), "{spec}, {name}");
                // Few rows are compared one by one.
                assert!(matches > ROWS / 20 || found == truth, "{spec}, {name}: {found:?}, expected {truth:?}");
                (hits, wanted) =
                    (hits + found.iter().filter(|label| truth.contains(label)).count(), wanted + truth.len());
            }
            assert!(hits as f64 >= 0.95 * wanted as f64, "{spec}, {name}: {hits} of {wanted}");
        }
    }
}

#[test]
fn a_query_that_does_not_fit_is_refused_whatever_the_filter() {
    let index = ann::index_factory("HNSW8", &rows(500, 2), Metric::L2).unwrap();
    for filter in [&(|_| true) as &(dyn Fn(u64) -> bool + Sync), &|_| false] {
        for query in [&[0.0; 15][..], &[f32::NAN; 16]] {
            assert!(index.search_filtered(query, 3, &SearchParams::default(), filter).is_err());
        }
        assert!(index.search_filtered(&[0.0; 16], 0, &SearchParams::default(), filter).unwrap().is_empty());
    }
}
