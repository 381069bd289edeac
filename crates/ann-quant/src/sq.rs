//! Scalar quantization: every value of a row becomes a number of 8, 6 or 4 bits.
//!
//! A value is `base + step * (code - half)`, with `half` in the middle of the codes. `base` and `step` are learnt per
//! column, or for all columns together, or `step` and an offset lie behind the code of each row (locally adaptive
//! quantization: Aguerrebere et al., *Similarity search in the blink of an eye with compressed indices*, VLDB 2023,
//! arXiv:2304.04759). The steps are folded into the query, which is rounded to bytes with one scale, so that a distance is
//! an exact integer product per row, and a second one with the rest of the query for codes of 8 bits, which are fine enough to
//! tell. Under L2 that product is taken around `base`, where rows are short and little is lost to cancellation, and the
//! squared norm of the decoded row lies behind the code.
//!
//! Where we differ from faiss: values are rounded to the nearest code rather than cut, so that the error is at most half a
//! step on either side; for products a few are rounded to the other side, so that the error is across the row (as the loss of
//! Guo et al., *Accelerating large-scale inference with anisotropic vector quantization*, ICML 2020, arXiv:1908.10396, asks);
//! and whole numbers that fit the codes get a step of 1, so that their distances are exact.
//!
//! Bytes per row: `dim * bits / 8`, and 4 for each factor: the norm under L2 (none if one step of 8 bits serves all
//! columns), step and offset per row.

mod pack;
mod params;
mod query;
#[cfg(test)]
mod tests;
mod train;

pub use params::{SqClip, SqParams, SqRange};
use query::Kernels;
pub use query::SqQuery;

use crate::floats::{are_finite, float};
use crate::{Quantizer, TrainError};
use ann_core::Metric;
use ann_core::simd::{Op, Rows};

/// A trained scalar quantizer for `L2`, `InnerProduct` or `Cosine`.
///
/// ```
/// use ann_core::{DistanceOracle, Matrix, Metric, Par, VectorStore};
/// use ann_quant::{CodeStore, Sq, SqParams};
/// let rows = Matrix::from_rows(&[[0.0, -1.0], [0.4, 1.0], [1.0, 0.5]])?;
/// let sq = Sq::train(rows.view(), Metric::L2, &SqParams::default(), Par::Serial)?;
/// let store = CodeStore::from_rows(sq, rows.view(), Par::Serial)?;
/// let mut scratch = Default::default();
/// let distance = store.oracle(&[1.0, 1.0], &mut scratch).distance(1);
/// assert!((distance - 0.36).abs() < 0.01);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Sq {
    params: SqParams,
    metric: Metric,
    /// Whether rows like those of the training are decoded without loss.
    exact: bool,
    /// What the code in the middle stands for, per column.
    base: Vec<f32>,
    /// From one code to the next, per column; 0 where a column is constant, 1 where rows have steps of their own.
    step: Vec<f32>,
    /// `1 / step`, 0 for 0.
    inverse: Vec<f32>,
    kernels: Kernels,
}

impl Sq {
    /// Puts a quantizer together from what [`Self::params`], [`Quantizer::metric`], [`Self::is_exact`], [`Self::base`] and
    /// [`Self::step`] gave.
    ///
    /// # Errors
    /// [`TrainError`] if they do not fit together.
    pub fn from_parts(
        params: SqParams,
        metric: Metric,
        exact: bool,
        base: Vec<f32>,
        step: Vec<f32>,
    ) -> Result<Self, TrainError> {
        params.check()?;
        if base.is_empty() || base.len() != step.len() {
            return Err(TrainError::Param { name: "steps", found: step.len(), must: "as many as columns" });
        }
        if let Some(&found) = base.iter().find(|x| !x.is_finite()) {
            return Err(TrainError::Value { name: "base", found, must: "finite" });
        }
        let own = params.range == SqRange::PerVector;
        if let Some(&found) = step.iter().find(|&&x| !x.is_finite() || x < 0.0 || (own && x != 1.0)) {
            return Err(TrainError::Value {
                name: "step",
                found,
                must: "finite, not negative, 1 where rows have their own",
            });
        }
        let one = |values: &[f32]| values.windows(2).all(|pair| pair[0] == pair[1]);
        if params.range == SqRange::Uniform && !(one(&base) && one(&step) && step[0] > 0.0) {
            return Err(TrainError::Value {
                name: "step",
                found: step[0],
                must: "above 0 and the same for all columns",
            });
        }
        let inverse = step.iter().map(|&step| if step > 0.0 { 1.0 / step } else { 0.0 }).collect();
        let mut sq = Self { params, metric, exact, base, step, inverse, kernels: Kernels::new(Op::Dot)? };
        match metric {
            Metric::InnerProduct | Metric::Cosine => {}
            Metric::L2 if sq.is_grid() => sq.kernels = Kernels::new(Op::SquaredL2)?,
            Metric::L2 => {}
            _ => return Err(TrainError::Metric { metric, kind: Self::NAME }),
        }
        Ok(sq)
    }

