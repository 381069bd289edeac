//! Sections that stay on disk and are read page by page.
//!
//! A section starts at a multiple of 64 bytes; its pages must start at multiples of [`PAGE_BYTES`] of the file, or each
//! would touch one block of the disk too many. So a section of pages is [`SLACK`] bytes longer than its pages: zeros up to
//! the first multiple, the pages, zeros. Hashing the section would read it all, so each page ends with a checksum of its
//! own, which covers its number too: a page read from a wrong place is found as well.
//!
//! Cost: 4 bytes per page, at most 4 KiB per section; a read computes the checksum of what it brings, about a microsecond.

use super::ALIGNMENT;
use crate::read_at::ReadAt;
use std::{fmt, io, io::Write, sync::Arc};

/// Pages start at multiples of this many bytes of the file, and their length is one.
pub const PAGE_BYTES: usize = 4096;
/// Bytes of the checksum at the end of a page.
pub const PAGE_SEAL_BYTES: usize = 4;
/// Zeros around the pages of a section.
const SLACK: u64 = PAGE_BYTES as u64 - ALIGNMENT;
/// Bytes of pages that are collected before they are written.
const WRITTEN_AT_ONCE: usize = 256 << 10;

/// The pages of a section, wherever the file is. Cloning is cheap.
#[derive(Clone)]
pub struct Pages {
    source: Arc<dyn ReadAt>,
    /// First byte of page 0.
    start: u64,
    size: usize,
    count: u64,
}

impl Pages {
    /// The pages of a section at byte `offset`; what is where has been checked by [`is_section`].
    pub(super) fn new(source: Arc<dyn ReadAt>, offset: u64, size: usize, count: u64) -> Pages {
        Pages { source, start: offset + lead(offset), size, count }
    }

    /// Bytes of a page, its checksum included.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Number of pages.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Fills `out`, [`Self::size`] bytes, with a page, counted from 0, whose last [`PAGE_SEAL_BYTES`] are its checksum.
    ///
    /// # Errors
    /// Those of the storage; [`io::ErrorKind::InvalidData`] for a page that is damaged; [`io::ErrorKind::InvalidInput`] if
    /// there is no such page or `out` has another length.
    pub fn read(&self, page: u64, out: &mut [u8]) -> io::Result<()> {
        if page >= self.count || out.len() != self.size {
            let reason = format!("page {page} of {}, {} bytes of {}", self.count, out.len(), self.size);
            return Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
        }
        // Within the section, whose end was held against the length of the file.
        self.source.read_at(self.start + page * self.size as u64, out)?;
        let (body, recorded) = out.split_at(self.size - PAGE_SEAL_BYTES);
        let computed = seal(page, body);
        if recorded == computed {
            return Ok(());
        }
        let reason = format!("checksum {}, expected {}", hex(&computed), hex(recorded));
        Err(io::Error::new(io::ErrorKind::InvalidData, reason))
    }
}

/// Shows how many pages there are.
impl fmt::Debug for Pages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pages").field("count", &self.count).field("size", &self.size).finish()
    }
}

/// What pages are made from: a closure, or the pages of another file.
pub trait FillPage: Send + Sync {
    /// Overwrites `body`, zeros, with the contents of a page, the same at every call.
    ///
    /// # Errors
    /// Whatever stands in the way; the file is then not written.
    fn fill(&self, page: u64, body: &mut [u8]) -> io::Result<()>;
}

impl<F: Fn(u64, &mut [u8]) -> io::Result<()> + Send + Sync> FillPage for F {
    fn fill(&self, page: u64, body: &mut [u8]) -> io::Result<()> {
        self(page, body)
    }
}

impl FillPage for Pages {
    fn fill(&self, page: u64, body: &mut [u8]) -> io::Result<()> {
        let mut whole = vec![0; self.size];
        self.read(page, &mut whole)?;
        body.copy_from_slice(&whole[..self.size - PAGE_SEAL_BYTES]);
        Ok(())
    }
}

