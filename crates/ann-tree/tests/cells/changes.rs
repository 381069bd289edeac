//! Rows that come and go, builds on any threads, memory, files.

use crate::support::{both, ids, store};
use ann_core::simd::Buffer;
use ann_core::{FlatStore, Index, Matrix, Metric, Monitor, Par, Reorder, RowSet, Searcher};
use ann_io::container::{Archive, LoadError, OpenMode, Persist, SaveError, Writer};
use ann_testkit::portable;
use ann_tree::{KMeansTree, KMeansTreeParams, RpForest, RpForestParams, TreeSearch};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

#[test]
fn rows_that_come_are_found_and_rows_that_go_are_not() {
    let set = portable::mix128(2_800, 5);
    let base = set.base.view();
    for (name, mut tree) in both(base.slice(0..600), set.metric) {
        // Some beside the tree, then so many that it is built anew, then some beside it again.
        for (from, to) in [(600, 700), (700, 2_500), (2_500, 2_800)] {
            tree.extend(base.slice(from..to));
            assert_eq!(tree.len(), to);
            for row in [0, 599, from, to - 1] {
                assert_eq!(tree.search(base.row(row), 1, None).0[0].id as usize, row, "{name}");
            }
        }
        let dead: RowSet = [0, 3, 2_799, 1_700].into_iter().collect();
        let left = tree.purge(&dead);
        assert_eq!((left.len(), tree.len()), (2_796, 2_796));
        for (row, &former) in left.iter().enumerate().step_by(97) {
            assert_eq!(tree.search(base.row(former as usize), 1, None).0[0].id as usize, row, "{name}");
        }
        for row in [0, 3, 2_799, 1_700] {
            let nearest = tree.search(base.row(row), 1, Some(usize::MAX)).0[0];
            assert!(nearest.distance > 0.0, "{name}: row {row} is still there");
        }
    }
}

#[test]
fn a_row_that_does_not_belong_changes_nothing() {
    let set = portable::mix128(500, 1);
    let mut tree =
        KMeansTree::build(store(set.base.view(), Metric::L2), KMeansTreeParams::default(), Par::Serial, Monitor::new())
            .unwrap();
    let bad = [vec![1.0; 128], vec![f32::NAN; 128]];
    let error = tree.extend(bad.iter().map(Vec::as_slice), Par::Serial, Monitor::new()).unwrap_err();
    assert_eq!(error.to_string(), "row 1: column 0 is NaN, expected a finite number");
    assert_eq!(tree.len(), 500);
    let (many, stop) = (vec![vec![1.0; 128]; 1_200], AtomicBool::new(true));
    let cancelled = tree.extend(many.iter().map(Vec::as_slice), Par::Serial, Monitor::new().cancel_with(&stop));
    assert!(cancelled.is_err() && tree.len() == 500);
    stop.store(false, Ordering::Relaxed);
    tree.extend(many.iter().map(Vec::as_slice), Par::Serial, Monitor::new().cancel_with(&stop)).unwrap();
    assert_eq!(tree.len(), 1_700);
}

fn bytes(index: &impl Persist, path: &Path) -> Vec<u8> {
    ann_io::container::save(index, path).unwrap();
    std::fs::read(path).unwrap()
}

#[test]
fn builds_and_files_are_identical_on_any_number_of_threads_and_searches_go_on_from_them() {
    let set = portable::mix128(3_000, 10);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tree.ann");
    let few = RpForestParams { trees: 5, leaf: 20, ..RpForestParams::default() };
    let small = KMeansTreeParams { branching: 7, leaf: 20, ..KMeansTreeParams::default() };
    for metric in [Metric::L2, Metric::InnerProduct] {
        let build = |par| {
            let [a, b] = [0, 1].map(|_| store(set.base.view(), metric));
            let forest = RpForest::build(a, few, par, Monitor::new()).unwrap();
            (forest, KMeansTree::build(b, small, par, Monitor::new()).unwrap())
        };
        let (forest, tree) = build(Par::Serial);
        let (of_forest, of_tree) = (bytes(&forest, &path), bytes(&tree, &path));
        for threads in [1, 2, 8] {
            let (forest, tree) = build(Par::Threads(threads));
            assert!(bytes(&forest, &path) == of_forest && bytes(&tree, &path) == of_tree, "{metric}, {threads}");
        }
        same(&tree, &path, &of_tree, &set.queries);
        same(&forest, &path, &of_forest, &set.queries);
    }
}

/// A file that is loaded or mapped finds what the index found, and grows.
fn same<C: ann_tree::Stored>(
    tree: &ann_tree::CellTree<C, FlatStore<f32>>,
    path: &Path,
    saved: &[u8],
    queries: &Matrix<f32>,
) where
    FlatStore<f32>: Reorder,
{
    std::fs::write(path, saved).unwrap();
    let mut before = Searcher::new(tree, TreeSearch::checks(300));
    for mode in [OpenMode::Read, OpenMode::Map] {
        let mut opened: ann_tree::CellTree<C, FlatStore<f32>> = ann_io::container::load(path, mode).unwrap();
        let mut after = Searcher::new(&opened, TreeSearch::checks(300));
        for query in queries.rows() {
            let found = ids(before.search(query, 10).unwrap());
            assert_eq!(ids(after.search(query, 10).unwrap()), found);
            assert_eq!(after.stats(), before.stats());
        }
        opened.extend(queries.rows(), Par::Serial, Monitor::new()).unwrap();
        assert_eq!(opened.len(), tree.len() + queries.len());
        let usage = tree.memory_usage();
        assert!(usage.structure > 8 * tree.len() && usage.total() < 2 * saved.len() + 100_000);
    }
}

