//! How scalar codes are made.

use crate::TrainError;

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
    pub(super) fn top(&self) -> f32 {
        ((1 << self.bits) - 1) as f32
    }

    /// The code in the middle.
    pub(super) fn half(&self) -> f32 {
        (1 << (self.bits - 1)) as f32
    }
}
