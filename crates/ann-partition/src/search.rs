//! The search of one query.
//!
//! The nearest lists come first, so that what is found there keeps most of what comes later from being looked at. Codes leave the nearest
//! `rerank` rows, which the store measures, nearest estimates first (`refine.rs`). Where that leaves fewer than `k` rows, the search goes on
//! through further lists, nearest first, as far as it must. A filter is asked about rows whose codes are near enough, and before that where it
//! accepts so few rows that most blocks hold none.

use crate::coarse::Ranking;
use crate::codec::{Codec, Query, of_metric, scaled};
use crate::group::Group;
use crate::refine::Estimates;
use crate::{Ivf, IvfSearch, ListRows};
use ann_core::simd::Rows;
use ann_core::simd::lanes::LANES;
use ann_core::{
    Batch, DistanceOracle, Filter, Index, MemoryUsage, Neighbor, Reservoir, Route, RowError, SearchStats, TopK,
    VectorError, VectorStore,
};

/// Blocks that are scored together: 128 rows.
const BLOCKS: usize = 8;
/// Rows that the store measures together.
const ROWS: usize = 256;
/// Share of accepted rows below which a filter is asked before codes are read.
const RARE: f64 = 0.05;
/// Accepted rows that are measured without any list, for every list that would be scanned.
const DIRECT: usize = 64;
/// Root mean square errors of an estimate beyond the results up to which rows are measured where nobody says how many. On wordnet-113k with
/// codes of one bit that costs up to .001 of recall and measures 46 to 53 rows in the place of 90 to 150; 1.5 costs up to .004.
const SLACK: f32 = 2.0;

/// Memory of a search.
#[derive(Debug)]
pub struct IvfScratch<S: VectorStore> {
    pub(crate) query: Query,
    pub(crate) ranking: Ranking,
    pub(crate) store: S::Scratch,
    pub(crate) found: Found,
    pub(crate) group: Group<S>,
}

impl<S: VectorStore> Default for IvfScratch<S> {
    fn default() -> Self {
        Self {
            query: Query::default(),
            ranking: Ranking::default(),
            store: S::Scratch::default(),
            found: Found::default(),
            group: Group::default(),
        }
    }
}

/// What a search has found so far.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// By code, or by the estimates of a store.
    pub(crate) pool: Reservoir,
    pub(crate) rows: Vec<u32>,
    pub(crate) distances: Vec<f32>,
    pub(crate) top: TopK,
    /// What the store is to measure, by its estimate.
    pub(crate) estimated: Vec<Neighbor>,
    seen: Vec<bool>,
    /// What is found already, by number.
    known: Vec<u32>,
}

impl Found {
    /// Forgets everything, with room for what a search may put here, so that a later one with another filter asks for none.
    pub(crate) fn reset(&mut self, k: usize, depth: usize) {
        self.pool.reset(depth);
        self.rows.clear();
        self.rows.reserve(ROWS);
        self.distances.clear();
        self.distances.reserve(ROWS);
        self.known.clear();
        self.known.reserve(k);
        self.estimated.clear();
        self.estimated.reserve(depth);
    }
}

/// How much of what lists hold a filter leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Accepts {
    /// So little that it is measured without the lists.
    Few,
    /// So little that most blocks hold none of it.
    Rare,
    Much,
}

/// What a search wants.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    pub(crate) k: usize,
    /// Rows that pass codes or estimates.
    pub(crate) depth: usize,
    /// Of these, how many root mean square errors of an estimate beyond the results are still measured.
    pub(crate) slack: f32,
}

impl<S: ListRows> Ivf<S> {
    pub(crate) fn wanted(&self, k: usize, params: &IvfSearch) -> Wanted {
        let k = k.min(self.store.len());
        let depth = match (S::KEPT, params.rerank) {
            (false, _) => k,
            (true, Some(depth)) => depth.max(k),
            (true, None) => self.depth * params.nprobe.ilog2().max(1) as usize + 3 * k,
        };
        // Of a row in two lists only one place counts.
        let depth = depth.min(self.store.len()) * usize::from(self.params.copies());
        Wanted { k, depth, slack: if params.rerank.is_some() { f32::INFINITY } else { SLACK } }
    }

    pub(crate) fn accepts<F: Filter>(&self, filter: &F, nprobe: usize) -> Accepts {
        let known = if F::passes_all() { None } else { filter.known_count() };
        match known {
            Some(known) if S::KEPT && known <= DIRECT * nprobe => Accepts::Few,
            Some(known) if (known as f64) < RARE * self.store.len() as f64 => Accepts::Rare,
            _ => Accepts::Much,
        }
    }

    /// Whether rows are measured as they come, since no estimate sorts them before.
    pub(crate) fn is_direct(&self) -> bool {
        matches!(self.codec, Codec::Rows) && !<S::Oracle<'_> as DistanceOracle>::ESTIMATES
    }

