//! Building graphs: how rows are kept, and on what the links are chosen.

use super::build::{BuildOptions, Element};
use super::{Structure, codes};
use crate::Error;
use crate::any::{AnyIndex, Dense, Erased, RowStore, SearchParams};
use ann_core::{ElementKind, FlatError, FlatStore, MatrixView, Monitor, Par, VectorStore};
use ann_graph::{Hnsw, HnswBuilder, HnswParams, HnswSearch};

/// A graph over `vectors` as rows of `T`, or of `f32` in halves where these serve.
pub(super) fn hnsw<T: Element>(
    m: usize,
    m0: Option<usize>,
    vectors: MatrixView<'_, f32>,
    options: &BuildOptions<'_>,
) -> Result<Box<dyn AnyIndex>, Error> {
    let halves = if T::KIND == ElementKind::F32 { codes::halves(vectors, options.metric) } else { None };
    match halves {
        Some(halves) => link(m, m0, vectors, options, T::KIND, halves),
        None => link(m, m0, vectors, options, T::KIND, FlatStore::<T>::from_rows(vectors, options.metric)?),
    }
}

/// A graph over `store`, which holds `vectors`, built on bytes in their place where these serve.
fn link<S: RowStore>(
    m: usize,
    m0: Option<usize>,
    vectors: MatrixView<'_, f32>,
    options: &BuildOptions<'_>,
    element: ElementKind,
    store: S,
) -> Result<Box<dyn AnyIndex>, Error> {
    Ok(Box::new(Erased::new(linked(builder(m, m0, options), vectors, options, element, store)?)))
}

/// As [`link`], with a builder of one's own.
pub(super) fn linked<S: VectorStore<Vector = [f32]>>(
    builder: HnswBuilder<'_>,
    vectors: MatrixView<'_, f32>,
    options: &BuildOptions<'_>,
    element: ElementKind,
    store: S,
) -> Result<Hnsw<S>, Error> {
    match bytes(vectors, options, element) {
        Some(codes) => married(builder.build(codes)?, store),
        None => Ok(builder.build(store)?),
    }
}

/// The links of `graph` over `store`, which keeps the same rows.
pub(super) fn married<S: VectorStore>(graph: Hnsw<impl VectorStore>, store: S) -> Result<Hnsw<S>, Error> {
    let (expected, found) = (graph.store().len(), store.len());
    Ok(graph.into_store(store).ok_or(FlatError::Parts { what: "rows", expected, found })?)
}

pub(super) fn builder<'a>(m: usize, m0: Option<usize>, options: &BuildOptions<'a>) -> HnswBuilder<'a> {
    let (ef_construction, seed) = (options.ef_construction, options.seed);
    let params = HnswParams { m, m0, ef_construction, seed, ..HnswParams::default() };
    Hnsw::builder().params(params).par(options.par).monitor(options.monitor)
}

/// Bytes to choose links by, where rows of `element` are longer and bytes tell them apart.
pub(super) fn bytes(
    vectors: MatrixView<'_, f32>,
    options: &BuildOptions<'_>,
    element: ElementKind,
) -> Option<FlatStore<i8>> {
    match element {
        ElementKind::U8 | ElementKind::I8 => None,
        _ => codes::bytes(vectors, options.metric),
    }
}

impl<S: RowStore> Dense for Hnsw<S> {
    type Store = S;
    type Wide = Hnsw<S::Wide>;

    fn structure(&self) -> Structure {
        let params = self.params();
        Structure::Hnsw { m: params.m, m0: params.m0, codes: self.store().codes() }
    }

    fn store(&self) -> &S {
        self.store()
    }

    fn params(params: &SearchParams) -> Self::Params {
        let default = HnswSearch::default();
        HnswSearch { ef: params.ef.unwrap_or(default.ef) }
    }

    fn extend(&mut self, rows: MatrixView<'_, f32>, par: Par, monitor: Monitor<'_>) -> Result<(), Error> {
        Hnsw::extend(self, rows.rows(), par, monitor)?;
        Ok(())
    }

    fn with_store(&self, store: S::Wide) -> Option<Self::Wide> {
        self.with_store(store)
    }

    #[cfg(feature = "io")]
    fn save<'a>(&'a self, writer: &mut ann_io::container::Writer<'a>) -> Result<(), ann_io::container::SaveError> {
        writer.part("index", self)
    }
}
