//! K-means tree: rows in clusters of clusters, the clusters whose centres are nearest opened first. Muja and Lowe, *Scalable nearest neighbor algorithms for high
//! dimensional data*, TPAMI 2014 (FLANN); Fukunaga and Narendra, *A branch and bound algorithm for computing k-nearest neighbors*, IEEE Trans. Computers 1975.
//!
//! A node cuts its rows into up to `branching` clusters, until few rows are left. A search keeps the clusters that it has seen in one queue and opens the first: a node compares
//! the query with all centres below it, which lie side by side, in one call; a leaf is one piece of memory, since rows are in the order of leaves. The place in the
//! queue is that of FLANN: squared distance to the centre less `cb_index` times the mean squared distance of its rows to it, so that wide clusters come earlier.
//!
//! *Where we differ*: leaves hold some dozens of rows and not one to thirty, since a scan is cheaper than a centre per row; a node of few rows has as many branches as
//! make such leaves. Centres of large nodes are found among a sample. At the end every row moves to the leaf with the nearest centre, twice (`settle.rs`). `checks` is a budget and there are no bounds: a cluster is not left out because it seems far.
//!
//! Cost: `n * branching * levels` distances to build and as many again for each round on samples. Memory beyond the rows: about `4 d / leaf * 2` bytes per row for centres, 8
//! for the order.

mod build;
mod params;
#[cfg(feature = "persist")]
mod persist;
mod settle;

pub use params::KMeansTreeParams;

use crate::euclid::Euclid;
use crate::open::Opening;
use crate::pending::{Branch, Pending};
use crate::places::{CellTree, Cells, LEAF};
use crate::{BuildError, ParamError};
use ann_core::simd::Buffer;
use ann_core::{Monitor, Par, ReadRow};

/// A k-means tree over the rows of a store, which it puts in the order of its leaves.
///
/// ```
/// use ann_core::{FlatStore, Matrix, Metric, Monitor, Par, Searcher};
/// use ann_tree::{KMeansTree, KMeansTreeParams, TreeSearch};
/// let rows = Matrix::new((0..2000).map(|x| x as f32).collect(), 2)?;
/// let store = FlatStore::<f32>::from_rows(rows.view(), Metric::L2)?;
/// let tree = KMeansTree::build(store, KMeansTreeParams::default(), Par::Serial, Monitor::new())?;
/// let mut searcher = Searcher::new(&tree, TreeSearch::checks(200));
/// assert_eq!(searcher.search(&[80.0, 81.0], 1)?[0].id, 40);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub type KMeansTree<S> = CellTree<Centres, S>;

/// The cells of a [`KMeansTree`]. Branches of a node are side by side, and node 0 is the root.
#[derive(Debug, Clone, Default)]
pub struct Centres {
    /// A point per branch.
    centres: Buffer<f32>,
    /// Mean squared distance of the rows of a branch to its centre.
    spreads: Buffer<f32>,
    /// The node that a branch leads to, or the leaf and a bit that says so.
    links: Buffer<u32>,
    /// The first branch of every node, and the end of the last.
    firsts: Buffer<u32>,
    /// The first place of every leaf, and the end of the last.
    starts: Buffer<u32>,
}

/// Memory of a search in [`Centres`].
#[derive(Debug, Clone, Default)]
pub struct CentresScratch {
    pending: Pending,
    distances: Vec<f32>,
}

impl Cells for Centres {
    type Params = KMeansTreeParams;
    type Scratch = CentresScratch;

    fn check(params: &KMeansTreeParams) -> Result<(), ParamError> {
        params.check()
    }

    fn grow<S: ReadRow>(
        store: &S,
        params: &KMeansTreeParams,
        euclid: &Euclid,
        par: Par,
        monitor: Monitor<'_>,
    ) -> Result<(Self, Vec<u32>), BuildError> {
        build::grow(store, params, euclid, par, monitor)
    }

    fn checks(_: &KMeansTreeParams) -> usize {
        KMeansTreeParams::CHECKS
    }

    fn open(
        &self,
        params: &KMeansTreeParams,
        euclid: &Euclid,
        point: &[f32],
        scratch: &mut CentresScratch,
        to: &mut impl Opening,
    ) {
        let CentresScratch { pending, distances } = scratch;
        let centres = euclid.rows(&self.centres);
        pending.reset(self.links.len());
        let mut next = (!self.links.is_empty()).then_some(0);
        while let Some(link) = next {
            if link & LEAF == 0 {
                let node = link as usize;
                let branches = self.firsts[node] as usize..self.firsts[node + 1] as usize;
                distances.resize(branches.len(), 0.0);
                euclid.squared.scan(point, centres.slice(branches.clone()), distances);
                for (&distance, branch) in distances.iter().zip(branches) {
                    let bound = distance - params.cb_index * self.spreads[branch];
                    pending.push(Branch { bound, tree: 0, node: self.links[branch] });
                }
            } else {
                let leaf = (link & !LEAF) as usize;
                to.range(self.starts[leaf]..self.starts[leaf + 1]);
                if to.done() {
                    return;
                }
            }
            next = pending.pop().map(|branch| branch.node);
        }
    }

    fn memory_usage(&self) -> usize {
        let Self { centres, spreads, links, firsts, starts } = self;
        let words = [links, firsts, starts].map(Buffer::memory_bytes);
        words.iter().sum::<usize>() + centres.memory_bytes() + spreads.memory_bytes()
    }
}
