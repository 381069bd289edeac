//! What each parameter changes, and what it may be.

use crate::support::{check_structure, recall, store, workload};
use ann_core::{FlatStore, Index, Metric};
use ann_graph::{BuildError, Hnsw, HnswBuilder, HnswParams, OcclusionRule};
use ann_testkit::{Workload, portable, shapes};
use std::sync::LazyLock;

static WORK: LazyLock<Workload> = LazyLock::new(|| workload(portable::mix128(2_000, 100)));

fn builder<'a>() -> HnswBuilder<'a> {
    Hnsw::builder().m(8).ef_construction(64)
}

fn build(builder: HnswBuilder<'_>) -> Hnsw<FlatStore<f32>> {
    let hnsw = builder.build(store(WORK.base.view(), WORK.metric)).unwrap();
    check_structure(&hnsw, &format!("{:?}", hnsw.params()));
    hnsw
}

/// How many rows have `degree` neighbours on layer 0.
fn with_degree(hnsw: &Hnsw<FlatStore<f32>>, degree: usize) -> usize {
    hnsw.hierarchy().links(0).filter(|(_, list)| list.len() == degree).count()
}

#[test]
fn m0_bounds_layer_0_and_m_the_layers_above() {
    let narrow = build(builder().m0(8));
    let wide = build(builder().m0(40));
    let longest = |hnsw: &Hnsw<_>, layer| hnsw.hierarchy().links(layer).map(|(_, list)| list.len()).max();
    assert_eq!((narrow.params().m0(), longest(&narrow, 0)), (8, Some(8)));
    assert!(longest(&wide, 0) > Some(16) && longest(&wide, 1) <= Some(8));
    assert!(wide.hierarchy().mean_degree() > narrow.hierarchy().mean_degree() + 1.0);
    assert!(recall(&WORK, &wide, 10) > recall(&WORK, &narrow, 10));
}

#[test]
fn wider_construction_finds_better_neighbors() {
    let [narrow, wide] = [2, 100].map(|ef| recall(&WORK, &build(builder().ef_construction(ef)), 16));
    assert!(wide > narrow + 0.005, "{narrow} {wide}");
}

#[test]
fn keep_pruned_fills_lists() {
    let (plain, filled) = (build(builder()), build(builder().keep_pruned(true)));
    // Every row found eight candidates, so none has fewer neighbours; lists that overflow are filled up again.
    assert!((0..8).all(|degree| with_degree(&filled, degree) <= 8), "rows of the first round alone may have fewer");
    assert!((0..8).map(|degree| with_degree(&plain, degree)).sum::<usize>() > 100);
    assert!(
        filled.hierarchy().mean_degree() > plain.hierarchy().mean_degree() + 2.0,
        "{} {}",
        filled.hierarchy().mean_degree(),
        plain.hierarchy().mean_degree()
    );
    assert!(recall(&WORK, &filled, 20) >= recall(&WORK, &plain, 20) - 0.01);
}

#[test]
fn extended_candidates_reach_beyond_the_frontier() {
    // With one candidate per row its neighbours are all there is to choose from.
    let [plain, extended] = [false, true].map(|extend| {
        let clustered = shapes::clustered(1_500, 8, 4);
        let work = Workload::of_shape(&clustered, Metric::L2, 10);
        let narrow = builder().ef_construction(1).extend_candidates(extend);
        let hnsw = narrow.build(store::<f32>(work.base.view(), Metric::L2)).unwrap();
        check_structure(&hnsw, "extended");
        (recall(&work, &hnsw, 20), hnsw.hierarchy().mean_degree())
    });
    assert!(extended.0 > plain.0 && extended.1 > plain.1 + 0.2, "{plain:?} {extended:?}");
}

#[test]
fn relaxed_rules_keep_more_links() {
    let degree = |rule| build(builder().rule(rule)).hierarchy().mean_degree();
    let relaxed = |alpha| degree(OcclusionRule::Relaxed { alpha });
    let nearest = degree(OcclusionRule::Nearest);
    assert_eq!(relaxed(1.0), nearest);
    assert!(relaxed(1.3) > nearest + 0.5 && relaxed(2.0) > relaxed(1.3), "{nearest} {}", relaxed(1.3));
}

/// Distances are negative under the inner product: what is relaxed must be nearer still, not farther.
#[test]
fn relaxed_rules_keep_more_links_under_products_too() {
    let set = ann_testkit::portable::spec256(2_000, 1);
    let degree = |alpha| {
        let rule = OcclusionRule::Relaxed { alpha };
        builder()
            .rule(rule)
            .build(store::<f32>(set.base.view(), Metric::InnerProduct))
            .unwrap()
            .hierarchy()
            .mean_degree()
    };
    assert!(degree(1.3) > degree(1.0) + 0.3, "{} {}", degree(1.3), degree(1.0));
}

#[test]
fn wider_angles_keep_fewer_links() {
    let angle = |min_degrees| build(builder().rule(OcclusionRule::Angle { min_degrees }));
    let (narrow, wide) = (angle(30.0), angle(75.0));
    assert!(
        narrow.hierarchy().mean_degree() > wide.hierarchy().mean_degree() + 1.0,
        "{} {}",
        narrow.hierarchy().mean_degree(),
        wide.hierarchy().mean_degree()
    );
    // 60 degrees lie between: the relative neighbourhood rule keeps no two neighbours at less.
    assert!(recall(&WORK, &angle(60.0), 40) > 0.95);
    // Nothing is occluded at 0 degrees: every row but the very first keeps the eight that it chose.
    let none = angle(0.0);
    assert!((0..8).map(|degree| with_degree(&none, degree)).sum::<usize>() <= 8);
}

