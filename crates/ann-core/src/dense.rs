//! What all stores of rows of numbers do with a vector: check it, normalise it, pad it.

use crate::{Metric, VectorError, check_finite};

/// Most rows of a store: one bit of an id is left to the structures above.
pub const MAX_ROWS: u32 = 1 << 31;

/// Most columns of a row: beyond any data, and far below where sums of offsets could overflow.
pub const MAX_DIM: usize = 1 << 20;

/// Whether a vector of numbers may be asked for or stored.
///
/// # Errors
/// [`VectorError`] if it has not `dim` columns, is not finite, or is zero under cosine.
pub fn check_dense(vector: &[f32], dim: usize, metric: Metric) -> Result<(), VectorError> {
    if vector.len() != dim {
        return Err(VectorError::Dimension { expected: dim, found: vector.len() });
    }
    check_finite(vector)?;
    if metric == Metric::Cosine && vector.iter().all(|&x| x == 0.0) {
        return Err(VectorError::Zero);
    }
    Ok(())
}

/// `vector` as rows of `f32` are kept: normalised under cosine, padded with zeros.
pub fn prepare_dense(vector: &[f32], metric: Metric, stride: usize, out: &mut Vec<f32>) {
    out.clear();
    match metric {
        Metric::Cosine => out.extend(normalised(vector)),
        _ => out.extend_from_slice(vector),
    }
    out.resize(stride, 0.0);
}

/// `1 / ‖vector‖` in f64, 0 for the zero vector.
pub(crate) fn inverse_norm(vector: &[f32]) -> f64 {
    let (eights, rest) = vector.as_chunks::<8>();
    // Eight sums side by side: one alone would wait for every addition.
    let mut sums = [0f64; 8];
    for eight in eights {
        sums.iter_mut().zip(eight).for_each(|(sum, &x)| *sum += f64::from(x) * f64::from(x));
    }
    let rest: f64 = rest.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
    let norm = (sums.iter().sum::<f64>() + rest).sqrt();
    if norm > 0.0 { 1.0 / norm } else { 0.0 }
}

/// `vector` scaled to norm 1, in f64 until the last step.
pub(crate) fn normalised(vector: &[f32]) -> impl Iterator<Item = f32> + '_ {
    let scale = inverse_norm(vector);
    vector.iter().map(move |&x| (f64::from(x) * scale) as f32)
}

/// Rounding may carry the product of unit vectors past ±1.
#[inline]
pub fn unit_distance(product: f32) -> f32 {
    (1.0 - product).clamp(0.0, 2.0)
}

/// Elements from one row of `dim` to the next: whole cache lines, or a power of two of bytes below one line.
pub fn padded_len<T>(dim: usize) -> usize {
    const LINE: usize = 64;
    let size = size_of::<T>();
    let bytes = dim * size;
    let padded = if bytes < LINE { bytes.next_power_of_two() } else { bytes.next_multiple_of(LINE) };
    padded / size
}
