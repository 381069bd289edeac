//! Builds within a budget of memory: the same on any threads, and nearly as good as one build.

use crate::support::{Coded, Plain, codes, file, graph, measured, open, store, vamana, workload};
use ann_core::{Exact, Index, Matrix, Metric, Monitor, Par, Searcher};
use ann_graph::{BuildError, DiskBuilder, DiskError, DiskSearch, HnswParams};
use ann_testkit::{portable, shapes};
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

/// Bytes of the file that is built from `rows`, which serve as codes, too.
fn built(rows: &Matrix<f32>, params: HnswParams, budget: u64, par: Par) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index");
    let store = store(rows.view(), Metric::L2);
    DiskBuilder::new(params).budget(budget).par(par).build(&path, &store, &store).unwrap();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no draft is left");
    std::fs::read(&path).unwrap()
}

#[test]
fn a_build_is_the_same_file_on_any_threads() {
    let rows = portable::mix128(1_500, 1).base;
    for budget in [u64::MAX, 500_000] {
        let [serial, two, eight] =
            [Par::Serial, Par::Threads(2), Par::Threads(8)].map(|par| built(&rows, vamana(16, 40), budget, par));
        assert!(serial == two && serial == eight, "{budget}");
    }
}

#[test]
fn a_build_with_enough_memory_is_that_of_the_graph() {
    let rows = portable::mix128(800, 1).base;
    let whole = file(&graph(&rows, Metric::L2, vamana(16, 40)), &store(rows.view(), Metric::L2));
    assert!(built(&rows, vamana(16, 40), u64::MAX, Par::Ambient) == whole);
}

#[test]
fn shards_are_merged_to_a_graph_that_is_nearly_as_good() {
    let work = workload(portable::mix128(6_000, 200));
    let params = vamana(32, 60);
    let codes = codes(work.base.view(), work.metric, 32);
    let whole: Coded = open(&file(&graph(&work.base, work.metric, params), &codes)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index");
    // A sixth of what all rows take.
    let rows = store(work.base.view(), work.metric);
    DiskBuilder::new(params).budget(700_000).build(&path, &rows, &codes).unwrap();
    let merged: Coded = open(&std::fs::read(&path).unwrap()).unwrap();
    assert_eq!(merged.len(), 6_000);
    for ef in [20, 40, 80] {
        let (one, many) = (measured(&work, &whole, ef, 2), measured(&work, &merged, ef, 2));
        assert!(many.0 > one.0 - 0.015 && many.1 < 1.1 * one.1, "ef {ef}: {many:?}, in one build {one:?}");
    }
}

#[test]
fn every_shape_is_built_in_shards_and_searched_exactly() {
    for shape in shapes::hostile(1_200, 8, 4) {
        let index: Plain = open(&built(&shape.base, vamana(12, 40), 90_000, Par::Ambient)).unwrap();
        let exact = Exact::new(store(shape.base.view(), Metric::L2));
        let mut all = Searcher::new(&index, DiskSearch { ef: 1_200, beam: 8 });
        let mut truth = Searcher::new(&exact, ());
        for query in shape.queries.rows().take(5) {
            assert_eq!(all.search(query, 20).unwrap(), truth.search(query, 20).unwrap(), "{}", shape.name);
        }
    }
}

#[test]
fn a_budget_that_suffices_for_nothing_and_wrong_parameters_are_errors() {
    let rows = store(shapes::uniform_cube(2_000, 8, 4).base.view(), Metric::L2);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index");
    let error = DiskBuilder::new(vamana(12, 40)).budget(10_000).build(&path, &rows, &rows).unwrap_err();
    let DiskError::Budget { needed, budget: 10_000 } = error else { panic!("{error}") };
    DiskBuilder::new(vamana(12, 40)).budget(needed).build(&path, &rows, &rows).unwrap();
    let error = DiskBuilder::new(vamana(1, 40)).build(&path, &rows, &rows).unwrap_err();
    assert!(matches!(error, DiskError::Build(BuildError::Param(_))), "{error}");
}

#[test]
fn progress_is_told_and_a_cancelled_build_leaves_nothing() {
    let rows = store(shapes::uniform_cube(2_000, 8, 4).base.view(), Metric::L2);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index");
    let (seen, stop) = (Mutex::new(Vec::new()), AtomicBool::new(false));
    let report = |done, total| {
        seen.lock().unwrap().push((done, total));
        stop.store(done > 1_000, std::sync::atomic::Ordering::Relaxed);
    };
    let monitor = Monitor::new().on_progress(&report).cancel_with(&stop);
    let error =
        DiskBuilder::new(vamana(12, 40)).budget(100_000).monitor(monitor).build(&path, &rows, &rows).unwrap_err();
    assert!(matches!(error, DiskError::Build(BuildError::Cancelled(_))), "{error}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    assert!(seen.lock().unwrap().is_sorted() && seen.lock().unwrap().len() > 1);
}
