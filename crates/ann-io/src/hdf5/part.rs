//! One array of an HDF5 file: its shape checked once, its values decoded in batches.

use ann_core::Matrix;
use hdf5_pure::{DType, Layout};

use super::{Attributes, damaged, failed, mismatch};
use crate::dataset::{BitRows, IdSets, pack_row};
use crate::source::{ReadError, zeroed};
use crate::truth::negative_id;
use crate::vectors::rows;

/// Deflate expands a byte to at most this many (zlib, technical details); the other filters to fewer.
pub(super) const MAX_EXPANSION: u64 = 1032;
const BATCH_BYTES: u64 = 1 << 20;

/// An array of one or two dimensions whose size has been checked against the stored bytes.
pub(super) struct Part {
    dataset: hdf5_pure::Dataset,
    pub(super) name: &'static str,
    rank: usize,
    pub(super) rows: u64,
    /// 1 in an array of one dimension.
    pub(super) columns: u64,
    /// Rows that are decoded together.
    chunk_rows: u64,
    element_bytes: u64,
}

impl Part {
    /// Accepts the declared shape only if the bytes stored for it are in the file and can decode to so many values:
    /// uncompressed data must have its size, compressed data at least a [`MAX_EXPANSION`]th of it, with no chunk
    /// missing (a reader would silently fill the gap with zeros).
    pub(super) fn open(dataset: hdf5_pure::Dataset, name: &'static str, len: u64) -> Result<Self, ReadError> {
        let shape = dataset.shape().map_err(failed(name))?;
        let (rows, columns) = match *shape.as_slice() {
            [rows] => (rows, 1),
            [rows, columns] if columns > 0 => (rows, columns),
            _ => return Err(damaged(name, format!("shape {shape:?}, expected (n) or (n, d) with d above 0"))),
        };
        let dtype = dataset.dtype().map_err(failed(name))?;
        let numeric = !matches!(
            dtype,
            DType::String
                | DType::Compound(_)
                | DType::Array(..)
                | DType::VariableLengthString
                | DType::ObjectReference
                | DType::Other(_)
        );
        let element_bytes = dataset.element_size().map_err(failed(name))?;
        if !numeric || !matches!(element_bytes, 1 | 2 | 4 | 8) {
            return Err(ReadError::Unsupported {
                what: format!("`{name}` of {dtype}"),
                hint: "expected integers, floats of 4 or 8 bytes, or booleans",
            });
        }
        let oversized = || damaged(name, format!("shape {shape:?} exceeds the {len} bytes of the file"));
        let size = |dims: &[u64]| dims.iter().try_fold(element_bytes, |size, &dim| size.checked_mul(dim));
        let bytes = size(&shape).ok_or_else(oversized)?;
        let (stored, chunk_rows) = match dataset.layout().map_err(failed(name))? {
            Layout::Compact { size } | Layout::Contiguous { address: Some(_), size } => (size, 1),
            Layout::Contiguous { address: None, .. } => (0, 1),
            Layout::Chunked { chunk_shape, .. } => {
                let chunk_bytes = size(&chunk_shape).filter(|&bytes| bytes > 0 && bytes / MAX_EXPANSION <= len);
                chunk_bytes.ok_or_else(|| damaged(name, format!("chunks of {chunk_shape:?} values")))?;
                let grid = shape.iter().zip(&chunk_shape).map(|(dim, chunk)| dim.div_ceil(*chunk));
                let expected = grid.fold(1, u64::saturating_mul);
                let chunks = dataset.chunks().map_err(failed(name))?;
                if chunks.len() as u64 != expected {
                    return Err(damaged(name, format!("{} chunks, expected {expected}", chunks.len())));
                }
                let stored = chunks.iter().fold(0, |sum: u64, chunk| sum.saturating_add(chunk.storage_size));
                (stored, chunk_shape.first().copied().unwrap_or(1))
            }
            _ => return Err(damaged(name, "a virtual array".to_owned())),
        };
        let expansion = if dataset.filters().is_empty() { 1 } else { MAX_EXPANSION };
        if stored > len || bytes > stored.saturating_mul(expansion) {
            return Err(oversized());
        }
        Ok(Self { dataset, name, rank: shape.len(), rows, columns, chunk_rows, element_bytes })
    }

    pub(super) fn is_flat(&self, attributes: &Attributes) -> bool {
        attributes.sparse || self.rank == 1
    }

    /// Hands the values of rows `0..count` to `take`, a batch of whole rows at a time.
    fn stream<T>(
        &self,
        count: u64,
        read: fn(&hdf5_pure::Dataset, u64, u64) -> Result<Vec<T>, hdf5_pure::Error>,
        mut take: impl FnMut(u64, &[T]) -> Result<(), ReadError>,
    ) -> Result<(), ReadError> {
        // `Part::open` has multiplied these without overflow.
        let row_bytes = self.columns * self.element_bytes;
        let batch = (BATCH_BYTES / row_bytes).max(1).div_ceil(self.chunk_rows).saturating_mul(self.chunk_rows);
        let mut row = 0;
        while row < count {
            let expected = batch.min(count - row);
            let values = read(&self.dataset, row, expected).map_err(failed(self.name))?;
            if values.len() as u64 != expected * self.columns {
                return Err(mismatch("values of a batch of rows", expected * self.columns, values.len() as u64));
            }
            take(row, &values)?;
            row += expected;
        }
        Ok(())
    }

