//! Score-aware codes: errors along a row count for more than errors across it.
//!
//! Guo et al., *Accelerating large-scale inference with anisotropic vector quantization*, ICML 2020, arXiv:1908.10396. A
//! row that a query finds by its inner product is nearly parallel to it, so the part of the error that is parallel to the
//! row moves the products that matter. What is made small is `‖x - x̃‖² + (η - 1) ⟨x - x̃, x / ‖x‖⟩²`. The error along the
//! row is a sum over the groups of a product quantizer: codes begin at the nearest centroids and change one group at a
//! time, the worst first, as long as the loss falls. Codebooks are those of k-means, as in the authors' library; with
//! [`AnisotropicParams::refine`] they are then moved to the least loss for the codes, all at once, by conjugate
//! gradients on the normal equations (theirs is a closed form). `η` is given as such and not by their threshold `T`,
//! which depends on norm and dimension: `η = (d - 1) T² / (1 - T²)` for unit rows.
//!
//! Cost: encoding a few times `2^nbits dim`; queries, distances and bytes are those of [`Pq`].

use crate::linalg::pieces;
use crate::pq::{PqQuery, training_rows};
use crate::{Pq, PqParams, Quantizer, TrainError};
use ann_core::simd::{Kernel, Op, Rows};
use ann_core::{MatrixView, Metric, Par, ScratchPool};

#[cfg(test)]
mod tests;

/// How to train an [`Anisotropic`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AnisotropicParams {
    /// Groups, bits and sample; 4 bits and two columns in a group are common.
    pub pq: PqParams,
    /// How much more an error along the row counts, at least 1; 2 to 4 for most rows.
    pub eta: f32,
    /// How many times codebooks are fitted to the codes and codes to the codebooks.
    pub refine: usize,
}

impl Default for AnisotropicParams {
    fn default() -> Self {
        Self { pq: PqParams { nbits: 4, ..PqParams::default() }, eta: 2.5, refine: 0 }
    }
}

/// A product quantizer for inner products, whose codes are chosen by their anisotropic loss.
///
/// ```
/// use ann_core::{Matrix, Metric, Par};
/// use ann_quant::{Anisotropic, AnisotropicParams, CodeStore, PqParams, Quantizer};
/// let rows = Matrix::new((0..600).map(|i| (i % 97) as f32 - 48.0).collect(), 6)?;
/// let params = AnisotropicParams { pq: PqParams { m: 3, nbits: 4, ..Default::default() }, ..Default::default() };
/// let quantizer = Anisotropic::train(rows.view(), Metric::InnerProduct, &params, Par::Serial)?;
/// assert_eq!((quantizer.eta(), quantizer.code_len()), (2.5, 2));
/// let codes = CodeStore::from_rows(quantizer, rows.view(), Par::Serial)?;
/// assert_eq!(codes.code(0).len(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Anisotropic {
    eta: f32,
    pq: Pq,
    /// Between a query and centroids.
    dot: Kernel<f32, f32>,
}

impl Anisotropic {
    /// Trains codebooks on `rows`, `(n, dim)`, on the threads of `par`; the same on any number of them.
    ///
    /// # Errors
    /// As [`Pq::train`]; the metric must be `InnerProduct` or `Cosine`.
    pub fn train(
        rows: MatrixView<'_, f32>,
        metric: Metric,
        params: &AnisotropicParams,
        par: Par,
    ) -> Result<Self, TrainError> {
        let mut trained = Self::from_parts(params.eta, Pq::train(rows, metric, &params.pq, par)?)?;
        if params.refine > 0 {
            let sample = training_rows(rows, metric, &params.pq)?;
            for _ in 0..params.refine {
                let centroids = par.install(|par| trained.fitted(&sample, par));
                let PqParams { m, nbits, .. } = params.pq;
                trained.pq = Pq::from_codebooks(centroids, rows.dim(), m, nbits, metric)?;
            }
        }
        Ok(trained)
    }

