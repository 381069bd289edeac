//! What a downloaded file was when it first arrived: size and SHA-256, kept beside it in `FILE.lock`.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The record of one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lock {
    /// Where it came from; absent for a file that was put there by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Its size.
    pub bytes: u64,
    /// Its SHA-256 in hexadecimal.
    pub sha256: String,
}

/// Why a lock cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LockError {
    /// The file system refuses.
    #[error("{}: {source}", path.display())]
    Io {
        /// File in question.
        path: PathBuf,
        /// What it says.
        source: io::Error,
    },
    /// No JSON, or not of a lock.
    #[error("{}: {reason}; delete it to record the file anew", path.display())]
    Malformed {
        /// The lock file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

impl Lock {
    /// The path of the lock of `file`.
    pub(crate) fn path(file: &Path) -> PathBuf {
        let mut name = file.as_os_str().to_owned();
        name.push(".lock");
        name.into()
    }

    /// The lock beside `file`, if there is one.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(crate) fn read(file: &Path) -> Result<Option<Self>, LockError> {
        let path = Self::path(file);
        match std::fs::read_to_string(&path) {
            Ok(text) => serde_json::from_str(&text)
                .map(Some)
                .map_err(|error| LockError::Malformed { path, reason: error.to_string() }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(LockError::Io { path, source }),
        }
    }

    /// Writes the lock beside `file`.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(crate) fn write(&self, file: &Path) -> Result<(), LockError> {
        let path = Self::path(file);
        let text = serde_json::to_string_pretty(self)
            .map_err(|error| LockError::Malformed { path: path.clone(), reason: error.to_string() })?;
        std::fs::write(&path, text + "\n").map_err(|source| LockError::Io { path, source })
    }

    /// Size and SHA-256 of `file` as it is now.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(crate) fn of(file: &Path, url: Option<String>) -> Result<Self, LockError> {
        let io = |source| LockError::Io { path: file.to_owned(), source };
        let mut reader = File::open(file).map_err(io)?;
        let (mut hasher, mut bytes, mut buffer) = (Sha256::new(), 0, vec![0; 1 << 20]);
        loop {
            let read = reader.read(&mut buffer).map_err(io)?;
            if read == 0 {
                break;
            }
            hasher.update(&buffer[..read]);
            bytes += read as u64;
        }
        let sha256 = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { url, bytes, sha256 })
    }

    /// Whether both describe the same bytes, wherever these came from.
    pub(crate) fn agrees(&self, other: &Self) -> bool {
        self.bytes == other.bytes && self.sha256.eq_ignore_ascii_case(&other.sha256)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_is_the_published_sha256() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("abc");
        std::fs::write(&file, b"abc").unwrap();
        let lock = Lock::of(&file, None).unwrap();
        // FIPS 180-2, appendix B.1.
        assert_eq!(lock.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(lock.bytes, 3);
    }

    #[test]
    fn lock_round_trips_and_a_broken_one_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.hdf5");
        assert!(Lock::read(&file).unwrap().is_none());
        let lock = Lock { url: Some("http://x/a.hdf5".to_owned()), bytes: 7, sha256: "ab".to_owned() };
        lock.write(&file).unwrap();
        assert_eq!(Lock::read(&file).unwrap(), Some(lock));
        std::fs::write(Lock::path(&file), "{").unwrap();
        let error = Lock::read(&file).unwrap_err().to_string();
        assert!(error.contains("a.hdf5.lock") && error.contains("delete it"), "{error}");
    }
}
