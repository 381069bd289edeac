//! Inspecting a file without loading it.

use super::{
    FileInfo, LoadError,
    header::{HEADER_BYTES, Header},
    layout::RegionCheck,
    manifest,
};
use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

/// Bytes read at a time.
const CHUNK: u64 = 256 << 10;

/// What [`check`] found, all of it as it should be. The four lengths add up to that of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileReport {
    /// Header and manifest.
    pub info: FileInfo,
    /// Bytes of the header.
    pub header_bytes: u64,
    /// Bytes of the manifest.
    pub manifest_bytes: u64,
    /// Bytes in sections.
    pub payload_bytes: u64,
    /// Zeros in front of sections.
    pub padding_bytes: u64,
}

/// Reads header and manifest of the file at `path` and nothing else. They are checked in full, and held against the
/// length of the file.
///
/// # Errors
/// [`LoadError::NotAnIndex`], [`LoadError::Newer`], [`LoadError::Corrupt`], [`LoadError::Io`].
///
/// ```
/// use ann_io::container::{Writer, info};
/// # let folder = tempfile::tempdir()?;
/// let path = folder.path().join("index.ann");
/// Writer::new("empty", 1)?.write(&path)?;
/// assert_eq!(info(&path)?.parts[0].kind, "empty");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn info(path: impl AsRef<Path>) -> Result<FileInfo, LoadError> {
    let path = path.as_ref();
    let mut file = File::open(path).map_err(io_error(path))?;
    let length = file.metadata().map_err(io_error(path))?.len();
    read_info(&mut file, length, path)
}

/// Reads the whole file at `path` and compares everything in it that can be compared: lengths, checksums, padding. Any
/// change of any byte since the file was written is found (up to the strength of CRC-32, see the module). Takes 256 KiB
/// of memory, whatever the size of the file.
///
/// # Errors
/// [`LoadError::NotAnIndex`], [`LoadError::Newer`], [`LoadError::Corrupt`] naming the first fault, [`LoadError::Io`].
///
/// ```
/// use ann_io::container::{LoadError, Writer, check};
/// # let folder = tempfile::tempdir()?;
/// let path = folder.path().join("index.ann");
/// let mut writer = Writer::new("ring", 1)?;
/// writer.section("links", &[1u32, 2, 0])?;
/// writer.write(&path)?;
/// assert_eq!(check(&path)?.payload_bytes, 12);
///
/// let mut bytes = std::fs::read(&path)?;
/// *bytes.last_mut().unwrap() ^= 1;
/// std::fs::write(&path, bytes)?;
/// assert!(matches!(check(&path), Err(LoadError::Corrupt { section, .. }) if section == "links"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn check(path: impl AsRef<Path>) -> Result<FileReport, LoadError> {
    let path = path.as_ref();
    let mut file = File::open(path).map_err(io_error(path))?;
    let length = file.metadata().map_err(io_error(path))?.len();
    let info = read_info(&mut file, length, path)?;
    read_regions(&mut file, &info, path)?;
    let (header_bytes, manifest_bytes) = (HEADER_BYTES as u64, info.manifest_bytes);
    let payload_bytes = info.payload_bytes();
    let padding_bytes = info.file_bytes - header_bytes - manifest_bytes - payload_bytes;
    Ok(FileReport { info, header_bytes, manifest_bytes, payload_bytes, padding_bytes })
}

/// Reads and checks what is behind the manifest.
pub(super) fn read_regions(file: &mut impl Read, info: &FileInfo, path: &Path) -> Result<(), LoadError> {
    let mut chunk = vec![0; CHUNK.min(info.file_bytes) as usize];
    for (range, region) in info.regions() {
        let mut check = RegionCheck::new(region);
        let mut left = range.end - range.start;
        while left > 0 {
            // At most the length of `chunk`: no region is longer than the file.
            let piece = &mut chunk[..left.min(CHUNK) as usize];
            file.read_exact(piece).map_err(io_error(path))?;
            check.update(piece);
            left -= piece.len() as u64;
        }
        check.finish()?;
    }
    Ok(())
}

/// Reads and checks header and manifest of `file`, `found` bytes long, and leaves it at the byte behind them.
pub(super) fn read_info(file: &mut impl Read, found: u64, path: &Path) -> Result<FileInfo, LoadError> {
    let mut start = Vec::with_capacity(HEADER_BYTES);
    file.by_ref().take(HEADER_BYTES as u64).read_to_end(&mut start).map_err(io_error(path))?;
    let header = Header::decode(&start)?;
    // Before the manifest is given memory: its recorded length fits the recorded length of the file.
    header.check_length(found)?;
    let mut manifest = vec![0; header.manifest_bytes as usize];
    file.read_exact(&mut manifest).map_err(io_error(path))?;
    header.check_manifest(&manifest)?;
    manifest::decode(&manifest, &header)
}

/// Puts the path beside an error of the system. A file that ends early has been cut since its length was taken.
pub(super) fn io_error(path: &Path) -> impl Fn(io::Error) -> LoadError + '_ {
    move |source| match source.kind() {
        io::ErrorKind::UnexpectedEof => LoadError::corrupt("file", "became shorter while it was read"),
        _ => LoadError::Io { path: path.to_owned(), source },
    }
}
