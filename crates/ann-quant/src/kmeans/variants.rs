//! k-means in other orders: by batches, in two levels, and with clusters of like size.

use super::{KMeans, KMeansParams, NONE, Sums, assign, check, lloyd, normalise, sample, sizes, start, table, train};
use crate::TrainError;
use crate::nearest::Table;
use ann_core::{MatrixView, Par, split_mix};

impl KMeans {
    /// Divides `rows` by batches of `batch` random rows, one for each of the iterations: each row of a batch pulls its
    /// centroid by one over the number of rows that it has had. Centroids with less than a hundredth of the rows of the
    /// largest move to a random row of the batch, in the first half of the iterations.
    ///
    /// # Errors
    /// As [`KMeans::train`], and if `batch` is 0.
    pub fn mini_batch(
        rows: MatrixView<'_, f32>,
        params: &KMeansParams,
        batch: usize,
        par: Par,
    ) -> Result<Self, TrainError> {
        let arch = check(rows, params)?;
        if batch == 0 {
            return Err(TrainError::Param { name: "batch", found: 0, must: "at least 1" });
        }
        let dim = rows.dim();
        par.install(|par| {
            let mut centroids = start(rows.as_slice(), dim, params, arch, par);
            let mut counts = vec![0u64; params.k];
            let (mut picked, mut labels) = (vec![0.0; batch * dim], vec![0; batch]);
            let mut draws = (0..).map(|index| split_mix(split_mix(params.seed, 2), index) as usize);
            for iteration in 0..params.iterations {
                for (row, draw) in picked.chunks_exact_mut(dim).zip(&mut draws) {
                    row.copy_from_slice(rows.row(draw % rows.len()));
                }
                assign(&table(arch, &centroids, dim, params.spherical), &picked, dim, &mut labels, par);
                for (row, &label) in picked.chunks_exact(dim).zip(&labels) {
                    let label = label as usize;
                    counts[label] += 1;
                    let rate = 1.0 / counts[label] as f32;
                    let centroid = &mut centroids[label * dim..][..dim];
                    centroid.iter_mut().zip(row).for_each(|(c, &x)| *c += (x - *c) * rate);
                }
                let largest = counts.iter().copied().max().unwrap_or_default();
                for (c, count) in counts.iter_mut().enumerate() {
                    if 2 * iteration < params.iterations && *count * 100 < largest {
                        let row = draws.next().unwrap_or_default() % batch;
                        centroids[c * dim..][..dim].copy_from_slice(&picked[row * dim..][..dim]);
                        *count = 1;
                    }
                }
                if params.spherical {
                    centroids.chunks_exact_mut(dim).for_each(normalise);
                }
            }
            Ok(Self { iterations: params.iterations, ..Self::label(rows, centroids, params, arch, par) })
        })
    }

    /// Divides `rows` among about `√k` centroids and the rows of each among as many of its own as their share of the
    /// rows gives it, so that an iteration costs `2 n √k dim` instead of `n k dim`; two iterations with all `k` follow,
    /// since rows near a border may be nearer to a centroid behind it. Labels are the nearest of all `k`.
    ///
    /// # Errors
    /// As [`KMeans::train`].
    pub fn two_level(rows: MatrixView<'_, f32>, params: &KMeansParams, par: Par) -> Result<Self, TrainError> {
        const REFINE: usize = 2;
        let arch = check(rows, params)?;
        let dim = rows.dim();
        par.install(|par| {
            let limit = params.k.saturating_mul(params.sample_per_centroid);
            let sample = sample(rows, limit, params.seed);
            let sample = MatrixView::new(sample.as_deref().unwrap_or(rows.as_slice()), dim).unwrap_or(rows);
            let top = KMeansParams { k: params.k.isqrt(), ..*params };
            let upper = train(sample, &top, arch, par);
            let mut members = vec![Vec::new(); top.k];
            for (row, &label) in sample.rows().zip(&upper.labels) {
                members[label as usize].extend_from_slice(row);
            }
            let shares = shares(&upper.sizes(), params.k);
            let mut centroids = Vec::with_capacity(params.k * dim);
            for ((rows, &k), cluster) in members.iter().zip(&shares).zip(0..) {
                if k == 0 {
                    continue;
                }
                let params = KMeansParams { k, seed: split_mix(params.seed, cluster), ..*params };
                let mut part = start(rows, dim, &params, arch, par);
                lloyd(rows, dim, &mut part, params.iterations, params.spherical, arch, par);
                centroids.extend(part);
            }
            let iterations = lloyd(sample.as_slice(), dim, &mut centroids, REFINE, params.spherical, arch, par);
            Ok(Self { iterations, ..Self::label(rows, centroids, params, arch, par) })
        })
    }

