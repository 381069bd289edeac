//! Files made to deceive: every checksum is right, and something else is wrong. The files are put together here byte by
//! byte from the table in the module documentation, without the writer, so this is also the second opinion on the format.

#![allow(clippy::unwrap_used)]

use ann_io::container::{Archive, LoadError, OpenMode, OpenOptions, Writer, check, info};
use ann_simd::{Buffer, CountingAllocator};
use std::{
    fs,
    io::{Seek, SeekFrom, Write},
    panic::Location,
};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// Most bytes that were allocated at one time while `run` ran, beyond those before it.
fn peak<R>(run: impl FnOnce() -> R) -> (usize, R) {
    let (seen, result) = ALLOCATOR.measure(run);
    (seen.peak, result)
}

/// The fields of a file, each free to lie.
#[derive(Clone)]
struct Forgery {
    format: u16,
    manifest_bytes: Option<u64>,
    file_bytes: Option<u64>,
    part_count: Option<u32>,
    section_count: Option<u32>,
    parts: Vec<(&'static str, &'static str, u16, Vec<u8>)>,
    sections: Vec<Section>,
    /// Appended to the manifest.
    trailer: Vec<u8>,
    /// Everything behind the manifest.
    body: Vec<u8>,
}

#[derive(Clone)]
struct Section {
    name: Text,
    element: Text,
    element_bytes: u32,
    offset: u64,
    bytes: u64,
    crc: u32,
}

/// A string and the length recorded for it.
#[derive(Clone)]
struct Text(Vec<u8>, u64);

impl From<&str> for Text {
    fn from(text: &str) -> Text {
        Text(text.into(), text.len() as u64)
    }
}

impl Text {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend(self.1.to_le_bytes());
        out.extend(&self.0);
    }
}

