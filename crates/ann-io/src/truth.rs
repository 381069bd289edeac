//! Exact neighbours stored next to a data set.
//!
//! Two layouts, little-endian: big-ann-benchmarks' `u32 n`, `u32 k`, `n · k` ids (`u32`), `n · k` distances (`f32`)
//! (extension `bin`, the distances as their authors computed them: squared for L2); and TEXMEX' `ivecs`, one row of
//! ids per query without distances. Sources: `vecs`, `bin`. An id is checked against nothing, as the base set is in
//! another file.

use std::io::Read;
use std::path::Path;

use ann_core::{GroundTruth, Matrix};

use crate::bin::{self, HEADER_BYTES};
use crate::sink::{WriteError, write_atomically};
use crate::source::{ReadError, Source};
use crate::vecs;
use crate::vectors::rows;

/// Reads ids and distances of a big-ann-benchmarks ground truth file.
///
/// ```
/// use ann_core::GroundTruth;
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("truth.bin");
/// let truth = GroundTruth::new(2, vec![4, 1, 0, 2], vec![0.1, 0.2, 0.0, 0.5])?;
/// ann_io::write_truth(&path, &truth)?;
/// assert_eq!(ann_io::read_truth(&path)?, truth);
/// assert_eq!(ann_io::read_truth_ids(&path)?.row(1), [0, 2]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`ReadError`], in particular for a file without distances; [`read_truth_ids`] reads those.
pub fn read_truth(path: impl AsRef<Path>) -> Result<GroundTruth, ReadError> {
    let (ids, distances) = read_bin(&mut Source::open(path.as_ref())?)?;
    let distances = distances.ok_or(ReadError::Missing { what: "distances" })?;
    let (k, found) = (ids.dim(), distances.len() as u64);
    let expected = ids.as_slice().len() as u64;
    GroundTruth::new(k, ids.into_vec(), distances).map_err(|_| ReadError::Mismatch {
        what: "number of distances",
        expected,
        found,
    })
}

/// Reads the ids alone, `(queries, k)`: from `ivecs`, or from big-ann-benchmarks' layout with or without distances.
///
/// # Errors
/// [`ReadError`], in particular for a negative id.
pub fn read_truth_ids(path: impl AsRef<Path>) -> Result<Matrix<u32>, ReadError> {
    let path = path.as_ref();
    let mut source = Source::open(path)?;
    if !path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("ivecs")) {
        return Ok(read_bin(&mut source)?.0);
    }
    let ids = vecs::read::<i32, _>(&mut source, u64::MAX)?;
    let dim = ids.dim();
    if let Some(at) = ids.as_slice().iter().position(|&id| id < 0) {
        let found = ids.as_slice().get(at).copied().unwrap_or_default();
        return Err(negative_id(at / dim, at % dim, found.into()));
    }
    rows(ids.into_vec().into_iter().map(|id| id as u32).collect(), dim)
}

/// Writes a big-ann-benchmarks ground truth file; it appears whole or not at all.
///
/// # Errors
/// [`WriteError`]; the file is then as it was.
pub fn write_truth(path: impl AsRef<Path>, truth: &GroundTruth) -> Result<(), WriteError> {
    let path = path.as_ref();
    if truth.ids.len() != truth.distances.len() {
        return Err(WriteError::Shape {
            what: "number of distances",
            found: truth.distances.len(),
            expected: "one for each id",
        });
    }
    write_atomically(path, |writer| {
        bin::put_header(writer, truth.len(), truth.k, path)?;
        bin::put_values(writer, &truth.ids, path)?;
        bin::put_values(writer, &truth.distances, path)
    })
}

pub(crate) fn negative_id(row: usize, column: usize, found: f64) -> ReadError {
    ReadError::Value { part: "neighbors", row, column, found, expected: "an id of at least 0" }
}

fn read_bin<R: Read>(source: &mut Source<R>) -> Result<(Matrix<u32>, Option<Vec<f32>>), ReadError> {
    let (count, k) = bin::header(source)?;
    let entries = count * k;
    let bytes = |per_entry: u64| entries.checked_mul(per_entry).and_then(|bytes| bytes.checked_add(HEADER_BYTES));
    let ids_only = bytes(4) == Some(source.len());
    if !ids_only {
        source.require_len(bytes(8), "ids and distances")?;
    }
    let ids = rows(source.values(entries, "the ids")?, k as usize)?;
    let distances = if ids_only && entries > 0 { None } else { Some(source.values(entries, "the distances")?) };
    Ok((ids, distances))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_file<T>(name: &str, bytes: &[u8], check: impl FnOnce(&Path) -> T) -> T {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        check(&path)
    }

    #[test]
    fn bytes_are_those_of_the_specification() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("truth.bin");
        write_truth(&path, &GroundTruth::new(1, vec![7, u32::MAX], vec![1.0, -2.0]).unwrap()).unwrap();
        let expected = [2, 0, 0, 0, 1, 0, 0, 0, 7, 0, 0, 0, 255, 255, 255, 255, 0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0];
        assert_eq!(std::fs::read(&path).unwrap(), expected);
    }

    #[test]
    fn ids_without_distances_are_no_ground_truth_but_ids() {
        let bytes = [1, 0, 0, 0, 2, 0, 0, 0, 7, 0, 0, 0, 9, 0, 0, 0];
        with_file("ids.bin", &bytes, |path| {
            assert!(matches!(read_truth(path), Err(ReadError::Missing { what: "distances" })));
            assert_eq!(read_truth_ids(path).unwrap().as_slice(), [7, 9]);
        });
    }

    #[test]
    fn ivecs_ids_are_read_and_negative_ones_named() {
        let row = |ids: [i32; 2]| [2, ids[0], ids[1]].map(i32::to_le_bytes).concat();
        with_file("truth.ivecs", &row([3, 4]), |path| assert_eq!(read_truth_ids(path).unwrap().row(0), [3, 4]));
        with_file("truth.ivecs", &[row([3, 4]), row([5, -1])].concat(), |path| {
            let error = read_truth_ids(path).unwrap_err().to_string();
            assert_eq!(error, "`neighbors` row 1, column 1 is -1, expected an id of at least 0");
        });
    }

    #[test]
    fn every_truncation_is_an_error() {
        let bytes = [2, 0, 0, 0, 1, 0, 0, 0, 7, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        for len in 0..bytes.len() {
            with_file("truth.bin", &bytes[..len], |path| assert!(read_truth(path).is_err(), "{len}"));
        }
        let longer = [bytes.as_slice(), &[0]].concat();
        with_file("truth.bin", &longer, |path| {
            assert!(matches!(read_truth(path), Err(ReadError::Trailing { offset: 24, extra: 1 })));
        });
    }
}