    /// Asks memory for the beginning of a list; the rest follows by itself once it is read.
    pub(crate) fn prefetch(&self, list: usize) {
        const LINES: usize = 16;
        let block_len = self.codec.block_len();
        if let (Some(&block), 1..) = (self.lists.blocks[list].first(), block_len) {
            Rows::new(&self.lists.codes, block_len, block_len).prefetch(block, LINES);
        }
    }

    /// Looks through the list `list`, whose centre is at `centre`.
    #[allow(clippy::too_many_arguments)] // what a scan consists of
    pub(crate) fn scan<F: Filter>(
        &self,
        list: usize,
        centre: f32,
        query: &Query,
        oracle: &S::Oracle<'_>,
        filter: &F,
        rare: bool,
        found: &mut Found,
        stats: &mut SearchStats,
    ) {
        stats.hops += 1;
        if matches!(self.codec, Codec::Rows) {
            return self.measure_list(list, oracle, filter, found, stats);
        }
        let block_len = self.codec.block_len();
        let (mut out, mut near) = ([[0.0; LANES]; BLOCKS], [0u16; BLOCKS]);
        let most = if F::passes_all() || !rare { BLOCKS } else { 1 };
        for run in self.lists.runs(list, most) {
            let ids = &self.lists.ids[run.first * LANES..][..run.blocks * LANES];
            if !F::passes_all() && rare && !ids[..run.rows].iter().any(|&id| filter.accepts(id)) {
                continue;
            }
            let blocks = &self.lists.codes[run.first * block_len..][..run.blocks * block_len];
            let (out, near) = (&mut out[..run.blocks], &mut near[..run.blocks]);
            self.codec.score(query, centre, blocks, found.pool.bound(), out, near);
            stats.evaluations += run.rows as u64;
            for (block, (out, near)) in out.iter().zip(near).enumerate() {
                let mut mask = *near;
                let lanes = run.rows - block * LANES;
                if lanes < LANES {
                    mask &= (1 << lanes) - 1;
                }
                while mask != 0 {
                    let lane = mask.trailing_zeros() as usize;
                    mask &= mask - 1;
                    let id = ids[block * LANES + lane];
                    if F::passes_all() || filter.accepts(id) {
                        found.pool.push(id, out[lane]);
                    }
                }
            }
        }
    }

    /// Asks the store about the accepted rows of a list.
    fn measure_list<F: Filter>(
        &self,
        list: usize,
        oracle: &S::Oracle<'_>,
        filter: &F,
        found: &mut Found,
        stats: &mut SearchStats,
    ) {
        for run in self.lists.runs(list, ROWS / LANES) {
            let ids = &self.lists.ids[run.first * LANES..][..run.rows];
            let ids = if F::passes_all() {
                ids
            } else {
                found.rows.clear();
                found.rows.extend(ids.iter().copied().filter(|&id| filter.accepts(id)));
                &found.rows
            };
            found.distances.resize(ids.len(), 0.0);
            oracle.distances(ids, &mut found.distances);
            stats.evaluations += ids.len() as u64;
            for (&id, &distance) in ids.iter().zip(&found.distances) {
                if distance <= found.pool.bound() {
                    found.pool.push(id, distance);
                }
            }
        }
    }

    /// Replaces `out` by the nearest of what passed, measured where there is something to measure by.
    pub(crate) fn take_nearest(
        &self,
        Wanted { k, slack, .. }: Wanted,
        oracle: &S::Oracle<'_>,
        found: &mut Found,
        stats: &mut SearchStats,
        out: &mut Vec<Neighbor>,
    ) {
        out.clear();
        let Found { pool, estimated, .. } = found;
        if self.is_direct() {
            // Both places of a row are at the same distance, so they are neighbours.
            let mut last = None;
            out.extend(pool.sorted().filter(|n| last.replace(n.id) != Some(n.id)).take(k));
        } else if S::KEPT {
            let by = if matches!(self.codec, Codec::Rows) { Estimates::Store } else { Estimates::Codes };
            let of_pool = |n: Neighbor| match by {
                Estimates::Store => n.distance,
                Estimates::Codes => scaled(self.metric, n.distance),
            };
            estimated.clear();
            estimated.extend(pool.sorted().map(|n| Neighbor::new(n.id, of_pool(n))));
            if self.params.soar.is_some() {
                estimated.sort_unstable_by(|a, b| (a.id, a).cmp(&(b.id, b)));
                estimated.dedup_by_key(|n| n.id);
                estimated.sort_unstable();
            }
            found.refine(k, slack, by, oracle, stats, out);
        } else {
            for n in pool.sorted() {
                if out.len() == k {
                    break;
                }
                if self.params.soar.is_none() || !out.iter().any(|known: &Neighbor| known.id == n.id) {
                    out.push(Neighbor::new(n.id, of_metric(self.metric, n.distance)));
                }
            }
        }
    }

