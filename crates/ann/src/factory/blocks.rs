//! Graphs with neighbour blocks: how they are built, and on how many bits.

use super::build::{BuildOptions, Element};
use super::graph::Linking;
use super::{Links, Structure};
use crate::Error;
use crate::any::{AnyIndex, Dense, Erased, SearchParams};
use ann_core::{Filter, FlatStore, MatrixView, Monitor, Neighbor, Par, RowSet, SearchStats};
use ann_graph::{BlockHnsw, BlockSearch, Hierarchy};
use ann_quant::{NodeRabitq, NodeRabitqParams};

/// Neighbour blocks over rows of `T`.
type Blocks<T> = BlockHnsw<FlatStore<T>, NodeRabitq>;

/// A graph over rows of `T`, with codes of `bits` bits beside the links.
pub(super) fn blocks<T: Element>(bits: usize, linking: &Linking<'_>) -> Result<Box<dyn AnyIndex>, Error> {
    let (vectors, options) = (linking.vectors, linking.options);
    // Links that a block has room for cost nothing.
    let graph = linking.over(FlatStore::<T>::from_rows(vectors, options.metric)?, true)?;
    let codec = NodeRabitq::train(vectors, options.metric, &params(bits, options))?;
    Ok(Box::new(Erased::new(BlockHnsw::new(graph, codec, options.par)?)))
}

pub(super) fn params(planes: usize, options: &BuildOptions<'_>) -> NodeRabitqParams {
    NodeRabitqParams { planes, seed: options.seed }
}

impl<T: Element> Dense for Blocks<T> {
    type Store = FlatStore<T>;
    type Wide = Blocks<f32>;

    fn structure(&self) -> Structure {
        Structure::Blocks { links: Links::of(self.graph().params()), bits: self.codec().planes() }
    }

    fn store(&self) -> &FlatStore<T> {
        self.graph().store()
    }

    fn params(params: &SearchParams) -> BlockSearch {
        BlockSearch { walk: params.of_graph(), ..BlockSearch::default() }
    }

    fn search_row<F: Filter>(
        &self,
        row: u32,
        k: usize,
        params: &BlockSearch,
        filter: &F,
        scratch: &mut Self::Scratch,
        out: &mut Vec<Neighbor>,
    ) -> SearchStats {
        BlockHnsw::search_row(self, row, k, params, filter, scratch, out)
    }

    fn extend(&mut self, rows: MatrixView<'_, f32>, par: Par, monitor: Monitor<'_>) -> Result<(), Error> {
        BlockHnsw::extend(self, rows.rows(), par, monitor)?;
        Ok(())
    }

    fn purge(&mut self, dead: &RowSet, par: Par) -> Vec<u32> {
        BlockHnsw::purge(self, dead, par)
    }

    fn with_store(&self, store: FlatStore<f32>) -> Option<Blocks<f32>> {
        self.with_store(store)
    }

    fn hierarchy(&self) -> Option<&Hierarchy> {
        Some(self.graph().hierarchy())
    }

    #[cfg(feature = "io")]
    fn save<'a>(&'a self, writer: &mut ann_io::container::Writer<'a>) -> Result<(), ann_io::container::SaveError> {
        writer.part("index", self)
    }
}
