//! G4: rotate, round, correct. A code of 4 bits a coordinate that needs neither training nor search.
//!
//! After a random rotation coordinates are nearly normal with the deviation `‖r‖ / √d`, so that one grid, measured in
//! deviations, fits all of them: the uniform quantizer of least error for a normal variable (Max, *Quantizing for minimum
//! distortion*, IRE Trans. Inf. Theory 1960), of which 4 bits clip at 2.7 deviations. The factor of RaBitQ (Gao and Long,
//! SIGMOD 2024, arXiv:2405.12497) then removes the bias of rounding. The error is within a few per cent of the best code on any
//! uniform grid, at the price of one rotation a row.
//!
//! Memory: `bits / 8` bytes a coordinate and 8 of factors.

use crate::caq::adjust;
use crate::floats::{largest, product};
use crate::rotated::{Layout, Rotated, RotatedQuery};
use crate::{Quantizer, TrainError};
use ann_core::simd::Rows;
use ann_core::{MatrixView, Metric, Par};

/// What a [`G4`] is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "persist", derive(serde::Serialize, serde::Deserialize))]
pub struct G4Params {
    /// Bits of a coordinate: 1 to 8. Products of 4 and of 8 bits take one step, others two or three.
    pub bits: u32,
    /// Of the random rotation.
    pub seed: u64,
    /// Rounds of code adjustment, the CAQ of Li et al. (SIGMOD 2026, arXiv:2509.12086): six come near to the best code there is,
    /// which is worth most at 2 and 3 bits, for several times the work.
    pub rounds: u32,
}

impl Default for G4Params {
    fn default() -> Self {
        Self { bits: 4, seed: 0x6734, rounds: 0 }
    }
}

/// Rotated rows on a uniform grid that fits normal coordinates.
///
/// ```
/// use ann_core::{Matrix, Metric, Par, VectorStore};
/// use ann_quant::{CodeStore, G4, G4Params};
///
/// let rows = Matrix::new((0..64 * 100).map(|i| ((i * i) as f32).sin()).collect(), 64)?;
/// let g4 = G4::train(rows.view(), Metric::L2, &G4Params::default(), Par::Serial)?;
/// let store = CodeStore::from_rows(g4, rows.view(), Par::Serial)?;
/// assert_eq!((store.len(), store.code(0).len()), (100, 32 + 8));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct G4 {
    pub(crate) params: G4Params,
    pub(crate) rotated: Rotated,
}

/// Steps of least error for 1 to 8 bits, in deviations of a normal variable.
pub(crate) const STEPS: [f64; 8] = [1.596, 0.9957, 0.586, 0.3352, 0.1881, 0.1041, 0.0569, 0.0308];

/// More bits than this reach to the largest coordinate of a row: where steps are fine, clipping it would cost more than wider
/// steps do (1.6 times the error at 8 bits).
const CLIPPED: usize = 5;

impl G4 {
    /// Learns the mean of `rows`, `(n, dim)`.
    ///
    /// # Errors
    /// [`TrainError`] if there are no rows, one cannot be used, the metric is not L2, inner product or cosine, or `bits` is
    /// not 1 to 8.
    pub fn train(rows: MatrixView<'_, f32>, metric: Metric, params: &G4Params, par: Par) -> Result<Self, TrainError> {
        let rotated = Rotated::train(rows, metric, params.seed, params.layout(), Self::NAME, par)?;
        Ok(Self { params: *params, rotated })
    }

    /// What it was made of.
    pub fn params(&self) -> &G4Params {
        &self.params
    }
}

impl G4Params {
    pub(crate) fn layout(&self) -> Layout {
        Layout { bits: self.bits, staged: false, errors: false }
    }
}

impl Quantizer for G4 {
    const NAME: &'static str = "g4";
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
        round(r, self.params.bits, numbers);
        adjust(r, self.params.bits, self.params.rounds, numbers);
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

/// The numbers of `bits` bits (1 to 8) nearest to `r`, whose coordinates are taken to be normal.
pub(crate) fn round(r: &[f32], bits: u32, numbers: &mut [f32]) {
    let step = match STEPS[..CLIPPED].get(bits as usize - 1) {
        Some(step) => step * (product(r, r) / r.len() as f64).sqrt(),
        None => f64::from(largest(r)) / f64::from(1 << (bits - 1)),
    };
    let inverse = if step > 0.0 { (1.0 / step) as f32 } else { 0.0 };
    let half = (1_u32 << (bits - 1)) as f32;
    for (number, &r) in numbers.iter_mut().zip(r) {
        // Not negative after the clamp, so that the cast rounds down; an inverse that overflowed may make a zero no number.
        *number = (r * inverse + half).clamp(0.0, 2.0 * half - 1.0) as u8 as f32;
    }
}

#[cfg(test)]
mod tests;
