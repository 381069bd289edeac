//! Damaged, cut and forged files, and disks that fail: errors that name the place, never a panic or a wrong result.

use crate::support::{Coded, Plain, codes, file, graph, open, open_from, plain, store, vamana};
use ann_core::{Exact, FlatStore, Index, Matrix, Metric, Searcher, VectorError, VectorStore};
use ann_graph::{DiskGraph, DiskSearch};
use ann_io::ReadAt;
use ann_io::container::{Archive, LoadError, Writer};
use ann_testkit::{portable, shapes};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

const WIDE: DiskSearch = DiskSearch { ef: 400, beam: 3 };

fn rows() -> Matrix<f32> {
    shapes::uniform_cube(400, 30, 1).base
}

/// Where the pages start in the file, their size and number.
fn pages_of(bytes: &[u8]) -> (usize, usize, usize) {
    let index: Plain = open(bytes).unwrap();
    let archive = Archive::on_demand(std::sync::Arc::new(bytes.to_vec())).unwrap();
    let section = archive.sections().iter().find(|section| section.name == "pages").unwrap();
    let (size, count) = index.pages();
    (section.offset.next_multiple_of(4096) as usize, size, count as usize)
}

#[test]
fn a_damaged_page_is_an_error_that_names_it_or_is_not_needed() {
    let (rows, bytes) = (rows(), plain(&rows(), Metric::L2));
    let (start, size, count) = pages_of(&bytes);
    let exact = Exact::new(store(rows.view(), Metric::L2));
    let truth = Searcher::new(&exact, ()).search(rows.row(5), 3).unwrap().to_vec();
    for page in 0..count {
        for byte in [0, 1, 100, size / 2, size - 1] {
            let mut damaged = bytes.clone();
            damaged[start + page * size + byte] ^= 0x10;
            let index: Plain = open(&damaged).unwrap();
            let mut searcher = Searcher::new(&index, WIDE);
            match searcher.search(rows.row(5), 3) {
                Err(VectorError::Unread { page: named, reason }) => {
                    assert!(named == page as u64 && reason.contains("checksum"), "{page}: {named} {reason}");
                }
                other => panic!("page {page}, byte {byte}: {other:?}"),
            }
            // A narrow search needs few of the pages.
            *searcher.params_mut() = DiskSearch { ef: 3, beam: 1 };
            match searcher.search(rows.row(5), 3) {
                Ok(found) => assert!(found.len() == 3 && found[0].distance == 0.0, "{found:?} {truth:?}"),
                Err(error) => assert!(error.to_string().starts_with(&format!("page {page} of the rows on disk"))),
            }
            let cached = open::<Plain>(&damaged).unwrap().with_cache(1 << 20);
            assert!(cached.unwrap_err().to_string().starts_with(&format!("page {page} ")));
        }
    }
}

#[test]
fn a_file_cut_anywhere_is_an_error() {
    let bytes = plain(&rows(), Metric::L2);
    for length in (0..bytes.len()).step_by(61).chain([bytes.len() - 1]) {
        assert!(open::<Plain>(&bytes[..length]).is_err(), "{length} of {}", bytes.len());
    }
}

#[test]
fn a_thousand_random_changes_are_errors_or_change_nothing() {
    let (rows, bytes) = (rows(), plain(&rows(), Metric::L2));
    let whole: Plain = open(&bytes).unwrap();
    let mut searcher = Searcher::new(&whole, WIDE);
    let expected = searcher.search(rows.row(9), 5).unwrap();
    for i in 0..1_000 {
        let mut changed = bytes.clone();
        let at = (portable::bits(7, 2 * i) % bytes.len() as u64) as usize;
        changed[at] ^= 1 << (portable::bits(7, 2 * i + 1) % 8);
        if let Ok(index) = open::<Plain>(&changed) {
            let mut searcher = Searcher::new(&index, WIDE);
            if let Ok(found) = searcher.search(rows.row(9), 5) {
                assert_eq!(found, expected, "byte {at}");
            }
        }
    }
}

