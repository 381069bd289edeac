//! LVQ: every row on a uniform grid over its own range, around the mean of all rows.
//!
//! Aguerrebere et al., *Similarity search in the blink of an eye with compressed indices*, VLDB 2023, arXiv:2304.04759. A row
//! less the mean has a lowest value and a step; its coordinates become whole steps, 4 or 8 bits each. A second level
//! cuts what is left, at most half a step either way, into 255 steps more and needs no constants of its own: graphs are
//! walked on the first level, what they find is ranked again on both.
//!
//! Where we differ: constants are halves relative to the largest deviation seen in training, so that no data is too large or too
//! small for them; under L2 the norm of what the code stands for lies beside them. Queries meet 4-bit codes as bytes, with
//! a second byte for ranking again, and 8-bit codes as they are.
//!
//! Memory: `dim / 2` or `dim` bytes and 4, 8 under L2; the second level `dim`, and 4 under L2. No rotation: right for 8 bits,
//! and for 4 where columns are alike.

use crate::floats::{are_finite, float, product};
use crate::rotated::grid::Rounded;
use crate::training::mean;
use crate::{Quantizer, TrainError};
use ann_core::simd::{Arch, Kernel, Op, PackedDot, Rows, f16};
use ann_core::{MatrixView, Metric, Par, prepare_dense};

/// What an [`Lvq`] is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "persist", derive(serde::Serialize, serde::Deserialize))]
pub struct LvqParams {
    /// Bits of a coordinate: 4 or 8.
    pub bits: u32,
    /// Whether there is a second level of 8 bits.
    pub residual: bool,
}

impl Default for LvqParams {
    fn default() -> Self {
        Self { bits: 8, residual: false }
    }
}

/// Rows on grids of their own, of one level or two.
///
/// ```
/// use ann_core::{Matrix, Metric, Par};
/// use ann_quant::{CodeStore, Lvq, LvqParams, Quantizer};
///
/// let rows = Matrix::new((0..64 * 100).map(|i| ((i * i) as f32).sin()).collect(), 64)?;
/// let params = LvqParams { bits: 4, residual: true };
/// let lvq = Lvq::train(rows.view(), Metric::L2, &params, Par::Serial)?;
/// let store = CodeStore::from_rows(lvq, rows.view(), Par::Serial)?;
///
/// let (mut query, mut coarse, mut fine) = (Default::default(), [0.0], [0.0]);
/// store.quantizer().prepare(rows.row(3), &mut query);
/// store.quantizer().gather(&query, store.rows(), &[3], &mut coarse);
/// store.quantizer().refine(&query, store.rows(), &[3], &mut fine);
/// assert!(fine[0] < 0.01 && coarse[0] < 1.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Lvq {
    params: LvqParams,
    metric: Metric,
    mean: Vec<f32>,
    /// What constants are relative to.
    unit: f32,
    nibbles: Option<PackedDot>,
    bytes: Kernel<f32, u8>,
}

/// A query of an [`Lvq`].
#[derive(Debug, Clone, Default)]
pub struct LvqQuery {
    values: Vec<f32>,
    /// Sum of the values.
    sum: f32,
    /// What all distances have in common.
    add: f32,
    /// The values in bytes, and what these leave.
    rounded: [Rounded; 2],
    left: Vec<f32>,
}

/// What a code says beside its numbers.
#[derive(Debug, Clone, Copy)]
struct Constants {
    low: f32,
    step: f32,
}

/// Ids that are under way at once.
const BLOCK: usize = 64;

/// Steps of the second level in one of the first.
const FINE: f32 = 255.0;

impl Lvq {
    /// Learns the mean and the extent of `rows`, `(n, dim)`.
    ///
    /// # Errors
    /// [`TrainError`] if there are no rows, one cannot be used, the metric is not L2, inner product or cosine, or `bits` is
    /// neither 4 nor 8.
    pub fn train(rows: MatrixView<'_, f32>, metric: Metric, params: &LvqParams, par: Par) -> Result<Self, TrainError> {
        let mean = mean(rows, metric, Self::NAME, par)?;
        let (mut unit, mut vector) = (0.0_f32, Vec::new());
        for row in rows.rows() {
            prepare_dense(row, metric, row.len(), &mut vector);
            unit = vector.iter().zip(&mean).fold(unit, |unit, (x, mean)| unit.max((x - mean).abs()));
        }
        Self::from_parts(*params, metric, mean, if unit > 0.0 { unit.min(f32::MAX) } else { 1.0 })
    }

    /// Puts a quantizer together from what [`Self::params`], [`Quantizer::metric`], [`Self::mean`] and [`Self::unit`] gave.
    ///
    /// # Errors
    /// [`TrainError`] if `bits` is neither 4 nor 8; the rest is taken as it is.
    pub fn from_parts(params: LvqParams, metric: Metric, mean: Vec<f32>, unit: f32) -> Result<Self, TrainError> {
        let arch = Arch::detect()?;
        let nibbles = match params.bits {
            4 => PackedDot::new(arch, 4),
            8 => None,
            bits => return Err(TrainError::Param { name: "bits", found: bits as usize, must: "4 or 8" }),
        };
        let bytes = Kernel::new(arch, Op::Dot).unwrap_or_else(|| unreachable!("offered for u8 on every level"));
        Ok(Self { params, metric, mean, unit, nibbles, bytes })
    }

