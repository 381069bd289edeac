//! RP-forest: several trees that cut space by planes between two centres, searched with one queue. The idea of Annoy (Bernhardsson, github.com/spotify/annoy).
//!
//! A node looks at some of its rows, finds two centres among them (a 2-means of a few rounds) and cuts by the plane halfway, until few rows are left. A query goes down
//! all trees at once; what lies behind the planes that it did not cross waits in one queue, the nearest first, and rows of the cells that are opened are
//! compared exactly, each once.
//!
//! *Where we differ*: a normal is kept as bytes with a scale, one byte per column in the place of four, and the plane is cut by these bytes, so nothing is lost. What waits
//! is ordered by the sum of the squared distances to the planes that were crossed, not by the farthest plane: planes of random pairs are nearly
//! orthogonal. `checks` counts rows that are compared, not rows in cells. Branches go down in step, so that memory brings normals together.
//!
//! Cost: `trees * n log n` products to build. Memory beyond the rows: 4 bytes per row and tree, and `d + 16` bytes per node, of which a tree has `n / leaf` or somewhat
//! more; 8 bytes per row for their order, which is that of the first tree.

mod build;
mod params;
#[cfg(feature = "persist")]
mod persist;

pub use params::RpForestParams;

use crate::euclid::Euclid;
use crate::open::Opening;
use crate::pending::{Branch, Pending};
use crate::places::{CellTree, Cells, LEAF};
use crate::{BuildError, ParamError};
use ann_core::simd::{Buffer, Rows};
use ann_core::{Monitor, Par, ReadRow, padded_len};

/// An RP-forest over the rows of a store, which it puts in the order of the first tree.
///
/// ```
/// use ann_core::{FlatStore, Matrix, Metric, Monitor, Par, Searcher};
/// use ann_tree::{RpForest, RpForestParams, TreeSearch};
/// let rows = Matrix::new((0..2000).map(|x| x as f32).collect(), 2)?;
/// let store = FlatStore::<f32>::from_rows(rows.view(), Metric::L2)?;
/// let forest = RpForest::build(store, RpForestParams { trees: 5, ..RpForestParams::default() }, Par::Serial, Monitor::new())?;
/// let mut searcher = Searcher::new(&forest, TreeSearch::checks(200));
/// assert_eq!(searcher.search(&[80.0, 81.0], 1)?[0].id, 40);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub type RpForest<S> = CellTree<Planes, S>;

/// The cells of an [`RpForest`]: nodes of all trees, leaves of all trees.
#[derive(Debug, Clone, Default)]
pub struct Planes {
    /// A node, or a leaf and a bit that says so, per tree.
    roots: Buffer<u32>,
    /// A row per node.
    normals: Buffer<i8>,
    /// What a product with the normal is multiplied by, and what is taken off then, to be the distance to the plane; per node.
    planes: Buffer<f32>,
    /// Where to go on this side of the plane and on that, per node.
    children: Buffer<u32>,
    /// The first place of every leaf, and the end of the last.
    starts: Buffer<u32>,
    /// Places of the rows of all leaves.
    places: Buffer<u32>,
}

/// Memory of a search in a [`Planes`].
#[derive(Debug, Clone, Default)]
pub struct PlanesScratch {
    pending: Pending,
    /// Branches that go down in step.
    going: Vec<Branch>,
    nodes: Vec<u32>,
    products: Vec<f32>,
    leaves: Vec<u32>,
}

/// Branches that are taken from the queue together.
const STEP: usize = 4;

impl Cells for Planes {
    type Params = RpForestParams;
    type Scratch = PlanesScratch;

    fn check(params: &RpForestParams) -> Result<(), ParamError> {
        params.check()
    }

    fn grow<S: ReadRow>(
        store: &S,
        params: &RpForestParams,
        euclid: &Euclid,
        par: Par,
        monitor: Monitor<'_>,
    ) -> Result<(Self, Vec<u32>), BuildError> {
        build::grow(store, params, euclid, par, monitor)
    }

    fn checks(_: &RpForestParams) -> usize {
        RpForestParams::CHECKS
    }

    fn open(
        &self,
        _: &RpForestParams,
        euclid: &Euclid,
        point: &[f32],
        scratch: &mut PlanesScratch,
        to: &mut impl Opening,
    ) {
        let PlanesScratch { pending, going, nodes, products, leaves } = scratch;
        pending.reset(self.children.len());
        let normals = self.normals(euclid.width());
        going.clear();
        going.extend(self.roots.iter().map(|&node| Branch { bound: 0.0, tree: 0, node }));
        loop {
            leaves.clear();
            while !going.is_empty() {
                going.retain(|branch| {
                    let leaf = branch.node & LEAF != 0;
                    if leaf {
                        leaves.push(branch.node & !LEAF);
                    }
                    !leaf
                });
                nodes.clear();
                nodes.extend(going.iter().map(|branch| branch.node));
                products.resize(nodes.len(), 0.0);
                euclid.bytes.gather(point, normals, nodes, products);
                for (branch, &product) in going.iter_mut().zip(&*products) {
                    let node = branch.node as usize;
                    let margin = self.planes[2 * node] * product - self.planes[2 * node + 1];
                    let near = usize::from(margin >= 0.0);
                    branch.node = self.children[2 * node + near];
                    let bound = branch.bound + margin * margin;
                    pending.push(Branch { bound, tree: 0, node: self.children[2 * node + 1 - near] });
                }
            }
            for &leaf in &*leaves {
                let leaf = leaf as usize;
                to.list(&self.places[self.starts[leaf] as usize..self.starts[leaf + 1] as usize]);
                if to.done() {
                    return;
                }
            }
            going.extend(std::iter::from_fn(|| pending.pop()).take(STEP));
            if going.is_empty() {
                return;
            }
        }
    }

    fn memory_usage(&self) -> usize {
        let Self { roots, normals, planes, children, starts, places } = self;
        let words = [roots, children, starts, places].map(Buffer::memory_bytes);
        words.iter().sum::<usize>() + normals.memory_bytes() + planes.memory_bytes()
    }
}

impl Planes {
    /// Normals as kernels take them, beside points of `width` values.
    fn normals(&self, width: usize) -> Rows<'_, i8> {
        Rows::new(&self.normals, width, padded_len::<i8>(width))
    }
}
