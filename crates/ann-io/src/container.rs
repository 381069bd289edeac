//! The index container: one file that holds an index, checked before anything in it is believed.
//!
//! A file is a header of 64 bytes, a small manifest, and the bulk of the index in *sections*: arrays of one number type,
//! little-endian, each starting at a multiple of 64 bytes, in ascending order of name. Every byte is accounted for. The
//! header carries its own checksum, the manifest's checksum and the length of the file; the manifest carries a checksum
//! per section; what lies between sections is zero. The place of each section follows from the lengths of those before
//! it, so the same contents give the same bytes, and a forged offset cannot agree with the layout.
//!
//! An index is made of *parts* (a graph, a row store, a list of labels), each with its own kind, version and a small
//! serialised description (`meta`). The part `base` of an index keeps its section `links` under the name `base.links`.
//! Parts implement [`Persist`]; [`save`] and [`load`] do the rest. Reading a file into memory and mapping it share all
//! code: both give [`Buffer`](ann_simd::Buffer)s that are windows of one
//! [`Mapping`](ann_simd::Mapping).
//!
//! The checksum is CRC-32 (IEEE 802.3): every change confined to 32 consecutive bits of a section is found, any other
//! with probability 1 - 2⁻³². It tells accidents, not forgers: a loader must still check what the numbers mean.
//!
//! What is too large for memory is kept in sections of [`Pages`], which [`OpenMode::OnDemand`] leaves on disk.
//!
//! Cost: saving reads everything twice (checksum, write) and copies nothing; opening reads the file once, or only the
//! header and manifest of a mapped file when verification is switched off. Loading takes the length of the file in
//! memory, and for the manifest a few hundred bytes per section.
//!
//! ```
//! use ann_io::container::{self, Archive, LoadError, OpenMode, Persist, SaveError, Writer};
//! use ann_simd::Buffer;
//!
//! struct Rows { dim: u32, numbers: Buffer<f32> }
//!
//! impl Persist for Rows {
//!     const KIND: &'static str = "rows";
//!     const VERSION: u16 = 1;
//!
//!     fn save<'a>(&'a self, writer: &mut Writer<'a>) -> Result<(), SaveError> {
//!         writer.meta(&self.dim)?;
//!         writer.section("numbers", &self.numbers)
//!     }
//!
//!     fn load(archive: &Archive) -> Result<Rows, LoadError> {
//!         let rows = Rows { dim: archive.meta()?, numbers: archive.section("numbers")? };
//!         match rows.numbers.len().checked_rem(rows.dim as usize) {
//!             Some(0) => Ok(rows),
//!             _ => Err(archive.corrupt("numbers", format!("{} numbers, rows of {}", rows.numbers.len(), rows.dim))),
//!         }
//!     }
//! }
//!
//! # let folder = tempfile::tempdir()?;
//! let path = folder.path().join("rows.ann");
//! container::save(&Rows { dim: 2, numbers: Buffer::from_slice(&[1.0, 2.0, 3.0, 4.0]) }, &path)?;
//! let rows: Rows = container::load(&path, OpenMode::Map)?;
//! assert_eq!((rows.dim, &rows.numbers[2..]), (2, &[3.0, 4.0][..]));
//! assert_eq!(container::check(&path)?.payload_bytes, 16);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod archive;
mod check;
mod element;
mod error;
mod header;
mod layout;
mod manifest;
mod pages;
mod persist;
mod writer;

pub use archive::{Archive, OpenMode, OpenOptions};
pub use check::{FileReport, check, info};
pub use element::{ElementType, Stored};
pub use error::{LoadError, SaveError};
pub use layout::{FileInfo, PartInfo, SectionInfo};
pub use pages::{FillPage, PAGE_BYTES, PAGE_SEAL_BYTES, Pages};
pub use persist::{Persist, load, save};
pub use writer::Writer;

/// Version of the container format that is written, and the newest that is read. What an index keeps in its sections
/// has versions of its own, see [`Persist::VERSION`].
pub const FORMAT: u16 = 1;
/// Every section starts at a multiple of this many bytes.
pub const ALIGNMENT: u64 = 64;
/// Most bytes of a manifest, the `meta` of all parts included.
pub const MAX_MANIFEST_BYTES: u64 = 1 << 20;
/// Most sections of a file.
pub const MAX_SECTIONS: u32 = 4096;
/// Most parts of a file, the index itself included.
pub const MAX_PARTS: u32 = 1024;
/// Most bytes of a kind, or of a name with the names of all parts around it.
pub const MAX_NAME_BYTES: usize = 255;

// Sections are used where they lie, without turning bytes around.
#[cfg(target_endian = "big")]
compile_error!("the index container is read and written on little-endian targets only");
