//! The index container from outside: round trips, damage of every kind, and files replaced as a whole.

#![allow(clippy::unwrap_used)]

use ann_io::container::{
    self, Archive, ElementType, FORMAT, LoadError, OpenMode, OpenOptions, Persist, SaveError, Writer, check, info,
};
use ann_simd::Buffer;
use half::{bf16, f16};
use proptest::{collection::vec, prelude::*};
use serde::{Deserialize, Serialize};
use std::{fs, path::Path};

/// A small index with parts inside parts.
#[derive(Debug, Clone, PartialEq)]
struct Layered {
    params: Params,
    labels: Buffer<u64>,
    base: Graph,
    layers: Vec<Graph>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Params {
    max_degree: u32,
    alpha: Option<f32>,
    metric: String,
    layers: u32,
}

#[derive(Debug, Clone, PartialEq)]
struct Graph {
    links: Buffer<u32>,
}

impl Persist for Layered {
    const KIND: &'static str = "layered";
    const VERSION: u16 = 2;

    fn save<'a>(&'a self, writer: &mut Writer<'a>) -> Result<(), SaveError> {
        writer.meta(&self.params)?;
        writer.section("labels", &self.labels)?;
        writer.part("base", &self.base)?;
        self.layers.iter().enumerate().try_for_each(|(i, layer)| writer.part(&format!("layers.{i}"), layer))
    }

    fn load(archive: &Archive) -> Result<Layered, LoadError> {
        let params: Params = archive.meta()?;
        let layers = (0..params.layers).map(|i| archive.part(&format!("layers.{i}"))).collect::<Result<_, _>>()?;
        Ok(Layered { params, labels: archive.section("labels")?, base: archive.part("base")?, layers })
    }
}

impl Persist for Graph {
    const KIND: &'static str = "graph";
    const VERSION: u16 = 1;

    fn save<'a>(&'a self, writer: &mut Writer<'a>) -> Result<(), SaveError> {
        writer.meta(&(self.links.len() as u64))?;
        writer.section("links", &self.links)
    }

    fn load(archive: &Archive) -> Result<Graph, LoadError> {
        Ok(Graph { links: archive.section_of("links", archive.meta::<u64>()? as usize)? })
    }
}

fn layered() -> Layered {
    let graph = |n: u32| Graph { links: Buffer::from_slice(&(0..n).map(|i| i * 7 % n).collect::<Vec<_>>()) };
    Layered {
        params: Params { max_degree: 16, alpha: Some(1.2), metric: "l2".into(), layers: 2 },
        labels: Buffer::from_slice(&[u64::MAX, 1, 1 << 40]),
        base: graph(33),
        layers: vec![graph(5), graph(0)],
    }
}

fn bytes_of(writer: &Writer<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    assert_eq!(writer.write_to(&mut bytes).unwrap(), bytes.len() as u64);
    bytes
}

fn sample() -> Vec<u8> {
    bytes_of(&Writer::of(&layered()).unwrap())
}

fn open_bytes(bytes: &[u8]) -> Result<Archive, LoadError> {
    Archive::from_bytes(Buffer::from_slice(bytes))
}

/// Puts `bytes` into a file and gives what the four ways of opening it say: read, map, map without verification, check.
fn open_all(path: &Path, bytes: &[u8]) -> [Result<(), LoadError>; 4] {
    fs::write(path, bytes).unwrap();
    let open = |mode, verify| Archive::open(path, OpenOptions { mode, verify }).map(drop);
    [
        open(OpenMode::Read, true),
        open(OpenMode::Map, true),
        open(OpenMode::Map, false),
        check(path).map(|report| {
            let lengths = [report.header_bytes, report.manifest_bytes, report.payload_bytes, report.padding_bytes];
            assert_eq!(lengths.iter().sum::<u64>(), report.info.file_bytes);
        }),
    ]
}

