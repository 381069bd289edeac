//! Removing rows: against a model, and what is left of recall.

use crate::support::{TARGETS, check, measure, recall_of, search, store, workload};
use ann_core::{FlatStore, Index, Matrix, Metric, Par, Searcher};
use ann_graph::{Deg, DegImprove, DegTarget, NoSuchRow};
use ann_testkit::portable::{self, Portable};
use proptest::prelude::*;

/// What is done to an index, and to a list of rows beside it.
#[derive(Debug, Clone)]
enum Change {
    Insert([u8; 3]),
    Remove(u32),
    Improve,
}

fn change() -> impl Strategy<Value = Change> {
    // Coordinates of a coarse grid: copies and ties abound.
    let insert = proptest::array::uniform3(0u8..5).prop_map(Change::Insert);
    prop_oneof![5 => insert, 4 => any::<u32>().prop_map(Change::Remove), 1 => Just(Change::Improve)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_changes_keep_the_graph_sound_and_the_rows_right(
        start in 0usize..40, changes in proptest::collection::vec(change(), 1..80), degree in 2usize..6, target in 0usize..3,
    ) {
        let rows = (0..start * 3).map(|i| (i * i % 5) as f32).collect();
        let mut model: Vec<Vec<f32>> = Matrix::new(rows, 3).unwrap().rows().map(<[f32]>::to_vec).collect();
        let mut store = FlatStore::<f32>::new(3, Metric::L2).unwrap();
        model.iter().for_each(|row| _ = ann_core::PushVector::push(&mut store, row).unwrap());
        let builder = Deg::builder().degree(2 * degree).k_ext(8).target(TARGETS[target]).par(Par::Serial);
        let mut deg = builder.build(store).unwrap();
        for change in changes {
            match change {
                Change::Insert(row) => {
                    let row: Vec<f32> = row.iter().map(|&x| f32::from(x)).collect();
                    prop_assert_eq!(deg.insert(&row), Ok(model.len() as u32));
                    model.push(row);
                }
                Change::Remove(_) if model.is_empty() => {
                    prop_assert_eq!(deg.remove(0), Err(NoSuchRow { row: 0, len: 0 }));
                }
                Change::Remove(draw) => {
                    let (row, last) = (draw as usize % model.len(), model.len() - 1);
                    model.swap_remove(row);
                    prop_assert_eq!(deg.remove(row as u32), Ok((row != last).then_some(last as u32)));
                }
                Change::Improve => _ = deg.improve(3, &DegImprove { k: 6, ..DegImprove::default() }),
            }
            prop_assert_eq!(deg.check(), Ok(()));
        }
        prop_assert_eq!(deg.len(), model.len());
        for (row, expected) in model.iter().enumerate() {
            prop_assert_eq!(&deg.store().row(row as u32)[..3], &expected[..]);
        }
        let mut searcher = Searcher::new(&deg, search(200, 0.0));
        prop_assert_eq!(searcher.search(&[2.0, 2.0, 2.0], 200).unwrap().len(), model.len());
    }
}

/// Removing every second row leaves as good a graph as one that is built of the others.
#[test]
fn half_of_a_graph_is_as_good_as_a_graph_of_half_the_rows() {
    for target in TARGETS {
        let set = portable::mix128(6_000, 300);
        let builder = Deg::builder().degree(20).k_ext(40).target(target);
        let mut deg = builder.build(store(set.base.view(), set.metric)).unwrap();
        let mut model: Vec<&[f32]> = set.base.rows().collect();
        for i in 0..3_000u32 {
            let row = i * 7919 % deg.len() as u32;
            deg.remove(row).unwrap();
            model.swap_remove(row as usize);
        }
        check(&deg, "half");
        let left = Matrix::from_rows(&model).unwrap();
        let fresh = builder.build(store(left.view(), set.metric)).unwrap();
        let work = workload(Portable { base: left, ..set.clone() });
        for ef in [10, 20, 40] {
            let params = search(ef, 0.0);
            let ((left, _), (fresh, _)) = (measure(&work, &deg, params), measure(&work, &fresh, params));
            assert!(left >= fresh - 0.01, "{target:?}, ef {ef}: {left}, fresh {fresh}");
        }
    }
}

/// A window over a stream: what comes in pushes out what is oldest, many times over.
#[test]
fn a_window_over_a_stream_stays_as_good_as_new() {
    let set = portable::mix128(4_000, 100);
    for target in TARGETS {
        let builder = Deg::builder().degree(16).k_ext(40).target(target);
        let mut deg = builder.build(store(set.base.view().slice(0..1_000), set.metric)).unwrap();
        for row in set.base.rows().skip(1_000) {
            // The oldest is not always the first, since the last row takes the number of what goes: any will do.
            deg.remove(deg.len() as u32 / 3).unwrap();
            deg.insert(row).unwrap();
        }
        check(&deg, "after 3,000 rows");
        let fresh = builder.build(deg.store().clone()).unwrap();
        let [left, fresh] = [deg, fresh].map(|deg| recall_of(&deg, set.queries.rows(), (10, 20), |_| true));
        assert!(left >= fresh - 0.01, "{target:?}: {left}, fresh {fresh}");
    }
}

#[test]
fn a_row_that_does_not_exist_is_not_removed() {
    let set = portable::iso64(30, 1);
    let mut deg = Deg::builder().degree(4).target(DegTarget::LowLid).build(store(set.base.view(), set.metric)).unwrap();
    assert_eq!(deg.remove(30), Err(NoSuchRow { row: 30, len: 30 }));
    assert_eq!((deg.remove(29), deg.remove(3), deg.len()), (Ok(None), Ok(Some(28)), 28));
    check(&deg, "two removed");
}