    /// A quantizer of what [`Self::eta`] and [`Self::pq`] gave.
    ///
    /// # Errors
    /// [`TrainError`] if `eta` is not finite or less than 1, or the metric is neither `InnerProduct` nor `Cosine`.
    pub fn from_parts(eta: f32, pq: Pq) -> Result<Self, TrainError> {
        if !(eta.is_finite() && eta >= 1.0) {
            return Err(TrainError::Param { name: "eta", found: eta as usize, must: "finite and at least 1" });
        }
        let refused = TrainError::Metric { metric: pq.metric(), kind: Self::NAME };
        match (pq.metric(), Kernel::new(pq.arch(), Op::Dot)) {
            (Metric::InnerProduct | Metric::Cosine, Some(dot)) => Ok(Self { eta, pq, dot }),
            _ => Err(refused),
        }
    }

    /// How much more an error along the row counts.
    pub fn eta(&self) -> f32 {
        self.eta
    }

    /// The codebooks.
    pub fn pq(&self) -> &Pq {
        &self.pq
    }

    /// The centroid of every group.
    fn choose(&self, vector: &[f32], scratch: &mut Vec<f32>) -> Vec<u32> {
        choose(&self.pq, self.eta, vector, vector, scratch)
    }

    /// Codebooks of less loss for the codes that `rows` have.
    fn fitted(&self, rows: &[f32], par: Par) -> Vec<f32> {
        /// The loss is flat long before the equations are solved.
        const STEPS: usize = 25;
        let (dim, m) = (self.dim(), self.pq.m());
        let mut codes = vec![0; rows.len() / dim * m];
        par.for_each_chunk_mut(&mut codes, 256 * m, &ScratchPool::<Vec<f32>>::default(), |scratch, at, codes| {
            for (code, row) in codes.chunks_exact_mut(m).zip(rows[at / m * dim..].chunks_exact(dim)) {
                code.copy_from_slice(&self.choose(row, scratch));
            }
        });
        let mut books: Vec<f64> = self.pq.codebooks().iter().map(|&x| f64::from(x)).collect();
        let mut residual = self.gradient(rows, &codes, &books, true, par);
        let mut direction = residual.clone();
        let mut square = dot(&residual, &residual);
        let enough = square * 1e-10;
        for _ in 0..STEPS {
            let image = self.gradient(rows, &codes, &direction, false, par);
            let step = square / dot(&direction, &image);
            if square <= enough || !step.is_finite() {
                break;
            }
            books.iter_mut().zip(&direction).for_each(|(x, d)| *x += step * d);
            residual.iter_mut().zip(&image).for_each(|(r, i)| *r -= step * i);
            let next = dot(&residual, &residual);
            let keep = next / square;
            square = next;
            direction.iter_mut().zip(&residual).for_each(|(d, r)| *d = r + keep * *d);
        }
        books.into_iter().map(|x| x as f32).collect()
    }

    /// `Σ Bᵀ (I + (η - 1) x̂ x̂ᵀ) v` over the rows `x` whose codes select the columns `B`, where `v` is `x - B books` or
    /// `B books`.
    fn gradient(&self, rows: &[f32], codes: &[u32], books: &[f64], of_error: bool, par: Par) -> Vec<f64> {
        let (dim, m, weight) = (self.dim(), self.pq.m(), f64::from(self.eta) - 1.0);
        // Where the book of every group starts, and its columns.
        let mut starts = Vec::with_capacity(m);
        let mut start = 0;
        for (width, book) in self.pq.groups() {
            starts.push((start, width));
            start += book.len();
        }
        let places = |code: &[u32]| -> Vec<(usize, usize)> {
            starts.iter().zip(code).map(|(&(start, width), &index)| (start + index as usize * width, width)).collect()
        };
        pieces(rows.len() / dim, books.len(), par, |range, sum| {
            let mut v: Vec<f64> = Vec::with_capacity(dim);
            for (row, code) in rows.chunks_exact(dim).zip(codes.chunks_exact(m)).take(range.end).skip(range.start) {
                let places = places(code);
                v.clear();
                v.extend(places.iter().flat_map(|&(at, width)| &books[at..at + width]));
                if of_error {
                    v.iter_mut().zip(row).for_each(|(v, &x)| *v = f64::from(x) - *v);
                }
                let square: f64 = row.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
                let along: f64 = row.iter().zip(&v).map(|(&x, v)| f64::from(x) * v).sum();
                let pull = if square > 0.0 { weight * along / square } else { 0.0 };
                let mut columns = v.iter().zip(row).map(|(v, &x)| v + pull * f64::from(x));
                for (at, width) in places {
                    sum[at..at + width].iter_mut().zip(&mut columns).for_each(|(sum, x)| *sum += x);
                }
            }
        })
    }
}

