//! Rows of any type under distances of any kind.

use crate::support::{check_reach, check_structure, recall_of};
use ann_core::distance::{Hamming, Levenshtein, SetJaccard};
use ann_core::{Monitor, Par, Searcher, SpaceStore, VectorStore, split_mix};
use ann_graph::{Hnsw, HnswSearch};

/// A number below `below`, made of a row and a column.
fn draw(row: usize, column: usize, below: u64) -> u64 {
    split_mix(row as u64, column as u64) % below
}

fn built<S: VectorStore>(store: S) -> Hnsw<S> {
    let hnsw = Hnsw::builder().m(12).ef_construction(100).build(store).unwrap();
    check_structure(&hnsw, "rows of a user");
    check_reach(&hnsw, "rows of a user");
    hnsw
}

/// Words of a few stems with endings, so that some are near each other.
fn word(i: usize) -> String {
    let letter = |row, column| char::from(b'a' + draw(row, column, 8) as u8);
    (0..7).map(|at| letter(10_000 + i % 60, at)).chain((0..i % 5).map(|at| letter(i, at))).collect()
}

#[test]
fn strings_by_edits() {
    let rows: Vec<String> = (0..900).map(word).collect();
    let hnsw = built(SpaceStore::<str, _>::from_rows(rows, Levenshtein).unwrap());
    let queries: Vec<String> = (900..950).map(word).collect();
    let recall = recall_of(&hnsw, queries.iter().map(String::as_str), (10, 64), |_| true);
    assert!(recall >= 0.95, "{recall}");
    assert_eq!(Searcher::new(&hnsw, HnswSearch::default()).search(&word(17), 1).unwrap()[0].distance, 0.0);
}

#[test]
fn short_words_by_differing_columns() {
    let codes = |i: usize| (0..24).map(|at| draw(i % 80 + 7, at, 3) as u16 + (draw(i, at, 4) / 3) as u16).collect();
    let hnsw = built(SpaceStore::<[u16], _>::from_rows((0..1_000).map(codes), Hamming).unwrap());
    let queries: Vec<Vec<u16>> = (1_000..1_050).map(codes).collect();
    let recall = recall_of(&hnsw, queries.iter().map(Vec::as_slice), (10, 64), |_| true);
    assert!(recall >= 0.95, "{recall}");
}

#[test]
fn sets_by_overlap() {
    // Sets of 10 to 30 of 200 members, near each other by topic: an ascending list each.
    let set = |i: usize| -> Vec<u32> {
        let mut members: Vec<u32> = (0..10 + i % 20).map(|at| draw(i, at, 40) as u32 + 20 * (i % 9) as u32).collect();
        members.sort_unstable();
        members.dedup();
        members
    };
    let hnsw = built(SpaceStore::<[u32], _>::from_rows((0..1_000).map(set), SetJaccard).unwrap());
    let queries: Vec<Vec<u32>> = (1_000..1_050).map(set).collect();
    let recall = recall_of(&hnsw, queries.iter().map(Vec::as_slice), (10, 64), |id| id % 3 != 0);
    assert!(recall >= 0.95, "{recall}");
}

#[test]
fn structs_by_a_closure_and_growth() {
    #[derive(Debug, Clone)]
    struct Place {
        latitude: f32,
        longitude: f32,
    }
    /// Great-circle distance on the unit sphere (haversine formula).
    fn apart(a: &Place, b: &Place) -> f32 {
        let half = |x: f32| (x / 2.0).sin().powi(2);
        let (a, b) = ([a.latitude, a.longitude].map(f32::to_radians), [b.latitude, b.longitude].map(f32::to_radians));
        let h = half(b[0] - a[0]) + a[0].cos() * b[0].cos() * half(b[1] - a[1]);
        2.0 * h.sqrt().min(1.0).asin()
    }
    let place = |i: usize| Place {
        latitude: draw(i, 0, 170_000) as f32 / 1e3 - 85.0,
        longitude: draw(i, 1, 360_000) as f32 / 1e3 - 180.0,
    };
    let queries: Vec<Place> = (2_000..2_050).map(place).collect();
    let closure = |a: &Place, b: &Place| apart(a, b);
    let hnsw = built(SpaceStore::<Place, _>::from_rows((0..800).map(place), closure).unwrap());
    assert!(recall_of(&hnsw, &queries, (10, 64), |_| true) >= 0.99);

    let function: fn(&Place, &Place) -> f32 = apart;
    let mut hnsw = built(SpaceStore::<Place, _>::from_rows((0..400).map(place), function).unwrap());
    let more: Vec<Place> = (400..800).map(place).collect();
    assert_eq!(hnsw.extend(&more, Par::Ambient, Monitor::new()), Ok(400..800));
    check_structure(&hnsw, "grown places");
    assert!(recall_of(&hnsw, &queries, (10, 64), |_| true) >= 0.99);
}

#[test]
fn distances_that_are_not_numbers_come_last() {
    // A distance must not answer NaN; one that does loses its own rows, not the others.
    let odd_is_nowhere = |a: &u32, b: &u32| if a % 2 + b % 2 > 0 { f32::NAN } else { a.abs_diff(*b) as f32 };
    let hnsw = Hnsw::builder().m(8).build(SpaceStore::<u32, _>::from_rows(0..60, odd_is_nowhere).unwrap()).unwrap();
    let mut searcher = Searcher::new(&hnsw, HnswSearch::ef(60));
    let found: Vec<u32> = searcher.search(&20, 5).unwrap().iter().map(|n| n.id).collect();
    assert_eq!(found, [20, 18, 22, 16, 24]);
}
