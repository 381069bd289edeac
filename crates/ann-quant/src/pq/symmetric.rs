//! Distances between two codes, without a vector.

use super::Pq;
use crate::bits::read;
use ann_core::Metric;
use ann_core::simd::Rows;

/// Distances between two codes of one [`Pq`], without a vector.
///
/// ```
/// use ann_core::{Matrix, Metric, Par};
/// use ann_quant::{CodeStore, Pq, PqParams};
/// let rows = Matrix::new((0..32).map(|i| i as f32).collect(), 1)?;
/// let params = PqParams { m: 1, nbits: 4, ..Default::default() };
/// let pq = Pq::train(rows.view(), Metric::L2, &params, Par::Serial)?;
/// let symmetric = pq.symmetric();
/// let codes = CodeStore::from_rows(pq, rows.view(), Par::Serial)?;
/// assert_eq!(symmetric.distance(codes.code(3), codes.code(3)), 0.0);
/// assert!(symmetric.distance(codes.code(0), codes.code(31)) > 600.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Symmetric {
    metric: Metric,
    nbits: usize,
    m: usize,
    /// `(m, 2^nbits, 2^nbits)`.
    tables: Vec<f32>,
}

impl Symmetric {
    /// The distance between the vectors that two codes stand for.
    ///
    /// # Panics
    /// If a code is shorter than those of the quantizer.
    pub fn distance(&self, a: &[u8], b: &[u8]) -> f32 {
        let k = 1 << self.nbits;
        let entry = |group| {
            let row = group * k + read(a, self.nbits, group);
            self.tables[row * k + read(b, self.nbits, group)]
        };
        let sum: f32 = (0..self.m).map(entry).sum();
        match self.metric {
            Metric::L2 => sum,
            Metric::Cosine => 0.5 * sum,
            _ => -sum,
        }
    }
}

impl Pq {
    /// Tables of the distances between any two centroids of a group.
    pub fn symmetric(&self) -> Symmetric {
        let mut tables = Vec::with_capacity(self.m() << (2 * self.nbits));
        for (width, book) in self.groups() {
            for a in book.chunks_exact(width) {
                let start = tables.len();
                tables.resize(start + (1 << self.nbits), 0.0);
                self.kernel.scan(a, Rows::new(book, width, width), &mut tables[start..]);
            }
        }
        Symmetric { metric: self.metric, nbits: self.nbits, m: self.m(), tables }
    }
}