/// The centroid of every group for the least loss, where errors along `direction` count `eta` times as much: the row itself, of which `vector`
/// may be a part. `scratch` holds, for every centroid, its squared distance and the part of its error along the direction.
pub(crate) fn choose(pq: &Pq, eta: f32, vector: &[f32], direction: &[f32], scratch: &mut Vec<f32>) -> Vec<u32> {
    const ROUNDS: usize = 10;
    let mut chosen: Vec<u32> = pq.nearest(vector).collect();
    let norm = direction.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt() as f32;
    if norm == 0.0 {
        return chosen;
    }
    let k = 1 << pq.nbits();
    scratch.clear();
    let mut start = 0;
    for (width, book) in pq.groups() {
        let (part, toward) = (&vector[start..start + width], &direction[start..start + width]);
        start += width;
        for centroid in book.chunks_exact(width) {
            let (mut square, mut along) = (0.0, 0.0);
            for ((&x, &d), &c) in part.iter().zip(toward).zip(centroid) {
                square += (x - c) * (x - c);
                along += (x - c) * d;
            }
            scratch.extend([square, along / norm]);
        }
    }
    let (entries, _) = scratch.as_chunks::<2>();
    let entry = |group: usize, index: u32| entries[group * k + index as usize];
    let mut order: Vec<usize> = (0..chosen.len()).collect();
    order.sort_by(|&a, &b| entry(b, chosen[b])[0].total_cmp(&entry(a, chosen[a])[0]));
    let mut along: f32 = chosen.iter().enumerate().map(|(group, &index)| entry(group, index)[1]).sum();
    let weight = eta - 1.0;
    for _ in 0..ROUNDS {
        let before = chosen.clone();
        for &group in &order {
            let [square, part] = entry(group, chosen[group]);
            let rest = along - part;
            let mut least = square + weight * along * along;
            for (index, &[square, part]) in (0..).zip(&entries[group * k..(group + 1) * k]) {
                let loss = square + weight * (rest + part) * (rest + part);
                if loss < least {
                    (least, chosen[group], along) = (loss, index, rest + part);
                }
            }
        }
        if chosen == before {
            break;
        }
    }
    chosen
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

impl Quantizer for Anisotropic {
    const NAME: &'static str = "anisotropic quantizer";
    type Prepared = PqQuery;

    fn dim(&self) -> usize {
        self.pq.dim()
    }

    fn metric(&self) -> Metric {
        self.pq.metric()
    }

    fn code_len(&self) -> usize {
        self.pq.code_len()
    }

    fn encode(&self, vector: &[f32], scratch: &mut Vec<f32>, code: &mut [u8]) {
        self.pq.pack(self.choose(vector, scratch).into_iter(), code);
    }

    fn decode(&self, code: &[u8], vector: &mut [f32]) {
        self.pq.decode(code, vector);
    }

    fn prepare(&self, query: &[f32], out: &mut PqQuery) {
        // Codes are chosen for products under cosine, too.
        self.pq.tables(query, self.dot, -1.0, &mut out.tables);
        out.base = if self.metric() == Metric::Cosine { 1.0 } else { 0.0 };
    }

    fn gather(&self, query: &PqQuery, codes: Rows<'_, u8>, ids: &[u32], out: &mut [f32]) {
        self.pq.gather(query, codes, ids, out);
    }

    fn scan(&self, query: &PqQuery, codes: Rows<'_, u8>, out: &mut [f32]) {
        self.pq.scan(query, codes, out);
    }
}

impl AsRef<Pq> for Anisotropic {
    fn as_ref(&self) -> &Pq {
        &self.pq
    }
}