#[test]
fn an_index_with_parts_survives_reading_and_mapping() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index.ann");
    container::save(&layered(), &path).unwrap();
    for mode in [OpenMode::Read, OpenMode::Map] {
        for verify in [true, false] {
            let loaded: Layered = container::load(&path, OpenOptions { mode, verify }).unwrap();
            assert_eq!(loaded, layered());
            assert!(loaded.labels.is_mapped() && loaded.base.links.is_mapped(), "windows, not copies");
        }
    }
    let info = info(&path).unwrap();
    let parts: Vec<_> = info.parts.iter().map(|part| (part.path.as_str(), part.kind.as_str(), part.version)).collect();
    let graphs = ["base", "layers.0", "layers.1"].map(|path| (path, "graph", 1));
    assert_eq!((parts[0], &parts[1..]), (("", "layered", 2), &graphs[..]));
    let sections: Vec<_> = info.sections.iter().map(|section| (section.name.as_str(), section.bytes)).collect();
    assert_eq!(sections, [("base.links", 132), ("labels", 24), ("layers.0.links", 20), ("layers.1.links", 0)]);
    assert_eq!(info.sections[1].element, ElementType::U64);
    assert_eq!((info.format, info.file_bytes), (FORMAT, fs::metadata(&path).unwrap().len()));
    assert_eq!(check(&path).unwrap().payload_bytes, 176);
    assert_eq!(Archive::open(&path, OpenMode::Map).unwrap().info(), &info);
}

#[test]
fn sections_are_aligned_windows_of_one_mapping() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index.ann");
    container::save(&layered(), &path).unwrap();
    for mode in [OpenMode::Read, OpenMode::Map] {
        let archive = Archive::open(&path, mode).unwrap();
        let offset =
            |name: &str| archive.sections().iter().find(|section| section.name == name).unwrap().offset as usize;
        let links: Buffer<u32> = archive.section("base.links").unwrap();
        let again: Buffer<u32> = archive.enter("base").unwrap().section("links").unwrap();
        let labels: Buffer<u64> = archive.section("labels").unwrap();
        assert_eq!(links.as_ptr(), again.as_ptr(), "one place for all who ask");
        assert_eq!(labels.as_ptr().addr() - links.as_ptr().addr(), offset("labels") - offset("base.links"));
        assert_eq!((links.as_ptr().addr() % 64, labels.as_ptr().addr() % 64), (0, 0));
        assert_eq!((links.capacity_bytes(), labels.capacity_bytes()), (0, 0), "no memory of their own");
        drop(archive);
        assert_eq!(links, layered().base.links, "a window keeps the mapping alive");
    }
}

#[test]
fn archives_and_writers_may_cross_threads() {
    fn check<T: Send + Sync>() {}
    check::<Archive>();
    check::<Writer<'_>>();
}

#[test]
fn the_same_contents_give_the_same_bytes_in_any_order() {
    let graph = layered().base;
    let mut forth = Writer::new("demo", 1).unwrap();
    forth.section("a", &[1u8]).unwrap();
    forth.part("p", &graph).unwrap();
    forth.section_owned("z", vec![2.0f32; 3]).unwrap();
    let mut back = Writer::new("demo", 1).unwrap();
    back.section("z", &[2.0f32; 3]).unwrap();
    back.part("p", &graph).unwrap();
    back.section_owned("a", vec![1u8]).unwrap();
    assert_eq!(bytes_of(&forth), bytes_of(&back));
    assert_eq!(sample(), sample());
}

#[test]
fn a_file_cut_anywhere_is_an_error() {
    let (folder, bytes) = (tempfile::tempdir().unwrap(), sample());
    let path = folder.path().join("index.ann");
    assert!(open_all(&path, &bytes).iter().all(Result::is_ok));
    for length in 0..bytes.len() {
        for result in open_all(&path, &bytes[..length]) {
            match result.unwrap_err() {
                LoadError::NotAnIndex { found } => assert!(length == 0 && found.is_empty()),
                LoadError::Corrupt { section, .. } => assert_eq!(section, if length < 64 { "header" } else { "file" }),
                error => panic!("{length}: {error}"),
            }
        }
    }
    for extra in [1, 63, 64, 1000] {
        let longer = [&bytes[..], &vec![0; extra]].concat();
        assert!(open_all(&path, &longer).iter().all(|result| matches!(result, Err(LoadError::Corrupt { .. }))));
    }
}