impl Forgery {
    /// An honest file with two sections: `a`, three u32, and `b`, 70 bytes.
    fn honest() -> Forgery {
        let (a, b): (Vec<u8>, Vec<u8>) =
            ([1u32, 2, 3].iter().flat_map(|x| x.to_le_bytes()).collect(), (0..70).collect());
        // Header and manifest take 64 + 8 + (8 + 8 + 4 + 2 + 8 + 4) + (41 + 3) + (41 + 2) = 193 bytes.
        let mut body = vec![0; 256 - 193];
        body.extend(&a);
        body.resize(320 - 193, 0);
        body.extend(&b);
        let section = |name: &str, element: &str, element_bytes, offset, bytes: &[u8]| Section {
            name: name.into(),
            element: element.into(),
            element_bytes,
            offset,
            bytes: bytes.len() as u64,
            crc: crc32fast::hash(bytes),
        };
        Forgery {
            format: 1,
            manifest_bytes: None,
            file_bytes: None,
            part_count: None,
            section_count: None,
            parts: vec![("", "demo", 5, vec![7, 0, 0, 0])],
            sections: vec![section("a", "u32", 4, 256, &a), section("b", "u8", 1, 320, &b)],
            trailer: vec![],
            body,
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut manifest = Vec::new();
        manifest.extend(self.part_count.unwrap_or(self.parts.len() as u32).to_le_bytes());
        manifest.extend(self.section_count.unwrap_or(self.sections.len() as u32).to_le_bytes());
        for (path, kind, version, meta) in &self.parts {
            Text::from(*path).put(&mut manifest);
            Text::from(*kind).put(&mut manifest);
            manifest.extend(version.to_le_bytes());
            Text(meta.clone(), meta.len() as u64).put(&mut manifest);
        }
        for section in &self.sections {
            section.name.put(&mut manifest);
            section.element.put(&mut manifest);
            manifest.extend(section.element_bytes.to_le_bytes());
            manifest.extend(section.offset.to_le_bytes());
            manifest.extend(section.bytes.to_le_bytes());
            manifest.extend(section.crc.to_le_bytes());
        }
        manifest.extend(&self.trailer);
        let mut file = b"\x89ANN\r\n\x1a\n".to_vec();
        file.extend(self.format.to_le_bytes());
        file.extend([0; 2]);
        file.extend(crc32fast::hash(&manifest).to_le_bytes());
        file.extend(self.manifest_bytes.unwrap_or(manifest.len() as u64).to_le_bytes());
        file.extend(self.file_bytes.unwrap_or((64 + manifest.len() + self.body.len()) as u64).to_le_bytes());
        file.resize(60, 0);
        file.extend(crc32fast::hash(&file).to_le_bytes());
        file.extend(manifest);
        file.extend(&self.body);
        file
    }
}

/// Forges one thing and expects every way of opening the file to say `message`, at the cost of at most twice the file
/// and a few kilobytes for messages and paths.
#[track_caller]
fn refuses(message: &str, forge: impl FnOnce(&mut Forgery)) {
    let mut forgery = Forgery::honest();
    forge(&mut forgery);
    let (folder, bytes) = (tempfile::tempdir().unwrap(), forgery.bytes());
    let path = folder.path().join("index.ann");
    fs::write(&path, &bytes).unwrap();
    let open = |mode, verify| Archive::open(&path, OpenOptions { mode, verify }).map(drop).unwrap_err();
    let ways: [&dyn Fn() -> LoadError; 6] = [
        &|| open(OpenMode::Read, true),
        &|| open(OpenMode::Read, false),
        &|| open(OpenMode::Map, true),
        &|| open(OpenMode::Map, false),
        &|| info(&path).unwrap_err(),
        &|| check(&path).unwrap_err(),
    ];
    for (way, run) in ways.iter().enumerate() {
        let (peak, error) = peak(run);
        let text = error.to_string();
        assert!(text.contains(message), "way {way}, line {}: {text}", Location::caller().line());
        assert!(peak <= 2 * bytes.len() + 8192, "way {way}, line {}: {peak} bytes", Location::caller().line());
    }
}

#[test]
fn the_format_is_the_one_in_the_documentation() {
    let mut writer = Writer::new("demo", 5).unwrap();
    writer.meta(&7u32).unwrap();
    writer.section("a", &[1u32, 2, 3]).unwrap();
    writer.section_owned("b", (0..70).collect::<Vec<u8>>()).unwrap();
    let mut written = Vec::new();
    writer.write_to(&mut written).unwrap();
    assert_eq!(written, Forgery::honest().bytes());
    // The header covers the manifest, and that the sections, by their checksums.
    let header_crc = u32::from_le_bytes(written[60..64].try_into().unwrap());
    assert_eq!((written.len(), header_crc), (390, 0xdc7d_4c43), "format version 1 never changes");
}

#[test]
fn forged_headers_are_refused() {
    refuses("container format has version 2, this release reads versions up to 1", |f| f.format = 2);
    refuses("format version 0", |f| f.format = 0);
    for length in [u64::MAX, u64::MAX - 63, 1 << 63, (1 << 20) + 1] {
        refuses("manifest of", |f| f.manifest_bytes = Some(length));
        refuses("bytes long, expected", |f| f.file_bytes = Some(length));
    }
    refuses("file: 390 bytes long, expected 1048640", |f| {
        (f.manifest_bytes, f.file_bytes) = (Some(1 << 20), Some((1 << 20) + 64))
    });
    refuses("manifest: checksum", |f| f.manifest_bytes = Some(128));
    refuses("manifest: checksum", |f| f.manifest_bytes = Some(130));
    refuses("manifest: checksum", |f| f.manifest_bytes = Some(0));
    refuses("with a manifest of 129", |f| f.file_bytes = Some(192));
}

#[test]
fn forged_counts_are_refused() {
    for count in [0, 1025, u32::MAX] {
        refuses("expected 1 to 1024", |f| f.part_count = Some(count));
    }
    for count in [4097, u32::MAX] {
        refuses("at most 4096", |f| f.section_count = Some(count));
    }
    refuses("1024 parts and 2 sections in", |f| f.part_count = Some(1024));
    refuses("1 parts and 4096 sections in", |f| f.section_count = Some(4096));
    refuses("1 parts and 3 sections in", |f| f.section_count = Some(3));
    refuses("43 bytes too long", |f| f.section_count = Some(1));
    refuses("manifest:", |f| f.part_count = Some(2));
    refuses("1 bytes too long", |f| f.trailer = vec![0]);
}

#[test]
fn forged_strings_are_refused() {
    for length in [u64::MAX, u64::MAX - 1, 1 << 63, 1 << 32, 1 << 20, 500] {
        refuses("cannot read a section", |f| f.sections[0].name.1 = length);
        refuses("cannot read a section", |f| f.sections[1].element.1 = length);
    }
    refuses("cannot read a section", |f| f.sections[0].name = Text(vec![0xff], 1));
    refuses("name ``", |f| f.sections[0].name = "".into());
    refuses("name `A`", |f| f.sections[0].name = "A".into());
    refuses("name `\\n`", |f| f.sections[0].name = "\n".into());
    refuses("longer than 255", |f| f.sections[0].name = "a".repeat(256).as_str().into());
    refuses("`a`, is out of order", |f| f.sections[1].name = "a".into());
    refuses("`b`, is out of order", |f| f.sections[0].name = "c".into());
    refuses("name ``", |f| f.parts[0].1 = "");
    refuses("part 0, `x`, is out of order", |f| f.parts[0].0 = "x");
    refuses("part 1, ``, is out of order", |f| f.parts.push(("", "demo", 1, vec![])));
    refuses("part 2, `x`, is out of order", |f| f.parts.extend([("x", "demo", 1, vec![]), ("x", "demo", 1, vec![])]));
}

#[test]
fn forged_elements_are_refused() {
    refuses("a: numbers of type `f8`", |f| f.sections[0].element = "f8".into());
    refuses("a: 12 bytes of u32, 8 bytes each", |f| f.sections[0].element_bytes = 8);
    refuses("a: 12 bytes of u32, 0 bytes each", |f| f.sections[0].element_bytes = 0);
    refuses("a: 12 bytes of u64, 8 bytes each", |f| {
        (f.sections[0].element, f.sections[0].element_bytes) = ("u64".into(), 8)
    });
    refuses("a: 13 bytes of u32", |f| f.sections[0].bytes = 13);
}

#[test]
fn forged_places_are_refused() {
    for offset in [0, 64, 192, 255, 257, 320, 384, 1 << 63, u64::MAX - 63, u64::MAX] {
        refuses("a: starts at byte", |f| f.sections[0].offset = offset);
    }
    refuses("b: starts at byte 256, expected 320", |f| f.sections[1].offset = 256);
    for bytes in [u64::MAX - 3, u64::MAX - 255, 1 << 63, 1 << 40, 136] {
        refuses("in a file of 390", |f| f.sections[0].bytes = bytes);
        refuses("in a file of 390", |f| f.sections[1].bytes = bytes);
    }
    refuses("b: starts at byte 320, expected 384", |f| f.sections[0].bytes = 128);
    refuses("the last section ends at 389", |f| f.sections[1].bytes = 69);
    refuses("the last section ends at 390", |f| f.body.push(0));
    refuses("in a file of 389", |f| f.body.truncate(f.body.len() - 1));
    refuses("the last section ends at", |f| f.sections.clear());
}

#[test]
fn bytes_between_sections_must_be_zero() {
    for (at, name) in [(193, "a"), (255, "a"), (268, "b"), (319, "b")] {
        let mut bytes = Forgery::honest().bytes();
        bytes[at] = 1;
        let error = Archive::from_bytes(Buffer::from_slice(&bytes)).unwrap_err();
        assert_eq!(error.to_string(), format!("corrupt index file: padding before {name}: not zero"));
    }
}

#[test]
fn reading_takes_the_file_and_mapping_takes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index.ann");
    let numbers = vec![1.5f32; 300_000];
    let mut writer = Writer::new("demo", 1).unwrap();
    writer.section("numbers", &numbers).unwrap();
    writer.write(&path).unwrap();
    let file = fs::metadata(&path).unwrap().len() as usize;
    let open = |mode| {
        let archive = Archive::open(&path, mode).unwrap();
        (archive.section::<f32>("numbers").unwrap()[299_999], archive)
    };
    let (read, _) = peak(|| open(OpenMode::Read));
    let (map, _) = peak(|| open(OpenMode::Map));
    let (checked, _) = peak(|| check(&path).unwrap());
    assert!((file..file + 8192).contains(&read), "{read} of {file}");
    assert!(map < 8192, "{map}");
    assert!(checked < (256 << 10) + 8192, "{checked}");
    assert!(peak(|| writer.write(&path).unwrap()).0 < 8192, "writing copies nothing");
}

