//! HNSW in two branches: as good to search as the plain stack, whatever the rows; layers ordered by dimension; files.

#![allow(clippy::unwrap_used)] // helpers outside of test functions, too

use ann_core::{
    Cancelled, Exact, FlatStore, Index, Matrix, MatrixView, Metric, Monitor, Par, Predicate, Searcher, SpaceStore,
    SplitStore, VectorStore,
};
use ann_graph::{BuildError, DualHnsw, DualParams, Hnsw, HnswParams, HnswSearch, local_dimension, neighbors_of_rows};
use ann_testkit::Workload;
use ann_testkit::portable::{self, Portable, gauss, uniform};
use ann_testkit::shapes::{self, Shape};
use std::sync::atomic::AtomicBool;

fn store(rows: MatrixView<'_, f32>, metric: Metric) -> FlatStore<f32> {
    FlatStore::from_rows(rows, metric).unwrap()
}

fn build<S: VectorStore>(store: S, params: DualParams) -> DualHnsw<S> {
    params.build(store, Par::Ambient, Monitor::new()).unwrap()
}

/// Small lists, so that few rows have several layers.
fn small() -> DualParams {
    DualParams { hnsw: HnswParams { m: 6, ef_construction: 64, ..HnswParams::default() }, neighbors: 10 }
}

fn workload(set: Portable) -> Workload {
    let exact = Exact::new(store(set.base.view(), set.metric));
    let truth = exact.ground_truth(set.queries.view(), 10, Par::Ambient).unwrap();
    Workload { name: set.name.to_owned(), base: set.base, queries: set.queries, metric: set.metric, truth }
}

/// `n_base` rows, tight clusters in 32 dimensions and every twentieth row far out, alone; `n_queries` queries of the same law, or
/// all of them far out.
fn apart(n_base: usize, n_queries: usize, queries_are_far: bool) -> Portable {
    const DIM: usize = 32;
    let row = |i: usize, far: bool| {
        let cluster = (uniform(3, i as u64) * 100.0) as u64;
        (0..DIM as u64).map(move |j| {
            let (centre, noise) = (gauss(4, cluster * 100 + j), gauss(5, (i * DIM) as u64 + j));
            (if far { 8.0 * noise } else { centre + 0.1 * noise }) as f32
        })
    };
    let base = (0..n_base).flat_map(|i| row(i, i % 20 == 7)).collect();
    let queries = (0..n_queries).flat_map(|i| row(1_000_000 + i, queries_are_far || i % 20 == 7)).collect();
    let name = if queries_are_far { "apart, queries far out" } else { "apart" };
    let [base, queries] = [base, queries].map(|rows| Matrix::new(rows, DIM).unwrap());
    Portable { name, base, queries, metric: Metric::L2 }
}

/// Recall and distances of `index` at rising widths.
fn curve<I: Index<Vector = [f32], Params = HnswSearch>>(work: &Workload, index: &I, efs: &[usize]) -> Vec<(f64, f64)> {
    let mut searcher = Searcher::new(index, HnswSearch::default());
    let mut at = |ef: usize| {
        let measured = work.measure(ef, |query, ef| {
            searcher.params_mut().ef = ef;
            let ids = searcher.search(query, 10).unwrap().iter().map(|n| n.id).collect();
            (ids, searcher.stats().evaluations)
        });
        (measured.recall.mean(), measured.evaluations)
    };
    efs.iter().map(|&ef| at(ef)).collect()
}

/// The recall of a curve at so many distances, by their logarithm between two widths.
fn recall_at(curve: &[(f64, f64)], distances: f64) -> f64 {
    let i = curve.partition_point(|point| point.1 < distances).clamp(1, curve.len() - 1);
    let (a, b) = (curve[i - 1], curve[i]);
    a.0 + (b.0 - a.0) * ((distances / a.1).ln() / (b.1 / a.1).ln()).clamp(0.0, 1.0)
}

