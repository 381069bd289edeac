//! What is found: everything where nothing limits a search, as many rows as match, on data of every shape.

use crate::support::{Tree, both, forest, ids, kmeans, store};
use ann_core::{All, Exact, Index, Matrix, Metric, Neighbor, Route, RowSet, Searcher, split_mix, unit};
use ann_testkit::shapes::{self, Shape};
use ann_tree::{KMeansTreeParams, RpForestParams, TreeSearch};

/// Every shape under each of its metrics; without zero rows under cosine, which a store refuses.
fn cases(n: usize, dim: usize) -> Vec<(String, Matrix<f32>, Matrix<f32>, Metric)> {
    let mut cases = Vec::new();
    for Shape { name, base, queries, metrics } in shapes::hostile(n, dim, 17) {
        for &metric in metrics {
            let [base, queries] = [&base, &queries].map(|rows| {
                let fits = |row: &&[f32]| metric != Metric::Cosine || row.iter().any(|&x| x != 0.0);
                Matrix::from_rows(&rows.rows().filter(fits).collect::<Vec<_>>()).unwrap()
            });
            cases.push((format!("{name} under {metric}"), base, queries, metric));
        }
    }
    cases
}

fn exact(rows: &Matrix<f32>, metric: Metric, query: &[f32], k: usize) -> Vec<Neighbor> {
    let exact = Exact::new(store(rows.view(), metric));
    Searcher::new(&exact, ()).search(query, k).unwrap().to_vec()
}

#[test]
fn a_search_without_limit_is_exact_on_every_shape() {
    let cases = cases(300, 9);
    assert!(cases.len() > 35, "{}", cases.len());
    for (context, base, queries, metric) in cases {
        for (name, tree) in both(base.view(), metric) {
            for query in queries.rows().take(6) {
                let (found, stats) = tree.search(query, 20, Some(usize::MAX));
                assert_eq!(found, exact(&base, metric, query, 20), "{name}, {context}");
                assert_eq!(stats.evaluations, base.len() as u64, "{name}, {context}: every row once");
            }
        }
    }
}

#[test]
fn equal_rows_and_rows_that_grow_by_factors_are_built_and_found() {
    let equal = Matrix::new(vec![0.25; 5_000 * 4], 4).unwrap();
    // Centres peel a few rows off at a time.
    let growing = Matrix::new((0..900).map(|i| 1.08f32.powi(i)).collect(), 1).unwrap();
    for (rows, query) in [(&equal, vec![0.25; 4]), (&growing, vec![3.0])] {
        for (name, tree) in both(rows.view(), Metric::L2) {
            let (found, stats) = tree.search(&query, 10, Some(100));
            assert!(found.len() == 10 && stats.evaluations < 400, "{name}: {stats:?}");
            assert_eq!(ids(&tree.search(&query, 10, Some(usize::MAX)).0), ids(&exact(rows, Metric::L2, &query, 10)));
        }
    }
}

#[test]
fn few_rows_and_none() {
    for len in [0, 1, 2, 7, 8, 9, 17] {
        let rows = Matrix::new((0..len * 3).map(|i| (i * 7 % 11) as f32).collect(), 3).unwrap();
        for metric in [Metric::L2, Metric::InnerProduct, Metric::L1] {
            for (name, tree) in both(rows.view(), metric) {
                let query = [1.0, 2.0, 3.0];
                assert_eq!(tree.search(&query, 5, None).0, exact(&rows, metric, &query, 5), "{name}, {len} rows");
                assert_eq!(tree.search(&query, 0, None).0, []);
                assert_eq!(tree.search(&query, usize::MAX, Some(0)).0.len(), len);
            }
        }
    }
}

