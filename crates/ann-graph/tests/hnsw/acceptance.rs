//! Recall, work and degree against other implementations of the same algorithm.

use crate::support::{search_of, store, workload};
use ann_graph::Hnsw;
use ann_testkit::acceptance::{HNSW_EF_CONSTRUCTION, hnsw_expected, hnsw_mean_degree};
use ann_testkit::portable::{self, Portable};
use ann_testkit::{Expected, check_recall};

/// hnswlib 0.8.0 (`M` 16, `ef_construction` 200, one thread, seeds 100, 1 and 2) on the first 8,000 base rows and 200
/// queries of mix128 has recall@10 .952-.961, .989-.992, .999, 1 at `ef` 10, 20, 40, 80; faiss-cpu 1.15.1
/// (`IndexHNSWFlat`, same parameters) has .9555, .9915, .9985, 1 with 219.6, 320.8, 523.5, 918.5 evaluations and a mean
/// degree of 17.53 on layer 0. Bounds as in the table of the full sets.
#[test]
fn a_small_set_meets_the_references() {
    let row = |ef, recall, evaluations| {
        Expected::within("mix128", "HNSW16", ef, recall).evaluations(0.90 * evaluations..=1.06 * evaluations)
    };
    let table = [
        row(10, 0.937..=0.976, 219.6),
        row(20, 0.974..=1.0, 320.8),
        row(40, 0.9885..=1.0, 523.5),
        row(80, 0.995..=1.0, 918.5),
    ];
    let work = workload(portable::mix128(8_000, 200));
    let hnsw = Hnsw::builder().build(store::<f32>(work.base.view(), work.metric)).unwrap();
    check_recall(&work, "HNSW16", &table, search_of(&hnsw, 10));
    let degree = hnsw.hierarchy().mean_degree();
    assert!((16.53..=18.53).contains(&degree), "{degree}");
}

#[test]
#[ignore = "20,000 to 50,000 rows, for release builds"]
fn iso64_meets_the_acceptance_table_with_m_16() {
    meets_the_table(portable::iso64(20_000, 1000), 16);
}

#[test]
#[ignore = "20,000 to 50,000 rows, for release builds"]
fn iso64_meets_the_acceptance_table_with_m_32() {
    meets_the_table(portable::iso64(20_000, 1000), 32);
}

#[test]
#[ignore = "20,000 to 50,000 rows, for release builds"]
fn mix128_meets_the_acceptance_table_with_m_16() {
    meets_the_table(portable::mix128(50_000, 1000), 16);
}

#[test]
#[ignore = "20,000 to 50,000 rows, for release builds"]
fn mix128_meets_the_acceptance_table_with_m_32() {
    meets_the_table(portable::mix128(50_000, 1000), 32);
}

#[test]
#[ignore = "20,000 to 50,000 rows, for release builds"]
fn spec256_meets_the_acceptance_table_with_m_16() {
    meets_the_table(portable::spec256(50_000, 1000), 16);
}

#[test]
#[ignore = "20,000 to 50,000 rows, for release builds"]
fn spec256_meets_the_acceptance_table_with_m_32() {
    meets_the_table(portable::spec256(50_000, 1000), 32);
}

#[expect(clippy::print_stdout, reason = "who runs a test of minutes wants to see the figures")]
fn meets_the_table(set: Portable, m: usize) {
    let work = workload(set);
    let store = store::<f32>(work.base.view(), work.metric);
    let hnsw = Hnsw::builder().m(m).ef_construction(HNSW_EF_CONSTRUCTION).build(store).unwrap();
    let (spec, table) = (format!("HNSW{m}"), hnsw_expected(&work.name, m));
    let degree = hnsw.hierarchy().mean_degree();
    println!("{spec} on {}, mean degree {degree:.2}", work.name);
    for row in &table {
        let measured = work.measure(row.effort, search_of(&hnsw, 10));
        println!(
            "  ef {:>3}  recall {:.4}  evaluations {:.0}",
            row.effort,
            measured.recall.mean(),
            measured.evaluations
        );
    }
    check_recall(&work, &spec, &table, search_of(&hnsw, 10));
    if let Some(range) = hnsw_mean_degree(&work.name, m) {
        assert!(range.contains(&degree), "mean degree {degree}, expected {range:?}");
    }
}
