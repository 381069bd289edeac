//! Insertion after the build, progress, and what is left when it fails or is cancelled.

use crate::support::{check_reach, check_structure, lost, recall, store, workload};
use ann_core::{Cancelled, FlatStore, Index, Metric, Monitor, Par, RowError, Searcher, VectorError, VectorStore};
use ann_graph::{BuildError, Hnsw, HnswBuilder, HnswSearch};
use ann_testkit::portable;
use ann_testkit::shapes::uniform_cube;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

fn builder<'a>() -> HnswBuilder<'a> {
    Hnsw::builder().m(8).ef_construction(64)
}

#[test]
fn rows_inserted_later_are_found_as_well() {
    let work = workload(portable::mix128(3_000, 100));
    let (start, grown) = (work.base.view().slice(0..1_000), work.base.view().slice(1_000..3_000));
    let batch = builder().build(store::<f32>(work.base.view(), work.metric)).unwrap();
    let start = builder().build(store::<f32>(start, work.metric)).unwrap();

    let mut one_by_one = start.clone();
    for (id, row) in (1_000..).zip(grown.rows()) {
        assert_eq!(one_by_one.insert(row), Ok(id));
    }
    let mut extended = start;
    assert_eq!(extended.extend(grown.rows(), Par::Ambient, Monitor::new()), Ok(1_000..3_000));

    let expected = recall(&work, &batch, 20);
    for (name, hnsw) in [("one by one", one_by_one), ("extended", extended)] {
        check_structure(&hnsw, name);
        check_reach(&hnsw, name);
        let recall = recall(&work, &hnsw, 20);
        assert!(recall > 0.9 && (recall - expected).abs() < 0.02, "{name}: {recall}, batch build {expected}");
        assert_eq!(lost(&hnsw, work.base.view(), 64), [], "{name}");
    }
}

#[test]
fn an_index_grows_from_nothing() {
    let base = uniform_cube(400, 8, 3).base;
    let mut hnsw = builder().build(FlatStore::<f32>::new(8, Metric::L2).unwrap()).unwrap();
    for row in base.view().slice(0..200).rows() {
        hnsw.insert(row).unwrap();
        check_structure(&hnsw, "growing");
    }
    hnsw.extend(base.view().slice(200..400).rows(), Par::Serial, Monitor::new()).unwrap();
    check_structure(&hnsw, "grown");
    check_reach(&hnsw, "grown");
    assert_eq!(lost(&hnsw, base.view(), 64), []);
}

#[test]
fn extending_by_nothing_changes_nothing() {
    let mut hnsw = builder().build(store::<f32>(portable::iso64(50, 1).base.view(), Metric::L2)).unwrap();
    assert_eq!(hnsw.extend(std::iter::empty::<&[f32]>(), Par::Serial, Monitor::new()), Ok(50..50));
    assert_eq!(hnsw.len(), 50);
}

#[test]
fn progress_rises_from_rows_to_all_rows() {
    let base = portable::iso64(1_200, 1).base;
    let seen = Mutex::new(Vec::new());
    let report = |done, total| seen.lock().unwrap().push((done, total));
    let monitor = Monitor::new().on_progress(&report);
    let mut hnsw = builder().monitor(monitor).build(store::<f32>(base.view().slice(0..800), Metric::L2)).unwrap();
    let built = std::mem::take(&mut *seen.lock().unwrap());
    assert!(built.len() > 20 && built.is_sorted() && built.iter().all(|&(_, total)| total == 800), "{built:?}");
    assert_eq!(built.last(), Some(&(800, 800)));

    hnsw.extend(base.view().slice(800..1_200).rows(), Par::Ambient, monitor).unwrap();
    let grown = seen.lock().unwrap();
    assert!(grown.len() > 5 && grown.is_sorted() && grown.iter().all(|&(_, total)| total == 1_200), "{grown:?}");
    assert_eq!((grown.first(), grown.last()), (Some(&(800, 1_200)), Some(&(1_200, 1_200))));
}