/// A file that is sound as a container: `nodes`, `dim`, `max_degree`, metric, and what else can be wrong.
struct Forgery {
    meta: (u32, u32, u32, &'static str),
    entries: Vec<u32>,
    codes: FlatStore<f32>,
    size: usize,
    count: u64,
    /// Words that stand where the number of links of a node and the first link do.
    links: [u32; 2],
}

impl Forgery {
    fn honest() -> Self {
        let codes = store(shapes::uniform_cube(20, 3, 1).base.view(), Metric::L2);
        Self { meta: (20, 3, 2, "l2"), entries: vec![4], codes, size: 4096, count: 1, links: [2, 7] }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut writer = Writer::new("disk", 1).unwrap();
        writer.meta(&self.meta).unwrap();
        writer.part("codes", &self.codes).unwrap();
        writer.section("entries", &self.entries).unwrap();
        let fill = |_: u64, body: &mut [u8]| {
            for node in body.chunks_exact_mut(24) {
                node[12..16].copy_from_slice(&self.links[0].to_le_bytes());
                node[16..20].copy_from_slice(&self.links[1].to_le_bytes());
            }
            Ok(())
        };
        writer.pages("pages", self.size, self.count, &fill).unwrap();
        let mut bytes = Vec::new();
        writer.write_to(&mut bytes).unwrap();
        bytes
    }
}

#[test]
fn a_file_that_claims_too_much_is_refused() {
    let refused = |what: &str, change: fn(&mut Forgery)| {
        let mut forgery = Forgery::honest();
        change(&mut forgery);
        match open::<Plain>(&forgery.bytes()) {
            Err(LoadError::Corrupt { section, reason }) => assert_eq!(section, what, "{reason}"),
            other => panic!("{what}: {other:?}"),
        }
    };
    open::<Plain>(&Forgery::honest().bytes()).unwrap();
    refused("layout", |f| f.meta.0 = u32::MAX);
    refused("layout", |f| f.meta.1 = 0);
    refused("layout", |f| f.meta.1 = u32::MAX);
    refused("layout", |f| f.meta.2 = u32::MAX);
    refused("metric", |f| f.meta.3 = "l3");
    refused("metric", |f| f.meta.3 = "hamming");
    refused("pages", |f| f.meta.0 = 1 << 31);
    refused("pages", |f| f.meta.1 = 1 << 20);
    refused("pages", |f| f.size = 8192);
    refused("pages", |f| f.count = 0);
    refused("codes", |f| f.meta.0 = 21);
    refused("codes", |f| f.meta.1 = 4);
    refused("entries", |f| f.entries = vec![20]);
    refused("entries", |f| f.entries = vec![]);
    assert!(matches!(open::<Coded>(&Forgery::honest().bytes()), Err(LoadError::Kind { .. })));
}

#[test]
fn links_that_lead_nowhere_are_errors_when_they_are_read() {
    for links in [[3, 0], [u32::MAX, 0], [1, 20], [2, u32::MAX]] {
        let index: Plain = open(&Forgery { links, ..Forgery::honest() }.bytes()).unwrap();
        let error = Searcher::new(&index, WIDE).search(&[0.0; 3], 1).unwrap_err();
        assert!(matches!(error, VectorError::Unread { page: 0, .. }), "{error}");
        assert!(index.with_cache(1 << 20).is_err());
    }
}

/// Every node is a piece of its own, and only codes know of the others.
#[test]
fn a_graph_in_pieces_loses_no_row() {
    let index: Plain = open(&Forgery { links: [0, 0], ..Forgery::honest() }.bytes()).unwrap();
    for k in [1, 5, 20, 21] {
        let mut searcher = Searcher::new(&index, DiskSearch { ef: 1, beam: 2 });
        let found = searcher.search(&[0.5; 3], k).unwrap();
        let ids: std::collections::BTreeSet<u32> = found.iter().map(|n| n.id).collect();
        assert_eq!(ids.len(), k.min(20));
    }
}

/// A disk that fails once so many bytes have been read, or panics on threads that read for others.
struct Failing {
    bytes: Vec<u8>,
    left: AtomicU64,
    panics: bool,
}

impl ReadAt for Failing {
    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let on_thread = std::thread::current().name().is_some_and(|name| name.starts_with("ann-read"));
        assert!(!self.panics || !on_thread, "on purpose");
        let left = self.left.load(Ordering::Relaxed);
        let next = left.saturating_sub(out.len() as u64);
        self.left.store(next, Ordering::Relaxed);
        if next > 0 {
            return self.bytes.read_at(offset, out);
        }
        Err(io::Error::other("the disk is gone"))
    }

