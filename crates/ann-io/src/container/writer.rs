//! Collects the sections of an index and writes them.

use super::{
    ElementType, PartInfo, Persist, SaveError, SectionInfo, Stored,
    header::{HEADER_BYTES, Header},
    layout::{self, join, name_fault},
    manifest,
    pages::{FillPage, HashWriter, PagePlan, is_page_size},
};
use crate::replace::replace;
use serde::Serialize;
use std::{collections::BTreeMap, io, io::Write, path::Path};

/// Collects the sections of an index by reference and writes them as one file.
///
/// The order in which sections are added does not matter: the file has them in order of name, so the same contents
/// give the same bytes.
///
/// ```
/// use ann_io::container::Writer;
/// let links = [1u32, 2, 0];
/// let mut writer = Writer::new("ring", 1)?;
/// writer.meta(&3u64)?;
/// writer.section("links", &links)?;
/// let mut file = Vec::new();
/// assert_eq!(writer.write_to(&mut file)?, file.len() as u64);
/// # Ok::<(), ann_io::container::SaveError>(())
/// ```
pub struct Writer<'a> {
    parts: BTreeMap<String, PartInfo>,
    sections: BTreeMap<String, Section<'a>>,
    /// Path of the part that is being saved.
    scope: String,
}

struct Section<'a> {
    element: ElementType,
    payload: Payload<'a>,
}

enum Payload<'a> {
    Borrowed(&'a [u8]),
    Owned(Box<dyn Bytes>),
    Pages(PagePlan<'a>),
}

impl<'a> Writer<'a> {
    /// An index of the given kind and version without meta and sections. Users of [`Persist`] call [`Writer::of`].
    ///
    /// # Errors
    /// [`SaveError::Name`] if `kind` has another form than [`Persist::KIND`] asks for.
    pub fn new(kind: &str, version: u16) -> Result<Writer<'a>, SaveError> {
        let mut writer = Writer { parts: BTreeMap::new(), sections: BTreeMap::new(), scope: String::new() };
        writer.add_part(kind, version)?;
        Ok(writer)
    }

    /// Everything that `index` hands out to be saved.
    ///
    /// # Errors
    /// Those of [`Persist::save`].
    pub fn of<P: Persist>(index: &'a P) -> Result<Writer<'a>, SaveError> {
        let mut writer = Writer::new(P::KIND, P::VERSION)?;
        index.save(&mut writer)?;
        Ok(writer)
    }

    /// Sets the description of the current part: parameters, counts, whatever is small and structured. Replaces an
    /// earlier one. `meta` should serialise the same way every time (no hash maps), and its type should be neither
    /// recursive nor hold lists of empty values, which a forged file could make endless.
    ///
    /// # Errors
    /// [`SaveError::Meta`] when it cannot be serialised, [`SaveError::TooMany`] when it does not fit the manifest.
    pub fn meta<M: Serialize + ?Sized>(&mut self, meta: &M) -> Result<(), SaveError> {
        let bytes = manifest::encode_meta(meta, &self.scope)?;
        if let Some(part) = self.parts.get_mut(&self.scope) {
            part.meta = bytes;
        }
        Ok(())
    }

    /// Adds `elements` under `name` to the current part.
    ///
    /// # Errors
    /// [`SaveError::Name`] and [`SaveError::Duplicate`].
    pub fn section<T: Stored>(&mut self, name: &str, elements: &'a [T]) -> Result<(), SaveError> {
        self.add_section(name, T::ELEMENT, Payload::Borrowed(bytemuck::cast_slice(elements)))
    }

    /// Like [`Writer::section`], for numbers that are made for the file and kept nowhere else.
    ///
    /// # Errors
    /// [`SaveError::Name`] and [`SaveError::Duplicate`].
    pub fn section_owned<T: Stored>(&mut self, name: &str, elements: Vec<T>) -> Result<(), SaveError> {
        self.add_section(name, T::ELEMENT, Payload::Owned(Box::new(elements)))
    }

    /// Adds `count` pages of `size` bytes, a multiple of [`PAGE_BYTES`](super::PAGE_BYTES), that are made while the file is
    /// written and never in memory together: read them back by [`Archive::pages`](super::Archive::pages). `fill`
    /// gets `size` bytes less [`PAGE_SEAL_BYTES`](super::PAGE_SEAL_BYTES), and is called for every page in order, twice: for the
    /// checksum of the section, and to write it.
    ///
    /// # Errors
    /// [`SaveError::Name`] and [`SaveError::Duplicate`]; [`SaveError::Section`] for a size that pages cannot have.
    pub fn pages(&mut self, name: &str, size: usize, count: u64, fill: &'a dyn FillPage) -> Result<(), SaveError> {
        if !is_page_size(size) {
            let source = io::Error::new(io::ErrorKind::InvalidInput, format!("pages of {size} bytes"));
            return Err(SaveError::Section { name: name.to_owned(), source });
        }
        let pages = PagePlan { size, count, fill };
        self.add_section(name, ElementType::U8, Payload::Pages(pages))
    }

    /// Saves `part` as the part `name` of the current part; its sections get `name` and a dot in front.
    ///
    /// # Errors
    /// [`SaveError::Name`] and [`SaveError::Duplicate`], and those of [`Persist::save`].
    pub fn part<P: Persist>(&mut self, name: &str, part: &'a P) -> Result<(), SaveError> {
        let inner = self.full_name(name)?;
        let outer = std::mem::replace(&mut self.scope, inner);
        let result = self.add_part(P::KIND, P::VERSION).and_then(|()| part.save(self));
        self.scope = outer;
        result
    }

    /// Writes the file at `path`, or leaves whatever is there as it is: the bytes go to a new file in the same folder
    /// (named after the target, with `.tmp` at the end), are forced to disk, and only then take the name `path`. A map
    /// of the old file stays valid. A process killed meanwhile may leave the `.tmp` file behind, nothing else.
    ///
    /// # Errors
    /// [`SaveError::Io`], and [`SaveError::TooMany`] when a limit of the format is exceeded.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<(), SaveError> {
        let path = path.as_ref();
        let plan = self.plan()?;
        let failed = |source| SaveError::Io { path: path.to_owned(), source };
        replace(path, failed, |out| self.copy(&plan, out).map_err(failed))
    }

    /// Writes the file to `out` and returns its length. Of use where there are no files, or for tests.
    ///
    /// # Errors
    /// [`SaveError::Stream`], and [`SaveError::TooMany`] when a limit of the format is exceeded.
    pub fn write_to(&self, mut out: impl Write) -> Result<u64, SaveError> {
        let plan = self.plan()?;
        self.copy(&plan, &mut out).and_then(|()| out.flush()).map_err(SaveError::Stream)?;
        Ok(plan.header.file_bytes)
    }

    fn add_part(&mut self, kind: &str, version: u16) -> Result<(), SaveError> {
        check_name(kind)?;
        let part = PartInfo { path: self.scope.clone(), kind: kind.to_owned(), version, meta: Vec::new() };
        match self.parts.insert(self.scope.clone(), part) {
            Some(part) => Err(SaveError::Duplicate { name: part.path }),
            None => Ok(()),
        }
    }

    fn add_section(&mut self, name: &str, element: ElementType, payload: Payload<'a>) -> Result<(), SaveError> {
        let name = self.full_name(name)?;
        if self.sections.contains_key(&name) {
            return Err(SaveError::Duplicate { name });
        }
        self.sections.insert(name, Section { element, payload });
        Ok(())
    }

    fn full_name(&self, name: &str) -> Result<String, SaveError> {
        // The name alone too: an empty one would otherwise hide behind the path.
        check_name(name)?;
        let full = join(&self.scope, name);
        check_name(&full)?;
        Ok(full)
    }

    /// Decides where everything goes.
    fn plan(&self) -> Result<Plan, SaveError> {
        let parts: Vec<PartInfo> = self.parts.values().cloned().collect();
        let mut sections: Vec<SectionInfo> = self
            .sections
            .iter()
            .map(|(name, section)| SectionInfo {
                name: name.clone(),
                element: section.element,
                offset: 0,
                // A length beyond 64 bits fits no file, whatever is in front.
                bytes: section.payload.len().unwrap_or(u64::MAX),
                crc: 0,
            })
            .collect();
        // Integers have a fixed width, so this length is that of the manifest with offsets and checksums in place.
        let manifest_bytes = manifest::encode(&parts, &sections)?.len() as u64;
        let file_bytes = layout::place(&mut sections, HEADER_BYTES as u64 + manifest_bytes)
            .ok_or(SaveError::TooMany { what: "bytes of file", found: u64::MAX, limit: u64::MAX - 1 })?;
        for (info, section) in sections.iter_mut().zip(self.sections.values()) {
            let mut hash = HashWriter(crc32fast::Hasher::new());
            section
                .payload
                .write(info.offset, &mut hash)
                .map_err(|source| SaveError::Section { name: info.name.clone(), source })?;
            info.crc = hash.0.finalize();
        }
        let manifest = manifest::encode(&parts, &sections)?;
        let header = Header { manifest_crc: crc32fast::hash(&manifest), manifest_bytes, file_bytes };
        Ok(Plan { header, manifest, offsets: sections.iter().map(|section| section.offset).collect() })
    }

    fn copy(&self, plan: &Plan, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(&plan.header.encode())?;
        out.write_all(&plan.manifest)?;
        let mut end = plan.header.front();
        for (section, &offset) in self.sections.values().zip(&plan.offsets) {
            let padding = [0; super::ALIGNMENT as usize];
            // The next multiple of the alignment is less than one alignment away.
            out.write_all(&padding[..(offset - end) as usize])?;
            section.payload.write(offset, out)?;
            end = offset + section.payload.len().unwrap_or_default();
        }
        Ok(())
    }
}