#[test]
fn filters_give_as_many_as_match_and_few_rows_are_compared_one_by_one() {
    let set = ann_testkit::portable::mix128(3_000, 10);
    for (name, tree) in both(set.base.view(), set.metric) {
        for one_in in [1, 2, 10, 200, 2999, 4000] {
            let accepted: RowSet = (1..3_000).filter(|row| row % one_in == 0).collect();
            for query in set.queries.rows() {
                let (found, stats) = tree.search_among(query, 10, Some(100), &accepted);
                assert_eq!(found.len(), accepted.len().min(10), "{name}, one in {one_in}");
                assert!(found.iter().all(|n| n.id % one_in == 0 && n.id > 0) && found.is_sorted());
                assert_eq!(stats.route == Route::Scan, accepted.len() <= 100, "{name}, one in {one_in}");
                if stats.route == Route::Scan {
                    assert_eq!(stats.evaluations, accepted.len() as u64);
                }
                let (all, _) = tree.search_among(query, 10, Some(usize::MAX - 1), &accepted);
                let truth: Vec<u32> = ids(&exact(&set.base, set.metric, query, 3_000));
                let truth: Vec<u32> = truth.into_iter().filter(|&row| row % one_in == 0 && row > 0).take(10).collect();
                assert_eq!(ids(&all), truth, "{name}, one in {one_in}");
            }
        }
    }
}

#[test]
fn a_row_finds_itself_and_what_a_query_of_its_values_finds() {
    let set = ann_testkit::portable::spec256(1_000, 1);
    for metric in [Metric::L2, Metric::Cosine, Metric::InnerProduct] {
        for (name, tree) in both(set.base.view(), metric) {
            for row in [0, 17, 999] {
                let found = tree.search_row(row, 5);
                assert_eq!(found[0].id, row, "{name}, {metric}");
                assert_eq!(ids(&found), ids(&tree.search(set.base.row(row as usize), 5, None).0), "{name}, {metric}");
            }
        }
    }
}

#[test]
fn clusters_far_apart_and_each_of_them_tiny_are_told_apart() {
    // A hundred clusters that are a million times smaller than their distances.
    let value = |i: usize| {
        let (row, column) = (i / 8, i % 8);
        let centre = unit(split_mix(1, ((row % 100) * 8 + column) as u64));
        ((centre * 1e3).round() + 1e-3 * unit(split_mix(2, i as u64))) as f32
    };
    let rows = Matrix::new((0..20_000 * 8).map(value).collect(), 8).unwrap();
    let (few, default) =
        (RpForestParams { trees: 8, leaf: 20, ..RpForestParams::default() }, KMeansTreeParams::default());
    let trees: [Box<dyn Tree>; 2] =
        [Box::new(forest(rows.view(), Metric::L2, few)), Box::new(kmeans(rows.view(), Metric::L2, default))];
    for tree in trees {
        let mut hits = 0;
        for row in (0..20_000).step_by(1_000) {
            let (found, stats) = tree.search(rows.row(row), 10, Some(150));
            assert!(stats.evaluations < 400);
            let truth = exact(&rows, Metric::L2, rows.row(row), 10);
            hits += found.iter().filter(|n| n.distance <= truth[9].distance).count();
        }
        // A cluster has 200 rows: whoever finds the cluster and cannot tell its rows apart has three quarters.
        assert!(hits >= 175, "{hits} of 200");
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let rows = Matrix::new(vec![1.0; 40], 4).unwrap();
    let tree = kmeans(rows.view(), Metric::Cosine, KMeansTreeParams::default());
    let (mut scratch, mut out) = (Default::default(), vec![Neighbor::new(1, 1.0)]);
    for query in [&[1.0; 3][..], &[f32::NAN; 4], &[0.0; 4]] {
        let params = TreeSearch::default();
        assert!(tree.search_with(query, 3, &params, &All, &mut scratch, &mut out).is_err() && out.is_empty());
    }
    let error = |params| {
        ann_tree::RpForest::build(
            store(rows.view(), Metric::L2),
            params,
            ann_core::Par::Serial,
            ann_core::Monitor::new(),
        )
        .err()
    };
    let zero = error(RpForestParams { trees: 0, ..RpForestParams::default() }).unwrap();
    assert_eq!(zero.to_string(), "trees is 0, must be between 1 and 1,000");
}