#[test]
fn every_flipped_bit_is_found() {
    let bytes = sample();
    let front = 64 + open_bytes(&bytes).unwrap().info().manifest_bytes as usize;
    for bit in 0..8 * bytes.len() {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        match open_bytes(&flipped).unwrap_err() {
            LoadError::NotAnIndex { .. } => assert!(bit / 8 < 8),
            LoadError::Corrupt { section, .. } => match section.as_str() {
                "header" => assert!((8..64).contains(&(bit / 8)), "bit {bit}"),
                "manifest" => assert!((64..front).contains(&(bit / 8)), "bit {bit}"),
                _ => assert!(bit / 8 >= front, "bit {bit}"),
            },
            error => panic!("bit {bit}: {error}"),
        }
    }
}

#[test]
fn every_changed_byte_is_found_in_files_too() {
    let (folder, bytes) = (tempfile::tempdir().unwrap(), sample());
    let path = folder.path().join("index.ann");
    let front = 64 + open_bytes(&bytes).unwrap().info().manifest_bytes as usize;
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] = changed[at].wrapping_add(1 + (at % 255) as u8);
        let [read, map, unverified, check] = open_all(&path, &changed);
        for result in [&read, &map, &check] {
            assert!(matches!(result, Err(LoadError::Corrupt { .. } | LoadError::NotAnIndex { .. })), "byte {at}");
        }
        assert_eq!(unverified.is_err(), at < front, "byte {at}: header and manifest are checked in any case");
        assert_eq!(info(&path).is_err(), at < front, "byte {at}");
        if at >= front {
            let later = Archive::open(&path, OpenOptions { mode: OpenMode::Map, verify: false }).unwrap().verify();
            assert_eq!(later.unwrap_err().to_string(), check.unwrap_err().to_string());
        }
    }
}

#[test]
fn a_thousand_random_mutations_are_typed_errors() {
    let bytes = sample();
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut random = move |below: usize| {
        // xorshift64* (Vigna, ACM TOMS 2016).
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) as usize % below
    };
    for case in 0..1000 {
        let mut changed = bytes.clone();
        match case % 4 {
            0 => (0..4).for_each(|_| changed[random(bytes.len())] = random(256) as u8),
            1 => {
                let (at, length) = (random(bytes.len()), random(40));
                changed.splice(at..(at + length).min(bytes.len()), (0..random(40)).map(|_| 0xff).collect::<Vec<_>>());
            }
            2 => {
                let (a, b) = (random(bytes.len() - 16), random(bytes.len() - 16));
                changed.copy_within(a..a + 16, b);
            }
            _ => {
                let from = random(bytes.len());
                changed[from..].rotate_left(random(bytes.len() - from));
            }
        }
        match open_bytes(&changed).and_then(|archive| archive.load::<Layered>()) {
            Ok(loaded) => assert!(changed == bytes && loaded == layered(), "case {case}: accepted a changed file"),
            Err(LoadError::Corrupt { .. } | LoadError::NotAnIndex { .. }) => assert_ne!(changed, bytes, "case {case}"),
            Err(error) => panic!("case {case}: {error}"),
        }
    }
}

