//! Data on which graphs have lost rows, looped or returned nonsense, and indexes of hardly any rows.

use crate::support::{TARGETS, check, recall_of, search, store};
use ann_core::{Exact, FlatStore, Index, Matrix, Metric, Neighbor, Searcher, VectorError};
use ann_graph::{Deg, DegImprove, DegTarget, HnswSearch};
use ann_testkit::shapes::{self, Shape};

/// Every shape under each of its metrics; without zero rows under cosine, which a store refuses.
fn cases(n: usize) -> Vec<(String, Matrix<f32>, Matrix<f32>, Metric)> {
    let mut cases = Vec::new();
    for Shape { name, base, queries, metrics } in shapes::hostile(n, 12, 17) {
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

#[test]
fn every_shape_keeps_the_graph_sound_through_growth_removal_and_improvement() {
    let cases = cases(400);
    assert!(cases.len() > 35, "{}", cases.len());
    for (context, base, _, metric) in cases {
        for target in TARGETS {
            let context = format!("{context}, {target:?}");
            let builder = Deg::builder().degree(8).k_ext(20).target(target);
            let mut deg = builder.build(store(base.view().slice(0..base.len() - 30), metric)).unwrap();
            check(&deg, &context);
            for row in base.rows().skip(base.len() - 30) {
                deg.insert(row).unwrap();
            }
            check(&deg, &context);
            deg.improve(20, &DegImprove { k: 10, ..DegImprove::default() });
            check(&deg, &context);
            while deg.len() > 0 {
                deg.remove((deg.len() as u32 * 7) / 13).unwrap();
                if deg.len() % 40 == 0 || deg.len() < 16 {
                    check(&deg, &context);
                }
            }
        }
    }
}

#[test]
fn recall_holds_on_every_shape() {
    let mut wrong = Vec::new();
    for (context, base, queries, metric) in cases(1_200) {
        for target in TARGETS {
            let deg = Deg::builder().degree(16).k_ext(40).target(target).build(store(base.view(), metric)).unwrap();
            let recall = recall_of(&deg, queries.rows(), (10, 128), |_| true);
            let least = match (target, context.as_str()) {
                // Few edges lead from a cluster to another: deglib 0.2.6 has .90 to 1 here, by the seed of the rows.
                (DegTarget::Streaming, context) if context.starts_with("clustered") => 0.85,
                // The nearest row of all is the end of the line, and the farther a row is the longer its edges seem.
                (DegTarget::Streaming, "line under ip") => 0.6,
                _ => 0.97,
            };
            if recall < least {
                wrong.push(format!("{context}, {target:?}: {recall}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_search_as_wide_as_the_index_is_exact() {
    for (context, base, queries, metric) in cases(300) {
        let exact = Exact::new(store(base.view(), metric));
        let mut truth = Searcher::new(&exact, ());
        for (target, eps) in TARGETS.into_iter().zip([0.0, 0.1, -3.0]) {
            let deg = Deg::builder().degree(6).k_ext(16).target(target).build(store(base.view(), metric)).unwrap();
            let mut all = Searcher::new(&deg, search(usize::MAX, eps));
            for query in queries.rows().take(10) {
                let (found, truth) = (all.search(query, 30).unwrap(), truth.search(query, 30).unwrap());
                assert_eq!(found, truth, "{context}, {target:?}");
            }
            let everything = all.search(queries.row(0), usize::MAX).unwrap();
            assert_eq!(everything, truth.search(queries.row(0), usize::MAX).unwrap(), "{context}");
        }
    }
}

/// One row after another, past the size at which a graph stops being complete, and back.
#[test]
fn indexes_of_hardly_any_rows_are_sound_at_every_size() {
    let few = shapes::uniform_cube(40, 3, 5).base;
    let grid = Matrix::new((0..40 * 3).map(|i| (i * 7 % 3) as f32).collect(), 3).unwrap();
    let same = Matrix::new(vec![1.0; 120], 3).unwrap();
    for (rows, degree) in [(&few, 4), (&few, 8), (&grid, 4), (&grid, 8), (&grid, 12), (&same, 4), (&same, 8)] {
        for target in TARGETS {
            let context = format!("degree {degree}, {target:?}");
            let builder = Deg::builder().degree(degree).k_ext(1).target(target);
            let mut deg = builder.build(FlatStore::<f32>::new(3, Metric::L2).unwrap()).unwrap();
            for row in rows.rows() {
                check(&deg, &context);
                deg.insert(row).unwrap();
                let found = deg.len().min(7);
                let mut searcher = Searcher::new(&deg, search(1, 0.2));
                assert_eq!(searcher.search(row, 7).unwrap().len(), found);
            }
            for i in 0..40 {
                check(&deg, &context);
                deg.remove(i * 31 % deg.len() as u32).unwrap();
            }
            assert!(deg.is_empty() && deg.remove(0).is_err());
            deg.insert(rows.row(3)).unwrap();
            assert_eq!(deg.len(), 1);
        }
    }
}

#[test]
fn no_rows_answer_nothing_and_two_are_found() {
    let deg = Deg::builder().build(FlatStore::<f32>::new(3, Metric::L2).unwrap()).unwrap();
    check(&deg, "no rows");
    let mut searcher = Searcher::new(&deg, HnswSearch::default());
    assert_eq!(searcher.search(&[0.0; 3], 5).unwrap(), []);
    assert_eq!(searcher.search(&[0.0; 2], 5).unwrap_err(), VectorError::Dimension { expected: 3, found: 2 });

    let both = Matrix::from_rows(&[[0.0, 1.0], [3.0, 1.0]]).unwrap();
    let mut deg = Deg::builder().build(store(both.view(), Metric::L2)).unwrap();
    assert_eq!(deg.improve(10, &DegImprove::default()), 0);
    let mut searcher = Searcher::new(&deg, search(1, f32::NAN));
    assert_eq!(searcher.search(&[1.0, 1.0], 7).unwrap(), [Neighbor::new(0, 1.0), Neighbor::new(1, 4.0)]);
    assert_eq!(searcher.search(&[1.0, 1.0], 0).unwrap(), []);
}

#[test]
fn a_parameter_out_of_range_is_named() {
    let store = || FlatStore::<f32>::new(3, Metric::L2).unwrap();
    let error = Deg::builder().degree(7).build(store()).unwrap_err();
    assert_eq!(error.to_string(), "degree is 7, must be even and between 4 and 512");
    assert!(Deg::builder().degree(2).build(store()).is_err());
    assert!(Deg::builder().k_ext(0).build(store()).is_err());
    assert!(Deg::builder().eps_ext(f32::NAN).build(store()).is_err());
}
