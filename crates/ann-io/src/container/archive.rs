//! An opened index file, and the view of one of its parts.

use super::{
    FileInfo, LoadError, PartInfo, Persist, SectionInfo, Stored, check,
    header::{HEADER_BYTES, Header},
    layout::{Region, RegionCheck, join},
    manifest,
    pages::{Pages, is_page_size, section_bytes},
};
use crate::read_at::{ReadAt, Sequential};
use ann_simd::{Buffer, Mapping};
use serde::de::DeserializeOwned;
use std::{
    fmt,
    fs::File,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

/// How the bytes of a file come into memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OpenMode {
    /// Read once into memory of exactly the file's length, on huge pages when large. Searches are fastest this way, and
    /// the file may change afterwards.
    #[default]
    Read,
    /// Map: sections come from disk as they are used, and processes share them. The file must not change meanwhile, see
    /// [`Mapping`]; [`Writer::write`](super::Writer::write) replaces files without changing them.
    Map,
    /// Leave on disk: a section is read into memory of its own when an index asks for it, and checked then; what an index
    /// reads page by page ([`Archive::pages`]) stays on disk. For indexes that are larger than memory. As with a map, the
    /// file must not be changed, but be replaced; what goes wrong with it is an error.
    OnDemand,
}

/// How to open a file. An [`OpenMode`] converts into options that verify; [`OpenMode::OnDemand`], which checks what it
/// reads, into options that do not read everything first.
///
/// ```
/// use ann_io::container::{OpenMode, OpenOptions};
/// assert!(OpenOptions::default().verify && OpenOptions::from(OpenMode::Map).verify);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenOptions {
    /// Read or map.
    pub mode: OpenMode,
    /// Whether the checksums of all sections are compared, and the padding, before anything is handed out. Header and
    /// manifest are always checked. Without it a mapped file opens in microseconds, and damage in a section shows as
    /// an error of the loader or as wrong results; memory is safe either way. [`Archive::verify`] can follow later.
    pub verify: bool,
}

impl Default for OpenOptions {
    fn default() -> OpenOptions {
        OpenMode::default().into()
    }
}

impl From<OpenMode> for OpenOptions {
    fn from(mode: OpenMode) -> OpenOptions {
        OpenOptions { mode, verify: mode != OpenMode::OnDemand }
    }
}

/// An opened index file, seen from one of its parts: names given to its methods are names within that part. Cloning is
/// cheap. Buffers handed out are windows of the file's bytes and keep them alive.
///
/// ```
/// use ann_io::container::{Archive, LoadError, Writer};
/// use ann_simd::Buffer;
/// let mut writer = Writer::new("ring", 1)?;
/// writer.meta(&3u64)?;
/// writer.section("links", &[1u32, 2, 0])?;
/// let mut bytes = Vec::new();
/// writer.write_to(&mut bytes)?;
///
/// let archive = Archive::from_bytes(Buffer::from_slice(&bytes))?;
/// assert_eq!((archive.kind(), archive.version(), archive.meta::<u64>()?), ("ring", 1, 3));
/// assert_eq!(archive.section::<u32>("links")?[..], [1, 2, 0]);
/// assert!(matches!(archive.section::<f32>("links"), Err(LoadError::Element { .. })));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Archive {
    file: Arc<Opened>,
    part: PartInfo,
}

struct Opened {
    bytes: Bytes,
    info: FileInfo,
}

/// Where the bytes of a file are.
enum Bytes {
    Memory(Mapping),
    /// On disk, and what the disk is called in errors.
    Disk(Arc<dyn ReadAt>, PathBuf),
}

