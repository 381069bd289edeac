//! The manifest: what parts and sections a file has, and the small description of each part.
//!
//! This is the only file that knows the codec, serde by way of bincode with fixed-width little-endian integers: counts
//! of parts and sections (u32 each), then the parts, then the sections, each field in the order of the structs below,
//! strings and byte strings with their length as u64 in front. bincode is no longer maintained, so nothing else may
//! come to depend on it, and its input is kept small: at most [`MAX_MANIFEST_BYTES`], decoded one entry at a time into
//! borrowed strings, so that no length in a file decides how much memory is taken.

use super::{
    ElementType, FORMAT, FileInfo, LoadError, MAX_MANIFEST_BYTES, MAX_PARTS, MAX_SECTIONS, PartInfo, SaveError,
    SectionInfo,
    header::Header,
    layout::{self, name_fault},
};
use bincode::config::{self, Config};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

#[derive(Serialize, Deserialize)]
struct Counts {
    parts: u32,
    sections: u32,
}

#[derive(Serialize, Deserialize)]
struct PartEntry<'a> {
    path: &'a str,
    kind: &'a str,
    version: u16,
    meta: &'a [u8],
}

#[derive(Serialize, Deserialize)]
struct SectionEntry<'a> {
    name: &'a str,
    element: &'a str,
    element_bytes: u32,
    offset: u64,
    bytes: u64,
    crc: u32,
}

/// Bytes of an entry whose strings are all empty.
const LEAST_PART_BYTES: u64 = 8 + 8 + 2 + 8;
const LEAST_SECTION_BYTES: u64 = 8 + 8 + 4 + 8 + 8 + 4;

fn codec() -> impl Config {
    const LIMIT: usize = MAX_MANIFEST_BYTES as usize;
    config::standard().with_little_endian().with_fixed_int_encoding().with_limit::<LIMIT>()
}

/// Serialises the parts and sections, which must be in ascending order. The length does not depend on the offsets.
pub(super) fn encode(parts: &[PartInfo], sections: &[SectionInfo]) -> Result<Vec<u8>, SaveError> {
    let counts = Counts {
        parts: count("parts", parts.len(), MAX_PARTS.into())? as u32,
        sections: count("sections", sections.len(), MAX_SECTIONS.into())? as u32,
    };
    let mut bytes = encode_value(&counts, "")?;
    for PartInfo { path, kind, version, meta } in parts {
        let entry = PartEntry { path, kind, version: *version, meta };
        bytes.extend(encode_value(&entry, path)?);
    }
    for &SectionInfo { ref name, element, offset, bytes: length, crc } in sections {
        let (element, element_bytes) = (element.name(), element.bytes());
        bytes.extend(encode_value(&SectionEntry { name, element, element_bytes, offset, bytes: length, crc }, name)?);
    }
    count("bytes of manifest", bytes.len(), MAX_MANIFEST_BYTES)?;
    Ok(bytes)
}

