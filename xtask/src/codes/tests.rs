use super::measure::{best, rank_at, ranks};
use super::*;
use crate::args::{Cli, Command};
use clap::Parser as _;
use std::path::Path;

fn args(line: &str) -> Codes {
    match Cli::try_parse_from(line.split_whitespace()).unwrap().command {
        Command::Codes(args) | Command::Ranks(args) => args,
        other => panic!("parsed as {other:?}"),
    }
}

fn names(dim: usize, only: &str) -> Vec<String> {
    let only: Vec<String> = only.split_whitespace().map(str::to_owned).collect();
    Scheme::select(dim, &only).unwrap().iter().map(Scheme::name).collect()
}

/// A data set of 600 rows in 16 dimensions, every value a sum of three uniform ones, without its truth.
fn toy(folder: &Path, metric: Metric) -> PathBuf {
    let rows = |n: u32, salt: u32| {
        let one = |i: u32| ann_core::unit(ann_core::split_mix(u64::from(salt), u64::from(i))) as f32 - 0.5;
        let value = |i: u32| one(3 * i) + one(3 * i + 1) + one(3 * i + 2);
        ann_core::Matrix::new((0..n * 16).map(value).collect(), 16).unwrap()
    };
    let (train, test) = (ann_io::Points::Dense(rows(600, 0)), ann_io::Points::Dense(rows(20, 100_000)));
    let path = folder.join("toy.hdf5");
    ann_io::Dataset { name: "toy".to_owned(), metric, train, test, truth: None }.write(&path).unwrap();
    path
}

fn lines(path: &Path) -> Vec<Line> {
    std::fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn names_and_beginnings_of_names_select() {
    assert_eq!(names(384, "sq"), ["SQ4", "SQ6", "SQ8"]);
    assert_eq!(names(384, "RaBitQ4 pq48x8"), ["PQ48x8", "RaBitQ4"], "a whole name is no beginning");
    assert_eq!(names(25, "PQ"), ["PQ4x8", "PQ7x8", "PQ13x8", "PQ25x8", "PQ7x4", "PQ13x4", "PQ25x4"]);
    assert!(names(384, "").len() > 25);
    let error = Scheme::select(8, &["XQ".to_owned()]).unwrap_err().to_string();
    assert!(error.contains("`XQ`") && error.contains("SQ8"), "{error}");
}

#[test]
fn no_name_is_given_twice() {
    for dim in [1, 2, 7, 25, 128, 384] {
        let mut all = names(dim, "");
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), names(dim, "").len(), "dim {dim}");
    }
}

#[test]
fn ranks_count_what_is_nearer_and_ties_by_row() {
    let estimates = [0.5, 0.1, 0.5, 0.3, 0.5];
    assert_eq!(ranks(&estimates, &[2, 1]), [1, 4]);
    assert_eq!(ranks(&estimates, &[4, 0, 3]), [2, 3, 5]);
    assert_eq!(rank_at(&[1, 2, 3, 40], 0.75), 3);
    assert_eq!(rank_at(&[1, 2, 3, 40], 0.76), 40);
    let ids: Vec<u32> = best(&estimates).iter().map(|n| n.id).collect();
    assert_eq!(ids, [1, 3, 0, 2, 4]);
    let many: Vec<f32> = (0..50).map(|i| ((i * 7) % 50) as f32).collect();
    assert!(best(&many).iter().map(|n| n.distance as usize).eq(0..K));
}

