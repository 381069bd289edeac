//! Clusters of embeddings, in layers, with noise and copies: `cargo run --release --example cluster_embeddings`.
#![allow(clippy::print_stdout)]

use ann::Monitor;
use ann::cluster::{ClusterId, Evoc, EvocParams};
use ann::core::{split_mix, unit};
use ann::prelude::*;

const DIM: usize = 32;

/// Three fields of four topics each, 120 rows a topic; 60 rows about nothing in particular; the first five rows again.
fn rows() -> Matrix<f32> {
    let normal = |stream: u64, i: usize| {
        let draws = (0..12).map(|draw| unit(split_mix(stream, (12 * i + draw) as u64)));
        (draws.sum::<f64>() - 6.0) as f32
    };
    let mut rows: Vec<[f32; DIM]> = (0..12 * 120)
        .map(|row| {
            let (topic, field) = (row % 12, row % 12 / 4);
            std::array::from_fn(|d| {
                normal(1, field * DIM + d) + 0.6 * normal(2, topic * DIM + d) + 0.3 * normal(3, row * DIM + d)
            })
        })
        .collect();
    rows.extend((0..60).map(|row| std::array::from_fn::<_, DIM, _>(|d| normal(4, row * DIM + d))));
    rows.extend_from_within(..5);
    Matrix::from_rows(&rows).unwrap_or_else(|_| unreachable!("rows of one length"))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let rows = rows();

    // Nothing has to be said about the number of clusters. The same seed gives the same clusters on any number of threads.
    let found = Evoc::fit(&rows, &EvocParams::default(), Par::Ambient, Monitor::new())?;
    for (number, layer) in found.layers().iter().enumerate() {
        let noise = 100.0 * layer.noise_fraction();
        println!(
            "layer {number}: {:2} clusters, {noise:4.1} % noise, persistence {:.0}",
            layer.n_clusters, layer.persistence
        );
    }

    // The layer that stands out most is the answer, if only one is wanted.
    let best = found.best();
    let label = best.labels[7].map_or("noise".to_owned(), |label| format!("cluster {label}"));
    println!("row 7 belongs to {label}, with strength {:.2}", best.strengths[7]);

    // What a coarse cluster is made of.
    let tree = found.tree();
    let coarsest = ClusterId { layer: found.layers().len() - 1, cluster: 0 };
    println!("the first cluster of the coarsest layer holds {} of finer ones", tree.children(coarsest).len());

    // How many clusters there are to be may be said as well.
    let params = EvocParams { approx_n_clusters: Some(3), ..EvocParams::default() };
    let three = Evoc::fit(&rows, &params, Par::Ambient, Monitor::new())?;
    println!("asked for 3 clusters, found {}", three.best().n_clusters);

    // Copies are found on the way. Near-copies: a cosine of 0.9 is 0.15 in the logarithm.
    println!("copies: {:?}", found.duplicates());
    println!("{} pairs with a cosine of 0.9 or more", found.near_duplicates(-0.9f32.log2()).len());
    Ok(())
}