#[test]
fn what_is_missing_or_of_another_kind_is_named() {
    let archive = open_bytes(&sample()).unwrap();
    let text = |error: LoadError| error.to_string();
    assert_eq!(text(archive.section::<u8>("codes").unwrap_err()), "the index file has no section or part `codes`");
    assert_eq!(text(archive.section::<i32>("base.links").unwrap_err()), "section `base.links` holds u32, expected i32");
    let base = archive.enter("base").unwrap();
    assert_eq!((base.kind(), base.version(), base.path()), ("graph", 1, "base"));
    assert!(base.has_section("links") && !base.has_section("labels") && !base.has_part("base"));
    assert!(archive.has_part("layers.1") && !archive.has_part("layers"));
    assert_eq!(text(base.section::<u8>("x").unwrap_err()), "the index file has no section or part `base.x`");
    assert_eq!(text(base.enter("x").unwrap_err()), "the index file has no section or part `base.x`");
    assert_eq!(
        text(base.section_of::<u32>("links", 32).unwrap_err()),
        "corrupt index file: base.links: 33 numbers, expected 32"
    );
    assert_eq!(
        text(base.load::<Layered>().unwrap_err()),
        "expected an index of kind `layered`, found `graph` in part `base`"
    );
    assert_eq!(text(archive.load::<Graph>().unwrap_err()), "expected an index of kind `graph`, found `layered`");
    assert!(matches!(archive.meta::<u8>().unwrap_err(), LoadError::Corrupt { section, .. } if section == "meta"));
}

#[test]
fn a_later_version_of_a_part_is_newer_not_corrupt() {
    let newer = Writer::new(Graph::KIND, 9).unwrap();
    let error = open_bytes(&bytes_of(&newer)).unwrap().load::<Graph>().unwrap_err();
    assert!(matches!(error, LoadError::Newer { found: 9, supported: 1, .. }), "{error}");
    assert_eq!(error.to_string(), "graph has version 9, this release reads versions up to 1");
}

#[test]
fn names_are_checked_when_written() {
    let mut writer = Writer::new("demo", 1).unwrap();
    writer.section("a", &[1u8]).unwrap();
    assert!(matches!(writer.section("a", &[2u8]), Err(SaveError::Duplicate { name }) if name == "a"));
    for bad in ["", "A", "a..b", "../a", "a b"] {
        assert!(matches!(writer.section(bad, &[1u8]), Err(SaveError::Name { .. })), "{bad}");
    }
    assert!(matches!(Writer::new("", 1), Err(SaveError::Name { .. })));
    let graph = layered().base;
    let mut writer = Writer::new("demo", 1).unwrap();
    writer.part("g", &graph).unwrap();
    assert!(matches!(writer.part("g", &graph), Err(SaveError::Duplicate { .. })));
    assert!(matches!(writer.section("g.links", &[1u8]), Err(SaveError::Duplicate { .. })));
    writer.section("after", &[1u8]).unwrap();
    assert!(open_bytes(&bytes_of(&writer)).unwrap().has_section("after"), "a failed part leaves the scope it was in");
}

#[test]
fn saving_over_a_mapped_file_leaves_the_map_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index.ann");
    container::save(&layered(), &path).unwrap();
    let old: Layered = container::load(&path, OpenMode::Map).unwrap();
    let mut new = layered();
    new.params.alpha = None;
    new.labels.as_mut_slice().fill(0);
    container::save(&new, &path).unwrap();
    assert_eq!(old, layered());
    assert_eq!(container::load::<Layered>(&path, OpenMode::Map).unwrap(), new);
    // What was loaded from a file can be saved over it.
    container::save(&old, &path).unwrap();
    assert_eq!(fs::read(&path).unwrap(), sample());
}

#[test]
fn a_save_that_fails_leaves_the_old_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index.ann");
    container::save(&layered(), &path).unwrap();
    let mut writer = Writer::new("demo", 1).unwrap();
    let names: Vec<String> = (0..5000).map(|i| format!("s{i}")).collect();
    names.iter().for_each(|name| writer.section(name, &[0u8]).unwrap());
    assert!(matches!(writer.write(&path), Err(SaveError::TooMany { what: "sections", .. })));
    assert_eq!(fs::read(&path).unwrap(), sample());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    let missing = folder.path().join("missing").join("index.ann");
    assert!(matches!(container::save(&layered(), &missing), Err(SaveError::Io { path, .. }) if path == missing));
}

