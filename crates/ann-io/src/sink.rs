//! The writing end of every vector format: what can go wrong, and where bytes go.

use crate::replace::replace;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Why vectors could not be written. The target file is unchanged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The system failed while writing.
    #[error("cannot write {path}: {source}")]
    Io {
        /// The target.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The extension names no format that can be written here.
    #[error("cannot tell the format of {path} by its extension")]
    Extension {
        /// The target.
        path: PathBuf,
    },
    /// The format holds another element type.
    #[error("a {format} file holds {expected} values, not {found}")]
    Element {
        /// Extension of the format.
        format: &'static str,
        /// Its element type.
        expected: &'static str,
        /// The element type given.
        found: &'static str,
    },
    /// The format has no way to say this.
    #[error("{what} = {found} cannot be written: {expected}")]
    Shape {
        /// The quantity.
        what: &'static str,
        /// Its value.
        found: usize,
        /// What the format allows.
        expected: &'static str,
    },
    /// The HDF5 library refused.
    #[error("HDF5: {problem}")]
    Hdf5 {
        /// What it said.
        problem: String,
    },
}

/// Bytes collected before they go to the system; longer writes go there directly.
const BUFFER_BYTES: usize = 1 << 16;

/// Creates or replaces `path` with what `body` writes.
pub(crate) fn write_atomically(
    path: &Path,
    body: impl FnOnce(&mut BufWriter<&mut File>) -> Result<(), WriteError>,
) -> Result<(), WriteError> {
    let failed = |source| WriteError::Io { path: path.to_owned(), source };
    replace(path, failed, |file| {
        let mut writer = BufWriter::with_capacity(BUFFER_BYTES, file);
        body(&mut writer)?;
        writer.flush().map_err(failed)
    })
}

/// Writes to `writer`, naming the target in the error.
pub(crate) fn put(writer: &mut impl Write, bytes: &[u8], path: &Path) -> Result<(), WriteError> {
    writer.write_all(bytes).map_err(|source| WriteError::Io { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.fbin");
        std::fs::write(&path, b"old").unwrap();
        let result = write_atomically(&path, |writer| {
            put(writer, b"half of the new", &path)?;
            Err(WriteError::Hdf5 { problem: "stop".to_owned() })
        });
        assert!(result.is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
    }

    #[test]
    fn a_missing_folder_is_an_error_that_names_the_target() {
        let path = Path::new("no/such/folder/rows.fbin");
        let error = write_atomically(path, |_| Ok(())).unwrap_err();
        assert!(error.to_string().contains("no/such/folder/rows.fbin"));
    }
}
