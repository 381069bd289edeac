//! The layer of entries: the exact graph of a small sample.
//!
//! On the layer of all rows a walk would cross them along long lists of near rows, and could not leave a
//! cluster that lies by itself. On this one the first steps are long and lists short; since every row of the sample was a candidate for every other, the relative
//! neighbourhood graph that the rule leaves holds together. (The same links in the lists of all rows in addition: 4 % more distances.)

use super::Scratch;
use crate::hnsw::hierarchy::Layer;
use crate::select::{Base, Selection, select_neighbors};
use ann_core::{DistanceOracle, Neighbor, Par, ScratchPool, VectorStore, split_mix};

/// One row of the sample for so many.
const ROWS_PER_SAMPLE: usize = 16;
/// Most of them, since all pairs are measured; small enough for the leaders of neighbour blocks, the root included.
const MOST: usize = 1023;

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

    /// The sample as a layer above all rows, whose first node is `root`.
    pub(super) fn into_layer(mut self, root: u32, max_degree: usize) -> Layer {
        self.0.sort_by_key(|&(row, _)| (row != root, row));
        let mut places: Vec<(u32, u32)> = self.0.iter().zip(0..).map(|(&(row, _), place)| (row, place)).collect();
        places.sort_unstable();
        let place = |row: &u32| places.binary_search_by_key(row, |&(row, _)| row).map(|at| places[at].1);
        let mut layer = Layer::with_capacity(max_degree, self.0.len());
        self.0.iter().for_each(|&(row, _)| _ = layer.add(row, row));
        for ((_, links), node) in self.0.iter().zip(0..) {
            let list: Vec<u32> = links.iter().filter_map(|row| place(row).ok()).collect();
            layer.graph.set(node, &list);
        }
        layer
    }
}