/// Reads the manifest of a file whose header is `header`. Afterwards names are well-formed and ascending, and the
/// sections lie where they must.
pub(super) fn decode(bytes: &[u8], header: &Header) -> Result<FileInfo, LoadError> {
    let mut rest = bytes;
    let Counts { parts: part_count, sections: section_count } = take(&mut rest, "counts")?;
    if part_count == 0 || part_count > MAX_PARTS || section_count > MAX_SECTIONS {
        return Err(corrupt(format!(
            "{part_count} parts and {section_count} sections, expected 1 to {MAX_PARTS} and at most {MAX_SECTIONS}"
        )));
    }
    let least = u64::from(part_count) * LEAST_PART_BYTES + u64::from(section_count) * LEAST_SECTION_BYTES;
    if (rest.len() as u64) < least {
        return Err(corrupt(format!("{part_count} parts and {section_count} sections in {} bytes", rest.len())));
    }
    let mut parts = Vec::with_capacity(part_count as usize);
    for number in 0..part_count {
        let entry = take::<PartEntry<'_>>(&mut rest, "part")?;
        let last: Option<&PartInfo> = parts.last();
        if (number == 0) != entry.path.is_empty() || last.is_some_and(|last| last.path.as_str() >= entry.path) {
            return Err(corrupt(format!("part {number}, `{}`, is out of order", entry.path.escape_debug())));
        }
        if number > 0 {
            check_name(entry.path)?;
        }
        check_name(entry.kind)?;
        let (path, kind) = (entry.path.to_owned(), entry.kind.to_owned());
        parts.push(PartInfo { path, kind, version: entry.version, meta: entry.meta.to_vec() });
    }
    let mut sections = Vec::with_capacity(section_count as usize);
    for number in 0..section_count {
        let entry = take::<SectionEntry<'_>>(&mut rest, "section")?;
        check_name(entry.name)?;
        let last: Option<&SectionInfo> = sections.last();
        if last.is_some_and(|last| last.name.as_str() >= entry.name) {
            return Err(corrupt(format!("section {number}, `{}`, is out of order", entry.name)));
        }
        let Some(element) = ElementType::named(entry.element) else {
            return Err(LoadError::corrupt(entry.name, format!("numbers of type `{}`", entry.element.escape_debug())));
        };
        if entry.element_bytes != element.bytes() || !entry.bytes.is_multiple_of(element.bytes().into()) {
            let (size, bytes) = (entry.element_bytes, entry.bytes);
            return Err(LoadError::corrupt(entry.name, format!("{bytes} bytes of {element}, {size} bytes each")));
        }
        let (name, SectionEntry { offset, bytes, crc, .. }) = (entry.name.to_owned(), entry);
        sections.push(SectionInfo { name, element, offset, bytes, crc });
    }
    if !rest.is_empty() {
        return Err(corrupt(format!("{} bytes too long", rest.len())));
    }
    layout::check(&sections, header.front(), header.file_bytes)?;
    let (file_bytes, manifest_bytes) = (header.file_bytes, header.manifest_bytes);
    Ok(FileInfo { format: FORMAT, file_bytes, manifest_bytes, parts, sections })
}

/// Serialises the description of the part `path`.
pub(super) fn encode_meta<M: Serialize + ?Sized>(meta: &M, path: &str) -> Result<Vec<u8>, SaveError> {
    let bytes = encode_value(meta, path)?;
    count("bytes of manifest", bytes.len(), MAX_MANIFEST_BYTES)?;
    Ok(bytes)
}

/// Reads the description of `part`, all of it.
pub(super) fn decode_meta<M: DeserializeOwned>(part: &PartInfo) -> Result<M, LoadError> {
    let place = || if part.path.is_empty() { "meta".to_owned() } else { format!("meta of {}", part.path) };
    let (meta, read) = bincode::serde::decode_from_slice(&part.meta, codec())
        .map_err(|error| LoadError::corrupt(place(), error.to_string()))?;
    if read != part.meta.len() {
        return Err(LoadError::corrupt(place(), format!("{} bytes, expected {read}", part.meta.len())));
    }
    Ok(meta)
}

fn encode_value<V: Serialize + ?Sized>(value: &V, part: &str) -> Result<Vec<u8>, SaveError> {
    bincode::serde::encode_to_vec(value, codec())
        .map_err(|error| SaveError::Meta { part: part.to_owned(), reason: error.to_string() })
}

/// Decodes one value from the front of `rest` and moves past it.
fn take<'a, V: Deserialize<'a>>(rest: &mut &'a [u8], what: &str) -> Result<V, LoadError> {
    let (value, read) = bincode::serde::borrow_decode_from_slice(rest, codec())
        .map_err(|error| corrupt(format!("cannot read a {what}: {error}")))?;
    *rest = rest.get(read..).unwrap_or_default();
    Ok(value)
}

fn check_name(name: &str) -> Result<(), LoadError> {
    match name_fault(name) {
        Some(fault) => Err(corrupt(format!("name `{}`: {fault}", name.escape_debug()))),
        None => Ok(()),
    }
}

fn count(what: &'static str, found: usize, limit: u64) -> Result<u64, SaveError> {
    let found = found as u64;
    if found <= limit { Ok(found) } else { Err(SaveError::TooMany { what, found, limit }) }
}

