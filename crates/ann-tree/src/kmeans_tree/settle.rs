//! Brings rows to the leaf whose centre is nearest.
//!
//! Clusters of clusters are cut one by one, so that a row near a border may end in a cluster whose leaves are all farther than some leaf of the next. A search would have to open
//! many leaves to find it. Here every row looks for the nearest leaf in the whole tree, as a query does, leaves move to the mean of their rows, and all that
//! is done again: k-means over leaves, with the tree in the place of comparing all of them.

use super::{Centres, CentresScratch};
use crate::euclid::{Euclid, Points};
use crate::pending::Branch;
use crate::places::LEAF;
use ann_core::{Par, ReadRow, ScratchPool};

/// How often.
const ROUNDS: usize = 2;
/// Nodes that a row looks into.
const NODES: usize = 8;
/// Rows, and leaves, that a thread takes at a time.
const SHARE: usize = 1024;
const LEAVES: usize = 32;

#[derive(Default)]
struct Memory {
    scratch: CentresScratch,
    points: Points,
    distances: Vec<f32>,
}

/// Settles the rows of `order`, which are those of the leaves one after another, anew.
pub(super) fn settle<S: ReadRow>(cells: &mut Centres, order: &mut [u32], store: &S, euclid: &Euclid, par: Par) {
    let mut branches = vec![0; cells.starts.len() - 1];
    for (branch, &link) in cells.links.iter().enumerate() {
        if link & LEAF != 0 {
            branches[(link & !LEAF) as usize] = branch;
        }
    }
    let pool = ScratchPool::<Memory>::default();
    for _ in 0..ROUNDS {
        let home = homes(cells, order, store, euclid, &branches, par, &pool);
        sort_by_home(cells, order, &home);
        centre(cells, order, store, euclid, &branches, par, &pool);
    }
}

/// The leaf of every row of `order`: the nearest that is found, but its own where that is as near.
fn homes<S: ReadRow>(
    cells: &Centres,
    order: &[u32],
    store: &S,
    euclid: &Euclid,
    branches: &[usize],
    par: Par,
    pool: &ScratchPool<Memory>,
) -> Vec<u32> {
    let centres = euclid.rows(&cells.centres);
    let parts = par.map_chunks(order.len(), SHARE, pool, |Memory { scratch, points, .. }, range| {
        let mut own = cells.starts.partition_point(|&start| start as usize <= range.start) - 1;
        euclid.read_all(store, &order[range.clone()], points);
        let points = euclid.rows(&points.values);
        let home = |(i, at): (usize, usize)| {
            while cells.starts[own + 1] as usize <= at {
                own += 1;
            }
            let point = points.row(i);
            let (leaf, distance) = cells.nearest_leaf(euclid, point, scratch);
            let nearer = distance < euclid.squared.pair(point, centres.row(branches[own]));
            if nearer { leaf } else { own as u32 }
        };
        range.enumerate().map(home).collect::<Vec<u32>>()
    });
    parts.concat()
}

/// Puts rows into the order of the leaves that they are at home in; rows of a leaf are in the order of their numbers.
fn sort_by_home(cells: &mut Centres, order: &mut [u32], home: &[u32]) {
    let mut keys: Vec<u64> =
        home.iter().zip(&*order).map(|(&leaf, &row)| u64::from(leaf) << 32 | u64::from(row)).collect();
    keys.sort_unstable();
    let starts = cells.starts.as_mut_slice();
    starts.fill(0);
    for (row, &key) in order.iter_mut().zip(&keys) {
        *row = key as u32;
        starts[(key >> 32) as usize + 1] += 1;
    }
    for leaf in 1..starts.len() {
        starts[leaf] += starts[leaf - 1];
    }
}

/// Moves centres of leaves to the means of their rows; those of leaves without rows stay.
fn centre<S: ReadRow>(
    cells: &mut Centres,
    order: &[u32],
    store: &S,
    euclid: &Euclid,
    branches: &[usize],
    par: Par,
    pool: &ScratchPool<Memory>,
) {
    let width = euclid.width();
    let starts = &cells.starts;
    let parts = par.map_chunks(branches.len(), LEAVES, pool, |Memory { points, distances, .. }, range| {
        let moved = |leaf: usize| {
            let rows = &order[starts[leaf] as usize..starts[leaf + 1] as usize];
            if rows.is_empty() {
                return None;
            }
            euclid.read_all(store, rows, points);
            let mut mean = vec![0f32; width];
            for point in points.values.chunks_exact(width) {
                mean.iter_mut().zip(point).for_each(|(sum, &x)| *sum += x);
            }
            mean.iter_mut().for_each(|sum| *sum = euclid.rounded(*sum / rows.len() as f32));
            distances.resize(rows.len(), 0.0);
            euclid.squared.scan(&mean, euclid.rows(&points.values), distances);
            let spread = distances.iter().map(|&distance| f64::from(distance)).sum::<f64>() / rows.len() as f64;
            Some((mean, spread.min(f64::from(f32::MAX)) as f32))
        };
        range.map(moved).collect::<Vec<_>>()
    });
    for (moved, &branch) in parts.into_iter().flatten().zip(branches) {
        if let Some((mean, spread)) = moved {
            cells.centres.as_mut_slice()[branch * width..][..width].copy_from_slice(&mean);
            cells.spreads.as_mut_slice()[branch] = spread;
        }
    }
}

impl Centres {
    /// The leaf with the nearest centre in the [`NODES`] nodes that are nearest, and how far that is.
    fn nearest_leaf(&self, euclid: &Euclid, point: &[f32], scratch: &mut CentresScratch) -> (u32, f32) {
        let CentresScratch { pending, distances } = scratch;
        let centres = euclid.rows(&self.centres);
        pending.reset(self.links.len());
        let (mut node, mut found) = (0, (0, f32::INFINITY));
        for _ in 0..NODES {
            let branches = self.firsts[node] as usize..self.firsts[node + 1] as usize;
            distances.resize(branches.len(), 0.0);
            euclid.squared.scan(point, centres.slice(branches.clone()), distances);
            for (&distance, branch) in distances.iter().zip(branches) {
                match self.links[branch] {
                    link if link & LEAF == 0 => pending.push(Branch { bound: distance, tree: 0, node: link }),
                    leaf if distance < found.1 => found = (leaf & !LEAF, distance),
                    _ => {}
                }
            }
            match pending.pop() {
                Some(next) => node = next.node as usize,
                None => break,
            }
        }
        found
    }
}
