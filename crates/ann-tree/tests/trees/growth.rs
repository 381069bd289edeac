//! Rows that come and go, threads, and memory.

use crate::support::{ball, forest, kd, queries, rows, same, search, store};
use ann_core::simd::CountingAllocator;
use ann_core::{All, Cancelled, Exact, Index, Metric, Monitor, Par, RowSet, Searcher};
use ann_tree::{BallTree, BuildError, KdForest, KdForestParams, KdTree, TreeSearch};
use std::sync::atomic::{AtomicBool, Ordering};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

#[test]
fn rows_come_and_go_and_all_are_found() {
    for dim in [2, 10] {
        let base = rows("gauss", 6000, dim, 3);
        let mut exact = Exact::new(store::<f32>(&base, Metric::L2));
        let first = store::<f32>(&rows("gauss", 300, dim, 3), Metric::L2);
        let mut kd = KdTree::build(first.clone(), Par::Serial, Monitor::new()).unwrap();
        let mut ball = BallTree::build(first, Par::Serial, Monitor::new()).unwrap();
        // Some beside the tree, then more than stay beside it.
        for part in [300..500, 500..501, 501..4000, 4000..6000] {
            let part = base.view().slice(part);
            kd.extend(part.rows(), Par::Serial, Monitor::new()).unwrap();
            ball.extend(part.rows(), Par::Serial, Monitor::new()).unwrap();
            assert_eq!(kd.len(), ball.len());
        }
        let dead: RowSet = (0..6000).filter(|row| row % 5 == 2 || *row > 5990).collect();
        for round in 0..2 {
            for query in &queries(&base, 20, 5) {
                let expected = Searcher::new(&exact, ()).search(query, 8).unwrap().to_vec();
                assert!(same(&search(&kd, query, 8, None, &All).0, &expected), "KD, round {round}");
                assert!(same(&search(&ball, query, 8, None, &All).0, &expected), "ball, round {round}");
            }
            let left = ann_core::PushVector::remove_rows(exact.store_mut(), &dead);
            assert_eq!(kd.purge(&dead, Par::Serial), left);
            assert_eq!(ball.purge(&dead, Par::Serial), left);
        }
    }
}

#[test]
fn rows_that_do_not_belong_leave_the_tree_as_it_was() {
    let base = rows("gauss", 100, 3, 3);
    let mut kd = kd::<f32>(&base, Metric::L2);
    let bad = [&[0.0, 1.0, 2.0][..], &[0.0, f32::NAN, 0.0]];
    let error = kd.extend(bad, Par::Serial, Monitor::new()).unwrap_err();
    assert!(matches!(error, BuildError::Row(ref row) if row.row == 1), "{error}");
    assert_eq!((kd.len(), search(&kd, base.row(3), 1, None, &All).0[0].id), (100, 3));
}

#[test]
fn builds_are_cancelled() {
    let flag = AtomicBool::new(true);
    let monitor = Monitor::new().cancel_with(&flag);
    let base = rows("gauss", 2000, 3, 3);
    let cancelled = Some(BuildError::Cancelled(Cancelled));
    assert_eq!(KdTree::build(store::<f32>(&base, Metric::L2), Par::Serial, monitor).err(), cancelled);
    assert_eq!(BallTree::build(store::<f32>(&base, Metric::L2), Par::Serial, monitor).err(), cancelled);
    flag.store(false, Ordering::Relaxed);
    let mut kd = KdTree::build(store::<f32>(&base, Metric::L2), Par::Serial, monitor).unwrap();
    flag.store(true, Ordering::Relaxed);
    assert_eq!(kd.extend(base.rows(), Par::Serial, monitor).err(), cancelled);
    assert_eq!(kd.len(), 2000);
    assert_eq!(search(&kd, base.row(1999), 1, None, &All).0[0].id, 1999);
}

