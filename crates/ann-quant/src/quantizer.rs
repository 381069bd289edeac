//! What every scheme can do.

use ann_core::Metric;
use ann_core::simd::Rows;

/// A trained scheme that turns rows into codes of [`Self::code_len`] bytes and estimates distances from them.
///
/// Distances are those of the metric it was trained for, smaller is nearer: squared under `L2`, the negated product under
/// `InnerProduct`, one minus the product under `Cosine`. Under cosine vectors and queries come normalised
/// ([`ann_core::prepare_dense`]); [`CodeStore`](crate::CodeStore) sees to it.
///
/// Encoding and estimating are deterministic: the same on any number of threads, and where a scheme estimates in
/// integers, on every instruction set.
pub trait Quantizer: Send + Sync + 'static {
    /// What errors call codes of this scheme.
    const NAME: &'static str;
    /// A query made ready: rotated, rounded, turned into tables. Reused from query to query without allocating.
    type Prepared: Default + Send;

    /// Columns of a vector.
    fn dim(&self) -> usize;

    /// The metric it was trained for.
    fn metric(&self) -> Metric;

    /// Bytes of a code, factors included.
    fn code_len(&self) -> usize;

    /// Writes the code of `vector` (`dim` finite values) into `code` (`code_len` bytes, whatever they hold). `scratch` is
    /// reused from row to row.
    fn encode(&self, vector: &[f32], scratch: &mut Vec<f32>, code: &mut [u8]);

    /// Whether `code` (`code_len` bytes) could be that of a row: the numbers that lie in it are finite, the bits that mean
    /// nothing are zero. Codes of a file are asked; where every byte means something, all may be.
    fn is_code(&self, code: &[u8]) -> bool {
        code.len() == self.code_len()
    }

    /// The vector that a code stands for, into `vector` (`dim` values).
    fn decode(&self, code: &[u8], vector: &mut [f32]);

    /// Makes `query` (`dim` finite values) ready.
    fn prepare(&self, query: &[f32], out: &mut Self::Prepared);

    /// `out[i]` becomes the distance to the row with code `codes[ids[i]]`. Rows may be padded beyond `code_len`.
    ///
    /// # Panics
    /// If an id is no row, or `ids` and `out` differ in length.
    fn gather(&self, query: &Self::Prepared, codes: Rows<'_, u8>, ids: &[u32], out: &mut [f32]);

    /// `out[i]` becomes the distance to the row with code `codes[i]`, for every row: the same values as
    /// [`Self::gather`] gives.
    ///
    /// # Panics
    /// If there are not as many rows as places in `out`.
    fn scan(&self, query: &Self::Prepared, codes: Rows<'_, u8>, out: &mut [f32]) {
        const BLOCK: usize = 256;
        let mut ids = [0; BLOCK];
        assert!(codes.len() == out.len(), "{} rows, room for {} values", codes.len(), out.len());
        for (block, out) in out.chunks_mut(BLOCK).enumerate() {
            for (id, row) in ids.iter_mut().zip(block * BLOCK..) {
                *id = row as u32;
            }
            self.gather(query, codes, &ids[..out.len()], out);
        }
    }
}
