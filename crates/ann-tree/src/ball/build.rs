//! What a ball tree is cut by: the distances to two rows that are far apart; and the balls around what that gives.

use super::BallTree;
use crate::BuildError;
use crate::cells::{Cut, by_keys, sort_out};
use crate::pending::ordered;
use crate::shape::{FAN, LEAF, Shape};
use ann_core::simd::Buffer;
use ann_core::{DistanceOracle, Monitor, Par, Reorder, ScratchPool, VectorStore};

/// Distances that a thread takes at a time where many rows share a cell.
const CHUNK: usize = 2048;

/// Rows by their numbers, in a store that has them in another order.
struct Space<'a, S> {
    store: &'a S,
    places: &'a [u32],
}

/// Memory of a cut.
struct Cutter<S: VectorStore> {
    ids: Vec<u32>,
    one: Vec<f32>,
    other: Vec<f32>,
    keys: Vec<u64>,
    oracle: S::Scratch,
}

impl<S: VectorStore> Default for Cutter<S> {
    fn default() -> Self {
        let oracle = S::Scratch::default();
        Self { ids: Vec::new(), one: Vec::new(), other: Vec::new(), keys: Vec::new(), oracle }
    }
}

impl<S: VectorStore> Space<'_, S> {
    /// How far rows are from row `from`: `out[i]` from row `rows[i]`. Gives the farthest, the first of several by number.
    fn distances(&self, from: u32, rows: &[u32], out: &mut Vec<f32>, par: Par) -> u32 {
        out.clear();
        out.resize(rows.len(), 0.0);
        let pool = ScratchPool::<(S::Scratch, Vec<u32>)>::default();
        par.for_each_chunk_mut(out, CHUNK, &pool, |(scratch, ids), start, out| {
            ids.clear();
            ids.extend(rows[start..][..out.len()].iter().map(|&row| self.places[row as usize]));
            self.store.oracle_at(self.places[from as usize], scratch).distances(ids, out);
        });
        let farther = |a: (u32, f32), b: (u32, f32)| {
            if (ordered(b.1), a.0) > (ordered(a.1), b.0) { b } else { a }
        };
        rows.iter().copied().zip(out.iter().copied()).reduce(farther).map_or(from, |farthest| farthest.0)
    }
}

impl<S: VectorStore> Cut for Space<'_, S> {
    type Scratch = Cutter<S>;

    fn cut(&self, rows: &mut [u32], left: usize, scratch: &mut Cutter<S>, par: Par) {
        let Cutter { one, other, keys, .. } = scratch;
        // Any row, the farthest from it, and the farthest from that.
        let some = rows[rows.len() / 2];
        let far = self.distances(some, rows, one, par);
        let opposite = self.distances(far, rows, one, par);
        self.distances(opposite, rows, other, par);
        keys.clear();
        let nearer = one.iter().zip(other.iter()).map(|(a, b)| a - b);
        keys.extend(rows.iter().zip(nearer).map(|(&row, by)| u64::from(ordered(by)) << 32 | u64::from(row)));
        by_keys(rows, keys, left);
    }

    /// The row whose farthest is nearest first, as the center, and the others as they are far from it.
    fn settle(&self, rows: &mut [u32], scratch: &mut Cutter<S>) {
        let Cutter { ids, one, keys, oracle, .. } = scratch;
        rows.sort_unstable();
        ids.clear();
        ids.extend(rows.iter().map(|&row| self.places[row as usize]));
        one.clear();
        one.resize(ids.len() * ids.len(), 0.0);
        self.store.tile(ids, ids, oracle, one);
        let farthest = |line: &[f32]| line.iter().map(|&distance| ordered(distance)).max();
        let center = one.chunks_exact(ids.len().max(1)).enumerate().min_by_key(|&(i, line)| (farthest(line), i));
        let Some((center, line)) = center else { return };
        keys.clear();
        let key = |(i, (&row, &distance)): (usize, (&u32, &f32))| {
            if i == center { 0 } else { u64::from(ordered(distance).max(1)) << 32 | u64::from(row) }
        };
        keys.extend(rows.iter().zip(line).enumerate().map(key));
        let first = rows[center];
        keys.sort_unstable();
        rows.iter_mut().zip(keys.iter()).for_each(|(row, &key)| *row = key as u32);
        if let Some(row) = rows.first_mut() {
            *row = first;
        }
    }
}