    /// How it was trained.
    pub fn params(&self) -> &SqParams {
        &self.params
    }

    /// Whether it was trained on whole numbers that its codes hold, so that distances are those of the rows.
    pub fn is_exact(&self) -> bool {
        self.exact
    }

    /// What the code in the middle stands for, per column.
    pub fn base(&self) -> &[f32] {
        &self.base
    }

    /// From one code to the next, per column.
    pub fn step(&self) -> &[f32] {
        &self.step
    }

    /// Whether rows and queries lie on one grid of bytes, where they are compared directly.
    fn is_grid(&self) -> bool {
        self.metric == Metric::L2 && self.params.range == SqRange::Uniform && self.params.bits == 8
    }

    fn own_steps(&self) -> bool {
        self.params.range == SqRange::PerVector
    }

    fn has_norms(&self) -> bool {
        self.metric == Metric::L2 && !self.is_grid()
    }

    /// Bytes of a code before its factors.
    fn packed_len(&self) -> usize {
        pack::len(self.dim(), self.params.bits)
    }

    /// A number of this row: its code, counted from the middle.
    fn code(&self, value: f32) -> f32 {
        // Cutting what is not negative rounds it down.
        ((value + self.params.half()).clamp(0.0, self.params.top()) + 0.5) as u8 as f32 - self.params.half()
    }

    /// Rounds the first half of `places`, the values of `vector` in steps, so that next to nothing of the error lies along the
    /// vector. What is near has a direction like it, and that part of the error counts most in products: a few values are
    /// rounded to the other side, those first that lie nearly between two codes. The other half of `places` is room.
    fn round_along(&self, vector: &[f32], scale: f32, places: &mut [f32]) {
        /// Values whose error is above the first go first, and so on; those nearer to their code stay.
        const LEAST: [f32; 5] = [0.45, 0.4, 0.35, 0.3, 0.25];
        let (places, errors) = places.split_at_mut(vector.len());
        let mut along = 0.0;
        for (((place, error), &x), &step) in places.iter_mut().zip(&mut *errors).zip(vector).zip(&self.step) {
            let code = self.code(*place);
            *error = code - *place;
            along += *error * x * step;
            *place = code;
        }
        along *= scale;
        for least in LEAST {
            for (((place, error), &x), &step) in places.iter_mut().zip(&mut *errors).zip(vector).zip(&self.step) {
                let change = -error.signum() * x * step * scale;
                let other = *place - error.signum();
                let near = (least..=0.5).contains(&error.abs());
                if near && (along + change).abs() < along.abs() && self.code(other) == other {
                    along += change;
                    *place = other;
                    *error = 1.0;
                }
            }
        }
    }

    fn put_factors(&self, scale: f32, offset: f32, norm: f32, code: &mut [u8]) {
        let own = if self.own_steps() { &[scale, offset][..] } else { &[] };
        let norm = if self.has_norms() { &[norm][..] } else { &[] };
        for (to, factor) in code[self.packed_len()..].chunks_exact_mut(4).zip(own.iter().chain(norm)) {
            to.copy_from_slice(&factor.to_le_bytes());
        }
    }

