//! What the tests of this binary share: building, the structure that every graph must have, and recall.

use ann_core::{Exact, FlatStore, Index, MatrixView, Metric, Par, Predicate, Scalar, Searcher, VectorStore};
use ann_graph::{Hnsw, HnswSearch};
use ann_testkit::Workload;
use ann_testkit::portable::Portable;
use std::collections::HashMap;

pub(crate) fn store<T: Scalar>(rows: MatrixView<'_, f32>, metric: Metric) -> FlatStore<T> {
    FlatStore::from_rows(rows, metric).unwrap()
}

/// The portable set with its ten true neighbours, from the exact search that is tested against the plain loop.
pub(crate) fn workload(set: Portable) -> Workload {
    let exact = Exact::new(store::<f32>(set.base.view(), set.metric));
    let truth = exact.ground_truth(set.queries.view(), 10, Par::Ambient).unwrap();
    Workload { name: set.name.to_owned(), base: set.base, queries: set.queries, metric: set.metric, truth }
}

/// A search as the recall tables call it: ids and evaluations for a query and `ef`.
pub(crate) fn search_of<S: VectorStore<Vector = [f32]>>(
    hnsw: &Hnsw<S>,
    k: usize,
) -> impl FnMut(&[f32], usize) -> (Vec<u32>, u64) {
    let mut searcher = Searcher::new(hnsw, HnswSearch::default());
    move |query, ef| {
        searcher.params_mut().ef = ef;
        let ids = searcher.search(query, k).unwrap().iter().map(|n| n.id).collect();
        (ids, searcher.stats().evaluations)
    }
}

/// Recall@10 over the queries of `work` at one `ef`.
pub(crate) fn recall<S: VectorStore<Vector = [f32]>>(work: &Workload, hnsw: &Hnsw<S>, ef: usize) -> f64 {
    work.measure(ef, search_of(hnsw, work.truth.k)).recall.mean()
}

/// The share of the `k` nearest accepted rows that are found, or rows as near, for rows of any kind; along the way,
/// that every result is accepted, listed once and one of exactly `min(k, matches)`.
pub(crate) fn recall_of<'q, S: VectorStore + Clone>(
    hnsw: &Hnsw<S>,
    queries: impl IntoIterator<Item = &'q S::Vector>,
    (k, ef): (usize, usize),
    accepts: impl Fn(u32) -> bool,
) -> f64
where
    S::Vector: 'q,
{
    let exact = Exact::new(hnsw.store().clone());
    let (mut truth, mut searcher) = (Searcher::new(&exact, ()), Searcher::new(hnsw, HnswSearch::ef(ef)));
    let (mut hits, mut wanted) = (0, 0);
    for query in queries {
        let truth = truth.search_filtered(query, k, &Predicate(&accepts)).unwrap();
        let found = searcher.search_filtered(query, k, &Predicate(&accepts)).unwrap();
        assert_eq!(found.len(), truth.len());
        assert!(found.is_sorted() && found.iter().all(|n| accepts(n.id)));
        assert!((1..found.len()).all(|i| found[..i].iter().all(|n| n.id != found[i].id)), "{found:?}");
        if let Some(last) = truth.last() {
            hits += found.iter().filter(|n| n.distance <= last.distance).count();
            wanted += truth.len();
        }
    }
    f64::from(u32::try_from(hits).unwrap()) / wanted.max(1) as f64
}

/// Asserts what holds for every graph, whatever its rows: lists within capacity, free of duplicates, self-loops and
/// nodes of other layers; rows of a layer are rows of the layer below; the entry is on the top layer.
pub(crate) fn check_structure<S: VectorStore>(hnsw: &Hnsw<S>, context: &str) {
    let n = hnsw.store().len();
    assert_eq!((hnsw.len(), hnsw.hierarchy().base().len()), (n, n), "{context}");
    let layers: Vec<HashMap<u32, Vec<u32>>> =
        (0..hnsw.hierarchy().layers()).map(|layer| hnsw.hierarchy().links(layer).collect()).collect();
    for (layer, links) in layers.iter().enumerate() {
        let most = if layer == 0 { hnsw.params().m0() } else { hnsw.params().m };
        assert_eq!(links.len(), hnsw.hierarchy().layer_len(layer), "{context}: a row is twice on layer {layer}");
        for (&row, list) in links {
            let place = format!("{context}: layer {layer}, row {row}: {list:?}");
            assert!(list.len() <= most && !list.contains(&row), "{place}");
            assert!(list.iter().all(|to| links.contains_key(to)), "{place}: not all are on this layer");
            assert!((1..list.len()).all(|i| !list[..i].contains(&list[i])), "{place}: a neighbour is listed twice");
            assert!(layer == 0 || layers[layer - 1].contains_key(&row), "{place}: not on the layer below");
        }
    }
    assert_eq!(hnsw.hierarchy().layer_len(hnsw.hierarchy().layers()), 0, "{context}");
    match hnsw.hierarchy().entry() {
        None => assert_eq!((n, hnsw.hierarchy().layers()), (0, 0), "{context}"),
        Some(entry) => {
            assert!(
                layers[hnsw.hierarchy().layers() - 1].contains_key(&entry),
                "{context}: entry {entry} is below the top"
            );
        }
    }
}

/// Asserts that a search can walk from the entry to nearly every row. (To the rest it comes from the row inserted first,
/// from which links that are never pruned lead everywhere: loading checks those.)
pub(crate) fn check_reach<S: VectorStore>(hnsw: &Hnsw<S>, context: &str) {
    let reached = hnsw.hierarchy().entry().map_or(0, |entry| reached(hnsw, entry));
    assert!(reached as f64 >= 0.999 * hnsw.len() as f64, "{context}: {reached} of {} rows reached", hnsw.len());
}

/// How many rows can be reached from `from` on layer 0, itself included.
pub(crate) fn reached<S: VectorStore>(hnsw: &Hnsw<S>, from: u32) -> usize {
    let mut met = vec![false; hnsw.hierarchy().base().len()];
    met[from as usize] = true;
    let mut open = vec![from];
    let mut count = 0;
    while let Some(row) = open.pop() {
        count += 1;
        for to in hnsw.hierarchy().base().neighbors(row) {
            if !std::mem::replace(&mut met[to as usize], true) {
                open.push(to);
            }
        }
    }
    count
}

/// Rows for which a search for themselves finds something farther than themselves.
pub(crate) fn lost<S: VectorStore<Vector = [f32]>>(hnsw: &Hnsw<S>, rows: MatrixView<'_, f32>, ef: usize) -> Vec<u32> {
    let mut searcher = Searcher::new(hnsw, HnswSearch::ef(ef));
    let mut scratch = S::Scratch::default();
    (0u32..)
        .zip(rows.rows())
        .filter(|&(id, row)| {
            use ann_core::DistanceOracle;
            let itself = hnsw.store().oracle(row, &mut scratch).distance(id);
            searcher.search(row, 1).unwrap()[0].distance > itself
        })
        .map(|(id, _)| id)
        .collect()
}

/// The index as the bytes of its file.
#[cfg(feature = "persist")]
pub(crate) fn bytes<P: ann_io::container::Persist>(index: &P) -> Vec<u8> {
    let mut bytes = Vec::new();
    ann_io::container::Writer::of(index).unwrap().write_to(&mut bytes).unwrap();
    bytes
}
