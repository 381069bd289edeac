//! Searches a graph with filters by every route, and says which reaches the recall wanted at the least time: what the choice of a route is calibrated by.
//!
//! `cargo run --release -p ann-graph --example measure_filters -- TRAIN TEST DIM STORE`: rows and queries as little-endian `f32`; STORE is `u8` (L2)
//! or `halves` (cosine). Filters accept 10, 1 and 0.1 % of the rows, drawn at random or nearest to the query, as a set of rows and as a closure.

use ann_core::{Exact, Filter, FlatStore, Matrix, MatrixView, Metric, Monitor, Par, Predicate, Route, RowSet};
use ann_core::{Searcher, SplitStore, VectorStore};
use ann_graph::{Hnsw, HnswSearch, Pipnn};
use std::io::Write;
use std::time::Instant;

type Failure = Box<dyn std::error::Error>;

const K: usize = 10;
const WANTED: f64 = 0.95;
const QUERIES: usize = 100;
const EFS: [usize; 12] = [10, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512];
const ROUTES: [Option<Route>; 4] = [None, Some(Route::Walk), Some(Route::TwoHops), Some(Route::Scan)];

fn main() -> Result<(), Failure> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [train, test, dim, store] = &args[..] else { return Err("expected TRAIN TEST DIM STORE".into()) };
    let (train, test) = (floats(train, dim.parse()?)?, floats(test, dim.parse()?)?);
    match store.as_str() {
        "u8" => run(FlatStore::<u8>::from_rows(train.view(), Metric::L2)?, test.view()),
        _ => run(SplitStore::from_rows(train.view(), Metric::Cosine)?, test.view()),
    }
}

fn floats(path: &str, dim: usize) -> Result<Matrix<f32>, Failure> {
    let values = std::fs::read(path)?.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
    Ok(Matrix::new(values, dim)?)
}

fn run<S: VectorStore<Vector = [f32]> + Clone>(store: S, queries: MatrixView<'_, f32>) -> Result<(), Failure> {
    let (n, queries) = (store.len(), queries.slice(0..QUERIES));
    let exact = Exact::new(store.clone());
    let graph = Pipnn::default().build(store, Par::Threads(2), Monitor::new())?;
    let (mut ranked, mut out) = (Vec::new(), std::io::stdout().lock());
    for query in queries.rows() {
        ranked.push(Searcher::new(&exact, ()).search(query, n)?.iter().map(|found| found.id).collect::<Vec<u32>>());
    }
    writeln!(
        out,
        "{:<7} {:>6} {:<8} {:<14} {:>5} {:>6} {:>9} {:>9}",
        "filter", "share", "as", "route", "ef", "recall", "us", "compared"
    )?;
    for near in [false, true] {
        for share in [0.1, 0.01, 0.001] {
            let count = (share * n as f64) as usize;
            let step = n / count;
            let sets: Vec<RowSet> = ranked
                .iter()
                .map(|order| {
                    if near { order[..count].iter().copied().collect() } else { (0..n as u32).step_by(step).collect() }
                })
                .collect();
            for route in ROUTES {
                for asked in [false, true] {
                    let line = measure(&graph, queries, &ranked, &sets, route, asked)?;
                    let (name, form) = (if near { "near" } else { "random" }, if asked { "closure" } else { "set" });
                    let route = route.map_or("chosen".to_owned(), |route| format!("{route:?}"));
                    writeln!(out, "{name:<7} {share:>6} {form:<8} {route:<14} {line}")?;
                }
            }
        }
    }
    Ok(())
}

/// The first width that reaches the recall wanted, or the last.
fn measure<S: VectorStore<Vector = [f32]>>(
    graph: &Hnsw<S>,
    queries: MatrixView<'_, f32>,
    ranked: &[Vec<u32>],
    sets: &[RowSet],
    route: Option<Route>,
    asked: bool,
) -> Result<String, Failure> {
    let mut line = String::new();
    for ef in EFS {
        let mut searcher = Searcher::new(graph, HnswSearch { route, ..HnswSearch::ef(ef) });
        let (start, mut passes, mut hits, mut wanted, mut compared) = (Instant::now(), 0, 0, 0, 0);
        while passes == 0 || start.elapsed().as_secs_f64() < 0.2 {
            for ((query, set), order) in queries.rows().zip(sets).zip(ranked) {
                let found = if asked {
                    searcher.search_filtered(query, K, &Predicate(|row| set.accepts(row)))?
                } else {
                    searcher.search_filtered(query, K, set)?
                };
                if passes == 0 {
                    let truth: Vec<u32> = order.iter().copied().filter(|&row| set.accepts(row)).take(K).collect();
                    hits += found.iter().filter(|hit| truth.contains(&hit.id)).count();
                    wanted += truth.len();
                    compared += searcher.stats().evaluations;
                }
            }
            passes += 1;
        }
        let each = start.elapsed().as_secs_f64() * 1e6 / (passes * queries.len()) as f64;
        let recall = hits as f64 / wanted as f64;
        line = format!("{ef:>5} {recall:>6.3} {each:>9.1} {:>9}", compared / queries.len() as u64);
        if recall >= WANTED {
            break;
        }
    }
    Ok(line)
}
