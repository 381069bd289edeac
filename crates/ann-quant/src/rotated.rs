//! Codes on a uniform grid for rotated, centred rows: all that RaBitQ, G4 and CAQ have in common.
//!
//! A row less the mean of the training rows, rotated, is `r`. A scheme chooses for each coordinate a number `u` of `bits` bits,
//! which stands for `u - (2^bits - 1) / 2`; these values are `x`. Whatever it chooses, `‖r‖² ⟨x, q⟩ / ⟨r, x⟩` estimates
//! `⟨r, q⟩` without bias over random rotations (Gao and Long, *RaBitQ*, SIGMOD 2024, arXiv:2405.12497), with a standard
//! deviation that the code's own angle to `r` tells. The rest of a distance is known exactly and kept beside the code.
//!
//! We centre queries as well as rows, for one centre serves all rows: less to round, and no term for the product of centre and
//! code. A code is the planes of a [`Grid`], then the factors in `f32`.

use crate::floats::{are_finite, product};
use crate::training::mean;
use crate::{Rotation, TrainError};
use ann_core::simd::Rows;
use ann_core::{MatrixView, Metric, Par};

pub(crate) mod grid;
#[cfg(feature = "persist")]
pub(crate) mod persist;

use grid::{BLOCK, Grid, Rounded, factor, products};

/// What the codes of a scheme look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Bits of a number, 1 to 8.
    pub(crate) bits: u32,
    /// Whether the highest bits are a plane of their own with factors of their own.
    pub(crate) staged: bool,
    /// Whether codes say how far off they may be.
    pub(crate) errors: bool,
}

/// Centre, rotation and planes of codes.
#[derive(Debug, Clone)]
pub(crate) struct Rotated {
    metric: Metric,
    centre: Vec<f32>,
    rotation: Rotation,
    layout: Layout,
    grid: Grid,
}

/// A query of rotated codes: rotated and rounded.
#[derive(Debug, Clone, Default)]
pub struct RotatedQuery {
    rotated: Vec<f32>,
    rounded: Rounded,
    /// What all distances have in common.
    add: f32,
    /// Distance to the centre.
    norm: f32,
}

impl Rotated {
    /// Learns the centre of `rows`.
    pub(crate) fn train(
        rows: MatrixView<'_, f32>,
        metric: Metric,
        seed: u64,
        layout: Layout,
        kind: &'static str,
        par: Par,
    ) -> Result<Self, TrainError> {
        let centre = mean(rows, metric, kind, par)?;
        let rotation = Rotation::new(centre.len(), seed);
        Self::new(metric, centre, rotation, layout)
    }

    /// `bits` must be 1 to 8, and the centre as long as the rotation asks.
    pub(crate) fn new(
        metric: Metric,
        centre: Vec<f32>,
        rotation: Rotation,
        layout: Layout,
    ) -> Result<Self, TrainError> {
        let grid = Grid::new(rotation.padded_dim(), layout.bits, layout.staged, 0)?;
        Ok(Self { metric, centre, rotation, layout, grid })
    }

    pub(crate) fn metric(&self) -> Metric {
        self.metric
    }

    pub(crate) fn dim(&self) -> usize {
        self.centre.len()
    }

    pub(crate) fn rotation(&self) -> &Rotation {
        &self.rotation
    }

    /// Factors of a code: what to add, what to multiply by; then what the options ask for.
    fn factors(&self) -> usize {
        let Layout { staged, errors, .. } = self.layout;
        2 + usize::from(errors) + if staged { 1 + usize::from(errors) } else { 0 }
    }

    pub(crate) fn code_len(&self) -> usize {
        self.grid.end() + 4 * self.factors()
    }

    /// Whether the factors are numbers.
    pub(crate) fn is_code(&self, code: &[u8]) -> bool {
        code.len() == self.code_len() && are_finite(&code[self.grid.end()..])
    }

