//! The reading end of every vector format: a byte stream of known length and the errors that reading can end in.
//!
//! Nothing in a file is believed before it has been compared with the file's length, so that a forged count can
//! neither allocate more than the file holds nor read past its end. Numbers are little-endian, as in every format
//! read here. Cost: one buffer of 64 KiB besides the values themselves.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use crate::vectors::Scalar;

/// What to read of a file and how strictly.
///
/// ```
/// use ann_io::ReadOptions;
/// let options = ReadOptions { limit: Some(1000), ..ReadOptions::default() };
/// assert!(!options.check_finite);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReadOptions {
    /// Reads at most this many rows, the first ones. The file's length is checked against its header all the same.
    pub limit: Option<usize>,
    /// Refuses NaN and infinities, naming the first one's row and column.
    pub check_finite: bool,
}

/// Why vectors could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The file could not be opened.
    #[error("cannot open {path}: {source}")]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The system failed while reading.
    #[error("reading failed at byte {offset}: {source}")]
    Io {
        /// Where the failed read began.
        offset: u64,
        /// What the system said.
        source: io::Error,
    },
    /// The extension names no format known here.
    #[error("cannot tell the format of {path}: expected fvecs, bvecs, ivecs, fbin, u8bin, i8bin, ibin, f16bin or npy")]
    Extension {
        /// The file.
        path: PathBuf,
    },
    /// The file ends too early.
    #[error("the file ends at byte {offset}, but {what} needs {expected} bytes")]
    Truncated {
        /// Length of the file.
        offset: u64,
        /// Length that the part needs, counted from the file's first byte.
        expected: u64,
        /// The part that is cut off.
        what: &'static str,
    },
    /// Bytes follow the last value.
    #[error("{extra} unexpected bytes follow the last value, which ends at byte {offset}")]
    Trailing {
        /// Where the file should end.
        offset: u64,
        /// Bytes too many.
        extra: u64,
    },
    /// A header that makes no sense.
    #[error("header at byte {offset}: expected {expected}, found {found}")]
    Header {
        /// Where the field is.
        offset: u64,
        /// What would be right.
        expected: &'static str,
        /// What is there.
        found: String,
    },
    /// A row that says it has another dimension than the first.
    #[error("row {row} at byte {offset} says d = {found}, expected {expected}")]
    RowDim {
        /// The row, counted from 0.
        row: u64,
        /// Where the row begins.
        offset: u64,
        /// Dimension of row 0.
        expected: usize,
        /// Dimension that this row states.
        found: i32,
    },
    /// A valid file of a kind that is not read here.
    #[error("{what} is not supported: {hint}")]
    Unsupported {
        /// The kind.
        what: String,
        /// What to do about it.
        hint: &'static str,
    },
    /// NaN or an infinity where only finite values were asked for.
    #[error("row {row}, column {column} is {value}, expected a finite value")]
    NonFinite {
        /// The row, counted from 0.
        row: usize,
        /// The column, counted from 0.
        column: usize,
        /// The value.
        value: f32,
    },
    /// A value that cannot be what it stands for.
    #[error("`{part}` row {row}, column {column} is {found}, expected {expected}")]
    Value {
        /// The array.
        part: &'static str,
        /// The row, counted from 0.
        row: usize,
        /// The column, counted from 0.
        column: usize,
        /// The value.
        found: f64,
        /// What would be right.
        expected: &'static str,
    },
    /// A part that must be there is not.
    #[error("the file has no {what}")]
    Missing {
        /// The part.
        what: &'static str,
    },
    /// Two parts of a file contradict each other.
    #[error("{what}: expected {expected}, found {found}")]
    Mismatch {
        /// What is compared.
        what: &'static str,
        /// By the first part.
        expected: u64,
        /// By the second.
        found: u64,
    },
    /// More bytes than this machine can hold in one array.
    #[error("{bytes} bytes for {what} do not fit in memory")]
    TooLarge {
        /// Size of the array.
        bytes: u64,
        /// What it holds.
        what: &'static str,
    },
    /// A damaged or unreadable HDF5 structure.
    #[error("HDF5 {what}: {problem}")]
    Hdf5 {
        /// The object.
        what: String,
        /// What is wrong with it.
        problem: String,
    },
}

/// A stream of `len` bytes and the place reached in it.
pub(crate) struct Source<R> {
    inner: R,
    len: u64,
    position: u64,
}

impl Source<BufReader<File>> {
    pub(crate) fn open(path: &Path) -> Result<Self, ReadError> {
        let opened = File::open(path).and_then(|file| Ok((file.metadata()?.len(), file)));
        let (len, file) = opened.map_err(|source| ReadError::Open { path: path.to_owned(), source })?;
        Ok(Self::new(BufReader::with_capacity(1 << 16, file), len))
    }
}