    /// Step, offset and squared norm of the row with this code.
    #[inline]
    fn factors(&self, code: &[u8]) -> (f64, f64, f64) {
        let at = |i: usize| f64::from(float(&code[self.packed_len()..], 4 * i));
        match (self.own_steps(), self.has_norms()) {
            (true, _) => (at(0), at(1), at(2)),
            (false, true) => (1.0, 0.0, at(0)),
            (false, false) => (1.0, 0.0, 0.0),
        }
    }
}

impl Quantizer for Sq {
    const NAME: &'static str = "scalar";
    type Prepared = SqQuery;

    fn dim(&self) -> usize {
        self.base.len()
    }

    fn metric(&self) -> Metric {
        self.metric
    }

    fn code_len(&self) -> usize {
        let factors = 2 * usize::from(self.own_steps()) + usize::from(self.has_norms());
        self.packed_len() + 4 * factors
    }

    fn encode(&self, vector: &[f32], scratch: &mut Vec<f32>, code: &mut [u8]) {
        // Where the row lies around `base`, in steps.
        scratch.clear();
        let around = vector.iter().zip(&self.base).zip(&self.inverse);
        scratch.extend(around.map(|((&x, &base), &inverse)| (x - base) * inverse));
        let (mut scale, mut offset) = (1.0, 0.0);
        if self.own_steps() {
            let (low, high) =
                scratch.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), &x| (low.min(x), high.max(x)));
            scale = (high - low) / self.params.top();
            offset = low + self.params.half() * scale;
            let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
            scratch.iter_mut().for_each(|x| *x = (*x - offset) * inverse);
        }
        if self.metric == Metric::L2 || self.exact {
            scratch.iter_mut().for_each(|x| *x = self.code(*x));
        } else {
            scratch.resize(2 * vector.len(), 0.0);
            self.round_along(vector, scale, scratch);
            scratch.truncate(vector.len());
        }
        let half = self.params.half();
        pack::pack(scratch.iter().map(|&x| (x + half) as u8), self.params.bits, &mut code[..self.packed_len()]);
        if self.own_steps() || self.has_norms() {
            let decoded = scratch
                .iter()
                .zip(&self.step)
                .map(|(&x, &step)| (f64::from(x) * f64::from(scale) + f64::from(offset)) * f64::from(step));
            let norm = decoded.map(|x| x * x).sum::<f64>() as f32;
            self.put_factors(scale, offset, norm, code);
        }
    }

    fn is_code(&self, code: &[u8]) -> bool {
        code.len() == self.code_len() && are_finite(&code[self.packed_len()..])
    }

    fn decode(&self, code: &[u8], vector: &mut [f32]) {
        let (scale, offset, _) = self.factors(code);
        let half = f64::from(self.params.half());
        let mut values = [0; pack::UNPACKED];
        for (block, vector) in vector.chunks_mut(pack::UNPACKED).enumerate() {
            let start = block * pack::UNPACKED;
            let values = &mut values[..vector.len()];
            pack::unpack(code, self.params.bits, self.dim(), start, values);
            let columns = self.base[start..].iter().zip(&self.step[start..]);
            for ((x, &value), (&base, &step)) in vector.iter_mut().zip(&*values).zip(columns) {
                let value = if self.params.bits == 8 { f64::from(value) } else { f64::from(value) - half };
                *x = (f64::from(base) + f64::from(step) * (value * scale + offset)) as f32;
            }
        }
    }

    fn prepare(&self, query: &[f32], out: &mut SqQuery) {
        self.ready(query, out);
    }

    fn gather(&self, query: &SqQuery, codes: Rows<'_, u8>, ids: &[u32], out: &mut [f32]) {
        self.products(query, codes, Some(ids), out);
        self.finish(query, |i| codes.row(ids[i] as usize), out);
    }

    fn scan(&self, query: &SqQuery, codes: Rows<'_, u8>, out: &mut [f32]) {
        self.products(query, codes, None, out);
        self.finish(query, |i| codes.row(i), out);
    }
}