impl Archive {
    /// Opens the file at `path`: `Archive::open(path, OpenMode::Map)`, or with [`OpenOptions`].
    ///
    /// Trusts nothing: a file that was cut, changed or forged gives an error, and no length in it decides how much
    /// memory is taken.
    ///
    /// # Errors
    /// [`LoadError::NotAnIndex`], [`LoadError::Newer`], [`LoadError::Corrupt`], [`LoadError::Io`].
    pub fn open(path: impl AsRef<Path>, options: impl Into<OpenOptions>) -> Result<Archive, LoadError> {
        let (path, OpenOptions { mode, verify }) = (path.as_ref(), options.into());
        if mode == OpenMode::OnDemand {
            let file = File::open(path).map_err(check::io_error(path))?;
            return Archive::from_source(Arc::new(file), path, verify);
        }
        let mapping = match mode {
            // Header and manifest first, so that a large foreign file is not read to its end before it is refused.
            OpenMode::Read => check::info(path).and_then(|_| Mapping::read(path).map_err(check::io_error(path)))?,
            OpenMode::Map | OpenMode::OnDemand => Mapping::open(path).map_err(check::io_error(path))?,
        };
        Archive::from_mapping(mapping, verify)
    }

    /// The file whose contents are `bytes`, verified.
    ///
    /// # Errors
    /// [`LoadError::NotAnIndex`], [`LoadError::Newer`], [`LoadError::Corrupt`].
    pub fn from_bytes(bytes: Buffer<u8>) -> Result<Archive, LoadError> {
        // A window may start anywhere, while sections must be aligned in memory as they are in the file.
        let aligned = bytes.as_ptr().addr().is_multiple_of(super::ALIGNMENT as usize);
        let bytes = if aligned { bytes } else { Buffer::from_slice(&bytes) };
        Archive::from_mapping(Mapping::from_bytes(bytes), true)
    }

    /// The file whose contents `source` gives, as [`OpenMode::OnDemand`] opens one.
    ///
    /// # Errors
    /// Those of [`Archive::open`]; errors of the source name the path `source`.
    pub fn on_demand(source: Arc<dyn ReadAt>) -> Result<Archive, LoadError> {
        Archive::from_source(source, Path::new("source"), false)
    }

    fn from_source(source: Arc<dyn ReadAt>, path: &Path, verify: bool) -> Result<Archive, LoadError> {
        let mut file = Sequential::new(&*source).map_err(check::io_error(path))?;
        let length = source.size().map_err(check::io_error(path))?;
        let info = check::read_info(&mut file, length, path)?;
        Archive::from_parts(Bytes::Disk(source, path.to_owned()), info, verify)
    }

    fn from_mapping(mapping: Mapping, verify: bool) -> Result<Archive, LoadError> {
        let bytes = mapping.bytes();
        let header = Header::decode(bytes)?;
        header.check_length(bytes.len() as u64)?;
        // The length of the manifest is at most 1 MiB, and ends inside the file, whose length was just compared.
        let manifest = bytes.get(HEADER_BYTES..HEADER_BYTES + header.manifest_bytes as usize).unwrap_or_default();
        header.check_manifest(manifest)?;
        let info = manifest::decode(manifest, &header)?;
        Archive::from_parts(Bytes::Memory(mapping), info, verify)
    }

    fn from_parts(bytes: Bytes, info: FileInfo, verify: bool) -> Result<Archive, LoadError> {
        let part = info.part("").cloned().ok_or_else(|| LoadError::Missing { section: String::new() })?;
        let archive = Archive { file: Arc::new(Opened { bytes, info }), part };
        if verify {
            archive.verify()?;
        }
        Ok(archive)
    }

    /// Compares the checksums of all sections of the file, and the padding between them, with what they should be.
    ///
    /// # Errors
    /// [`LoadError::Corrupt`] naming the first section that differs.
    pub fn verify(&self) -> Result<(), LoadError> {
        let mapping = match &self.file.bytes {
            Bytes::Memory(mapping) => mapping,
            Bytes::Disk(source, path) => {
                let mut file = Sequential::new(&**source).map_err(check::io_error(path))?;
                let length = source.size().map_err(check::io_error(path))?;
                let info = check::read_info(&mut file, length, path)?;
                return check::read_regions(&mut file, &info, path);
            }
        };
        for (range, region) in self.file.info.regions() {
            let mut check = RegionCheck::new(region);
            check.update(memory_range(range).and_then(|range| mapping.bytes().get(range)).unwrap_or_default());
            check.finish()?;
        }
        Ok(())
    }

    /// What the part is.
    pub fn kind(&self) -> &str {
        &self.part.kind
    }

    /// Version of what the part keeps in its meta and sections.
    pub fn version(&self) -> u16 {
        self.part.version
    }

