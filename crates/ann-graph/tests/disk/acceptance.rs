//! Recall and reads against DiskANN's.

use crate::support::{Coded, codes, file, graph, measured, open, vamana, workload};
use ann_testkit::portable::{self, Portable};

/// DiskANN on the first 100,000 rows of SIFT with 10,000 of them cached (`R` 32, `L` 50, 32 bytes of PQ, beam 2): `L`, recall@10,
/// mean reads.
const DISKANN: [(usize, f64, f64); 6] = [
    (10, 0.8179, 8.81),
    (20, 0.9642, 15.93),
    (30, 0.9878, 23.3),
    (40, 0.9940, 30.8),
    (50, 0.9963, 38.4),
    (100, 0.9991, 76.6),
];

/// The same shape of index on `mix128`, which resembles SIFT: recall may be less by `tolerance`. Reads are those of other rows, with
/// DiskANN 0.77 `L` + 1; here as many as there are candidates are allowed, a tenth more, and three for the way there.
#[expect(clippy::print_stdout, reason = "who runs a test of minutes wants to see the figures")]
fn meets_diskann(set: Portable, tolerance: f64) {
    let work = workload(set);
    let codes = codes(work.base.view(), work.metric, 32);
    let graph = graph(&work.base, work.metric, vamana(32, 50));
    let index: Coded = open(&file(&graph, &codes)).unwrap();
    let index = index.with_cache(work.base.len() / 10 * (4 * (128 + 1 + 32) + 8) + 4096).unwrap();
    assert!(index.cached().abs_diff(work.base.len() / 10) <= work.base.len() / 1000, "{}", index.cached());
    for (ef, recall, reads) in DISKANN {
        let found = measured(&work, &index, ef, 2);
        println!("ef {ef}: recall {:.4} (DiskANN {recall}), reads {:.1} (DiskANN {reads})", found.0, found.1);
        assert!(found.0 >= recall - tolerance, "ef {ef}: recall {}, expected {recall}", found.0);
        assert!(found.1 <= 1.1 * ef as f64 + 3.0, "ef {ef}: {} reads", found.1);
    }
}

#[test]
fn a_small_set_finds_what_diskann_does() {
    meets_diskann(portable::mix128(6_000, 200), 0.01);
}

#[test]
#[ignore = "50,000 rows, for release builds"]
fn mix128_finds_what_diskann_does() {
    meets_diskann(portable::mix128(50_000, 1000), 0.01);
}
