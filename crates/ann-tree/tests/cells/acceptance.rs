//! Recall against Annoy and FLANN on the portable data.

use crate::support::{Tree, forest, ids, kmeans};
use ann_testkit::portable::{self, Portable};
use ann_testkit::{Expected, Workload, check_recall};
use ann_tree::{KMeansTreeParams, RpForestParams};

/// Recall of a reference by its budget.
type Curve = &'static [(usize, f64)];

/// Seeds alone move recall at the smallest budgets by this much.
const TOLERANCE: f64 = 0.02;

fn meets(set: Portable, spec: &str, build: impl Fn(&Workload) -> Box<dyn Tree>, curve: Curve) {
    let work = Workload::of(set, 10);
    let tree = build(&work);
    let line = |&(checks, recall): &(usize, f64)| {
        let least = recall - if recall < 0.98 { TOLERANCE } else { 0.003 };
        // The leaf that is open is finished; k-means makes some of more than a hundred rows.
        Expected::at_least(&work.name, spec, checks, least).evaluations(0.0..=(checks + 300) as f64)
    };
    check_recall(&work, spec, &curve.iter().map(line).collect::<Vec<_>>(), |query, checks| {
        let (found, stats) = tree.search(query, work.truth.k, Some(checks));
        (ids(&found), stats.evaluations)
    });
}

/// Annoy counts rows in the cells that it opens, those that are in several as often: what it compares is less than its `search_k`.
fn forest_meets(set: Portable, trees: usize, curve: Curve) {
    let params = RpForestParams { trees, ..RpForestParams::default() };
    meets(set, "RPForest", |work| Box::new(forest(work.base.view(), work.metric, params)), curve);
}

/// With leaves of a few rows, as FLANN has them: a check is then spent on what is near and not on what shares a leaf with it. The default has larger ones, which are
/// compared faster and find less in as many checks.
fn kmeans_meets(set: Portable, curve: Curve) {
    let params = KMeansTreeParams { leaf: 3, ..KMeansTreeParams::default() };
    meets(set, "KMeansTree", |work| Box::new(kmeans(work.base.view(), work.metric, params)), curve);
}

/// annoy 1.17.3 and FLANN of opencv 5 (branching 32, 11 iterations, random centres, `cb_index` 0.2), on the first 5,000 rows and 200 queries.
#[test]
fn forests_in_small_meet_annoy() {
    forest_meets(portable::mix128(5_000, 200), 10, &[(500, 0.893), (1000, 0.961)]);
    forest_meets(portable::spec256(5_000, 200), 10, &[(500, 0.641), (1000, 0.777), (2000, 0.893)]);
}

/// Cells of two leaves only, which annoy chooses among all trees, and here are those of the first trees.
#[test]
#[ignore = "not met: .67 where annoy has .76"]
fn forests_in_small_meet_annoy_with_hardly_any_checks() {
    forest_meets(portable::mix128(5_000, 200), 10, &[(200, 0.764)]);
    forest_meets(portable::spec256(5_000, 200), 10, &[(200, 0.451)]);
}

/// As [`forests_in_small_meet_annoy`].
#[test]
fn k_means_trees_in_small_meet_flann() {
    kmeans_meets(portable::mix128(5_000, 200), &[(32, 0.679), (128, 0.904), (512, 0.992)]);
    kmeans_meets(portable::spec256(5_000, 200), &[(32, 0.229), (128, 0.482), (512, 0.817)]);
}

/// The full sets: annoy 1.17.3 with 10 and 50 trees.
#[test]
#[ignore = "full portable sets: minutes unless optimised"]
fn forests_meet_annoy() {
    let mix128 = || portable::mix128(50_000, 1_000);
    let iso64 = || portable::iso64(20_000, 1_000);
    forest_meets(mix128(), 10, &[(500, 0.835), (2000, 0.965), (10_000, 0.999), (50_000, 1.0)]);
    forest_meets(mix128(), 50, &[(500, 0.903), (2000, 0.985), (10_000, 0.999), (50_000, 1.0)]);
    forest_meets(iso64(), 10, &[(500, 0.195), (2000, 0.460), (10_000, 0.875), (50_000, 0.999)]);
    forest_meets(iso64(), 50, &[(500, 0.245), (2000, 0.567), (10_000, 0.941), (50_000, 0.9998)]);
}

/// The full sets: the k-means tree of FLANN with the same parameters.
#[test]
#[ignore = "full portable sets: minutes unless optimised"]
fn k_means_trees_meet_flann() {
    let curve: Curve = &[(32, 0.547), (128, 0.841), (512, 0.974), (2048, 0.9993), (8192, 1.0)];
    kmeans_meets(portable::mix128(50_000, 1_000), curve);
    let curve: Curve = &[(32, 0.062), (128, 0.157), (512, 0.360), (2048, 0.689), (8192, 0.922)];
    kmeans_meets(portable::iso64(20_000, 1_000), curve);
    let curve: Curve = &[(32, 0.164), (128, 0.338), (512, 0.590), (2048, 0.823), (8192, 0.998)];
    kmeans_meets(portable::spec256(50_000, 1_000), curve);
}