    fn size(&self) -> io::Result<u64> {
        self.bytes.size()
    }
}

#[test]
fn a_disk_that_fails_is_an_error_with_and_without_threads() {
    let (rows, bytes) = (rows(), plain(&rows(), Metric::L2));
    let (start, size, _) = pages_of(&bytes);
    for threads in [0, 2] {
        for reads in 0..6 {
            let left = AtomicU64::new((start + reads * size) as u64 + 1);
            let source = Failing { bytes: bytes.clone(), left, panics: false };
            let index: Plain = open_from(source).unwrap();
            let index = index.with_threads(threads).unwrap();
            let mut searcher = Searcher::new(&index, WIDE);
            for _ in 0..2 {
                let error = searcher.search(rows.row(1), 3).unwrap_err();
                assert!(error.to_string().contains("the disk is gone"), "{error}");
            }
        }
    }
    // What cannot be read at all is said at opening.
    let source = Failing { bytes, left: AtomicU64::new(100), panics: false };
    assert!(matches!(open_from::<Plain>(source), Err(LoadError::Io { .. })));
}

#[test]
fn a_reading_thread_that_panics_is_an_error_and_nobody_waits_for_it() {
    let (rows, bytes) = (rows(), plain(&rows(), Metric::L2));
    let source = Failing { bytes, left: AtomicU64::new(u64::MAX), panics: true };
    let index: Plain = open_from(source).unwrap();
    let index = index.with_threads(2).unwrap();
    let mut searcher = Searcher::new(&index, WIDE);
    for _ in 0..5 {
        let error = searcher.search(rows.row(1), 3).unwrap_err();
        assert!(error.to_string().contains("panicked"), "{error}");
    }
}

#[test]
fn parts_that_do_not_belong_together_are_not_written() {
    let rows = rows();
    let hnsw = graph(&rows, Metric::L2, vamana(8, 20));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index");
    let fewer = store(rows.view().slice(0..399), Metric::L2);
    let narrower = store(shapes::uniform_cube(400, 29, 1).base.view(), Metric::L2);
    let same = store(rows.view(), Metric::L2);
    assert!(DiskGraph::write(&path, hnsw.hierarchy(), &fewer, &same).is_err());
    assert!(DiskGraph::write(&path, hnsw.hierarchy(), &same, &fewer).is_err());
    let error = DiskGraph::write(&path, hnsw.hierarchy(), &same, &narrower).unwrap_err();
    assert_eq!(error.to_string(), "columns of the codes: expected 30, found 29");
    assert!(DiskGraph::write(folder.path().join("no/folder"), hnsw.hierarchy(), &same, &same).is_err());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_file_whose_pages_are_damaged_still_opens_and_check_finds_it() {
    let set = portable::mix128(600, 1);
    let hnsw = graph(&set.base, set.metric, vamana(16, 40));
    let mut bytes = file(&hnsw, &codes(set.base.view(), set.metric, 16));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index");
    let last = bytes.len() - 4_100;
    bytes[last] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let index: Coded = open(&bytes).unwrap();
    assert_eq!((index.len(), index.codes().len()), (600, 600));
    assert!(matches!(ann_io::container::check(&path), Err(LoadError::Corrupt { section, .. }) if section == "pages"));
}
