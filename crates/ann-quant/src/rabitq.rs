//! RaBitQ: the direction of a rotated row on a grid of 1 to 8 bits, with an estimator that knows its own error.
//!
//! Gao and Long, *RaBitQ: quantizing high-dimensional vectors with a theoretical error bound for approximate nearest neighbor
//! search*, SIGMOD 2024, arXiv:2405.12497; more than one bit: Gao et al., *Practical and asymptotically optimal quantization of
//! high-dimensional vectors in Euclidean space*, SIGMOD 2025, arXiv:2409.09913. One bit is the sign of a coordinate. With
//! more, of all grids the one is sought on which the rounded row points most nearly where the row does; the
//! search visits every scale at which some coordinate changes its number.
//!
//! Where we differ: the search begins at smaller scales than the authors' (for 4 bits theirs begins beyond the best one),
//! judges codes as they are clipped, and judges the first as well; queries are rounded to 8 bits, deterministically.
//!
//! Cost: a search sorts some `d · 2^bits` scales; `fast` tries two that are best for random rows on average instead. Memory:
//! `bits / 8` bytes a coordinate, 12 of factors, 8 more where staged.

use crate::floats::{largest, product};
use crate::rotated::{Layout, Rotated, RotatedQuery};
use crate::rotation::gauss;
use crate::{Quantizer, TrainError};
use ann_core::simd::Rows;
use ann_core::{MatrixView, Metric, Par};

/// What a [`Rabitq`] is made of.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "persist", derive(serde::Serialize, serde::Deserialize))]
pub struct RabitqParams {
    /// Bits of a coordinate: 1 to 8.
    pub bits: u32,
    /// Of the random rotation.
    pub seed: u64,
    /// Whether rows share the scales that are best on average. Encodes faster by orders, to a slightly larger error.
    pub fast: bool,
    /// Whether sign bits lie apart, so that [`Rabitq::gather_below`] can do with them where they suffice. Whole codes
    /// take longer to read then.
    pub staged: bool,
    /// Standard deviations between an estimate and its bounds. 1.9 leaves out 1 in 18 distances, half of them below.
    pub epsilon0: f32,
}

impl Default for RabitqParams {
    fn default() -> Self {
        Self { bits: 4, seed: 0x7261_6269, fast: false, staged: false, epsilon0: 1.9 }
    }
}

impl RabitqParams {
    /// Whether the values make sense together.
    ///
    /// # Errors
    /// [`TrainError::Param`] for the first that does not.
    pub fn check(&self) -> Result<(), TrainError> {
        if !(1..=8).contains(&self.bits) {
            return Err(TrainError::Param { name: "bits", found: self.bits as usize, must: "1 to 8" });
        }
        if !self.epsilon0.is_finite() || self.epsilon0 < 0.0 {
            let found = self.epsilon0 as usize;
            return Err(TrainError::Param { name: "epsilon0", found, must: "finite and not negative" });
        }
        Ok(())
    }

    pub(crate) fn layout(&self) -> Layout {
        // One bit is all sign.
        Layout { bits: self.bits, staged: self.staged && self.bits > 1, errors: true }
    }
}

/// Codes of 1 to 8 bits with unbiased estimates and error bounds.
///
/// ```
/// use ann_core::{Matrix, Metric, Par};
/// use ann_quant::{CodeStore, Quantizer, Rabitq, RabitqParams};
///
/// let rows = Matrix::new((0..64 * 100).map(|i| ((i * i) as f32).sin()).collect(), 64)?;
/// let params = RabitqParams { bits: 2, ..RabitqParams::default() };
/// let rabitq = Rabitq::train(rows.view(), Metric::L2, &params, Par::Serial)?;
/// let store = CodeStore::from_rows(rabitq, rows.view(), Par::Serial)?;
///
/// let (mut query, mut near, mut least) = (Default::default(), [0.0], [0.0]);
/// store.quantizer().prepare(rows.row(3), &mut query);
/// store.quantizer().gather_bounds(&query, store.rows(), &[3], &mut near, &mut least);
/// assert!(least[0] < near[0] && near[0] < 10.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Rabitq {
    pub(crate) params: RabitqParams,
    pub(crate) rotated: Rotated,
    /// Scales that all rows share, if they do.
    scales: Option<Scales>,
}