/// Pages about to be written.
pub(super) struct PagePlan<'a> {
    pub(super) size: usize,
    pub(super) count: u64,
    pub(super) fill: &'a dyn FillPage,
}

impl PagePlan<'_> {
    /// Bytes of the section; `None` beyond 64 bits.
    pub(super) fn bytes(&self) -> Option<u64> {
        section_bytes(self.size, self.count)
    }

    /// Writes the section that starts at byte `offset` of the file.
    pub(super) fn write(&self, offset: u64, out: &mut dyn Write) -> io::Result<()> {
        let (lead, mut page) = (lead(offset), vec![0; self.size]);
        let out = &mut io::BufWriter::with_capacity(WRITTEN_AT_ONCE, out);
        zeros(lead, out)?;
        for number in 0..self.count {
            let (body, checksum) = page.split_at_mut(self.size - PAGE_SEAL_BYTES);
            body.fill(0);
            self.fill.fill(number, body)?;
            checksum.copy_from_slice(&seal(number, body));
            out.write_all(&page)?;
        }
        zeros(SLACK - lead, out)?;
        out.flush()
    }
}

/// Hashes what is written.
pub(super) struct HashWriter(pub(super) crc32fast::Hasher);

impl Write for HashWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Whether pages can be of this many bytes.
pub(super) fn is_page_size(size: usize) -> bool {
    size > 0 && size.is_multiple_of(PAGE_BYTES)
}

/// Bytes of a section of `count` pages of `size` bytes; `None` beyond 64 bits.
pub(super) fn section_bytes(size: usize, count: u64) -> Option<u64> {
    count.checked_mul(size as u64)?.checked_add(SLACK)
}

/// Zeros before page 0 of a section at byte `offset`, which is a multiple of [`ALIGNMENT`].
fn lead(offset: u64) -> u64 {
    let beyond = offset % PAGE_BYTES as u64;
    if beyond == 0 { 0 } else { PAGE_BYTES as u64 - beyond }
}

/// Writes `count` zeros, at most [`SLACK`].
fn zeros(count: u64, out: &mut dyn Write) -> io::Result<()> {
    out.write_all(&[0; SLACK as usize][..count as usize])
}

fn seal(page: u64, body: &[u8]) -> [u8; PAGE_SEAL_BYTES] {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&page.to_le_bytes());
    hasher.update(body);
    hasher.finalize().to_le_bytes()
}

