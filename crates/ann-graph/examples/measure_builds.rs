//! Builds graphs over a file of rows and says how long it took and what searches in them cost.
//!
//! `cargo run --release -p ann-graph --example measure_builds -- TRAIN TEST NEIGHBORS DIM STORE GRAPH..`: rows and queries as little-endian
//! `f32`, the 100 true neighbours of each query as `i32`; STORE is `u8` (L2), `halves` or `i8` (cosine; the
//! latter is built on bytes and searched in halves), GRAPH is `fast`, `balanced`, `high`, `batch-vamana` (64 links), or, by insertion, `hnsw` (M 16,
//! ef_construction 200), `nsw`, `vamana`. Two threads build, one searches.

use ann_core::{FlatStore, Matrix, MatrixView, Metric, Monitor, Par, Searcher, SplitStore, VectorStore};
use ann_graph::{Hnsw, HnswParams, HnswSearch, Pipnn, Quality};
use std::io::Write;
use std::time::Instant;

type Failure = Box<dyn std::error::Error>;

/// Widths of the searches.
const EFS: [usize; 16] = [10, 16, 24, 32, 40, 48, 56, 64, 72, 80, 96, 112, 128, 160, 200, 300];

fn main() -> Result<(), Failure> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [train, test, neighbors, dim, store, graphs @ ..] = &args[..] else {
        return Err("expected TRAIN TEST NEIGHBORS DIM STORE GRAPH..".into());
    };
    let dim = dim.parse()?;
    let (train, test) = (floats(train, dim)?, floats(test, dim)?);
    let truth: Vec<u32> = std::fs::read(neighbors)?.as_chunks().0.iter().map(|&b| u32::from_le_bytes(b)).collect();
    for graph in graphs {
        match store.as_str() {
            "u8" => run(graph, FlatStore::<u8>::from_rows(train.view(), Metric::L2)?, test.view(), &truth)?,
            "i8" => {
                let halves = SplitStore::from_rows(train.view(), Metric::Cosine)?;
                run_as(graph, bytes(&train)?, halves, test.view(), &truth)?;
            }
            _ => run(graph, SplitStore::from_rows(train.view(), Metric::Cosine)?, test.view(), &truth)?,
        }
    }
    Ok(())
}

fn floats(path: &str, dim: usize) -> Result<Matrix<f32>, Failure> {
    let values = std::fs::read(path)?.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
    Ok(Matrix::new(values, dim)?)
}

/// Directions as bytes, as the facade builds on.
fn bytes(rows: &Matrix<f32>) -> Result<FlatStore<i8>, Failure> {
    let mut store = FlatStore::<i8>::new(rows.view().dim(), Metric::Cosine)?;
    for row in rows.view().rows() {
        let scale = 127.0 / row.iter().fold(0f32, |most, x| most.max(x.abs()));
        ann_core::PushVector::push(&mut store, &row.iter().map(|x| (x * scale).round()).collect::<Vec<_>>())?;
    }
    Ok(store)
}

fn run<S: VectorStore<Vector = [f32]> + Clone>(
    graph: &str,
    store: S,
    queries: MatrixView<'_, f32>,
    truth: &[u32],
) -> Result<(), Failure> {
    run_as(graph, store.clone(), store, queries, truth)
}

fn run_as<S: VectorStore<Vector = [f32]>, T: VectorStore<Vector = [f32]>>(
    graph: &str,
    store: S,
    searched: T,
    queries: MatrixView<'_, f32>,
    truth: &[u32],
) -> Result<(), Failure> {
    let (start, cpu) = (Instant::now(), cpu_seconds());
    let batch = |quality| Pipnn { quality, ..Pipnn::default() };
    let vamana = HnswParams::vamana(64);
    let index = match graph {
        "batch-vamana" => {
            let batch = Pipnn { max_degree: vamana.m0(), rule: vamana.rule, ..Pipnn::default() };
            batch.build(store, Par::Threads(2), Monitor::new())?
        }
        "vamana" => Hnsw::builder().params(vamana).par(Par::Threads(2)).build(store)?,
        "nsw" => Hnsw::builder().params(HnswParams::nsw(16)).par(Par::Threads(2)).build(store)?,
        "fast" => batch(Quality::Fast).build(store, Par::Threads(2), Monitor::new())?,
        "balanced" => batch(Quality::Balanced).build(store, Par::Threads(2), Monitor::new())?,
        "high" => batch(Quality::High).build(store, Par::Threads(2), Monitor::new())?,
        _ => Hnsw::builder().par(Par::Threads(2)).build(store)?,
    };
    let mut out = std::io::stdout().lock();
    let (seconds, cpu) = (start.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    writeln!(
        out,
        "{graph}: {seconds:.2} s ({cpu:.1} s of processors), mean degree {:.2}, peak {}",
        index.hierarchy().mean_degree(),
        peak()
    )?;
    let index = Hnsw::from_parts(index.into_parts().0, searched).ok_or("links of other rows")?;
    let curve: Vec<[f64; 4]> = EFS.iter().map(|&ef| measure(&index, ef, queries, truth)).collect();
    for recall in [0.9, 0.95, 0.99] {
        let pair = curve.windows(2).find(|pair| pair[0][1] < recall && recall <= pair[1][1]);
        if let Some([a, b]) = pair {
            let share = (recall - a[1]) / (b[1] - a[1]);
            let at = |i: usize| a[i] + share * (b[i] - a[i]);
            writeln!(out, "  recall {recall}: ef {:.1}, {:.0} distances, {:.0} a second", at(0), at(2), at(3))?;
        }
    }
    Ok(())
}

/// `ef`, recall@10 by id, mean distances and queries a second.
fn measure<S: VectorStore<Vector = [f32]>>(
    index: &Hnsw<S>,
    ef: usize,
    queries: MatrixView<'_, f32>,
    truth: &[u32],
) -> [f64; 4] {
    let mut searcher = Searcher::new(index, HnswSearch::ef(ef));
    let (mut hits, mut distances, start) = (0, 0, Instant::now());
    for (query, truth) in queries.rows().zip(truth.chunks(100)) {
        if let Ok(found) = searcher.search(query, 10) {
            hits += found.iter().filter(|n| truth[..10].contains(&n.id)).count();
        }
        distances += searcher.stats().evaluations;
    }
    let count = queries.len() as f64;
    [ef as f64, hits as f64 / (10.0 * count), distances as f64 / count, count / start.elapsed().as_secs_f64()]
}

/// What all threads have worked, as Linux says: on a machine with other work a better measure than the clock.
fn cpu_seconds() -> f64 {
    let status = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = status.rsplit(')').next().unwrap_or_default().split_whitespace();
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

/// The most memory that the process has held, as Linux says.
fn peak() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().find_map(|line| line.strip_prefix("VmHWM:")).map_or_else(String::new, |kib| kib.trim().to_owned())
}
