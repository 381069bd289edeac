//! Queries of a batch find what they find alone, at the same cost.

#![allow(clippy::unwrap_used)] // helpers outside of test functions, too

use ann_core::{
    All, Batch, Filter, FlatStore, Index, Limits, Matrix, Metric, Monitor, Par, Predicate, RowSet, SplitStore,
    search_batch, split_mix, unit,
};
use ann_partition::{Ivf, IvfParams, IvfScratch, IvfSearch, ListCode, ListRows, NoRows};
use proptest::prelude::*;

const ROWS: usize = 700;
const DIM: usize = 24;

fn rows(n: usize, seed: u64) -> Matrix<f32> {
    let value = |i: usize| unit(split_mix(seed, i as u64)) as f32 - 0.5;
    let centre = |row: usize, j: usize| unit(split_mix(7, (row % 9 * DIM + j) as u64)) as f32;
    Matrix::new((0..n * DIM).map(|i| value(i) + centre(i / DIM, i % DIM)).collect(), DIM).unwrap()
}

fn alone<S: ListRows>(
    index: &Ivf<S>,
    queries: &Matrix<f32>,
    k: usize,
    search: &IvfSearch,
    filter: &impl Filter,
) -> Batch {
    let (mut scratch, mut out, mut batch) = (IvfScratch::default(), Vec::new(), Batch::default());
    for query in queries.rows() {
        let stats = index.search_with(query, k, search, filter, &mut scratch, &mut out).unwrap();
        batch.push_with(&out, stats);
    }
    batch
}

fn agree<S: ListRows>(
    index: &Ivf<S>,
    queries: &Matrix<f32>,
    k: usize,
    search: &IvfSearch,
    filter: &(impl Filter + Sync),
) {
    let expected = alone(index, queries, k, search, filter);
    for par in [Par::Serial, Par::Threads(2)] {
        assert_eq!(search_batch(index, queries.view(), k, search, filter, par).unwrap(), expected, "{k} {search:?}");
    }
}

fn all_agree<S: ListRows>(index: &Ivf<S>, queries: &Matrix<f32>, k: usize, search: &IvfSearch, permille: u64) {
    let accepts = |id: u32| split_mix(5, u64::from(id)) % 1000 < permille;
    agree(index, queries, k, search, &All);
    agree(index, queries, k, search, &Predicate(accepts));
    agree(index, queries, k, search, &(0..ROWS as u32).filter(|&id| accepts(id)).collect::<RowSet>());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_batch_finds_what_its_queries_find_alone(
        seed in 0u64..1000, count in 1usize..300, k in 0usize..40, nprobe in 1usize..30, adaptive: bool,
        permille in prop_oneof![Just(0u64), 1..40u64, 500..1000u64], metric in 0usize..3, code in 0usize..4, soar: bool,
        rerank in prop_oneof![Just(None), (0usize..100).prop_map(Some)],
    ) {
        let (base, queries) = (rows(ROWS, seed), rows(count, seed + 1));
        let metric = [Metric::L2, Metric::Cosine, Metric::InnerProduct][metric];
        let pq = |m, nbits| ListCode::Pq { m, nbits, rotate: None, eta: None };
        let code = [ListCode::Rows, ListCode::Rabitq { bits: 2 }, pq(8, 4), pq(6, 8)][code];
        let soar = (soar && metric != Metric::InnerProduct && code != ListCode::Rows).then_some(1.0);
        let params = IvfParams { nlist: 29, code, soar, seed, ..IvfParams::default() };
        let search = IvfSearch { nprobe, adaptive, rerank, ..IvfSearch::default() };
        let build = |store| Ivf::build(store, base.view(), metric, &params, Par::Serial, Monitor::new());
        all_agree(&build(FlatStore::<f32>::from_rows(base.view(), metric).unwrap()).unwrap(), &queries, k, &search, permille);
        if code != ListCode::Rows {
            let bare = NoRows::new(DIM, metric).unwrap().with_len(ROWS);
            let index = Ivf::build(bare, base.view(), metric, &params, Par::Serial, Monitor::new()).unwrap();
            all_agree(&index, &queries, k, &search, permille);
        }
        let halves = SplitStore::from_rows(base.view(), metric).unwrap();
        let index = Ivf::build(halves, base.view(), metric, &params, Par::Serial, Monitor::new()).unwrap();
        let limits = Limits { evaluations: Some(permille), ..Limits::default() };
        all_agree(&index, &queries, k, &IvfSearch { limits, ..search }, permille);
    }
}

#[test]
fn the_query_that_does_not_fit_is_named() {
    let base = rows(ROWS, 1);
    let store = FlatStore::<f32>::from_rows(base.view(), Metric::L2).unwrap();
    let params = IvfParams { nlist: 16, code: ListCode::Rabitq { bits: 1 }, ..IvfParams::default() };
    let index = Ivf::build(store, base.view(), Metric::L2, &params, Par::Ambient, Monitor::new()).unwrap();
    let mut queries: Vec<f32> = rows(300, 2).rows().flatten().copied().collect();
    for bad in [299, 171, 170, 38] {
        queries[bad * DIM + 3] = f32::NAN;
        let queries = Matrix::new(queries.clone(), DIM).unwrap();
        for par in [Par::Serial, Par::Threads(3)] {
            let refused = search_batch(&index, queries.view(), 5, &IvfSearch::default(), &All, par).unwrap_err();
            assert_eq!(refused.row, bad);
        }
    }
}
