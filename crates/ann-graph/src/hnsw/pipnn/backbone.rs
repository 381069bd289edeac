//! Links between rows far apart: the exact graph of a small sample.
//!
//! Candidates from leaves are near, and so are links: a walk would cross the rows in small steps, and could not leave a
//! cluster that lies by itself. Rows of the sample link to one another in addition, as on an upper layer of HNSW; since every
//! one of them was a candidate for every other, the relative neighbourhood graph that the rule leaves holds together.

use super::Scratch;
use crate::FlatGraph;
use crate::select::{Base, Selection, select_neighbors};
use ann_core::{DistanceOracle, Neighbor, Par, ScratchPool, VectorStore, split_mix};

/// One row of the sample for so many, and most of them: all pairs are measured.
const ROWS_PER_SAMPLE: usize = 16;
const MOST: usize = 1024;

/// Rows per unit of parallel work.
const CHUNK: usize = 16;

/// Keeps these draws apart from those of leaders.
const STREAM: u64 = 0x626f_6e65_7321;

/// Rows of a sample and those that they link to, in the order of the rows.
pub(super) struct Backbone(Vec<(u32, Vec<u32>)>);

impl Backbone {
    /// The graph of a sample that `root` belongs to, with at most `degree` links for each row.
    pub(super) fn of<S: VectorStore>(
        store: &S,
        root: u32,
        degree: usize,
        selection: Selection,
        seed: u64,
        par: Par,
    ) -> Self {
        let len = store.len();
        let count = len.div_ceil(ROWS_PER_SAMPLE).min(MOST);
        let end = |i: usize| i * len / count;
        let draw = |i: usize| split_mix(seed ^ STREAM, i as u64) % (end(i + 1) - end(i)) as u64;
        let mut sample: Vec<u32> = (0..count).map(|i| (end(i) as u64 + draw(i)) as u32).collect();
        sample.push(root);
        sample.sort_unstable();
        sample.dedup();
        let pool = ScratchPool::<Scratch<S>>::default();
        let lists = par.map_chunks(sample.len(), CHUNK, &pool, |scratch, range| {
            let mut distances = vec![0.0; sample.len()];
            let list = |&row: &u32| {
                let Scratch { oracle, select, chosen, .. } = scratch;
                let oracle = store.oracle_at(row, oracle);
                oracle.distances(&sample, &mut distances);
                let others = sample.iter().zip(&distances).filter(|&(&id, _)| id != row);
                let mut others: Vec<Neighbor> = others.map(|(&id, &distance)| Neighbor::new(id, distance)).collect();
                others.sort_unstable();
                let base = Base { itself: oracle.distance(row), degree };
                select_neighbors(store, selection, |node| node, base, &others, chosen, select);
                (row, chosen.iter().map(|n| n.id).collect())
            };
            sample[range].iter().map(list).collect::<Vec<(u32, Vec<u32>)>>()
        });
        Self(lists.into_iter().flatten().collect())
    }

    /// Adds the links to those of `graph`; in a full list they take the place of the farthest.
    pub(super) fn add_to(&self, graph: &mut FlatGraph) {
        let mut list = Vec::with_capacity(graph.max_degree());
        for (row, links) in &self.0 {
            list.clear();
            list.extend(graph.neighbors(*row).filter(|id| !links.contains(id)));
            list.truncate(graph.max_degree() - links.len());
            list.extend(links);
            graph.set(*row, &list);
        }
    }
}