impl Rabitq {
    /// Learns the mean of `rows`, `(n, dim)`.
    ///
    /// # Errors
    /// [`TrainError`] if there are no rows, one cannot be used, the metric is not L2, inner product or cosine, or a parameter
    /// is outside its range.
    pub fn train(
        rows: MatrixView<'_, f32>,
        metric: Metric,
        params: &RabitqParams,
        par: Par,
    ) -> Result<Self, TrainError> {
        params.check()?;
        let rotated = Rotated::train(rows, metric, params.seed, params.layout(), Self::NAME, par)?;
        Ok(Self::with(*params, rotated))
    }

    pub(crate) fn with(params: RabitqParams, rotated: Rotated) -> Self {
        let dim = rotated.rotation().padded_dim();
        let scales = (params.fast && params.bits > 1).then(|| Scales::of(dim, params.bits - 1));
        Self { params, rotated, scales }
    }

    /// What it was made of.
    pub fn params(&self) -> &RabitqParams {
        &self.params
    }

    /// As [`Quantizer::gather`]; `lower[i]` becomes a bound that the distance is above but once in about forty times, at
    /// the default of [`RabitqParams::epsilon0`].
    ///
    /// # Panics
    /// If an id is no row, or lengths differ.
    pub fn gather_bounds(
        &self,
        query: &RotatedQuery,
        codes: Rows<'_, u8>,
        ids: &[u32],
        out: &mut [f32],
        lower: &mut [f32],
    ) {
        assert!(lower.len() == ids.len(), "{} ids, room for {} bounds", ids.len(), lower.len());
        self.rotated.gather_errors(query, codes, ids, out, lower);
        for (lower, out) in lower.iter_mut().zip(out) {
            *lower = *out - self.params.epsilon0 * *lower;
        }
    }

    /// As [`Quantizer::gather`], but `out[i]` becomes infinite where the sign bits alone put the lower bound at `bound` or
    /// beyond; the number of codes that were read whole. Reads all of them unless [`RabitqParams::staged`].
    ///
    /// # Panics
    /// If an id is no row, or lengths differ.
    pub fn gather_below(
        &self,
        query: &RotatedQuery,
        codes: Rows<'_, u8>,
        ids: &[u32],
        bound: f32,
        out: &mut [f32],
    ) -> usize {
        assert!(out.len() == ids.len(), "{} ids, room for {} values", ids.len(), out.len());
        self.rotated.gather_below(query, codes, ids, out, (bound, self.params.epsilon0))
    }
}

impl Quantizer for Rabitq {
    const NAME: &'static str = "rabitq";
    type Prepared = RotatedQuery;

    fn dim(&self) -> usize {
        self.rotated.dim()
    }

    fn metric(&self) -> Metric {
        self.rotated.metric()
    }

    fn code_len(&self) -> usize {
        self.rotated.code_len()
    }

    fn encode(&self, vector: &[f32], scratch: &mut Vec<f32>, code: &mut [u8]) {
        let (r, numbers) = self.rotated.residual(vector, scratch);
        match (self.params.bits - 1, self.scales) {
            (0, _) => {}
            (extra, Some(scales)) => scales.apply(r, extra, numbers),
            (extra, None) => _ = search(r, extra, numbers),
        }
        let half = (1_u32 << (self.params.bits - 1)) as f32;
        for (number, &r) in numbers.iter_mut().zip(r) {
            *number = if r > 0.0 { half + *number } else { half - 1.0 - *number };
        }
        self.rotated.write(vector, r, numbers, code);
    }

    fn is_code(&self, code: &[u8]) -> bool {
        self.rotated.is_code(code)
    }

    fn decode(&self, code: &[u8], vector: &mut [f32]) {
        self.rotated.decode(code, vector);
    }

    fn prepare(&self, query: &[f32], out: &mut RotatedQuery) {
        self.rotated.prepare(query, out);
    }

    fn gather(&self, query: &RotatedQuery, codes: Rows<'_, u8>, ids: &[u32], out: &mut [f32]) {
        self.rotated.gather(query, codes, ids, out);
    }
}

/// Where the search begins for 1 to 7 extra bits, as a share of where it ends. The best scale lies above for all but
/// freaks; measured on random rows of 64 and of 256 coordinates.
const START: [f64; 7] = [0.15, 0.20, 0.38, 0.55, 0.68, 0.72, 0.75];

/// Scales beyond the one where the largest coordinate is clipped: it may be worth clipping this many numbers.
const BEYOND: f64 = 10.0;