    /// What it was made of.
    pub fn params(&self) -> &LvqParams {
        &self.params
    }

    /// The mean that rows are taken from.
    pub fn mean(&self) -> &[f32] {
        &self.mean
    }

    /// The largest deviation from the mean in training, 1 if there was none.
    pub fn unit(&self) -> f32 {
        self.unit
    }

    /// The vector of the first level alone, into `vector` (`dim` values).
    pub fn decode_primary(&self, code: &[u8], vector: &mut [f32]) {
        let Constants { low, step } = self.constants(&code[self.primary()..]);
        for (i, (x, mean)) in vector.iter_mut().zip(&self.mean).enumerate() {
            *x = mean + (low + step * f32::from(self.number(code, i)));
        }
    }

    /// As [`Quantizer::gather`], on both levels and with more of the query. The same as it without a second level and with 8 bits.
    ///
    /// # Panics
    /// If an id is no row, or `ids` and `out` differ in length.
    pub fn refine(&self, query: &LvqQuery, codes: Rows<'_, u8>, ids: &[u32], out: &mut [f32]) {
        self.gather(query, codes, ids, out);
        let mut more = [0.0; BLOCK];
        for (ids, out) in ids.chunks(BLOCK).zip(out.chunks_mut(BLOCK)) {
            let more = &mut more[..ids.len()];
            let times = if self.metric == Metric::L2 { 2.0 } else { 1.0 };
            let rest = codes.columns(self.primary()..codes.dim());
            if let Some(kernel) = self.nibbles {
                let fine = &query.rounded[1];
                let rows = codes.columns(0..self.primary());
                kernel.gather(&fine.numbers[..2 * rows.dim()], rows, ids, more);
                for ((&id, out), more) in ids.iter().zip(&mut *out).zip(&*more) {
                    let Constants { step, .. } = self.constants(rest.row(id as usize));
                    *out -= times * (step * (fine.scale * (more - self.middle() * fine.sum)));
                }
            }
            if self.params.residual {
                let start = self.residual();
                self.bytes.gather(&query.values, codes.columns(start..start + self.dim()), ids, more);
                for ((&id, out), more) in ids.iter().zip(&mut *out).zip(&*more) {
                    let row = rest.row(id as usize);
                    let step = self.constants(row).step / FINE;
                    *out -= times * (step * (more - FINE / 2.0 * query.sum));
                    if self.metric == Metric::L2 {
                        // The norm of both levels for that of the first.
                        *out += float(row, self.residual() - self.primary() + self.dim()) - float(row, 4);
                    }
                }
            }
        }
    }

    /// Bytes of the first level.
    fn primary(&self) -> usize {
        if self.params.bits == 4 { self.dim().div_ceil(2) } else { self.dim() }
    }

    /// Where the second level begins: behind the first, the constants and its norm.
    fn residual(&self) -> usize {
        self.primary() + if self.metric == Metric::L2 { 8 } else { 4 }
    }

    /// The number in the middle.
    fn middle(&self) -> f32 {
        self.largest() / 2.0
    }

    fn largest(&self) -> f32 {
        if self.params.bits == 4 { 15.0 } else { 255.0 }
    }

    /// Number `i` of the first level.
    fn number(&self, code: &[u8], i: usize) -> u8 {
        match (self.nibbles, self.primary()) {
            (None, _) => code[i],
            (Some(_), len) if i < len => code[i] & 15,
            (Some(_), len) => code[i - len] >> 4,
        }
    }

    /// The constants at the front of `bytes`.
    #[inline(always)]
    fn constants(&self, bytes: &[u8]) -> Constants {
        let &[a, b, c, d] = bytes.first_chunk().unwrap_or(&[0; 4]);
        let half = |bytes| self.unit * f16::from_le_bytes(bytes).to_f32();
        Constants { low: half([a, b]), step: half([c, d]) }
    }
}

impl Quantizer for Lvq {
    const NAME: &'static str = "lvq";
    type Prepared = LvqQuery;

    fn dim(&self) -> usize {
        self.mean.len()
    }

    fn metric(&self) -> Metric {
        self.metric
    }

    fn code_len(&self) -> usize {
        let norm = if self.metric == Metric::L2 { 4 } else { 0 };
        self.residual() + if self.params.residual { self.dim() + norm } else { 0 }
    }

