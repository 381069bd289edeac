use super::*;
use crate::args::{Cli, Command};
use clap::Parser as _;

fn args(line: &str) -> Bench {
    match Cli::try_parse_from(line.split_whitespace()).unwrap().command {
        Command::Bench(args) => args,
        other => panic!("parsed as {other:?}"),
    }
}

#[test]
fn efforts_asked_for_are_all_tried() {
    assert_eq!(efforts(&args("xtask bench"), true), (EFFORTS.to_vec(), ENOUGH));
    assert_eq!(efforts(&args("xtask bench --effort 7,5"), true), (vec![7, 5], f64::INFINITY));
    assert_eq!(efforts(&args("xtask bench --effort 7,5"), false), (vec![0], ENOUGH));
}

#[test]
fn saving_needs_one_index() {
    for line in ["xtask bench --save a.ann", "xtask bench --save a.ann --index Flat --index HNSW16"] {
        let error = run(&args(line)).unwrap_err().to_string();
        assert!(error.contains("exactly one --index"), "{error}");
    }
}

#[test]
fn slip_in_an_index_shows_before_anything_is_built() {
    let error = run(&args("xtask bench /no/such/file.hdf5 --index Flat --index HNWS16")).unwrap_err().to_string();
    assert!(error.contains("HNWS16"), "{error}");
}

#[test]
fn results_go_to_a_folder_of_their_own() {
    assert_eq!(default_out("sift.hdf5"), root().join("results/sift.jsonl"));
}

/// A data set of 400 rows in 8 dimensions, with or without its truth.
fn toy(folder: &Path, truth: bool) -> PathBuf {
    let rows = |n: u32, salt: u32| {
        let value = |i: u32| f32::from(((i + salt).wrapping_mul(2_654_435_761) >> 24) as u8);
        ann_core::Matrix::new((0..n * 8).map(value).collect(), 8).unwrap()
    };
    let (train, test, metric) = (rows(400, 0), rows(30, 100_000), ann_core::Metric::L2);
    let exact = truth.then(|| engine::exact(train.view(), test.view(), metric, 10, 1).unwrap());
    let (train, test) = (ann_io::Points::Dense(train), ann_io::Points::Dense(test));
    let path = folder.join("toy.hdf5");
    ann_io::Dataset { name: "toy".to_owned(), metric, train, test, truth: exact }.write(&path).unwrap();
    path
}

#[test]
fn whole_run_leaves_lines_a_picture_and_a_page() {
    let folder = tempfile::tempdir().unwrap();
    let data = toy(folder.path(), true);
    let (out, saved) = (folder.path().join("new/out.jsonl"), folder.path().join("toy.ann"));
    let line = format!(
        "xtask bench {} --index HNSW8 --effort 10,200 --threads 1 --queries 20 --out {} --save {}",
        data.display(),
        out.display(),
        saved.display()
    );
    run(&args(&line)).unwrap();
    let lines = Line::read(&out).unwrap();
    assert_eq!(lines.iter().map(Line::setting).collect::<Vec<_>>(), ["10", "200"]);
    for line in &lines {
        assert_eq!((line.data.as_str(), line.peer.as_str(), line.n, line.k), ("toy.hdf5", "ann:HNSW8", 400, 10));
        assert!(line.qps > 0.0 && line.build_threads == 1);
    }
    assert!(lines[1].recall > 0.99, "200 of 400 rows are looked at: {}", lines[1].recall);
    assert!(fs::metadata(&saved).unwrap().len() > 400 * 8);
    let svg = fs::read_to_string(out.with_extension("svg")).unwrap();
    let html = fs::read_to_string(out.with_extension("html")).unwrap();
    assert!(svg.contains("ann:HNSW8") && html.contains("ann:HNSW8") && !html.contains("http"));

    let line = format!("xtask bench {} --index Flat --threads 1 --out {}", data.display(), out.display());
    run(&args(&line)).unwrap();
    let lines = Line::read(&out).unwrap();
    assert_eq!((lines.len(), lines[2].peer.as_str(), lines[2].recall), (3, "ann:Flat", 1.0), "lines are appended");
    assert!(fs::read_to_string(out.with_extension("svg")).unwrap().contains("ann:Flat"));
}

#[test]
fn missing_truth_is_computed() {
    let folder = tempfile::tempdir().unwrap();
    let data = toy(folder.path(), false);
    let out = folder.path().join("out.jsonl");
    let line = format!("xtask bench {} --index Flat --k 15 --threads 1 --out {}", data.display(), out.display());
    run(&args(&line)).unwrap();
    assert_eq!(Line::read(&out).unwrap()[0].recall, 1.0);
}
