//! HNSW in two branches, ordered by local dimension: Nguyen et al., *Dual-branch HNSW approach with skip bridges and LID-driven
//! optimization*, arXiv:2501.13992.
//!
//! Rows in sparse places are hard to find: the local dimension is high there. Here the upper layers are not drawn by lot. As many
//! rows rise as the exponential law says, those of the highest local dimension to the highest layer, in turn into one of two branches:
//! stacks of graphs of their own over one base layer that holds all rows. A search goes down both greedily and walks the
//! base from the two rows where it arrives. Who comes near enough on the way, to a row of high dimension, leaves for the
//! base at once: the *skip bridge*.
//!
//! Where we differ: dimensions come from a search for every row in the base, where the authors compare all pairs. One walk of
//! width `ef` starts at both rows, where they walk twice with half of it, which found far less for as many distances (`spec256`, 10,000
//! rows, 1,412 distances: 0.982 of the ten nearest against 0.932). The paper leaves open what is near enough and
//! high: we take the median distance to the `k`-th neighbour, and the highest fifth; who comes near enough in one branch does not go down
//! the other. Ranks are all that is kept of dimensions, since nothing above depends on more. Rows are not inserted
//! later: they would change the ranks of all.
//!
//! What it gives: no more than HNSW on sets that we measured (`tests/dual.rs`). On 10,000 rows as many distances find as much within
//! 0.006, from `ef` 20 on; narrow searches among tight clusters less, since high dimensions crowd the clusters out of the upper layers.
//!
//! Cost: a build takes one narrow search per row more than HNSW; a search a second descent, over lists of half the length. Memory beyond the
//! rows is somewhat less than of HNSW.

#[cfg(feature = "persist")]
mod persist;
mod subset;

use super::lifted::Lifted;
use super::{BuildError, Hnsw, HnswParams, HnswScratch, HnswSearch, ParamError};
use crate::find::find;
use crate::search::{GraphView, Walk};
use crate::{FlatGraph, local_dimension};
use ann_core::simd::Buffer;
use ann_core::{
    All, DistanceOracle, Filter, Index, MemoryUsage, Monitor, Neighbor, Par, ScratchPool, SearchStats, VectorError,
    VectorStore,
};
use subset::Subset;

/// Rows per unit of parallel work.
const CHUNK: usize = 64;

/// The skip bridge stands open to one row of so many, those of the highest local dimension.
const BRIDGE: usize = 5;

/// How a [`DualHnsw`] index is built.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "persist", derive(serde::Serialize, serde::Deserialize))]
pub struct DualParams {
    /// Lists, layers and seed as in HNSW, with half of `m` links above layer 0; the number of rows on each layer is drawn by its law.
    pub hnsw: HnswParams,
    /// Neighbours by which the local dimension at a row is estimated, 2 to 1024.
    pub neighbors: usize,
}

impl Default for DualParams {
    /// HNSW's own, and 20 neighbours as in the paper.
    fn default() -> Self {
        Self { hnsw: HnswParams::default(), neighbors: 20 }
    }
}

impl DualParams {
    /// Whether every field is in its range.
    ///
    /// # Errors
    /// [`ParamError`] that names the first that is not.
    pub fn check(&self) -> Result<(), ParamError> {
        let fits = (2..=1024).contains(&self.neighbors);
        ParamError::unless(fits, "neighbors", self.neighbors, "between 2 and 1024")?;
        self.hnsw.check()
    }

    /// Links all rows of `store`; the result is the same on any number of threads. `monitor` hears of the base layer, which is
    /// nearly all of the work.
    ///
    /// # Errors
    /// [`BuildError`] if a parameter is outside its range or the build was cancelled.
    pub fn build<S: VectorStore>(&self, store: S, par: Par, monitor: Monitor<'_>) -> Result<DualHnsw<S>, BuildError> {
        self.check()?;
        let flat = HnswParams { max_layers: 1, ..self.hnsw };
        par.install(|par| {
            let base = Hnsw::builder().params(flat).par(par).monitor(monitor).build(store)?;
            let (ranked, near) = self.ranked(&base, par);
            monitor.report(base.len() as u64, base.len() as u64)?;
            let lens = self.layer_lens(base.len());
            let m = self.branch_degree();
            let layers = Hnsw::builder().params(HnswParams { m, m0: Some(m), ..flat }).par(par);
            let branch = |turn: usize| -> Result<Branch, BuildError> {
                let rising = lens.first().map_or(0, |&len| len);
                let rows: Vec<u32> = ranked[..rising].iter().copied().skip(turn).step_by(2).collect();
                let own = lens.iter().map(|len| (len + 1 - turn) / 2).take_while(|&len| len > 0);
                let layer = |len| layers.build(Subset { store: &base.store, rows: &rows[..len] });
                let layers = own.map(|len| Ok(layer(len)?.hierarchy.base)).collect::<Result<_, BuildError>>()?;
                Ok(Branch { rows: Buffer::from_slice(&rows), layers })
            };
            let branches = [branch(0)?, branch(1)?];
            Ok(DualHnsw { params: *self, base, branches, near })
        })
    }