    /// Full name of the part, empty for the index itself.
    pub fn path(&self) -> &str {
        &self.part.path
    }

    /// Header and manifest of the whole file.
    pub fn info(&self) -> &FileInfo {
        &self.file.info
    }

    /// All sections of the file, whichever part they belong to, in order of their full names.
    pub fn sections(&self) -> &[SectionInfo] {
        &self.file.info.sections
    }

    /// The description of the part.
    ///
    /// A forged file can make a list or string in `M` take up to 1 MiB before it is refused.
    ///
    /// # Errors
    /// [`LoadError::Corrupt`] when it is not an `M`.
    pub fn meta<M: DeserializeOwned>(&self) -> Result<M, LoadError> {
        manifest::decode_meta(&self.part)
    }

    /// The numbers of the section `name`, without copying what is in memory.
    ///
    /// # Errors
    /// [`LoadError::Missing`], and [`LoadError::Element`] when it holds numbers of another type. Of a file that was left on
    /// disk, also [`LoadError::Io`], and [`LoadError::Corrupt`] when the checksum is another.
    pub fn section<T: Stored>(&self, name: &str) -> Result<Buffer<T>, LoadError> {
        let section = self.section_info::<T>(name)?;
        match &self.file.bytes {
            Bytes::Memory(mapping) => memory_range(section.offset..section.offset + section.bytes)
                .and_then(|range| mapping.buffer(range))
                .ok_or_else(|| LoadError::corrupt(&section.name, "does not lie in memory as it does in the file")),
            Bytes::Disk(source, path) => {
                // Within the length that the file really has: that is all the memory it can make us take.
                let length = usize::try_from(section.bytes).ok().filter(|&length| isize::try_from(length).is_ok());
                let length = length.ok_or_else(|| LoadError::corrupt(&section.name, "more bytes than memory has"))?;
                let mut bytes = Buffer::zeroed(length);
                source.read_at(section.offset, bytes.as_mut_slice()).map_err(check::io_error(path))?;
                let mut check = RegionCheck::new(Region::Section(section));
                check.update(&bytes);
                check.finish()?;
                Mapping::from_bytes(bytes)
                    .buffer(0..length)
                    .ok_or_else(|| LoadError::corrupt(&section.name, "not a whole number of elements"))
            }
        }
    }

    /// The pages of the section `name` that [`Writer::pages`](super::Writer::pages) wrote, `count` of `size` bytes, to be read
    /// one by one from wherever the file is. Each is checked when it is read.
    ///
    /// # Errors
    /// [`LoadError::Missing`] and [`LoadError::Element`]; [`LoadError::Corrupt`] when the section is longer or shorter, or
    /// pages cannot have that size.
    pub fn pages(&self, name: &str, size: usize, count: u64) -> Result<Pages, LoadError> {
        let section = self.section_info::<u8>(name)?;
        if !is_page_size(size) || section_bytes(size, count) != Some(section.bytes) {
            return Err(self.corrupt(name, format!("{} bytes, expected {count} pages of {size}", section.bytes)));
        }
        let source: Arc<dyn ReadAt> = match &self.file.bytes {
            Bytes::Memory(mapping) => Arc::new(mapping.clone()),
            Bytes::Disk(source, _) => source.clone(),
        };
        Ok(Pages::new(source, section.offset, size, count))
    }

    fn section_info<T: Stored>(&self, name: &str) -> Result<&SectionInfo, LoadError> {
        let name = join(self.path(), name);
        match self.file.info.section(&name) {
            None => Err(LoadError::Missing { section: name }),
            Some(section) if section.element != T::ELEMENT => {
                Err(LoadError::Element { section: name, found: section.element, expected: T::ELEMENT })
            }
            Some(section) => Ok(section),
        }
    }

    /// Like [`Archive::section`], for a length that is known from elsewhere: `len` numbers.
    ///
    /// # Errors
    /// Those of [`Archive::section`], and [`LoadError::Corrupt`] when there are more or fewer.
    pub fn section_of<T: Stored>(&self, name: &str, len: usize) -> Result<Buffer<T>, LoadError> {
        let numbers = self.section(name)?;
        if numbers.len() != len {
            return Err(self.corrupt(name, format!("{} numbers, expected {len}", numbers.len())));
        }
        Ok(numbers)
    }

