//! Rows in two lists: found once, wherever they are looked for.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use ann_core::{All, FlatStore, Index, Matrix, Metric, Monitor, Par, RowSet, VectorStore};
use ann_partition::{Ivf, IvfParams, IvfScratch, IvfSearch, ListCode, NoRows};
use ann_testkit::portable::{mix128, spec256};

fn params(code: ListCode) -> IvfParams {
    IvfParams { nlist: 24, code, soar: Some(1.0), ..IvfParams::default() }
}

fn build(rows: &Matrix<f32>, metric: Metric, code: ListCode, par: Par) -> Ivf<FlatStore<f32>> {
    let store = FlatStore::from_rows(rows.view(), metric).unwrap();
    Ivf::build(store, rows.view(), metric, &params(code), par, Monitor::new()).unwrap()
}

fn found(index: &Ivf<FlatStore<f32>>, query: &[f32], k: usize, nprobe: usize) -> Vec<u32> {
    let (mut scratch, mut out) = (IvfScratch::default(), Vec::new());
    let search = IvfSearch { nprobe, ..IvfSearch::default() };
    index.search_with(query, k, &search, &All, &mut scratch, &mut out).unwrap();
    out.iter().map(|n| n.id).collect()
}

const CODES: [ListCode; 3] =
    [ListCode::Rows, ListCode::Rabitq { bits: 2 }, ListCode::Pq { m: 64, nbits: 4, rotate: None, eta: Some(2.5) }];

#[test]
fn every_row_is_in_two_lists_and_found_once() {
    for (set, metric) in [(mix128(1500, 20), Metric::L2), (spec256(1500, 20), Metric::InnerProduct)] {
        for code in CODES {
            let code = match (code, metric) {
                (ListCode::Pq { m, nbits, rotate, .. }, Metric::L2) => ListCode::Pq { m, nbits, rotate, eta: None },
                (code, _) => code,
            };
            let index = build(&set.base, metric, code, Par::Serial);
            assert_eq!(index.list_sizes().iter().sum::<u32>(), 3000);
            let mut twice: Vec<u32> = (0..index.nlist()).flat_map(|list| index.list(list)).collect();
            twice.sort_unstable();
            assert!(twice.chunks(2).zip(0..).all(|(pair, row)| pair == [row, row]));
            let mut hits = 0;
            for query in set.queries.rows() {
                let truth: Vec<u32> =
                    ann_testkit::nearest(set.base.view(), query, metric, 10).iter().map(|&(id, _)| id).collect();
                for (k, nprobe) in [(10, 1), (10, 24), (200, 2), (1500, 24)] {
                    let ids = found(&index, query, k, nprobe);
                    let mut once = ids.clone();
                    once.sort_unstable();
                    once.dedup();
                    assert_eq!((ids.len(), once.len()), (k, k), "{metric} {code:?} {k} {nprobe}");
                    if (k, nprobe) == (10, 24) {
                        hits += ids.iter().filter(|id| truth.contains(id)).count();
                    }
                }
            }
            assert!(hits >= 198, "{metric} {code:?}: {hits} of 200");
        }
    }
}

#[test]
fn lists_are_the_same_on_any_number_of_threads_and_rows_come_and_go() {
    let set = mix128(1200, 10);
    for code in [ListCode::Rows, ListCode::Rabitq { bits: 1 }] {
        let mut index = build(&set.base, Metric::L2, code, Par::Serial);
        for threads in [2, 8] {
            let other = build(&set.base, Metric::L2, code, Par::Threads(threads));
            assert!((0..24).all(|list| index.list(list).eq(other.list(list))));
        }
        index.extend(set.queries.view(), Par::Serial, Monitor::new()).unwrap();
        assert_eq!(index.list_sizes().iter().sum::<u32>(), 2420);
        for (query, id) in set.queries.rows().zip(1200..) {
            assert_eq!(found(&index, query, 1, 24), [id]);
        }
        let dead: RowSet = (0..1210).step_by(3).collect();
        let left = index.purge(&dead);
        assert_eq!(index.list_sizes().iter().sum::<u32>() as usize, 2 * left.len());
        for (row, &former) in left.iter().enumerate().take(20) {
            let vector =
                if former < 1200 { set.base.row(former as usize) } else { set.queries.row(former as usize - 1200) };
            assert_eq!(found(&index, vector, 1, 24), [row as u32]);
        }
    }
}

#[test]
fn codes_alone_give_every_row_once_too() {
    let set = mix128(900, 5);
    let store = NoRows::new(128, Metric::L2).unwrap().with_len(900);
    let params = params(ListCode::Rabitq { bits: 4 });
    let index = Ivf::build(store, set.base.view(), Metric::L2, &params, Par::Serial, Monitor::new()).unwrap();
    let (mut scratch, mut out) = (IvfScratch::default(), Vec::new());
    for query in set.queries.rows() {
        let search = IvfSearch { nprobe: 24, ..IvfSearch::default() };
        index.search_with(query, 50, &search, &All, &mut scratch, &mut out).unwrap();
        let mut ids: Vec<u32> = out.iter().map(|n| n.id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 50);
    }
    assert_eq!(index.store().len(), 900);
}

#[test]
fn a_weight_that_is_no_number_is_refused() {
    let params = IvfParams { soar: Some(f32::NAN), ..IvfParams::default() };
    assert!(params.check().is_err() && IvfParams { soar: Some(-1.0), ..params }.check().is_err());
    assert!(IvfParams { soar: Some(0.0), ..params }.check().is_ok());
}