    /// What no list could give: every accepted row that is not among `out` yet, until there are `k`. Distances that are no numbers keep rows from being found.
    fn complete<F: Filter>(
        &self,
        k: usize,
        oracle: &S::Oracle<'_>,
        filter: &F,
        found: &mut Found,
        stats: &mut SearchStats,
        out: &mut Vec<Neighbor>,
    ) {
        let Found { rows, distances, top, known, .. } = found;
        stats.route = Route::Scan;
        top.reset(k);
        out.iter().for_each(|&n| top.push(n));
        known.clear();
        known.extend(out.iter().map(|n| n.id));
        known.sort_unstable();
        let mut accepted = filter.among(0..self.store.len() as u32).filter(|id| known.binary_search(id).is_err());
        loop {
            rows.clear();
            rows.extend(accepted.by_ref().take(ROWS));
            if rows.is_empty() {
                break;
            }
            distances.resize(rows.len(), 0.0);
            oracle.exact_within(top.threshold(), rows, distances);
            stats.evaluations += rows.len() as u64;
            rows.iter().zip(&*distances).for_each(|(&id, &distance)| top.push(Neighbor::new(id, distance)));
        }
        out.clear();
        top.drain_sorted(out);
    }
}

impl<S: ListRows> Index for Ivf<S> {
    type Vector = [f32];
    type Params = IvfSearch;
    type Scratch = IvfScratch<S>;

    fn len(&self) -> usize {
        self.store.len()
    }

    fn search_with<F: Filter>(
        &self,
        query: &[f32],
        k: usize,
        params: &IvfSearch,
        filter: &F,
        scratch: &mut IvfScratch<S>,
        out: &mut Vec<Neighbor>,
    ) -> Result<SearchStats, VectorError> {
        out.clear();
        self.store.check(query)?;
        let mut stats = SearchStats::default();
        let wanted = self.wanted(k, params);
        let Wanted { k, depth, .. } = wanted;
        if k == 0 {
            return Ok(stats);
        }
        let IvfScratch { query: prepared, ranking, store, found, .. } = scratch;
        found.reset(k, depth);
        let oracle = self.store.oracle(query, store);
        let nprobe = params.nprobe.clamp(1, self.nlist());
        let accepts = self.accepts(filter, nprobe);
        if accepts == Accepts::Few {
            self.complete(k, &oracle, filter, found, &mut stats, out);
            return Ok(stats);
        }
        let rare = accepts == Accepts::Rare;
        self.centres.rank(query, nprobe, params.adaptive, prepared, ranking);
        self.codec.prepare(query, self.centres.codec(), prepared);
        for (i, list) in ranking.found.iter().enumerate() {
            if params.limits.reached(&stats) {
                stats.cut_short = true;
                break;
            }
            if let Some(next) = ranking.found.get(i + 1) {
                self.prefetch(next.id as usize);
            }
            self.scan(list.id as usize, list.distance, prepared, &oracle, filter, rare, found, &mut stats);
        }
        // Further lists, where these held too little.
        if found.pool.len() < k && !stats.cut_short && nprobe < self.nlist() {
            found.seen.clear();
            found.seen.resize(self.nlist(), false);
            ranking.found.iter().for_each(|list| found.seen[list.id as usize] = true);
            self.centres.rank(query, self.nlist(), false, prepared, ranking);
            for list in &ranking.found {
                if found.pool.len() >= k {
                    break;
                }
                if found.seen[list.id as usize] {
                    continue;
                }
                if params.limits.reached(&stats) {
                    stats.cut_short = true;
                    break;
                }
                self.scan(list.id as usize, list.distance, prepared, &oracle, filter, rare, found, &mut stats);
            }
        }
        self.take_nearest(wanted, &oracle, found, &mut stats, out);
        if out.len() < k && !stats.cut_short {
            self.complete(k, &oracle, filter, found, &mut stats, out);
        }
        Ok(stats)
    }

    /// On sift-300k, wordnet-113k and words-25 batches take .92 to 1.00, .71 to .84 and .94 to .96 of the time that their queries take alone; with 32 at a time
    /// .94 to 1.02, .87 to .94 and .93 to .99; with 512 about as with 128.
    const GROUP: usize = 128;

    fn search_group<F: Filter>(
        &self,
        queries: &[&[f32]],
        k: usize,
        params: &IvfSearch,
        filter: &F,
        scratch: &mut IvfScratch<S>,
        batch: &mut Batch,
    ) -> Result<(), RowError> {
        self.search_together(queries, k, params, filter, scratch, batch)
    }

    fn memory_usage(&self) -> MemoryUsage {
        let (codes, lists) = self.lists.memory_usage();
        MemoryUsage {
            vectors: codes + self.store.memory_usage(),
            structure: lists + self.centres.memory_usage() + self.codec.memory_usage(),
        }
    }
}
