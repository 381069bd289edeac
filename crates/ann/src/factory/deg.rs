//! Dynamic exploration graphs behind the door of every index.

use super::Structure;
use super::build::{BuildOptions, Element};
use crate::Error;
use crate::any::{AnyIndex, Dense, Erased, RowStore, SearchParams};
use ann_core::{Filter, FlatStore, MatrixView, Monitor, Neighbor, Par, RowSet, SearchStats};
use ann_graph::{Deg, DegTarget, HnswSearch};

/// A graph over rows of `T`, for as many dimensions as they seem to have.
pub(super) fn deg<T: Element>(
    degree: usize,
    vectors: MatrixView<'_, f32>,
    options: &BuildOptions<'_>,
) -> Result<Box<dyn AnyIndex>, Error> {
    let &BuildOptions { metric, seed, par, monitor, .. } = options;
    let store = FlatStore::<T>::from_rows(vectors, metric)?;
    let target = DegTarget::of(&store, par);
    let builder = Deg::builder().degree(degree).target(target).seed(seed).par(par).monitor(monitor);
    Ok(Box::new(Erased::new(builder.build(store)?)))
}

impl<S: RowStore> Dense for Deg<S> {
    type Store = S;
    type Wide = Deg<S::Wide>;

    fn structure(&self) -> Structure {
        Structure::Deg { degree: self.params().degree }
    }

    fn store(&self) -> &S {
        self.store()
    }

    fn params(params: &SearchParams) -> HnswSearch {
        params.of_graph()
    }

    fn search_row<F: Filter>(
        &self,
        row: u32,
        k: usize,
        params: &HnswSearch,
        filter: &F,
        scratch: &mut Self::Scratch,
        out: &mut Vec<Neighbor>,
    ) -> SearchStats {
        Deg::search_row(self, row, k, params, filter, scratch, out)
    }

    fn extend(&mut self, rows: MatrixView<'_, f32>, par: Par, monitor: Monitor<'_>) -> Result<(), Error> {
        Deg::extend(self, rows.rows(), par, monitor)?;
        Ok(())
    }

    fn purge(&mut self, dead: &RowSet, _: Par) -> Vec<u32> {
        // Removing fails for rows that are not there, and those are not asked for.
        dead.swap_out(self.graph().len(), |row| _ = self.remove(row))
    }

    fn with_store(&self, store: S::Wide) -> Option<Self::Wide> {
        Deg::with_store(self, store)
    }

    #[cfg(feature = "io")]
    fn save<'a>(&'a self, writer: &mut ann_io::container::Writer<'a>) -> Result<(), ann_io::container::SaveError> {
        writer.part("index", self)
    }
}