fn hex(checksum: &[u8]) -> String {
    checksum.iter().rev().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{Archive, LoadError, OpenMode, Writer, check};
    use super::*;
    use ann_simd::Buffer;

    /// Five pages of 8 KiB, page `i` full of `i + 1`, between sections of other lengths.
    fn file(before: usize) -> Vec<u8> {
        let mut writer = Writer::new("demo", 1).unwrap();
        writer.section_owned("a", vec![7u8; before]).unwrap();
        let fill = |page: u64, body: &mut [u8]| {
            body.fill(page as u8 + 1);
            Ok(())
        };
        writer.pages("b", 2 * PAGE_BYTES, 5, &fill).unwrap();
        writer.section_owned("c", vec![1u32, 2, 3]).unwrap();
        let mut bytes = Vec::new();
        assert_eq!(writer.write_to(&mut bytes).unwrap(), bytes.len() as u64);
        bytes
    }

    fn read_all(pages: &Pages) -> io::Result<()> {
        let mut out = vec![0; pages.size()];
        for page in 0..pages.count() {
            pages.read(page, &mut out)?;
            assert!(out[..out.len() - PAGE_SEAL_BYTES].iter().all(|&byte| u64::from(byte) == page + 1));
        }
        Ok(())
    }

    #[test]
    fn pages_start_at_multiples_of_their_size_wherever_the_section_does() {
        for before in [0, 1, 63, 64, 1000, 3800, 4000, 4096] {
            let bytes = file(before);
            let archives = [
                Archive::from_bytes(Buffer::from_slice(&bytes)).unwrap(),
                Archive::on_demand(Arc::new(bytes.clone())).unwrap(),
            ];
            for archive in archives {
                archive.verify().unwrap();
                let pages = archive.pages("b", 2 * PAGE_BYTES, 5).unwrap();
                assert_eq!(pages.start % PAGE_BYTES as u64, 0);
                read_all(&pages).unwrap();
                assert_eq!(archive.section::<u32>("c").unwrap()[..], [1, 2, 3]);
                assert_eq!(archive.section::<u8>("a").unwrap().len(), before);
            }
        }
    }

    #[test]
    fn a_damaged_page_and_one_in_the_wrong_place_are_found_when_read() {
        let bytes = file(100);
        let start = Archive::on_demand(Arc::new(bytes.clone())).unwrap().pages("b", 8192, 5).unwrap().start as usize;
        let open = |bytes: Vec<u8>| Archive::on_demand(Arc::new(bytes)).unwrap().pages("b", 8192, 5).unwrap();
        let mut damaged = bytes.clone();
        damaged[start + 2 * 8192 + 77] ^= 4;
        let error = read_all(&open(damaged)).unwrap_err();
        assert!(error.kind() == io::ErrorKind::InvalidData && error.to_string().contains("checksum"), "{error}");
        let mut swapped = bytes.clone();
        let (front, back) = swapped.split_at_mut(start + 8192);
        front[start..].swap_with_slice(&mut back[..8192]);
        assert!(read_all(&open(swapped)).is_err());
        read_all(&open(bytes)).unwrap();
    }

    #[test]
    fn pages_of_another_size_or_number_are_refused() {
        let archive = Archive::on_demand(Arc::new(file(9))).unwrap();
        for (name, size, count) in [("b", 8192, 4), ("b", 4096, 5), ("b", 100, 5), ("b", 0, 5), ("b", 8192, u64::MAX)] {
            assert!(matches!(archive.pages(name, size, count), Err(LoadError::Corrupt { .. })), "{size} {count}");
        }
        assert!(matches!(archive.pages("c", 4096, 1), Err(LoadError::Element { .. })));
        assert!(matches!(archive.pages("d", 4096, 1), Err(LoadError::Missing { .. })));
        assert!(archive.pages("b", 8192, 5).unwrap().read(5, &mut [0; 8192]).is_err());
        assert!(Writer::new("demo", 1).unwrap().pages("p", 100, 1, &|_: u64, _: &mut [u8]| Ok(())).is_err());
    }

    #[test]
    fn what_fails_to_make_a_page_leaves_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("index");
        let mut writer = Writer::new("demo", 1).unwrap();
        let fill = |page: u64, _: &mut [u8]| if page < 2 { Ok(()) } else { Err(io::Error::other("no row")) };
        writer.pages("b", 4096, 3, &fill).unwrap();
        let error = writer.write(&path).unwrap_err();
        assert!(error.to_string().contains("section `b`: no row"), "{error}");
        assert!(!path.exists());
    }

    #[test]
    fn a_file_opened_on_demand_checks_each_section_that_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("index");
        let mut bytes = file(3000);
        std::fs::write(&path, &bytes).unwrap();
        check(&path).unwrap();
        let archive = Archive::open(&path, OpenMode::OnDemand).unwrap();
        read_all(&archive.pages("b", 8192, 5).unwrap()).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        let archive = Archive::open(&path, OpenMode::OnDemand).unwrap();
        assert_eq!(archive.section::<u8>("a").unwrap().len(), 3000);
        assert!(matches!(archive.section::<u32>("c"), Err(LoadError::Corrupt { section, .. }) if section == "c"));
        assert!(archive.verify().is_err());
        for length in (0..bytes.len()).step_by(997) {
            std::fs::write(&path, &bytes[..length]).unwrap();
            assert!(Archive::open(&path, OpenMode::OnDemand).is_err(), "{length}");
        }
    }
}
