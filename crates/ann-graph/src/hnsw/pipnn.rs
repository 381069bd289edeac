//! Building a graph of one layer all at once: "pick in partitions" (PiPNN, arXiv:2602.21247).
//!
//! No row is inserted. Rows are divided into small overlapping
//! leaves (`pipnn/partition.rs`); in every leaf all pairs are measured and each row meets its nearest (`pipnn/leaves.rs`); what
//! it met in all its leaves is one list of candidates (`pipnn/candidates.rs`). From these the rule that all graphs share chooses half
//! as many links as a row may have, every link is offered back, and lists that overflow choose again: as insertion does it. Then a search that
//! begins at each row adds what it comes along, and all choose once more. The same
//! was done before among samples of the rows, whose longer links are added (`pipnn/scales.rs`); the exact graph of a small sample is
//! the layer of entries above them (`pipnn/backbone.rs`). A tree from the medoid shows at last which rows cannot be reached, and
//! links to them are added (`connect.rs`).
//!
//! Where we differ from the paper: lists of candidates keep exactly the nearest, where it hashes directions; links are offered
//! back once more after the choice (on 100,000 SIFT rows 6 % fewer distances to a recall of 0.95); there are long links and entries; only the first of
//! copies is linked like a row (`pipnn/copies.rs`); inner products are measured where they are distances (`lifted.rs`); the
//! result is connected. Draws depend on the seed and on numbers of rows, lists not on the order in which they were
//! filled: the links are the same on any number of threads.
//!
//! Cost: one to two thousand distances per row, in tiles, a third more for the samples, the choice among its candidates, and a narrow search unless `Fast`. Memory
//! while it works: 20 bytes for each link that a row may have (`CANDIDATES_PER_LINK`), and 4 for each place of it in a leaf.

mod backbone;
mod candidates;
mod copies;
mod leaves;
mod partition;
mod scales;

use super::build::medoid;
use super::connect::connect;
use super::lifted::Lifted;
use super::{BuildError, Hierarchy, Hnsw, HnswParams, ParamError};
use crate::OcclusionRule;
use crate::search::Walk;
use crate::select::{Base, SelectScratch, Selection, select_neighbors};
use ann_core::{All, Cancelled, DistanceOracle, Monitor, Neighbor, Par, ScratchPool, VectorStore};
use backbone::Backbone;
use candidates::Candidates;
use copies::Copies;
use partition::Carving;
use scales::SHIFT;

/// Candidates that a row keeps for each link it may have.
const CANDIDATES_PER_LINK: usize = 2;

/// How full a list is, as a fraction, after a choice among more than it has room for. Lists of an insertion fill up again until the next choice; here there is none.
const FILLED: (usize, usize) = (7, 8);

/// How much a [`Pipnn`] build does for good links.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Quality {
    /// Candidates from leaves alone: half of the time of the next.
    Fast,
    /// A narrow search around every row in the graph so built, which adds to its candidates before all choose again.
    #[default]
    Balanced,
    /// Twice as many copies of a row among the leaves, and a search twice as wide.
    High,
}

/// What a [`Quality`] means.
#[derive(Debug, Clone, Copy)]
struct Effort {
    carving: Carving,
    /// Rows that a row meets in each of its leaves.
    nearest: usize,
    /// Width of the search for every row.
    ef: Option<usize>,
}

/// Builds an [`Hnsw`] graph of one layer from all rows at once, several times faster than by insertion. Above the layer stands a sample of at most 1,024
/// rows, where searches enter.
///
/// The graph is an ordinary one: it is searched, saved, turned into blocks and grown by insertion like any other.
///
/// ```
/// use ann_core::{FlatStore, Matrix, Metric, Monitor, Par, Searcher};
/// use ann_graph::{HnswSearch, Pipnn, Quality};
/// let rows = Matrix::new((0..4000).map(|i| (i * i % 997) as f32).collect(), 2)?;
/// let store = FlatStore::<f32>::from_rows(rows.view(), Metric::L2)?;
/// let batch = Pipnn { max_degree: 24, quality: Quality::Fast, ..Pipnn::default() };
/// let mut graph = batch.build(store, Par::Ambient, Monitor::new())?;
/// assert_eq!(graph.insert(&[1.5, 0.5])?, 2000);
/// let mut searcher = Searcher::new(&graph, HnswSearch::ef(32));
/// assert_eq!(searcher.search(&[1.5, 0.5], 1)?[0].id, 2000);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pipnn {
    /// Most links of a row, 4 to 1024; half of them are chosen, the others come back.
    pub max_degree: usize,
    /// How much to do for good links.
    pub quality: Quality,
    /// When a link makes another superfluous.
    pub rule: OcclusionRule,
    /// Whether superfluous links fill the lists up, as in [`HnswParams::keep_pruned`].
    pub keep_pruned: bool,
    /// Decides how rows are divided.
    pub seed: u64,
}