/// How much more two branches find than the plain stack, at the distances that the stack needs at rising widths.
#[expect(clippy::print_stdout, reason = "who compares wants to see the figures")]
fn gains(set: Portable, efs: &[usize]) -> Vec<f64> {
    let work = workload(set);
    let rows = || store(work.base.view(), work.metric);
    let plain = curve(&work, &Hnsw::builder().build(rows()).unwrap(), efs);
    let widths: Vec<usize> = (0..=21).map(|i| (10.0 * 1.2f64.powi(i)) as usize).collect();
    let dual = curve(&work, &build(rows(), DualParams::default()), &widths);
    let gain = |(ef, &(recall, distances)): (&usize, &(f64, f64))| {
        let ours = recall_at(&dual, distances);
        let least = dual[0].1;
        println!(
            "{} ef {ef}: {distances:.0} distances (two branches at least {least:.0}): {recall:.4} {ours:.4}",
            work.name
        );
        ours - recall
    };
    efs.iter().zip(&plain).map(gain).collect()
}

/// The bound of the design is the mean; single widths scatter.
fn is_as_good_as_the_stack(set: Portable) {
    let gains = gains(set, &[20, 40, 80]);
    assert!(gains.iter().sum::<f64>() >= -0.005 * gains.len() as f64, "{gains:?}");
    assert!(gains.iter().all(|&gain| gain >= -0.01), "{gains:?}");
}

#[test]
fn mix128_is_found_with_as_many_distances_as_in_the_stack() {
    is_as_good_as_the_stack(portable::mix128(10_000, 300));
}

#[test]
fn spec256_is_found_with_as_many_distances_as_in_the_stack() {
    is_as_good_as_the_stack(portable::spec256(10_000, 300));
}

/// The claim of the paper, where there is most to gain: no upper layer leads to clusters any more, which costs narrow searches some
/// 40 distances and up to 0.08 of recall (`ef` 20); wide ones find as much, and what is far out a little more.
#[test]
fn rows_far_out_pay_in_wide_searches() {
    let mixed = gains(apart(10_000, 500, false), &[160, 320]);
    assert!(mixed.iter().all(|&gain| gain >= -0.005), "{mixed:?}");
    let far = gains(apart(10_000, 500, true), &[160, 320]);
    assert!(far.iter().all(|&gain| gain >= -0.005) && far.iter().sum::<f64>() > 0.0, "{far:?}");
}

#[test]
fn layers_hold_the_rows_of_the_highest_dimension() {
    let set = portable::mix128(4_000, 1);
    let exact = Exact::new(store(set.base.view(), set.metric));
    let near = neighbors_of_rows(&exact, set.base.view(), set.metric, 10, &(), Par::Ambient).unwrap();
    let local: Vec<f64> = near
        .iter()
        .map(|near| local_dimension(&near.iter().map(|n| n.distance).collect::<Vec<_>>()).unwrap().value)
        .collect();
    let dual = build(store(set.base.view(), set.metric), small());
    let mean = |rows: &[u32]| rows.iter().map(|&row| local[row as usize]).sum::<f64>() / rows.len() as f64;
    let base: Vec<u32> = (0..4_000).collect();
    for branch in [0, 1] {
        let layers: Vec<&[u32]> =
            (1..).map(|layer| dual.branch(branch, layer)).take_while(|rows| !rows.is_empty()).collect();
        assert!(layers.len() >= 3, "{layers:?}");
        let means: Vec<f64> = std::iter::once(&base[..]).chain(layers).map(mean).collect();
        // Searches for neighbours find nearly all of them, not all.
        assert!(means.windows(2).all(|pair| pair[0] < pair[1]), "{means:?}");
    }
}

