//! k-means: rows divided among `k` centroids so that squared distances to the nearest are small.
//!
//! Lloyd, *Least squares quantization in PCM*, IEEE Trans. Inf. Theory 1982: assign every row to its nearest centroid,
//! move every centroid to the mean of its rows, repeat. Starts from random rows or from k-means++ (Arthur and
//! Vassilvitskii, SODA 2007). A cluster that lost all rows takes half of the largest one: a copy of its centroid, the
//! two moved apart by 1/1024. Variants: mini-batch (Sculley, *Web-scale k-means clustering*, WWW 2010), two levels, and
//! balanced, which raises the price of full clusters.
//!
//! Sums are made in f64, each centroid's in the order of its rows, so that no result depends on the number of threads.
//!
//! Cost: `n k dim` multiply-adds an iteration, on at most [`KMeansParams::sample_per_centroid`] rows per centroid.

use crate::TrainError;
use crate::nearest::{MAX_CENTROIDS, Table};
use crate::training::check_rows;
use ann_core::simd::{Arch, Kernel, Op, Rows};
use ann_core::{MAX_ROWS, Matrix, MatrixView, Metric, Par, ScratchPool, split_mix, unit};
use bounds::{Bounds, NONE};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

mod bounds;
mod variants;

#[cfg(test)]
mod tests;

/// Where centroids start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum KMeansInit {
    /// At random rows.
    #[default]
    Random,
    /// k-means++: each at a row drawn with a chance in proportion to its squared distance from those before it.
    PlusPlus,
}

/// How to divide rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KMeansParams {
    /// Number of centroids, at least 1.
    pub k: usize,
    /// Most iterations; fewer when no row changes its cluster any more.
    pub iterations: usize,
    /// Where random choices come from.
    pub seed: u64,
    /// Where centroids start.
    pub init: KMeansInit,
    /// Whether centroids have norm 1 and rows go to the one with the largest product.
    pub spherical: bool,
    /// Rows that are trained on, for each centroid; the others are only labelled.
    pub sample_per_centroid: usize,
}

impl Default for KMeansParams {
    fn default() -> Self {
        Self {
            k: 256,
            iterations: 25,
            seed: 0,
            init: KMeansInit::default(),
            spherical: false,
            sample_per_centroid: 256,
        }
    }
}

impl KMeansParams {
    /// Whether every parameter is in its range.
    ///
    /// # Errors
    /// [`TrainError::Param`] for the first that is not.
    pub fn check(&self) -> Result<(), TrainError> {
        if self.k == 0 || self.k > MAX_CENTROIDS {
            return Err(TrainError::Param { name: "k", found: self.k, must: "1 to 16,777,216" });
        }
        if self.sample_per_centroid == 0 {
            return Err(TrainError::Param { name: "sample_per_centroid", found: 0, must: "at least 1" });
        }
        Ok(())
    }
}

/// Rows divided among centroids.
///
/// ```
/// use ann_core::{Matrix, Par};
/// use ann_quant::{KMeans, KMeansParams};
/// let rows = Matrix::new(vec![0.0, 1.0, 10.0, 11.0], 1)?;
/// let found = KMeans::train(rows.view(), &KMeansParams { k: 2, ..Default::default() }, Par::Serial)?;
/// assert_eq!(found.labels[0], found.labels[1]);
/// assert_ne!(found.labels[1], found.labels[2]);
/// assert_eq!(found.inertia, 1.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct KMeans {
    /// `(k, dim)`.
    pub centroids: Matrix<f32>,
    /// The centroid of every row.
    pub labels: Vec<u32>,
    /// Sum of the squared distances of all rows to their centroids.
    pub inertia: f64,
    /// How often centroids moved: fewer times than allowed where no row changed its centroid any more.
    pub iterations: usize,
}

