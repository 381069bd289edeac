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
//! step on either side; and whole numbers that fit the codes get a step of 1, so that their distances are exact.
//!
//! Bytes per row: `dim * bits / 8`, and 4 for each factor: the norm under L2 (none if one step of 8 bits serves all
//! columns), step and offset per row.

mod pack;
#[cfg(test)]
mod tests;
mod train;

use crate::quantizer::are_finite;
use crate::{Quantizer, TrainError};
use ann_core::simd::{Arch, ArchError, Kernel, Op, PackedDot, Rows};
use ann_core::{Metric, unit_distance};
use std::ops::Range;

/// How wide codes are and what they span.
///
/// ```
/// use ann_quant::{SqClip, SqParams};
/// let params = SqParams { bits: 4, clip: SqClip::Quantile(0.99), ..SqParams::default() };
/// assert!(params.check().is_ok());
/// assert!(SqParams { bits: 5, ..params }.check().is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SqParams {
    /// Bits of a value: 8, 6 or 4.
    pub bits: usize,
    /// What shares a range.
    pub range: SqRange,
    /// Which values lie within it; the others become the nearest end.
    pub clip: SqClip,
}

impl Default for SqParams {
    fn default() -> Self {
        Self { bits: 8, range: SqRange::PerDimension, clip: SqClip::MinMax }
    }
}

/// What shares a range of values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SqRange {
    /// Every column has its own.
    PerDimension,
    /// Every row has its own, around the mean of all.
    PerVector,
    /// All values share one.
    Uniform,
}

/// Where a learnt range ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum SqClip {
    /// At the smallest and the largest value.
    MinMax,
    /// At the quantiles `1 - q` and `q`, of 16,384 rows at most; `q` is above 0.5 and at most 1.
    Quantile(f32),
    /// That many standard deviations from the mean, but not beyond the smallest and largest value; above 0.
    Sigma(f32),
}

impl SqParams {
    /// Whether the values are within their ranges.
    ///
    /// # Errors
    /// [`TrainError::Param`] or [`TrainError::Value`].
    pub fn check(&self) -> Result<(), TrainError> {
        if !matches!(self.bits, 4 | 6 | 8) {
            return Err(TrainError::Param { name: "bits", found: self.bits, must: "8, 6 or 4" });
        }
        match self.clip {
            SqClip::Quantile(found) if !(found > 0.5 && found <= 1.0) => {
                Err(TrainError::Value { name: "quantile", found, must: "above 0.5, at most 1" })
            }
            SqClip::Sigma(found) if !(found > 0.0 && found.is_finite()) => {
                Err(TrainError::Value { name: "sigma", found, must: "above 0 and finite" })
            }
            SqClip::Quantile(found) | SqClip::Sigma(found) if self.range == SqRange::PerVector => {
                Err(TrainError::Value { name: "clip", found, must: "MinMax where every row has a range of its own" })
            }
            _ => Ok(()),
        }
    }

    /// The largest code.
    fn top(&self) -> f32 {
        ((1 << self.bits) - 1) as f32
    }

    /// The code in the middle.
    fn half(&self) -> f32 {
        (1 << (self.bits - 1)) as f32
    }
}

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

#[derive(Debug, Clone, Copy)]
struct Kernels {
    whole: Kernel<i8, i8>,
    dot: Kernel<i8, i8>,
    float: Kernel<f32, i8>,
    nibbles: PackedDot,
    pairs: PackedDot,
}

/// A query made ready for [`Sq`].
#[derive(Debug, Clone, Default)]
pub struct SqQuery {
    whole: Vec<i8>,
    /// What rounding to `whole` left, in units of `1 / REST`; nothing if it does not count.
    rest: Vec<i8>,
    /// Used instead if not empty.
    float: Vec<f32>,
    /// A kernel's value less `shift` times `scale` is the product (or the squared distance) that it stands for.
    scale: f64,
    shift: f64,
    /// What every row has in common: the product with `base`, or the squared distance to it.
    bias: f64,
    /// The product with ones, for the offset of a row.
    sum: f64,
}

