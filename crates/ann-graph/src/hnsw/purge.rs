//! Taking rows out of a graph in place.
//!
//! Every list that named such a row chooses anew among what is left of it and the neighbours that the row had itself: the consolidation of
//! FreshDiskANN (Singh et al., 2021, arXiv:2105.09613, Alg. 4), on every layer. Then the last rows move to the places that are free, and the tree of links that
//! are never pruned is grown anew. Where we differ: lists that the heuristic filled are chosen by it again, without a slack; places
//! are taken by rows that are there instead of waiting for new ones, so that memory is what the rows that are left take.
//!
//! Cost: for every row with a neighbour that goes, the distances to some `max_degree` rows per such neighbour: with a fifth of the rows about as much as a tenth of a build.

use super::build::{Scratch, medoid};
use super::connect::connect;
use super::hierarchy::Layer;
use super::{Hierarchy, Hnsw};
use crate::FlatGraph;
use crate::adjacency::NONE;
use crate::select::{Base, select_neighbors};
use ann_core::simd::Buffer;
use ann_core::{DistanceOracle, Filter, Par, PushVector, RowSet, ScratchPool};

/// Nodes per unit of parallel work.
const CHUNK: usize = 64;
/// Most candidates for a list, the nearest of them: as many as an insertion looks at.
const POOL: usize = 200;

impl<S: PushVector> Hnsw<S> {
    /// Takes rows out, with all links to them. The last rows take their places: returned is the former number of every row that is left. Numbers in `dead` that no row
    /// has are passed over. The result is the same on any number of threads.
    ///
    /// ```
    /// use ann_core::{FlatStore, Matrix, Metric, Par, Searcher};
    /// use ann_graph::{Hnsw, HnswSearch};
    /// let rows = Matrix::from_rows(&[[0.0], [1.0], [2.0], [3.0]])?;
    /// let mut hnsw = Hnsw::builder().m(4).build(FlatStore::<f32>::from_rows(rows.view(), Metric::L2)?)?;
    /// assert_eq!(hnsw.purge(&[1].into_iter().collect(), Par::Serial), [0, 3, 2]);
    /// let mut searcher = Searcher::new(&hnsw, HnswSearch::default());
    /// let nearest = searcher.search(&[0.9], 2)?;
    /// assert_eq!(nearest.iter().map(|n| n.id).collect::<Vec<_>>(), [0, 2]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn purge(&mut self, dead: &RowSet, par: Par) -> Vec<u32> {
        let len = self.store.len();
        if dead.among(0..len as u32).next().is_none() {
            return (0..len as u32).collect();
        }
        let graphs =
            par.install(|par| (0..self.hierarchy.layers()).map(|layer| self.mended(layer, dead, par)).collect());
        let left = self.store.remove_rows(dead);
        self.renumber(graphs, &left, len);
        left
    }

    /// The graph of a layer, in which nothing links to rows that go.
    fn mended(&self, layer: usize, dead: &RowSet, par: Par) -> FlatGraph {
        let graph = self.hierarchy.graph(layer);
        let goes = |node: u32| dead.accepts(self.hierarchy.row_of(layer, node));
        let pool = ScratchPool::<Scratch<S>>::default();
        let changed = par.map_chunks(graph.len(), CHUNK, &pool, |scratch, range| {
            let nodes = (range.start as u32..range.end as u32).filter(|&node| !goes(node));
            let touched = nodes.filter(|&node| graph.neighbors(node).any(goes));
            touched.map(|node| (node, self.mended_list(layer, node, &goes, scratch))).collect::<Vec<_>>()
        });
        let mut mended = graph.clone();
        changed.iter().flatten().for_each(|(node, list)| mended.set(*node, list));
        mended
    }

    fn mended_list(&self, layer: usize, node: u32, goes: &impl Fn(u32) -> bool, scratch: &mut Scratch<S>) -> Vec<u32> {
        let Scratch { oracle, select, candidates, chosen, block, .. } = scratch;
        let graph = self.hierarchy.graph(layer);
        let through = graph.neighbors(node).filter(|&near| goes(near)).flat_map(|near| graph.neighbors(near));
        block.nodes.clear();
        block.nodes.extend(graph.neighbors(node).chain(through).filter(|&near| near != node && !goes(near)));
        block.nodes.sort_unstable();
        block.nodes.dedup();
        let row = self.hierarchy.row_of(layer, node);
        let oracle = self.store.oracle_at(row, oracle);
        candidates.clear();
        candidates.extend(self.measure(layer, &oracle, block));
        candidates.sort_unstable();
        candidates.truncate(POOL);
        let base = Base { itself: oracle.distance(row), degree: graph.max_degree() };
        let row_of = |node| self.hierarchy.row_of(layer, node);
        select_neighbors(&self.store, self.selection(), row_of, base, candidates, chosen, select);
        // What a list lost it gets back: what is near fills the places of links that were there for their length.
        let room = graph.neighbors(node).count().saturating_sub(chosen.len());
        let spare = candidates.iter().filter(|&candidate| !chosen.contains(candidate));
        let filled: Vec<u32> = chosen.iter().chain(spare.take(room)).map(|n| n.id).collect();
        filled
    }

    /// Takes the graphs of all layers for the rows that are left, given by the number that each had among `len`.
    fn renumber(&mut self, graphs: Vec<FlatGraph>, left: &[u32], len: usize) {
        let params = *self.hierarchy.params();
        let mut new = vec![NONE; len];
        left.iter().zip(0..).for_each(|(&row, number)| new[row as usize] = number);
        let mut graphs = graphs.into_iter();
        let root = new.get(self.hierarchy.root as usize).copied().filter(|&root| root != NONE);
        let (Some(base), Some(root)) = (graphs.next(), root.or_else(|| medoid(&self.store))) else {
            self.hierarchy = Hierarchy::new(params);
            return;
        };
        let mut hierarchy = connect(&self.store, params, renumbered(&base, left, &new), root);
        let mut below = new.clone();
        for (graph, layer) in graphs.zip(&self.hierarchy.upper) {
            let nodes = 0..layer.rows.len() as u32;
            let kept: Vec<u32> = nodes.filter(|&node| new[layer.rows[node as usize] as usize] != NONE).collect();
            if kept.is_empty() {
                break;
            }
            let mut numbers = vec![NONE; layer.rows.len()];
            kept.iter().zip(0..).for_each(|(&node, number)| numbers[node as usize] = number);
            let of = |old: &Buffer<u32>, map: &[u32]| {
                let mut all = Buffer::with_capacity(kept.len());
                kept.iter().for_each(|&node| all.push(map[old[node as usize] as usize]));
                all
            };
            let (rows, lower) = (of(&layer.rows, &new), of(&layer.below, &below));
            hierarchy.upper.push(Layer { graph: renumbered(&graph, &kept, &numbers), rows, below: lower });
            below = numbers;
        }
        self.hierarchy = hierarchy;
    }
}

/// The lists of the nodes `left`, with nodes by their numbers in `new`.
fn renumbered(graph: &FlatGraph, left: &[u32], new: &[u32]) -> FlatGraph {
    let mut lists = FlatGraph::new(graph.max_degree());
    lists.reserve(left.len());
    lists.add_nodes(left.len());
    let mut list = Vec::new();
    for (&node, number) in left.iter().zip(0..) {
        list.clear();
        list.extend(graph.neighbors(node).map(|near| new[near as usize]));
        lists.set(number, &list);
    }
    lists
}
