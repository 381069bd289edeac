//! The first 64 bytes of a file.
//!
//! | bytes | field |
//! |---|---|
//! | 0..8 | magic: `89 41 4e 4e 0d 0a 1a 0a` |
//! | 8..10 | version of the container format |
//! | 10..12 | zero |
//! | 12..16 | CRC-32 of the manifest |
//! | 16..24 | length of the manifest in bytes |
//! | 24..32 | length of the file in bytes |
//! | 32..60 | zero |
//! | 60..64 | CRC-32 of bytes 0..60 |
//!
//! The magic follows PNG (RFC 2083, 12.11): a byte that is no ASCII, a name, and line ends that a transfer in text mode
//! would change. Magic, format version and the place of the last checksum hold for all future formats, so that an old
//! release can tell a newer file from a damaged one.

use super::{FORMAT, LoadError, MAX_MANIFEST_BYTES};

pub(super) const MAGIC: [u8; 8] = *b"\x89ANN\r\n\x1a\n";
pub(super) const HEADER_BYTES: usize = 64;
/// The checksum covers the bytes before this one.
const CHECKED: usize = 60;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) manifest_crc: u32,
    pub(super) manifest_bytes: u64,
    pub(super) file_bytes: u64,
}

impl Header {
    /// Bytes of header and manifest together.
    pub(super) fn front(&self) -> u64 {
        HEADER_BYTES as u64 + self.manifest_bytes
    }

    pub(super) fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..10].copy_from_slice(&FORMAT.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.manifest_crc.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.manifest_bytes.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.file_bytes.to_le_bytes());
        let crc = crc32fast::hash(&bytes[..CHECKED]);
        bytes[CHECKED..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads the header at the start of `file`, which may be shorter than a header, or longer. Afterwards the manifest
    /// is known to be no longer than it may be, and to end before the recorded end of the file.
    pub(super) fn decode(file: &[u8]) -> Result<Header, LoadError> {
        let start = file.get(..MAGIC.len()).unwrap_or(file);
        if start.is_empty() || !MAGIC.starts_with(start) {
            return Err(LoadError::NotAnIndex { found: start.to_vec() });
        }
        let Some(bytes) = file.first_chunk::<HEADER_BYTES>() else {
            return Err(corrupt(format!("{} bytes, expected {HEADER_BYTES}", file.len())));
        };
        let (recorded, computed) = (u32_at(bytes, CHECKED), crc32fast::hash(&bytes[..CHECKED]));
        if recorded != computed {
            return Err(corrupt(format!("checksum {computed:08x}, expected {recorded:08x}")));
        }
        let format = u16::from_le_bytes([bytes[8], bytes[9]]);
        if format > FORMAT {
            return Err(LoadError::Newer { what: "container format".into(), found: format, supported: FORMAT });
        }
        if format == 0 {
            return Err(corrupt("format version 0"));
        }
        if bytes[10..12].iter().chain(&bytes[32..CHECKED]).any(|&byte| byte != 0) {
            return Err(corrupt("unused bytes are not zero"));
        }
        let (manifest_bytes, file_bytes) = (u64_at(bytes, 16), u64_at(bytes, 24));
        if manifest_bytes > MAX_MANIFEST_BYTES {
            return Err(corrupt(format!(
                "manifest of {manifest_bytes} bytes, at most {MAX_MANIFEST_BYTES} are allowed"
            )));
        }
        let header = Header { manifest_crc: u32_at(bytes, 12), manifest_bytes, file_bytes };
        if file_bytes < header.front() {
            return Err(corrupt(format!("file of {file_bytes} bytes with a manifest of {manifest_bytes}")));
        }
        Ok(header)
    }

    /// Compares the recorded length of the file with the one it has.
    pub(super) fn check_length(&self, found: u64) -> Result<(), LoadError> {
        if found == self.file_bytes {
            return Ok(());
        }
        Err(LoadError::corrupt("file", format!("{found} bytes long, expected {}", self.file_bytes)))
    }

    /// Compares the checksum of `manifest` with the recorded one.
    pub(super) fn check_manifest(&self, manifest: &[u8]) -> Result<(), LoadError> {
        let (recorded, computed) = (self.manifest_crc, crc32fast::hash(manifest));
        if recorded == computed {
            return Ok(());
        }
        Err(LoadError::corrupt("manifest", format!("checksum {computed:08x}, expected {recorded:08x}")))
    }
}

fn corrupt(reason: impl Into<String>) -> LoadError {
    LoadError::corrupt("header", reason)
}

/// `at` is one of the constants above, so the four bytes are inside.
fn u32_at(bytes: &[u8; HEADER_BYTES], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn u64_at(bytes: &[u8; HEADER_BYTES], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: Header = Header { manifest_crc: 0x1234_5678, manifest_bytes: 0x1_0203, file_bytes: 0x0102_0304_0506 };

    #[test]
    fn a_header_survives_the_round_trip() {
        assert_eq!(Header::decode(&HEADER.encode()).unwrap(), HEADER);
    }

    #[test]
    fn every_bit_of_the_header_counts() {
        for bit in 0..8 * HEADER_BYTES {
            let mut bytes = HEADER.encode();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let error = Header::decode(&bytes).unwrap_err();
            match bit / 8 {
                0..8 => assert!(matches!(error, LoadError::NotAnIndex { .. }), "bit {bit}: {error}"),
                _ => assert!(matches!(error, LoadError::Corrupt { .. }), "bit {bit}: {error}"),
            }
        }
    }

    #[test]
    fn a_header_with_a_valid_checksum_is_not_believed() {
        let decode = |change: fn(&mut [u8; HEADER_BYTES])| {
            let mut bytes = HEADER.encode();
            change(&mut bytes);
            let crc = crc32fast::hash(&bytes[..CHECKED]);
            bytes[CHECKED..].copy_from_slice(&crc.to_le_bytes());
            Header::decode(&bytes).unwrap_err().to_string()
        };
        assert!(decode(|b| b[8] = 2).contains("version 2, this release reads versions up to 1"));
        assert!(decode(|b| b[8] = 0).contains("version 0"));
        assert!(decode(|b| b[10] = 1).contains("not zero"));
        assert!(decode(|b| b[59] = 1).contains("not zero"));
        assert!(decode(|b| b[16..24].fill(255)).contains("at most"));
        assert!(decode(|b| b[24..32].fill(0)).contains("file of 0 bytes"));
    }

    #[test]
    fn short_and_foreign_files_are_told_apart() {
        for length in 0..HEADER_BYTES {
            let error = Header::decode(&HEADER.encode()[..length]).unwrap_err();
            assert_eq!(matches!(error, LoadError::NotAnIndex { .. }), length == 0, "{length}: {error}");
        }
        assert!(matches!(Header::decode(b"\x89HDF\r\n\x1a\n").unwrap_err(), LoadError::NotAnIndex { .. }));
    }
}
