//! Rows divided among centroids: `cargo run --example kmeans`.
#![allow(clippy::print_stdout)]

use ann::core::{split_mix, unit};
use ann::prelude::*;
use ann::quant::{KMeans, KMeansInit, KMeansParams, assign};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Twelve heaps around random places in 32 dimensions, and 3,000 rows of each in turn.
    let (heaps, dim) = (12, 32);
    let place = |heap: u64, column: u64| 4.0 * unit(split_mix(1, heap * dim + column));
    let value = |i: u64| place(i / dim % heaps, i % dim) + unit(split_mix(2, i));
    let rows = Matrix::new((0..3_000 * heaps * dim).map(|i| value(i) as f32).collect(), dim as usize)?;

    // k-means++ starts far apart; the same seed gives the same centroids on any number of threads.
    let params = KMeansParams { k: heaps as usize, init: KMeansInit::PlusPlus, seed: 7, ..KMeansParams::default() };
    let found = KMeans::train(rows.view(), &params, Par::Ambient)?;
    println!("{} iterations, inertia {:.0}, imbalance {:.3}", found.iterations, found.inertia, found.imbalance());
    assert_eq!(found, KMeans::train(rows.view(), &params, Par::Serial)?);

    // Of several starts the best: each has a seed of its own.
    let starts = (0..5).map(|seed| KMeans::train(rows.view(), &KMeansParams { seed, ..params }, Par::Ambient));
    let starts = starts.collect::<Result<Vec<_>, _>>()?;
    let best = starts.iter().map(|found| found.inertia).fold(f64::INFINITY, f64::min);
    println!("best of {} starts: {best:.0}", starts.len());

    // Batches of random rows, where there are too many to look at all again and again; clusters of like size; two levels.
    let batches = KMeans::mini_batch(rows.view(), &KMeansParams { iterations: 50, ..params }, 1_000, Par::Ambient)?;
    let balanced = KMeans::balanced(rows.view(), &params, Par::Ambient)?;
    let two_level = KMeans::two_level(rows.view(), &KMeansParams { k: 144, ..params }, Par::Ambient)?;
    for (name, found) in [("mini-batch", &batches), ("balanced", &balanced), ("two levels", &two_level)] {
        println!("{name}: inertia {:.0}, largest cluster {:?}", found.inertia, found.sizes().iter().max());
    }

    // Rows that come later.
    let mut labels = [0; 2];
    let new = Matrix::new([rows.row(0), rows.row(1)].concat(), dim as usize)?;
    assign(new.view(), found.centroids.view(), Metric::L2, &mut labels, Par::Serial)?;
    assert_eq!(labels, [found.labels[0], found.labels[1]]);
    Ok(())
}