impl KMeans {
    /// Divides `rows`, `(n, dim)`, by Lloyd's iteration on the threads of `par`.
    ///
    /// # Errors
    /// [`TrainError`] if a parameter is out of range, a row is not finite, or there are fewer rows than centroids.
    pub fn train(rows: MatrixView<'_, f32>, params: &KMeansParams, par: Par) -> Result<Self, TrainError> {
        let arch = check(rows, params)?;
        Ok(par.install(|par| train(rows, params, arch, par)))
    }

    /// Rows per centroid.
    pub fn sizes(&self) -> Vec<u32> {
        sizes(&self.labels, self.centroids.len())
    }

    /// `k Σ (size / n)²`: 1 where all clusters are equally large, `k` where one has every row.
    pub fn imbalance(&self) -> f64 {
        let squares: f64 = self.sizes().iter().map(|&size| f64::from(size) * f64::from(size)).sum();
        let n = self.labels.len() as f64;
        if n > 0.0 { squares / (n * n) * self.centroids.len() as f64 } else { 1.0 }
    }

    /// Labels all `rows` with their nearest centroids.
    fn label(rows: MatrixView<'_, f32>, centroids: Vec<f32>, params: &KMeansParams, arch: Arch, par: Par) -> Self {
        let dim = rows.dim();
        let mut labels = vec![0; rows.len()];
        assign(&table(arch, &centroids, dim, params.spherical), rows.as_slice(), dim, &mut labels, par);
        Self::of(rows, centroids, labels, par)
    }

    /// With the inertia of labels that are there.
    fn of(rows: MatrixView<'_, f32>, centroids: Vec<f32>, labels: Vec<u32>, par: Par) -> Self {
        let inertia = inertia(rows.as_slice(), rows.dim(), &labels, &centroids, par);
        let centroids = Matrix::new(centroids, rows.dim()).unwrap_or_default();
        Self { centroids, labels, inertia, iterations: 0 }
    }
}

/// Rows assigned per task.
const CHUNK: usize = 512;

/// What every training checks first.
fn check(rows: MatrixView<'_, f32>, params: &KMeansParams) -> Result<Arch, TrainError> {
    params.check()?;
    check_rows(rows, Metric::L2)?;
    if rows.len() < params.k {
        return Err(TrainError::TooFew { found: rows.len(), needed: params.k });
    }
    if rows.len() > MAX_ROWS as usize {
        return Err(TrainError::Param { name: "rows", found: rows.len(), must: "at most 2,147,483,648" });
    }
    Ok(Arch::detect()?)
}

/// Divides `rows` by what is trained on a sample of them.
fn train(rows: MatrixView<'_, f32>, params: &KMeansParams, arch: Arch, par: Par) -> KMeans {
    let (dim, iterations) = (rows.dim(), params.iterations);
    let limit = params.k.saturating_mul(params.sample_per_centroid);
    match sample(rows, limit, params.seed) {
        Some(sample) => {
            let mut centroids = start(&sample, dim, params, arch, par);
            let iterations = lloyd(&sample, dim, &mut centroids, iterations, params.spherical, arch, par);
            KMeans { iterations, ..KMeans::label(rows, centroids, params, arch, par) }
        }
        // What is known of every row gives its last label for little.
        None => {
            let mut centroids = start(rows.as_slice(), dim, params, arch, par);
            let mut lloyd = Lloyd::new(rows.as_slice(), dim, params.k, params.spherical, arch);
            let iterations = lloyd.run(&mut centroids, iterations, par);
            lloyd.assign(&centroids, par);
            KMeans { iterations, ..KMeans::of(rows, centroids, lloyd.labels, par) }
        }
    }
}

/// `limit` rows chosen at random, in their order; `None` if there are no more.
pub(crate) fn sample(rows: MatrixView<'_, f32>, limit: usize, seed: u64) -> Option<Vec<f32>> {
    if rows.len() <= limit {
        return None;
    }
    let mut sample = Vec::with_capacity(limit * rows.dim());
    for id in choose(rows.len(), limit, seed) {
        sample.extend_from_slice(rows.row(id as usize));
    }
    Some(sample)
}

