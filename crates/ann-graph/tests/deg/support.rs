//! What the tests of this binary share.

use ann_core::{Exact, FlatStore, Index, MatrixView, Metric, Par, Predicate, Reach, Searcher, VectorStore};
use ann_graph::{Deg, DegTarget, HnswSearch};
use ann_testkit::Workload;
use ann_testkit::portable::Portable;

pub(crate) const TARGETS: [DegTarget; 3] = [DegTarget::LowLid, DegTarget::HighLid, DegTarget::Streaming];

pub(crate) fn store(rows: MatrixView<'_, f32>, metric: Metric) -> FlatStore<f32> {
    FlatStore::from_rows(rows, metric).unwrap()
}

/// The portable set with its ten true neighbours.
pub(crate) fn workload(set: Portable) -> Workload {
    let exact = Exact::new(store(set.base.view(), set.metric));
    let truth = exact.ground_truth(set.queries.view(), 10, Par::Ambient).unwrap();
    Workload { name: set.name.to_owned(), base: set.base, queries: set.queries, metric: set.metric, truth }
}

/// As in the papers: `ef` candidates, and nodes that are farther than the last of them by the share `eps`. For searches of `ef` rows.
pub(crate) fn search(ef: usize, eps: f32) -> HnswSearch {
    // What is as wide as the index reaches everything.
    let reach = (eps > 0.0 && ef < 4_096).then_some(Reach { factor: 1.0 + eps, offset: 0.0 });
    HnswSearch { reach, ..HnswSearch::ef(if reach.is_some() { 4_096 } else { ef }) }
}

/// Recall@10 and evaluations per query.
pub(crate) fn measure<S: VectorStore<Vector = [f32]>>(work: &Workload, deg: &Deg<S>, params: HnswSearch) -> (f64, f64) {
    let mut searcher = Searcher::new(deg, params);
    let measured = work.measure(0, |query, _| {
        let ids = searcher.search(query, 10).unwrap().iter().map(|n| n.id).collect();
        (ids, searcher.stats().evaluations)
    });
    (measured.recall.mean(), measured.evaluations)
}

/// The share of the `k` nearest accepted rows that are found, or rows as near; along the way, that every result is accepted,
/// listed once and one of exactly `min(k, matches)`.
pub(crate) fn recall_of<'q, S: VectorStore + Clone>(
    deg: &Deg<S>,
    queries: impl IntoIterator<Item = &'q S::Vector>,
    (k, ef): (usize, usize),
    accepts: impl Fn(u32) -> bool,
) -> f64
where
    S::Vector: 'q,
{
    let exact = Exact::new(deg.store().clone());
    let (mut truth, mut searcher) = (Searcher::new(&exact, ()), Searcher::new(deg, search(ef, 0.0)));
    let (mut hits, mut wanted) = (0u32, 0);
    for query in queries {
        let truth = truth.search_filtered(query, k, &Predicate(&accepts)).unwrap();
        let found = searcher.search_filtered(query, k, &Predicate(&accepts)).unwrap();
        assert_eq!(found.len(), truth.len());
        assert!(found.is_sorted() && found.iter().all(|n| accepts(n.id)));
        assert!((1..found.len()).all(|i| found[..i].iter().all(|n| n.id != found[i].id)), "{found:?}");
        if let Some(last) = truth.last() {
            hits += found.iter().filter(|n| n.distance <= last.distance).count() as u32;
            wanted += truth.len();
        }
    }
    f64::from(hits) / wanted.max(1) as f64
}

/// Asserts that the graph is regular, symmetric and connected, and that its rows are those of the store.
pub(crate) fn check<S: VectorStore>(deg: &Deg<S>, context: &str) {
    if let Err(wrong) = deg.check() {
        panic!("{context}, {} rows: {wrong}", deg.len());
    }
    let degree = deg.params().degree.min(deg.len().saturating_sub(1));
    assert!((0..deg.len() as u32).all(|row| deg.neighbors(row).count() == degree), "{context}");
}

/// The index as the bytes of its file.
#[cfg(feature = "persist")]
pub(crate) fn bytes<P: ann_io::container::Persist>(index: &P) -> Vec<u8> {
    let mut bytes = Vec::new();
    ann_io::container::Writer::of(index).unwrap().write_to(&mut bytes).unwrap();
    bytes
}
