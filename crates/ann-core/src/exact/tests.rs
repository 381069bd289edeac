use super::*;
use crate::distance::{L1, Levenshtein};
use crate::{All, Matrix, Predicate, Searcher, SortedIds, SpaceStore, split_mix, unit};

/// Values in -1..1, or small integers with many ties.
fn matrix(n: usize, dim: usize, seed: u64, integral: bool) -> Matrix<f32> {
    let value = |i: usize| {
        let x = unit(split_mix(seed, i as u64)) as f32;
        if integral { (x * 5.0).floor() } else { 2.0 * x - 1.0 }
    };
    Matrix::new((0..n * dim).map(value).collect(), dim).unwrap()
}

/// Every row, one oracle call each, sorted.
fn naive<S: VectorStore>(store: &S, query: &S::Vector, k: usize, filter: &impl Filter) -> Vec<Neighbor> {
    let mut scratch = S::Scratch::default();
    let oracle = store.oracle(query, &mut scratch);
    let accepted = (0..store.len() as u32).filter(|&id| filter.accepts(id));
    let mut all: Vec<_> = accepted.map(|id| Neighbor::new(id, oracle.distance(id))).collect();
    all.sort();
    all.truncate(k);
    all
}

fn pairs(found: &[Neighbor]) -> Vec<(u32, u32)> {
    found.iter().map(|n| (n.id, n.distance.to_bits())).collect()
}

fn every_door_finds_what_a_loop_finds<T: Scalar>(rows: &Matrix<f32>, queries: &Matrix<f32>, metric: Metric) {
    let index = Exact::new(FlatStore::<T>::from_rows(rows.view(), metric).unwrap());
    let (n, mut searcher) = (rows.len(), Searcher::new(&index, ()));
    let listed: Vec<&[f32]> = queries.rows().collect();
    for k in [0, 1, 3, n, n + 5] {
        let batch = index.search_batch(queries.view(), k, &All, Par::Serial).unwrap();
        let each = index.search_each(&listed, k, &All, Par::Serial).unwrap();
        assert_eq!(batch.len(), queries.len());
        for (i, query) in listed.iter().enumerate() {
            let expected = pairs(&naive(index.store(), query, k, &All));
            let what = format!("{metric} on {}, n {n}, dim {}, k {k}, query {i}", T::NAME, rows.dim());
            assert_eq!(pairs(searcher.search(query, k).unwrap()), expected, "{what}");
            assert_eq!(pairs(batch.get(i)), expected, "{what}, batch");
            assert_eq!(pairs(each.get(i)), expected, "{what}, each");
        }
    }
}

#[test]
fn every_door_finds_what_a_loop_finds_on_hostile_shapes() {
    for (n, dim) in [(1, 1), (2, 3), (15, 7), (130, 17), (300, 64), (700, 5)] {
        for integral in [false, true] {
            let (rows, queries) = (matrix(n, dim, 1, integral), matrix(19, dim, 2, integral));
            for metric in [Metric::L2, Metric::InnerProduct, Metric::L1] {
                every_door_finds_what_a_loop_finds::<f32>(&rows, &queries, metric);
                if integral {
                    every_door_finds_what_a_loop_finds::<u8>(&rows, &queries, metric);
                    every_door_finds_what_a_loop_finds::<half::bf16>(&rows, &queries, metric);
                }
            }
            if !integral {
                every_door_finds_what_a_loop_finds::<f32>(&rows, &queries, Metric::Cosine);
            }
        }
    }
}

#[test]
fn rows_that_are_all_equal_come_in_the_order_of_their_ids() {
    let rows = Matrix::new(vec![0.3; 500 * 8], 8).unwrap();
    let index = Exact::new(FlatStore::<f32>::from_rows(rows.view(), Metric::L2).unwrap());
    let queries = matrix(3, 8, 3, false);
    let batch = index.search_batch(queries.view(), 40, &All, Par::Ambient).unwrap();
    let truth = index.ground_truth(queries.view(), 40, Par::Ambient).unwrap();
    for i in 0..3 {
        assert!(batch.get(i).iter().map(|n| n.id).eq(0..40));
        assert!(truth.ids(i).iter().copied().eq(0..40));
    }
}

