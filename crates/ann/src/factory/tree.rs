//! Trees behind the door of every index.

use super::Structure;
use super::build::{BuildOptions, Element};
use crate::Error;
use crate::any::{AnyIndex, Dense, Erased, RowStore, SearchParams};
use ann_core::{Filter, FlatStore, Matrix, MatrixView, Monitor, Neighbor, Par, RowSet, SearchStats, VectorStore};
use ann_tree::{BallTree, BuildError, KdForest, KdForestParams, KdTree, TreeSearch};

/// A KD-tree over rows of `T`.
pub(super) fn kd<T: Element>(
    vectors: MatrixView<'_, f32>,
    options: &BuildOptions<'_>,
) -> Result<Box<dyn AnyIndex>, Error> {
    let store = FlatStore::<T>::from_rows(vectors, options.metric)?;
    Ok(Box::new(Erased::new(KdTree::build(store, options.par, options.monitor)?)))
}

/// A ball tree over rows of `T`.
pub(super) fn ball<T: Element>(
    vectors: MatrixView<'_, f32>,
    options: &BuildOptions<'_>,
) -> Result<Box<dyn AnyIndex>, Error> {
    let store = FlatStore::<T>::from_rows(vectors, options.metric)?;
    if store.gauge().is_none() {
        let found = format!("the metric {}", options.metric);
        return Err(BuildError::NoMetric { structure: "ball tree", found }.into());
    }
    Ok(Box::new(Erased::new(BallTree::build(store, options.par, options.monitor)?)))
}

/// A forest of randomised KD-trees over rows of `T`.
pub(super) fn forest<T: Element>(
    trees: usize,
    vectors: MatrixView<'_, f32>,
    options: &BuildOptions<'_>,
) -> Result<Box<dyn AnyIndex>, Error> {
    let store = FlatStore::<T>::from_rows(vectors, options.metric)?;
    let params = KdForestParams { trees, seed: options.seed, ..KdForestParams::default() };
    Ok(Box::new(Erased::new(KdForest::build(store, params, options.par, options.monitor)?)))
}

impl SearchParams {
    /// What trees are asked for.
    fn of_tree(&self) -> TreeSearch {
        TreeSearch { checks: self.checks }
    }
}

/// Rows of a store that is in another order, by their numbers: `rows[i]` is the row at place `i`.
pub(super) fn in_order(store: &impl RowStore, rows: &[u32]) -> Option<Matrix<f32>> {
    let kept = store.vectors()?;
    let mut values = vec![0.0; rows.len() * kept.dim()];
    for (place, &row) in rows.iter().enumerate() {
        values[row as usize * kept.dim()..][..kept.dim()].copy_from_slice(kept.row(place));
    }
    Matrix::new(values, kept.dim()).ok()
}

impl<T: Element> Dense for KdTree<FlatStore<T>> {
    type Store = FlatStore<T>;
    type Wide = KdTree<FlatStore<f32>>;

    fn structure(&self) -> Structure {
        Structure::KdTree
    }

    fn store(&self) -> &FlatStore<T> {
        self.store()
    }

    fn vectors(&self) -> Option<Matrix<f32>> {
        in_order(self.store(), self.rows())
    }

    fn params(params: &SearchParams) -> TreeSearch {
        params.of_tree()
    }

    fn search_row<F: Filter>(
        &self,
        row: u32,
        k: usize,
        params: &TreeSearch,
        filter: &F,
        scratch: &mut Self::Scratch,
        out: &mut Vec<Neighbor>,
    ) -> SearchStats {
        KdTree::search_row(self, row, k, params, filter, scratch, out)
    }

    fn extend(&mut self, rows: MatrixView<'_, f32>, par: Par, monitor: Monitor<'_>) -> Result<(), Error> {
        Ok(KdTree::extend(self, rows.rows(), par, monitor)?)
    }

    fn purge(&mut self, dead: &RowSet, par: Par) -> Vec<u32> {
        KdTree::purge(self, dead, par)
    }

    fn with_store(&self, store: FlatStore<f32>) -> Option<Self::Wide> {
        KdTree::with_store(self, store)
    }