#[test]
fn branches_share_the_rows_of_every_layer() {
    let set = portable::mix128(3_000, 1);
    let dual = build(store(set.base.view(), set.metric), small());
    let plain = Hnsw::builder().params(small().hnsw).build(store(set.base.view(), set.metric)).unwrap();
    for layer in 1..8 {
        let [one, other] = [0, 1].map(|branch| dual.branch(branch, layer));
        assert!(one.len() == other.len() || one.len() == other.len() + 1, "layer {layer}");
        assert_eq!(one.len() + other.len(), plain.hierarchy().layer_len(layer), "layer {layer}");
        assert!(one.iter().all(|row| !other.contains(row)), "layer {layer}");
    }
    assert!(dual.branch(0, 0).is_empty() && dual.branch(2, 1).is_empty());
    assert_eq!((dual.base().hierarchy().layers(), dual.params()), (1, &small()));
}

#[test]
fn every_shape_is_searched_like_any_other() {
    for Shape { name, base, queries, metrics } in shapes::hostile(1_200, 12, 23) {
        for &metric in metrics {
            let fits = |row: &&[f32]| metric != Metric::Cosine || row.iter().any(|&x| x != 0.0);
            let [base, queries] =
                [&base, &queries].map(|rows| Matrix::from_rows(&rows.rows().filter(fits).collect::<Vec<_>>()).unwrap());
            let context = format!("{name} under {metric}");
            let dual = build(store(base.view(), metric), small());
            let exact = Exact::new(store(base.view(), metric));
            let mut truth = Searcher::new(&exact, ());
            let mut all = Searcher::new(&dual, HnswSearch::ef(base.len()));
            let mut some = Searcher::new(&dual, HnswSearch::ef(128));
            let (mut hits, mut wanted) = (0, 0);
            for query in queries.rows() {
                assert_eq!(all.search(query, 20).unwrap(), truth.search(query, 20).unwrap(), "{context}");
                let truth = truth.search(query, 10).unwrap();
                let found = some.search(query, 10).unwrap();
                hits += found.iter().filter(|n| n.distance <= truth[9].distance).count();
                wanted += 10;
            }
            assert!(hits * 1000 >= wanted * 975, "{context}: {hits} of {wanted}");
            #[cfg(feature = "persist")]
            files::loads_as_saved(&dual, &context);
        }
    }
}

#[test]
fn hardly_any_rows_are_all_found() {
    let all = shapes::uniform_cube(40, 3, 3).base;
    for n in [0, 1, 2, 3, 5, 40] {
        let dual = build(store_of(&all, n), small());
        let mut searcher = Searcher::new(&dual, HnswSearch::ef(4));
        assert_eq!(searcher.search(all.row(0), 100).unwrap().len(), n);
        assert_eq!(searcher.search(all.row(0), 0).unwrap(), []);
        assert_eq!(searcher.search_filtered(all.row(0), 9, &(1..3)).unwrap().len(), n.saturating_sub(1).min(2));
        assert!(searcher.search(&[1.0, 2.0], 1).is_err());
    }
}

fn store_of(rows: &Matrix<f32>, n: usize) -> FlatStore<f32> {
    let mut store = FlatStore::new(rows.dim(), Metric::L2).unwrap();
    rows.view().slice(0..n).rows().for_each(|row| {
        ann_core::PushVector::push(&mut store, row).unwrap();
    });
    store
}

#[test]
fn filters_get_as_many_rows_as_there_are() {
    let set = portable::mix128(3_000, 40);
    let dual = build(store(set.base.view(), set.metric), DualParams::default());
    let exact = Exact::new(store(set.base.view(), set.metric));
    let (mut searcher, mut truth) = (Searcher::new(&dual, HnswSearch::ef(64)), Searcher::new(&exact, ()));
    for one_of in [2, 10, 100, 1_000] {
        let filter = Predicate(|row| row % one_of == 1);
        let (mut hits, mut wanted) = (0, 0);
        for query in set.queries.rows() {
            let truth = truth.search_filtered(query, 10, &filter).unwrap();
            let found = searcher.search_filtered(query, 10, &filter).unwrap();
            assert_eq!(found.len(), truth.len());
            assert!(found.iter().all(|n| n.id % one_of == 1));
            hits += found.iter().filter(|n| truth.contains(n)).count();
            wanted += truth.len();
        }
        assert!(hits * 100 >= wanted * 97, "1 of {one_of}: {hits} of {wanted}");
    }
}

