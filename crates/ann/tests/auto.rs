//! What the library chooses, and neighbour blocks behind the door of every index.

#![cfg(all(feature = "graph", feature = "quant", feature = "io"))]
#![allow(clippy::unwrap_used)] // helpers outside of test functions, too

use ann::core::{split_mix, unit};
use ann::factory::{Links, Profile, Structure};
use ann::prelude::*;
use ann::{ElementKind, Error};

/// Rows around 50 centres in `dim` columns.
fn rows(n: usize, dim: usize, seed: u64) -> Matrix<f32> {
    let value = |s: u64, i: usize| unit(split_mix(s, i as u64)) as f32 - 0.5;
    let one = |i: usize| {
        let centre = i * 7919 % 50;
        (0..dim).map(move |j| 2.0 * value(1, centre * dim + j) + value(seed, i * dim + j)).collect::<Vec<_>>()
    };
    Matrix::from_rows(&(0..n).map(one).collect::<Vec<_>>()).unwrap()
}

fn build(spec: &str, rows: &Matrix<f32>, metric: Metric, par: Par) -> Index {
    let options = BuildOptions { metric, par, ef_construction: 80, ..BuildOptions::default() };
    spec.parse::<Spec>().unwrap().build(rows, &options).unwrap()
}

/// Share of the ten nearest that are found.
fn recall(index: &Index, rows: &Matrix<f32>, metric: Metric, ef: usize) -> f64 {
    let exact = build("Flat", rows, metric, Par::Ambient);
    let (mut searcher, mut hits) = (index.searcher(), 0);
    for query in rows.view().rows().step_by(61) {
        let truth = exact.search(query, 10).unwrap();
        let found = searcher.search(query, 10, &SearchParams::effort(ef)).unwrap();
        hits += found.iter().filter(|hit| truth.iter().any(|t| t.label == hit.label)).count();
    }
    hits as f64 / (10 * rows.len().div_ceil(61)) as f64
}

#[test]
fn few_rows_and_other_metrics_get_a_plain_graph() {
    let few = rows(500, 8, 2);
    let index = ann::build(&few, Metric::L2).unwrap();
    assert_eq!((index.spec().to_string().as_str(), index.report().is_some()), ("HNSW16", true));
    let many = rows(4_200, 4, 2);
    let index = build("Auto", &many, Metric::L1, Par::Ambient);
    assert_eq!(index.spec().to_string(), "HNSW16");
    assert!(index.report().unwrap().contains("l2, ip and cosine"), "{:?}", index.report());
    let named = build("HNSW16", &few, Metric::L2, Par::Ambient);
    assert_eq!(named.report(), None);
}

#[test]
fn speed_is_the_same_on_any_number_of_threads_and_says_what_it_tried() {
    let rows = rows(5_000, 40, 3);
    let folder = tempfile::tempdir().unwrap();
    let file = |par: Par| {
        let index = build("Auto", &rows, Metric::Cosine, par);
        let Structure::Blocks { links: Links::Hnsw { m: 16, m0: None }, bits } = index.spec().structure else {
            panic!("{}", index.spec())
        };
        let report = index.report().unwrap();
        for width in ["; 1 bit: 95 % ", "; 2 bits: 95 % ", "; 4 bits: 95 % "] {
            assert!(report.contains(width), "{report}");
        }
        assert!(report.contains(&format!("width {bits};")), "{report}");
        assert!(recall(&index, &rows, Metric::Cosine, 100) > 0.97);
        let path = folder.path().join("index.ann");
        index.save(&path).unwrap();
        std::fs::read(path).unwrap()
    };
    let serial = file(Par::Serial);
    assert!(serial == file(Par::Threads(2)) && serial == file(Par::Threads(8)), "files differ");
}