/// `count` different numbers below `n`, ascending.
fn choose(n: usize, count: usize, seed: u64) -> Vec<u32> {
    let mut keys: Vec<(u64, u32)> = (0..n as u32).map(|id| (split_mix(seed, u64::from(id)), id)).collect();
    if count < n {
        keys.select_nth_unstable(count);
        keys.truncate(count);
    }
    let mut ids: Vec<u32> = keys.into_iter().map(|(_, id)| id).collect();
    ids.sort_unstable();
    ids
}

/// `k` first centroids.
pub(crate) fn start(rows: &[f32], dim: usize, params: &KMeansParams, arch: Arch, par: Par) -> Vec<f32> {
    // Streams of their own: the sample was drawn from `seed` itself.
    let seed = split_mix(params.seed, 1);
    let ids = match (params.init, Kernel::new(arch, Op::SquaredL2)) {
        (KMeansInit::PlusPlus, Some(kernel)) => plus_plus(rows, dim, params.k, seed, kernel, par),
        _ => choose(rows.len() / dim, params.k, seed),
    };
    let mut centroids: Vec<f32> = Vec::with_capacity(params.k * dim);
    for id in ids {
        centroids.extend_from_slice(&rows[id as usize * dim..][..dim]);
    }
    if params.spherical {
        centroids.chunks_exact_mut(dim).for_each(normalise);
    }
    centroids
}

fn plus_plus(rows: &[f32], dim: usize, k: usize, seed: u64, kernel: Kernel<f32, f32>, par: Par) -> Vec<u32> {
    let n = rows.len() / dim;
    let mut ids = vec![(split_mix(seed, 0) % n as u64) as u32];
    let mut nearest = vec![f32::INFINITY; n];
    let pool = ScratchPool::<Vec<f32>>::default();
    while ids.len() < k {
        let last = ids[ids.len() - 1] as usize;
        let newest = &rows[last * dim..][..dim];
        par.for_each_chunk_mut(&mut nearest, CHUNK, &pool, |distances, at, nearest| {
            distances.resize(nearest.len(), 0.0);
            let rows = Rows::new(&rows[at * dim..][..nearest.len() * dim], dim, dim);
            kernel.scan(newest, rows, distances);
            nearest.iter_mut().zip(distances).for_each(|(nearest, distance)| *nearest = nearest.min(*distance));
        });
        nearest[last] = 0.0;
        let total: f64 = nearest.iter().map(|&distance| f64::from(distance)).sum();
        let target = unit(split_mix(seed, ids.len() as u64)) * total;
        let mut sum = 0.0;
        let drawn = nearest.iter().position(|&distance| {
            sum += f64::from(distance);
            distance > 0.0 && sum >= target
        });
        // No row is left that differs from all centroids: any will do.
        ids.push(drawn.map_or((split_mix(seed, ids.len() as u64) % n as u64) as u32, |id| id as u32));
    }
    ids
}

/// Lloyd's iteration on `centroids`, which are where they start; `labels` become those of the last assignment. Gives
/// the number of times that centroids moved.
pub(crate) fn lloyd(
    rows: &[f32],
    dim: usize,
    centroids: &mut [f32],
    iterations: usize,
    spherical: bool,
    arch: Arch,
    par: Par,
) -> usize {
    Lloyd::new(rows, dim, centroids.len() / dim, spherical, arch).run(centroids, iterations, par)
}

/// Rows on their way to their centroids.
struct Lloyd<'a> {
    rows: &'a [f32],
    dim: usize,
    spherical: bool,
    arch: Arch,
    bounds: Option<Bounds<'a>>,
    labels: Vec<u32>,
    sums: Sums,
    /// How far centroids went since rows were assigned.
    drifts: Vec<f32>,
}