impl Default for Pipnn {
    /// Up to 32 links, of the relative neighbourhood graph, of balanced quality.
    fn default() -> Self {
        Self { max_degree: 32, quality: Quality::default(), rule: OcclusionRule::Nearest, keep_pruned: false, seed: 0 }
    }
}

impl Quality {
    fn effort(self, seed: u64) -> Effort {
        let (fanout, ef) = match self {
            Self::Fast => ([6, 2], None),
            Self::Balanced => ([6, 2], Some(44)),
            Self::High => ([8, 3], Some(64)),
        };
        Effort { carving: Carving { most: 320, fanout, seed }, nearest: 6, ef }
    }
}

impl Pipnn {
    /// Whether every field is in its range.
    ///
    /// # Errors
    /// [`ParamError`] that names the first that is not.
    pub fn check(&self) -> Result<(), ParamError> {
        let fits = (4..=1024).contains(&self.max_degree);
        ParamError::unless(fits, "max_degree", self.max_degree, "between 4 and 1024")?;
        self.params().check()
    }

    /// The parameters of the graph, by which rows are inserted later.
    pub fn params(&self) -> HnswParams {
        let Self { max_degree, rule, keep_pruned, seed, .. } = *self;
        HnswParams { m0: Some(max_degree), rule, keep_pruned, seed, ..HnswParams::nsw(max_degree / 2) }
    }

    /// Links all rows of `store`; `monitor` hears of rows done, and may cancel, some ten times or more.
    ///
    /// # Errors
    /// [`BuildError`] if a parameter is outside its range or the build was cancelled.
    pub fn build<S: VectorStore>(&self, store: S, par: Par, monitor: Monitor<'_>) -> Result<Hnsw<S>, BuildError> {
        self.check()?;
        let hierarchy = par.install(|par| match Lifted::of(&store, par) {
            Some(lifted) => self.link(&lifted, par, monitor),
            None => self.link(&store, par, monitor),
        })?;
        Ok(Hnsw { hierarchy, store })
    }

    fn link<S: VectorStore>(&self, store: &S, par: Par, monitor: Monitor<'_>) -> Result<Hierarchy, Cancelled> {
        let Some(root) = medoid(store) else { return Ok(Hierarchy::new(self.params())) };
        let Effort { carving, nearest, ef } = self.quality.effort(self.seed);
        let total = store.len() as u64;
        monitor.report(0, total)?;
        let mut samples = scales::samples(store.len(), carving.single(), self.seed);
        let mut coarse = None::<Candidates>;
        for (scale, rows) in (1..).zip(samples.drain(1..)).collect::<Vec<_>>().into_iter().rev() {
            let mut linked = Candidates::new(rows, scale * SHIFT, CANDIDATES_PER_LINK * self.max_degree);
            let copies =
                leaves::offer_nearest(store, carving, nearest, &mut linked, par, |_| monitor.report(0, total))?;
            let coarser = coarse.as_ref().map(|coarse| (coarse, &copies));
            self.choose(store, &mut linked, coarser, false, par, |_, _, _| ());
            coarse = Some(linked);
        }
        let all = samples.pop().unwrap_or_default();
        let mut candidates = Candidates::new(all, 0, CANDIDATES_PER_LINK * self.max_degree);
        let half = |share: f64| monitor.report((0.5 * share * total as f64) as u64, total);
        let copies = leaves::offer_nearest(store, carving, nearest, &mut candidates, par, half)?;
        let coarse = coarse.as_ref().map(|coarse| (coarse, &copies));
        let finish = |candidates: &Candidates| {
            let mut graph = candidates.to_graph(self.max_degree);
            copies.link(&mut graph);
            connect(store, self.params(), graph, root)
        };
        self.choose(store, &mut candidates, coarse, self.keep_pruned && ef.is_none(), par, |_, _, _| ());
        if let Some(ef) = ef {
            monitor.report(3 * total / 4, total)?;
            let hierarchy = finish(&candidates);
            self.choose(store, &mut candidates, coarse, self.keep_pruned, par, |scratch, row, list| {
                if copies.first(row) == row {
                    self.meet(store, &hierarchy, ef, row, list, scratch);
                    copies.unite(row, list);
                }
            });
        }
        let mut hierarchy = finish(&candidates);
        let selection = Selection { rule: self.rule, keep_pruned: false };
        let backbone = Backbone::of(store, root, self.max_degree / 2, selection, self.seed, par);
        hierarchy.upper.push(backbone.into_layer(root, self.max_degree / 2));
        monitor.report(total, total)?;
        Ok(hierarchy)
    }