    /// Most links of a node above the base: half of HNSW's, so that two descents cost about as much as one there.
    fn branch_degree(&self) -> usize {
        (self.hnsw.m / 2).max(2)
    }

    /// How many of `len` rows are on layers 1, 2, … of both branches together, as HNSW would draw it.
    fn layer_lens(&self, len: usize) -> Vec<usize> {
        let mut lens = vec![0; self.hnsw.max_layers];
        (0..len as u32).for_each(|row| lens[..self.hnsw.level(row)].iter_mut().for_each(|len| *len += 1));
        lens
    }

    /// All rows, those of the highest local dimension first, and the median distance to the `neighbors`-th neighbour.
    fn ranked<S: VectorStore>(&self, base: &Hnsw<S>, par: Par) -> (Vec<u32>, f32) {
        // Of products, logarithms say nothing.
        let mut places = match Lifted::of(&base.store, par) {
            Some(lifted) => self.places(base, &lifted, par),
            None => self.places(base, &base.store, par),
        };
        let mut radii: Vec<f32> = places.iter().filter_map(|place| place.radius).collect();
        radii.sort_unstable_by(f32::total_cmp);
        let near = radii.get(radii.len() / 2).map_or(0.0, |&radius| radius);
        places.sort_unstable_by(|a, b| b.dimension.total_cmp(&a.dimension).then(a.row.cmp(&b.row)));
        (places.into_iter().map(|place| place.row).collect(), near)
    }

    /// What lies around every row, by distances of `store`, which are those of the base or others of the same rows.
    fn places<S: VectorStore, V: VectorStore>(&self, base: &Hnsw<S>, store: &V, par: Par) -> Vec<Place> {
        let pool = ScratchPool::<(HnswScratch<V>, S::Scratch, Vec<Neighbor>, Vec<f32>)>::default();
        let params = HnswSearch::ef(2 * self.neighbors);
        let places = par.map_chunks(base.len(), CHUNK, &pool, |(scratch, own, found, distances), range| {
            let mut place = |row: u32| {
                let HnswScratch { walk, oracle, accepted } = &mut *scratch;
                let oracle = store.oracle_at(row, oracle);
                find(&base.hierarchy, &oracle, &All, &[row], (self.neighbors + 1, &params), walk, accepted, found);
                // Among many copies a row itself may not be listed.
                found.retain(|n| n.id != row);
                found.truncate(self.neighbors);
                distances.clear();
                distances.extend(found.iter().map(|n| n.distance));
                // Among copies there are no dimensions; neither are there between infinities.
                let dimension = local_dimension(distances).map_or(0.0, |dimension| dimension.value);
                let dimension = if dimension.is_nan() { 0.0 } else { dimension };
                let radius = found.last().map(|last| base.store.oracle_at(row, own).distance(last.id));
                Place { row, dimension, radius }
            };
            range.map(|row| place(row as u32)).collect::<Vec<_>>()
        });
        places.into_iter().flatten().collect()
    }
}

/// What lies around a row.
struct Place {
    row: u32,
    /// The local dimension, or a number that orders as it does.
    dimension: f64,
    /// The distance to the farthest neighbour looked at, as the store has it; none of a row that is alone.
    radius: Option<f32>,
}

/// An HNSW graph in two branches over the rows of a store: see [`DualParams::build`]. It does not grow.
///
/// ```
/// use ann_core::{FlatStore, Matrix, Metric, Monitor, Par, Searcher};
/// use ann_graph::{DualParams, HnswSearch};
/// let rows = Matrix::new((0..4000).map(|i| (i * i % 997) as f32).collect(), 2)?;
/// let store = FlatStore::<f32>::from_rows(rows.view(), Metric::L2)?;
/// let dual = DualParams::default().build(store, Par::Ambient, Monitor::new())?;
/// assert!(dual.branch(0, 1).len().abs_diff(dual.branch(1, 1).len()) <= 1);
/// let mut searcher = Searcher::new(&dual, HnswSearch::ef(32));
/// assert_eq!(searcher.search(rows.row(7), 1)?[0].distance, 0.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct DualHnsw<S> {
    params: DualParams,
    base: Hnsw<S>,
    branches: [Branch; 2],
    /// Who is nearer than this to the query may leave a branch.
    near: f32,
}

