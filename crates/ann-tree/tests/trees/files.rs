//! Trees in files: what is written is read, mapped without a copy, and what is damaged is refused.
#![cfg(feature = "persist")]

use crate::support::{ball, forest, kd, queries, rows, same, search, store};
use ann_core::simd::Buffer;
use ann_core::{All, FlatStore, Index, Metric, Monitor, Par};
use ann_io::container::{Archive, LoadError, OpenMode, Persist, Writer, load, save};
use ann_tree::{BallTree, KdForest, KdForestParams, KdTree, TreeSearch};

fn round_trip<I: Persist + Index<Vector = [f32], Params = TreeSearch>>(index: &I, base: &ann_core::Matrix<f32>) {
    let folder = tempfile::tempdir().unwrap();
    let (path, again) = (folder.path().join("tree.ann"), folder.path().join("again.ann"));
    save(index, &path).unwrap();
    for mode in [OpenMode::Read, OpenMode::Map] {
        let opened: I = load(&path, mode).unwrap();
        assert_eq!(opened.len(), index.len());
        for query in &queries(base, 10, 4) {
            assert!(same(&search(&opened, query, 5, None, &All).0, &search(index, query, 5, None, &All).0));
        }
        save(&opened, &again).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), std::fs::read(&again).unwrap());
    }
    // Cut short, and with a byte changed here and there.
    let bytes = std::fs::read(&path).unwrap();
    for cut in (0..bytes.len()).step_by(bytes.len() / 40 + 1) {
        std::fs::write(&again, &bytes[..cut]).unwrap();
        assert!(load::<I>(&again, OpenMode::Read).is_err(), "cut at {cut}");
    }
    for at in (0..bytes.len()).step_by(bytes.len() / 97 + 1) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x55;
        std::fs::write(&again, &damaged).unwrap();
        // Padding between sections is no part of the index.
        if let Ok(opened) = load::<I>(&again, OpenMode::Read) {
            assert!(same(&search(&opened, base.row(0), 5, None, &All).0, &search(index, base.row(0), 5, None, &All).0));
        }
    }
}

#[test]
fn trees_are_written_and_read() {
    for (dim, n) in [(2, 1700), (3, 5), (12, 900)] {
        let base = rows("gauss", n, dim, 3);
        round_trip(&kd::<f32>(&base, Metric::L2), &base);
        round_trip(&ball::<f32>(&base, Metric::L2), &base);
        round_trip(&forest::<f32>(&base, Metric::L2, 3), &base);
    }
    let base = rows("grid", 900, 3, 3);
    round_trip(&kd::<u8>(&base, Metric::Cosine), &base);
    round_trip(&ball::<u8>(&base, Metric::Cosine), &base);
    let mut tree = kd::<f32>(&base, Metric::L2);
    tree.extend(base.rows(), Par::Serial, Monitor::new()).unwrap();
    round_trip(&tree, &base);
}

/// A file whose checksums are right and whose numbers are not.
fn forge<'a>(kind: &'static str, fill: impl FnOnce(&mut Writer<'a>)) -> Archive {
    let mut writer = Writer::new(kind, 1).unwrap();
    fill(&mut writer);
    let mut bytes = Vec::new();
    writer.write_to(&mut bytes).unwrap();
    Archive::from_bytes(Buffer::from_slice(&bytes)).unwrap()
}

#[test]
fn lies_about_kd_trees_are_refused_or_borne() {
    let base = rows("gauss", 40, 3, 3);
    let (store, honest) = (store::<f32>(&base, Metric::L2), (0..40).collect::<Vec<u32>>());
    let open = |count: u64, rows: &[u32], boxes: &[f32], columns: &[f32]| {
        let archive = forge("kd-tree", |writer| {
            writer.meta(&(count,)).unwrap();
            writer.part("store", &store).unwrap();
            writer.section("rows", rows).unwrap();
            writer.section("boxes", boxes).unwrap();
            writer.section("columns", columns).unwrap();
        });
        archive.load::<KdTree<FlatStore<f32>>>()
    };
    let (boxes, columns) = (vec![0.0; 96], vec![0.0; 192]);
    let mut twice = honest.clone();
    twice[7] = 8;
    let mut beyond = honest.clone();
    beyond[7] = 40;
    for lie in [
        open(41, &honest, &boxes, &columns),
        open(u64::MAX, &honest, &boxes, &columns),
        open(40, &honest[1..], &boxes, &columns),
        open(40, &twice, &boxes, &columns),
        open(40, &beyond, &boxes, &columns),
        open(40, &honest, &boxes[1..], &columns),
        open(40, &honest, &boxes, &columns[1..]),
        open(0, &honest, &boxes, &columns),
    ] {
        assert!(lie.is_err());
    }
    for value in [0.0, f32::NAN, -f32::NAN, f32::INFINITY, -1e38, f32::from_bits(u32::MAX)] {
        let tree = open(40, &honest, &[value; 96], &[value; 192]).unwrap();
        for checks in [None, Some(10)] {
            assert!(search(&tree, &[0.0; 3], 5, checks, &All).0.len() <= 5);
        }
        let mut found = Vec::new();
        tree.within(&[0.0; 3], 9.0, &All, &mut Default::default(), &mut found).unwrap();
    }
}

