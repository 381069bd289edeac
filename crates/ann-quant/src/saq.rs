//! SAQ: principal components first, then more bits for the columns that vary most.
//!
//! Li et al., *SAQ: pushing the limits of vector quantization through code adjustment and dimension segmentation*, SIGMOD 2026,
//! arXiv:2509.12086. Rows less their mean are turned to their principal components and cut into segments of whole blocks of
//! 64 columns. Each segment has a rotation, bits and a factor of its own, and codes as those of [`G4`](crate::G4) with code
//! adjustment. Distances are sums over segments, so estimates are, too. The last columns may get no bits at all. Where
//! variances decay, as they do for embeddings, errors are a fraction of those of one grid for all columns.
//!
//! Where we differ: cuts and bits are those of least variance of the estimated product, from the errors of codes as they were
//! measured, where the authors weigh the variance of a segment by `2^-bits`; a budget counts bytes as they are stored; what
//! is known exactly of a row (its norm, its product with the mean) is one number for all segments; no column has more than 8 bits,
//! where their code goes to 13, so that an average of 8 gains nothing.
//!
//! Cost: training finds the components, `O(dim³)`; a row and a query are multiplied with up to `dim²` numbers, 4 bytes each;
//! codes take `bits · dim / 8` bytes and 8 of factors, whatever the cuts.

use crate::caq::adjust;
use crate::floats::{are_finite, product};
use crate::g4::round;
use crate::rotated::grid::{BLOCK, Grid, Rounded, factor};
use crate::training::{check, prepared};
use crate::{Pca, Quantizer, Rotation, TrainError};
use ann_core::simd::{Arch, Kernel, Op, Rows};
use ann_core::{MatrixView, Metric, Par, split_mix};
use plan::{LOST, Part, plan};
use std::ops::Range;

#[cfg(feature = "persist")]
mod persist;
mod plan;

/// What a [`Saq`] is made of.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "persist", derive(serde::Serialize, serde::Deserialize))]
pub struct SaqParams {
    /// Bits of a column on average, 0.25 to 8.
    pub bits: f32,
    /// Of the random rotations, and of the choice of rows to train on.
    pub seed: u64,
    /// Rounds of code adjustment.
    pub rounds: u32,
}

impl Default for SaqParams {
    fn default() -> Self {
        Self { bits: 4.0, seed: 0x0073_6171, rounds: 6 }
    }
}

impl SaqParams {
    /// Whether the values make sense.
    ///
    /// # Errors
    /// [`TrainError::Value`] if `bits` is out of range.
    pub fn check(&self) -> Result<(), TrainError> {
        if !(0.25..=8.0).contains(&self.bits) {
            return Err(TrainError::Value { name: "bits", found: self.bits, must: "0.25 to 8" });
        }
        Ok(())
    }

    /// Bytes for the planes of `dim` columns and the factors of their segments.
    fn budget(&self, dim: usize) -> usize {
        (f64::from(self.bits) * dim as f64 / 8.0).ceil() as usize + FACTOR
    }
}

/// Codes along principal components, with bits where the variance is.
///
/// ```
/// use ann_core::{Matrix, Metric, Par};
/// use ann_quant::{CodeStore, Saq, SaqParams};
///
/// // The first columns vary more than the last.
/// let value = |i: usize| ((i * i) as f32).sin() / (1 + i % 192) as f32;
/// let rows = Matrix::new((0..192 * 300).map(value).collect(), 192)?;
/// let params = SaqParams { bits: 2.0, ..SaqParams::default() };
/// let saq = Saq::train(rows.view(), Metric::L2, &params, Par::Serial)?;
/// let bits: Vec<u32> = saq.segments().map(|(_, bits)| bits).collect();
/// assert!(bits[0] > 2);
///
/// let store = CodeStore::from_rows(saq, rows.view(), Par::Serial)?;
/// assert!(store.code(0).len() <= 192 / 4 + 8);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Saq {
    params: SaqParams,
    metric: Metric,
    mean: Vec<f32>,
    /// `(columns of all segments, dim)`: directions of norm 1.
    components: Vec<f32>,
    segments: Vec<Segment>,
    /// Between a vector and directions.
    kernel: Kernel<f32, f32>,
}

#[derive(Debug, Clone)]
struct Segment {
    columns: Range<usize>,
    bits: u32,
    rotation: Rotation,
    grid: Grid,
}

