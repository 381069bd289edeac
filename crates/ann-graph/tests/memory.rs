//! What a search allocates (nothing) and what an index holds (what it says), by an allocator that counts.

#![allow(clippy::unwrap_used)]

use ann_core::simd::CountingAllocator;
use ann_core::{
    FlatError, FlatStore, Index, MatrixView, Metric, Par, Predicate, Searcher, SpaceStore, SplitStore, VectorStore,
};
use ann_graph::{BlockHnsw, BlockSearch, Hnsw, HnswSearch};
use ann_quant::{NodeRabitq, NodeRabitqParams};
use ann_testkit::portable;
use ann_testkit::shapes::{integral, uniform_cube};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// Searches 1,000 times, with one `ef` after another, and once before that.
fn allocations_of_searches<S: VectorStore<Vector = [f32]>>(
    store: impl Fn(MatrixView<'_, f32>) -> Result<S, FlatError>,
) -> u64 {
    let shape = integral(2_000, 24, 1);
    let store = store(shape.base.view()).unwrap();
    let hnsw = Hnsw::builder().m(8).ef_construction(40).par(Par::Serial).build(store).unwrap();
    let mut searcher = Searcher::new(&hnsw, HnswSearch::ef(200));
    searcher.search(shape.queries.row(0), 10).unwrap();
    let search_all = || {
        for i in 0..1_000 {
            searcher.params_mut().ef = [10, 64, 200, 33][i % 4];
            assert_eq!(
                searcher.search(shape.queries.row(i % shape.queries.len()), 1 + i % 10).unwrap().len(),
                1 + i % 10
            );
        }
    };
    ALLOCATOR.measure(search_all).0.allocations
}

#[test]
fn a_search_allocates_nothing_after_the_first() {
    use FlatStore as Flat;
    assert_eq!(allocations_of_searches(|rows| Flat::<f32>::from_rows(rows, Metric::L2)), 0);
    assert_eq!(allocations_of_searches(|rows| Flat::<f32>::from_rows(rows, Metric::Cosine)), 0);
    assert_eq!(allocations_of_searches(|rows| Flat::<u8>::from_rows(rows, Metric::L2)), 0);
    assert_eq!(allocations_of_searches(|rows| Flat::<half::f16>::from_rows(rows, Metric::InnerProduct)), 0);
    assert_eq!(allocations_of_searches(|rows| SplitStore::from_rows(rows, Metric::Cosine)), 0);
}

#[test]
fn a_search_of_blocks_allocates_nothing_after_the_first() {
    let set = portable::mix128(2_000, 20);
    for metric in [Metric::L2, Metric::Cosine] {
        let store = FlatStore::<f32>::from_rows(set.base.view(), metric).unwrap();
        let graph = Hnsw::builder().m(8).ef_construction(40).par(Par::Serial).build(store).unwrap();
        let codec = NodeRabitq::train(set.base.view(), metric, &NodeRabitqParams::default()).unwrap();
        let index = BlockHnsw::new(graph, codec, Par::Serial).unwrap();
        let mut searcher = Searcher::new(&index, BlockSearch::ef(200));
        searcher.search(set.queries.row(0), 10).unwrap();
        let search_all = || {
            for i in 0..400 {
                searcher.params_mut().walk.ef = [10, 64, 200, 33][i % 4];
                assert_eq!(searcher.search(set.queries.row(i % 20), 1 + i % 10).unwrap().len(), 1 + i % 10);
            }
        };
        assert_eq!(ALLOCATOR.measure(search_all).0.allocations, 0, "{metric}");
    }
}

#[test]
fn a_filtered_search_allocates_nothing_once_it_has_seen_the_like() {
    let set = portable::mix128(2_000, 20);
    let store = FlatStore::<f32>::from_rows(set.base.view(), set.metric).unwrap();
    let hnsw = Hnsw::builder().m(8).ef_construction(40).par(Par::Serial).build(store).unwrap();
    let mut searcher = Searcher::new(&hnsw, HnswSearch::ef(50));
    let mut search_all = || {
        for query in set.queries.rows() {
            for one_in in [2, 10, 100] {
                searcher.search_filtered(query, 10, &Predicate(|id| id % one_in == 0)).unwrap();
            }
        }
    };
    search_all();
    assert_eq!(ALLOCATOR.measure(search_all).0.allocations, 0);
}

#[test]
fn searching_rows_of_a_user_allocates_nothing() {
    let store = SpaceStore::<u32, _>::from_rows(0..500, |a: &u32, b: &u32| a.abs_diff(*b) as f32).unwrap();
    let hnsw = Hnsw::builder().m(8).par(Par::Serial).build(store).unwrap();
    let mut searcher = Searcher::new(&hnsw, HnswSearch::ef(50));
    let mut found = || (0..500).filter(|query| searcher.search(query, 5).unwrap()[0].id == *query).count();
    // Lists of a line differ in length: the longest of each search must have been met.
    found();
    let (seen, found) = ALLOCATOR.measure(found);
    assert_eq!((seen.allocations, found), (0, 500));
}

#[test]
fn links_take_at_most_a_tenth_more_than_layer_0() {
    // Buffers of 2 MiB and more are whole huge pages, which so many rows fill to 98 %.
    let base = uniform_cube(32_000, 6, 3).base;
    for m in [16, 32] {
        let store = FlatStore::<f32>::from_rows(base.view(), Metric::L2).unwrap();
        let hnsw = Hnsw::builder().m(m).ef_construction(m).build(store).unwrap();
        let per_row = hnsw.memory_usage().structure as f64 / 32_000.0;
        let bound = 1.1 * (4 * hnsw.params().m0()) as f64;
        assert!(per_row <= bound, "m {m}: {per_row} bytes per row, at most {bound}");
    }
}

#[test]
fn memory_usage_is_what_was_allocated() {
    // Small enough for every buffer to come from the allocator.
    let base = uniform_cube(6_000, 16, 3).base;
    let (seen, hnsw) = ALLOCATOR.measure(|| {
        let store = FlatStore::<f32>::from_rows(base.view(), Metric::L2).unwrap();
        Hnsw::builder().m(8).ef_construction(24).par(Par::Serial).build(store).unwrap()
    });
    let (said, held) = (hnsw.memory_usage().total() as f64, seen.bytes as f64);
    assert!((said / held - 1.0).abs() <= 0.1, "{said} bytes said, {held} held");
    let (freed, ()) = ALLOCATOR.measure(|| drop(hnsw));
    assert_eq!(freed.bytes, -seen.bytes);
}

#[cfg(feature = "persist")]
#[test]
fn a_search_on_disk_allocates_nothing_after_the_first() {
    use ann_graph::{DiskGraph, DiskSearch, HnswParams};
    use ann_io::container::{self, OpenMode};
    let set = portable::mix128(2_000, 20);
    let store = FlatStore::<f32>::from_rows(set.base.view(), set.metric).unwrap();
    let graph = Hnsw::builder().params(HnswParams::vamana(16)).par(Par::Serial).build(store.clone()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index");
    DiskGraph::write(&path, graph.hierarchy(), &store, &store).unwrap();
    let index: DiskGraph<FlatStore<f32>> = container::load(&path, OpenMode::OnDemand).unwrap();
    let index = index.with_cache(100_000).unwrap();
    let mut searcher = Searcher::new(&index, DiskSearch { ef: 200, beam: 4 });
    searcher.search(set.queries.row(0), 10).unwrap();
    let search_all = || {
        for i in 0..400 {
            *searcher.params_mut() = DiskSearch { ef: [10, 64, 200, 33][i % 4], beam: 1 + i % 4 };
            assert_eq!(searcher.search(set.queries.row(i % 20), 1 + i % 10).unwrap().len(), 1 + i % 10);
        }
    };
    assert_eq!(ALLOCATOR.measure(search_all).0.allocations, 0);
}

/// Rows of a mapped file and their codes are the caller's; what a build in shards holds of its own stays within the budget, but for
/// what does not grow with the rows.
#[cfg(feature = "persist")]
#[test]
fn a_build_within_a_budget_takes_no_more() {
    use ann_graph::{DiskBuilder, HnswParams};
    // Memory from 2 MiB on does not come from the allocator that counts.
    let set = portable::mix128(3_600, 1);
    let store = FlatStore::<f32>::from_rows(set.base.view(), set.metric).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index");
    let peak = |budget: u64| {
        let params = HnswParams { ef_construction: 40, ..HnswParams::vamana(16) };
        let build = DiskBuilder::new(params).budget(budget).par(Par::Serial);
        ALLOCATOR.measure(|| build.build(&path, &store, &store).unwrap()).0.peak
    };
    let (most, fixed) = (800_000, 800_000);
    let (whole, shards) = (peak(u64::MAX), peak(most));
    assert!(shards as u64 <= most + fixed, "{shards} bytes");
    assert!(whole as u64 > most + fixed, "{whole} bytes: the budget has to matter");
}
