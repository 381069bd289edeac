//! What a search of an exact tree costs: `measure_trees ROWS QUERIES DIM TREE K,..`, rows and queries as little-endian `f32`, TREE `kd` or `ball`. For each `k` the least
//! time of five passes over the queries on one thread, the rows compared, and the mean distance of the last result, by which others may check it.

#![allow(clippy::print_stdout, reason = "an example that is about figures")]

use ann_core::{FlatStore, Index, Matrix, Metric, Monitor, Par, Searcher};
use ann_tree::{BallTree, KdTree};
use std::time::Instant;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [rows, queries, dim, tree, ks] = &args[..] else {
        return Err("measure_trees ROWS QUERIES DIM TREE K,..".into());
    };
    let dim = dim.parse()?;
    let (rows, queries) = (floats(rows, dim)?, floats(queries, dim)?);
    let ks = ks.split(',').map(str::parse).collect::<Result<Vec<usize>, _>>()?;
    let store = FlatStore::<f32>::from_rows(rows.view(), Metric::L2)?;
    let start = Instant::now();
    match tree.as_str() {
        "kd" => measure(&KdTree::build(store, Par::Threads(2), Monitor::new())?, start, &queries, &ks),
        "ball" => measure(&BallTree::build(store, Par::Threads(2), Monitor::new())?, start, &queries, &ks),
        other => Err(format!("{other} is no tree").into()),
    }
}

fn floats(path: &str, dim: usize) -> Result<Matrix<f32>, Failure> {
    let values = std::fs::read(path)?.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
    Ok(Matrix::new(values, dim)?)
}

fn measure(
    tree: &impl Index<Vector = [f32]>,
    start: Instant,
    queries: &Matrix<f32>,
    ks: &[usize],
) -> Result<(), Failure> {
    println!("built in {:.3} s", start.elapsed().as_secs_f64());
    let mut searcher = Searcher::new(tree, Default::default());
    for &k in ks {
        let (mut best, mut compared, mut last) = (f64::INFINITY, 0, 0.0);
        for _ in 0..5 {
            let start = Instant::now();
            (compared, last) = (0, 0.0);
            for query in queries.rows() {
                last += searcher.search(query, k)?.last().map_or(0.0, |found| f64::from(found.distance).sqrt());
                compared += searcher.stats().evaluations;
            }
            best = best.min(start.elapsed().as_secs_f64());
        }
        let n = queries.len() as f64;
        println!("k {k}: {:.3} us, {:.0} compared, distance {:.6}", best * 1e6 / n, compared as f64 / n, last / n);
    }
    Ok(())
}