    /// Divides `rows` into clusters of like size: from the result of [`KMeans::train`] on, every cluster has a price that
    /// is added to squared distances and rises while the cluster has more rows than the mean. Ends when the largest has
    /// at most 1.1 times the mean, or after the iterations; labels are those of the round whose largest cluster was
    /// smallest, and not always the nearest.
    ///
    /// # Errors
    /// As [`KMeans::train`].
    pub fn balanced(rows: MatrixView<'_, f32>, params: &KMeansParams, par: Par) -> Result<Self, TrainError> {
        const ENOUGH: f64 = 1.1;
        let arch = check(rows, params)?;
        let dim = rows.dim();
        par.install(|par| {
            let first = train(rows, params, arch, par);
            let mut centroids = first.centroids.as_slice().to_vec();
            let mean = rows.len() as f64 / params.k as f64;
            // Prices move by a share of the mean squared distance, which shrinks so that they settle.
            let unit = first.inertia / rows.len() as f64 / 2.0;
            let largest = |labels: &[u32]| sizes(labels, params.k).into_iter().max().unwrap_or_default();
            let mut labels = first.labels.clone();
            let (mut best, mut best_largest) = (first, largest(&labels));
            let mut prices = vec![0.0; params.k];
            for round in 0..4 * params.iterations {
                if f64::from(best_largest) <= ENOUGH * mean {
                    break;
                }
                let step = unit * 0.3 / (1.0 + round as f64 / 8.0);
                for (price, size) in prices.iter_mut().zip(sizes(&labels, params.k)) {
                    *price += step * (f64::from(size) / mean - 1.0).clamp(-1.0, 1.0);
                }
                let offsets = centroids.chunks_exact(dim).zip(&prices).map(|(centroid, price)| {
                    let half = centroid.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>() / 2.0;
                    (price + if params.spherical { 0.0 } else { half }) as f32
                });
                assign(&Table::new(arch, &centroids, dim, offsets), rows.as_slice(), dim, &mut labels, par);
                let mut sums = Sums::new(params.k, dim);
                sums.shift(rows.as_slice(), &vec![NONE; labels.len()], &labels, par);
                sums.means(&mut centroids, params.spherical);
                if largest(&labels) < best_largest {
                    best_largest = largest(&labels);
                    let iterations = best.iterations + round + 1;
                    best = Self { iterations, ..Self::of(rows, centroids.clone(), labels.clone(), par) };
                }
            }
            Ok(best)
        })
    }
}

/// `k` divided in proportion to `sizes`, none getting more than its size; the sizes sum to at least `k`.
fn shares(sizes: &[u32], k: usize) -> Vec<usize> {
    let total: usize = sizes.iter().map(|&size| size as usize).sum();
    let mut shares: Vec<usize> = sizes.iter().map(|&size| size as usize * k / total.max(1)).collect();
    let mut left = k - shares.iter().sum::<usize>();
    // What rounding left goes to whoever has most rows for each of its centroids.
    while left > 0 {
        let most = (0..sizes.len()).filter(|&c| shares[c] < sizes[c] as usize);
        let Some(c) = most.max_by_key(|&c| (sizes[c] as usize / (shares[c] + 1), usize::MAX - c)) else { break };
        shares[c] += 1;
        left -= 1;
    }
    shares
}
