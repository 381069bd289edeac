//! The same rows, spec and seed give the same file: on any number of threads, and for whole numbers on any
//! instruction set.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use ann::core::{split_mix, unit};
use ann::prelude::*;
use ann_simd::Arch;
use sha2::{Digest, Sha256};
use std::process::Command;

/// Marks the line in which a child process tells its hashes.
const MARK: &str = "hashes:";

/// Enough rows for several layers and rounds of many rows.
const ROWS: u64 = 2500;

fn matrix(dim: u64, value: impl Fn(u64) -> f32) -> Matrix<f32> {
    Matrix::new((0..ROWS * dim).map(value).collect(), dim as usize).unwrap()
}

/// Whole numbers that fit unsigned bytes, signed bytes, and neither.
fn integral() -> [Matrix<f32>; 3] {
    let draw = |i: u64, below: u64| (split_mix(5, i) % below) as f32;
    // Every tenth row is a copy of one of ten: ties must be broken alike everywhere.
    let source = |i: u64, dim: u64| if (i / dim) % 10 == 9 { i % dim + dim * ((i / dim) % 100) / 10 } else { i };
    [
        matrix(24, move |i| draw(source(i, 24), 256)),
        matrix(20, move |i| draw(source(i, 20), 256) - 128.0),
        matrix(12, move |i| draw(source(i, 12), 1000)),
    ]
}

fn fractional() -> Matrix<f32> {
    matrix(10, |i| unit(split_mix(6, i)) as f32 - 0.5)
}

/// Enough rows, and long ones, for a build on bytes and a walk on halves.
fn long() -> Matrix<f32> {
    Matrix::new((0..4200 * 96).map(|i| unit(split_mix(7, i)) as f32 - 0.5).collect(), 96).unwrap()
}

/// SHA-256 of the file of an index that is built and then grown.
fn hash(rows: &Matrix<f32>, metric: Metric, par: Par) -> String {
    hash_of("HNSW16", rows, metric, par)
}

/// The same for another index.
fn hash_of(spec: &str, rows: &Matrix<f32>, metric: Metric, par: Par) -> String {
    let options = BuildOptions { metric, par, ef_construction: 60, ..BuildOptions::default() };
    let (first, rest) = (rows.view().slice(0..rows.len() - 50), rows.view().slice(rows.len() - 50..rows.len()));
    let mut index = spec.parse::<Spec>().unwrap().build(first, &options).unwrap();
    index.add_with(rest, None, par, ann::Monitor::new()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index.ann");
    index.save(&path).unwrap();
    Sha256::digest(std::fs::read(&path).unwrap()).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn integral_hashes() -> Vec<String> {
    integral()
        .iter()
        .flat_map(|rows| [Metric::L2, Metric::L1].map(|metric| (rows, metric)))
        .flat_map(|(rows, metric)| {
            ["HNSW16", "RPForest3", "KMeansTree8"].map(|spec| hash_of(spec, rows, metric, Par::Threads(2)))
        })
        .collect()
}

#[test]
fn files_are_identical_on_any_number_of_threads() {
    let [bytes, ..] = integral();
    let fractional = || [(fractional(), Metric::L2), (fractional(), Metric::Cosine), (long(), Metric::Cosine)];
    for (rows, metric) in [(bytes, Metric::L2)].into_iter().chain(fractional()) {
        let serial = hash(&rows, metric, Par::Serial);
        for threads in [1, 2, 8] {
            assert_eq!(hash(&rows, metric, Par::Threads(threads)), serial, "{metric} on {threads} threads");
        }
    }
}

#[test]
#[cfg(feature = "tree")]
fn files_of_trees_are_identical_on_any_number_of_threads() {
    let [bytes, ..] = integral();
    for spec in ["KDTree", "BallTree", "KDForest3", "RPForest3", "KMeansTree8"] {
        for (rows, metric) in [(&bytes, Metric::L2), (&fractional(), Metric::Cosine), (&fractional(), Metric::L1)] {
            let serial = hash_of(spec, rows, metric, Par::Serial);
            for threads in [1, 2, 8] {
                assert_eq!(hash_of(spec, rows, metric, Par::Threads(threads)), serial, "{spec}, {metric}, {threads}");
            }
        }
    }
}

#[test]
#[cfg(feature = "ivf_pq")]
fn partitions_are_identical_on_any_number_of_threads() {
    for (spec, rows, metric) in [
        ("IVF40,RaBitQ2,RFlat", long(), Metric::Cosine),
        ("IVF200,PQ5x4fs", fractional(), Metric::L2),
        ("OPQ5,IVF8,PQ5x4fs,RFlat", fractional(), Metric::InnerProduct),
        ("IVF8,Flat", fractional(), Metric::L1),
        ("IVF20,ScaNN5,SOAR,RFlat", fractional(), Metric::InnerProduct),
    ] {
        let serial = hash_of(spec, &rows, metric, Par::Serial);
        for threads in [2, 8] {
            assert_eq!(hash_of(spec, &rows, metric, Par::Threads(threads)), serial, "{spec} on {threads} threads");
        }
    }
}

#[test]
fn files_of_whole_numbers_are_identical_on_every_instruction_set() {
    let here = integral_hashes();
    let program = std::env::current_exe().unwrap();
    for level in Arch::available().iter().map(|arch| arch.level()) {
        let name = format!("{level:?}").to_lowercase();
        let child = Command::new(&program)
            .args(["--exact", "child_process_tells_its_hashes", "--ignored", "--nocapture"])
            .env("ANN_ARCH", &name)
            .output()
            .unwrap();
        let said = String::from_utf8(child.stdout).unwrap();
        let hashes = said.lines().find_map(|line| line.split_once(MARK)).expect("hashes").1;
        assert_eq!(hashes.split_whitespace().collect::<Vec<_>>(), here, "{name}");
    }
}

#[test]
#[ignore = "run by files_of_whole_numbers_are_identical_on_every_instruction_set"]
#[allow(clippy::print_stdout)]
fn child_process_tells_its_hashes() {
    println!("{MARK} {}", integral_hashes().join(" "));
}