/// A query of [`Saq`] codes.
#[derive(Debug, Clone, Default)]
pub struct SaqQuery {
    /// Less the mean, then along the directions.
    turned: Vec<f32>,
    rotated: Vec<f32>,
    /// One for each segment.
    rounded: Vec<Rounded>,
    /// What all distances have in common.
    add: f32,
}

/// Bytes of a factor.
const FACTOR: usize = 4;

impl Saq {
    /// Learns mean, principal components and segments of `rows`, `(n, dim)`, from a sample where there are very many.
    ///
    /// # Errors
    /// [`TrainError`] if there are no rows, one cannot be used, the metric is not L2, inner product or cosine, or `bits` is
    /// out of range or too small to give one to each of the first 64 columns.
    pub fn train(rows: MatrixView<'_, f32>, metric: Metric, params: &SaqParams, par: Par) -> Result<Self, TrainError> {
        /// Rows for each column, and in all, that tell variances well enough.
        const ENOUGH: (usize, usize) = (64, 16_384);
        params.check()?;
        check(rows, metric, Self::NAME)?;
        let dim = rows.dim();
        let limit = ENOUGH.1.max(ENOUGH.0 * dim);
        let chosen = prepared(rows, metric, limit, params.seed);
        let Pca { mean, mut components, eigenvalues } = par.install(|par| Pca::of(&chosen, dim, par))?;
        let must = "enough for one bit of each of the first 64 columns";
        let parts = plan(&eigenvalues, params.budget(dim));
        let parts = parts.ok_or(TrainError::Value { name: "bits", found: params.bits, must })?;
        components.truncate(parts.last().map_or(0, |part| part.end) * dim);
        Self::from_parts(*params, metric, mean, components, &parts)
    }

    /// The parts must end at ascending multiples of 64, or at the last column; `components` be as many as that.
    fn from_parts(
        params: SaqParams,
        metric: Metric,
        mean: Vec<f32>,
        components: Vec<f32>,
        parts: &[Part],
    ) -> Result<Self, TrainError> {
        let kernel = Kernel::new(Arch::detect()?, Op::Dot).ok_or(TrainError::Metric { metric, kind: Self::NAME })?;
        let (mut segments, mut start, mut bytes) = (Vec::with_capacity(parts.len()), 0, 0);
        for (at, &Part { end, bits }) in (0..).zip(parts) {
            let rotation = Rotation::new(end - start, split_mix(params.seed, at));
            let grid = Grid::new(rotation.padded_dim(), bits, false, bytes)?;
            bytes = grid.end();
            segments.push(Segment { columns: start..end, bits, rotation, grid });
            start = end;
        }
        Ok(Self { params, metric, mean, components, segments, kernel })
    }

    /// What it was made of.
    pub fn params(&self) -> &SaqParams {
        &self.params
    }

    /// The principal components of every segment, the one of largest variance first, and the bits of each of them. Those
    /// that are missing at the end have none.
    pub fn segments(&self) -> impl Iterator<Item = (Range<usize>, u32)> {
        self.segments.iter().map(|segment| (segment.columns.clone(), segment.bits))
    }

    fn planes_len(&self) -> usize {
        self.segments.last().map_or(0, |segment| segment.grid.end())
    }

    /// `vector` less the mean, then along the directions.
    fn turn<'a>(&self, vector: &[f32], out: &'a mut Vec<f32>) -> (&'a [f32], &'a [f32]) {
        let dim = self.mean.len();
        out.clear();
        out.extend(vector.iter().zip(&self.mean).map(|(x, mean)| x - mean));
        out.resize(dim + self.components.len() / dim, 0.0);
        let (centred, along) = out.split_at_mut(dim);
        self.kernel.scan(centred, Rows::new(&self.components, dim, dim), along);
        (centred, along)
    }
}

impl Segment {
    /// Writes the planes of `along`; gives what makes the values of the code estimates, `‖r‖² / ⟨r, x⟩`.
    fn encode(&self, along: &[f32], rounds: u32, rotated: &mut Vec<f32>, code: &mut [u8]) -> f64 {
        self.rotation.apply(&along[self.columns.clone()], rotated);
        let padded = rotated.len();
        rotated.resize(2 * padded, 0.0);
        let (r, numbers) = rotated.split_at_mut(padded);
        round(r, self.bits, numbers);
        adjust(r, self.bits, rounds, numbers);
        self.grid.pack(numbers, code);
        let lowest = self.grid.lowest();
        numbers.iter_mut().for_each(|number| *number += lowest);
        let (norm, shared) = (product(r, r), product(r, numbers));
        if norm > 0.0 && shared > 0.0 { norm / shared } else { 0.0 }
    }
}