    /// Rotates `vector` less the centre into the first half of `scratch`; the second half has room for its numbers.
    pub(crate) fn residual<'a>(&self, vector: &[f32], scratch: &'a mut Vec<f32>) -> (&'a [f32], &'a mut [f32]) {
        self.rotation.apply_to(vector.iter().zip(&self.centre).map(|(x, c)| x - c), scratch);
        let padded = scratch.len();
        scratch.resize(2 * padded, 0.0);
        let (rotated, numbers) = scratch.split_at_mut(padded);
        (rotated, numbers)
    }

    /// Writes the code of `vector`, whose rotated residual is `r`, with the chosen `numbers`.
    pub(crate) fn write(&self, vector: &[f32], r: &[f32], numbers: &mut [f32], code: &mut [u8]) {
        let dim = r.len() as f64;
        let norm = product(r, r);
        let (planes, factors) = code.split_at_mut(self.grid.end());
        self.grid.pack(numbers, planes);
        let add = match self.metric {
            Metric::L2 => norm,
            _ => -vector.iter().zip(&self.centre).map(|(&x, &c)| f64::from(x - c) * f64::from(c)).sum::<f64>(),
        };
        let times = if self.metric == Metric::L2 { -2.0 } else { -1.0 };
        // What to multiply by, and the deviation for a query of norm 1.
        let fit = |values: &[f32]| {
            let (shared, size) = (product(r, values), product(values, values));
            let rescale = if norm > 0.0 && shared > 0.0 { norm / shared } else { 0.0 };
            let spread = (rescale * rescale * size - norm).max(0.0) / (dim - 1.0).max(1.0);
            ((times * rescale) as f32, (times.abs() * spread.sqrt()) as f32)
        };
        let lowest = self.grid.lowest();
        numbers.iter_mut().for_each(|number| *number += lowest);
        let (rescale, error) = fit(numbers);
        let mut written = factors.as_chunks_mut::<4>().0.iter_mut();
        let mut put = |value: f32| {
            if let Some(place) = written.next() {
                *place = value.to_le_bytes();
            }
        };
        put(add as f32);
        put(rescale);
        if self.layout.errors {
            put(error);
        }
        if self.layout.staged {
            for (number, &r) in numbers.iter_mut().zip(r) {
                *number = if r > 0.0 { 0.5 } else { -0.5 };
            }
            let (rescale, error) = fit(numbers);
            put(rescale);
            if self.layout.errors {
                put(error);
            }
        }
    }

    /// The values of a code, not rotated back, and the factor that makes them estimates of `r`.
    pub(crate) fn values(&self, code: &[u8]) -> (Vec<f32>, f32) {
        let rescale = factor(&code[self.grid.end()..], 1);
        (self.grid.values(code), if self.metric == Metric::L2 { -0.5 * rescale } else { -rescale })
    }

    /// The row that a code stands for: along the code, with the norm of the row where the code tells that.
    pub(crate) fn decode(&self, code: &[u8], vector: &mut [f32]) {
        let (mut values, rescale) = self.values(code);
        let add = f64::from(factor(&code[self.grid.end()..], 0));
        let size = product(&values, &values).sqrt();
        let norm = match self.metric {
            Metric::L2 => Some(add.max(0.0).sqrt()),
            // Of a row of norm 1, the parts along the centre are known.
            Metric::Cosine => Some((1.0 - product(&self.centre, &self.centre) + 2.0 * add).max(0.0).sqrt()),
            _ => None,
        };
        let scale = norm.map_or(rescale, |norm| if rescale > 0.0 { (norm / size) as f32 } else { 0.0 });
        values.iter_mut().for_each(|value| *value *= scale);
        self.rotation.invert(&mut values, vector);
        vector.iter_mut().zip(&self.centre).for_each(|(x, c)| *x += c);
    }

    pub(crate) fn prepare(&self, query: &[f32], out: &mut RotatedQuery) {
        self.rotation.apply_to(query.iter().zip(&self.centre).map(|(x, c)| x - c), &mut out.rotated);
        out.rounded.set(&out.rotated);
        let norm = product(&out.rotated, &out.rotated);
        out.norm = norm.sqrt() as f32;
        out.add = match self.metric {
            Metric::L2 => norm,
            Metric::Cosine => 1.0 - product(query, &self.centre),
            _ => -product(query, &self.centre),
        } as f32;
    }

    pub(crate) fn gather(&self, query: &RotatedQuery, codes: Rows<'_, u8>, ids: &[u32], out: &mut [f32]) {
        self.grid.gather(&query.rounded, codes, ids, out);
        let factors = codes.columns(self.grid.end()..codes.dim());
        let offset = self.grid.lowest() * query.rounded.sum;
        for (&id, out) in ids.iter().zip(out) {
            let row = factors.row(id as usize);
            *out = factor(row, 0) + query.add + factor(row, 1) * (query.rounded.scale * (*out + offset));
        }
    }

    /// As [`Self::gather`]; `errors[i]` becomes the deviation of `out[i]`. Codes must have it.
    pub(crate) fn gather_errors(
        &self,
        query: &RotatedQuery,
        codes: Rows<'_, u8>,
        ids: &[u32],
        out: &mut [f32],
        errors: &mut [f32],
    ) {
        self.gather(query, codes, ids, out);
        let factors = codes.columns(self.grid.end()..codes.dim());
        for (&id, error) in ids.iter().zip(errors) {
            *error = query.norm * factor(factors.row(id as usize), 2);
        }
    }

    /// As [`Self::gather`], but `out[i]` becomes infinite where the highest bits alone put the distance at `bound` or beyond,
    /// less `deviations` deviations. Gives the number of codes that were read whole.
    pub(crate) fn gather_below(
        &self,
        query: &RotatedQuery,
        codes: Rows<'_, u8>,
        ids: &[u32],
        out: &mut [f32],
        (bound, deviations): (f32, f32),
    ) -> usize {
        let (true, true, Some((sign, rest))) =
            (self.layout.staged, self.layout.errors, self.grid.planes().split_first())
        else {
            self.gather(query, codes, ids, out);
            return ids.len();
        };
        let factors = codes.columns(self.grid.end()..codes.dim());
        let (offset, halves) = (self.grid.lowest() * query.rounded.sum, -0.5 * query.rounded.sum);
        let times = sign.unit();
        let mut whole = 0;
        for (ids, out) in ids.chunks(BLOCK).zip(out.chunks_mut(BLOCK)) {
            sign.gather(&query.rounded, codes, ids, out);
            let (mut near, mut places, mut found) = ([0; BLOCK], [0; BLOCK], 0);
            for (place, (&id, out)) in ids.iter().zip(&mut *out).enumerate() {
                let row = factors.row(id as usize);
                let distance = factor(row, 0) + query.add + factor(row, 3) * (query.rounded.scale * (*out + halves));
                if distance - deviations * query.norm * factor(row, 4) < bound {
                    (near[found], places[found]) = (id, place);
                    found += 1;
                } else {
                    *out = f32::INFINITY;
                }
            }
            let mut more = [0.0; BLOCK];
            products(rest, &query.rounded, codes, &near[..found], &mut more[..found]);
            for ((&id, &place), more) in near.iter().zip(&places).zip(&more).take(found) {
                let (row, product) = (factors.row(id as usize), times * out[place] + more);
                out[place] = factor(row, 0) + query.add + factor(row, 1) * (query.rounded.scale * (product + offset));
            }
            whole += found;
        }
        whole
    }
}