#[test]
fn rows_in_halves_and_of_any_type_are_searched_too() {
    let set = portable::spec256(2_000, 30);
    let dual = build(SplitStore::from_rows(set.base.view(), set.metric).unwrap(), DualParams::default());
    let exact = Exact::new(store(set.base.view(), set.metric));
    let (mut searcher, mut truth) = (Searcher::new(&dual, HnswSearch::ef(200)), Searcher::new(&exact, ()));
    let same = |query: &&[f32]| searcher.search(query, 1).unwrap()[0].id == truth.search(query, 1).unwrap()[0].id;
    assert!(set.queries.rows().filter(same).count() >= 28);

    let mut numbers = SpaceStore::new(|a: &u32, b: &u32| a.abs_diff(*b) as f32);
    for i in 0..2_000_u32 {
        ann_core::PushVector::push(&mut numbers, &(i * 7919 % 2_003)).unwrap();
    }
    let dual = build(numbers, small());
    let mut searcher = Searcher::new(&dual, HnswSearch::ef(20));
    assert!((0..2_000).step_by(77).all(|i: u32| searcher.search(&(i * 7919 % 2_003), 1).unwrap()[0].id == i));
}

#[test]
fn parameters_out_of_range_are_named_and_builds_can_be_cancelled() {
    let set = portable::mix128(500, 1);
    let rows = || store(set.base.view(), set.metric);
    let params = HnswParams { m: 1, ..HnswParams::default() };
    let cases = [
        (DualParams { neighbors: 1, ..DualParams::default() }, "neighbors is 1, must be between 2 and 1024"),
        (DualParams { hnsw: params, ..DualParams::default() }, "m is 1, must be between 2 and 512"),
    ];
    for (params, message) in cases {
        let error = params.build(rows(), Par::Serial, Monitor::new()).map(|_| ()).unwrap_err();
        assert_eq!(error.to_string(), message);
    }
    let stop = AtomicBool::new(true);
    let cancelled = small().build(rows(), Par::Serial, Monitor::new().cancel_with(&stop));
    assert_eq!(cancelled.map(|_| ()).unwrap_err(), BuildError::Cancelled(Cancelled));
}

#[cfg(feature = "persist")]
mod files {
    use super::*;
    use ann_core::simd::Buffer;
    use ann_io::container::{Archive, LoadError, Persist, Writer};

    fn bytes<P: Persist>(index: &P) -> Vec<u8> {
        let mut bytes = Vec::new();
        Writer::of(index).unwrap().write_to(&mut bytes).unwrap();
        bytes
    }

    fn load(bytes: &[u8]) -> Result<DualHnsw<FlatStore<f32>>, LoadError> {
        Archive::from_bytes(Buffer::from_slice(bytes))?.load()
    }

    pub(crate) fn loads_as_saved(dual: &DualHnsw<FlatStore<f32>>, context: &str) {
        let saved = bytes(dual);
        let loaded = load(&saved).unwrap_or_else(|error| panic!("{context}: {error}"));
        assert!(bytes(&loaded) == saved, "{context}: loaded and saved again, the file differs");
    }

    #[test]
    fn builds_are_the_same_on_any_threads() {
        let spec = portable::spec256(800, 1);
        let copies = shapes::duplicates(1_000, 4, 2).base;
        let equal = shapes::all_equal(700, 3, 1).base;
        for (rows, metric) in [(&spec.base, Metric::InnerProduct), (&copies, Metric::L2), (&equal, Metric::L2)] {
            let [one, two, eight] = [1, 2, 8].map(|threads| {
                let dual = small().build(store(rows.view(), metric), Par::Threads(threads), Monitor::new()).unwrap();
                bytes(&dual)
            });
            assert!(one == two && one == eight, "{metric}");
        }
    }