/// Parts of a unit of a rounded query in which the rest is counted: half a unit is 127 of them.
const REST: f64 = 254.0;

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
        let at = |i: usize| match code[self.packed_len()..].as_chunks::<4>().0.get(i) {
            Some(&bytes) => f64::from(f32::from_le_bytes(bytes)),
            None => 0.0,
        };
        match (self.own_steps(), self.has_norms()) {
            (true, _) => (at(0), at(1), at(2)),
            (false, true) => (1.0, 0.0, at(0)),
            (false, false) => (1.0, 0.0, 0.0),
        }
    }

    /// What the kernel of floats gives for one packed code.
    fn packed(&self, query: &SqQuery, code: &[u8]) -> f32 {
        let mut values = [0; pack::UNPACKED];
        let mut total = 0.0;
        for (block, query) in query.float.chunks(pack::UNPACKED).enumerate() {
            let values = &mut values[..query.len()];
            pack::unpack(code, self.params.bits, self.dim(), block * pack::UNPACKED, values);
            total += f64::from(self.kernels.float.pair(query, values));
        }
        total as f32
    }

    /// What kernels give for the rows `ids`, or for all rows in turn.
    fn products(&self, query: &SqQuery, codes: Rows<'_, u8>, ids: Option<&[u32]>, out: &mut [f32]) {
        let dim = self.dim();
        match (self.params.bits, query.float.is_empty()) {
            (8, true) => match ids {
                Some(ids) => self.kernels.whole.gather(&query.whole, codes.signed(dim), ids, out),
                None => self.kernels.whole.scan(&query.whole, codes.signed(dim), out),
            },
            (8, false) => match ids {
                Some(ids) => self.kernels.float.gather(&query.float, codes.signed(dim), ids, out),
                None => self.kernels.float.scan(&query.float, codes.signed(dim), out),
            },
            (_, true) => {
                let halves = pack::places(dim) / 2;
                let packed = |kernel: PackedDot, columns, out: &mut [f32]| match ids {
                    Some(ids) => kernel.gather(&query.whole, codes.columns(columns), ids, out),
                    None => kernel.scan(&query.whole, codes.columns(columns), out),
                };
                packed(self.kernels.nibbles, 0..halves, out);
                if self.params.bits == 6 {
                    let rows = codes.columns(halves..self.packed_len());
                    add(16.0, out, |range, more| match ids {
                        Some(ids) => self.kernels.pairs.gather(&query.whole, rows, &ids[range], more),
                        None => self.kernels.pairs.scan(&query.whole, rows.slice(range), more),
                    });
                }
            }
            (_, false) => {
                let count = ids.map_or(codes.len(), <[u32]>::len);
                assert!(count == out.len(), "{count} rows, room for {} values", out.len());
                for (i, x) in out.iter_mut().enumerate() {
                    *x = self.packed(query, codes.row(ids.map_or(i, |ids| ids[i] as usize)));
                }
            }
        }
        if !query.rest.is_empty() {
            // Of `(q + r - x)²` the rest adds `-2 r x`, and what is the same for all rows.
            let times = if self.is_grid() { -2.0 / REST } else { 1.0 / REST };
            let rows = codes.signed(dim);
            add(times as f32, out, |range, more| match ids {
                Some(ids) => self.kernels.dot.gather(&query.rest, rows, &ids[range], more),
                None => self.kernels.dot.scan(&query.rest, rows.slice(range), more),
            });
        }
    }

    /// Turns what kernels gave into distances.
    fn finish<'a>(&self, query: &SqQuery, code: impl Fn(usize) -> &'a [u8], out: &mut [f32]) {
        let product = |value: f32| (f64::from(value) - query.shift) * query.scale;
        if self.is_grid() {
            out.iter_mut().for_each(|x| *x = product(*x).max(0.0) as f32);
            return;
        }
        if self.own_steps() || self.has_norms() {
            for (i, x) in out.iter_mut().enumerate() {
                let (scale, offset, norm) = self.factors(code(i));
                let product = product(*x) * scale + offset * query.sum;
                *x = match self.metric {
                    Metric::L2 => (query.bias + norm - 2.0 * product).max(0.0) as f32,
                    Metric::InnerProduct => -(query.bias + product) as f32,
                    _ => unit_distance((query.bias + product) as f32),
                };
            }
        } else if self.metric == Metric::InnerProduct {
            out.iter_mut().for_each(|x| *x = -(query.bias + product(*x)) as f32);
        } else {
            out.iter_mut().for_each(|x| *x = unit_distance((query.bias + product(*x)) as f32));
        }
    }
}

/// Adds `times` what `kernel` gives for a range of the rows, one block after the other.
fn add(times: f32, out: &mut [f32], kernel: impl Fn(Range<usize>, &mut [f32])) {
    const BLOCK: usize = 64;
    let mut more = [0.0; BLOCK];
    for (block, out) in out.chunks_mut(BLOCK).enumerate() {
        let (at, more) = (block * BLOCK, &mut more[..out.len()]);
        kernel(at..at + out.len(), more);
        out.iter_mut().zip(more).for_each(|(x, more)| *x += times * *more);
    }
}

