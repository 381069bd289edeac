//! Graphs of one layer: NSW with bounded lists, and Vamana.

use crate::support::{check_reach, check_structure, lost, recall_of, search_of, store, workload};
use ann_core::{Exact, Matrix, Metric, Par, Searcher};
use ann_graph::{Hnsw, HnswBuilder, HnswParams, HnswSearch, OcclusionRule};
use ann_testkit::Workload;
use ann_testkit::portable::{self, Portable};
use ann_testkit::shapes::{self, Shape};

fn builder(params: HnswParams) -> HnswBuilder<'static> {
    Hnsw::builder().params(params)
}

fn vamana(max_degree: usize, ef_construction: usize, alpha: f32) -> HnswParams {
    HnswParams { ef_construction, rule: OcclusionRule::Staged { alpha }, ..HnswParams::vamana(max_degree) }
}

#[test]
fn every_shape_is_linked_found_and_searched_exactly_by_a_wide_walk() {
    for Shape { name, base, queries, metrics } in shapes::hostile(900, 10, 23) {
        for &metric in metrics {
            let fits = |row: &&[f32]| metric != Metric::Cosine || row.iter().any(|&x| x != 0.0);
            let [base, queries] =
                [&base, &queries].map(|rows| Matrix::from_rows(&rows.rows().filter(fits).collect::<Vec<_>>()).unwrap());
            for (kind, params) in [("nsw", HnswParams::nsw(12)), ("vamana", vamana(24, 80, 1.2))] {
                let context = format!("{kind}, {name} under {metric}");
                let graph = builder(params).build(store::<f32>(base.view(), metric)).unwrap();
                check_structure(&graph, &context);
                assert!(graph.hierarchy().layers() <= 1, "{context}");
                if context.ends_with("line under ip") {
                    continue;
                }
                check_reach(&graph, &context);
                let exact = Exact::new(store::<f32>(base.view(), metric));
                let mut truth = Searcher::new(&exact, ());
                let mut all = Searcher::new(&graph, HnswSearch::ef(base.len()));
                for query in queries.rows().take(5) {
                    assert_eq!(all.search(query, 20).unwrap(), truth.search(query, 20).unwrap(), "{context}");
                }
                let recall = recall_of(&graph, queries.rows(), (10, 128), |_| true);
                assert!(recall >= 0.975, "{context}: {recall}");
                if metric != Metric::InnerProduct && !name.contains("heavy") {
                    let lost = lost(&graph, base.view(), 64);
                    assert!(lost.is_empty(), "{context}: {lost:?}");
                }
            }
        }
    }
}

#[test]
fn threads_do_not_change_a_graph_of_one_layer() {
    let set = portable::mix128(3_000, 1);
    for params in [HnswParams::nsw(8), vamana(24, 60, 1.2)] {
        let build = |par| {
            let graph = builder(params).par(par).build(store::<f32>(set.base.view(), set.metric)).unwrap();
            graph.hierarchy().links(0).collect::<Vec<_>>()
        };
        let serial = build(Par::Serial);
        assert!(serial == build(Par::Threads(2)) && serial == build(Par::Threads(8)));
    }
}

#[test]
fn the_second_stage_adds_links_to_those_of_the_first() {
    let set = portable::iso64(4_000, 1);
    let degree = |alpha| {
        builder(vamana(64, 100, alpha))
            .build(store::<f32>(set.base.view(), set.metric))
            .unwrap()
            .hierarchy()
            .mean_degree()
    };
    let (one, more, most) = (degree(1.0), degree(1.2), degree(1.4));
    assert!(more > 1.3 * one && most >= more && most <= 64.0, "{one} {more} {most}");
}

/// Walks begin in the midst of the rows, not at the first of them.
#[test]
fn the_entry_is_a_medoid() {
    let line: Vec<f32> = (0..999).map(|i| i as f32).collect();
    let rows = Matrix::new(line, 1).unwrap();
    let graph = builder(HnswParams::nsw(4)).build(store::<f32>(rows.view(), Metric::L2)).unwrap();
    let entry = graph.hierarchy().entry().unwrap();
    assert!((490..510).contains(&entry), "{entry}");
}

