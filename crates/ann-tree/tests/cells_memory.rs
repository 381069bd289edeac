//! A search in a forest or a k-means tree allocates nothing after the first.

#![allow(clippy::unwrap_used)]

use ann_core::simd::CountingAllocator;
use ann_core::{FlatStore, Index, Metric, Monitor, Par, Predicate, Searcher};
use ann_testkit::shapes::integral;
use ann_tree::{KMeansTree, KMeansTreeParams, RpForest, RpForestParams, TreeSearch};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

fn allocations(index: &impl Index<Vector = [f32], Params = TreeSearch>, queries: &ann_core::Matrix<f32>) -> u64 {
    let mut searcher = Searcher::new(index, TreeSearch::checks(usize::MAX));
    // The widest of all searches comes first.
    searcher.search(queries.row(0), 100).unwrap();
    let search_all = || {
        for i in 0..300 {
            let (query, k) = (queries.row(i % queries.len()), 1 + i % 60);
            searcher.params_mut().checks = [Some(50), Some(500), None][i % 3];
            assert_eq!(searcher.search(query, k).unwrap().len(), k);
            searcher.search_filtered(query, k, &Predicate(|id| id % 3 == 0)).unwrap();
        }
    };
    ALLOCATOR.measure(search_all).0.allocations
}

#[test]
fn a_search_allocates_nothing_after_the_first() {
    let shape = integral(3_000, 24, 1);
    for metric in [Metric::L2, Metric::Cosine, Metric::InnerProduct] {
        let store = || FlatStore::<u8>::from_rows(shape.base.view(), metric);
        let forest = RpForestParams { trees: 4, leaf: 20, ..RpForestParams::default() };
        let forest = RpForest::build(store().unwrap(), forest, Par::Serial, Monitor::new()).unwrap();
        assert_eq!(allocations(&forest, &shape.queries), 0, "{metric}");
        let tree = KMeansTree::build(store().unwrap(), KMeansTreeParams::default(), Par::Serial, Monitor::new());
        assert_eq!(allocations(&tree.unwrap(), &shape.queries), 0, "{metric}");
    }
}
