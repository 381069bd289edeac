//! A graph whose rows and links are on disk: in memory are codes of the rows, and the nodes that every search passes.
//!
//! A node is its full row and its links, side by side; nodes lie in pages of 4 KiB (longer ones in several) of the index
//! file. A walk orders nodes by estimates from the codes; a hop reads the pages of the nearest few nodes at once, measures
//! their rows exactly, and estimates their neighbours. What is returned is the nearest of all that was measured, so
//! refinement costs no read of its own. Nodes within a few hops of the entry may be kept in memory with their links.
//!
//! Source: Subramanya et al., *DiskANN*, NeurIPS 2019, sections 3.1 to 3.3 and its code (`cached_beam_search`). *Where we
//! differ*: a node in memory is expanded at once and takes no place in a beam; every page has a checksum, looked at when
//! it is read; a filter that leaves few rows is not walked with, since codes of all rows are at hand (`walk.rs`).
//!
//! Cost: in memory the codes, [`DiskGraph::with_cache`]'s budget, and nothing else that grows with the rows; on disk
//! `4 (dim + 1 + max_degree)` bytes per row, rounded up so that no node crosses a page. A search reads about `ef` pages.

mod batch;
mod build;
mod cache;
mod layout;
mod met;
mod persist;
mod shards;
mod walk;
mod write;

pub use build::DiskBuilder;
pub use walk::DiskScratch;

use crate::BuildError;
use ann_core::simd::{Arch, Kernel, Op};
use ann_core::{
    Filter, FlatError, Index, MemoryUsage, Metric, Neighbor, SearchStats, VectorError, VectorStore, padded_len,
    prepare_dense, unit_distance,
};
use ann_io::container::{Pages, SaveError};
use batch::Threads;
use cache::Cache;
use layout::Layout;
use std::io;

/// A graph on disk, searched with codes of its rows that are in memory.
///
/// ```
/// use ann_core::{FlatStore, Matrix, Metric, Par, Searcher};
/// use ann_graph::{DiskGraph, DiskSearch, Hnsw, HnswParams};
/// use ann_io::container::{self, OpenMode};
/// use ann_quant::{CodeStore, Pq, PqParams};
/// let rows = Matrix::new((0..16 * 900).map(|i| (i * i % 97) as f32).collect(), 16)?;
/// let graph = Hnsw::builder()
///     .params(HnswParams::vamana(24))
///     .build(FlatStore::<f32>::from_rows(rows.view(), Metric::L2)?)?;
/// let pq = Pq::train(rows.view(), Metric::L2, &PqParams::default(), Par::Ambient)?;
/// let codes = CodeStore::from_rows(pq, rows.view(), Par::Ambient)?;
/// # let folder = tempfile::tempdir()?;
/// let path = folder.path().join("index.ann");
/// DiskGraph::write(&path, graph.hierarchy(), graph.store(), &codes)?;
///
/// let index: DiskGraph<CodeStore<Pq>> = container::load(&path, OpenMode::OnDemand)?;
/// let index = index.with_cache(16 << 10)?.with_threads(2)?;
/// let mut searcher = Searcher::new(&index, DiskSearch { ef: 40, ..DiskSearch::default() });
/// let found = searcher.search(rows.row(7), 1)?;
/// assert_eq!((found[0].id, found[0].distance), (7, 0.0));
/// assert!(searcher.stats().reads > 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct DiskGraph<C> {
    codes: C,
    measure: Measure,
    layout: Layout,
    pages: Pages,
    /// Nodes where walks begin; none only where there are no rows.
    entries: Vec<u32>,
    cache: Cache,
    threads: Option<Threads>,
}

