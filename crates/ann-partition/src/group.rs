//! The search of several queries: list by list rather than query by query, so that codes come from memory once for all queries that look at them.
//!
//! What is kept of what is scanned does not depend on the order of lists, so each query finds what it finds alone.

use crate::codec::{Codec, Query};
use crate::search::{Accepts, Found};
use crate::{Ivf, IvfScratch, IvfSearch, ListRows};
use ann_core::{Batch, Filter, Index as _, Limits, Neighbor, RowError, SearchStats, VectorStore, search_each};

/// Lists that every query looks through first, as it would alone: they hold most of what it finds, and keep most of what comes later from being looked at.
const FIRST: usize = 2;

/// Memory of a group of queries: one of each for every query.
#[derive(Debug)]
pub(crate) struct Group<S: VectorStore> {
    queries: Vec<Query>,
    stores: Vec<S::Scratch>,
    found: Vec<Found>,
    stats: Vec<SearchStats>,
    visits: Vec<Visit>,
}

impl<S: VectorStore> Default for Group<S> {
    fn default() -> Self {
        Self { queries: vec![], stores: vec![], found: vec![], stats: vec![], visits: vec![] }
    }
}

/// A query's look at a list whose centre is at `centre`.
#[derive(Debug, Clone, Copy)]
struct Visit {
    list: u32,
    query: u32,
    centre: f32,
}

impl<S: ListRows> Ivf<S> {
    /// [`ann_core::Index::search_group`].
    pub(crate) fn search_together<F: Filter>(
        &self,
        queries: &[&[f32]],
        k: usize,
        params: &IvfSearch,
        filter: &F,
        scratch: &mut IvfScratch<S>,
        batch: &mut Batch,
    ) -> Result<(), RowError> {
        let nprobe = params.nprobe.clamp(1, self.nlist());
        let wanted = self.wanted(k, params);
        let accepts = self.accepts(filter, nprobe);
        let alone = queries.len() < 2 || wanted.k == 0 || accepts == Accepts::Few || params.limits != Limits::default();
        if alone || matches!(self.codec, Codec::Rows) {
            return search_each(self, queries, k, params, filter, scratch, batch);
        }
        for (row, query) in queries.iter().enumerate() {
            self.store.check(query).map_err(|source| RowError { row, source })?;
        }
        let rare = accepts == Accepts::Rare;
        let mut group = std::mem::take(&mut scratch.group);
        group.make_room(queries.len());
        let Group { queries: prepared, stores, found, stats, visits } = &mut group;
        let oracles: Vec<S::Oracle<'_>> =
            queries.iter().zip(stores).map(|(query, scratch)| self.store.oracle(query, scratch)).collect();
        for (i, query) in queries.iter().enumerate() {
            let (prepared, found) = (&mut prepared[i], &mut found[i]);
            found.reset(wanted.k, wanted.depth);
            self.centres.rank(query, nprobe, params.adaptive, prepared, &mut scratch.ranking);
            self.codec.prepare(query, self.centres.codec(), prepared);
            let (first, later) = scratch.ranking.found.split_at(FIRST.min(scratch.ranking.found.len()));
            for list in first {
                self.scan(list.id as usize, list.distance, prepared, &oracles[i], filter, rare, found, &mut stats[i]);
            }
            visits.extend(later.iter().map(|list| Visit { list: list.id, query: i as u32, centre: list.distance }));
        }
        visits.sort_unstable_by_key(|visit| (visit.list, visit.query));
        for (at, visit) in visits.iter().enumerate() {
            if let Some(next) = visits.get(at + 1).filter(|next| next.list != visit.list) {
                self.prefetch(next.list as usize);
            }
            let i = visit.query as usize;
            let (list, found, stats) = (visit.list as usize, &mut found[i], &mut stats[i]);
            self.scan(list, visit.centre, &prepared[i], &oracles[i], filter, rare, found, stats);
        }
        let mut out: Vec<Neighbor> = Vec::new();
        for (i, oracle) in oracles.iter().enumerate() {
            self.take_nearest(wanted, oracle, &mut found[i], &mut stats[i], &mut out);
            if out.len() < wanted.k {
                // Its lists held too little.
                let alone = self.search_with(queries[i], k, params, filter, scratch, &mut out);
                stats[i] = alone.map_err(|source| RowError { row: i, source })?;
            }
            batch.push_with(&out, stats[i]);
        }
        drop(oracles);
        scratch.group = group;
        Ok(())
    }
}

impl<S: VectorStore> Group<S> {
    fn make_room(&mut self, count: usize) {
        let Self { queries, stores, found, stats, visits } = self;
        queries.resize_with(count, Query::default);
        stores.resize_with(count, S::Scratch::default);
        found.resize_with(count, Found::default);
        stats.clear();
        stats.resize_with(count, SearchStats::default);
        visits.clear();
    }
}