/// A file about to be written.
struct Plan {
    header: Header,
    manifest: Vec<u8>,
    /// One per section, in order.
    offsets: Vec<u64>,
}

/// Vectors of any number type, seen as bytes.
trait Bytes: Send + Sync {
    fn bytes(&self) -> &[u8];
}

impl<T: Stored> Bytes for Vec<T> {
    fn bytes(&self) -> &[u8] {
        bytemuck::cast_slice(self)
    }
}

impl Payload<'_> {
    /// Bytes of the section, `None` beyond 64 bits.
    fn len(&self) -> Option<u64> {
        match self {
            Payload::Borrowed(bytes) => Some(bytes.len() as u64),
            Payload::Owned(numbers) => Some(numbers.bytes().len() as u64),
            Payload::Pages(pages) => pages.bytes(),
        }
    }

    /// Writes the section that starts at byte `offset` of the file.
    fn write(&self, offset: u64, out: &mut dyn Write) -> io::Result<()> {
        match self {
            Payload::Borrowed(bytes) => out.write_all(bytes),
            Payload::Owned(numbers) => out.write_all(numbers.bytes()),
            Payload::Pages(pages) => pages.write(offset, out),
        }
    }
}

fn check_name(name: &str) -> Result<(), SaveError> {
    match name_fault(name) {
        Some(reason) => Err(SaveError::Name { name: name.to_owned(), reason }),
        None => Ok(()),
    }
}
