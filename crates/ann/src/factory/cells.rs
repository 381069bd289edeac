//! RP-forests and k-means trees behind the door of every index.

use super::Structure;
use super::build::{BuildOptions, Element};
use super::tree::in_order;
use crate::Error;
use crate::any::{AnyIndex, Dense, Erased, RowStore, SearchParams};
use ann_core::{
    ElementKind, Filter, FlatStore, Matrix, MatrixView, Monitor, Neighbor, Par, ReadRow, Reorder, RowSet, SearchStats,
    stand_in,
};
use ann_tree::{CellTree, Centres, KMeansTreeParams, Planes, RpForestParams, TreeSearch};

/// An RP-forest over rows of `T`.
pub(super) fn forest<T: Element>(
    trees: usize,
    vectors: MatrixView<'_, f32>,
    options: &BuildOptions<'_>,
) -> Result<Box<dyn AnyIndex>, Error> {
    tree::<T, Planes>(RpForestParams { trees, seed: options.seed, ..RpForestParams::default() }, vectors, options)
}

/// A k-means tree over rows of `T`.
pub(super) fn kmeans<T: Element>(
    branching: usize,
    vectors: MatrixView<'_, f32>,
    options: &BuildOptions<'_>,
) -> Result<Box<dyn AnyIndex>, Error> {
    tree::<T, Centres>(
        KMeansTreeParams { branching, seed: options.seed, ..KMeansTreeParams::default() },
        vectors,
        options,
    )
}

/// Cells over rows of `T`, or over rows of `f32` in halves where these serve: a search reads many rows, and waits for memory.
fn tree<T: Element, C: Named>(
    params: C::Params,
    vectors: MatrixView<'_, f32>,
    options: &BuildOptions<'_>,
) -> Result<Box<dyn AnyIndex>, Error> {
    let &BuildOptions { metric, par, monitor, .. } = options;
    if T::KIND == ElementKind::F32
        && let Some(halves) = stand_in::halves(vectors, metric)
    {
        return Ok(Box::new(Erased::new(CellTree::<C, _>::build(halves, params, par, monitor)?)));
    }
    let rows = FlatStore::<T>::from_rows(vectors, metric)?;
    Ok(Box::new(Erased::new(CellTree::<C, _>::build(rows, params, par, monitor)?)))
}

/// Cells with a name in a spec.
#[cfg(feature = "io")]
pub(crate) trait Named: ann_tree::Stored {
    fn structure(params: &Self::Params) -> Structure;
    fn seed(params: &Self::Params) -> u64;
}

/// Cells with a name in a spec.
#[cfg(not(feature = "io"))]
pub(crate) trait Named: ann_tree::Cells {
    fn structure(params: &Self::Params) -> Structure;
    fn seed(params: &Self::Params) -> u64;
}

impl Named for Planes {
    fn structure(params: &RpForestParams) -> Structure {
        Structure::RpForest { trees: params.trees }
    }

    fn seed(params: &RpForestParams) -> u64 {
        params.seed
    }
}

impl Named for Centres {
    fn structure(params: &KMeansTreeParams) -> Structure {
        Structure::KMeansTree { branching: params.branching }
    }

    fn seed(params: &KMeansTreeParams) -> u64 {
        params.seed
    }
}

impl<C: Named, S: RowStore<Wide: ReadRow + Reorder> + ReadRow + Reorder> Dense for CellTree<C, S> {
    type Store = S;
    type Wide = CellTree<C, S::Wide>;

    fn structure(&self) -> Structure {
        C::structure(self.params())
    }

    fn store(&self) -> &S {
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
        CellTree::search_row(self, row, k, params, filter, scratch, out)
    }

    fn extend(&mut self, rows: MatrixView<'_, f32>, par: Par, monitor: Monitor<'_>) -> Result<(), Error> {
        Ok(CellTree::extend(self, rows.rows(), par, monitor)?)
    }

    fn purge(&mut self, dead: &RowSet, par: Par) -> Vec<u32> {
        CellTree::purge(self, dead, par)
    }

    fn with_store(&self, store: S::Wide) -> Option<Self::Wide> {
        CellTree::with_store(self, store)
    }

    fn seed(&self) -> u64 {
        C::seed(self.params())
    }

    #[cfg(feature = "io")]
    fn save<'a>(&'a self, writer: &mut ann_io::container::Writer<'a>) -> Result<(), ann_io::container::SaveError> {
        writer.part("index", self)
    }
}
