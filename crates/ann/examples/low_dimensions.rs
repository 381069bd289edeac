//! Points in the plane and in space, found exactly; words under an edit distance: `cargo run --example low_dimensions`.
#![allow(clippy::print_stdout)]

use ann::Monitor;
use ann::core::distance::Levenshtein;
use ann::core::{All, FlatStore, Searcher, SpaceStore, split_mix, unit};
use ann::prelude::*;
use ann::tree::{BallTree, KdTree, TreeSearch};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // 20,000 places in a square of 100 by 100 km.
    let values = (0..20_000 * 2).map(|i| 100.0 * unit(split_mix(1, i)) as f32).collect();
    let places = Matrix::new(values, 2)?;
    let here = [50.0, 50.0];

    // A KD-tree finds the nearest with certainty and looks at a few leaves of 32 rows.
    let index = ann::index_factory("KDTree", &places, Metric::L2)?;
    for hit in index.search(&here, 3)? {
        println!("place {:5} is {:.2} km away", hit.label, hit.distance);
    }

    // The tree itself also finds all within a radius; L2 is squared inside.
    let tree = KdTree::build(FlatStore::<f32>::from_rows(places.view(), Metric::L2)?, Par::Serial, Monitor::new())?;
    let (mut scratch, mut found) = (Default::default(), Vec::new());
    let stats = tree.within(&here, 5.0 * 5.0, &All, &mut scratch, &mut found)?;
    println!("{} places within 5 km, of {} that were compared", found.len(), stats.evaluations);

    // A ball tree asks for nothing but a metric: here the number of edits between words.
    let words = ["search", "starch", "march", "neighbour", "neighbor", "labour", "tree", "three", "trees"];
    let store = SpaceStore::<str, _>::from_rows(words.map(str::to_owned), Levenshtein)?;
    let tree = BallTree::build(store, Par::Serial, Monitor::new())?;
    for near in Searcher::new(&tree, TreeSearch::default()).search("tre", 2)? {
        println!("`{}` is {} edits from `tre`", words[near.id as usize], near.distance);
    }
    Ok(())
}
