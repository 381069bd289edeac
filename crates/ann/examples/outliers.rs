//! How many dimensions data have near each row, and which rows lie apart: `cargo run --release --example outliers`.
#![allow(clippy::print_stdout)]

use ann::core::{Exact, FlatStore, split_mix, unit};
use ann::graph::{
    dimensional_outlier_factors, global_dimension, local_dimension, local_outlier_factors, neighbors_of_rows,
};
use ann::prelude::*;

/// 900 rows on a sheet of two dimensions, 300 in a ball of eight, in 16 columns; and six rows a little off the sheet.
fn rows() -> Matrix<f32> {
    let draw = |stream: u64, i: usize| unit(split_mix(stream, i as u64)) as f32;
    let mut rows = vec![[0.0; 16]; 1206];
    for (i, row) in rows.iter_mut().enumerate() {
        let columns = if (900..1200).contains(&i) { 8 } else { 2 };
        row[..columns].iter_mut().enumerate().for_each(|(d, x)| *x = 4.0 * draw(1, 16 * i + d));
        match i {
            0..900 => {}
            900..1200 => row[15] = 50.0,
            _ => row[2] = 0.6,
        }
    }
    Matrix::from_rows(&rows).unwrap_or_else(|_| unreachable!("rows of one length"))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let rows = rows();

    // Any index gives the neighbours; for few rows exact search is the fastest.
    let index = Exact::new(FlatStore::<f32>::from_rows(rows.view(), Metric::L2)?);
    let many = neighbors_of_rows(&index, rows.view(), Metric::L2, 50, &(), Par::Ambient)?;
    let few = neighbors_of_rows(&index, rows.view(), Metric::L2, 15, &(), Par::Ambient)?;

    let local: Vec<f64> = many
        .iter()
        .map(|near| near.iter().map(|neighbor| neighbor.distance).collect::<Vec<_>>())
        .map(|distances| local_dimension(&distances).map_or(f64::NAN, |dimension| dimension.value))
        .collect();
    let mean = |range: std::ops::Range<usize>| global_dimension(local[range].iter().copied()).unwrap_or(f64::NAN);
    println!("dimension of the sheet: {:.1}, of the ball: {:.1}", mean(0..900), mean(900..1200));

    // Rows off the sheet are far from all, measured by how near their neighbours are to each other. The second factor takes the dimension into
    // account: distances count for more where they grow slowly, and so rows at the rim of the ball stand out as well.
    for (name, factors) in
        [("LOF", local_outlier_factors(&few)), ("with dimension", dimensional_outlier_factors(&few, &local))]
    {
        let mut order: Vec<usize> = (0..rows.len()).collect();
        order.sort_by(|&a, &b| factors[b].total_cmp(&factors[a]));
        let found = order[..6].iter().filter(|&&row| row >= 1200).count();
        println!(
            "{name}: {found} of the six rows off the sheet are among the six that stand out most: {:?}",
            &order[..6]
        );
    }
    Ok(())
}
