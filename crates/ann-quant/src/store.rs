//! The codes of many rows, as a store that any structure searches.

use crate::Quantizer;
use ann_core::simd::{Buffer, Rows};
use ann_core::{
    DistanceOracle, FlatError, MAX_ROWS, MatrixView, Par, PushVector, RowError, ScratchPool, VectorError, VectorStore,
    check_dense, padded_len, prepare_dense,
};

/// Rows that are kept as codes of a [`Quantizer`], padded to whole cache lines (short ones to a power of two).
///
/// Distances are the estimates of the quantizer, from an exact query to a code. Two rows are compared by decoding one of
/// them.
#[derive(Debug, Clone)]
pub struct CodeStore<Q> {
    quantizer: Q,
    len: usize,
    stride: usize,
    codes: Buffer<u8>,
}

/// Rows encoded per task.
const CHUNK: usize = 256;

impl<Q: Quantizer> CodeStore<Q> {
    /// A store of no rows.
    pub fn new(quantizer: Q) -> Self {
        let stride = padded_len::<u8>(quantizer.code_len());
        Self { quantizer, len: 0, stride, codes: Buffer::new() }
    }

    /// Encodes `rows`, `(n, dim)`, on the threads of `par`; the codes are the same on any.
    ///
    /// # Errors
    /// [`RowError`] for the first row that has another dimension, is not finite, or is zero under cosine.
    pub fn from_rows(quantizer: Q, rows: MatrixView<'_, f32>, par: Par) -> Result<Self, RowError> {
        let mut store = Self::new(quantizer);
        store.extend(rows, par)?;
        Ok(store)
    }

    /// Encodes `rows` behind those that are there, on the threads of `par`.
    ///
    /// # Errors
    /// As [`Self::from_rows`]; the store is then unchanged.
    pub fn extend(&mut self, rows: MatrixView<'_, f32>, par: Par) -> Result<(), RowError> {
        for (row, vector) in rows.rows().enumerate() {
            self.check(vector).map_err(|source| RowError { row, source })?;
        }
        let room = MAX_ROWS as usize - self.len;
        if rows.len() > room {
            return Err(RowError { row: room, source: VectorError::Full { limit: MAX_ROWS } });
        }
        let (start, stride) = (self.codes.len(), self.stride);
        self.codes.resize(start + rows.len() * stride, 0);
        let (quantizer, codes) = (&self.quantizer, &mut self.codes.as_mut_slice()[start..]);
        let pool = ScratchPool::<(Vec<f32>, Vec<f32>)>::default();
        par.install(|par| {
            par.for_each_chunk_mut(codes, CHUNK * stride, &pool, |(vector, scratch), at, codes| {
                for (i, code) in codes.chunks_exact_mut(stride).enumerate() {
                    let row = rows.row(at / stride + i);
                    prepare_dense(row, quantizer.metric(), row.len(), vector);
                    quantizer.encode(vector, scratch, &mut code[..quantizer.code_len()]);
                }
            });
        });
        self.len += rows.len();
        Ok(())
    }

    /// Puts a store together from what [`Self::quantizer`], [`VectorStore::len`] and [`Self::padded_codes`] gave.
    ///
    /// # Errors
    /// [`FlatError::Parts`] if the lengths do not fit; contents are taken as they are.
    pub fn from_parts(quantizer: Q, len: usize, codes: Buffer<u8>) -> Result<Self, FlatError> {
        let mut store = Self::new(quantizer);
        let expected = len.saturating_mul(store.stride);
        if codes.len() != expected {
            return Err(FlatError::Parts { what: "bytes of the padded codes", expected, found: codes.len() });
        }
        if len > MAX_ROWS as usize {
            return Err(FlatError::Parts { what: "rows", expected: MAX_ROWS as usize, found: len });
        }
        (store.len, store.codes) = (len, codes);
        Ok(store)
    }

    /// The quantizer.
    pub fn quantizer(&self) -> &Q {
        &self.quantizer
    }

    /// The code of row `id`, without padding.
    ///
    /// # Panics
    /// If `id` is no row.
    pub fn code(&self, id: u32) -> &[u8] {
        &self.codes[id as usize * self.stride..][..self.quantizer.code_len()]
    }