impl<'a> Lloyd<'a> {
    fn new(rows: &'a [f32], dim: usize, k: usize, spherical: bool, arch: Arch) -> Self {
        let bounds = Bounds::new(rows, dim, k, arch);
        let (labels, drifts) = (vec![NONE; rows.len() / dim], vec![0.0; k]);
        Self { rows, dim, spherical, arch, bounds, labels, sums: Sums::new(k, dim), drifts }
    }

    /// At most so many iterations, and how many there were before no row changed its cluster any more.
    fn run(&mut self, centroids: &mut [f32], iterations: usize, par: Par) -> usize {
        let (mut before, mut from) = (self.labels.clone(), centroids.to_vec());
        for iteration in 0..iterations {
            self.assign(centroids, par);
            if self.labels == before {
                return iteration;
            }
            self.sums.shift(self.rows, &before, &self.labels, par);
            from.copy_from_slice(centroids);
            self.sums.means(centroids, self.spherical);
            split_largest(centroids, self.dim, &mut self.sums.sizes.clone());
            self.drifts.clear();
            let pairs = from.chunks_exact(self.dim).zip(centroids.chunks_exact(self.dim));
            // Rounded up: a bound that is too wide costs time, a narrow one the nearest centroid.
            self.drifts.extend(pairs.map(|(from, to)| squared(from, to).sqrt() as f32 * (1.0 + f32::EPSILON)));
            before.copy_from_slice(&self.labels);
        }
        iterations
    }

    /// Labels become the nearest of `centroids`.
    fn assign(&mut self, centroids: &[f32], par: Par) {
        match &mut self.bounds {
            Some(bounds) => bounds.assign(centroids, &self.drifts, &mut self.labels, par),
            None => {
                let table = table(self.arch, centroids, self.dim, self.spherical);
                assign(&table, self.rows, self.dim, &mut self.labels, par);
            }
        }
    }
}

fn table(arch: Arch, centroids: &[f32], dim: usize, spherical: bool) -> Table {
    if spherical {
        Table::new(arch, centroids, dim, centroids.chunks_exact(dim).map(|_| 0.0))
    } else {
        Table::l2(arch, centroids, dim)
    }
}

fn assign(table: &Table, rows: &[f32], dim: usize, labels: &mut [u32], par: Par) {
    par.for_each_chunk_mut(labels, CHUNK, &ScratchPool::<()>::default(), |(), at, labels| {
        table.nearest(&rows[at * dim..][..labels.len() * dim], labels);
    });
}

fn sizes(labels: &[u32], k: usize) -> Vec<u32> {
    let mut sizes = vec![0; k];
    labels.iter().for_each(|&label| sizes[label as usize] += 1);
    sizes
}

/// The sums of the rows of every cluster.
struct Sums {
    dim: usize,
    /// `(k, dim)`.
    sums: Vec<f64>,
    sizes: Vec<u32>,
}

impl Sums {
    fn new(k: usize, dim: usize) -> Self {
        Self { dim, sums: vec![0.0; k * dim], sizes: vec![0; k] }
    }