#[test]
fn a_cancelled_build_says_so_and_stops() {
    let base = portable::iso64(1_000, 1).base;
    let (stop, last) = (AtomicBool::new(false), Mutex::new(0));
    let report = |done: u64, _| {
        stop.store(done > 100, Ordering::Relaxed);
        *last.lock().unwrap() = done;
    };
    let monitor = Monitor::new().on_progress(&report).cancel_with(&stop);
    let outcome = builder().monitor(monitor).build(store::<f32>(base.view(), Metric::L2));
    assert_eq!(outcome.map(|_| ()), Err(BuildError::Cancelled(Cancelled)));
    assert!((101..200).contains(&*last.lock().unwrap()), "{last:?}");
}

#[test]
#[cfg(feature = "persist")]
fn a_cancelled_extension_leaves_the_index_as_it_was() {
    use crate::support::bytes;
    let base = portable::iso64(1_500, 1).base;
    for (first, until) in [(500, 500), (500, 700), (500, 1_500), (0, 1), (0, 900)] {
        let start = store::<f32>(base.view().slice(0..first), Metric::L2);
        let mut hnsw = builder().build(start).unwrap();
        let before = bytes(&hnsw);
        let stop = AtomicBool::new(until == first as u64);
        let report = |done, _| stop.store(done >= until, Ordering::Relaxed);
        let monitor = Monitor::new().on_progress(&report).cancel_with(&stop);
        let rows = || base.view().slice(first..1_500);
        let outcome = hnsw.extend(rows().rows(), Par::Threads(2), monitor);
        if until == 1_500 {
            // Everything was done when the flag rose.
            assert_eq!(outcome, Ok(500..1_500));
            continue;
        }
        assert_eq!(outcome, Err(BuildError::Cancelled(Cancelled)), "from {first} until {until}");
        assert!(bytes(&hnsw) == before, "from {first} until {until}");
        check_structure(&hnsw, "cancelled");
        // And it still grows, into the same graph as if nothing had happened.
        hnsw.extend(rows().rows(), Par::Serial, Monitor::new()).unwrap();
        let mut other = builder().build(store::<f32>(base.view().slice(0..first), Metric::L2)).unwrap();
        other.extend(rows().rows(), Par::Serial, Monitor::new()).unwrap();
        assert!(bytes(&hnsw) == bytes(&other), "from {first} until {until}");
    }
}

#[test]
fn a_row_that_does_not_belong_is_named_and_nothing_is_inserted() {
    let base = portable::iso64(300, 1).base;
    let mut hnsw = builder().build(store::<f32>(base.view(), Metric::L2)).unwrap();
    let links: Vec<_> = hnsw.hierarchy().links(0).collect();
    let mut bad = base.row(5).to_vec();
    bad[40] = f32::INFINITY;
    let rows = [base.row(1), base.row(2), &bad, base.row(3)];
    let error = hnsw.extend(rows, Par::Serial, Monitor::new()).unwrap_err();
    assert_eq!(error.to_string(), "row 2: column 40 is inf, expected a finite number");
    let dimension = VectorError::Dimension { expected: 64, found: 63 };
    assert_eq!(hnsw.insert(&bad[..63]), Err(dimension.clone()));
    let error = hnsw.extend([&bad[..63]], Par::Serial, Monitor::new()).unwrap_err();
    assert_eq!(error, BuildError::Row(RowError { row: 0, source: dimension }));

    assert_eq!((hnsw.len(), hnsw.store().len()), (300, 300));
    assert_eq!(hnsw.hierarchy().links(0).collect::<Vec<_>>(), links);
    assert_eq!(hnsw.insert(base.row(9)), Ok(300));
    let mut searcher = Searcher::new(&hnsw, HnswSearch::default());
    assert_eq!(searcher.search(base.row(9), 2).unwrap().iter().map(|n| n.id).collect::<Vec<_>>(), [9, 300]);
}
