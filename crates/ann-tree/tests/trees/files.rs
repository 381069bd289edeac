//! Trees in files: what is written is read, mapped without a copy, and what is damaged is refused.
#![cfg(feature = "persist")]

use crate::support::{ball, kd, queries, rows, same, search};
use ann_core::{All, FlatStore, Index, Metric, Monitor, Par};
use ann_io::container::{LoadError, OpenMode, Persist, load, save};
use ann_tree::{BallTree, KdTree, TreeSearch};

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
    }
    let base = rows("grid", 900, 3, 3);
    round_trip(&kd::<u8>(&base, Metric::Cosine), &base);
    round_trip(&ball::<u8>(&base, Metric::Cosine), &base);
    let mut tree = kd::<f32>(&base, Metric::L2);
    tree.extend(base.rows(), Par::Serial, Monitor::new()).unwrap();
    round_trip(&tree, &base);
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
