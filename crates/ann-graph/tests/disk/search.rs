//! Searches: exact distances, filters, hostile rows, and that it does not matter where the pages come from.

use crate::support::{Coded, Plain, codes, file, graph, measured, open, open_from, plain, store, vamana, workload};
use ann_core::{
    Exact, Index, Matrix, Metric, Neighbor, Par, Predicate, Searcher, VectorError, VectorStore, search_batch,
};
use ann_graph::{DiskGraph, DiskSearch};
use ann_io::container::{self, OpenMode};
use ann_testkit::{portable, shapes};

fn everything(len: usize) -> DiskSearch {
    DiskSearch { ef: len, beam: 3 }
}

/// Rows that the metric is defined on.
fn fitting(rows: &Matrix<f32>, metric: Metric) -> Matrix<f32> {
    let fits = |row: &&[f32]| metric != Metric::Cosine || row.iter().any(|&x| x != 0.0);
    Matrix::from_rows(&rows.rows().filter(fits).collect::<Vec<_>>()).unwrap()
}

#[test]
fn a_wide_search_of_every_shape_is_exact_to_the_bit() {
    for shape in shapes::hostile(500, 11, 5) {
        for &metric in shape.metrics {
            let (base, queries) = (fitting(&shape.base, metric), fitting(&shape.queries, metric));
            let index: Plain = open(&plain(&base, metric)).unwrap();
            let exact = Exact::new(store(base.view(), metric));
            let (mut all, mut truth) = (Searcher::new(&index, everything(base.len())), Searcher::new(&exact, ()));
            for query in queries.rows().take(5) {
                for k in [1, 7, base.len(), 2 * base.len()] {
                    let (found, truth) = (all.search(query, k).unwrap(), truth.search(query, k).unwrap());
                    if metric == Metric::Cosine {
                        // Rows that a store has normalised are normalised once more when they are written.
                        let near = |(a, b): (&Neighbor, &Neighbor)| (a.distance - b.distance).abs() < 1e-6;
                        assert!(found.len() == truth.len() && found.iter().zip(truth).all(near), "{}", shape.name);
                    } else {
                        assert_eq!(found, truth, "{} under {metric}", shape.name);
                    }
                }
            }
        }
    }
}

#[test]
fn a_narrow_search_of_every_shape_finds_min_of_k_and_rows() {
    for shape in shapes::hostile(700, 9, 8) {
        let index: Plain = open(&plain(&shape.base, Metric::L2)).unwrap();
        let mut searcher = Searcher::new(&index, DiskSearch { ef: 1, beam: 1 });
        for query in shape.queries.rows().take(10) {
            for k in [0, 1, 40, 700, 701, usize::MAX] {
                let found = searcher.search(query, k).unwrap();
                assert_eq!(found.len(), k.min(700), "{}", shape.name);
                assert!(found.is_sorted() && found.windows(2).all(|two| two[0].id != two[1].id));
            }
        }
    }
}

#[test]
fn no_rows_one_row_and_two_rows_are_searched() {
    let both = Matrix::from_rows(&[[0.0, 1.0], [3.0, 1.0]]).unwrap();
    for n in [0, 1, 2] {
        let rows = Matrix::new(both.as_slice()[..2 * n].to_vec(), 2).unwrap();
        let index: Plain = open(&plain(&rows, Metric::L2)).unwrap();
        let index = index.with_cache(if n == 2 { 1 << 20 } else { 0 }).unwrap();
        assert_eq!((index.len(), index.dim(), index.metric()), (n, 2, Metric::L2));
        let mut searcher = Searcher::new(&index, DiskSearch { ef: 0, beam: 0 });
        let expected = [Neighbor::new(0, 1.0), Neighbor::new(1, 4.0)];
        assert_eq!(searcher.search(&[1.0, 1.0], 7).unwrap(), &expected[..n]);
        assert_eq!(searcher.search(&[1.0, 1.0], 1).unwrap(), &expected[..n.min(1)]);
        assert_eq!(searcher.search(&[1.0], 1), Err(VectorError::Dimension { expected: 2, found: 1 }));
        assert!(matches!(searcher.search(&[1.0, f32::NAN], 1), Err(VectorError::NonFinite { .. })));
    }
}

