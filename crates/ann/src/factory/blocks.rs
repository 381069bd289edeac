//! Graphs with neighbour blocks: how they are built, and on how many bits.

use super::Structure;
use super::build::{BuildOptions, Element};
use super::graph::{builder, linked};
use crate::Error;
use crate::any::{AnyIndex, Dense, Erased, SearchParams};
use ann_core::{FlatStore, MatrixView, Monitor, Par};
use ann_graph::{BlockHnsw, BlockSearch};
use ann_quant::{NodeRabitq, NodeRabitqParams};

/// Neighbour blocks over rows of `T`.
type Blocks<T> = BlockHnsw<FlatStore<T>, NodeRabitq>;

/// A graph over `vectors` as rows of `T`, with codes of `bits` bits beside the links.
pub(super) fn blocks<T: Element>(
    m: usize,
    m0: Option<usize>,
    bits: usize,
    vectors: MatrixView<'_, f32>,
    options: &BuildOptions<'_>,
) -> Result<Box<dyn AnyIndex>, Error> {
    let store = FlatStore::<T>::from_rows(vectors, options.metric)?;
    // Links that a block has room for cost nothing.
    let builder = builder(m, m0, options).keep_pruned(true);
    let graph = linked(builder, vectors, options, T::KIND, store)?;
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
        let params = self.graph().params();
        Structure::Blocks { m: params.m, m0: params.m0, bits: self.codec().planes() }
    }

    fn store(&self) -> &FlatStore<T> {
        self.graph().store()
    }

    fn params(params: &SearchParams) -> BlockSearch {
        let default = BlockSearch::default();
        BlockSearch { ef: params.ef.unwrap_or(default.ef), ..default }
    }

    fn extend(&mut self, rows: MatrixView<'_, f32>, par: Par, monitor: Monitor<'_>) -> Result<(), Error> {
        BlockHnsw::extend(self, rows.rows(), par, monitor)?;
        Ok(())
    }

    fn with_store(&self, store: FlatStore<f32>) -> Option<Blocks<f32>> {
        self.with_store(store)
    }

    #[cfg(feature = "io")]
    fn save<'a>(&'a self, writer: &mut ann_io::container::Writer<'a>) -> Result<(), ann_io::container::SaveError> {
        writer.part("index", self)
    }
}