#[test]
fn more_bits_come_nearer_under_either_metric() {
    let folder = tempfile::tempdir().unwrap();
    for metric in [Metric::L2, Metric::Cosine] {
        let (data, out) = (toy(folder.path(), metric), folder.path().join(format!("{metric}/out.jsonl")));
        // Training needs more rows than this set has for some; those are not asked for.
        let only = "SQ,PQ4x4,PQ8x4,PQ16x4,RaBitQ,G4,G8,CAQ,LVQ,Binary,Ternary";
        run(
            &args(&format!("xtask codes {} --only {only} --threads 2 --out {}", data.display(), out.display())),
            Table::Codes,
        )
        .unwrap();
        let lines = lines(&out);
        let of = |scheme: &str| lines.iter().find(|line| line.scheme == scheme).unwrap();
        for line in &lines {
            assert_eq!((line.n, line.queries, line.threads, line.peer.as_str()), (600, 20, 2, "ann"));
            assert!(line.encode_rows_per_s > 0.0 && line.train_s >= 0.0, "{line:?}");
            assert!((0.0..=1.0).contains(&line.recall) && line.relative_error < 1.0, "{line:?}");
            assert!((10..=600).contains(&line.rank_95) && line.rank_95 <= line.rank_99, "{line:?}");
        }
        for series in [
            &["SQ4", "SQ6", "SQ8"][..],
            &["PQ4x4", "PQ8x4", "PQ16x4"],
            &["RaBitQ1", "RaBitQ2", "RaBitQ4", "RaBitQ8"],
            &["G4", "G8"],
            &["CAQ2", "CAQ4", "CAQ8"],
            &["LVQ4", "LVQ8", "LVQ4x8"],
        ] {
            for pair in series.windows(2) {
                let (less, more) = (of(pair[0]), of(pair[1]));
                assert!(less.bytes < more.bytes, "{pair:?}");
                assert!(less.relative_error > more.relative_error, "{metric}: {less:?} {more:?}");
                assert!(less.recall <= more.recall + 0.03, "{metric}: {less:?} {more:?}");
            }
        }
        for scheme in ["SQ8", "RaBitQ8", "G8", "LVQ8"] {
            assert!(of(scheme).recall > 0.95 && of(scheme).rank_99 <= 12, "{metric}: {:?}", of(scheme));
        }
        assert!(of("LVQ4x8").relative_error < 1e-3 && of("LVQ4x8").recall > 0.99);
    }
}

#[test]
fn fewer_rows_have_a_truth_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let (data, out) = (toy(folder.path(), Metric::L2), folder.path().join("out.jsonl"));
    let line = format!("xtask ranks {} --rows 300 --queries 7 --only SQ8 --out {}", data.display(), out.display());
    run(&args(&line), Table::Ranks).unwrap();
    run(&args(&line), Table::Ranks).unwrap();
    let lines = lines(&out);
    assert_eq!((lines.len(), lines[0].n, lines[0].queries), (2, 300, 7), "lines are appended");
    assert!(lines[0].recall > 0.95 && lines[0].rank_95 <= 12, "{:?}", lines[0]);
    assert_eq!(lines[0].recall, lines[1].recall);
}

#[test]
fn what_codes_cannot_measure_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let data = toy(folder.path(), Metric::L2);
    let refused = |line: String| run(&args(&line), Table::Codes).unwrap_err().to_string();
    assert!(refused(format!("xtask codes {} --rows 9", data.display())).contains("too few"));
    assert!(refused(format!("xtask codes {} --only XQ", data.display())).contains("`XQ`"));
    let product = toy(folder.path(), Metric::InnerProduct);
    assert!(refused(format!("xtask codes {}", product.display())).contains("l2 and cosine"));
}

#[test]
fn tables_line_up_with_their_headings() {
    let measured = measure::Measured {
        bytes: 48,
        train_s: 1.0,
        encode_rows_per_s: 1e6,
        relative_error: 0.1,
        recall: 0.5,
        ranks: [40, 100],
    };
    let rows = ann_core::Matrix::new(vec![0.0; 4], 2).unwrap();
    let data = Dense { name: "toy".to_owned(), metric: Metric::L2, train: rows.clone(), test: rows, truth: None };
    let line = Line::new(&data, "PQ48x8", 2, &measured);
    for table in [Table::Codes, Table::Ranks] {
        assert_eq!(line.row(table).len(), Line::heading(table).len());
    }
    assert_eq!(default_out("a.hdf5", Table::Ranks), root().join("results/a.ranks.jsonl"));
}