/// `value` rounded to a byte, and the rest in units of `1 / REST`.
fn split(value: f64) -> (i8, i8) {
    let whole = ((value + 128.5) as u8 as i16 - 128) as i8;
    (whole, (((value - f64::from(whole)) * REST + 128.5) as u8 as i16 - 128) as i8)
}

impl Kernels {
    fn new(op: Op) -> Result<Self, TrainError> {
        let arch = Arch::detect()?;
        // Offered for all operations on numbers.
        let missing = || ArchError::Unknown { name: format!("{op:?}") };
        let (whole, float) = (Kernel::new(arch, op).ok_or_else(missing)?, Kernel::new(arch, op).ok_or_else(missing)?);
        let dot = Kernel::new(arch, Op::Dot).ok_or_else(missing)?;
        let packed = |bits| PackedDot::new(arch, bits).ok_or_else(missing);
        Ok(Self { whole, dot, float, nibbles: packed(4)?, pairs: packed(2)? })
    }
}

/// `value` where codes are whole numbers: nothing is lost by rounding it.
fn is_byte(value: f64) -> bool {
    value == f64::from(value as i8)
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
        scratch.iter_mut().for_each(|x| *x = self.code(*x));
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
        let SqQuery { whole, rest, float, .. } = out;
        whole.clear();
        rest.clear();
        float.clear();
        let columns = || query.iter().zip(self.base.iter().zip(&self.step));
        let around = |x: f32, base: f32| f64::from(x) - f64::from(base);
        let (mut scale, mut bias) = (1.0, 0.0);
        if self.is_grid() {
            let step = f64::from(self.step[0]);
            let on_grid = |x: f32, base: f32| around(x, base) / step;
            let fits = columns().all(|(&x, (&base, _))| match on_grid(x, base) {
                place if self.exact => is_byte(place),
                place => (-128.5..127.5).contains(&place),
            });
            let mut shift = 0.0;
            if !fits {
                float.extend(columns().map(|(&x, (&base, _))| on_grid(x, base) as f32));
            } else {
                for (&x, (&base, _)) in columns() {
                    let (near, left) = split(on_grid(x, base));
                    whole.push(near);
                    rest.push(left);
                    let left = f64::from(left) / REST;
                    shift -= left * (left + 2.0 * f64::from(near));
                }
                if rest.iter().all(|&left| left == 0) {
                    rest.clear();
                }
            }
            (out.scale, out.shift, out.bias, out.sum) = (step * step, shift, 0.0, 0.0);
            return;
        }
        let l2 = self.metric == Metric::L2;
        let weight = |x: f32, base: f32, step: f32| {
            let x = if l2 { around(x, base) } else { f64::from(x) };
            x * f64::from(step)
        };
        let (mut largest, mut whole_numbers, mut sum) = (0f64, true, 0.0);
        for (&x, (&base, &step)) in columns() {
            let weight = weight(x, base, step);
            largest = largest.max(weight.abs());
            whole_numbers &= is_byte(weight);
            sum += weight;
            bias += if l2 { around(x, base).powi(2) } else { f64::from(x) * f64::from(base) };
        }
        let weights = columns().map(|(&x, (&base, &step))| weight(x, base, step));
        let mut total = 0.0;
        if self.exact && !whole_numbers {
            float.extend(weights.map(|x| x as f32));
            total = float.iter().map(|&x| f64::from(x)).sum();
        } else {
            if !whole_numbers {
                scale = largest / 127.0;
            }
            let inverse = 1.0 / scale;
            // Codes of fewer bits lose far more than this rounding does.
            if self.params.bits == 8 && !whole_numbers {
                weights.map(|x| split(x * inverse)).for_each(|(near, left)| {
                    whole.push(near);
                    rest.push(left);
                });
            } else {
                whole.extend(weights.map(|x| split(x * inverse).0));
            }
            total += whole.iter().map(|&x| f64::from(x)).sum::<f64>();
            if self.params.bits < 8 {
                whole.resize(pack::places(self.dim()), 0);
            }
        }
        // Codes of 8 bits are stored around their middle.
        let shift = if self.params.bits == 8 { 0.0 } else { total * f64::from(self.params.half()) };
        (out.scale, out.shift, out.bias, out.sum) = (scale, shift, bias, sum);
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