#[test]
fn level_scale_thins_upper_layers() {
    let upper = |scale| build(builder().level_scale(scale)).hierarchy().layer_len(1) as f64 / 2_000.0;
    // A row rises with probability m^(-1 / scale): 1/8, 1/64, 1/2.83.
    for (scale, share) in [(1.0, 0.125), (0.5, 0.0156), (2.0, 0.3536)] {
        let deviation = (share * (1.0 - share) / 2_000.0_f64).sqrt();
        assert!((upper(scale) - share).abs() < 4.0 * deviation, "{scale}: {} of {share}", upper(scale));
    }
}

#[test]
fn one_layer_is_a_flat_graph_that_still_finds() {
    let (flat, stack) = (build(builder().max_layers(1)), build(builder()));
    assert_eq!((flat.hierarchy().layers(), flat.hierarchy().layer_len(1)), (1, 0));
    assert!(stack.hierarchy().layers() >= 3);
    let [flat, stack] = [&flat, &stack].map(|hnsw| recall(&WORK, hnsw, 40));
    assert!(flat > 0.95 && flat > stack - 0.02, "{flat} {stack}");
    assert_eq!(build(builder().max_layers(2)).hierarchy().layers(), 2);
}

#[test]
fn most_layers_are_sixteen_even_where_many_rows_rise() {
    let tall = build(builder().m(2).m0(16).level_scale(4.0));
    assert_eq!(tall.hierarchy().layers(), 16);
    assert!(tall.hierarchy().layer_len(15) > 50, "{}", tall.hierarchy().layer_len(15));
}

#[test]
fn lists_of_256_links_work() {
    let hnsw = build(Hnsw::builder().m(256).ef_construction(20));
    assert!(recall(&WORK, &hnsw, 40) > 0.99);
}

#[test]
fn parameters_out_of_range_are_named() {
    let angle = |min_degrees| OcclusionRule::Angle { min_degrees };
    let relaxed = |alpha| OcclusionRule::Relaxed { alpha };
    let cases = [
        (builder().m(1), "m is 1, must be between 2 and 512"),
        (builder().m(513), "m is 513, must be between 2 and 512"),
        (builder().m0(1), "m0 is 1, must be between 2 and 1024"),
        (builder().m0(1025), "m0 is 1025, must be between 2 and 1024"),
        (builder().ef_construction(0), "ef_construction is 0, must be at least 1"),
        (builder().level_scale(0.0), "level_scale is 0, must be above 0 and at most 4"),
        (builder().level_scale(f64::NAN), "level_scale is NaN, must be above 0 and at most 4"),
        (builder().level_scale(4.5), "level_scale is 4.5, must be above 0 and at most 4"),
        (builder().max_layers(0), "max_layers is 0, must be between 1 and 16"),
        (builder().max_layers(17), "max_layers is 17, must be between 1 and 16"),
        (builder().rule(relaxed(0.9)), "alpha is 0.9, must be at least 1"),
        (builder().rule(relaxed(f32::INFINITY)), "alpha is inf, must be at least 1"),
        (builder().rule(angle(-1.0)), "min_degrees is -1, must be between 0 and 180"),
        (builder().rule(angle(f32::NAN)), "min_degrees is NaN, must be between 0 and 180"),
    ];
    for (builder, message) in cases {
        let error = builder.build(FlatStore::<f32>::new(2, Metric::L2).unwrap()).map(|_| ()).unwrap_err();
        assert!(matches!(error, BuildError::Param(_)));
        assert_eq!(error.to_string(), message);
    }
}

#[test]
fn the_builder_sets_what_the_index_reports() {
    let params = HnswParams {
        m: 5,
        m0: Some(9),
        ef_construction: 33,
        level_scale: 0.7,
        max_layers: 4,
        extend_candidates: true,
        keep_pruned: true,
        rule: OcclusionRule::Relaxed { alpha: 1.2 },
        seed: 77,
    };
    let step_by_step = Hnsw::builder()
        .m(5)
        .m0(9)
        .ef_construction(33)
        .level_scale(0.7)
        .max_layers(4)
        .extend_candidates(true)
        .keep_pruned(true)
        .rule(OcclusionRule::Relaxed { alpha: 1.2 })
        .seed(77);
    assert_eq!(build(step_by_step).params(), &params);
    assert_eq!(build(Hnsw::builder().params(params)).params(), &params);
}

#[test]
fn a_graph_takes_another_store_of_as_many_rows() {
    let hnsw = build(builder());
    let wide = Hnsw::from_parts(hnsw.hierarchy().clone(), store::<f32>(WORK.base.view(), Metric::L1)).unwrap();
    assert_eq!(wide.hierarchy().links(0).collect::<Vec<_>>(), hnsw.hierarchy().links(0).collect::<Vec<_>>());
    assert_eq!((wide.len(), wide.store().metric()), (2_000, Metric::L1));
    assert!(
        Hnsw::from_parts(hnsw.hierarchy().clone(), store::<f32>(WORK.base.view().slice(0..1_999), Metric::L2))
            .is_none()
    );
}