    /// Links every row to some of its candidates, to which `meet(scratch, row, candidates)` may add, and these to it;
    /// with `keep_pruned` as many as there is room for.
    fn choose<S: VectorStore>(
        &self,
        store: &S,
        candidates: &mut Candidates,
        coarse: Option<(&Candidates, &Copies)>,
        keep_pruned: bool,
        par: Par,
        meet: impl Fn(&mut Scratch<S>, u32, &mut Vec<Neighbor>) + Sync,
    ) {
        let fill = if keep_pruned { self.max_degree } else { self.max_degree * FILLED.0 / FILLED.1 };
        let pool = ScratchPool::default();
        candidates.replace(par, &pool, |scratch, row, list| {
            meet(scratch, row, list);
            self.select(store, row, self.max_degree / 2, keep_pruned, list, scratch);
        });
        let nearest = candidates.nearest();
        candidates.offer_back(par);
        if let Some((coarse, copies)) = coarse {
            candidates.add(coarse, copies, par);
        }
        candidates.replace(par, &pool, |scratch, row, list| {
            if list.len() <= self.max_degree {
                return;
            }
            let mut rest = list.clone();
            self.select(store, row, self.max_degree, false, list, scratch);
            rest.retain(|n| !list.contains(n));
            // Rows whose nearest this is: nothing else might lead to them.
            let is_child = |n: &Neighbor| nearest.of(n.id) == row;
            let room = self.max_degree - list.len();
            list.extend(rest.iter().filter(|n| is_child(n)).take(room));
            let room = fill.saturating_sub(list.len());
            list.extend(rest.iter().filter(|n| !is_child(n)).take(room));
            list.sort_unstable();
        });
    }

    /// Leaves at most `degree` of the candidates of a row.
    fn select<S: VectorStore>(
        &self,
        store: &S,
        row: u32,
        degree: usize,
        keep_pruned: bool,
        candidates: &mut Vec<Neighbor>,
        scratch: &mut Scratch<S>,
    ) {
        let selection = Selection { rule: self.rule, keep_pruned };
        let Scratch { oracle, select, chosen, .. } = scratch;
        let oracle = store.oracle_at(row, oracle);
        candidates.iter().for_each(|n| oracle.prefetch(n.id));
        let base = Base { itself: oracle.distance(row), degree };
        select_neighbors(store, selection, |node| node, base, candidates, chosen, select);
        std::mem::swap(candidates, chosen);
    }

    /// Adds to the candidates of a row what a search meets that begins there.
    fn meet<S: VectorStore>(
        &self,
        store: &S,
        hierarchy: &Hierarchy,
        ef: usize,
        row: u32,
        candidates: &mut Vec<Neighbor>,
        scratch: &mut Scratch<S>,
    ) {
        let Scratch { walk, oracle, .. } = scratch;
        walk.keeps_expanded = true;
        hierarchy.walk_base(&store.oracle_at(row, oracle), &All, &[row], ef, walk);
        candidates.extend(walk.expanded.iter().filter(|n| n.id != row));
        candidates.sort_unstable();
        candidates.dedup();
    }
}

/// What a thread needs to choose links.
struct Scratch<S: VectorStore> {
    walk: Walk,
    oracle: S::Scratch,
    select: SelectScratch<S>,
    chosen: Vec<Neighbor>,
}

impl<S: VectorStore> Default for Scratch<S> {
    fn default() -> Self {
        Self {
            walk: Walk::default(),
            oracle: S::Scratch::default(),
            select: SelectScratch::default(),
            chosen: Vec::new(),
        }
    }
}