    fn encode(&self, vector: &[f32], scratch: &mut Vec<f32>, code: &mut [u8]) {
        scratch.clear();
        scratch.extend(vector.iter().zip(&self.mean).map(|(x, mean)| x - mean));
        let least = scratch.iter().fold(f32::INFINITY, |a, &b| a.min(b));
        let most = scratch.iter().fold(f32::NEG_INFINITY, |a, &b| a.max(b));
        // Rounded before anything is made of them.
        let half = |x: f32| f16::from_f32((x / self.unit).clamp(-f16::MAX.to_f32(), f16::MAX.to_f32()));
        let low = half(least);
        let step = half((most - self.unit * low.to_f32()) / self.largest());
        let (primary, rest) = code.split_at_mut(self.primary());
        if let Some((constants, _)) = rest.split_first_chunk_mut::<4>() {
            let ([a, b], [c, d]) = (low.to_le_bytes(), step.to_le_bytes());
            *constants = [a, b, c, d];
        }
        let Constants { low, step } = self.constants(rest);
        let inverse = if step > 0.0 { 1.0 / step } else { 0.0 };
        primary.fill(0);
        let len = primary.len();
        for (i, x) in scratch.iter_mut().enumerate() {
            // Rounds down what is not negative; no number becomes 0.
            let number = ((*x - low) * inverse + 0.5).clamp(0.0, self.largest()) as u8;
            if i < len {
                primary[i] = number;
            } else {
                primary[i - len] |= number << 4;
            }
            *x -= low + step * f32::from(number);
        }
        let norm_at = |level: &mut [f32]| {
            level
                .iter_mut()
                .zip(vector.iter().zip(&self.mean))
                .for_each(|(left, (x, mean))| *left = (x - mean) - *left);
            (product(level, level) as f32).to_le_bytes()
        };
        let (norms, fine) = rest[4..].split_at_mut(if self.metric == Metric::L2 { 4 } else { 0 });
        if self.params.residual {
            let (fine, fine_norm) = fine.split_at_mut(scratch.len());
            let (step, inverse) = (step / FINE, FINE * inverse);
            let mut left = scratch.clone();
            for (left, byte) in left.iter_mut().zip(fine) {
                *byte = (*left * inverse + (FINE / 2.0 + 0.5)).clamp(0.0, FINE) as u8;
                *left -= step * (f32::from(*byte) - FINE / 2.0);
            }
            if !fine_norm.is_empty() {
                fine_norm.copy_from_slice(&norm_at(&mut left));
            }
        }
        if !norms.is_empty() {
            norms.copy_from_slice(&norm_at(scratch));
        }
    }

    fn is_code(&self, code: &[u8]) -> bool {
        let Some((primary, rest)) = code.split_at_checked(self.primary()) else { return false };
        let Constants { low, step } = self.constants(rest);
        let norm = if self.metric == Metric::L2 { 4 } else { 0 };
        let fine = if self.params.residual { norm } else { 0 };
        primary.len() + rest.len() == self.code_len()
            && low.is_finite()
            && step.is_finite()
            && are_finite(&rest[4..4 + norm])
            && are_finite(&rest[rest.len() - fine..])
    }

    fn decode(&self, code: &[u8], vector: &mut [f32]) {
        self.decode_primary(code, vector);
        if self.params.residual {
            let step = self.constants(&code[self.primary()..]).step / FINE;
            for (x, &byte) in vector.iter_mut().zip(&code[self.residual()..]) {
                *x += step * (f32::from(byte) - FINE / 2.0);
            }
        }
    }

    fn prepare(&self, query: &[f32], out: &mut LvqQuery) {
        out.values.clear();
        out.values.extend_from_slice(query);
        out.add = match self.metric {
            Metric::L2 => {
                out.values.iter_mut().zip(&self.mean).for_each(|(x, mean)| *x -= mean);
                product(&out.values, &out.values)
            }
            Metric::Cosine => 1.0 - product(query, &self.mean),
            _ => -product(query, &self.mean),
        } as f32;
        out.sum = out.values.iter().map(|&x| f64::from(x)).sum::<f64>() as f32;
        if self.nibbles.is_some() {
            let [coarse, fine] = &mut out.rounded;
            coarse.set(&out.values);
            let pairs = out.values.iter().zip(&coarse.numbers);
            out.left.clear();
            out.left.extend(pairs.map(|(x, &byte)| x - coarse.scale * f32::from(byte)));
            fine.set(&out.left);
        }
    }

    fn gather(&self, query: &LvqQuery, codes: Rows<'_, u8>, ids: &[u32], out: &mut [f32]) {
        let rows = codes.columns(0..self.primary());
        let rest = codes.columns(self.primary()..self.residual());
        let coarse = &query.rounded[0];
        // Products with numbers less the middle one, which the rounding of queries leaves alone.
        let (scale, sum) = match self.nibbles {
            Some(kernel) => {
                kernel.gather(&coarse.numbers[..2 * rows.dim()], rows, ids, out);
                (coarse.scale, coarse.sum)
            }
            None => {
                self.bytes.gather(&query.values, rows, ids, out);
                (1.0, query.sum)
            }
        };
        let middle = self.middle();
        let l2 = self.metric == Metric::L2;
        for (&id, out) in ids.iter().zip(out) {
            let row = rest.row(id as usize);
            let Constants { low, step } = self.constants(row);
            let product = (low + middle * step) * query.sum + step * (scale * (*out - middle * sum));
            *out = if l2 { float(row, 4) + query.add - 2.0 * product } else { query.add - product };
        }
    }
}

#[cfg(feature = "persist")]
mod persist;
#[cfg(test)]
mod tests;