    /// Takes every row from the cluster `before`, unless that is [`NONE`], to the one `after`.
    fn shift(&mut self, rows: &[f32], before: &[u32], after: &[u32], par: Par) {
        /// Clusters per task.
        const TASK: usize = 16;
        let Self { dim, sums, sizes } = self;
        let dim = *dim;
        // Rows that leave or come in order of the clusters, so that every sum is made by one thread, in the order of rows.
        let moves = || (0u32..).zip(before.iter().zip(after)).filter(|(_, (before, after))| before != after);
        let mut ends = vec![0; sizes.len() + 1];
        for (_, (&before, &after)) in moves() {
            for cluster in [before, after].into_iter().filter(|&cluster| cluster != NONE) {
                ends[cluster as usize + 1] += 1;
            }
        }
        for c in 1..ends.len() {
            ends[c] += ends[c - 1];
        }
        let starts = ends.clone();
        let mut order = vec![(0, false); ends[sizes.len()]];
        for (row, (&before, &after)) in moves() {
            for (cluster, comes) in [(before, false), (after, true)] {
                if cluster != NONE {
                    let cluster = cluster as usize;
                    order[ends[cluster]] = (row, comes);
                    ends[cluster] += 1;
                    sizes[cluster] = if comes { sizes[cluster] + 1 } else { sizes[cluster] - 1 };
                }
            }
        }
        par.for_each_chunk_mut(sums, TASK * dim, &ScratchPool::<()>::default(), |(), at, sums| {
            for (c, sum) in (at / dim..).zip(sums.chunks_exact_mut(dim)) {
                for &(row, comes) in &order[starts[c]..ends[c]] {
                    let row = &rows[row as usize * dim..][..dim];
                    match comes {
                        true => sum.iter_mut().zip(row).for_each(|(sum, &x)| *sum += f64::from(x)),
                        false => sum.iter_mut().zip(row).for_each(|(sum, &x)| *sum -= f64::from(x)),
                    }
                }
            }
        });
    }

    /// Moves every centroid that has rows to their mean, or its direction.
    fn means(&self, centroids: &mut [f32], spherical: bool) {
        let clusters = self.sums.chunks_exact(self.dim).zip(&self.sizes);
        for (mean, (sums, &size)) in centroids.chunks_exact_mut(self.dim).zip(clusters) {
            let scale = match spherical {
                true => sums.iter().map(|x| x * x).sum::<f64>().sqrt().recip(),
                false => 1.0 / f64::from(size),
            };
            // Rows that cancel have no direction: the centroid stays, as where there are no rows.
            if size > 0 && scale.is_finite() {
                mean.iter_mut().zip(sums).for_each(|(mean, &sum)| *mean = (sum * scale) as f32);
            }
        }
    }
}

/// Gives every empty cluster half of the largest one.
fn split_largest(centroids: &mut [f32], dim: usize, sizes: &mut [u32]) {
    const APART: f32 = 1.0 / 1024.0;
    let empty: Vec<usize> = (0..sizes.len()).filter(|&c| sizes[c] == 0).collect();
    if empty.is_empty() {
        return;
    }
    let mut largest: BinaryHeap<(u32, Reverse<usize>)> =
        sizes.iter().enumerate().filter(|(_, size)| **size > 1).map(|(c, &size)| (size, Reverse(c))).collect();
    for c in empty {
        let Some((size, Reverse(donor))) = largest.pop() else {
            return;
        };
        centroids.copy_within(donor * dim..(donor + 1) * dim, c * dim);
        for j in 0..dim {
            let sign = if j % 2 == 0 { APART } else { -APART };
            centroids[c * dim + j] *= 1.0 + sign;
            centroids[donor * dim + j] *= 1.0 - sign;
        }
        (sizes[c], sizes[donor]) = (size / 2, size - size / 2);
        for half in [c, donor] {
            if sizes[half] > 1 {
                largest.push((sizes[half], Reverse(half)));
            }
        }
    }
}

fn inertia(rows: &[f32], dim: usize, labels: &[u32], centroids: &[f32], par: Par) -> f64 {
    let pool = ScratchPool::<()>::default();
    let parts = par.map_chunks(labels.len(), CHUNK, &pool, |(), range| {
        range.map(|i| squared(&rows[i * dim..][..dim], &centroids[labels[i] as usize * dim..][..dim])).sum::<f64>()
    });
    parts.into_iter().sum()
}

/// The squared distance, in f64.
pub(crate) fn squared(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2)).sum()
}

fn normalise(vector: &mut [f32]) {
    let norm = vector.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
    if norm > 0.0 {
        vector.iter_mut().for_each(|x| *x = (f64::from(*x) / norm) as f32);
    }
}