#[test]
fn balanced_and_compact_are_graphs_on_codes() {
    for (profile, dim, integral, expected) in [
        ("Auto,Balanced", 40, false, "HNSW16,SQ8,Refine(Flat)"),
        ("Auto,Balanced", 40, true, "HNSW16"),
        ("Auto,Compact", 80, false, "HNSW16,SQ8"),
        ("Auto,Compact", 80, true, "HNSW16"),
        ("Auto,Compact", 20, false, "HNSW8,SQ8"),
    ] {
        let mut rows = rows(4_200, dim, 4);
        if integral {
            rows.as_mut_slice().iter_mut().for_each(|x| *x = (*x * 50.0 + 100.0).round());
        }
        let index = build(profile, &rows, Metric::L2, Par::Ambient);
        assert_eq!(index.spec().to_string(), expected, "{profile}, {dim} columns");
        assert!(recall(&index, &rows, Metric::L2, 100) > 0.95, "{profile}, {dim} columns");
    }
    assert_eq!("auto , speed".parse::<Spec>().unwrap().structure, Structure::Auto(Profile::Speed));
}

#[test]
fn blocks_are_saved_opened_grown_filtered_and_widened() {
    let mut rows = rows(2_000, 32, 5);
    rows.as_mut_slice().iter_mut().for_each(|x| *x = (*x * 50.0 + 100.0).round());
    let mut index = build("HNSW16,Block2", &rows, Metric::L2, Par::Ambient);
    assert_eq!((index.element(), index.spec().to_string().as_str()), (ElementKind::U8, "HNSW16,Block2"));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("blocks.ann");
    index.save(&path).unwrap();
    let opened = ann::open(&path).unwrap();
    for query in rows.view().rows().step_by(97) {
        assert_eq!(index.search(query, 10).unwrap(), opened.search(query, 10).unwrap());
    }
    // A row that bytes cannot hold widens all of them, and the blocks stay.
    let odd = Matrix::new(vec![0.5; 32], 32).unwrap();
    index.add(&odd, Some(&[9_000])).unwrap();
    assert_eq!(
        (index.len(), index.element(), index.spec().to_string().as_str()),
        (2_001, ElementKind::F32, "HNSW16,Block2")
    );
    assert_eq!(index.search(&[0.5; 32], 1).unwrap()[0].label, 9_000);
    let few = index.search_filtered(rows.row(0), 50, &SearchParams::effort(2_001), &|label| label % 100 == 3).unwrap();
    assert_eq!(few.len(), 20);
    assert!(few.iter().all(|hit| hit.label % 100 == 3));
    assert!(matches!(index.add(&Matrix::new(vec![f32::NAN; 32], 32).unwrap(), None), Err(Error::Row(_))));
    assert_eq!(index.len(), 2_001);
}

#[test]
fn what_blocks_cannot_be_is_said() {
    let rows = rows(200, 8, 6);
    let wide = "HNSW40,Block1".parse::<Spec>().unwrap().build(&rows, &BuildOptions::default()).unwrap_err();
    assert_eq!(wide.to_string(), "up to 80 neighbours per node, blocks hold 64");
    let options = BuildOptions { metric: Metric::L1, ..BuildOptions::default() };
    let metric = "HNSW16,Block1".parse::<Spec>().unwrap().build(&rows, &options).unwrap_err();
    assert_eq!(metric.to_string(), "the metric l1 does not apply to RaBitQ codes");
    for (text, column) in [("HNSW16,Block", 13), ("HNSW16,Block9", 13), ("Auto,Fast", 6), ("Auto,", 6), ("Autos", 1)] {
        assert_eq!(text.parse::<Spec>().unwrap_err().column, column, "{text}");
    }
}

#[test]
fn a_damaged_file_of_blocks_is_an_error() {
    let rows = rows(300, 16, 7);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("blocks.ann");
    build("HNSW16,Block1", &rows, Metric::Cosine, Par::Ambient).save(&path).unwrap();
    let whole = std::fs::read(&path).unwrap();
    for at in (0..whole.len()).step_by(whole.len() / 200) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x5a;
        std::fs::write(&path, &damaged).unwrap();
        // Padding between sections belongs to nothing; all else is under a checksum.
        if let Ok(index) = ann::open(&path) {
            assert_eq!(index.search(rows.row(0), 5).unwrap().len(), 5);
        }
        std::fs::write(&path, &whole[..at]).unwrap();
        assert!(ann::open(&path).is_err(), "cut at {at}");
    }
}

