//! Codes of 4 bits in blocks of sixteen rows, scanned through tables of bytes.
//!
//! André, Kermarrec and Le Scouarnec, *Quicker ADC: unlocking the hidden potential of product quantization with SIMD*,
//! TPAMI 2019, arXiv:1812.09162. The sixteen distances of a group fit one vector register when each is a byte, and one
//! instruction then looks up many rows. All groups share one scale, the largest that keeps every entry within a byte and
//! every sum within 16 bits, so sums of integers order rows as distances do; they are exact, hence the same on every
//! instruction set. Our blocks are those of [`LaneKernel`], made for products of bytes summed into 32 bits: 64 bytes hold
//! eight groups of sixteen rows, four bytes for each row, byte `b` the groups `8g + b` in its low and `8g + 4 + b` in its
//! high half.
//!
//! Cost: `⌈m / 8⌉ · 64` bytes for sixteen rows, a look-up and an addition for each group of a row.

use crate::pq::{Pq, PqQuery};
use crate::{CodeStore, Quantizer, TrainError};
use ann_core::simd::lanes::{self, GROUP as GROUPS, LANES as ROWS, LaneKernel};
use ann_core::simd::{Arch, Buffer};
use ann_core::{MAX_DIM, MAX_ROWS};

#[cfg(test)]
mod tests;

/// Codes of 4 bits of many rows, group by group; ids are those of the store they came from.
///
/// ```
/// use ann_core::{Matrix, Metric, Par};
/// use ann_quant::{CodeStore, FastCodes, FastQuery, Pq, PqParams, Quantizer};
/// let rows = Matrix::new((0..600).map(|i| (i % 97) as f32).collect(), 6)?;
/// let pq = Pq::train(rows.view(), Metric::L2, &PqParams { m: 3, nbits: 4, ..Default::default() }, Par::Serial)?;
/// let store = CodeStore::from_rows(pq, rows.view(), Par::Serial)?;
/// let codes = FastCodes::new(&store).expect("4 bits");
///
/// let (mut query, mut tables) = (FastQuery::default(), Default::default());
/// store.quantizer().prepare(rows.row(7), &mut tables);
/// query.prepare(&tables);
/// let (mut sums, mut exact) = (vec![0; codes.padded_len()], vec![0.0; 100]);
/// codes.scan(&query, &mut sums);
/// store.quantizer().scan(&tables, store.rows(), &mut exact);
/// assert!((query.distance(sums[7]) - exact[7]).abs() <= query.error());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct FastCodes {
    m: usize,
    len: usize,
    /// `(blocks, ⌈m / 8⌉, 64)`; zeros where there is no row or group.
    blocks: Buffer<u8>,
    kernel: LaneKernel,
}

impl FastCodes {
    /// The codes of `store` in blocks; `None` if they are not of 4 bits.
    pub fn new<Q: Quantizer + AsRef<Pq>>(store: &CodeStore<Q>) -> Option<Self> {
        let pq: &Pq = store.quantizer().as_ref();
        if pq.nbits() != 4 {
            return None;
        }
        let (m, len) = (pq.m(), store.rows().len());
        let block_len = lanes::block_len(m, 1);
        let mut blocks = Buffer::new();
        blocks.resize(len.div_ceil(ROWS) * block_len, 0);
        for (block, bytes) in blocks.as_mut_slice().chunks_exact_mut(block_len).enumerate() {
            for row in block * ROWS..len.min((block + 1) * ROWS) {
                for (group, index) in pq.indices(store.code(row as u32)).enumerate() {
                    let (byte, shift) = lanes::place(m, 0, row, group);
                    bytes[byte] |= (index as u8) << shift;
                }
            }
        }
        Some(Self { m, len, blocks, kernel: LaneKernel::new(pq.arch()) })
    }

