//! Labels and times of clusterings, for `benches/peers/evoc.py`:
//! `measure_evoc ROWS.f32 N DIM FIRST_SEED SEEDS THREADS OUT`.
//!
//! Prints the seconds of every run. Writes, for every seed, the labels of the layer that stands out most and of the
//! finest one as `i32`.
#![allow(clippy::print_stdout)]

use ann_cluster::{Evoc, EvocParams};
use ann_core::{Matrix, Monitor, Par};
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [rows, n, dim, first, seeds, threads, out] = args.as_slice() else {
        return Err("usage: measure_evoc ROWS.f32 N DIM FIRST_SEED SEEDS THREADS OUT".into());
    };
    let (n, dim, first, seeds): (usize, usize, u64, u64) = (n.parse()?, dim.parse()?, first.parse()?, seeds.parse()?);
    let bytes = std::fs::read(rows)?;
    let values: Vec<f32> = bytes.as_chunks().0.iter().map(|&value| f32::from_le_bytes(value)).collect();
    let rows = Matrix::new(values, dim)?;
    if rows.len() != n {
        return Err(format!("{} rows, expected {n}", rows.len()).into());
    }
    let par = Par::Threads(threads.parse()?);
    let mut labels = Vec::new();
    for seed in first..first + seeds {
        let start = Instant::now();
        let found = Evoc::fit(&rows, &EvocParams { seed, ..EvocParams::default() }, par, Monitor::new())?;
        println!("{}", start.elapsed().as_secs_f64());
        for layer in [found.best(), &found.layers()[0]] {
            labels.extend(layer.signed_labels().iter().flat_map(|label| label.to_le_bytes()));
        }
    }
    std::fs::write(out, labels)?;
    Ok(())
}
