//! A file in memory, shared by everything that was cut out of it.

use super::buffer::Buffer;
use bytemuck::Pod;
use std::{fmt, fs::File, io, ops::Range, path::Path, sync::Arc};

/// The bytes of a file, read-only, shared by reference counting: mapped by [`Mapping::open`], read into aligned memory
/// by [`Mapping::read`], or handed over with [`Mapping::from_bytes`]. All three give the same windows, so the code that
/// opens an index need not know which it got. Targets without memory maps (wasm32) read the file in `open` too.
///
/// # The file must not change
/// While a map or any buffer cut out of it lives, nobody may shrink the file or write to it. The operating system gives
/// no way to enforce this. A shrunk file ends the process with a bus error at the next access; a written one changes
/// numbers under readers that were promised constant ones, which is undefined behaviour. Replace such a file by writing
/// a new one beside it and renaming it into place (the old map keeps the old contents); where that cannot be promised,
/// use [`Mapping::read`].
///
/// ```
/// use ann_simd::{Buffer, Mapping};
/// let bytes = Buffer::from_slice(bytemuck::cast_slice(&[1.0f32, 2.0, 3.0]));
/// let mapping = Mapping::from_bytes(bytes);
/// let tail: Buffer<f32> = mapping.buffer(4..12).ok_or("no such window")?;
/// assert_eq!(tail[..], [2.0, 3.0]);
/// # Ok::<(), &str>(())
/// ```
#[derive(Clone)]
pub struct Mapping {
    source: Arc<Source>,
}

enum Source {
    Bytes(Buffer<u8>),
    #[cfg(not(any(target_arch = "wasm32", miri)))]
    File(memmap2::Mmap),
}

impl Mapping {
    /// Maps the file at `path` for reading. Pages come from disk when first touched; see the type for what is owed
    /// while the map lives.
    ///
    /// # Errors
    /// Those of opening, measuring and mapping a file.
    pub fn open(path: &Path) -> io::Result<Mapping> {
        #[cfg(not(any(target_arch = "wasm32", miri)))]
        {
            let file = File::open(path)?;
            if file.metadata()?.len() == 0 {
                return Ok(Mapping::from_bytes(Buffer::new()));
            }
            // SAFETY: the file is opened and mapped read-only; that nobody else shrinks or writes it meanwhile is the
            // documented duty of whoever calls `open`.
            let map = unsafe { memmap2::Mmap::map(&file) }?;
            Ok(Mapping { source: Arc::new(Source::File(map)) })
        }
        #[cfg(any(target_arch = "wasm32", miri))]
        Mapping::read(path)
    }

    /// Reads the file at `path` into aligned memory of its own, on huge pages when large: slower to open than a map,
    /// faster to search, and independent of what happens to the file afterwards.
    ///
    /// # Errors
    /// Those of opening and reading a file; [`io::ErrorKind::UnexpectedEof`] when it shrinks meanwhile (bytes appended
    /// meanwhile are left out), [`io::ErrorKind::FileTooLarge`] when it does not fit the address space.
    pub fn read(path: &Path) -> io::Result<Mapping> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        let length = usize::try_from(length).ok().filter(|&n| isize::try_from(n).is_ok());
        let mut bytes = Buffer::zeroed(length.ok_or(io::ErrorKind::FileTooLarge)?);
        io::Read::read_exact(&mut file, bytes.as_mut_slice())?;
        Ok(Mapping::from_bytes(bytes))
    }

    /// Shares `bytes` under the same interface as a mapped file.
    pub fn from_bytes(bytes: Buffer<u8>) -> Mapping {
        Mapping { source: Arc::new(Source::Bytes(bytes)) }
    }

    /// All bytes, the first at an address that is a multiple of 64 (unless [`Mapping::from_bytes`] was given a window
    /// that starts elsewhere).
    pub fn bytes(&self) -> &[u8] {
        match &*self.source {
            Source::Bytes(bytes) => bytes,
            #[cfg(not(any(target_arch = "wasm32", miri)))]
            Source::File(map) => map,
        }
    }

    /// Whether the bytes were read into memory or handed over, rather than mapped.
    pub(super) fn is_in_memory(&self) -> bool {
        match &*self.source {
            Source::Bytes(bytes) => bytes.memory_bytes() > 0,
            #[cfg(not(any(target_arch = "wasm32", miri)))]
            Source::File(_) => false,
        }
    }

    /// The bytes of `byte_range` as numbers, without copying. The buffer keeps the mapping alive.
    ///
    /// `None` when the range is reversed or ends behind the last byte, when its first byte is not aligned for `T`, or
    /// when its length is not a multiple of the size of `T`. Numbers are read in the byte order of the machine.
    pub fn buffer<T: Pod>(&self, byte_range: Range<usize>) -> Option<Buffer<T>> {
        Buffer::window(self.clone(), byte_range)
    }
}