    /// Codes of [`Self::m`] groups, [`Self::len`] rows and [`Self::blocks`] as they were given.
    ///
    /// # Errors
    /// [`TrainError::Param`] if the numbers do not fit one another, or something lies where there is no row or group.
    pub fn from_parts(m: usize, len: usize, blocks: Buffer<u8>) -> Result<Self, TrainError> {
        if m == 0 || m > MAX_DIM {
            return Err(TrainError::Param { name: "m", found: m, must: "1 to 1,048,576" });
        }
        if len > MAX_ROWS as usize {
            return Err(TrainError::Param { name: "rows", found: len, must: "at most as many as a store holds" });
        }
        let block_len = lanes::block_len(m, 1);
        if len.div_ceil(ROWS).checked_mul(block_len) != Some(blocks.len()) {
            let (name, found) = ("bytes of the blocks", blocks.len());
            return Err(TrainError::Param { name, found, must: "whole blocks for every sixteen rows" });
        }
        let places = m.next_multiple_of(GROUPS);
        for (block, bytes) in blocks.chunks_exact(block_len).enumerate() {
            for lane in 0..ROWS {
                // All places of a row that is not there, else those of groups that are not.
                let first = if block * ROWS + lane < len { m } else { 0 };
                let used = |at| {
                    let (byte, shift) = lanes::place(m, 0, lane, at);
                    bytes[byte] >> shift & 15 != 0
                };
                if (first..places).any(used) {
                    let (name, found) = ("row of the blocks", block * ROWS + lane);
                    return Err(TrainError::Param { name, found, must: "zero where there is no row or group" });
                }
            }
        }
        Ok(Self { m, len, blocks, kernel: LaneKernel::new(Arch::detect()?) })
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Rows of whole blocks: what [`Self::scan`] needs room for.
    pub fn padded_len(&self) -> usize {
        self.len.next_multiple_of(ROWS)
    }

    /// Groups of columns.
    pub fn m(&self) -> usize {
        self.m
    }

    /// The blocks, `(padded_len / 16, ⌈m / 8⌉, 64)`.
    pub fn blocks(&self) -> &[u8] {
        &self.blocks
    }

    /// `sums[i]` becomes the sum of the table entries of row `i`, smaller is nearer; those of rows past the last mean
    /// nothing.
    ///
    /// # Panics
    /// If `sums` has not room for [`Self::padded_len`] values, or the query is for another number of groups.
    pub fn scan(&self, query: &FastQuery, sums: &mut [u32]) {
        assert!(sums.len() == self.padded_len(), "{} rows, room for {}", self.padded_len(), sums.len());
        assert!(query.m == self.m, "a query of {} groups, codes of {}", query.m, self.m);
        self.kernel.sums(&query.tables, &self.blocks, sums);
    }
}

/// The tables of a [`PqQuery`] as bytes.
#[derive(Debug, Clone, Default)]
pub struct FastQuery {
    m: usize,
    /// `(⌈m / 8⌉, 8, 16)`, zeros where there is no group.
    tables: Vec<u8>,
    /// The distance of sum 0.
    base: f32,
    /// Distance from one sum to the next.
    step: f32,
}

impl FastQuery {
    /// Rounds the tables of a query for codes of 4 bits.
    pub fn prepare(&mut self, query: &PqQuery) {
        let (groups, _) = query.tables.as_chunks::<16>();
        self.m = groups.len();
        let range = |table: &[f32; 16]| {
            let low = table.iter().copied().fold(f32::INFINITY, f32::min);
            let high = table.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            (low, high - low)
        };
        let (mut base, mut widest, mut total) = (f64::from(query.base), 0.0_f32, 0.0_f64);
        for (low, span) in groups.iter().map(range) {
            base += f64::from(low);
            widest = widest.max(span);
            total += f64::from(span);
        }
        // An entry rounds up by one half at the most, hence the room left in 16 bits.
        let room = f64::from(u16::MAX) - groups.len() as f64 / 2.0;
        let step = (f64::from(widest) / 255.0).max(total / room.max(1.0));
        let scale = if step > 0.0 && step.is_finite() { step.recip() as f32 } else { 0.0 };
        (self.base, self.step) = (base as f32, step as f32);
        self.tables.clear();
        self.tables.resize(self.m.div_ceil(GROUPS) * GROUPS * 16, 0);
        for (rounded, table) in self.tables.as_chunks_mut::<16>().0.iter_mut().zip(groups) {
            let (low, _) = range(table);
            rounded.iter_mut().zip(table).for_each(|(byte, &x)| *byte = ((x - low) * scale).round() as u8);
        }
    }

    /// The tables: `(⌈m / 8⌉, 8, 16)`.
    pub fn tables(&self) -> &[u8] {
        &self.tables
    }

    /// The distance that a sum stands for.
    pub fn distance(&self, sum: u32) -> f32 {
        self.base + sum as f32 * self.step
    }

    /// By how much [`Self::distance`] may differ from what the tables in floating point give.
    pub fn error(&self) -> f32 {
        // Half a step for each group, and what floating point rounds.
        (0.5 * self.m as f32 + 0.01) * self.step + 1e-5 * (self.base.abs() + self.step * 255.0 * self.m as f32)
    }
}
