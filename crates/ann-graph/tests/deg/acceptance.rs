//! Recall, work and length of edges against the authors' own code.

use crate::support::{measure, search, store, workload};
use ann_core::{FlatStore, Par};
use ann_graph::{Deg, DegImprove, DegTarget};
use ann_testkit::Workload;
use ann_testkit::portable;

const EPS: [f32; 7] = [0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5];

/// What deglib 0.2.6 (Python package, one thread, seed 7) finds with
/// `build_from_data(base, edges_per_vertex=30, extend_k=60, extend_eps=0.1, optimization_target=..)`.
struct Reference {
    target: DegTarget,
    /// Recall@10 of `search(queries, k=10, eps=e)` for [`EPS`].
    recall: [f64; 7],
    /// The same of `search(queries, k=10, eps=1, max_distance_computation_count=budget)`.
    budget: &'static [(f64, f64)],
    /// `calc_avg_edge_weight` and the share of `calc_non_rng_edges`.
    weight: f64,
    detours: f64,
}

/// The first 8,000 base rows and 1,000 queries of mix128.
const MIX128: [Reference; 3] = [
    Reference {
        target: DegTarget::LowLid,
        recall: [0.9710, 0.9759, 0.9812, 0.9885, 0.9971, 0.9997, 1.0],
        budget: &[(200.0, 0.8723), (300.0, 0.9664), (400.0, 0.9855), (600.0, 0.9964), (1200.0, 0.9999)],
        weight: 255.00,
        detours: 0.6105,
    },
    Reference {
        target: DegTarget::HighLid,
        recall: [0.9746, 0.9775, 0.9829, 0.9905, 0.9975, 0.9993, 1.0],
        budget: &[(200.0, 0.8226), (300.0, 0.9609), (400.0, 0.9843), (600.0, 0.9962), (1200.0, 0.9999)],
        weight: 380.35,
        detours: 0.2700,
    },
    Reference {
        target: DegTarget::Streaming,
        recall: [0.9763, 0.9795, 0.9847, 0.9907, 0.9976, 0.9993, 0.9999],
        budget: &[(200.0, 0.8976), (300.0, 0.9764), (400.0, 0.9933), (600.0, 0.9987), (1200.0, 0.9999)],
        weight: 242.26,
        detours: 0.7212,
    },
];

/// The first 6,000 base rows and the 1,000 queries of the full iso64.
const ISO64: [Reference; 3] = [
    Reference {
        target: DegTarget::LowLid,
        recall: [0.3676, 0.4340, 0.5431, 0.7247, 0.9753, 0.9997, 1.0],
        budget: &[(400.0, 0.3464), (600.0, 0.4909), (800.0, 0.6041), (1600.0, 0.8609), (3200.0, 0.9872)],
        weight: 88.17,
        detours: 0.1537,
    },
    Reference {
        target: DegTarget::HighLid,
        recall: [0.5002, 0.5681, 0.6763, 0.8487, 0.9902, 0.9995, 1.0],
        budget: &[(400.0, 0.4811), (600.0, 0.6367), (800.0, 0.7399), (1600.0, 0.9329), (3200.0, 0.9942)],
        weight: 101.20,
        detours: 0.0877,
    },
    Reference {
        target: DegTarget::Streaming,
        recall: [0.5381, 0.6102, 0.7162, 0.8834, 0.9936, 0.9999, 1.0],
        budget: &[(400.0, 0.5254), (600.0, 0.6866), (800.0, 0.7945), (1600.0, 0.9580), (3200.0, 0.9978)],
        weight: 90.52,
        detours: 0.1529,
    },
];

#[test]
fn mix128_in_part_meets_the_reference() {
    let work = workload(portable::mix128(8_000, 1_000));
    // One graph is not another: seeds alone move ours by as much.
    MIX128.iter().for_each(|reference| meets(&work, reference, 0.006));
}

#[test]
fn iso64_in_part_meets_the_reference() {
    let mut set = portable::iso64(20_000, 1_000);
    set.base = ann_core::Matrix::new(set.base.as_slice()[..6_000 * 64].to_vec(), 64).unwrap();
    let work = workload(set);
    ISO64.iter().for_each(|reference| meets(&work, reference, 0.02));
}

fn build(work: &Workload, target: DegTarget) -> Deg<FlatStore<f32>> {
    let builder = Deg::builder().degree(30).k_ext(60).eps_ext(0.1).target(target);
    builder.build(store(work.base.view(), work.metric)).unwrap()
}

fn meets(work: &Workload, reference: &Reference, tolerance: f64) {
    let deg = build(work, reference.target);
    let context = format!("{} {:?}", work.name, reference.target);
    let (weight, detours) = (deg.mean_edge_weight(), deg.share_of_detours());
    assert!((weight / reference.weight - 1.0).abs() < 0.02, "{context}: mean edge {weight}");
    assert!((detours - reference.detours).abs() < 0.03, "{context}: {detours} of edges are detours");
    for (eps, expected) in EPS.into_iter().zip(reference.recall) {
        let (recall, _) = measure(work, &deg, search(10, eps));
        assert!((recall - expected).abs() <= tolerance, "{context}: recall {recall} at eps {eps}, expected {expected}");
    }
    for ef in [10, 15, 20, 30, 40, 60, 80, 120, 160] {
        let (recall, evaluations) = measure(work, &deg, search(ef, 0.0));
        let expected = interpolate(reference.budget, evaluations) - tolerance;
        assert!(recall >= expected, "{context}: {recall} with {evaluations} distances at ef {ef}, expected {expected}");
    }
}