    #[test]
    fn a_file_cut_or_changed_anywhere_is_an_error_or_the_same() {
        let set = portable::mix128(400, 5);
        let saved = bytes(&build(store(set.base.view(), set.metric), small()));
        for len in (0..saved.len()).step_by(1_009).chain([saved.len() - 1]) {
            assert!(load(&saved[..len]).is_err(), "{len} of {} bytes", saved.len());
        }
        for i in 0..500 {
            let mut changed = saved.clone();
            let at = (portable::bits(7, 2 * i) % saved.len() as u64) as usize;
            changed[at] ^= 1 << (portable::bits(7, 2 * i + 1) % 8);
            if let Ok(dual) = load(&changed) {
                assert!(bytes(&dual) == saved, "byte {at}");
            }
        }
    }

    /// A file that is sound as a container.
    struct Forgery {
        params: DualParams,
        lens: [Vec<u32>; 2],
        base: HnswParams,
        rows: [Vec<u32>; 2],
        links: [Vec<u32>; 3],
    }

    impl Forgery {
        fn honest() -> Self {
            let hnsw = HnswParams { m: 2, max_layers: 3, ..HnswParams::default() };
            Self {
                params: DualParams { hnsw, neighbors: 10 },
                lens: [vec![2, 1], vec![1]],
                base: HnswParams { max_layers: 1, ..hnsw },
                rows: [vec![7, 3], vec![5]],
                links: [vec![1, u32::MAX, 0, u32::MAX], vec![u32::MAX; 2], vec![u32::MAX; 2]],
            }
        }

        fn bytes(&self) -> Vec<u8> {
            let rows = shapes::uniform_cube(20, 3, 1).base;
            let base = Hnsw::builder().params(self.base).build(store(rows.view(), Metric::L2)).unwrap();
            let mut writer = Writer::new("dual-hnsw", 1).unwrap();
            writer.meta(&(self.params, 0.1f32, &self.lens)).unwrap();
            writer.part("base", &base).unwrap();
            writer.section("branch0.rows", &self.rows[0]).unwrap();
            writer.section("branch0.layer1.links", &self.links[0]).unwrap();
            writer.section("branch0.layer2.links", &self.links[1]).unwrap();
            writer.section("branch1.rows", &self.rows[1]).unwrap();
            writer.section("branch1.layer1.links", &self.links[2]).unwrap();
            let mut bytes = Vec::new();
            writer.write_to(&mut bytes).unwrap();
            bytes
        }
    }

    #[test]
    fn a_file_that_claims_what_cannot_be_is_refused() {
        let dual = load(&Forgery::honest().bytes()).unwrap();
        assert_eq!((dual.branch(0, 1), dual.branch(0, 2), dual.branch(1, 1)), (&[7, 3][..], &[7][..], &[5][..]));
        let refused = |what: &str, change: fn(&mut Forgery)| {
            let mut forgery = Forgery::honest();
            change(&mut forgery);
            match load(&forgery.bytes()) {
                Err(LoadError::Corrupt { section, reason }) => assert_eq!(section, what, "{reason}"),
                other => panic!("{what}: {:?}", other.map(|_| ())),
            }
        };
        refused("params", |f| f.params.neighbors = 0);
        refused("params", |f| f.params.hnsw.m = 0);
        refused("base", |f| f.base.m0 = Some(9));
        refused("base", |f| f.base = HnswParams { max_layers: 16, ..f.base });
        refused("branch0.rows", |f| f.rows[0][1] = 20);
        refused("branch0.rows", |f| f.rows[0].push(1));
        refused("branch0.rows", |f| f.lens[0] = vec![1, 2]);
        refused("branch0.rows", |f| f.lens[0] = vec![2, 1, 1]);
        refused("branch0.rows", |f| f.lens[0] = vec![2, 0]);
        refused("branch1.rows", |f| f.lens[1] = vec![]);
        refused("branch0.layer1.links", |f| f.links[0][0] = 2);
        refused("branch0.layer2.links", |f| f.links[1] = vec![u32::MAX; 4]);
        refused("rows", |f| (f.rows[1], f.lens[1]) = (vec![], vec![]));
    }
}