#[test]
fn rows_longer_than_a_page_are_found() {
    let rows = portable::spec256(300, 1).base;
    let long: Vec<f32> =
        (0..300).flat_map(|i| (0..5).flat_map(move |_| [i])).flat_map(|i| rows.row(i).to_vec()).collect();
    let long = Matrix::new(long, 5 * 256).unwrap();
    let index: Plain = open(&plain(&long, Metric::L2)).unwrap();
    assert_eq!(index.pages(), (8192, 300));
    let mut searcher = Searcher::new(&index, DiskSearch { ef: 30, beam: 4 });
    for (row, vector) in (0..).zip(long.rows()) {
        assert_eq!(searcher.search(vector, 1).unwrap(), [Neighbor::new(row, 0.0)]);
    }
}

/// Memory, a file, a map, any number of threads and queries at once: the same neighbours and the same reads.
#[test]
fn it_does_not_matter_where_pages_come_from_or_who_reads_them() {
    let set = portable::mix128(3_000, 40);
    let graph = graph(&set.base, set.metric, vamana(24, 50));
    let codes = codes(set.base.view(), set.metric, 16);
    let bytes = file(&graph, &codes);
    assert!(bytes == file(&graph, &codes), "the same graph gives the same file");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index");
    std::fs::write(&path, &bytes).unwrap();
    let load = |mode| container::load::<Coded>(&path, mode).unwrap();
    let indexes = [
        open(&bytes).unwrap(),
        load(OpenMode::OnDemand),
        load(OpenMode::Read),
        load(OpenMode::Map),
        load(OpenMode::OnDemand).with_threads(1).unwrap(),
        load(OpenMode::OnDemand).with_threads(5).unwrap(),
    ];
    for filter in [None, Some(3)] {
        let accepts = Predicate(|id: u32| filter.is_none_or(|every| !id.is_multiple_of(every)));
        let params = DiskSearch { ef: 40, beam: 4 };
        let search = |index: &Coded, par| search_batch(index, set.queries.view(), 10, &params, &accepts, par).unwrap();
        let expected = search(&indexes[0], Par::Serial);
        assert!(expected.stats().reads > 0);
        for index in &indexes {
            assert_eq!(search(index, Par::Threads(3)), expected);
        }
    }
    let mut again = Vec::new();
    container::Writer::of(&indexes[1]).unwrap().write_to(&mut again).unwrap();
    assert!(again == bytes, "an index that is saved again gives the same file");
}

#[test]
fn cached_nodes_save_reads_and_hold_no_more_than_their_budget() {
    let work = workload(portable::mix128(4_000, 100));
    let graph = graph(&work.base, work.metric, vamana(24, 50));
    let bytes = file(&graph, &codes(work.base.view(), work.metric, 32));
    let mut before = (0.0, f64::INFINITY);
    for (budget, most) in [(0, 0), (40_000, 60), (400_000, 700), (usize::MAX / 2, 4_000)] {
        let index: Coded = open(&bytes).unwrap();
        let without = index.memory_usage().structure;
        let index = index.with_cache(budget).unwrap();
        assert!(index.cached() <= most && index.memory_usage().structure - without <= budget, "{}", index.cached());
        let found = measured(&work, &index, 40, 2);
        assert!(found.1 < before.1 && found.0 > before.0 - 0.01, "{budget}: {found:?} after {before:?}");
        before = found;
    }
    assert_eq!(before.1, 0.0, "all nodes are in memory");
}

#[test]
fn wider_beams_find_as_much_with_few_more_reads() {
    let work = workload(portable::mix128(4_000, 100));
    let graph = graph(&work.base, work.metric, vamana(24, 50));
    let index: Coded = open(&file(&graph, &codes(work.base.view(), work.metric, 32))).unwrap();
    let one = measured(&work, &index, 40, 1);
    for (beam, more) in [(2, 1.06), (4, 1.15), (8, 1.3)] {
        let found = measured(&work, &index, 40, beam);
        assert!(found.0 >= one.0 - 0.003 && found.1 < more * one.1, "{beam}: {found:?}, one by one {one:?}");
    }
}

