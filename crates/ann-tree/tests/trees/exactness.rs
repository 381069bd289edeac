//! A tree finds what a comparison with all rows finds: the same rows at the same distances, ties by id.

use crate::support::{KINDS, ball, kd, queries, rows, same, search, store};
use ann_core::{All, Exact, Filter, Metric, Neighbor, Predicate, RowSet, Searcher, VectorError, split_mix};
use ann_tree::TreeSearch;

const METRICS: [Metric; 4] = [Metric::L2, Metric::L1, Metric::Cosine, Metric::InnerProduct];

/// A hundred trees of every dimension, ten queries each.
fn cases(dim: usize) {
    for case in 0..100u64 {
        let draw = |i| split_mix(case * 31 + dim as u64, i) as usize;
        let kind = KINDS[case as usize % KINDS.len()];
        let metric = METRICS[draw(0) % 4];
        // Products and cosines of numbers that overflow are no numbers.
        let metric = if kind == "far" && metric != Metric::L1 { Metric::L2 } else { metric };
        let n = [draw(1) % 33, draw(1) % 100, draw(1) % 700, 900 + draw(1) % 300][draw(2) % 4];
        let base = rows(kind, n, dim, case);
        let exact = Exact::new(store::<f32>(&base, metric));
        let kd = kd::<f32>(&base, metric);
        let ball = (metric != Metric::InnerProduct).then(|| ball::<f32>(&base, metric));
        let mut truth = Searcher::new(&exact, ());
        for (q, query) in queries(&base, 10, case).iter().enumerate() {
            let k = [1, 1 + draw(3 + q as u64) % 20, n / 2, n + 3][draw(50 + q as u64) % 4];
            let name = format!("case {case}: {n} rows of {dim} ({kind}), {metric}, query {q}, k {k}");
            let expected = truth.search(query, k).unwrap().to_vec();
            let (found, stats) = search(&kd, query, k, None, &All);
            assert!(same(&found, &expected), "KD, {name}:\n{found:?}\n{expected:?}");
            assert!(stats.evaluations <= n as u64 && !stats.cut_short, "{name}: {stats:?}");
            // As near as the last, and nearer than the first.
            for radius in expected.last().map(|n| n.distance).into_iter().chain([-2.0, 0.0]) {
                let all = truth.search(query, n).unwrap();
                let inside: Vec<Neighbor> = all.iter().copied().filter(|n| n.distance <= radius).collect();
                let mut within = Vec::new();
                kd.within(query, radius, &All, &mut Default::default(), &mut within).unwrap();
                assert!(same(&within, &inside), "KD within {radius}, {name}:\n{within:?}\n{inside:?}");
                if let Some(ball) = &ball {
                    ball.within(query, radius, &All, &mut Default::default(), &mut within).unwrap();
                    assert!(same(&within, &inside), "ball within {radius}, {name}:\n{within:?}\n{inside:?}");
                }
            }
            // Looking at everything is exact, in whatever order.
            let (found, _) = search(&kd, query, k, Some(n), &All);
            assert!(same(&found, &expected), "KD with checks, {name}");
            if let Some(ball) = &ball {
                let (found, _) = search(ball, query, k, None, &All);
                assert!(same(&found, &expected), "ball, {name}:\n{found:?}\n{expected:?}");
                let (found, _) = search(ball, query, k, Some(n), &All);
                assert!(same(&found, &expected), "ball with checks, {name}");
            }
        }
    }
}

#[test]
fn trees_of_1_column_are_exact() {
    cases(1);
}

#[test]
fn trees_of_2_columns_are_exact() {
    cases(2);
}

#[test]
fn trees_of_3_columns_are_exact() {
    cases(3);
}

#[test]
fn trees_of_4_and_5_and_8_columns_are_exact() {
    [4, 5, 6, 8].into_iter().for_each(cases);
}

#[test]
fn trees_of_7_columns_are_exact() {
    cases(7);
}

#[test]
fn trees_of_16_columns_are_exact() {
    cases(16);
}

#[test]
fn trees_of_32_columns_are_exact() {
    cases(32);
}

