//! Rows that are taken out of a graph: structure, reach and recall afterwards, on and on.

use crate::support::{check_reach, check_structure, lost, reached, recall_of, store};
use ann_core::{Filter, FlatStore, Index, Matrix, Metric, Monitor, Par, RowSet, VectorStore, split_mix};
use ann_graph::{Hnsw, HnswParams};
use ann_testkit::portable;
use ann_testkit::shapes::{self, Shape};

/// About so many of a hundred rows.
fn drawn(n: usize, percent: u64, seed: u64) -> RowSet {
    (0..n as u32).filter(|&row| split_mix(seed, u64::from(row)) % 100 < percent).collect()
}

#[test]
fn what_is_left_is_a_sound_graph_over_the_right_rows() {
    let set = portable::mix128(3_000, 20);
    for params in [HnswParams { m: 8, ..HnswParams::default() }, HnswParams::nsw(8), HnswParams::vamana(24)] {
        for percent in [0, 1, 20, 60, 99, 100] {
            let mut hnsw = Hnsw::builder().params(params).build(store::<f32>(set.base.view(), set.metric)).unwrap();
            let dead = drawn(3_000, percent, 5);
            let left = hnsw.purge(&dead, Par::Ambient);
            let context = format!("{params:?}, {percent} %");
            assert_eq!((left.len(), hnsw.len()), (3_000 - dead.len(), left.len()), "{context}");
            assert!(left.iter().all(|&row| !dead.accepts(row)), "{context}");
            for (number, &row) in left.iter().enumerate() {
                assert_eq!(hnsw.store().row(number as u32)[..128], *set.base.row(row as usize), "{context}");
            }
            check_structure(&hnsw, &context);
            check_reach(&hnsw, &context);
            if let Some(entry) = hnsw.hierarchy().entry() {
                assert!((entry as usize) < left.len(), "{context}");
                // What is never pruned leads everywhere from the row that the file calls the root; from the entry, too, if there is one layer.
                let one = hnsw.hierarchy().layers() == 1;
                assert!(!one || reached(&hnsw, entry) == left.len(), "{context}");
                let recall = recall_of(&hnsw, set.queries.rows(), (10, 100), |_| true);
                assert!(recall >= 0.97, "{context}: {recall}");
            }
        }
    }
}

#[test]
fn purging_does_not_depend_on_threads_and_goes_into_files() {
    let set = portable::mix128(2_000, 1);
    let purged = |par| {
        let mut hnsw = Hnsw::builder().m(6).build(store::<f32>(set.base.view(), set.metric)).unwrap();
        let left = hnsw.purge(&drawn(2_000, 30, 6), par);
        (left, hnsw)
    };
    let (left, one) = purged(Par::Serial);
    for threads in [2, 8] {
        let (same, other) = purged(Par::Threads(threads));
        assert_eq!(same, left);
        #[cfg(feature = "persist")]
        assert_eq!(crate::support::bytes(&other), crate::support::bytes(&one));
        assert_eq!(other.hierarchy().base().as_slots(), one.hierarchy().base().as_slots());
    }
    #[cfg(feature = "persist")]
    {
        use ann_io::container::{Archive, OpenMode, Writer};
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("purged");
        Writer::of(&one).unwrap().write(&path).unwrap();
        // Loading checks the tree of parents and the rows of every layer; a mapped index is copied before it changes.
        let mut opened = Archive::open(&path, OpenMode::Map).unwrap().load::<Hnsw<FlatStore<f32>>>().unwrap();
        let before = std::fs::read(&path).unwrap();
        opened.purge(&drawn(1_000, 10, 7), Par::Serial);
        check_structure(&opened, "opened");
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }
}

/// Copies, equal rows, a line and clusters, taken out in part: everything that is left finds itself.
#[test]
fn hostile_rows_can_be_taken_out() {
    for Shape { name, base, metrics, .. } in shapes::hostile(600, 8, 17) {
        for &metric in metrics
            .iter()
            .filter(|metric| **metric != Metric::InnerProduct && (name != "zero rows" || **metric != Metric::Cosine))
        {
            let mut hnsw = Hnsw::builder().m(6).build(store::<f32>(base.view(), metric)).unwrap();
            let mut names: Vec<u32> = (0..600).collect();
            for seed in 0..4 {
                let left = hnsw.purge(&drawn(hnsw.len(), 25, seed), Par::Ambient);
                names = left.iter().map(|&row| names[row as usize]).collect();
                check_structure(&hnsw, name);
                let rows: Vec<f32> = names.iter().flat_map(|&row| base.row(row as usize)).copied().collect();
                let rows = Matrix::new(rows, base.dim()).unwrap();
                assert_eq!(lost(&hnsw, rows.view(), rows.len()), [], "{name} {metric}");
            }
        }
    }
}

/// Rows come and go until all have been replaced three times: recall stays that of a graph built over the rows that are there, within a hundredth.
#[allow(clippy::print_stdout, reason = "figures for docs/benchmarks.md")]
fn churn(rows: usize, params: HnswParams, efs: &[usize]) {
    let set = portable::mix128(4 * rows, 100);
    let row = |i: usize| set.base.row(i);
    let first = Matrix::new(set.base.as_slice()[..rows * 128].to_vec(), 128).unwrap();
    let mut hnsw = Hnsw::builder().params(params).build(store::<f32>(first.view(), set.metric)).unwrap();
    let mut names: Vec<usize> = (0..rows).collect();
    let step = rows / 10;
    for start in (rows..4 * rows).step_by(step) {
        hnsw.extend((start..start + step).map(row), Par::Ambient, Monitor::new()).unwrap();
        names.extend(start..start + step);
        let oldest = start + step - rows;
        let dead: RowSet = (0..names.len() as u32).filter(|&i| names[i as usize] < oldest).collect();
        assert_eq!(dead.len(), step);
        let left = hnsw.purge(&dead, Par::Ambient);
        names = left.iter().map(|&i| names[i as usize]).collect();
        assert_eq!(hnsw.store().row(7)[..128], *row(names[7]));
    }
    check_structure(&hnsw, "after churn");
    check_reach(&hnsw, "after churn");
    let last = Matrix::new(set.base.as_slice()[3 * rows * 128..].to_vec(), 128).unwrap();
    let fresh = Hnsw::builder().params(params).build(store::<f32>(last.view(), set.metric)).unwrap();
    for &ef in efs {
        let recall = |hnsw: &Hnsw<FlatStore<f32>>| recall_of(hnsw, set.queries.rows(), (10, ef), |_| true);
        let (now, then) = (recall(&hnsw), recall(&fresh));
        println!("{params:?} ef {ef}: {now:.4} after churn, {then:.4} fresh");
        assert!(now >= then - 0.01, "ef {ef}: {now} after churn, {then} fresh");
    }
    let (now, then) = (hnsw.store().memory_usage(), fresh.store().memory_usage());
    assert!(now as f64 <= 1.3 * then as f64, "{now} bytes after churn, {then} fresh");
}

#[test]
fn a_graph_outlives_its_rows() {
    churn(2_000, HnswParams { m: 8, ..HnswParams::default() }, &[20, 40]);
}

#[test]
#[ignore = "20,000 rows replaced three times, for release builds"]
fn graphs_of_every_kind_outlive_their_rows() {
    for params in [HnswParams::default(), HnswParams::nsw(16), HnswParams::vamana(64)] {
        churn(20_000, params, &[20, 40, 80]);
    }
}
