//! What the tests of this binary share: graphs on disk from rows, opened from memory that stands for a disk.

use ann_core::{Exact, FlatStore, Matrix, MatrixView, Metric, Par, VectorStore};
use ann_graph::{DiskGraph, Hnsw, HnswParams};
use ann_io::ReadAt;
use ann_io::container::{Archive, LoadError, Persist};
use ann_quant::{CodeStore, Pq, PqParams};
use ann_testkit::Workload;
use ann_testkit::portable::Portable;
use std::sync::Arc;

/// Codes as they are used, and rows in the place of codes where there are too few to train on.
pub(crate) type Coded = DiskGraph<CodeStore<Pq>>;
pub(crate) type Plain = DiskGraph<FlatStore<f32>>;

pub(crate) fn store(rows: MatrixView<'_, f32>, metric: Metric) -> FlatStore<f32> {
    FlatStore::from_rows(rows, metric).unwrap()
}

pub(crate) fn codes(rows: MatrixView<'_, f32>, metric: Metric, m: usize) -> CodeStore<Pq> {
    let params = PqParams { m, iterations: 10, sample: Some(8_192), ..PqParams::default() };
    CodeStore::from_rows(Pq::train(rows, metric, &params, Par::Ambient).unwrap(), rows, Par::Ambient).unwrap()
}

pub(crate) fn vamana(max_degree: usize, ef_construction: usize) -> HnswParams {
    HnswParams { ef_construction, ..HnswParams::vamana(max_degree) }
}

pub(crate) fn graph(rows: &Matrix<f32>, metric: Metric, params: HnswParams) -> Hnsw<FlatStore<f32>> {
    Hnsw::builder().params(params).build(store(rows.view(), metric)).unwrap()
}

/// The bytes of the file of `graph` with `codes`.
pub(crate) fn file<C>(graph: &Hnsw<FlatStore<f32>>, codes: &C) -> Vec<u8>
where
    C: VectorStore<Vector = [f32]> + Persist,
{
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index");
    DiskGraph::write(&path, graph.hierarchy(), graph.store(), codes).unwrap();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside the file");
    std::fs::read(&path).unwrap()
}

/// The file with rows for codes.
pub(crate) fn plain(rows: &Matrix<f32>, metric: Metric) -> Vec<u8> {
    file(&graph(rows, metric, vamana(16, 60)), &store(rows.view(), metric))
}

pub(crate) fn open<P: Persist>(bytes: &[u8]) -> Result<P, LoadError> {
    open_from(bytes.to_vec())
}

pub(crate) fn open_from<P: Persist>(source: impl ReadAt + 'static) -> Result<P, LoadError> {
    Archive::on_demand(Arc::new(source))?.load()
}

/// The portable set with its ten true neighbours.
pub(crate) fn workload(set: Portable) -> Workload {
    let exact = Exact::new(store(set.base.view(), set.metric));
    let truth = exact.ground_truth(set.queries.view(), 10, Par::Ambient).unwrap();
    Workload { name: set.name.to_owned(), base: set.base, queries: set.queries, metric: set.metric, truth }
}

/// Recall@10 and mean reads of a query.
pub(crate) fn measured<C>(work: &Workload, index: &DiskGraph<C>, ef: usize, beam: usize) -> (f64, f64)
where
    C: VectorStore<Vector = [f32]>,
{
    let mut searcher = ann_core::Searcher::new(index, ann_graph::DiskSearch { ef, beam });
    let mut reads = 0;
    let measured = work.measure(ef, |query, _| {
        let ids = searcher.search(query, 10).unwrap().iter().map(|n| n.id).collect();
        reads += searcher.stats().reads;
        (ids, searcher.stats().evaluations)
    });
    (measured.recall.mean(), reads as f64 / work.queries.len() as f64)
}