#[test]
fn filters_give_min_of_k_and_matches_and_few_of_them_take_few_reads() {
    let set = portable::mix128(6_000, 60);
    let graph = graph(&set.base, set.metric, vamana(24, 50));
    let index: Coded = open(&file(&graph, &codes(set.base.view(), set.metric, 32))).unwrap();
    let exact = Exact::new(store(set.base.view(), set.metric));
    let mut truth = Searcher::new(&exact, ());
    // With so small a frontier the walk through half of all is cheaper than all codes.
    let mut narrow = Searcher::new(&index, DiskSearch { ef: 2, beam: 2 });
    for query in set.queries.rows() {
        let most = Predicate(|id: u32| !id.is_multiple_of(10));
        let (found, truth) = (narrow.search_filtered(query, 2, &most).unwrap(), truth.search(query, 2).unwrap());
        assert!(found.len() == 2 && found.iter().all(|n| n.id % 10 != 0) && found[0] >= truth[0]);
        assert!(narrow.stats().hops > 0);
    }
    let mut searcher = Searcher::new(&index, DiskSearch { ef: 60, beam: 4 });
    for every in [1, 2, 3, 10, 100, 1_000, 5_999, 10_000] {
        let accepts = Predicate(|id: u32| id % every == every / 2);
        let (mut hits, mut wanted, mut reads) = (0, 0, 0);
        for query in set.queries.rows() {
            let truth = truth.search_filtered(query, 10, &accepts).unwrap();
            let found = searcher.search_filtered(query, 10, &accepts).unwrap();
            assert_eq!(found.len(), truth.len());
            assert!(found.iter().all(|n| n.id % every == every / 2) && found.is_sorted());
            hits += found.iter().filter(|n| truth.contains(n)).count();
            wanted += truth.len();
            reads += searcher.stats().reads;
        }
        assert!(hits as f64 >= 0.98 * wanted as f64, "one of {every}: {hits} of {wanted}");
        assert!(reads as f64 / 60.0 < 130.0, "one of {every}: {reads} reads in 60 queries");
    }
    assert_eq!(searcher.search_filtered(set.queries.row(0), 10, &Predicate(|_| false)).unwrap(), []);
    assert_eq!(searcher.stats().reads, 0);
}

/// Where the sample says that walking is cheaper, and the walk meets nothing that is accepted for a long time.
#[test]
fn a_filtered_walk_that_meets_little_gives_up_and_compares_codes() {
    let line = Matrix::new((0..4_000).map(|i| i as f32).collect(), 1).unwrap();
    let index: Plain = open(&plain(&line, Metric::L2)).unwrap();
    let mut searcher = Searcher::new(&index, DiskSearch { ef: 2, beam: 2 });
    for (query, first) in [(0.0, 1_000), (900.0, 1_000), (3_000.2, 3_000)] {
        let far = Predicate(|id: u32| id >= 1_000);
        let found = searcher.search_filtered(&[query], 2, &far).unwrap();
        assert_eq!(found.iter().map(|n| n.id).collect::<Vec<_>>(), [first, first + 1]);
        assert!((1..20).contains(&searcher.stats().hops), "{:?}", searcher.stats());
    }
}

#[test]
fn a_graph_of_many_layers_is_searched_on_the_lowest() {
    let work = workload(portable::spec256(2_000, 50));
    for metric in [Metric::InnerProduct, Metric::Cosine, Metric::L2] {
        let store = store(work.base.view(), metric);
        let hnsw = ann_graph::Hnsw::builder().m(16).build(store.clone()).unwrap();
        let index: DiskGraph<_> = open_from::<Coded>(file(&hnsw, &codes(work.base.view(), metric, 64))).unwrap();
        let (recall, _) = measured(&work, &index, 80, 4);
        assert!(recall > 0.95, "{metric}: {recall}");
        assert!(index.codes().len() == 2_000);
    }
}
