//! From rows to their nearest neighbours: `cargo run --example quickstart`.
#![allow(clippy::print_stdout)]

use ann::core::{split_mix, unit};
use ann::prelude::*;

fn main() -> Result<(), ann::Error> {
    // 5,000 rows of 32 numbers. Yours would come from a file (see `ann::io::read_vectors`) or a model.
    let values = (0..5_000 * 32).map(|i| unit(split_mix(1, i)) as f32).collect();
    let vectors = Matrix::new(values, 32)?;

    // `build` chooses the index; the same rows always give the same one.
    let index = ann::build(&vectors, Metric::L2)?;
    println!("{index:?}");

    // A label is the row's position unless you give others; the distance is Euclidean for `Metric::L2`.
    let query = vectors.row(42);
    for hit in index.search(query, 3)? {
        println!("row {:4} at distance {:.3}", hit.label, hit.distance);
    }

    // How hard to look is a knob of the search, not of the index: more effort, more of the true neighbours.
    let exact = ann::index_factory("Flat", &vectors, Metric::L2)?;
    for effort in [10, 40, 160] {
        let mut found = 0;
        for query in vectors.rows().take(100) {
            let truth = exact.search(query, 10)?;
            let hits = index.search_with(query, 10, &SearchParams::effort(effort))?;
            found += hits.iter().filter(|hit| truth.contains(hit)).count();
        }
        println!("effort {effort:3}: {:.1} % of the ten nearest", found as f64 / 10.0);
    }
    Ok(())
}