/// flatnav (32 links, ef_construction 200, the best of 100 entries): recall@10 and distances at `ef` 10, 20, 40, 80, 160, 320.
#[test]
#[ignore = "20,000 to 50,000 rows, for release builds"]
fn nsw_meets_flatnav() {
    let tables = [
        (
            portable::mix128(50_000, 1000),
            [0.919, 0.979, 0.997, 0.9994, 0.9998, 0.9998],
            [312., 420., 608., 934., 1541., 2800.],
        ),
        (
            portable::iso64(20_000, 1000),
            [0.358, 0.513, 0.693, 0.845, 0.946, 0.986],
            [474., 731., 1167., 1959., 3335., 5500.],
        ),
        (
            portable::spec256(50_000, 1000),
            [0.506, 0.670, 0.825, 0.933, 0.982, 0.997],
            [458., 678., 1071., 1799., 3095., 5259.],
        ),
    ];
    for (set, recalls, evaluations) in tables {
        let (work, graph) = built(set, HnswParams::nsw(16));
        for ((ef, least), most) in [10, 20, 40, 80, 160, 320].into_iter().zip(recalls).zip(evaluations) {
            let measured = measured(&work, &graph, "NSW16", ef);
            assert!(measured.0 >= least - 0.01 && measured.1 <= 1.08 * most, "{} {ef}: {measured:?}", work.name);
        }
    }
}

/// diskannpy 0.7.0 (one pass, 100 candidates): recall@10 at `L` 10, 20, 40, 80, 160, and the mean degree.
#[test]
#[ignore = "20,000 to 50,000 rows, for release builds"]
fn vamana_meets_diskann() {
    let tables = [
        (
            portable::mix128(50_000, 1000),
            [(1.2, [0.978, 0.995, 0.9998, 1.0, 1.0], 34.0), (1.0, [0.936, 0.985, 0.9985, 0.9998, 1.0], 21.0)],
        ),
        (
            portable::iso64(20_000, 1000),
            [(1.2, [0.583, 0.755, 0.898, 0.973, 0.995], 54.7), (1.0, [0.498, 0.668, 0.836, 0.943, 0.987], 29.3)],
        ),
        (
            portable::spec256(50_000, 1000),
            [(1.2, [0.743, 0.874, 0.958, 0.991, 0.998], 63.0), (1.0, [0.624, 0.783, 0.909, 0.972, 0.995], 34.6)],
        ),
    ];
    for (set, rows) in tables {
        for (alpha, recalls, degree) in rows {
            let (work, graph) = built(set.clone(), vamana(64, 100, alpha));
            for (ef, least) in [10, 20, 40, 80, 160].into_iter().zip(recalls) {
                let measured = measured(&work, &graph, &format!("Vamana64, alpha {alpha}"), ef);
                let tolerance = if ef == 10 { 0.02 } else { 0.01 };
                assert!(measured.0 >= least - tolerance, "{} {alpha} {ef}: {measured:?}", work.name);
            }
            let found = graph.hierarchy().mean_degree();
            assert!((found / degree - 1.0).abs() < 0.05, "{} {alpha}: {found}, expected {degree}", work.name);
        }
    }
}

/// diskannpy without a bound on lists: mean degrees at 100 and 200 candidates, from which OPT-SNG takes its own.
#[test]
#[ignore = "20,000 to 50,000 rows, for release builds"]
fn opt_sng_takes_its_degree_from_a_reference() {
    for (set, degrees) in [
        (portable::mix128(50_000, 1), [(100, 22.06, [22, 15, 10]), (200, 25.57, [26, 18, 11])]),
        (portable::iso64(20_000, 1), [(100, 36.35, [36, 25, 16]), (200, 46.89, [47, 33, 21])]),
    ] {
        for (ef_construction, degree, bounds) in degrees {
            let reference = vamana(512, ef_construction, 1.0);
            let graph = builder(reference).build(store::<f32>(set.base.view(), set.metric)).unwrap();
            let found = graph.hierarchy().mean_degree();
            assert!((found / degree - 1.0).abs() < 0.05, "{} {ef_construction}: {found}, expected {degree}", set.name);
            for (alpha, bound) in [1.0, 1.2, 1.5].into_iter().zip(bounds) {
                let params = HnswParams::opt_sng(graph.hierarchy(), alpha);
                assert!(params.m.abs_diff(bound) <= 1, "{} {alpha}: {}, expected {bound}", set.name, params.m);
            }
        }
    }
}

fn built(set: Portable, params: HnswParams) -> (Workload, Hnsw<ann_core::FlatStore<f32>>) {
    let work = workload(set);
    let graph = builder(params).build(store::<f32>(work.base.view(), work.metric)).unwrap();
    (work, graph)
}

#[expect(clippy::print_stdout, reason = "who runs a test of minutes wants to see the figures")]
fn measured(work: &Workload, graph: &Hnsw<ann_core::FlatStore<f32>>, kind: &str, ef: usize) -> (f64, f64) {
    let measured = work.measure(ef, search_of(graph, 10));
    println!(
        "{kind} on {}, mean degree {:.2}, ef {ef}: recall {:.4}, evaluations {:.0}",
        work.name,
        graph.hierarchy().mean_degree(),
        measured.recall.mean(),
        measured.evaluations
    );
    (measured.recall.mean(), measured.evaluations)
}