/// `numbers` become the magnitudes of `r` in units of `1 / scale`, rounded down and clipped to `extra` bits.
fn magnitudes(r: &[f32], scale: f64, extra: u32, numbers: &mut [f32]) {
    let most = ((1_u32 << extra) - 1) as f32;
    let scale = scale as f32;
    for (number, r) in numbers.iter_mut().zip(r) {
        *number = (r.abs() * scale).min(most) as u8 as f32;
    }
}

/// `numbers` become the magnitudes of `extra` bits that point most nearly where `r` does; the scale that gives them, 0 for a
/// row of zeros.
fn search(r: &[f32], extra: u32, numbers: &mut [f32]) -> f64 {
    let most = f64::from((1_u32 << extra) - 1);
    let largest = f64::from(largest(r));
    numbers.fill(0.0);
    if largest == 0.0 {
        return 0.0;
    }
    let end = (most + BEYOND) / largest;
    let start = end * START[extra as usize - 1];
    magnitudes(r, start, extra, numbers);
    // Each number is the middle of a cell: half a unit more.
    let (mut shared, mut size, mut changes) = (0.0, 0.0, Vec::new());
    for (i, (&r, &number)) in r.iter().zip(&*numbers).enumerate() {
        let (r, number) = (f64::from(r.abs()), f64::from(number));
        shared += r * (number + 0.5);
        size += (number + 0.5) * (number + 0.5);
        let mut next = number + 1.0;
        while next <= most && next <= end * r {
            // Positive floats are in the order of their bits.
            changes.push(u64::from(((next / r) as f32).to_bits()) << 32 | i as u64);
            next += 1.0;
        }
    }
    changes.sort_unstable();
    let scale_at = |change: u64| f64::from(f32::from_bits((change >> 32) as u32));
    let (mut best, mut kept, mut scale) = (shared * shared / size, 0, start);
    let first = numbers.to_vec();
    for (done, &change) in changes.iter().enumerate() {
        let i = (change & u64::from(u32::MAX)) as usize;
        numbers[i] += 1.0;
        shared += f64::from(r[i].abs());
        size += 2.0 * f64::from(numbers[i]);
        if shared * shared > best * size {
            (best, kept, scale) = (shared * shared / size, done + 1, scale_at(change));
        }
    }
    numbers.copy_from_slice(&first);
    for &change in &changes[..kept] {
        numbers[(change & u64::from(u32::MAX)) as usize] += 1.0;
    }
    scale
}

/// The scales that are best on average for rows in any direction.
#[derive(Debug, Clone, Copy)]
struct Scales {
    /// For rows of norm 1: better where few bits clip what is large.
    by_norm: f64,
    /// For rows whose largest coordinate is 1: better where many bits do not.
    by_largest: f64,
}

impl Scales {
    fn of(dim: usize, extra: u32) -> Self {
        // Of very long rows fewer say as much.
        let rows = ((1 << 20) / dim as u64).clamp(1, 100);
        const SEED: u64 = 0x7363_616c;
        let (mut numbers, mut scales) = (vec![0.0; dim], Self { by_norm: 0.0, by_largest: 0.0 });
        for row in 0..rows {
            let r: Vec<f32> = (0..dim as u64).map(|i| gauss(SEED, row * dim as u64 + i) as f32).collect();
            let scale = search(&r, extra, &mut numbers) / rows as f64;
            scales.by_norm += scale * product(&r, &r).sqrt();
            scales.by_largest += scale * f64::from(largest(&r));
        }
        scales
    }

    /// `numbers` become the better of what the two give.
    fn apply(self, r: &[f32], extra: u32, numbers: &mut [f32]) {
        let (norm, largest) = (product(r, r).sqrt(), f64::from(largest(r)));
        if largest == 0.0 {
            return numbers.fill(0.0);
        }
        let quality = |numbers: &[f32]| {
            let (mut shared, mut size) = (0.0, 0.0);
            for (number, r) in numbers.iter().zip(r) {
                shared += r.abs() * (number + 0.5);
                size += (number + 0.5) * (number + 0.5);
            }
            shared * (shared / size)
        };
        magnitudes(r, self.by_norm / norm, extra, numbers);
        let first = quality(numbers);
        magnitudes(r, self.by_largest / largest, extra, numbers);
        if first > quality(numbers) {
            magnitudes(r, self.by_norm / norm, extra, numbers);
        }
    }
}

#[cfg(test)]
mod tests;
