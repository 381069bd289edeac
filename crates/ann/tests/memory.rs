//! What an index says it weighs, held against what the process weighs.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

use ann::core::{split_mix, unit};
use ann::prelude::*;

/// Bytes of this process that are in memory.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

/// Alone in this file, since another test in the same process would weigh as well.
#[test]
#[ignore = "links 100,000 rows twice: minutes unless optimised"]
fn memory_usage_is_what_the_process_grows_by() {
    const ROWS: usize = 100_000;
    const DIM: usize = 64;
    let values = (0..(ROWS * DIM) as u64).map(|i| unit(split_mix(3, i)) as f32).collect();
    let vectors = Matrix::new(values, DIM).unwrap();
    let options = BuildOptions { ef_construction: 40, ..BuildOptions::default() };
    let spec = "HNSW16".parse::<Spec>().unwrap();
    // Threads, and what a build frees and the allocator keeps for the next (some megabytes: the new lists of a round),
    // are no part of the index. A build of the same size takes them before the measurement.
    drop(spec.build(&vectors, &options).unwrap());

    let before = resident();
    let index = spec.build(&vectors, &options).unwrap();
    let (grown, told) = (resident() - before, index.memory_usage().total());
    let ratio = told as f64 / grown as f64;
    assert!((0.85..=1.15).contains(&ratio), "the index tells of {told} bytes, the process grew by {grown}: {ratio:.3}");
    // The links and everything else beside the rows: 4 * 2M bytes per row, and a tenth for layers, parents and slack.
    let beside = index.memory_usage().structure as f64 / ROWS as f64;
    assert!(beside <= 4.0 * 32.0 * 1.1, "{beside} bytes per row beside the vector");
}
