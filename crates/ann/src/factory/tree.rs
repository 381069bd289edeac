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
    pub(super) fn of_tree(&self) -> TreeSearch {
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

/// A tree over rows of `T`: all are called alike, and differ in what they are named, whether rows are in another order, and what they draw by.
macro_rules! dense {
    ($tree:ident, |$self:ident| structure: $structure:expr, vectors: $vectors:expr, seed: $seed:expr) => {
        impl<T: Element> Dense for $tree<FlatStore<T>> {
            type Store = FlatStore<T>;
            type Wide = $tree<FlatStore<f32>>;

            fn structure(&$self) -> Structure {
                $structure
            }

            fn store(&self) -> &FlatStore<T> {
                self.store()
            }

            fn vectors(&$self) -> Option<Matrix<f32>> {
                $vectors
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
                $tree::search_row(self, row, k, params, filter, scratch, out)
            }

            fn extend(&mut self, rows: MatrixView<'_, f32>, par: Par, monitor: Monitor<'_>) -> Result<(), Error> {
                Ok($tree::extend(self, rows.rows(), par, monitor)?)
            }

            fn purge(&mut self, dead: &RowSet, par: Par) -> Vec<u32> {
                $tree::purge(self, dead, par)
            }

            fn with_store(&self, store: FlatStore<f32>) -> Option<Self::Wide> {
                $tree::with_store(self, store)
            }

            fn seed(&$self) -> u64 {
                $seed
            }

            #[cfg(feature = "io")]
            fn save<'a>(
                &'a self,
                writer: &mut ann_io::container::Writer<'a>,
            ) -> Result<(), ann_io::container::SaveError> {
                writer.part("index", self)
            }
        }
    };
}

dense!(KdTree, |self| structure: Structure::KdTree, vectors: in_order(self.store(), self.rows()), seed: 0);
dense!(BallTree, |self| structure: Structure::BallTree, vectors: in_order(self.store(), self.rows()), seed: 0);
dense!(
    KdForest,
    |self| structure: Structure::KdForest { trees: self.params().trees },
    vectors: self.store().vectors(),
    seed: self.params().seed
);

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

    /// What is built anew is what would have been built of the rows that are left.
    #[test]
    fn a_forest_keeps_its_seed_when_it_is_compacted() {
        let rows = |n: usize| Matrix::new((0..8 * n).map(|i| (i * i % 1009) as f32).collect(), 8).unwrap();
        let (options, checks) = (BuildOptions { seed: 7, ..BuildOptions::default() }, SearchParams::effort(60));
        for spec in ["KDForest2", "RPForest2", "KMeansTree8"] {
            let spec: Spec = spec.parse().unwrap();
            let [mut index, fresh] = [900, 600].map(|n| spec.build(&rows(n), &options).unwrap());
            index.remove(&(600..900).collect::<Vec<u64>>()).unwrap();
            index.compact(Par::Serial).unwrap();
            for query in rows(900).rows().skip(600) {
                let found = [&index, &fresh].map(|index| index.search_with(query, 5, &checks).unwrap());
                assert_eq!(found[0], found[1], "{spec}");
            }
        }
    }
}
