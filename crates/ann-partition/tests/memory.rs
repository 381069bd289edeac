//! A search of lists allocates nothing after the first.

#![allow(clippy::unwrap_used)]

use ann_core::simd::CountingAllocator;
use ann_core::{FlatStore, Index, Matrix, Metric, Monitor, Par, Predicate, RowSet, Searcher};
use ann_partition::{Ivf, IvfParams, IvfSearch, ListCode, NoRows};
use ann_testkit::shapes::integral;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

const LISTS: usize = 150;

fn allocations(index: &impl Index<Vector = [f32], Params = IvfSearch>, queries: &Matrix<f32>) -> u64 {
    let few: RowSet = (0..3_000).step_by(40).collect();
    let mut searcher = Searcher::new(index, IvfSearch { nprobe: LISTS, ..IvfSearch::default() });
    // The widest searches come first: through all lists, beyond them, and through no list at all.
    searcher.search(queries.row(0), 100).unwrap();
    searcher.params_mut().nprobe = 1;
    searcher.search_filtered(queries.row(0), 100, &Predicate(|id| id % 100 == 0)).unwrap();
    searcher.search_filtered(queries.row(0), 100, &few).unwrap();
    let search_all = || {
        for i in 0..120 {
            let (query, k) = (queries.row(i % queries.len()), 1 + i % 60);
            searcher.params_mut().nprobe = [1, 8, 100][i % 3];
            assert_eq!(searcher.search(query, k).unwrap().len(), k);
            assert_eq!(searcher.search_filtered(query, k, &Predicate(|id| id % 3 == 0)).unwrap().len(), k);
            assert_eq!(searcher.search_filtered(query, k, &Predicate(|id| id % 200 == 0)).unwrap().len(), k.min(15));
            assert_eq!(searcher.search_filtered(query, k, &few).unwrap().len(), k);
        }
    };
    ALLOCATOR.measure(search_all).0.allocations
}

#[test]
fn a_search_allocates_nothing_after_the_first() {
    let shape = integral(3_000, 24, 1);
    let pq = |nbits| ListCode::Pq { m: 12, nbits, rotate: None, eta: None };
    for metric in [Metric::L2, Metric::Cosine, Metric::InnerProduct] {
        for (code, soar) in [
            (ListCode::Rows, None),
            (ListCode::Rabitq { bits: 2 }, None),
            (pq(4), Some(1.0)),
            (pq(8), None),
            (ListCode::Rows, Some(1.0)),
        ] {
            let params = IvfParams { nlist: LISTS, code, soar, iterations: 2, ..IvfParams::default() };
            let store = FlatStore::<u8>::from_rows(shape.base.view(), metric).unwrap();
            let index = Ivf::build(store, shape.base.view(), metric, &params, Par::Serial, Monitor::new()).unwrap();
            assert_eq!(allocations(&index, &shape.queries), 0, "{metric} {code:?}");
            if code == ListCode::Rows {
                continue;
            }
            let store = NoRows::new(24, metric).unwrap().with_len(3_000);
            let index = Ivf::build(store, shape.base.view(), metric, &params, Par::Serial, Monitor::new()).unwrap();
            assert_eq!(allocations(&index, &shape.queries), 0, "{metric} {code:?}, no rows");
        }
    }
}
