//! How many dimensions the rows have near a point, and which rows lie apart: estimates from distances to nearest rows.
//!
//! All of it takes true distances ([`Metric::reported`](ann_core::Metric::reported)), of each row to its nearest *others*, ascending:
//! [`neighbors_of_rows`] collects them from any index.

use ann_core::{All, Batch, Index, MatrixView, Metric, Neighbor, Par, RowError, search_batch};

/// An estimate with the interval that holds the true value in 95 of 100 cases.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dimension {
    /// The estimate.
    pub value: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
}

impl Dimension {
    /// `count` logarithms of ratios that sum to `sum`: under the model a gamma variable whose shape is their number.
    fn of_sum(count: usize, sum: f64) -> Self {
        let shape = count as f64;
        // Wilson & Hilferty, 1931: the cube root of a gamma variable is nearly normal.
        let quantile = |z: f64| shape * (1.0 - 1.0 / (9.0 * shape) + z / (3.0 * shape.sqrt())).max(0.0).powi(3);
        Self { value: shape / sum, low: quantile(-1.96) / sum, high: quantile(1.96) / sum }
    }
}

/// The local intrinsic dimension at a row by maximum likelihood, from the distances to its `k` nearest others, ascending.
///
/// The mean is over the `k - 1` nearer ones (Levina & Bickel, NeurIPS 2004; Amsaleg et al., KDD 2015, divide by `k`). Copies of
/// the row, at distance 0, say nothing and are left out. `None` if fewer than two others are left; infinite if all are
/// equally far. Less than the truth where it is high and rows are few: 38 of 64 for 20,000 Gaussian rows and `k` 20.
///
/// ```
/// use ann_graph::local_dimension;
/// // On a line the i-th neighbour is i steps away.
/// let distances: Vec<f32> = (1..=100).map(|i| i as f32).collect();
/// let line = local_dimension(&distances).unwrap();
/// assert!((line.value - 1.0).abs() < 0.05 && line.low < 1.0 && line.high > 1.0);
/// assert!(local_dimension(&[0.0, 0.0, 1.0]).is_none());
/// ```
pub fn local_dimension(distances: &[f32]) -> Option<Dimension> {
    let near = &distances[distances.partition_point(|&distance| distance <= 0.0)..];
    let (&farthest, nearer) = near.split_last()?;
    if nearer.is_empty() {
        return None;
    }
    let sum = nearer.iter().map(|&distance| (f64::from(farthest) / f64::from(distance)).ln()).sum();
    Some(Dimension::of_sum(nearer.len(), sum))
}

/// The dimension of a whole set from those at its rows: the mean of the inverses, since their own mean is too high
/// (MacKay & Ghahramani, 2005). `None` of none.
pub fn global_dimension(local: impl IntoIterator<Item = f64>) -> Option<f64> {
    let (count, sum) = local.into_iter().fold((0usize, 0.0), |(count, sum), value| (count + 1, sum + 1.0 / value));
    (count > 0).then(|| count as f64 / sum)
}

/// The dimension of a whole set from the two nearest others of its rows, `(nearest, second)` each: Facco et al., Scientific Reports
/// 2017. The tenth of the ratios that are largest is left out; rows with copies say nothing. `None` for fewer than ten ratios.
pub fn two_nearest_dimension(pairs: impl IntoIterator<Item = (f32, f32)>) -> Option<Dimension> {
    let useful = pairs.into_iter().filter(|&(first, second)| first > 0.0 && second.is_finite());
    let mut logs: Vec<f64> = useful.map(|(first, second)| (f64::from(second) / f64::from(first)).ln()).collect();
    if logs.len() < 10 {
        return None;
    }
    logs.sort_unstable_by(f64::total_cmp);
    let (all, kept) = (logs.len(), logs.len() - logs.len() / 10);
    // What was left out is known to be larger than the last that was kept.
    let censored = (all - kept) as f64 * logs[kept - 1];
    Some(Dimension::of_sum(kept, logs[..kept].iter().sum::<f64>() + censored))
}

/// The `k` nearest others of every row of `index`, which `rows` are, at true distances: the input of this module.
///
/// # Errors
/// [`RowError`] if a row does not fit the index.
pub fn neighbors_of_rows<I: Index<Vector = [f32]>>(
    index: &I,
    rows: MatrixView<'_, f32>,
    metric: Metric,
    k: usize,
    params: &I::Params,
    par: Par,
) -> Result<Batch, RowError> {
    let found = search_batch(index, rows, k.saturating_add(1), params, &All, par)?;
    let others = |(row, near): (usize, &[Neighbor])| {
        // Among many copies a row itself may not be listed.
        let others = near.iter().filter(|neighbor| neighbor.id as usize != row).take(k);
        others.map(|neighbor| Neighbor::new(neighbor.id, metric.reported(neighbor.distance))).collect::<Vec<_>>()
    };
    Ok(found.iter().enumerate().map(others).collect())
}

/// How much sparser the rows lie around each row than around its neighbours: about 1 within a cluster, larger apart from all.
/// Breunig et al., *LOF: identifying density-based local outliers*, SIGMOD 2000. `neighbors` as of [`neighbors_of_rows`], of all rows.
///
/// # Panics
/// If a neighbour is no row.
pub fn local_outlier_factors(neighbors: &Batch) -> Vec<f64> {
    /// Copies reach each other at once: this keeps their density finite.
    const NEAREST: f64 = 1e-10;
    let radius = |row: u32| neighbors.get(row as usize).last().map_or(0.0, |last| f64::from(last.distance));
    let density: Vec<f64> = neighbors
        .iter()
        .map(|near| {
            let reach: f64 = near.iter().map(|n| f64::from(n.distance).max(radius(n.id))).sum();
            1.0 / (reach / near.len().max(1) as f64 + NEAREST)
        })
        .collect();
    let factor = |(near, own): (&[Neighbor], &f64)| {
        let around: f64 = near.iter().map(|n| density[n.id as usize]).sum();
        if near.is_empty() { 1.0 } else { around / near.len() as f64 / own }
    };
    neighbors.iter().zip(&density).map(factor).collect()
}

/// As [`local_outlier_factors`], with distances to the power of the dimension where they are measured, so that rows in many
/// dimensions are judged as those in few: DAO, Anderberg et al., arXiv:2401.05453. `local` from [`local_dimension`] of more
/// neighbours, 100 or so; NaN and what is above 100 counts as 100.
///
/// # Panics
/// If `local` is not one value per row, or a neighbour is no row.
pub fn dimensional_outlier_factors(neighbors: &Batch, local: &[f64]) -> Vec<f64> {
    assert_eq!(neighbors.len(), local.len(), "one dimension per row");
    const MOST: f64 = 100.0;
    let radius = |row: usize| neighbors.get(row).last().map_or(0.0, |last| f64::from(last.distance));
    let factor = |row: usize| {
        let near = neighbors.get(row);
        let ratio = |n: &Neighbor| {
            let (own, other) = (radius(row), radius(n.id as usize));
            let log = match (own > 0.0, other > 0.0) {
                (true, true) => (own / other).ln(),
                // Among copies one is like the other; what is not among them lies infinitely apart.
                (apart, _) => {
                    if apart {
                        f64::INFINITY
                    } else {
                        0.0
                    }
                }
            };
            (local[n.id as usize].min(MOST) * log).exp()
        };
        if near.is_empty() { 1.0 } else { near.iter().map(ratio).sum::<f64>() / near.len() as f64 }
    };
    (0..neighbors.len()).map(factor).collect()
}
