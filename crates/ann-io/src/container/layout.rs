//! What a file holds and where: places follow from lengths, and every byte belongs to one region.

use super::{ALIGNMENT, ElementType, LoadError};
use std::ops::Range;

/// Header and manifest of a file.
///
/// ```
/// use ann_io::container::{Archive, Writer};
/// use ann_simd::Buffer;
/// let mut writer = Writer::new("demo", 1)?;
/// writer.section("links", &[1u32, 2, 3])?;
/// let mut bytes = Vec::new();
/// writer.write_to(&mut bytes)?;
/// let archive = Archive::from_bytes(Buffer::from_slice(&bytes))?;
/// let info = archive.info();
/// assert_eq!((info.parts[0].kind.as_str(), info.sections[0].name.as_str()), ("demo", "links"));
/// assert_eq!(info.file_bytes, info.sections[0].offset + 12);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileInfo {
    /// Version of the container format.
    pub format: u16,
    /// Length of the file in bytes.
    pub file_bytes: u64,
    /// Length of the manifest in bytes.
    pub manifest_bytes: u64,
    /// The index itself, whose path is empty, then its parts in ascending order of path.
    pub parts: Vec<PartInfo>,
    /// All sections in ascending order of name, which is also their order in the file.
    pub sections: Vec<SectionInfo>,
}

/// One part of an index.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartInfo {
    /// Full name; empty for the index itself.
    pub path: String,
    /// What the part is, for instance `hnsw`.
    pub kind: String,
    /// Version of what the part keeps in its meta and sections.
    pub version: u16,
    /// The serialised description, for [`Archive::meta`](super::Archive::meta).
    pub(super) meta: Vec<u8>,
}

/// One section of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SectionInfo {
    /// Full name, starting with the path of the part that it belongs to.
    pub name: String,
    /// Type of its numbers.
    pub element: ElementType,
    /// First byte, counted from the start of the file.
    pub offset: u64,
    /// Length in bytes.
    pub bytes: u64,
    /// CRC-32 of its bytes.
    pub crc: u32,
}

impl FileInfo {
    /// Bytes in sections.
    pub fn payload_bytes(&self) -> u64 {
        self.sections.iter().map(|section| section.bytes).sum()
    }

    pub(super) fn part(&self, path: &str) -> Option<&PartInfo> {
        let at = self.parts.binary_search_by(|part| part.path.as_str().cmp(path)).ok()?;
        self.parts.get(at)
    }

    pub(super) fn section(&self, name: &str) -> Option<&SectionInfo> {
        let at = self.sections.binary_search_by(|section| section.name.as_str().cmp(name)).ok()?;
        self.sections.get(at)
    }

    /// Everything behind the manifest, front to back, without gaps. The places must have been checked.
    pub(super) fn regions(&self) -> impl Iterator<Item = (Range<u64>, Region<'_>)> {
        let mut end = super::header::HEADER_BYTES as u64 + self.manifest_bytes;
        self.sections.iter().flat_map(move |section| {
            let padding = end..section.offset;
            end = section.offset + section.bytes;
            [(padding, Region::PaddingBefore(section)), (section.offset..end, Region::Section(section))]
        })
    }
}

/// Gives every section its place behind a front of `front` bytes and returns the length of the file, or `None` if that
/// does not fit 64 bits.
pub(super) fn place(sections: &mut [SectionInfo], front: u64) -> Option<u64> {
    sections.iter_mut().try_fold(front, |end, section| {
        section.offset = end.checked_next_multiple_of(ALIGNMENT)?;
        section.offset.checked_add(section.bytes)
    })
}

/// Holds every section against the place that [`place`] would give it, and the end of the last against the length of
/// the file. That alone rules out overlaps, gaps, misalignment and sections outside the file.
pub(super) fn check(sections: &[SectionInfo], front: u64, file_bytes: u64) -> Result<(), LoadError> {
    let mut end = front;
    for section in sections {
        let offset = end.checked_next_multiple_of(ALIGNMENT);
        if offset != Some(section.offset) {
            let reason = match offset {
                Some(offset) => format!("starts at byte {}, expected {offset}", section.offset),
                None => format!("starts at byte {}, beyond 64 bits", section.offset),
            };
            return Err(LoadError::corrupt(&section.name, reason));
        }
        end = match section.offset.checked_add(section.bytes) {
            Some(end) if end <= file_bytes => end,
            _ => {
                let (bytes, offset) = (section.bytes, section.offset);
                let reason = format!("{bytes} bytes from byte {offset} on, in a file of {file_bytes}");
                return Err(LoadError::corrupt(&section.name, reason));
            }
        };
    }
    if end != file_bytes {
        return Err(LoadError::corrupt("file", format!("{file_bytes} bytes long, the last section ends at {end}")));
    }
    Ok(())
}