/// What can go wrong with a graph on disk other than with the file as such.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DiskError {
    /// A page could not be read, or is damaged.
    #[error("page {page} of the rows on disk: {source}")]
    Page {
        /// The page, counted from 0.
        page: u64,
        /// What the system or the checksum says.
        source: io::Error,
    },
    /// The system refused a thread.
    #[error("cannot start a thread that reads: {0}")]
    Threads(#[source] io::Error),
    /// Parts that do not belong together.
    #[error("{what}: expected {expected}, found {found}")]
    Parts {
        /// Which part.
        what: &'static str,
        /// What the other parts ask for.
        expected: usize,
        /// What it is.
        found: usize,
    },
    /// The memory that a build may take does not suffice for any.
    #[error("a build of these rows takes {needed} bytes at the least, {budget} were given")]
    Budget {
        /// What would do.
        needed: u64,
        /// What was given.
        budget: u64,
    },
    /// The rows cannot be measured.
    #[error(transparent)]
    Flat(#[from] FlatError),
    /// The graph could not be built.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// What a build keeps on disk meanwhile could not be written or read.
    #[error("the file of a build: {0}")]
    Draft(#[source] io::Error),
    /// The file could not be written.
    #[error(transparent)]
    Save(#[from] SaveError),
}

impl From<DiskError> for VectorError {
    fn from(error: DiskError) -> Self {
        match error {
            DiskError::Page { page, source } => Self::Unread { page, reason: source.to_string() },
            other => Self::Unread { page: 0, reason: other.to_string() },
        }
    }
}

/// How a [`DiskGraph`] is searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskSearch {
    /// Candidates kept during the walk, raised to `k` where it is less: about the number of pages read. Recall and time
    /// grow with it.
    pub ef: usize,
    /// Most nodes whose pages are read at once, 1 to 64: more take fewer rounds and a few more reads.
    pub beam: usize,
}

impl Default for DiskSearch {
    fn default() -> Self {
        Self { ef: 64, beam: 4 }
    }
}

impl<C> DiskGraph<C> {
    /// Keeps the nodes nearest to the entry, by hops, in memory: as many as `bytes` hold, and none with 0. Reads each once.
    ///
    /// # Errors
    /// [`DiskError::Page`] for the first page that could not be read.
    pub fn with_cache(mut self, bytes: usize) -> Result<Self, DiskError> {
        self.cache = Cache::fill(&self.pages, self.layout, &self.entries, bytes)?;
        Ok(self)
    }

    /// Reads the pages of a hop on `threads` threads beside the searching one, which live as long as the index; 0, as
    /// opened, reads them one after another. Worth it where a read waits for a disk.
    ///
    /// # Errors
    /// [`DiskError::Threads`] if the system refuses them.
    pub fn with_threads(mut self, threads: usize) -> Result<Self, DiskError> {
        self.threads = if threads == 0 { None } else { Some(Threads::start(threads).map_err(DiskError::Threads)?) };
        Ok(self)
    }

    /// The codes that are in memory.
    pub fn codes(&self) -> &C {
        &self.codes
    }

    /// The metric of its distances.
    pub fn metric(&self) -> Metric {
        self.measure.metric
    }

    /// Columns of a row.
    pub fn dim(&self) -> usize {
        self.layout.dim
    }

    /// Nodes that are in memory.
    pub fn cached(&self) -> usize {
        self.cache.len()
    }

    /// Bytes of a page, and how many there are.
    pub fn pages(&self) -> (usize, u64) {
        (self.pages.size(), self.pages.count())
    }
}

impl<C: VectorStore<Vector = [f32]>> Index for DiskGraph<C> {
    type Vector = [f32];
    type Params = DiskSearch;
    type Scratch = DiskScratch<C>;

    fn len(&self) -> usize {
        self.layout.nodes
    }

    /// As [`Index::search_with`]; a page that cannot be read or is damaged is [`VectorError::Unread`].
    fn search_with<F: Filter>(
        &self,
        query: &[f32],
        k: usize,
        params: &DiskSearch,
        filter: &F,
        scratch: &mut DiskScratch<C>,
        out: &mut Vec<Neighbor>,
    ) -> Result<SearchStats, VectorError> {
        out.clear();
        self.codes.check(query)?;
        if k == 0 || self.is_empty() {
            return Ok(SearchStats::default());
        }
        self.walk(query, k, params, filter, scratch, out).inspect_err(|_| out.clear())
    }

    fn memory_usage(&self) -> MemoryUsage {
        let structure = self.cache.memory_usage() + self.entries.len() * size_of::<u32>();
        MemoryUsage { vectors: self.codes.memory_usage(), structure }
    }
}

/// A page whose checksum holds, but not what it says: forged, or written by a mistake.
fn damaged(page: u64, node: u32) -> DiskError {
    let reason = format!("node {node} has more links than there is room for, or one to no node");
    DiskError::Page { page, source: io::Error::new(io::ErrorKind::InvalidData, reason) }
}

/// Exact distances to rows that are not in a store: the same, to the bit, as a `FlatStore` of `f32` gives.
#[derive(Debug, Clone, Copy)]
struct Measure {
    metric: Metric,
    kernel: Kernel<f32, f32>,
    /// Values of a row with its padding.
    stride: usize,
}

impl Measure {
    fn new(dim: usize, metric: Metric) -> Result<Self, FlatError> {
        let op = match metric {
            Metric::L2 => Op::SquaredL2,
            Metric::InnerProduct | Metric::Cosine => Op::Dot,
            Metric::L1 => Op::L1,
            _ => return Err(FlatError::Metric { metric, kind: "f32" }),
        };
        let kernel = Kernel::new(Arch::detect()?, op).ok_or(FlatError::Metric { metric, kind: "f32" })?;
        Ok(Self { metric, kernel, stride: padded_len::<f32>(dim) })
    }

    /// A query as [`Self::distance`] takes it.
    fn prepare(&self, query: &[f32], out: &mut Vec<f32>) {
        prepare_dense(query, self.metric, self.stride, out);
    }

    /// From a prepared query to a row, which is normalised under cosine; `padded` is where it gets its padding.
    fn distance(&self, query: &[f32], row: &[f32], padded: &mut Vec<f32>) -> f32 {
        padded.clear();
        padded.extend_from_slice(row);
        padded.resize(self.stride, 0.0);
        let value = self.kernel.pair(query, padded);
        match self.metric {
            Metric::InnerProduct => -value,
            Metric::Cosine => unit_distance(value),
            _ => value,
        }
    }
}