fn convert(index: &Index, to: &str) -> Result<Index, Error> {
    index.convert(&to.parse().unwrap(), Par::Ambient)
}

#[test]
fn profiles_become_each_other() {
    let rows = rows(4_500, 24, 8);
    let labels: Vec<u64> = (0..4_500).map(|i| 3 * i + 1).collect();
    let folder = tempfile::tempdir().unwrap();
    let file = |index: &Index| {
        let path = folder.path().join("index.ann");
        index.save(&path).unwrap();
        std::fs::read(&path).unwrap()
    };
    for metric in [Metric::L2, Metric::Cosine, Metric::InnerProduct] {
        let options = BuildOptions { metric, labels: Some(&labels), ef_construction: 80, ..BuildOptions::default() };
        let speed = "HNSW16,Block2".parse::<Spec>().unwrap().build(&rows, &options).unwrap();
        let balanced = convert(&speed, "Auto,Balanced").unwrap();
        assert_eq!(balanced.spec().to_string(), "HNSW16,SQ8,Refine(Flat)");
        assert!(balanced.report().is_some_and(|report| report.contains("8 bits")));
        let compact = convert(&balanced, "Auto,Compact").unwrap();
        assert_eq!(compact.spec().to_string(), "HNSW16,SQ8");
        let plain = convert(&speed, "HNSW16").unwrap();
        for index in [&balanced, &compact, &plain] {
            assert_eq!((index.metric(), index.len(), index.dim()), (metric, 4_500, 24));
            for query in rows.view().rows().step_by(301) {
                let exact = speed.search_with(query, 10, &SearchParams::effort(200)).unwrap();
                let found = index.search_with(query, 10, &SearchParams::effort(200)).unwrap();
                let same = found.iter().filter(|hit| exact.iter().any(|e| e.label == hit.label)).count();
                assert!(same >= 8, "{metric} {}: {same} of 10", index.spec());
            }
        }
        // Rows of norm 1 lose the last bit when they are normalised again.
        if metric != Metric::Cosine {
            assert!(file(&convert(&balanced, "HNSW16,Block2").unwrap()) == file(&speed), "{metric}");
        }
        let auto = convert(&balanced, "Auto").unwrap();
        assert!(
            matches!(auto.spec().structure, Structure::Blocks { links: Links::Hnsw { m: 16, m0: None }, .. }),
            "{}",
            auto.spec()
        );
    }
}

#[test]
fn what_cannot_become_something_else_says_why() {
    let few = rows(300, 6, 9);
    let plain = build("HNSW16", &few, Metric::L2, Par::Ambient);
    let compact = build("HNSW16,SQ8", &few, Metric::L2, Par::Ambient);
    let rounded = build("HNSW16,SQ8,Refine(f16)", &few, Metric::L2, Par::Ambient);
    for (from, to, why) in [
        (&plain, "HNSW8", "links are others"),
        (&plain, "Flat", "links are others"),
        (&plain, "HNSW16@ip", "one metric"),
        (&compact, "HNSW16", "`HNSW16,SQ8` keeps codes"),
        (&rounded, "HNSW16", "`HNSW16,SQ8,Refine(f16)` keeps codes or rounded rows"),
        (&build("Flat", &few, Metric::L2, Par::Ambient), "HNSW16", "no links"),
    ] {
        let error = convert(from, to).unwrap_err();
        assert!(matches!(error, Error::Convert { .. } | Error::RowsGone { .. }), "{to}: {error:?}");
        assert!(error.to_string().contains(why), "{to}: {error}");
    }
    assert_eq!(convert(&plain, "HNSW16").unwrap().search(few.row(3), 1).unwrap()[0].label, 3);
}