/// The recall of a curve at a number of distances; 0 before it begins.
fn interpolate(curve: &[(f64, f64)], at: f64) -> f64 {
    let after = curve.partition_point(|&(evaluations, _)| evaluations <= at);
    match (after.checked_sub(1).map(|before| curve[before]), curve.get(after)) {
        (None, _) => 0.0,
        (Some((_, recall)), None) => recall,
        (Some((x0, y0)), Some(&(x1, y1))) => y0 + (y1 - y0) * (at - x0) / (x1 - x0),
    }
}

/// The sets at full size: target, recall for [`EPS`], mean edge, share of detours; deglib as above.
const FULL: [(&str, DegTarget, [f64; 7], f64, f64); 6] = [
    ("mix128", DegTarget::LowLid, [0.956, 0.964, 0.973, 0.984, 0.995, 0.999, 0.9999], 167.9, 0.60),
    ("mix128", DegTarget::HighLid, [0.958, 0.965, 0.975, 0.984, 0.994, 0.998, 0.9997], 253.0, 0.30),
    ("mix128", DegTarget::Streaming, [0.960, 0.969, 0.975, 0.983, 0.995, 0.9985, 1.0], 172.3, 0.67),
    ("iso64", DegTarget::LowLid, [0.219, 0.263, 0.345, 0.508, 0.877, 0.995, 1.0], 83.6, 0.09),
    ("iso64", DegTarget::HighLid, [0.329, 0.390, 0.495, 0.680, 0.951, 0.998, 1.0], 99.2, 0.05),
    ("iso64", DegTarget::Streaming, [0.365, 0.428, 0.535, 0.740, 0.974, 0.999, 1.0], 87.8, 0.07),
];

#[test]
#[ignore = "six graphs of 20,000 to 50,000 rows, for release builds"]
fn the_sets_at_full_size_meet_the_reference() {
    let works = [workload(portable::mix128(50_000, 1_000)), workload(portable::iso64(20_000, 1_000))];
    for (name, target, expected, weight, detours) in FULL {
        let work = works.iter().find(|work| work.name == name).unwrap();
        let deg = build(work, target);
        let found = EPS.map(|eps| measure(work, &deg, search(10, eps)));
        println!("{name} {target:?} {:.1} {:.3} {found:.4?}", deg.mean_edge_weight(), deg.share_of_detours());
        assert!((deg.mean_edge_weight() / weight - 1.0).abs() < 0.02);
        assert!((deg.share_of_detours() - detours).abs() < 0.03);
        let tolerance = if name == "mix128" { 0.008 } else { 0.025 };
        for ((recall, _), expected) in found.into_iter().zip(expected) {
            assert!((recall - expected).abs() <= tolerance, "{recall}, expected {expected}");
        }
    }
}

#[test]
#[ignore = "a graph of 50,000 rows of which half are removed, for release builds"]
fn half_of_mix128_is_as_good_as_a_graph_of_that_half() {
    let set = portable::mix128(50_000, 1_000);
    let rest = ann_core::Matrix::new(set.base.as_slice()[25_000 * 128..].to_vec(), 128).unwrap();
    let mut deg =
        Deg::builder().degree(30).target(DegTarget::Streaming).build(store(set.base.view(), set.metric)).unwrap();
    // From the back, so that a row keeps its number until it goes.
    for row in (0..25_000).rev() {
        deg.remove(row).unwrap();
    }
    deg.check().unwrap();
    let order: Vec<&[f32]> = (0..25_000u32).map(|row| deg.store().row(row)).map(|row| &row[..128]).collect();
    let half = ann_core::Matrix::from_rows(&order).unwrap();
    let work = workload(portable::Portable { base: half, ..set.clone() });
    let fresh = Deg::builder().degree(30).target(DegTarget::Streaming).build(store(rest.view(), set.metric)).unwrap();
    let fresh_work = workload(portable::Portable { base: rest, ..set });
    for eps in EPS {
        let params = search(10, eps);
        let (left, fresh) = (measure(&work, &deg, params), measure(&fresh_work, &fresh, params));
        println!("eps {eps}: {left:.4?} after removals, {fresh:.4?} fresh");
        // deglib 0.2.6 loses .010, .010, .009, .006, .003, 0, 0 of recall; one fresh graph differs from another by .003.
        assert!(left.0 >= fresh.0 - 0.013);
    }
}

#[test]
fn improving_shortens_edges_and_searches_with_less_work() {
    let work = workload(portable::mix128(2_000, 200));
    let mut deg = build(&work, DegTarget::HighLid);
    let (weight, at) = (deg.mean_edge_weight(), search(20, 0.0));
    let (recall, evaluations) = measure(&work, &deg, at);
    let improved = deg.improve(400, &DegImprove::default());
    assert!((200..=400).contains(&improved), "{improved}");
    deg.check().unwrap();
    assert!(deg.mean_edge_weight() < 0.95 * weight, "{} from {weight}", deg.mean_edge_weight());
    let (after, fewer) = measure(&work, &deg, at);
    assert!(fewer < 0.95 * evaluations && after > recall - 0.01, "{after} {fewer}, before {recall} {evaluations}");
}

#[test]
fn the_dimension_decides_between_the_targets() {
    let of = |set: portable::Portable| DegTarget::of(&store(set.base.view(), set.metric), Par::Ambient);
    assert_eq!(of(portable::mix128(4_000, 1)), DegTarget::LowLid);
    assert_eq!(of(portable::iso64(4_000, 1)), DegTarget::HighLid);
    // Products are no distances of which a dimension could be told.
    assert_eq!(of(portable::spec256(500, 1)), DegTarget::default());
    assert_eq!(of(portable::iso64(2, 1)), DegTarget::default());
}
