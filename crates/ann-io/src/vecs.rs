//! `fvecs`, `bvecs`, `ivecs`: every row carries its own dimension.
//!
//! Layout: per row an `i32 d`, then `d` values of `f32`, `u8` or `i32`, all little-endian; no header, so the number
//! of rows follows from the file's length. Source: H. Jégou, L. Amsaleg, TEXMEX corpus (INRIA), corpus-texmex.irisa.fr.
//! We check the dimension of every row, since one wrong row shifts all that follow.

use std::io::{Read, Write};
use std::path::Path;

use ann_core::{Matrix, MatrixView};

use crate::bin::put_values;
use crate::sink::{WriteError, put};
use crate::source::{ReadError, Source, zeroed};
use crate::vectors::{Scalar, rows};

const DIM_BYTES: u64 = 4;

pub(crate) fn read<T: Scalar, R: Read>(source: &mut Source<R>, limit: u64) -> Result<Matrix<T>, ReadError> {
    let first = source.i32("the dimension of row 0")?;
    let dim = usize::try_from(first).ok().filter(|&dim| dim > 0).ok_or_else(|| ReadError::Header {
        offset: 0,
        expected: "a dimension above 0",
        found: first.to_string(),
    })?;
    // At most 2³¹ values of 8 bytes: no overflow in u64.
    let stride = DIM_BYTES + (dim * size_of::<T>()) as u64;
    let count = source.len() / stride;
    if count == 0 {
        return Err(ReadError::Truncated { offset: source.len(), expected: stride, what: "row 0" });
    }
    let wanted = count.min(limit);
    let mut values: Vec<T> = zeroed(wanted * dim as u64, "the rows")?;
    for (row, out) in (0..wanted).zip(values.chunks_exact_mut(dim)) {
        let offset = source.position();
        let found = if row == 0 { first } else { source.i32("the dimension of a row")? };
        if found != first {
            return Err(ReadError::RowDim { row, offset, expected: dim, found });
        }
        source.fill(out, "a row")?;
    }
    // Last, because a row with a wrong dimension is the better explanation of a wrong length.
    if !source.len().is_multiple_of(stride) {
        return Err(ReadError::Truncated {
            offset: source.len(),
            expected: (count + 1) * stride,
            what: "the last row",
        });
    }
    rows(values, dim)
}

pub(crate) fn write<T: Scalar>(
    writer: &mut impl Write,
    matrix: MatrixView<'_, T>,
    path: &Path,
) -> Result<(), WriteError> {
    let unwritable = |what, found, expected| WriteError::Shape { what, found, expected };
    if matrix.is_empty() {
        return Err(unwritable("rows", 0, "the format cannot tell the dimension of no rows"));
    }
    let dim = i32::try_from(matrix.dim()).map_err(|_| unwritable("dimension", matrix.dim(), "at most 2^31 - 1"))?;
    for row in matrix.rows() {
        put(writer, &dim.to_le_bytes(), path)?;
        put_values(writer, row, path)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(bytes: &[u8]) -> Result<Matrix<f32>, ReadError> {
        read(&mut Source::new(bytes, bytes.len() as u64), u64::MAX)
    }

    fn rows_of(dims: &[i32]) -> Vec<u8> {
        let row = |&dim: &i32| [dim.to_le_bytes().to_vec(), vec![0; 4 * dim as usize]].concat();
        dims.iter().flat_map(row).collect()
    }

    #[test]
    fn bytes_are_those_of_the_specification() {
        let mut bytes = Vec::new();
        let matrix = Matrix::new(vec![1u8, 2, 3, 254, 255, 0], 3).unwrap();
        write(&mut bytes, matrix.view(), Path::new("rows.bvecs")).unwrap();
        assert_eq!(bytes, [3, 0, 0, 0, 1, 2, 3, 3, 0, 0, 0, 254, 255, 0]);

        let mut bytes = Vec::new();
        let matrix = Matrix::new(vec![1.0f32, -2.0], 2).unwrap();
        write(&mut bytes, matrix.view(), Path::new("rows.fvecs")).unwrap();
        assert_eq!(bytes, [2, 0, 0, 0, 0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0]);
    }

    #[test]
    fn a_row_of_another_dimension_is_named() {
        let mut dims = vec![128; 20];
        dims[17] = 96;
        let error = parse(&rows_of(&dims)).unwrap_err();
        assert_eq!(error.to_string(), "row 17 at byte 8772 says d = 96, expected 128");
    }

    #[test]
    fn dimensions_of_zero_and_below_are_refused() {
        for first in [0, -1, i32::MIN] {
            let bytes = [first.to_le_bytes(), [0; 4]].concat();
            assert!(matches!(parse(&bytes), Err(ReadError::Header { offset: 0, .. })), "{first}");
        }
    }

    #[test]
    fn a_dimension_beyond_the_file_allocates_nothing() {
        let error = parse(&[0xff, 0xff, 0xff, 0x7f, 0, 0]).unwrap_err();
        assert!(matches!(error, ReadError::Truncated { offset: 6, expected: 0x1_ffff_ffff_u64.., .. }), "{error}");
    }

    #[test]
    fn a_limit_reads_the_first_rows_of_a_sound_file_only() {
        let bytes = rows_of(&[2, 2, 2]);
        let read = |bytes: &[u8], limit| read::<f32, _>(&mut Source::new(bytes, bytes.len() as u64), limit);
        assert_eq!(read(&bytes, 2).unwrap().len(), 2);
        assert_eq!(read(&bytes, 0).unwrap().dim(), 2);
        assert!(matches!(read(&bytes[..35], 2), Err(ReadError::Truncated { offset: 35, expected: 36, .. })));
    }

    #[test]
    fn no_rows_cannot_be_written() {
        let empty = Matrix::<f32>::new(Vec::new(), 4).unwrap();
        assert!(write(&mut Vec::new(), empty.view(), Path::new("rows.fvecs")).is_err());
    }
}