/// Shows the length only.
impl fmt::Debug for Mapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mapping").field("len", &self.bytes().len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, path::PathBuf};

    /// A file in the directory of temporary files that is gone when the test is over.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str, contents: &[u8]) -> Scratch {
            let path = std::env::temp_dir().join(format!("ann-simd-{}-{name}", std::process::id()));
            fs::write(&path, contents).unwrap();
            Scratch(path)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_file(&self.0);
        }
    }

    fn numbers() -> Vec<u8> {
        bytemuck::cast_slice(&(0..100u32).collect::<Vec<_>>()).to_vec()
    }

    #[test]
    fn open_read_and_from_bytes_give_the_same_windows() {
        let file = Scratch::new("same", &numbers());
        let open = Mapping::open(&file.0).unwrap();
        let read = Mapping::read(&file.0).unwrap();
        let given = Mapping::from_bytes(Buffer::from_slice(&numbers()));
        for mapping in [open, read, given] {
            assert_eq!(mapping.bytes(), numbers());
            assert_eq!(mapping.bytes().as_ptr().addr() % 64, 0);
            assert_eq!(mapping.buffer::<u32>(40..80).unwrap()[..], (10..20).collect::<Vec<u32>>());
        }
    }

    #[test]
    fn windows_out_of_range_or_misaligned_are_refused() {
        let file = Scratch::new("bounds", &numbers());
        let mapping = Mapping::open(&file.0).unwrap();
        assert!(mapping.buffer::<u32>(0..400).is_some());
        assert!(mapping.buffer::<u32>(0..404).is_none());
        assert!(mapping.buffer::<u32>(400..404).is_none());
        assert!(mapping.buffer::<u32>(usize::MAX - 3..usize::MAX).is_none());
        #[allow(clippy::reversed_empty_ranges)]
        let reversed = 8..4;
        assert!(mapping.buffer::<u32>(reversed).is_none());
        assert!(mapping.buffer::<u32>(2..10).is_none(), "misaligned");
        assert!(mapping.buffer::<u64>(4..12).is_none(), "misaligned");
        assert!(mapping.buffer::<u32>(0..6).is_none(), "half a number");
        assert!(mapping.buffer::<u8>(3..6).is_some());
    }

    #[test]
    fn windows_may_be_empty() {
        let file = Scratch::new("empty", &[]);
        let mapping = Mapping::open(&file.0).unwrap();
        assert!(mapping.bytes().is_empty());
        assert!(mapping.buffer::<u64>(0..0).unwrap().is_empty());
        let full = Mapping::from_bytes(Buffer::from_slice(&numbers()));
        assert!(full.buffer::<u32>(400..400).unwrap().is_empty());
    }

    #[test]
    fn a_window_outlives_the_mapping_and_copies_on_write() {
        let file = Scratch::new("cow", &numbers());
        let mapping = Mapping::open(&file.0).unwrap();
        let mut one: Buffer<u32> = mapping.buffer(0..400).unwrap();
        let two = one.clone();
        drop(mapping);
        assert!(one.is_mapped() && two.is_mapped());
        assert_eq!(one.as_ptr(), two.as_ptr());
        assert_eq!((one.capacity_bytes(), two.capacity_bytes()), (0, 0));
        let read: Buffer<u32> = Mapping::read(&file.0).unwrap().buffer(40..80).unwrap();
        assert_eq!((read.capacity_bytes(), read.memory_bytes()), (0, 40));
        if !cfg!(any(target_arch = "wasm32", miri)) {
            assert_eq!(one.memory_bytes(), 0);
        }
        one.as_mut_slice()[3] = 77;
        one.push(100);
        assert!(!one.is_mapped() && two.is_mapped());
        assert_eq!((one[3], one[100], one.len()), (77, 100, 101));
        assert_eq!(two[..], (0..100).collect::<Vec<u32>>());
        assert_eq!(fs::read(&file.0).unwrap(), numbers(), "the file is never written");
    }

    #[test]
    fn a_window_of_a_window_is_checked_against_its_own_address() {
        let outer = Mapping::from_bytes(Buffer::from_slice(&numbers()));
        let inner = Mapping::from_bytes(outer.buffer(2..400).unwrap());
        assert!(inner.buffer::<u32>(0..4).is_none());
        assert_eq!(inner.buffer::<u32>(2..6).unwrap()[..], [1]);
    }

    #[test]
    fn a_missing_file_is_an_error() {
        let path = std::env::temp_dir().join("ann-simd-there-is-no-such-file");
        assert_eq!(Mapping::open(&path).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(Mapping::read(&path).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