#[cfg(target_pointer_width = "64")]
#[test]
fn sections_behind_four_gibibytes_are_mapped() {
    const FAR: u64 = 5 << 30;
    let (mut forgery, folder) = (Forgery::honest(), tempfile::tempdir().unwrap());
    let path = folder.path().join("index.ann");
    forgery.sections[0].bytes = FAR;
    forgery.sections[1].offset = 256 + FAR;
    forgery.file_bytes = Some(256 + FAR + 70);
    // The first section is a hole: the file takes a few blocks on disk.
    let bytes = forgery.bytes();
    fs::write(&path, &bytes[..193]).unwrap();
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(256 + FAR + 70).unwrap();
    let write = |mut file: &fs::File| {
        file.seek(SeekFrom::Start(256 + FAR))?;
        file.write_all(&bytes[320..])
    };
    write(&file).unwrap();
    let archive = Archive::open(&path, OpenOptions { mode: OpenMode::Map, verify: false }).unwrap();
    assert_eq!(archive.section::<u8>("b").unwrap()[..], (0..70).collect::<Vec<u8>>());
    let hole = archive.section::<u32>("a").unwrap();
    assert_eq!((hole.len() as u64, hole[0], hole[hole.len() - 1]), (FAR / 4, 0, 0));
    assert_eq!(info(&path).unwrap().payload_bytes(), FAR + 70);
}

#[test]
fn a_forged_meta_takes_no_more_than_a_mebibyte() {
    for length in [u64::MAX, 1 << 40, 1 << 19] {
        let mut writer = Writer::new("demo", 1).unwrap();
        writer.meta(&length).unwrap();
        let mut bytes = Vec::new();
        writer.write_to(&mut bytes).unwrap();
        let archive = Archive::from_bytes(Buffer::from_slice(&bytes)).unwrap();
        let ways: [&dyn Fn() -> bool; 2] =
            [&|| archive.meta::<String>().is_err(), &|| archive.meta::<Vec<u64>>().is_err()];
        for run in ways {
            let (peak, refused) = peak(run);
            assert!(refused && peak <= (1 << 20) + 8192, "{length}: {peak}");
        }
    }
}