    #[cfg(feature = "io")]
    fn save<'a>(&'a self, writer: &mut ann_io::container::Writer<'a>) -> Result<(), ann_io::container::SaveError> {
        writer.part("index", self)
    }
}

impl<T: Element> Dense for BallTree<FlatStore<T>> {
    type Store = FlatStore<T>;
    type Wide = BallTree<FlatStore<f32>>;

    fn structure(&self) -> Structure {
        Structure::BallTree
    }

    fn store(&self) -> &FlatStore<T> {
        self.store()
    }

    fn vectors(&self) -> Option<Matrix<f32>> {
        in_order(self.store(), self.rows())
    }

    fn params(params: &SearchParams) -> TreeSearch {
        params.of_tree()
    }

    fn search_row<F: Filter>(
        &self,
        row: u32,
        k: usize,
        params: &TreeSearch,
        filter: &F,
        scratch: &mut Self::Scratch,
        out: &mut Vec<Neighbor>,
    ) -> SearchStats {
        BallTree::search_row(self, row, k, params, filter, scratch, out)
    }

    fn extend(&mut self, rows: MatrixView<'_, f32>, par: Par, monitor: Monitor<'_>) -> Result<(), Error> {
        Ok(BallTree::extend(self, rows.rows(), par, monitor)?)
    }

    fn purge(&mut self, dead: &RowSet, par: Par) -> Vec<u32> {
        BallTree::purge(self, dead, par)
    }

    fn with_store(&self, store: FlatStore<f32>) -> Option<Self::Wide> {
        BallTree::with_store(self, store)
    }

    #[cfg(feature = "io")]
    fn save<'a>(&'a self, writer: &mut ann_io::container::Writer<'a>) -> Result<(), ann_io::container::SaveError> {
        writer.part("index", self)
    }
}

impl<T: Element> Dense for KdForest<FlatStore<T>> {
    type Store = FlatStore<T>;
    type Wide = KdForest<FlatStore<f32>>;

    fn structure(&self) -> Structure {
        Structure::KdForest { trees: self.params().trees }
    }

    fn store(&self) -> &FlatStore<T> {
        self.store()
    }

    fn params(params: &SearchParams) -> TreeSearch {
        params.of_tree()
    }

    fn search_row<F: Filter>(
        &self,
        row: u32,
        k: usize,
        params: &TreeSearch,
        filter: &F,
        scratch: &mut Self::Scratch,
        out: &mut Vec<Neighbor>,
    ) -> SearchStats {
        KdForest::search_row(self, row, k, params, filter, scratch, out)
    }

    fn extend(&mut self, rows: MatrixView<'_, f32>, par: Par, monitor: Monitor<'_>) -> Result<(), Error> {
        Ok(KdForest::extend(self, rows.rows(), par, monitor)?)
    }

    fn purge(&mut self, dead: &RowSet, par: Par) -> Vec<u32> {
        KdForest::purge(self, dead, par)
    }

    fn with_store(&self, store: FlatStore<f32>) -> Option<Self::Wide> {
        KdForest::with_store(self, store)
    }

    #[cfg(feature = "io")]
    fn save<'a>(&'a self, writer: &mut ann_io::container::Writer<'a>) -> Result<(), ann_io::container::SaveError> {
        writer.part("index", self)
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn what_a_tree_cannot_do_is_said_by_name() {
        let rows = Matrix::from_rows(&[[1.0, 0.0], [0.0, 1.0]]).unwrap();
        for (spec, structure) in [("BallTree", "ball tree"), ("KDForest", "KD-forest")] {
            let error = crate::index_factory(spec, &rows, Metric::InnerProduct).unwrap_err();
            let message =
                format!("a {structure} needs a distance that keeps the triangle inequality, the metric ip does not");
            assert_eq!(error.to_string(), message);
        }
        let index = crate::index_factory("KDTree", &rows, Metric::InnerProduct).unwrap();
        assert_eq!(index.search(&[0.1, 2.0], 1).unwrap()[0].label, 1);
    }
}
