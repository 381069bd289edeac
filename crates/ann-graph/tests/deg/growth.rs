//! Inserting into an index that is there.

use crate::support::{TARGETS, check, recall_of, store};
use ann_core::{Cancelled, Index, Metric, Monitor, Par, RowError, Searcher, VectorError, VectorStore};
use ann_graph::{BuildError, Deg, DegTarget, HnswSearch};
use ann_testkit::portable;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

#[test]
fn a_grown_index_is_as_good_as_a_built_one() {
    let set = portable::mix128(3_000, 60);
    for target in TARGETS {
        let builder = Deg::builder().degree(16).k_ext(40).target(target);
        let built = builder.build(store(set.base.view(), set.metric)).unwrap();
        let mut grown = builder.build(store(set.base.view().slice(0..40), set.metric)).unwrap();
        assert_eq!(grown.extend(set.base.view().slice(40..2_900).rows(), Par::Ambient, Monitor::new()), Ok(40..2_900));
        for row in 2_900..3_000 {
            assert_eq!(grown.insert(set.base.row(row)), Ok(row as u32));
        }
        check(&grown, "grown");
        let [grown, built] = [grown, built].map(|deg| recall_of(&deg, set.queries.rows(), (10, 20), |_| true));
        assert!(grown >= built - 0.015, "{target:?}: {grown}, built at once {built}");
    }
}

/// Rows of the second half lie elsewhere than those of the first: what the streaming target is for.
#[test]
fn data_that_shift_are_found() {
    let mut rows: Vec<Vec<f32>> = portable::iso64(3_000, 1).base.rows().map(<[f32]>::to_vec).collect();
    rows[1_500..].iter_mut().for_each(|row| row.iter_mut().for_each(|x| *x = *x * 0.5 + 20.0));
    let base = ann_core::Matrix::from_rows(&rows).unwrap();
    for target in TARGETS {
        let builder = Deg::builder().degree(20).target(target);
        let mut deg = builder.build(store(base.view().slice(0..1_500), Metric::L2)).unwrap();
        deg.extend(base.view().slice(1_500..3_000).rows(), Par::Ambient, Monitor::new()).unwrap();
        check(&deg, "shifted");
        let recall = recall_of(&deg, base.rows().step_by(50), (10, 100), |_| true);
        assert!(recall >= if target == DegTarget::LowLid { 0.85 } else { 0.95 }, "{target:?}: {recall}");
    }
}

#[test]
fn progress_rises_and_a_cancelled_extension_leaves_the_index_as_it_was() {
    let base = portable::iso64(1_500, 1).base;
    let mut deg = Deg::builder().degree(8).build(store(base.view().slice(0..500), Metric::L2)).unwrap();
    let before: Vec<Vec<_>> = (0..500).map(|row| deg.neighbors(row).collect()).collect();
    let (seen, stop) = (Mutex::new(Vec::new()), AtomicBool::new(false));
    let report = |done, total| {
        seen.lock().unwrap().push((done, total));
        stop.store(done >= 900, Ordering::Relaxed);
    };
    let monitor = Monitor::new().on_progress(&report).cancel_with(&stop);
    let outcome = deg.extend(base.view().slice(500..1_500).rows(), Par::Threads(2), monitor);
    assert_eq!(outcome, Err(BuildError::Cancelled(Cancelled)));
    let seen = seen.into_inner().unwrap();
    assert!(seen.len() > 20 && seen.is_sorted() && seen[0] == (500, 1_500), "{seen:?}");
    assert_eq!((deg.len(), deg.store().len()), (500, 500));
    assert!((0..500).all(|row| deg.neighbors(row).eq(before[row as usize].iter().copied())));
    check(&deg, "cancelled");
    assert!(deg.extend(base.view().slice(500..700).rows(), Par::Serial, Monitor::new()).is_ok());
    check(&deg, "grown after all");
}

#[test]
fn a_row_that_does_not_belong_is_named_and_nothing_is_inserted() {
    let base = portable::iso64(300, 1).base;
    let mut deg = Deg::builder().degree(8).build(store(base.view(), Metric::L2)).unwrap();
    let mut bad = base.row(5).to_vec();
    bad[40] = f32::INFINITY;
    let error = deg.extend([base.row(1), base.row(2), &bad, base.row(3)], Par::Serial, Monitor::new()).unwrap_err();
    assert_eq!(error.to_string(), "row 2: column 40 is inf, expected a finite number");
    let dimension = VectorError::Dimension { expected: 64, found: 63 };
    assert_eq!(deg.insert(&bad[..63]), Err(dimension.clone()));
    let error = deg.extend([&bad[..63]], Par::Serial, Monitor::new()).unwrap_err();
    assert_eq!(error, BuildError::Row(RowError { row: 0, source: dimension }));
    check(&deg, "unchanged");
    assert_eq!(deg.insert(base.row(9)), Ok(300));
    let mut searcher = Searcher::new(&deg, HnswSearch::default());
    assert_eq!(searcher.search(base.row(9), 2).unwrap().iter().map(|n| n.id).collect::<Vec<_>>(), [9, 300]);
}
