//! Which range of values the codes span.

use super::{Sq, SqClip, SqParams, SqRange};
use crate::training::check;
use crate::{Quantizer, TrainError};
use ann_core::{MatrixView, Metric, Par, ScratchPool, prepare_dense};

/// Rows per task.
const CHUNK: usize = 4096;
/// Rows of which quantiles are taken.
const SAMPLE: usize = 1 << 14;

/// What is known of a column, or of all values.
#[derive(Debug, Clone, Copy)]
struct Spread {
    low: f32,
    high: f32,
    count: f64,
    sum: f64,
    squares: f64,
    /// Whether all values are whole numbers.
    whole: bool,
}

impl Spread {
    const NOTHING: Self =
        Self { low: f32::INFINITY, high: f32::NEG_INFINITY, count: 0.0, sum: 0.0, squares: 0.0, whole: true };

    fn add(&mut self, value: f32) {
        (self.low, self.high) = (self.low.min(value), self.high.max(value));
        let x = f64::from(value);
        (self.count, self.sum, self.squares) = (self.count + 1.0, self.sum + x, self.squares + x * x);
        self.whole &= value == value.trunc();
    }

    fn merge(&mut self, other: &Self) {
        (self.low, self.high) = (self.low.min(other.low), self.high.max(other.high));
        self.count += other.count;
        (self.sum, self.squares) = (self.sum + other.sum, self.squares + other.squares);
        self.whole &= other.whole;
    }

    fn mean(&self) -> f64 {
        self.sum / self.count
    }

    /// The range between the ends that `clip` sets; `values` are those of a sample.
    fn range(&self, clip: SqClip, mut values: Vec<f32>) -> (f64, f64) {
        let (low, high) = (f64::from(self.low), f64::from(self.high));
        match clip {
            SqClip::MinMax => (low, high),
            SqClip::Sigma(sigma) => {
                let mean = self.mean();
                let reach = f64::from(sigma) * (self.squares / self.count - mean * mean).max(0.0).sqrt();
                (low.max(mean - reach), high.min(mean + reach))
            }
            SqClip::Quantile(q) => {
                values.sort_unstable_by(f32::total_cmp);
                let last = (values.len() - 1) as f64;
                let inner = ((1.0 - f64::from(q)) * last).floor() as usize;
                (f64::from(values[inner]), f64::from(values[values.len() - 1 - inner]))
            }
        }
    }
}

impl Sq {
    /// Learns from `rows`, `(n, dim)` with `n` at least 1, what codes of `params` stand for.
    ///
    /// Whole numbers that fit the codes get a step of 1 (unless `params` asks for ranges of rows or for clipping), whatever
    /// range was asked for: see [`Sq::is_exact`]. The same on any number of threads.
    ///
    /// # Errors
    /// [`TrainError::Row`] for the first row that is not finite, or is zero under cosine; [`TrainError::Metric`] unless the
    /// metric is `L2`, `InnerProduct` or `Cosine`; [`TrainError::TooFew`] without rows; [`TrainError::Param`] or
    /// [`TrainError::Value`] if `params` are out of range.
    pub fn train(rows: MatrixView<'_, f32>, metric: Metric, params: &SqParams, par: Par) -> Result<Self, TrainError> {
        params.check()?;
        check(rows, metric, Self::NAME)?;
        let columns = par.install(|par| spreads(rows, metric, par));
        let all = columns.iter().fold(Spread::NOTHING, |mut all, column| {
            all.merge(column);
            all
        });
        let dim = rows.dim();
        let (top, half) = (f64::from(params.top()), f64::from(params.half()));
        let fits = params.range != SqRange::PerVector && params.clip == SqClip::MinMax;
        let width = f64::from(all.high) - f64::from(all.low);
        // Beyond this, `f32` has not every whole number.
        let whole = all.whole && all.low.abs().max(all.high.abs()) < (1 << 23) as f32;
        if fits && (width == 0.0 || (whole && width <= top)) {
            // Rows to come are whole numbers of the same kind, most likely.
            let low = match (f64::from(all.low), f64::from(all.high)) {
                (low, high) if low >= 0.0 && high <= top && whole => 0.0,
                (low, high) if low >= -half && high < half && whole => -half,
                (low, _) if width == 0.0 => low - half,
                (low, _) => low,
            };
            let params = SqParams { range: SqRange::Uniform, ..*params };
            return Self::from_parts(params, metric, true, vec![(low + half) as f32; dim], vec![1.0; dim]);
        }
        let sample = sample(rows, metric, params.clip);
        let (base, step) = match params.range {
            SqRange::PerVector => (columns.iter().map(|column| column.mean() as f32).collect(), vec![1.0; dim]),
            SqRange::Uniform => {
                let (base, step) = grid(all.range(params.clip, sample), params);
                // Quantiles may meet where values do not.
                let step = if step > 0.0 { step } else { (width / top) as f32 };
                (vec![base; dim], vec![step; dim])
            }
            SqRange::PerDimension => {
                let values = |at: usize| sample.iter().copied().skip(at).step_by(dim).collect();
                columns
                    .iter()
                    .enumerate()
                    .map(|(at, column)| grid(column.range(params.clip, values(at)), params))
                    .unzip()
            }
        };
        Self::from_parts(*params, metric, false, base, step)
    }
}

/// What the code in the middle stands for, and the step. It stands for the middle of the range, where most values are: with the
/// same squared error, 4 bits find 0.005 more of the nearest ten of normal rows than if two codes lay beside it.
fn grid((low, high): (f64, f64), params: &SqParams) -> (f32, f32) {
    let step = (high - low) / f64::from(params.top());
    let base = if step > 0.0 { (low + high) / 2.0 } else { low };
    (base as f32, step as f32)
}

fn spreads(rows: MatrixView<'_, f32>, metric: Metric, par: Par) -> Vec<Spread> {
    let pool = ScratchPool::<Vec<f32>>::default();
    let parts = par.map_chunks(rows.len(), CHUNK, &pool, |vector, range| {
        let mut columns = vec![Spread::NOTHING; rows.dim()];
        for row in range {
            prepare_dense(rows.row(row), metric, rows.dim(), vector);
            columns.iter_mut().zip(&*vector).for_each(|(column, &x)| column.add(x));
        }
        columns
    });
    let mut columns = vec![Spread::NOTHING; rows.dim()];
    for part in &parts {
        columns.iter_mut().zip(part).for_each(|(column, part)| column.merge(part));
    }
    columns
}

/// At most [`SAMPLE`] rows one after the other; none if no quantile is asked for.
fn sample(rows: MatrixView<'_, f32>, metric: Metric, clip: SqClip) -> Vec<f32> {
    if !matches!(clip, SqClip::Quantile(_)) {
        return Vec::new();
    }
    let count = rows.len().min(SAMPLE);
    let (mut vector, mut values) = (Vec::new(), Vec::with_capacity(count * rows.dim()));
    for i in 0..count {
        prepare_dense(rows.row(i * rows.len() / count), metric, rows.dim(), &mut vector);
        values.extend_from_slice(&vector);
    }
    values
}