#[test]
fn duplicates_of_the_query_come_first_in_the_order_of_their_ids() {
    let mut rows = matrix(400, 9, 4, false);
    let query = matrix(1, 9, 5, false);
    for id in [399, 7, 129, 250] {
        rows.as_mut_slice()[id * 9..][..9].copy_from_slice(query.as_slice());
    }
    let index = Exact::new(FlatStore::<f32>::from_rows(rows.view(), Metric::L2).unwrap());
    let truth = index.ground_truth(query.view(), 4, Par::Serial).unwrap();
    assert_eq!((truth.ids(0), truth.distances(0)), (&[7, 129, 250, 399][..], &[0.0; 4][..]));
}

#[test]
fn empty_stores_and_empty_batches_find_nothing() {
    let index = Exact::new(FlatStore::<f32>::new(4, Metric::L2).unwrap());
    let queries = matrix(3, 4, 1, false);
    let truth = index.ground_truth(queries.view(), 10, Par::Ambient).unwrap();
    assert_eq!((truth.k, truth.ids.len()), (0, 0));
    let batch = index.search_batch(queries.view(), 10, &All, Par::Ambient).unwrap();
    assert!(batch.len() == 3 && batch.iter().all(<[_]>::is_empty));
    assert!(Searcher::new(&index, ()).search(queries.row(0), 10).unwrap().is_empty());

    let index = Exact::new(FlatStore::<f32>::from_rows(queries.view(), Metric::L2).unwrap());
    let none = Matrix::new(Vec::new(), 4).unwrap();
    assert!(index.search_batch(none.view(), 10, &All, Par::Ambient).unwrap().is_empty());
    assert!(index.ground_truth(none.view(), 10, Par::Ambient).unwrap().is_empty());
    assert_eq!(index.ground_truth(queries.view(), 0, Par::Ambient).unwrap().k, 0);
    assert_eq!(index.ground_truth(queries.view(), 10, Par::Ambient).unwrap().k, 3);
}

#[test]
fn results_are_the_same_on_any_number_of_threads() {
    let (rows, queries) = (matrix(600, 24, 6, false), matrix(150, 24, 7, false));
    let index = Exact::new(FlatStore::<f32>::from_rows(rows.view(), Metric::Cosine).unwrap());
    let third = Predicate(|id| id % 3 == 0);
    let alone = index.search_batch(queries.view(), 10, &third, Par::Serial).unwrap();
    let truth = index.ground_truth(queries.view(), 10, Par::Serial).unwrap();
    for threads in [1, 2, 8] {
        let par = Par::Threads(threads);
        assert_eq!(index.search_batch(queries.view(), 10, &third, par).unwrap(), alone);
        assert_eq!(index.ground_truth(queries.view(), 10, par).unwrap(), truth);
    }
}

#[test]
fn filters_are_honoured_by_every_door() {
    let (rows, queries) = (matrix(300, 6, 8, true), matrix(20, 6, 9, true));
    let index = Exact::new(FlatStore::<f32>::from_rows(rows.view(), Metric::L2).unwrap());
    let listed: Vec<&[f32]> = queries.rows().collect();
    for accepted in [vec![], vec![299], vec![0, 5, 127, 128, 129, 256, 299], (0..300).step_by(2).collect()] {
        let filter = SortedIds::new(&accepted).unwrap();
        let batch = index.search_batch(queries.view(), 9, &filter, Par::Serial).unwrap();
        let each = index.search_each(&listed, 9, &filter, Par::Serial).unwrap();
        let mut searcher = Searcher::new(&index, ());
        for (i, query) in listed.iter().enumerate() {
            let expected = pairs(&naive(index.store(), query, 9, &filter));
            assert_eq!(expected.len(), accepted.len().min(9));
            assert_eq!(pairs(batch.get(i)), expected);
            assert_eq!(pairs(each.get(i)), expected);
            assert_eq!(pairs(searcher.search_filtered(query, 9, &filter).unwrap()), expected);
            assert_eq!(searcher.stats().evaluations, accepted.len() as u64);
        }
    }
}