    /// Whether the part has a section `name`.
    pub fn has_section(&self, name: &str) -> bool {
        self.file.info.section(&join(self.path(), name)).is_some()
    }

    /// Whether the part has a part `name`.
    pub fn has_part(&self, name: &str) -> bool {
        self.file.info.part(&join(self.path(), name)).is_some()
    }

    /// The file as seen from the part `name` of this part, whatever kind it has.
    ///
    /// # Errors
    /// [`LoadError::Missing`].
    pub fn enter(&self, name: &str) -> Result<Archive, LoadError> {
        let path = join(self.path(), name);
        match self.file.info.part(&path) {
            Some(part) => Ok(Archive { file: self.file.clone(), part: part.clone() }),
            None => Err(LoadError::Missing { section: path }),
        }
    }

    /// Loads the part `name` of this part.
    ///
    /// # Errors
    /// [`LoadError::Missing`], and those of [`Archive::load`].
    pub fn part<P: Persist>(&self, name: &str) -> Result<P, LoadError> {
        self.enter(name)?.load()
    }

    /// Loads this part.
    ///
    /// # Errors
    /// [`LoadError::Kind`] when it is something else than a `P`, [`LoadError::Newer`] when it is a `P` of a later
    /// version, and those of [`Persist::load`].
    pub fn load<P: Persist>(&self) -> Result<P, LoadError> {
        if self.kind() != P::KIND {
            let (part, found) = (self.path().to_owned(), self.kind().to_owned());
            return Err(LoadError::Kind { part, found, expected: P::KIND.to_owned() });
        }
        if self.version() > P::VERSION {
            let what = P::KIND.to_owned();
            return Err(LoadError::Newer { what, found: self.version(), supported: P::VERSION });
        }
        P::load(self)
    }

    /// Refuses rows of `dim` numbers each, one every `stride`, with anything but zeros in between: kernels read those.
    ///
    /// # Errors
    /// [`LoadError::Corrupt`] for the section `name` of this part.
    pub fn check_padding<T: Stored>(&self, name: &str, rows: &[T], stride: usize, dim: usize) -> Result<(), LoadError> {
        if stride == dim {
            return Ok(());
        }
        match rows.chunks_exact(stride).position(|row| row[dim..].iter().any(|&x| x != T::default())) {
            Some(row) => Err(self.corrupt(name, format!("the padding of row {row} is not zero"))),
            None => Ok(()),
        }
    }

    /// The value that was made from what the file says, or the reason why there is none.
    ///
    /// ```
    /// # use ann_io::container::{Archive, Writer};
    /// # let mut bytes = Vec::new();
    /// # Writer::new("ring", 1)?.write_to(&mut bytes)?;
    /// # let archive = Archive::from_bytes(ann_simd::Buffer::from_slice(&bytes))?;
    /// assert_eq!(archive.valid::<u32, _>("degree", "16".parse())?, 16);
    /// let error = archive.valid::<u32, _>("degree", "many".parse()).unwrap_err();
    /// assert_eq!(error.to_string(), "corrupt index file: degree: invalid digit found in string");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`LoadError::Corrupt`] for the section `name` of this part.
    pub fn valid<T, E: fmt::Display>(&self, name: &str, made: Result<T, E>) -> Result<T, LoadError> {
        made.map_err(|error| self.corrupt(name, error.to_string()))
    }

    /// [`LoadError::Corrupt`] for the section `name` of this part.
    pub fn corrupt(&self, name: &str, reason: impl Into<String>) -> LoadError {
        LoadError::corrupt(join(self.path(), name), reason)
    }
}

/// Shows what the file holds, not the numbers.
impl fmt::Debug for Archive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Archive").field("path", &self.part.path).field("info", &self.file.info).finish()
    }
}

/// A range of a file that is in memory; `None` only for one that is not.
fn memory_range(range: Range<u64>) -> Option<Range<usize>> {
    Some(usize::try_from(range.start).ok()?..usize::try_from(range.end).ok()?)
}
