//! The writing end of every vector format: a file appears whole or not at all.
//!
//! Bytes go to a new file next to the target, which is flushed to the disk and then renamed over it, and the folder
//! is flushed as well: after a crash the target holds its old content or the new one, never a part.

use std::fs::{File, OpenOptions};
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

/// Creates or replaces `path` with what `body` writes.
pub(crate) fn write_atomically(
    path: &Path,
    body: impl FnOnce(&mut BufWriter<File>) -> Result<(), WriteError>,
) -> Result<(), WriteError> {
    let failed = |source| WriteError::Io { path: path.to_owned(), source };
    let (file, temporary) = create_beside(path).map_err(failed)?;
    let mut writer = BufWriter::with_capacity(1 << 16, file);
    body(&mut writer)?;
    let file = writer.into_inner().map_err(|error| failed(error.into_error()))?;
    file.sync_all().map_err(failed)?;
    temporary.rename(path).map_err(failed)
}

/// A file that is removed again unless it gets renamed.
struct Temporary {
    path: Option<PathBuf>,
}

impl Temporary {
    fn rename(mut self, target: &Path) -> io::Result<()> {
        if let Some(path) = &self.path {
            std::fs::rename(path, target)?;
        }
        self.path = None;
        sync_folder(target)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            // Best effort: the error that led here matters more than a leftover.
            let _ = std::fs::remove_file(path);
        }
    }
}

fn create_beside(target: &Path) -> io::Result<(File, Temporary)> {
    let name = target.file_name().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "no file name"))?;
    // Two writers of one target, or a leftover of a crash, take different numbers.
    for attempt in 0..1000 {
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        hidden.push(format!(".{attempt}.tmp"));
        let path = target.with_file_name(hidden);
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(file) => return Ok((file, Temporary { path: Some(path) })),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::new(io::ErrorKind::AlreadyExists, "1000 temporary files are left beside the target"))
}

#[cfg(unix)]
fn sync_folder(target: &Path) -> io::Result<()> {
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_target: &Path) -> io::Result<()> {
    Ok(()) // Folders cannot be opened for flushing; the rename itself is journalled.
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
    fn a_write_replaces_the_old_file_despite_a_leftover() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.fbin");
        std::fs::write(&path, b"old").unwrap();
        std::fs::write(folder.path().join(".rows.fbin.0.tmp"), b"left over").unwrap();
        write_atomically(&path, |writer| put(writer, b"new", &path)).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 2);
    }

    #[test]
    fn a_missing_folder_is_an_error_that_names_the_target() {
        let path = Path::new("no/such/folder/rows.fbin");
        let error = write_atomically(path, |_| Ok(())).unwrap_err();
        assert!(error.to_string().contains("no/such/folder/rows.fbin"));
    }
}