/// The upper layers of one branch. Its rows are ranked, so that a layer is as many of the first of them as it holds.
#[derive(Debug, Clone, Default)]
struct Branch {
    /// Node `i` of every layer stands for row `rows[i]`.
    rows: Buffer<u32>,
    /// Layers 1, 2, …
    layers: Vec<FlatGraph>,
}

impl<S: VectorStore> DualHnsw<S> {
    /// The parameters it was built with.
    pub fn params(&self) -> &DualParams {
        &self.params
    }

    /// The graph over all rows.
    pub fn base(&self) -> &Hnsw<S> {
        &self.base
    }

    /// The rows on `layer` (1 is the lowest) of `branch`, 0 or 1, those of the highest local dimension first; none where there is no such layer.
    pub fn branch(&self, branch: usize, layer: usize) -> &[u32] {
        let branch = self.branches.get(branch);
        let layer = branch.and_then(|branch| Some((branch, branch.layers.get(layer.checked_sub(1)?)?)));
        layer.map_or(&[], |(branch, graph)| &branch.rows[..graph.len()])
    }

    /// The rows where the branches lead to, the nearer first; the root of the base from a branch without rows. Twice the same
    /// if the first branch leads near enough: the other would be going down for nothing.
    fn entries(&self, oracle: &impl DistanceOracle, walk: &mut Walk) -> [u32; 2] {
        let bridge = Bridge { near: self.near, nodes: self.base.len().div_ceil(2 * BRIDGE) as u32 };
        let (root, [first, second]) = (self.base.hierarchy.root, &self.branches);
        let Some(one) = first.descend(oracle, bridge, walk) else { return [root; 2] };
        if one.distance < self.near {
            return [one.id; 2];
        }
        match second.descend(oracle, bridge, walk) {
            None => [one.id, root],
            Some(other) => [one.min(other).id, one.max(other).id],
        }
    }
}

/// When a descent ends before the last layer: at one of so many first nodes, nearer than this.
#[derive(Debug, Clone, Copy)]
struct Bridge {
    near: f32,
    nodes: u32,
}

impl Branch {
    /// The nearest row that a greedy walk down finds.
    fn descend(&self, oracle: &impl DistanceOracle, bridge: Bridge, walk: &mut Walk) -> Option<Neighbor> {
        let mut nearest: Option<Neighbor> = None;
        for graph in self.layers.iter().rev() {
            let view = GraphView { links: graph.rows(), rows: Some(&self.rows) };
            walk.search(view, oracle, &All, nearest.map_or(0, |node| node.id), 1);
            nearest = walk.found().next().or(nearest);
            if nearest.is_some_and(|node| node.distance < bridge.near && node.id < bridge.nodes) {
                break;
            }
        }
        nearest.map(|node| Neighbor::new(self.rows[node.id as usize], node.distance))
    }

    fn memory_usage(&self) -> usize {
        self.rows.memory_bytes() + self.layers.iter().map(FlatGraph::memory_usage).sum::<usize>()
    }
}

impl<S: VectorStore> Index for DualHnsw<S> {
    type Vector = S::Vector;
    type Params = HnswSearch;
    type Scratch = HnswScratch<S>;

    fn len(&self) -> usize {
        self.base.len()
    }

    fn search_with<F: Filter>(
        &self,
        query: &S::Vector,
        k: usize,
        params: &HnswSearch,
        filter: &F,
        scratch: &mut HnswScratch<S>,
        out: &mut Vec<Neighbor>,
    ) -> Result<SearchStats, VectorError> {
        out.clear();
        self.base.store.check(query)?;
        let HnswScratch { walk, oracle, accepted } = scratch;
        walk.stats = SearchStats::default();
        let oracle = self.base.store.oracle(query, oracle);
        let entries = self.entries(&oracle, walk);
        find(&self.base.hierarchy, &oracle, filter, &entries, (k, params), walk, accepted, out);
        Ok(walk.stats)
    }

    fn memory_usage(&self) -> MemoryUsage {
        let base = self.base.memory_usage();
        let branches = self.branches.iter().map(Branch::memory_usage).sum::<usize>();
        MemoryUsage { structure: base.structure + branches, ..base }
    }
}