impl<S: VectorStore + Reorder> BallTree<S> {
    /// Builds the tree over all rows that the store holds.
    pub(super) fn rebuild(&mut self, par: Par, monitor: Monitor<'_>) -> Result<(), BuildError> {
        let len = self.store.len();
        monitor.report(0, len as u64)?;
        let mut rows: Vec<u32> = (0..len as u32).collect();
        sort_out(&Space { store: &self.store, places: self.order.places() }, &mut rows, par, monitor)?;
        let places: Vec<u32> = rows.iter().map(|&row| self.order.places()[row as usize]).collect();
        self.store.reorder(&places);
        self.order.reorder(&places);
        self.shape = Shape::new(len);
        self.measure(par);
        // Too late to be cancelled: the rows are in their places.
        _ = monitor.report(len as u64, len as u64);
        Ok(())
    }

    /// Puts balls around the rows that are in the order of leaves.
    fn measure(&mut self, par: Par) {
        let Self { shape, store, gauge, .. } = self;
        let pool = ScratchPool::<(S::Scratch, Vec<u32>, Vec<f32>)>::default();
        let mut reaches = Buffer::zeroed(shape.rows());
        par.for_each_chunk_mut(reaches.as_mut_slice(), LEAF, &pool, |(scratch, ids, _), start, reaches| {
            ids.clear();
            ids.extend(start as u32..(start + reaches.len()) as u32);
            store.oracle_at(start as u32, scratch).distances(ids, reaches);
        });
        let radius = |reach: f32| (gauge.at_most(reach) as f32).next_up();
        let (mut centers, mut radii) = (Buffer::zeroed(shape.groups() * FAN), Buffer::zeroed(shape.groups() * FAN));
        let (to, radii_of) = (centers.as_mut_slice(), radii.as_mut_slice());
        for leaf in 0..shape.leaves() {
            let places = shape.leaf(leaf);
            to[leaf] = places.start as u32;
            radii_of[leaf] = radius(farthest(&reaches[places]));
        }
        let mut leaves_of = FAN;
        for level in 1..shape.levels() {
            let (below, above) = (shape.level(level - 1), shape.level(level).start * FAN);
            // A branch of this level is a group of the level below.
            let balls = par.map_chunks(below.len(), 1, &pool, |(scratch, ids, distances), range| {
                let group = below.start + range.start;
                let there = FAN.min(shape.branches(level - 1) - range.start * FAN);
                let (inner, radii) = (&to[group * FAN..][..there], &radii_of[group * FAN..][..there]);
                distances.clear();
                distances.resize(there * there, 0.0);
                store.tile(inner, inner, scratch, distances);
                // A ball that holds the others.
                let around = |line: &[f32]| line.iter().zip(radii).map(|(&d, &r)| ordered(radius(d) + r)).max();
                let lines = distances.chunks_exact(there).enumerate();
                let center = lines.min_by_key(|&(i, line)| (around(line), i)).map_or(inner[0], |(i, _)| inner[i]);
                let first = range.start * leaves_of * LEAF;
                ids.clear();
                ids.extend(first as u32..(first + leaves_of * LEAF).min(shape.rows()) as u32);
                distances.resize(ids.len(), 0.0);
                store.oracle_at(center, scratch).distances(ids, distances);
                (center, radius(farthest(distances)))
            });
            for (i, (center, radius)) in balls.into_iter().enumerate() {
                (to[above + i], radii_of[above + i]) = (center, radius);
            }
            leaves_of *= FAN;
        }
        (self.centers, self.radii, self.reaches) = (centers, radii, reaches);
    }
}

/// The largest distance; NaN if there is one.
fn farthest(distances: &[f32]) -> f32 {
    distances.iter().copied().max_by_key(|&distance| ordered(distance)).unwrap_or(0.0)
}