impl<R: Read> Source<R> {
    pub(crate) fn new(inner: R, len: u64) -> Self {
        Self { inner, len, position: 0 }
    }

    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// The next `N` bytes.
    pub(crate) fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], ReadError> {
        let mut bytes = [0; N];
        self.fill(&mut bytes, what)?;
        Ok(bytes)
    }

    pub(crate) fn u32(&mut self, what: &'static str) -> Result<u32, ReadError> {
        self.array(what).map(u32::from_le_bytes)
    }

    pub(crate) fn i32(&mut self, what: &'static str) -> Result<i32, ReadError> {
        self.array(what).map(i32::from_le_bytes)
    }

    /// Overwrites `out` with the next values.
    pub(crate) fn fill<T: Scalar>(&mut self, out: &mut [T], what: &'static str) -> Result<(), ReadError> {
        self.require(size_of_val(out) as u64, what)?;
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(out);
        let read = bytes.len() as u64;
        self.inner.read_exact(bytes).map_err(|source| match source.kind() {
            // The file shrank after its length was taken.
            io::ErrorKind::UnexpectedEof => {
                ReadError::Truncated { offset: self.position, expected: self.position + read, what }
            }
            _ => ReadError::Io { offset: self.position, source },
        })?;
        self.position += read;
        if cfg!(target_endian = "big") {
            out.iter_mut().for_each(|value| *value = value.swap_bytes());
        }
        Ok(())
    }

    /// The next `count` values. Allocates only what the rest of the file can fill.
    pub(crate) fn values<T: Scalar>(&mut self, count: u64, what: &'static str) -> Result<Vec<T>, ReadError> {
        let bytes = count.saturating_mul(size_of::<T>() as u64);
        self.require(bytes, what)?;
        let mut values = zeroed(count, what)?;
        self.fill(&mut values, what)?;
        Ok(values)
    }

    /// Checks that the whole file is exactly `expected` bytes long; `None` stands for a length beyond `u64`.
    pub(crate) fn require_len(&self, expected: Option<u64>, what: &'static str) -> Result<(), ReadError> {
        match expected {
            Some(expected) if expected < self.len => {
                Err(ReadError::Trailing { offset: expected, extra: self.len - expected })
            }
            Some(expected) if expected == self.len => Ok(()),
            expected => Err(ReadError::Truncated { offset: self.len, expected: expected.unwrap_or(u64::MAX), what }),
        }
    }

    fn require(&self, bytes: u64, what: &'static str) -> Result<(), ReadError> {
        match self.position.checked_add(bytes) {
            Some(end) if end <= self.len => Ok(()),
            end => Err(ReadError::Truncated { offset: self.len, expected: end.unwrap_or(u64::MAX), what }),
        }
    }
}

/// `count` zeros, or an error where memory cannot hold them. Callers have compared `count` with the file's length.
pub(crate) fn zeroed<T: Scalar>(count: u64, what: &'static str) -> Result<Vec<T>, ReadError> {
    let too_large = || ReadError::TooLarge { bytes: count.saturating_mul(size_of::<T>() as u64), what };
    let count = usize::try_from(count).map_err(|_| too_large())?;
    let mut values = Vec::new();
    values.try_reserve_exact(count).map_err(|_| too_large())?;
    values.resize(count, T::zeroed());
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(bytes: &[u8]) -> Source<&[u8]> {
        Source::new(bytes, bytes.len() as u64)
    }

    #[test]
    fn more_values_than_bytes_are_refused_before_allocation() {
        let error = source(&[0; 10]).values::<u64>(u64::MAX / 4, "values").unwrap_err();
        assert!(matches!(error, ReadError::Truncated { offset: 10, expected: u64::MAX, .. }), "{error}");
        let error = source(&[0; 10]).values::<u32>(3, "values").unwrap_err();
        assert_eq!(error.to_string(), "the file ends at byte 10, but values needs 12 bytes");
    }

    #[test]
    fn a_file_that_shrank_is_truncated() {
        let error = Source::new([0u8; 10].as_slice(), 16).values::<u32>(4, "values").unwrap_err();
        assert!(matches!(error, ReadError::Truncated { offset: 0, expected: 16, .. }), "{error}");
    }

    #[test]
    fn numbers_are_little_endian() {
        let mut source = source(&[1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0x80, 0x3f]);
        assert_eq!(source.u32("n").unwrap(), 1);
        assert_eq!(source.i32("d").unwrap(), -1);
        assert_eq!(source.values::<f32>(1, "values").unwrap(), [1.0]);
        assert_eq!(source.position(), 12);
    }
}
