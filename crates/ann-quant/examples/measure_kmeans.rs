//! How long k-means takes and how good it is: `measure_kmeans ROWS DIM K ITERATIONS THREADS SEED`, rows as little-endian `f32`. All rows are trained on, and
//! start from rows drawn at random.

#![allow(clippy::print_stdout, reason = "an example that is about figures")]

use ann_core::{Matrix, Par};
use ann_quant::{KMeans, KMeansParams};
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [rows, dim, k, iterations, threads, seed] = &args[..] else {
        return Err("measure_kmeans ROWS DIM K ITERATIONS THREADS SEED".into());
    };
    let values = std::fs::read(rows)?.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
    let rows = Matrix::new(values, dim.parse()?)?;
    let (k, iterations, seed) = (k.parse()?, iterations.parse()?, seed.parse()?);
    let params = KMeansParams { k, iterations, seed, sample_per_centroid: usize::MAX >> 32, ..KMeansParams::default() };
    let start = Instant::now();
    let found = KMeans::train(rows.view(), &params, Par::Threads(threads.parse()?))?;
    println!("{:.3} s, inertia {:.6e}", start.elapsed().as_secs_f64(), found.inertia);
    Ok(())
}