fn corrupt(reason: impl Into<String>) -> LoadError {
    LoadError::corrupt("manifest", reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(path: &str, meta: Vec<u8>) -> PartInfo {
        PartInfo { path: path.into(), kind: "demo".into(), version: 3, meta }
    }

    fn section(name: &str) -> SectionInfo {
        SectionInfo { name: name.into(), element: ElementType::F32, offset: 0, bytes: 8, crc: 7 }
    }

    /// Encodes, then decodes with the header that belongs to it.
    fn round_trip(parts: &[PartInfo], mut sections: Vec<SectionInfo>) -> Result<FileInfo, LoadError> {
        let front = 64 + encode(parts, &sections).unwrap().len() as u64;
        let file_bytes = layout::place(&mut sections, front).unwrap();
        let bytes = encode(parts, &sections).unwrap();
        decode(&bytes, &Header { manifest_crc: 0, manifest_bytes: bytes.len() as u64, file_bytes })
    }

    #[test]
    fn a_manifest_survives_the_round_trip() {
        let parts = [part("", vec![1, 2]), part("base", vec![]), part("base.rows", vec![3])];
        let info = round_trip(&parts, vec![section("base.links"), section("x")]).unwrap();
        assert_eq!(info.parts, parts);
        assert_eq!(info.sections[1].name, "x");
        assert_eq!(info.section("base.links").unwrap().offset % 64, 0);
        assert_eq!(info.part("base.rows").unwrap().meta, [3]);
        assert!(info.section("links").is_none() && info.part("rows").is_none());
    }

    #[test]
    fn names_must_ascend_so_none_occurs_twice() {
        let root = || part("", vec![]);
        assert!(round_trip(&[root()], vec![section("a"), section("a")]).is_err());
        assert!(round_trip(&[root()], vec![section("b"), section("a")]).is_err());
        assert!(round_trip(&[root(), part("a", vec![]), part("a", vec![])], vec![]).is_err());
        assert!(round_trip(&[root(), root()], vec![]).is_err());
        assert!(round_trip(&[part("a", vec![])], vec![]).is_err(), "no root");
        assert!(round_trip(&[], vec![]).is_err(), "no parts");
        assert!(round_trip(&[root()], vec![section("A")]).is_err());
        assert!(round_trip(&[root()], vec![section("")]).is_err());
    }

    #[test]
    fn more_than_the_limits_is_refused_when_writing() {
        let sections: Vec<_> = (0..=MAX_SECTIONS).map(|i| section(&format!("s{i:05}"))).collect();
        let result = encode(&[part("", vec![])], &sections);
        assert!(matches!(result, Err(SaveError::TooMany { what: "sections", found: 4097, limit: 4096 })), "{result:?}");
        let result = encode(&[part("", vec![0; MAX_MANIFEST_BYTES as usize])], &[]);
        assert!(matches!(result, Err(SaveError::TooMany { what: "bytes of manifest", .. })), "{result:?}");
        assert!(round_trip(&[part("", vec![])], sections[..4096].to_vec()).is_ok());
    }

    #[test]
    fn meta_is_read_to_its_last_byte() {
        let meta = part("", encode_meta(&(7u32, "l2".to_owned()), "").unwrap());
        assert_eq!(decode_meta::<(u32, String)>(&meta).unwrap(), (7, "l2".to_owned()));
        assert!(decode_meta::<u32>(&meta).unwrap_err().to_string().contains("14 bytes, expected 4"));
        assert!(decode_meta::<(u32, String, u8)>(&meta).is_err());
        assert!(decode_meta::<()>(&part("", vec![])).is_ok());
    }

    #[test]
    fn a_forged_length_in_meta_is_an_error() {
        let forged = part("rows", u64::MAX.to_le_bytes().to_vec());
        assert!(decode_meta::<String>(&forged).unwrap_err().to_string().contains("meta of rows"));
        assert!(decode_meta::<Vec<u32>>(&forged).is_err());
        assert!(decode_meta::<Vec<u8>>(&forged).is_err());
    }
}
