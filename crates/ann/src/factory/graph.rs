//! Building graphs: how rows are kept, and on what the links are chosen.

use super::build::{BuildOptions, Element};
use super::{Links, Structure};
use crate::Error;
use crate::any::{AnyIndex, Dense, Erased, RowStore, SearchParams};
use ann_core::{
    ElementKind, Filter, FlatError, FlatStore, MatrixView, Monitor, Neighbor, Par, RowSet, SearchStats, VectorStore,
    stand_in,
};
use ann_graph::{Hierarchy, Hnsw, HnswParams, HnswSearch, OcclusionRule, Pipnn};

/// Fewer links than this per row are chosen row by row.
const FEWEST_AT_ONCE: usize = 4;

/// What is linked, and how.
pub(super) struct Linking<'a> {
    pub(super) links: Links,
    pub(super) vectors: MatrixView<'a, f32>,
    /// What the rows are kept as.
    pub(super) element: ElementKind,
    pub(super) options: &'a BuildOptions<'a>,
    /// Links that were chosen before; `None` chooses them.
    pub(super) ready: Option<&'a Hierarchy>,
}

impl Linking<'_> {
    /// A graph over `store`, which holds the vectors.
    pub(super) fn over<S: VectorStore<Vector = [f32]>>(&self, store: S, keep_pruned: bool) -> Result<Hnsw<S>, Error> {
        match (self.ready, self.bytes()) {
            (Some(links), _) => married(links.clone(), store),
            (None, Some(bytes)) => married(self.link(bytes, keep_pruned)?.into_parts().0, store),
            (None, None) => self.link(store, keep_pruned),
        }
    }

    /// A graph over `store`, which keeps the vectors less well than rows of `T`, on which links are chosen.
    #[cfg(feature = "quant")]
    pub(super) fn over_codes<T: Element, S: VectorStore>(&self, store: S) -> Result<Hnsw<S>, Error> {
        let rows = || FlatStore::<T>::from_rows(self.vectors, self.options.metric);
        let links = match (self.ready, self.bytes()) {
            (Some(links), _) => links.clone(),
            (None, Some(bytes)) => self.link(bytes, false)?.into_parts().0,
            (None, None) => self.link(rows()?, false)?.into_parts().0,
        };
        married(links, store)
    }

    /// Chooses links for the rows of `store`: all at once for a graph of one layer if so told, else row by row.
    fn link<S: VectorStore>(&self, store: S, keep_pruned: bool) -> Result<Hnsw<S>, Error> {
        let BuildOptions { ef_construction, seed, par, monitor, quality, .. } = *self.options;
        let params = match self.links {
            Links::Hnsw { m, m0 } => HnswParams { m, m0, ..HnswParams::default() },
            Links::Nsw { m } => HnswParams::nsw(m),
            Links::Vamana { max_degree } => HnswParams::vamana(max_degree),
        };
        if let (1, Some(quality)) = (params.max_layers, quality)
            && params.m0() >= FEWEST_AT_ONCE
        {
            let batch = Pipnn { max_degree: params.m0(), quality, rule: params.rule, keep_pruned, seed };
            return Ok(batch.build(store, par, monitor)?);
        }
        let params = HnswParams { ef_construction, seed, keep_pruned, ..params };
        Ok(Hnsw::builder().params(params).par(par).monitor(monitor).build(store)?)
    }

    /// Bytes to choose links by, where rows are longer and bytes tell them apart.
    fn bytes(&self) -> Option<FlatStore<i8>> {
        match self.element {
            _ if self.ready.is_some() => None,
            ElementKind::U8 | ElementKind::I8 => None,
            _ => stand_in::bytes(self.vectors, self.options.metric),
        }
    }
}

impl Links {
    /// What such parameters stand for.
    pub(super) fn of(params: &HnswParams) -> Self {
        match (params.max_layers, params.rule) {
            (1, OcclusionRule::Staged { .. }) => Self::Vamana { max_degree: params.m0() },
            (1, _) => Self::Nsw { m: params.m },
            _ => Self::Hnsw { m: params.m, m0: params.m0 },
        }
    }
}

/// Links over `store`, which keeps the rows that they were chosen for.
fn married<S: VectorStore>(links: Hierarchy, store: S) -> Result<Hnsw<S>, Error> {
    let (expected, found) = (links.len(), store.len());
    Ok(Hnsw::from_parts(links, store).ok_or(FlatError::Parts { what: "rows", expected, found })?)
}

/// A graph over rows of `T`, or of `f32` in halves where these serve.
pub(super) fn graph<T: Element>(linking: &Linking<'_>) -> Result<Box<dyn AnyIndex>, Error> {
    let (vectors, metric) = (linking.vectors, linking.options.metric);
    let halves = if T::KIND == ElementKind::F32 { stand_in::halves(vectors, metric) } else { None };
    Ok(match halves {
        Some(halves) => Box::new(Erased::new(linking.over(halves, false)?)),
        None => Box::new(Erased::new(linking.over(FlatStore::<T>::from_rows(vectors, metric)?, false)?)),
    })
}

impl<S: RowStore> Dense for Hnsw<S> {
    type Store = S;
    type Wide = Hnsw<S::Wide>;

    fn structure(&self) -> Structure {
        Structure::Graph { links: Links::of(self.params()), codes: self.store().codes() }
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
        Hnsw::search_row(self, row, k, params, filter, scratch, out)
    }

    fn extend(&mut self, rows: MatrixView<'_, f32>, par: Par, monitor: Monitor<'_>) -> Result<(), Error> {
        Hnsw::extend(self, rows.rows(), par, monitor)?;
        Ok(())
    }

    fn purge(&mut self, dead: &RowSet, par: Par) -> Vec<u32> {
        Hnsw::purge(self, dead, par)
    }

    fn with_store(&self, store: S::Wide) -> Option<Self::Wide> {
        Hnsw::from_parts(self.hierarchy().clone(), store)
    }

    fn hierarchy(&self) -> Option<&Hierarchy> {
        Some(Hnsw::hierarchy(self))
    }

    #[cfg(feature = "io")]
    fn save<'a>(&'a self, writer: &mut ann_io::container::Writer<'a>) -> Result<(), ann_io::container::SaveError> {
        writer.part("index", self)
    }
}