/// An index of 40 rows in the container, with one section or another replaced.
struct Forged<'a> {
    tree: &'a KMeansTree<FlatStore<f32>>,
    section: &'a str,
    words: &'a [u32],
}

impl Persist for Forged<'_> {
    const KIND: &'static str = <KMeansTree<FlatStore<f32>> as Persist>::KIND;
    const VERSION: u16 = 1;

    fn save<'a>(&'a self, writer: &mut Writer<'a>) -> Result<(), SaveError> {
        #[derive(serde::Serialize)]
        struct Meta {
            params: KMeansTreeParams,
            rows: u64,
            norm: f32,
        }
        writer.meta(&Meta { params: *self.tree.params(), rows: 40, norm: 0.0 })?;
        writer.part("store", self.tree.store())?;
        writer.section("rows", self.tree.rows())?;
        // Two nodes: the first has a leaf and the second node, which has two leaves.
        writer.section_owned("centres", vec![0f32; 4 * 128])?;
        writer.section_owned("spreads", vec![0f32; 4])?;
        let sections: [(&str, &[u32]); 3] =
            [("links", &[1 << 31, 1, 1 << 31 | 1, 1 << 31 | 2]), ("firsts", &[0, 2, 4]), ("starts", &[0, 10, 20, 40])];
        for (name, honest) in sections {
            writer.section(name, if name == self.section { self.words } else { honest })?;
        }
        Ok(())
    }

    fn load(_: &Archive) -> Result<Self, LoadError> {
        unreachable!("written only")
    }
}

#[test]
fn a_file_that_leads_a_search_astray_is_refused() {
    const LEAF: u32 = 1 << 31;
    let set = portable::mix128(40, 1);
    let tree =
        KMeansTree::build(store(set.base.view(), Metric::L2), KMeansTreeParams::default(), Par::Serial, Monitor::new());
    let tree = tree.unwrap();
    let load = |section: &str, words: &[u32]| {
        let mut bytes = Vec::new();
        Writer::of(&Forged { tree: &tree, section, words }).unwrap().write_to(&mut bytes).unwrap();
        Archive::from_bytes(Buffer::from_slice(&bytes))?.load::<KMeansTree<FlatStore<f32>>>()
    };
    let honest = load("none", &[]).unwrap();
    assert_eq!(Searcher::new(&honest, TreeSearch::checks(100)).search(set.queries.row(0), 50).unwrap().len(), 40);
    let forged: [(&str, &[u32]); 11] = [
        ("links", &[LEAF, 0, LEAF | 1, LEAF | 2]), // a circle
        ("links", &[1, 1, LEAF | 1, LEAF | 2]),    // twice the same node
        ("links", &[LEAF, 1, LEAF, LEAF | 2]),     // twice the same leaf
        ("links", &[LEAF, 2, LEAF | 1, LEAF | 2]),
        ("links", &[LEAF, 1, LEAF | 1, LEAF | 3]),
        ("firsts", &[0, 5, 4]),
        ("firsts", &[1, 2, 4]),
        ("firsts", &[]),
        ("starts", &[0, 30, 20, 40]),
        ("starts", &[0, 10, 20, 41]),
        ("starts", &[0, 10, 40]),
    ];
    for (section, words) in forged {
        assert!(load(section, words).is_err(), "{section}: {words:?}");
    }
}

#[test]
fn a_file_cut_short_or_changed_is_an_error() {
    let set = portable::mix128(60, 1);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tree.ann");
    let params = RpForestParams { trees: 2, leaf: 20, ..RpForestParams::default() };
    let forest = RpForest::build(store(set.base.view(), Metric::L2), params, Par::Serial, Monitor::new()).unwrap();
    let saved = bytes(&forest, &path);
    let load = |bytes: &[u8]| Archive::from_bytes(Buffer::from_slice(bytes))?.load::<RpForest<FlatStore<f32>>>();
    assert!(load(&saved).is_ok());
    for len in (0..saved.len()).step_by(97) {
        assert!(load(&saved[..len]).is_err(), "cut to {len}");
        let mut changed = saved.clone();
        changed[len] ^= 16;
        if let Ok(opened) = load(&changed) {
            // What lies between sections means nothing.
            assert_eq!(bytes(&opened, &path), saved, "byte {len}");
        }
    }
}

#[test]
fn a_build_can_be_cancelled() {
    let set = portable::mix128(400, 1);
    let stop = AtomicBool::new(true);
    let monitor = Monitor::new().cancel_with(&stop);
    let rows = || store(set.base.view(), Metric::L2);
    assert!(RpForest::build(rows(), RpForestParams::default(), Par::Serial, monitor).is_err());
    assert!(KMeansTree::build(rows(), KMeansTreeParams::default(), Par::Serial, monitor).is_err());
}