impl Quantizer for Saq {
    const NAME: &'static str = "saq";
    type Prepared = SaqQuery;

    fn dim(&self) -> usize {
        self.mean.len()
    }

    fn metric(&self) -> Metric {
        self.metric
    }

    fn code_len(&self) -> usize {
        self.planes_len() + FACTOR * (1 + self.segments.len())
    }

    fn encode(&self, vector: &[f32], scratch: &mut Vec<f32>, code: &mut [u8]) {
        let (centred, along) = self.turn(vector, scratch);
        let (add, times) = match self.metric {
            Metric::L2 => (product(centred, centred), -2.0),
            _ => (-product(centred, &self.mean), -1.0),
        };
        let (planes, factors) = code.split_at_mut(self.planes_len());
        let mut rotated = Vec::new();
        let rescales =
            self.segments.iter().map(|segment| times * segment.encode(along, self.params.rounds, &mut rotated, planes));
        for (place, value) in factors.as_chunks_mut::<FACTOR>().0.iter_mut().zip(std::iter::once(add).chain(rescales)) {
            *place = (value as f32).to_le_bytes();
        }
    }

    fn is_code(&self, code: &[u8]) -> bool {
        code.len() == self.code_len() && are_finite(&code[self.planes_len()..])
    }

    fn decode(&self, code: &[u8], vector: &mut [f32]) {
        let (dim, times) = (self.dim(), if self.metric == Metric::L2 { -0.5 } else { -1.0 });
        let (mut along, factors) = (Vec::new(), &code[self.planes_len()..]);
        vector.copy_from_slice(&self.mean);
        for (at, segment) in self.segments.iter().enumerate() {
            // Estimates are of the right length along the row, hence too long themselves.
            let scale = times * factor(factors, 1 + at) * (1.0 - LOST[segment.bits as usize]) as f32;
            let mut values = segment.grid.values(code);
            values.iter_mut().for_each(|value| *value *= scale);
            along.resize(segment.columns.len(), 0.0);
            segment.rotation.invert(&mut values, &mut along);
            let directions = self.components[segment.columns.start * dim..].chunks_exact(dim);
            for (&along, direction) in along.iter().zip(directions) {
                vector.iter_mut().zip(direction).for_each(|(x, d)| *x += along * d);
            }
        }
    }

    fn prepare(&self, query: &[f32], out: &mut SaqQuery) {
        let (centred, along) = self.turn(query, &mut out.turned);
        out.add = match self.metric {
            Metric::L2 => product(centred, centred),
            Metric::Cosine => 1.0 - product(query, &self.mean),
            _ => -product(query, &self.mean),
        } as f32;
        out.rounded.resize_with(self.segments.len(), Rounded::default);
        for (segment, rounded) in self.segments.iter().zip(&mut out.rounded) {
            segment.rotation.apply(&along[segment.columns.clone()], &mut out.rotated);
            rounded.set(&out.rotated);
        }
    }

    fn gather(&self, query: &SaqQuery, codes: Rows<'_, u8>, ids: &[u32], out: &mut [f32]) {
        assert!(ids.len() == out.len(), "{} ids, room for {} values", ids.len(), out.len());
        let factors = codes.columns(self.planes_len()..codes.dim());
        let mut block = [0.0; BLOCK];
        for (ids, out) in ids.chunks(BLOCK).zip(out.chunks_mut(BLOCK)) {
            let products = &mut block[..ids.len()];
            for (&id, out) in ids.iter().zip(&mut *out) {
                *out = factor(factors.row(id as usize), 0) + query.add;
            }
            for (at, (segment, rounded)) in self.segments.iter().zip(&query.rounded).enumerate() {
                segment.grid.gather(rounded, codes, ids, products);
                let offset = segment.grid.lowest() * rounded.sum;
                for ((&id, out), product) in ids.iter().zip(&mut *out).zip(&*products) {
                    *out += factor(factors.row(id as usize), 1 + at) * (rounded.scale * (product + offset));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
