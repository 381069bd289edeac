//! Queries of scalar codes: rounded to bytes, compared with codes, and turned into distances.

use super::{Sq, pack};
use crate::{Quantizer, TrainError};
use ann_core::simd::{Arch, ArchError, Kernel, Op, PackedDot, Rows};
use ann_core::{Metric, unit_distance};
use std::ops::Range;

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

#[derive(Debug, Clone, Copy)]
pub(super) struct Kernels {
    whole: Kernel<i8, i8>,
    dot: Kernel<i8, i8>,
    float: Kernel<f32, i8>,
    nibbles: PackedDot,
    pairs: PackedDot,
}

impl Kernels {
    pub(super) fn new(op: Op) -> Result<Self, TrainError> {
        let arch = Arch::detect()?;
        // Offered for all operations on numbers.
        let missing = || ArchError::Unknown { name: format!("{op:?}") };
        let (whole, float) = (Kernel::new(arch, op).ok_or_else(missing)?, Kernel::new(arch, op).ok_or_else(missing)?);
        let dot = Kernel::new(arch, Op::Dot).ok_or_else(missing)?;
        let packed = |bits| PackedDot::new(arch, bits).ok_or_else(missing);
        Ok(Self { whole, dot, float, nibbles: packed(4)?, pairs: packed(2)? })
    }
}

impl Sq {
    /// What [`Quantizer::prepare`] does.
    pub(super) fn ready(&self, query: &[f32], out: &mut SqQuery) {
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
    pub(super) fn products(&self, query: &SqQuery, codes: Rows<'_, u8>, ids: Option<&[u32]>, out: &mut [f32]) {
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
    pub(super) fn finish<'a>(&self, query: &SqQuery, code: impl Fn(usize) -> &'a [u8], out: &mut [f32]) {
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

/// `value` where codes are whole numbers: nothing is lost by rounding it.
fn is_byte(value: f64) -> bool {
    value == f64::from(value as i8)
}
