//! Indexes of both kinds over the same rows, behind one object.

use ann_core::{
    All, Filter, FlatStore, Index, MatrixView, Metric, Monitor, Neighbor, Par, RowSet, SearchStats, Searcher,
};
use ann_tree::{CellTree, Cells, KMeansTree, KMeansTreeParams, RpForest, RpForestParams, TreeSearch};

pub(crate) fn store(rows: MatrixView<'_, f32>, metric: Metric) -> FlatStore<f32> {
    FlatStore::from_rows(rows, metric).unwrap()
}

pub(crate) fn forest(rows: MatrixView<'_, f32>, metric: Metric, params: RpForestParams) -> RpForest<FlatStore<f32>> {
    RpForest::build(store(rows, metric), params, Par::Threads(2), Monitor::new()).unwrap()
}

pub(crate) fn kmeans(
    rows: MatrixView<'_, f32>,
    metric: Metric,
    params: KMeansTreeParams,
) -> KMeansTree<FlatStore<f32>> {
    KMeansTree::build(store(rows, metric), params, Par::Threads(2), Monitor::new()).unwrap()
}

/// Either kind, without its type.
pub(crate) trait Tree {
    fn search(&self, query: &[f32], k: usize, checks: Option<usize>) -> (Vec<Neighbor>, SearchStats);
    fn search_among(
        &self,
        query: &[f32],
        k: usize,
        checks: Option<usize>,
        rows: &RowSet,
    ) -> (Vec<Neighbor>, SearchStats);
    fn search_row(&self, row: u32, k: usize) -> Vec<Neighbor>;
    fn extend(&mut self, rows: MatrixView<'_, f32>);
    fn purge(&mut self, dead: &RowSet) -> Vec<u32>;
    fn len(&self) -> usize;
}

impl<C: Cells> Tree for CellTree<C, FlatStore<f32>> {
    fn search(&self, query: &[f32], k: usize, checks: Option<usize>) -> (Vec<Neighbor>, SearchStats) {
        search(self, query, k, checks, &All)
    }

    fn search_among(
        &self,
        query: &[f32],
        k: usize,
        checks: Option<usize>,
        rows: &RowSet,
    ) -> (Vec<Neighbor>, SearchStats) {
        search(self, query, k, checks, rows)
    }

    fn search_row(&self, row: u32, k: usize) -> Vec<Neighbor> {
        let (mut out, params) = (Vec::new(), TreeSearch::default());
        CellTree::search_row(self, row, k, &params, &All, &mut Default::default(), &mut out);
        out
    }

    fn extend(&mut self, rows: MatrixView<'_, f32>) {
        CellTree::extend(self, rows.rows(), Par::Threads(2), Monitor::new()).unwrap();
    }

    fn purge(&mut self, dead: &RowSet) -> Vec<u32> {
        CellTree::purge(self, dead, Par::Threads(2))
    }

    fn len(&self) -> usize {
        Index::len(self)
    }
}

fn search<C: Cells>(
    tree: &CellTree<C, FlatStore<f32>>,
    query: &[f32],
    k: usize,
    checks: Option<usize>,
    filter: &impl Filter,
) -> (Vec<Neighbor>, SearchStats) {
    let mut searcher = Searcher::new(tree, TreeSearch { checks });
    let found = searcher.search_filtered(query, k, filter).unwrap().to_vec();
    (found, searcher.stats())
}

/// One of each kind, with small leaves and so with many nodes.
pub(crate) fn both(rows: MatrixView<'_, f32>, metric: Metric) -> [(&'static str, Box<dyn Tree>); 2] {
    let few = RpForestParams { trees: 4, leaf: 8, ..RpForestParams::default() };
    let small = KMeansTreeParams { branching: 4, leaf: 8, ..KMeansTreeParams::default() };
    [("RP-forest", Box::new(forest(rows, metric, few))), ("k-means tree", Box::new(kmeans(rows, metric, small)))]
}

pub(crate) fn ids(found: &[Neighbor]) -> Vec<u32> {
    found.iter().map(|neighbor| neighbor.id).collect()
}
