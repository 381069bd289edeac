//! Products of vectors of signs, by counting bits.
//!
//! Of two vectors of `n` signs the product is `n - 2h`, with `h` the number of places where they differ. A query of numbers
//! becomes a weighted sum of such vectors: with weights 1, 2, 4, … they stand for the odd numbers from `1 - 2^planes` to
//! `2^planes - 1`. So a product of numbers and signs is one exact count of bits per plane; a single plane compares signs
//! with signs.
//!
//! Around a centre `c` a product is `⟨q, c⟩ + ⟨x - c, c⟩ + ⟨q - c, x - c⟩`. The first is the same for all rows and the second is
//! known exactly when a row is coded, so that only the last, of shorter vectors, has to be estimated.

use crate::floats::largest;
use ann_core::simd::{Kernel, Rows};
use ann_core::{Metric, unit_distance};

/// Rows counted at once.
const BLOCK: usize = 64;

/// A query made ready for codes of signs.
#[derive(Debug, Clone, Default)]
pub struct SignQuery {
    /// `planes` vectors of signs, one after the other.
    planes: Vec<u64>,
    /// Weight of each.
    weights: Vec<f64>,
    /// Signs in a vector.
    signs: usize,
    /// The product with the centre, or the squared distance to it.
    bias: f64,
    /// Where vectors are prepared.
    pub(crate) vector: Vec<f32>,
}

/// Words of 64 bits for `signs`.
pub(crate) fn words(signs: usize) -> usize {
    signs.div_ceil(64)
}

/// Appends the signs of `numbers`, a bit for each that is positive, in whole words.
pub(crate) fn push(numbers: impl Iterator<Item = bool>, planes: &mut Vec<u64>) {
    for (i, positive) in numbers.enumerate() {
        if i % 64 == 0 {
            planes.push(0);
        }
        if let Some(word) = planes.last_mut() {
            *word |= u64::from(positive) << (i % 64);
        }
    }
}

/// Writes signs into `code`, which holds whole words.
pub(crate) fn write(numbers: impl Iterator<Item = bool>, code: &mut [u8]) {
    code.fill(0);
    numbers.enumerate().for_each(|(i, positive)| code[i / 8] |= u8::from(positive) << (i % 8));
}

/// Sign `i` of a code, 1 or -1.
pub(crate) fn read(code: &[u8], i: usize) -> f32 {
    if code[i / 8] >> (i % 8) & 1 == 1 { 1.0 } else { -1.0 }
}

/// Whether the bits behind `signs` of them are zero, up to the end of their words.
pub(crate) fn is_clean(code: &[u8], signs: usize) -> bool {
    (signs..64 * words(signs)).all(|i| code[i / 8] >> (i % 8) & 1 == 0)
}

impl SignQuery {
    /// No planes yet, of `signs` each.
    pub(crate) fn reset(&mut self, signs: usize) {
        self.signs = signs;
        self.planes.clear();
        self.weights.clear();
    }

    /// Sets what all rows have in common.
    pub(crate) fn set_bias(&mut self, metric: Metric, query: &[f32], centre: &[f32]) {
        let pairs = query.iter().zip(centre).map(|(&x, &c)| (f64::from(x), f64::from(c)));
        self.bias = match metric {
            Metric::L2 => pairs.map(|(x, c)| (x - c).powi(2)).sum(),
            _ => pairs.map(|(x, c)| x * c).sum(),
        };
    }

    /// The distance to a row whose code has the given product with the query; `own` is what the row adds: the squared norm
    /// of its code under L2, of products that of the centre and the row less the centre.
    #[inline]
    pub(crate) fn distance(&self, metric: Metric, own: f64, product: f64) -> f32 {
        match metric {
            Metric::L2 => (self.bias + own - 2.0 * product).max(0.0) as f32,
            Metric::InnerProduct => -(self.bias + own + product) as f32,
            _ => unit_distance((self.bias + own + product) as f32),
        }
    }

    /// Adds a vector of signs as it is.
    pub(crate) fn add(&mut self, weight: f64, signs: impl Iterator<Item = bool>) {
        push(signs, &mut self.planes);
        self.weights.push(weight);
    }

    /// Rounds `self.vector` to sums of `planes` vectors of signs, each repeated `times` times.
    pub(crate) fn round(&mut self, planes: usize, times: usize) {
        let vector = std::mem::take(&mut self.vector);
        let largest = largest(&vector);
        let top = f64::from((1u32 << planes) - 1);
        let scale = if largest > 0.0 { f64::from(largest) / top } else { 1.0 };
        // The odd number next to x / scale is 2 * level - top.
        let level = |x: f32| (((f64::from(x) / scale + top) / 2.0).clamp(0.0, top) + 0.5) as u32;
        if planes == 1 {
            let positive = || vector.iter().map(|&x| x > 0.0);
            let mean = vector.iter().map(|&x| f64::from(x.abs())).sum::<f64>() / vector.len().max(1) as f64;
            self.add(mean, (0..times).flat_map(|_| positive()));
        } else {
            for plane in 0..planes {
                let bits = || vector.iter().map(|&x| level(x) >> plane & 1 == 1);
                self.add(scale * f64::from(1u32 << plane), (0..times).flat_map(|_| bits()));
            }
        }
        self.vector = vector;
    }

    /// `out[i]` becomes the product with the row of number `id(i)`.
    pub(crate) fn products(
        &self,
        kernel: Kernel<u64, u64>,
        codes: Rows<'_, u8>,
        id: impl Fn(usize) -> u32,
        out: &mut [f32],
    ) {
        let len = words(self.signs);
        let rows = codes.words(len);
        let signs = self.signs as f64;
        let (mut ids, mut counts, mut sums) = ([0; BLOCK], [0.0; BLOCK], [0.0; BLOCK]);
        for (block, out) in out.chunks_mut(BLOCK).enumerate() {
            let (ids, counts, sums) = (&mut ids[..out.len()], &mut counts[..out.len()], &mut sums[..out.len()]);
            ids.iter_mut().zip(block * BLOCK..).for_each(|(to, i)| *to = id(i));
            sums.fill(0.0);
            for (plane, weight) in self.planes.chunks_exact(len).zip(&self.weights) {
                match rows {
                    Some(rows) => kernel.gather(plane, rows, ids, counts),
                    None => {
                        for (count, &id) in counts.iter_mut().zip(&*ids) {
                            let words = codes.row(id as usize).as_chunks::<8>().0.iter().zip(plane);
                            *count = words.map(|(&x, q)| (u64::from_le_bytes(x) ^ q).count_ones()).sum::<u32>() as f32;
                        }
                    }
                }
                sums.iter_mut()
                    .zip(&*counts)
                    .for_each(|(sum, &count)| *sum += weight * (signs - 2.0 * f64::from(count)));
            }
            out.iter_mut().zip(&*sums).for_each(|(to, &sum)| *to = sum as f32);
        }
    }
}

#[cfg(test)]
mod tests;
