//! Any store: rows of bytes, in halves, as codes, words; rows leave each as they entered.

use crate::support::{TARGETS, check, recall_of, search};
use ann_core::distance::Levenshtein;
use ann_core::{FlatStore, Index, Metric, PushVector, Rerank, Searcher, SpaceStore, SplitStore, VectorStore};
use ann_graph::Deg;
use ann_testkit::{portable, shapes};

/// Builds, removes, inserts again, and finds what is left.
fn lives<S: PushVector + Clone>(store: S, rows: &[&S::Vector], least: f64) {
    for target in TARGETS {
        let mut deg = Deg::builder().degree(10).k_ext(24).target(target).build(store.clone()).unwrap();
        check(&deg, "built");
        let mut model: Vec<&S::Vector> = rows.to_vec();
        for i in 0..rows.len() as u32 / 2 {
            let row = i * 37 % deg.len() as u32;
            deg.remove(row).unwrap();
            model.swap_remove(row as usize);
        }
        for row in &rows[..20] {
            deg.insert(row).unwrap();
            model.push(row);
        }
        check(&deg, "changed");
        let recall = recall_of(&deg, model.iter().copied().step_by(5), (10, 60), |_| true);
        assert!(recall >= least, "{target:?}: {recall}");
        // Every row is where the model has it: none is nearer to itself than the row of its number.
        let mut scratch = S::Scratch::default();
        for (row, vector) in model.iter().enumerate().step_by(7) {
            let mut searcher = Searcher::new(&deg, search(deg.len(), 0.0));
            let found = searcher.search(vector, deg.len()).unwrap().to_vec();
            let own = found.iter().find(|n| n.id == row as u32).unwrap();
            let mut exact = [0.0];
            use ann_core::DistanceOracle;
            deg.store().oracle(vector, &mut scratch).exact(&[row as u32], &mut exact);
            assert_eq!(own.distance.to_bits(), exact[0].to_bits());
            assert!(own.distance <= found[0].distance + 1e-3, "{row}: {own:?} {:?}", found[0]);
        }
    }
}

#[test]
fn rows_of_bytes_and_halves_and_both_live() {
    let whole = shapes::integral(700, 16, 11).base;
    let rows: Vec<&[f32]> = whole.rows().collect();
    lives(FlatStore::<u8>::from_rows(whole.view(), Metric::L2).unwrap(), &rows, 0.98);
    let set = portable::iso64(700, 1);
    let rows: Vec<&[f32]> = set.base.rows().collect();
    lives(SplitStore::from_rows(set.base.view(), Metric::L2).unwrap(), &rows, 0.95);
    lives(FlatStore::<f32>::from_rows(set.base.view(), Metric::Cosine).unwrap(), &rows, 0.95);
    let short = FlatStore::<half::bf16>::rounded(set.base.view(), Metric::L2).unwrap();
    let fine = FlatStore::<f32>::from_rows(set.base.view(), Metric::L2).unwrap();
    lives(Rerank::new(short, fine, Metric::L2, set.base.view()).unwrap(), &rows, 0.95);
}

#[test]
fn words_live() {
    let words: Vec<String> =
        (0..400u32).map(|i| format!("{:x}{}", i.wrapping_mul(2_654_435_761) >> 8, i % 7)).collect();
    let mut store = SpaceStore::<str, _>::new(Levenshtein);
    words.iter().for_each(|word| _ = store.push(word).unwrap());
    let rows: Vec<&str> = words.iter().map(String::as_str).collect();
    lives(store, &rows, 0.9);
}

#[test]
fn memory_is_eight_bytes_per_edge_and_the_rows() {
    let set = portable::iso64(1_000, 1);
    let deg = Deg::builder().degree(20).build(crate::support::store(set.base.view(), set.metric)).unwrap();
    let memory = deg.memory_usage();
    assert_eq!(memory.vectors, deg.store().memory_usage());
    assert!((160_000..=330_000).contains(&memory.structure), "{memory:?}");
}
