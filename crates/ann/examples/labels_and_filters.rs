//! Names of your own for rows, rows added later, and searches among some rows only:
//! `cargo run --example labels_and_filters`.
#![allow(clippy::print_stdout)]

use ann::prelude::*;

/// A catalogue of paints: number, name, red, green, blue.
const PAINTS: [(u64, &str, [f32; 3]); 6] = [
    (1001, "brick", [156.0, 60.0, 44.0]),
    (1002, "rose", [226.0, 96.0, 120.0]),
    (2001, "moss", [86.0, 110.0, 50.0]),
    (2002, "mint", [150.0, 220.0, 170.0]),
    (3001, "navy", [20.0, 30.0, 90.0]),
    (3002, "sky", [130.0, 190.0, 240.0]),
];

fn name(label: u64) -> &'static str {
    PAINTS.iter().find(|paint| paint.0 == label).map_or("(new)", |paint| paint.1)
}

fn main() -> Result<(), ann::Error> {
    let vectors = Matrix::from_rows(&PAINTS.map(|paint| paint.2))?;
    let labels = PAINTS.map(|paint| paint.0);
    let options = BuildOptions { labels: Some(&labels), ..BuildOptions::default() };
    let mut index = "HNSW16".parse::<Spec>()?.build(&vectors, &options)?;

    let teal = [40.0, 130.0, 130.0];
    let nearest = index.search(&teal, 2)?;
    println!("nearest to teal: {}, {}", name(nearest[0].label), name(nearest[1].label));

    // A filter sees labels. It is asked during the search, so `k` rows come back if there are so many.
    let reds = |label: u64| label < 2000;
    let nearest = index.search_filtered(&teal, 2, &SearchParams::default(), &reds)?;
    println!("nearest to teal among the reds: {}, {}", name(nearest[0].label), name(nearest[1].label));

    // Rows can be added at any time, with labels or without.
    index.add(&Matrix::from_rows(&[[50.0, 140.0, 128.0]])?, Some(&[4001]))?;
    println!("and now: {} {}", index.search(&teal, 1)?[0].label, name(4001));

    // Labels are unique; a second row of the same name is refused, and nothing is changed.
    let error = index.add(&Matrix::from_rows(&[teal])?, Some(&[1001]));
    println!("{}", error.err().map_or_else(String::new, |error| error.to_string()));

    // What is removed is not found any more, and its label is free.
    index.remove(&[4001, 2001])?;
    println!("without them: {}", name(index.search(&teal, 1)?[0].label));

    // Everything within a distance, however many these are.
    let near = index.search_range(&teal, 150.0, usize::MAX, &SearchParams::default(), None)?;
    println!("within 150 of teal: {}", near.iter().map(|hit| name(hit.label)).collect::<Vec<_>>().join(", "));
    Ok(())
}
