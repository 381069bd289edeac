//! Threads that search while others add and remove.

#![cfg(feature = "graph")]
#![allow(clippy::unwrap_used)] // helpers outside of test functions, too

use ann::core::{split_mix, unit};
use ann::prelude::*;
use ann::{Error, LabelError, SharedIndex};
use std::sync::atomic::{AtomicBool, Ordering};

fn rows(range: std::ops::Range<u64>) -> Matrix<f32> {
    let row = |i: u64| (0..8).map(|j| unit(split_mix(i, j)) as f32).collect::<Vec<_>>();
    Matrix::from_rows(&range.map(row).collect::<Vec<_>>()).unwrap()
}

/// 600 rows that stay, 900 that come, 300 that go: whenever a search looks it finds ten, those that stay are always found and those that are gone never.
#[test]
fn searches_see_whole_changes_while_rows_come_and_go() {
    let index = ann::index_factory("HNSW8", &rows(0..900), Metric::L2).unwrap();
    let (shared, done) = (SharedIndex::new(index), AtomicBool::new(false));
    std::thread::scope(|threads| {
        let searching: Vec<_> = (0..2u64)
            .map(|thread| {
                let (shared, done) = (&shared, &done);
                threads.spawn(move || {
                    let params = SearchParams::effort(300);
                    let mut searches = 0u64;
                    while !done.load(Ordering::Relaxed) || searches < 50 {
                        let stays = (thread + 2 * searches) % 600;
                        let query = rows(stays..stays + 1);
                        let found = shared.search(query.row(0), 10, &params).unwrap();
                        assert_eq!((found.len(), found[0].label, found[0].distance), (10, stays, 0.0));
                        assert!((1..10).all(|i| found[..i].iter().all(|hit| hit.label != found[i].label)));
                        searches += 1;
                    }
                })
            })
            .collect();
        let adding = threads.spawn(|| {
            let labels: Vec<u64> = (10_000..10_900).collect();
            assert_eq!(shared.add(&rows(10_000..10_900), Some(&labels), Par::Serial).unwrap(), 900);
        });
        for first in (600..900).step_by(20) {
            let gone: Vec<u64> = (first..first + 20).collect();
            shared.remove(&gone).unwrap();
            let query = rows(first..first + 1);
            let found = shared.search(query.row(0), 50, &SearchParams::default()).unwrap();
            assert!(found.iter().all(|hit| !(600..first + 20).contains(&hit.label)), "{found:?}");
        }
        adding.join().unwrap();
        done.store(true, Ordering::Relaxed);
        searching.into_iter().for_each(|thread| thread.join().unwrap());
    });
    let index = shared.into_inner();
    assert_eq!((index.len(), index.removed()), (1_500, 300));
    for i in (10_000..10_900).step_by(7) {
        assert_eq!(index.search_with(rows(i..i + 1).row(0), 1, &SearchParams::effort(100)).unwrap()[0].label, i);
    }
}

#[test]
fn an_error_names_the_row_of_all_that_were_given() {
    let shared = SharedIndex::new(ann::index_factory("HNSW8", &rows(0..10), Metric::L2).unwrap());
    let mut labels: Vec<u64> = (100..200).collect();
    labels[70] = 3;
    let error = shared.add(&rows(100..200), Some(&labels), Par::Serial).unwrap_err();
    assert!(matches!(error, Error::Label(LabelError::Taken { row: 70, label: 3, .. })), "{error}");
    assert_eq!(shared.read().len(), 10 + 64);
    let error = shared.add(&rows(100..200), Some(&labels[..99]), Par::Serial).unwrap_err();
    assert!(matches!(error, Error::Label(LabelError::Count { labels: 99, rows: 100 })), "{error}");
    let mut bad = rows(300..400).as_slice().to_vec();
    bad[8 * 90 + 2] = f32::NAN;
    let named: Vec<u64> = (1_000..1_100).collect();
    let error = shared.add(&Matrix::new(bad, 8).unwrap(), Some(&named), Par::Serial).unwrap_err();
    assert!(matches!(error, Error::Row(ref row) if row.row == 90), "{error}");
    shared.write().compact(Par::Serial).unwrap();
}
