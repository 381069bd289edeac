//! Rows that are no vectors, under distances of your own: `cargo run --example own_metric`.
//!
//! The typed API below the facade takes any row type that a `Distance` compares: a closure, a function, one of
//! `ann::core::distance`, or an implementation for a type of yours.
#![allow(clippy::print_stdout)]

use ann::core::distance::Levenshtein;
use ann::core::{Exact, Par, Searcher, SpaceStore};
use ann::graph::{Hnsw, HnswSearch};

/// A stay on a calendar: where it begins and how long it is, in days.
#[derive(Clone)]
struct Stay {
    first: i32,
    days: i32,
}

/// One minus the share of days that two stays have in common.
fn apart(a: &Stay, b: &Stay) -> f32 {
    let common = ((a.first + a.days).min(b.first + b.days) - a.first.max(b.first)).max(0);
    1.0 - common as f32 / (a.days + b.days - common) as f32
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Words by edit distance. Every word of three syllables is a row of type `String`, searched for as `str`.
    let syllables = ["ka", "lo", "mi", "ne", "ru", "sa", "ti", "vo", "ze", "chu"];
    let word = |i: usize| [i / 100, i / 10, i].map(|digit| syllables[digit % 10]).concat();
    let words = SpaceStore::<str, _>::from_rows((0..1000).map(word), Levenshtein)?;
    let hnsw = Hnsw::builder().m(16).par(Par::Ambient).build(words)?;
    let mut searcher = Searcher::new(&hnsw, HnswSearch::ef(40));
    let found = searcher.search("kalomy", 3)?.to_vec();
    for neighbor in &found {
        println!("{} is {} edits from kalomy", hnsw.store().row(neighbor.id), neighbor.distance);
    }
    println!("{} of 1000 words were compared", searcher.stats().evaluations);

    // A struct by a function. `Exact` compares every row, which for a few thousand is fast enough.
    let stays = (0..300).map(|i| Stay { first: i * 7 % 365, days: 1 + i % 21 });
    let exact = Exact::new(SpaceStore::<Stay, _>::from_rows(stays, apart)?);
    let summer = Stay { first: 180, days: 14 };
    for neighbor in Searcher::new(&exact, ()).search(&summer, 3)? {
        let Stay { first, days } = exact.store().row(neighbor.id);
        println!("day {first} for {days} days: {:.0} % in common", 100.0 * (1.0 - neighbor.distance));
    }
    Ok(())
}