#[test]
fn ground_truth_is_ranked_in_f64() {
    // Far from the origin, f32 sums of squares are too coarse to order near neighbours by inner product.
    let dim = 64;
    let mut rows = matrix(200, dim, 10, false);
    rows.as_mut_slice().iter_mut().for_each(|x| *x = 1000.0 + *x * 1e-3);
    let query = Matrix::new(vec![1000.0; dim], dim).unwrap();
    for metric in [Metric::L2, Metric::InnerProduct, Metric::L1] {
        let index = Exact::new(FlatStore::<f32>::from_rows(rows.view(), metric).unwrap());
        let mut expected: Vec<(f64, u32)> = (0..200)
            .map(|id| {
                let pairs = rows.row(id).iter().map(|&x| (1000.0f64, f64::from(x)));
                let distance: f64 = match metric {
                    Metric::L2 => pairs.map(|(q, x)| (q - x) * (q - x)).sum(),
                    Metric::L1 => pairs.map(|(q, x)| (q - x).abs()).sum(),
                    _ => -pairs.map(|(q, x)| q * x).sum::<f64>(),
                };
                (distance, id as u32)
            })
            .collect();
        expected.sort_by(|a, b| a.0.total_cmp(&b.0));
        let truth = index.ground_truth(query.view(), 190, Par::Serial).unwrap();
        let ids: Vec<u32> = expected.iter().map(|&(_, id)| id).take(190).collect();
        assert_eq!(truth.ids(0), ids, "{metric}");
        let first = metric.reported(expected[0].0 as f32);
        assert!((truth.distances(0)[0] - first).abs() <= first.abs() * 1e-6, "{metric}");
    }
}

#[test]
fn ground_truth_under_cosine_is_one_minus_the_cosine() {
    let rows = Matrix::from_rows(&[[3.0, 4.0], [-1.0, 0.0], [8.0, 6.0]]).unwrap();
    let queries = Matrix::from_rows(&[[2.0, 0.0]]).unwrap();
    let index = Exact::new(FlatStore::<f32>::from_rows(rows.view(), Metric::Cosine).unwrap());
    let truth = index.ground_truth(queries.view(), 3, Par::Serial).unwrap();
    assert_eq!(truth.ids, [2, 0, 1]);
    for (found, expected) in truth.distances.iter().zip([0.2, 0.4, 2.0]) {
        assert!((found - expected).abs() < 1e-6);
    }
}

#[test]
fn a_query_that_does_not_fit_is_named_by_its_row() {
    let index = Exact::new(FlatStore::<f32>::from_rows(matrix(5, 3, 1, false).view(), Metric::L2).unwrap());
    let queries = Matrix::from_rows(&[[0.0, 1.0, 2.0], [0.0, f32::NAN, 2.0]]).unwrap();
    let error = index.search_batch(queries.view(), 1, &All, Par::Ambient).unwrap_err();
    assert_eq!(error.to_string(), "row 1: column 1 is NaN, expected a finite number");
    assert_eq!(index.ground_truth(queries.view(), 1, Par::Ambient).unwrap_err().row, 1);
    let mut out = vec![Neighbor::new(0, 0.0)];
    let wrong = index.search_with(&[1.0], 1, &(), &All, &mut ExactScratch::default(), &mut out);
    assert_eq!(wrong, Err(VectorError::Dimension { expected: 3, found: 1 }));
    assert!(out.is_empty());
}

#[test]
fn rows_of_any_type_are_searched_in_batches() {
    let words: Vec<String> = (0..300u32).map(|i| format!("{:b}", i * 37 % 512)).collect();
    let index = Exact::new(SpaceStore::<str, _>::from_rows(words.clone(), Levenshtein).unwrap());
    let queries = &words[..70];
    let batch = index.search_each(queries, 4, &All, Par::Threads(3)).unwrap();
    assert_eq!(batch, index.search_each(queries, 4, &All, Par::Serial).unwrap());
    for (i, query) in queries.iter().enumerate() {
        assert_eq!(pairs(batch.get(i)), pairs(&naive(index.store(), query, 4, &All)));
        assert_eq!(batch.get(i)[0].distance, 0.0);
    }
}

#[test]
fn rows_infinitely_far_are_found_when_nothing_is_nearer() {
    let rows = [vec![f64::MAX], vec![0.0], vec![-f64::MAX]];
    let index = Exact::new(SpaceStore::<[f64], _>::from_rows(rows, L1).unwrap());
    let mut searcher = Searcher::new(&index, ());
    let found = searcher.search(&[1.0], 3).unwrap();
    assert_eq!(found.iter().map(|n| n.id).collect::<Vec<_>>(), [1, 0, 2]);
    assert_eq!(found[2].distance, f32::INFINITY);
}