    pub(super) fn dense(&self, limit: u64, check_finite: bool) -> Result<Matrix<f32>, ReadError> {
        let count = self.rows.min(limit);
        let mut values: Vec<f32> = zeroed(count * self.columns, self.name)?;
        let mut rest = values.as_mut_slice();
        self.stream(count, hdf5_pure::Dataset::read_f32_rows, |first, batch| {
            if let Some(at) = batch.iter().position(|value| !value.is_finite()).filter(|_| check_finite) {
                let (row, column) = self.place(first, at);
                return Err(ReadError::NonFinite { row, column, value: batch.get(at).copied().unwrap_or(f32::NAN) });
            }
            if let Some((head, tail)) = std::mem::take(&mut rest).split_at_mut_checked(batch.len()) {
                head.copy_from_slice(batch);
                rest = tail;
            }
            Ok(())
        })?;
        rows(values, self.columns as usize)
    }

    pub(super) fn bits(&self, limit: u64) -> Result<BitRows, ReadError> {
        let (count, bits) = (self.rows.min(limit), self.columns as usize);
        let mut words = Vec::new();
        self.flags(count, |row| pack_row(row, &mut words))?;
        BitRows::from_words(words, bits).map_err(|_| mismatch("bits of whole rows", count, 0))
    }

    /// Sets stored as rows of indicators, as old files do: an id is the number of a column that holds 1.
    pub(super) fn indicators(&self, limit: u64) -> Result<IdSets, ReadError> {
        let mut sets = IdSets::default();
        let mut set = Vec::new();
        self.flags(self.rows.min(limit), |row| {
            set.clear();
            set.extend((0..).zip(row).filter(|&(_, &flag)| flag != 0).map(|(id, _): (u32, _)| id));
            sets.push(&set);
        })?;
        Ok(sets)
    }

    /// Hands on `count` rows of values that must be 0 or 1, whatever type stores them.
    fn flags(&self, count: u64, mut take: impl FnMut(&[u8])) -> Result<(), ReadError> {
        let mut row_flags = Vec::new();
        self.stream(count, hdf5_pure::Dataset::read_f32_rows, |first, batch| {
            if let Some(at) = batch.iter().position(|&value| value != 0.0 && value != 1.0) {
                return Err(self.bad_value(first, at, batch.get(at).copied().unwrap_or(f32::NAN).into(), "0 or 1"));
            }
            for row in batch.chunks_exact(self.columns as usize) {
                row_flags.clear();
                row_flags.extend(row.iter().map(|&value| u8::from(value != 0.0)));
                take(&row_flags);
            }
            Ok(())
        })
    }

    pub(super) fn sets(&self, sizes: &Self, limit: u64) -> Result<IdSets, ReadError> {
        if self.rank != 1 || sizes.rank != 1 {
            return Err(damaged(self.name, "sets must be stored as arrays of one dimension".to_owned()));
        }
        let mut ends = Vec::new();
        let mut total = 0u64;
        sizes.stream(sizes.rows, hdf5_pure::Dataset::read_i64_rows, |first, batch| {
            for (at, &size) in batch.iter().enumerate() {
                let size =
                    u64::try_from(size).map_err(|_| sizes.bad_value(first, at, size as f64, "a size of at least 0"))?;
                total = total.saturating_add(size);
                ends.push(total);
            }
            Ok(())
        })?;
        if total != self.rows {
            return Err(mismatch("sum of sizes against the number of ids", self.rows, total));
        }
        let wanted = usize::try_from(limit).map_or(ends.len(), |limit| limit.min(ends.len()));
        ends.truncate(wanted);
        let ids = self.unsigned(ends.last().copied().unwrap_or(0), 1 << 32, "an id of at least 0 below 2^32")?;
        let mut sets = IdSets::default();
        let mut start = 0;
        for end in ends {
            sets.push(ids.get(start..end as usize).unwrap_or_default());
            start = end as usize;
        }
        Ok(sets)
    }

    /// Neighbours: ids below `bound`.
    pub(super) fn ids(&self, bound: u64) -> Result<Vec<u32>, ReadError> {
        self.unsigned(self.rows, bound.min(1 << 32), "an id below the number of base rows")
    }

    fn unsigned(&self, count: u64, bound: u64, expected: &'static str) -> Result<Vec<u32>, ReadError> {
        let mut ids = Vec::new();
        self.stream(count, hdf5_pure::Dataset::read_i64_rows, |first, batch| {
            for (at, &id) in batch.iter().enumerate() {
                match u32::try_from(id) {
                    Ok(id) if u64::from(id) < bound => ids.push(id),
                    _ if id < 0 && self.name == "neighbors" => {
                        let (row, column) = self.place(first, at);
                        return Err(negative_id(row, column, id as f64));
                    }
                    _ => return Err(self.bad_value(first, at, id as f64, expected)),
                }
            }
            Ok(())
        })?;
        Ok(ids)
    }

    /// Row and column of value `at` of the batch that begins at row `first`.
    fn place(&self, first: u64, at: usize) -> (usize, usize) {
        let columns = self.columns as usize;
        (first as usize + at / columns, at % columns)
    }

    fn bad_value(&self, first: u64, at: usize, found: f64, expected: &'static str) -> ReadError {
        let (row, column) = self.place(first, at);
        ReadError::Value { part: self.name, row, column, found, expected }
    }
}