/// A stretch of bytes with one rule for its contents.
#[derive(Clone, Copy)]
pub(super) enum Region<'a> {
    /// Less than [`ALIGNMENT`] zeros.
    PaddingBefore(&'a SectionInfo),
    /// The numbers of a section; their checksum is recorded.
    Section(&'a SectionInfo),
}

/// Checks the bytes of a region as they come by, in pieces of any size.
pub(super) struct RegionCheck<'a> {
    region: Region<'a>,
    crc: crc32fast::Hasher,
    zeros: bool,
}

impl<'a> RegionCheck<'a> {
    pub(super) fn new(region: Region<'a>) -> RegionCheck<'a> {
        RegionCheck { region, crc: crc32fast::Hasher::new(), zeros: true }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        match self.region {
            Region::PaddingBefore(_) => self.zeros &= bytes.iter().all(|&byte| byte == 0),
            Region::Section(_) => self.crc.update(bytes),
        }
    }

    pub(super) fn finish(self) -> Result<(), LoadError> {
        match self.region {
            Region::PaddingBefore(_) if self.zeros => Ok(()),
            Region::PaddingBefore(section) => {
                Err(LoadError::corrupt(format!("padding before {}", section.name), "not zero"))
            }
            Region::Section(section) => {
                let (recorded, computed) = (section.crc, self.crc.finalize());
                if recorded == computed {
                    return Ok(());
                }
                Err(LoadError::corrupt(&section.name, format!("checksum {computed:08x}, expected {recorded:08x}")))
            }
        }
    }
}

/// Joins the path of a part and a name within it.
pub(super) fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// Says what is wrong with a full name or a kind, if anything is.
pub(super) fn name_fault(name: &str) -> Option<&'static str> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-');
    if name.len() > super::MAX_NAME_BYTES {
        Some("longer than 255 bytes")
    } else if name.split('.').any(|word| word.is_empty() || !word.bytes().all(allowed)) {
        Some("expected words of a-z, 0-9, _ and -, with single dots between them")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(name: &str, bytes: u64) -> SectionInfo {
        SectionInfo { name: name.into(), element: ElementType::U8, offset: 0, bytes, crc: 0 }
    }

    #[test]
    fn regions_cover_every_byte_behind_the_manifest_once() {
        let mut sections = [0, 1, 64, 63, 0, 65, 0].map(|bytes| section("s", bytes)).to_vec();
        let file_bytes = place(&mut sections, 64 + 37).unwrap();
        check(&sections, 64 + 37, file_bytes).unwrap();
        let info = FileInfo { format: 1, file_bytes, manifest_bytes: 37, parts: vec![], sections };
        let mut end = 64 + 37;
        for (range, region) in info.regions() {
            assert_eq!(range.start, end);
            match region {
                Region::PaddingBefore(_) => assert!(range.end - range.start < ALIGNMENT),
                Region::Section(section) => assert!(section.offset == range.start && range.start % ALIGNMENT == 0),
            }
            end = range.end;
        }
        assert_eq!(end, file_bytes);
    }

    #[test]
    fn only_the_places_that_follow_from_the_lengths_are_accepted() {
        let mut sections = vec![section("a", 100), section("b", 8), section("c", 8)];
        let file_bytes = place(&mut sections, 100).unwrap();
        assert_eq!(sections.iter().map(|s| s.offset).collect::<Vec<_>>(), [128, 256, 320]);
        assert_eq!(file_bytes, 328);
        let with = |change: fn(&mut Vec<SectionInfo>)| {
            let mut changed = sections.clone();
            change(&mut changed);
            check(&changed, 100, file_bytes).unwrap_err().to_string()
        };
        assert!(with(|s| s[1].offset = 128).contains("b: starts at byte 128, expected 256"), "overlap");
        assert!(with(|s| s[1].offset = 257).contains("expected 256"), "misaligned");
        assert!(with(|s| s[1].offset = 384).contains("expected 256"), "gap");
        assert!(with(|s| s[0].bytes = u64::MAX).contains("a: 18446744073709551615 bytes"), "overflow");
        assert!(with(|s| s[2].bytes = 9).contains("c: 9 bytes from byte 320 on, in a file of 328"));
        assert!(with(|s| s[2].bytes = 7).contains("the last section ends at 327"));
        assert!(with(|s| s.truncate(2)).contains("the last section ends at 264"));
        assert!(check(&sections, u64::MAX - 3, u64::MAX).is_err());
        assert_eq!(place(&mut [section("a", u64::MAX)], 100), None);
    }

    #[test]
    fn names_are_words_joined_by_dots() {
        for good in ["a", "base.links", "layers.1.links", "pq-8_4", &"x".repeat(255)] {
            assert_eq!(name_fault(good), None, "{good}");
        }
        for bad in ["", ".", "a.", ".a", "a..b", "A", "a b", "a/b", "ä", "a\0", &"x".repeat(256)] {
            assert!(name_fault(bad).is_some(), "{bad}");
        }
    }
}
