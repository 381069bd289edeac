//! `fbin`, `u8bin`, `i8bin`, `ibin`, `f16bin`: one header, then all values.
//!
//! Layout: `u32 n`, `u32 d`, then `n · d` values row-major, all little-endian. Source: H. V. Simhadri et al., *Results
//! of the NeurIPS'21 Challenge on Billion-Scale ANN Search*, 2022; DiskANN and RAFT share the layout. The file must
//! be `8 + n · d · size` bytes long exactly: published files with a stale `n` in the header exist.

use std::io::{Read, Write};
use std::path::Path;

use ann_core::{Matrix, MatrixView};

use crate::sink::{WriteError, put};
use crate::source::{ReadError, Source};
use crate::vectors::{Scalar, rows};

/// Bytes of `n` and `d`.
pub(crate) const HEADER_BYTES: u64 = 8;

pub(crate) fn read<T: Scalar, R: Read>(source: &mut Source<R>, limit: u64) -> Result<Matrix<T>, ReadError> {
    let (count, dim) = header(source)?;
    let values = (count * dim).checked_mul(size_of::<T>() as u64);
    source.require_len(values.and_then(|bytes| bytes.checked_add(HEADER_BYTES)), "the rows")?;
    rows(source.values(count.min(limit) * dim, "the rows")?, dim as usize)
}

/// `n` and `d`, the latter above 0; their product fits in 64 bits.
pub(crate) fn header<R: Read>(source: &mut Source<R>) -> Result<(u64, u64), ReadError> {
    let count = source.u32("the header")?;
    let dim = source.u32("the header")?;
    if dim == 0 {
        return Err(ReadError::Header { offset: 4, expected: "at least one column", found: "0".to_owned() });
    }
    Ok((count.into(), dim.into()))
}

pub(crate) fn write<T: Scalar>(
    writer: &mut impl Write,
    matrix: MatrixView<'_, T>,
    path: &Path,
) -> Result<(), WriteError> {
    put_header(writer, matrix.len(), matrix.dim(), path)?;
    put_values(writer, matrix.as_slice(), path)
}

pub(crate) fn put_header(writer: &mut impl Write, count: usize, dim: usize, path: &Path) -> Result<(), WriteError> {
    let field = |what, found: usize| {
        u32::try_from(found).map_err(|_| WriteError::Shape { what, found, expected: "at most 2^32 - 1" })
    };
    if dim == 0 {
        return Err(WriteError::Shape { what: "dimension", found: 0, expected: "at least one column" });
    }
    put(writer, &field("rows", count)?.to_le_bytes(), path)?;
    put(writer, &field("dimension", dim)?.to_le_bytes(), path)
}

/// Writes `values` little-endian.
pub(crate) fn put_values<T: Scalar>(writer: &mut impl Write, values: &[T], path: &Path) -> Result<(), WriteError> {
    if cfg!(target_endian = "little") {
        return put(writer, bytemuck::cast_slice(values), path);
    }
    values.iter().try_for_each(|value| put(writer, bytemuck::bytes_of(&value.swap_bytes()), path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse<T: Scalar>(bytes: &[u8]) -> Result<Matrix<T>, ReadError> {
        read(&mut Source::new(bytes, bytes.len() as u64), u64::MAX)
    }

    #[test]
    fn bytes_are_those_of_the_specification() {
        let mut bytes = Vec::new();
        let matrix = Matrix::new(vec![-1i8, 2, 3, -4, 5, 6], 2).unwrap();
        write(&mut bytes, matrix.view(), Path::new("rows.i8bin")).unwrap();
        assert_eq!(bytes, [3, 0, 0, 0, 2, 0, 0, 0, 255, 2, 3, 252, 5, 6]);
        assert_eq!(parse::<i8>(&bytes).unwrap(), matrix);
    }

    #[test]
    fn a_stale_count_is_trailing_bytes_or_truncation() {
        let file = |count: u8| [&[count, 0, 0, 0, 2, 0, 0, 0], [0; 6].as_slice()].concat();
        assert!(parse::<u8>(&file(3)).is_ok());
        assert!(matches!(parse::<u8>(&file(2)), Err(ReadError::Trailing { offset: 12, extra: 2 })));
        assert!(matches!(parse::<u8>(&file(4)), Err(ReadError::Truncated { offset: 14, expected: 16, .. })));
    }

    #[test]
    fn counts_whose_product_overflows_are_truncation() {
        let error = parse::<f32>(&[0xff; 16]).unwrap_err();
        assert!(matches!(error, ReadError::Truncated { offset: 16, expected: u64::MAX, .. }), "{error}");
    }

    #[test]
    fn rows_without_columns_are_refused() {
        assert!(matches!(parse::<f32>(&[1, 0, 0, 0, 0, 0, 0, 0]), Err(ReadError::Header { offset: 4, .. })));
        let empty = Matrix::<f32>::default();
        assert!(write(&mut Vec::new(), empty.view(), Path::new("rows.fbin")).is_err());
    }

    #[test]
    fn no_rows_keep_their_dimension() {
        let matrix = parse::<f32>(&[0, 0, 0, 0, 9, 0, 0, 0]).unwrap();
        assert_eq!((matrix.len(), matrix.dim()), (0, 9));
    }
}
