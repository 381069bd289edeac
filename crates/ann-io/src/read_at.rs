//! Bytes that any thread reads from any place: a file, or memory that stands for one.

use ann_simd::{Buffer, Mapping};
use std::{
    fs::File,
    io::{self, Read},
};

/// A piece of storage that is read at offsets, without a cursor that threads would have to share.
///
/// Implemented by [`File`] (on Unix and Windows; elsewhere reads are refused), and by bytes in memory. Tests implement it
/// to see what happens when a disk fails.
///
/// ```
/// use ann_io::ReadAt;
/// let bytes = vec![1u8, 2, 3, 4];
/// let mut out = [0; 2];
/// bytes.read_at(1, &mut out)?;
/// assert_eq!((out, bytes.size()?), ([2, 3], 4));
/// assert!(bytes.read_at(3, &mut out).is_err());
/// # Ok::<(), std::io::Error>(())
/// ```
pub trait ReadAt: Send + Sync {
    /// Fills `out` with the bytes from `offset` on.
    ///
    /// # Errors
    /// Those of the system; [`io::ErrorKind::UnexpectedEof`] where there are fewer bytes.
    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()>;

    /// Number of bytes.
    ///
    /// # Errors
    /// Those of the system.
    fn size(&self) -> io::Result<u64>;
}

impl ReadAt for File {
    #[cfg(unix)]
    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(self, out, offset)
    }

    #[cfg(windows)]
    fn read_at(&self, mut offset: u64, mut out: &mut [u8]) -> io::Result<()> {
        while !out.is_empty() {
            match std::os::windows::fs::FileExt::seek_read(self, out, offset) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => (offset, out) = (offset + read as u64, &mut out[read..]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    #[cfg(not(any(unix, windows)))]
    fn read_at(&self, _: u64, _: &mut [u8]) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }
}

/// Bytes in memory under the same trait.
macro_rules! in_memory {
    ($($t:ty, $bytes:expr;)*) => {$(
        impl ReadAt for $t {
            fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
                let bytes: &[u8] = ($bytes)(self);
                let from = usize::try_from(offset).ok().and_then(|offset| bytes.get(offset..)?.get(..out.len()));
                out.copy_from_slice(from.ok_or(io::ErrorKind::UnexpectedEof)?);
                Ok(())
            }

            fn size(&self) -> io::Result<u64> {
                let bytes: &[u8] = ($bytes)(self);
                Ok(bytes.len() as u64)
            }
        }
    )*};
}

in_memory! {
    Vec<u8>, |bytes| bytes;
    Buffer<u8>, |bytes| bytes;
    Mapping, Mapping::bytes;
}

/// Reads from the front to the end.
pub(crate) struct Sequential<'a> {
    source: &'a dyn ReadAt,
    next: u64,
    end: u64,
}

impl<'a> Sequential<'a> {
    pub(crate) fn new(source: &'a dyn ReadAt) -> io::Result<Self> {
        Ok(Self { source, next: 0, end: source.size()? })
    }
}

impl Read for Sequential<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end - self.next).unwrap_or(usize::MAX);
        let count = left.min(out.len());
        self.source.read_at(self.next, &mut out[..count])?;
        self.next += count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_memory_read_alike() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bytes");
        let bytes: Vec<u8> = (0..=255).collect();
        std::fs::write(&path, &bytes).unwrap();
        let sources: [Box<dyn ReadAt>; 4] = [
            Box::new(File::open(&path).unwrap()),
            Box::new(Buffer::from_slice(&bytes)),
            Box::new(Mapping::open(&path).unwrap()),
            Box::new(bytes.clone()),
        ];
        for source in &sources {
            let mut out = [0; 6];
            source.read_at(250, &mut out).unwrap();
            assert_eq!((out, source.size().unwrap()), ([250, 251, 252, 253, 254, 255], 256));
            for offset in [251, 256, 257, u64::MAX] {
                assert!(source.read_at(offset, &mut out).is_err(), "{offset}");
            }
            let mut all = Vec::new();
            Sequential::new(&**source).unwrap().read_to_end(&mut all).unwrap();
            assert_eq!(all, bytes);
        }
    }
}