#[test]
fn narrow_rows_are_searched_exactly() {
    for (dim, metric) in [(3, Metric::L2), (3, Metric::Cosine), (5, Metric::L1), (20, Metric::L2), (20, Metric::Cosine)]
    {
        let base = rows("grid", 1500, dim, 4);
        let exact = Exact::new(store::<u8>(&base, metric));
        let (kd, ball) = (kd::<u8>(&base, metric), ball::<u8>(&base, metric));
        for query in &queries(&base, 30, 5) {
            let expected = Searcher::new(&exact, ()).search(query, 12).unwrap().to_vec();
            assert!(same(&search(&kd, query, 12, None, &All).0, &expected), "{dim} {metric}");
            assert!(same(&search(&ball, query, 12, None, &All).0, &expected), "{dim} {metric}");
        }
    }
}

#[test]
fn large_trees_of_several_levels_are_exact() {
    for (dim, kind) in [(2, "gauss"), (3, "grid"), (8, "gauss"), (9, "line")] {
        let base = rows(kind, 20_000, dim, 8);
        let exact = Exact::new(store::<f32>(&base, Metric::L2));
        let (kd, ball) = (kd::<f32>(&base, Metric::L2), ball::<f32>(&base, Metric::L2));
        for query in &queries(&base, 20, 5) {
            let expected = Searcher::new(&exact, ()).search(query, 60).unwrap().to_vec();
            assert!(same(&search(&kd, query, 60, None, &All).0, &expected), "{dim} {kind}");
            assert!(same(&search(&ball, query, 60, None, &All).0, &expected), "{dim} {kind}");
        }
    }
}

/// Any filter gives the nearest of what it accepts, and as many as there are.
#[test]
fn filtered_searches_are_exact() {
    for dim in [2, 12] {
        let base = rows("gauss", 3000, dim, 3);
        let exact = Exact::new(store::<f32>(&base, Metric::L2));
        let (kd, ball) = (kd::<f32>(&base, Metric::L2), ball::<f32>(&base, Metric::L2));
        let sets: [RowSet; 4] = [
            (0..3000).filter(|row| row % 2 == 0).collect(),
            (0..3000).filter(|row| row % 333 == 5).collect(),
            [7, 2999].into_iter().collect(),
            RowSet::default(),
        ];
        for query in &queries(&base, 20, 9) {
            for set in &sets {
                let expected = Searcher::new(&exact, ()).search_filtered(query, 10, set).unwrap().to_vec();
                assert_eq!(expected.len(), set.len().min(10));
                let asked = Predicate(|row| set.accepts(row));
                for checks in [None, Some(3000)] {
                    assert!(same(&search(&kd, query, 10, checks, set).0, &expected));
                    assert!(same(&search(&kd, query, 10, checks, &asked).0, &expected));
                    assert!(same(&search(&ball, query, 10, checks, set).0, &expected));
                }
                // Few checks find as many, if not as near.
                for found in [search(&kd, query, 10, Some(1), set).0, search(&ball, query, 10, Some(1), set).0] {
                    assert_eq!(found.len(), expected.len());
                    assert!(found.iter().all(|n| set.accepts(n.id)) && found.is_sorted());
                }
            }
        }
    }
}

#[test]
fn rows_are_found_from_rows() {
    for dim in [3, 10] {
        let base = rows("grid", 800, dim, 1);
        let (kd, ball) = (kd::<f32>(&base, Metric::L2), ball::<f32>(&base, Metric::L2));
        let (mut a, mut b, mut found) = (Default::default(), Default::default(), Vec::new());
        for row in [0, 5, 799] {
            let expected = search(&kd, base.row(row as usize), 7, None, &All).0;
            kd.search_row(row, 7, &TreeSearch::default(), &All, &mut a, &mut found);
            assert!(same(&found, &expected));
            ball.search_row(row, 7, &TreeSearch::default(), &All, &mut b, &mut found);
            assert!(same(&found, &expected));
        }
    }
}

#[test]
fn queries_that_do_not_fit_are_refused() {
    let base = rows("gauss", 100, 3, 1);
    let (kd, ball) = (kd::<f32>(&base, Metric::L2), ball::<f32>(&base, Metric::L2));
    for query in [&[0.0, f32::NAN, 0.0][..], &[0.0; 2], &[f32::INFINITY, 0.0, 0.0]] {
        assert!(Searcher::new(&kd, TreeSearch::default()).search(query, 1).is_err());
        assert!(Searcher::new(&ball, TreeSearch::default()).search(query, 1).is_err());
        let mut out = vec![Neighbor::new(0, 0.0)];
        let error = kd.within(query, 1.0, &All, &mut Default::default(), &mut out).unwrap_err();
        assert!(matches!(error, VectorError::NonFinite { .. } | VectorError::Dimension { .. }) && out.is_empty());
    }
}