    /// All codes with their padding.
    pub fn padded_codes(&self) -> &[u8] {
        &self.codes
    }

    /// The codes as kernels take them.
    pub fn rows(&self) -> Rows<'_, u8> {
        Rows::new(&self.codes, self.quantizer.code_len(), self.stride)
    }

    /// `out[i]` becomes the distance to row `i`, for every row.
    ///
    /// # Panics
    /// If `out` has not room for every row.
    pub fn scan(&self, query: &[f32], scratch: &mut CodeScratch<Q>, out: &mut [f32]) {
        self.oracle(query, scratch);
        self.quantizer.scan(&scratch.prepared, self.rows(), out);
    }
}

/// Where a [`CodeStore`] prepares a query.
#[derive(Debug)]
pub struct CodeScratch<Q: Quantizer> {
    query: Vec<f32>,
    prepared: Q::Prepared,
}

impl<Q: Quantizer> Default for CodeScratch<Q> {
    fn default() -> Self {
        Self { query: Vec::new(), prepared: Q::Prepared::default() }
    }
}

/// Answers for one query against a [`CodeStore`].
#[derive(Debug)]
pub struct CodeOracle<'a, Q: Quantizer> {
    store: &'a CodeStore<Q>,
    rows: Rows<'a, u8>,
    query: &'a Q::Prepared,
}

impl<Q: Quantizer> DistanceOracle for CodeOracle<'_, Q> {
    fn distances(&self, ids: &[u32], out: &mut [f32]) {
        self.store.quantizer.gather(self.query, self.rows, ids, out);
    }

    fn prefetch(&self, id: u32) {
        /// Lines asked for ahead of time; the hardware's stream prefetcher brings the rest of a longer code.
        const LINES: usize = 4;
        self.rows.prefetch(id, LINES);
    }
}

impl<Q: Quantizer> VectorStore for CodeStore<Q> {
    type Vector = [f32];
    type Scratch = CodeScratch<Q>;
    type Oracle<'a> = CodeOracle<'a, Q>;

    fn len(&self) -> usize {
        self.len
    }

    fn check(&self, vector: &[f32]) -> Result<(), VectorError> {
        check_dense(vector, self.quantizer.dim(), self.quantizer.metric())
    }

    fn oracle<'a>(&'a self, query: &'a [f32], scratch: &'a mut CodeScratch<Q>) -> CodeOracle<'a, Q> {
        prepare_dense(query, self.quantizer.metric(), query.len(), &mut scratch.query);
        self.quantizer.prepare(&scratch.query, &mut scratch.prepared);
        CodeOracle { store: self, rows: self.rows(), query: &scratch.prepared }
    }

    fn oracle_at<'a>(&'a self, id: u32, scratch: &'a mut CodeScratch<Q>) -> CodeOracle<'a, Q> {
        scratch.query.resize(self.quantizer.dim(), 0.0);
        self.quantizer.decode(self.code(id), &mut scratch.query);
        self.quantizer.prepare(&scratch.query, &mut scratch.prepared);
        CodeOracle { store: self, rows: self.rows(), query: &scratch.prepared }
    }

    fn memory_usage(&self) -> usize {
        self.codes.memory_bytes()
    }
}

impl<Q: Quantizer> PushVector for CodeStore<Q> {
    fn push(&mut self, vector: &[f32]) -> Result<u32, VectorError> {
        self.check(vector)?;
        match MatrixView::new(vector, vector.len()).map(|one| self.extend(one, Par::Serial)) {
            Ok(Ok(())) => Ok(self.len as u32 - 1),
            Ok(Err(error)) => Err(error.source),
            Err(_) => Err(VectorError::Dimension { expected: self.quantizer.dim(), found: vector.len() }),
        }
    }

    fn truncate(&mut self, len: usize) {
        if len < self.len {
            self.len = len;
            self.codes.truncate(len * self.stride);
        }
    }

    fn swap_remove(&mut self, id: u32) {
        let row = id as usize;
        assert!(row < self.len, "row {row} of {}", self.len);
        let last = self.len - 1;
        self.codes.as_mut_slice().copy_within(last * self.stride.., row * self.stride);
        self.truncate(last);
    }
}