#[test]
fn a_stream_that_fails_at_any_byte_is_an_error() {
    let (index, length) = (layered(), sample().len());
    let writer = Writer::of(&index).unwrap();
    for room in 0..length {
        let mut space = vec![0; room];
        assert!(matches!(writer.write_to(&mut space[..]), Err(SaveError::Stream(_))), "{room} bytes");
    }
    assert!(writer.write_to(&mut vec![0; length][..]).is_ok());
}

#[test]
fn folders_missing_files_and_foreign_files_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.npy");
    for mode in [OpenMode::Read, OpenMode::Map] {
        assert!(matches!(Archive::open(folder.path(), mode), Err(LoadError::Io { .. })));
        assert!(matches!(Archive::open(&path, mode), Err(LoadError::Io { .. })));
    }
    fs::write(&path, b"\x93NUMPY\x01\x00 and so on").unwrap();
    for result in open_all(&path, b"\x93NUMPY\x01\x00 and so on") {
        assert!(matches!(result, Err(LoadError::NotAnIndex { found }) if found == b"\x93NUMPY\x01\x00"));
    }
}

#[test]
fn bytes_that_start_anywhere_in_memory_are_opened() {
    let bytes = sample();
    let shifted = Buffer::from_slice(&[&[0; 3][..], &bytes].concat());
    let window = ann_simd::Mapping::from_bytes(shifted).buffer::<u8>(3..3 + bytes.len()).unwrap();
    assert_ne!(window.as_ptr().addr() % 64, 0);
    assert_eq!(Archive::from_bytes(window).unwrap().load::<Layered>().unwrap(), layered());
}

proptest! {
    #[test]
    fn all_number_types_survive(
        bytes in vec(any::<u8>(), 0..200), halves in vec(any::<u16>(), 0..70), floats in vec(any::<u32>(), 0..50),
        longs in vec(any::<u64>(), 0..40), meta in any::<(bool, i8, Option<u64>, char, String, Vec<f64>)>(),
    ) {
        let f16s: Vec<f16> = halves.iter().map(|&bits| f16::from_bits(bits)).collect();
        let bf16s: Vec<bf16> = halves.iter().map(|&bits| bf16::from_bits(bits)).collect();
        let f32s: Vec<f32> = floats.iter().map(|&bits| f32::from_bits(bits)).collect();
        let mut writer = Writer::new("all", 7).unwrap();
        writer.meta(&meta).unwrap();
        writer.section("u8", &bytes).unwrap();
        writer.section("u16", &halves).unwrap();
        writer.section("f16", &f16s).unwrap();
        writer.section("bf16", &bf16s).unwrap();
        writer.section("f32", &f32s).unwrap();
        writer.section_owned("u64", longs.clone()).unwrap();
        let archive = open_bytes(&bytes_of(&writer)).unwrap();
        prop_assert_eq!(archive.version(), 7);
        let found: (bool, i8, Option<u64>, char, String, Vec<f64>) = archive.meta().unwrap();
        prop_assert_eq!(format!("{found:?}"), format!("{meta:?}"));
        prop_assert_eq!(&archive.section::<u8>("u8").unwrap()[..], bytes);
        prop_assert_eq!(&archive.section::<u16>("u16").unwrap()[..], &halves[..]);
        prop_assert!(archive.section::<f16>("f16").unwrap().iter().map(|x| x.to_bits()).eq(halves.iter().copied()));
        prop_assert!(archive.section::<bf16>("bf16").unwrap().iter().map(|x| x.to_bits()).eq(halves.iter().copied()));
        prop_assert!(archive.section::<f32>("f32").unwrap().iter().map(|x| x.to_bits()).eq(floats.iter().copied()));
        prop_assert_eq!(&archive.section::<u64>("u64").unwrap()[..], longs);
    }

    #[test]
    fn bytes_behind_a_valid_magic_never_panic(mut bytes in vec(any::<u8>(), 0..300)) {
        bytes.splice(..bytes.len().min(8), *b"\x89ANN\r\n\x1a\n");
        prop_assert!(open_bytes(&bytes).is_err());
    }
}