#[test]
fn lies_about_ball_trees_are_refused_or_borne() {
    let base = rows("gauss", 40, 3, 3);
    let (store, rows) = (store::<f32>(&base, Metric::L2), (0..40).collect::<Vec<u32>>());
    let products = crate::support::store::<f32>(&base, Metric::InnerProduct);
    let open = |count: u64, store: &FlatStore<f32>, centers: &[u32], radii: &[f32], reaches: &[f32]| {
        let archive = forge("ball-tree", |writer| {
            writer.meta(&(count,)).unwrap();
            writer.part("store", store).unwrap();
            writer.section("rows", &rows).unwrap();
            writer.section("centers", centers).unwrap();
            writer.section("radii", radii).unwrap();
            writer.section("reaches", reaches).unwrap();
        });
        archive.load::<BallTree<FlatStore<f32>>>()
    };
    for lie in [
        open(40, &store, &[40; 16], &[1.0; 16], &[1.0; 40]),
        open(40, &store, &[0; 15], &[1.0; 16], &[1.0; 40]),
        open(40, &store, &[0; 16], &[1.0; 17], &[1.0; 40]),
        open(40, &store, &[0; 16], &[1.0; 16], &[1.0; 39]),
        open(40, &products, &[0; 16], &[1.0; 16], &[1.0; 40]),
        open(41, &store, &[0; 16], &[1.0; 16], &[1.0; 41]),
    ] {
        assert!(lie.is_err());
    }
    for value in [0.0, f32::NAN, -f32::NAN, f32::INFINITY, -1e38] {
        let mut reaches = [value; 40];
        (reaches[3], reaches[20]) = (5.0, -1.0);
        let tree = open(40, &store, &[39; 16], &[value; 16], &reaches).unwrap();
        for checks in [None, Some(10)] {
            assert!(search(&tree, &[0.0; 3], 5, checks, &All).0.len() <= 5);
        }
    }
}

#[test]
fn lies_about_forests_are_refused_or_borne() {
    let base = rows("gauss", 40, 3, 3);
    let store = store::<f32>(&base, Metric::L2);
    let open = |params: KdForestParams, count: u64, columns: &[u32], ids: &[u32]| {
        let values = vec![f32::NAN; columns.len()];
        let archive = forge("kd-forest", |writer| {
            writer.meta(&(params, count)).unwrap();
            writer.part("store", &store).unwrap();
            writer.section("columns", columns).unwrap();
            writer.section("values", &values).unwrap();
            writer.section("ids", ids).unwrap();
        });
        archive.load::<KdForest<FlatStore<f32>>>()
    };
    let params = KdForestParams { trees: 2, leaf: 10, seed: 0 };
    for lie in [
        open(KdForestParams { trees: 0, ..params }, 40, &[], &[]),
        open(KdForestParams { trees: usize::MAX, ..params }, 40, &[], &[]),
        open(params, 41, &[0; 14], &[0; 82]),
        open(params, 40, &[3; 6], &[0; 80]),
        open(params, 40, &[0; 5], &[0; 80]),
        open(params, 40, &[0; 6], &[40; 80]),
        open(params, 40, &[0; 6], &[0; 79]),
    ] {
        assert!(lie.is_err());
    }
    let forest = open(params, 40, &[2; 6], &[7; 80]).unwrap();
    assert_eq!(search(&forest, &[0.0; 3], 5, None, &All).0.len(), 1);
}

#[test]
fn empty_trees_are_written_and_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tree.ann");
    let store = || FlatStore::<f32>::new(3, Metric::L2).unwrap();
    save(&KdTree::build(store(), Par::Serial, Monitor::new()).unwrap(), &path).unwrap();
    let kd: KdTree<FlatStore<f32>> = load(&path, OpenMode::Map).unwrap();
    assert!(kd.is_empty() && search(&kd, &[0.0; 3], 5, None, &All).0.is_empty());
    save(&BallTree::build(store(), Par::Serial, Monitor::new()).unwrap(), &path).unwrap();
    let ball: BallTree<FlatStore<f32>> = load(&path, OpenMode::Map).unwrap();
    assert!(ball.is_empty() && search(&ball, &[0.0; 3], 5, None, &All).0.is_empty());
    assert!(matches!(load::<KdTree<FlatStore<f32>>>(&path, OpenMode::Map), Err(LoadError::Kind { .. })));
}