/// In several chunks and cells, so that threads have something to share.
#[test]
fn builds_are_the_same_on_any_threads() {
    for (kind, dim) in [("gauss", 3), ("duplicates", 3), ("grid", 12)] {
        let base = rows(kind, 20_000, dim, 6);
        let kd = |par| KdTree::build(store::<f32>(&base, Metric::L2), par, Monitor::new()).unwrap();
        let ball = |par| BallTree::build(store::<f32>(&base, Metric::L2), par, Monitor::new()).unwrap();
        let (one, other) = (format!("{:?}", kd(Par::Serial)), format!("{:?}", ball(Par::Serial)));
        for threads in [1, 2, 8] {
            // The text shows every number that is kept.
            assert!(format!("{:?}", kd(Par::Threads(threads))) == one, "{kind} on {threads} threads");
            assert!(format!("{:?}", ball(Par::Threads(threads))) == other, "{kind} on {threads} threads");
        }
    }
}

#[test]
fn searches_allocate_nothing_after_the_first() {
    let base = rows("gauss", 3000, 4, 3);
    fn check<I: Index<Vector = [f32], Params = TreeSearch>>(index: &I, base: &ann_core::Matrix<f32>) {
        let (mut scratch, mut out) = (I::Scratch::default(), Vec::new());
        for params in [TreeSearch::default(), TreeSearch::checks(3000)] {
            let mut find = |row| index.search_with(base.row(row), 60, &params, &All, &mut scratch, &mut out).unwrap();
            find(0);
            let (used, ()) = ALLOCATOR.measure(|| (1..20).for_each(|row| _ = find(row)));
            assert_eq!(used.allocations, 0);
        }
    }
    check(&kd::<f32>(&base, Metric::L2), &base);
    check(&ball::<f32>(&base, Metric::L2), &base);
    check(&forest::<f32>(&base, Metric::L2, 3), &base);
}

#[test]
fn what_a_tree_weighs_is_told() {
    let base = rows("gauss", 10_000, 3, 3);
    let kd = kd::<f32>(&base, Metric::L2).memory_usage();
    // Order, columns, and boxes of a sixteenth and a sixteenth of that.
    assert!((20.0..23.0).contains(&(kd.structure as f64 / 1e4)) && kd.vectors >= 160_000, "{kd:?}");
    let ball = ball::<f32>(&base, Metric::L2).memory_usage();
    assert!((12.0..13.0).contains(&(ball.structure as f64 / 1e4)), "{ball:?}");
}

/// With as many checks as rows a forest compares everything that its bounds do not rule out, whatever comes and goes.
#[test]
fn rows_come_and_go_in_a_forest() {
    let base = rows("gauss", 5000, 10, 3);
    let params = KdForestParams { trees: 3, leaf: 5, seed: 1 };
    let first = store::<f32>(&rows("gauss", 300, 10, 3), Metric::L2);
    let mut forest = KdForest::build(first, params, Par::Serial, Monitor::new()).unwrap();
    for part in [300..700, 700..5000] {
        forest.extend(base.view().slice(part).rows(), Par::Serial, Monitor::new()).unwrap();
    }
    let dead: RowSet = (0..5000).filter(|row| row % 3 == 1).collect();
    let mut exact = Exact::new(store::<f32>(&base, Metric::L2));
    for _ in 0..2 {
        let mut hits = 0;
        for query in &queries(&base, 30, 5) {
            let expected = Searcher::new(&exact, ()).search(query, 8).unwrap().to_vec();
            let found = search(&forest, query, 8, Some(5000), &All).0;
            hits += found.iter().filter(|n| expected.contains(n)).count();
            assert_eq!(found.len(), 8);
        }
        assert!(hits >= 230, "{hits} of 240");
        let left = ann_core::PushVector::remove_rows(exact.store_mut(), &dead);
        assert_eq!(forest.purge(&dead, Par::Serial), left);
    }
}

#[test]
fn forests_are_the_same_on_any_threads_and_others_with_other_seeds() {
    let base = rows("grid", 3000, 12, 6);
    let grow = |seed, par| {
        let params = KdForestParams { seed, ..KdForestParams::default() };
        format!("{:?}", KdForest::build(store::<f32>(&base, Metric::L2), params, par, Monitor::new()).unwrap())
    };
    for threads in [1, 2, 8] {
        assert!(grow(1, Par::Threads(threads)) == grow(1, Par::Serial));
    }
    assert!(grow(1, Par::Serial) != grow(2, Par::Serial));
}
