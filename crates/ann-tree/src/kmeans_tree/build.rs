//! Cuts rows into clusters, and these into clusters: the root by all threads, every branch of it by one.
//!
//! Rows are read from the store when they are compared and not kept, so a build needs little memory. What a node does depends on its rows, the seed and its way from the root alone.

use super::settle::settle;
use super::{Centres, KMeansTreeParams};
use crate::BuildError;
use crate::euclid::{Euclid, Points};
use crate::places::LEAF;
use ann_core::{Monitor, Par, ReadRow, ScratchPool, split_mix};

/// Rows for every centre among which it is found.
const SAMPLE: usize = 100;
/// Nodes so deep are cut into equal parts: rows whose distances grow by factors make no deeper trees.
const DEEP: usize = 24;
/// Rows that are read and compared at a time.
const CHUNK: usize = 256;
/// Rows that a thread takes at a time.
const SHARE: usize = 4096;

/// A branch while the tree grows.
struct Cluster {
    centre: Vec<f32>,
    spread: f32,
    members: Vec<u32>,
    /// What it is cut into; nothing if it is a leaf.
    below: Vec<Cluster>,
}

#[derive(Default)]
struct Memory {
    points: Points,
    distances: Vec<f32>,
}

struct Grower<'a, S> {
    store: &'a S,
    euclid: &'a Euclid,
    params: &'a KMeansTreeParams,
    pool: ScratchPool<Memory>,
}

pub(super) fn grow<S: ReadRow>(
    store: &S,
    params: &KMeansTreeParams,
    euclid: &Euclid,
    par: Par,
    monitor: Monitor<'_>,
) -> Result<(Centres, Vec<u32>), BuildError> {
    let len = store.len();
    monitor.report(0, len as u64)?;
    let grower = Grower { store, euclid, params, pool: ScratchPool::default() };
    let mut top = match len {
        0 => Vec::new(),
        _ => grower.cut((0..len as u32).collect(), 0, params.seed, par),
    };
    // Branches between two reports: enough for all threads of most machines.
    let round = if monitor.can_cancel() { 16 } else { top.len().max(1) };
    let mut done = 0;
    for clusters in top.chunks_mut(round) {
        monitor.report(done, len as u64)?;
        done += clusters.iter().map(|cluster| cluster.members.len() as u64).sum::<u64>();
        par.for_each_chunk_mut(clusters, 1, &ScratchPool::<()>::default(), |(), i, cluster| {
            for (j, cluster) in cluster.iter_mut().enumerate() {
                grower.finish(cluster, 1, split_mix(params.seed, (i + j) as u64));
            }
        });
    }
    monitor.report(len as u64, len as u64)?;
    let (mut cells, mut order) = Centres::of(top);
    settle(&mut cells, &mut order, store, euclid, par);
    Ok((cells, order))
}

impl<S: ReadRow> Grower<'_, S> {
    /// Cuts a cluster until its leaves are small enough.
    fn finish(&self, cluster: &mut Cluster, depth: usize, draw: u64) {
        if cluster.members.len() <= self.params.leaf {
            return;
        }
        cluster.below = self.cut(std::mem::take(&mut cluster.members), depth, draw, Par::Serial);
        for (i, below) in cluster.below.iter_mut().enumerate() {
            self.finish(below, depth + 1, split_mix(draw, i as u64));
        }
    }

    /// The clusters of some rows: at least two with a row each, unless all rows are one leaf.
    fn cut(&self, members: Vec<u32>, depth: usize, draw: u64, par: Par) -> Vec<Cluster> {
        let width = self.euclid.width();
        let count = members.len().div_ceil(self.params.leaf).clamp(1, self.params.branching);
        let mut memory = self.pool.take();
        let centres = self.centres(&members, count, draw, &mut memory);
        self.pool.give(memory);
        let near = par.map_chunks(members.len(), SHARE, &self.pool, |memory, range| {
            let mut near = Vec::with_capacity(range.len());
            for places in members[range].chunks(CHUNK) {
                self.euclid.read_all(self.store, places, &mut memory.points);
                self.nearest(&memory.points.values, &centres, &mut memory.distances, |_, centre, distance| {
                    near.push((centre as u32, distance));
                });
            }
            near
        });
        let mut clusters: Vec<Cluster> = centres
            .chunks_exact(width)
            .map(|centre| Cluster { centre: centre.to_vec(), spread: 0.0, members: Vec::new(), below: Vec::new() })
            .collect();
        for ((centre, distance), &place) in near.into_iter().flatten().zip(&members) {
            let cluster = &mut clusters[centre as usize];
            cluster.members.push(place);
            // The running mean: sums of many squares would lose more.
            cluster.spread += (distance - cluster.spread) / cluster.members.len() as f32;
        }
        clusters.retain(|cluster| !cluster.members.is_empty());
        if (clusters.len() == 1 && count > 1) || depth >= DEEP {
            let Cluster { centre, spread, .. } = &clusters[0];
            let parts = members.chunks(members.len().div_ceil(count));
            return parts
                .map(|part| Cluster {
                    centre: centre.clone(),
                    spread: *spread,
                    members: part.to_vec(),
                    below: Vec::new(),
                })
                .collect();
        }
        clusters
    }

    /// `count` centres among a sample of rows, by Lloyd's rounds from rows.
    fn centres(&self, members: &[u32], count: usize, draw: u64, memory: &mut Memory) -> Vec<f32> {
        let (len, width) = (members.len(), self.euclid.width());
        let some = (SAMPLE * count).min(len);
        // One from each of so many equal parts.
        let of_part = |parts: usize, of: usize, i: usize, draw: u64| {
            let (from, to) = (i * of / parts, (i + 1) * of / parts);
            from + split_mix(draw, i as u64) as usize % (to - from)
        };
        let places: Vec<u32> = (0..some).map(|i| members[of_part(some, len, i, draw)]).collect();
        let Memory { points, distances } = memory;
        self.euclid.read_all(self.store, &places, points);
        let mut centres = Vec::with_capacity(count * width);
        for i in 0..count {
            let row = of_part(count, some, i, !draw);
            centres.extend_from_slice(&points.values[row * width..][..width]);
        }
        let mut before = vec![usize::MAX; some];
        for _ in 0..self.params.iterations {
            let (mut sums, mut counts, mut moved) = (vec![0f32; count * width], vec![0f32; count], false);
            self.nearest(&points.values, &centres, distances, |row, centre, _| {
                let sums = &mut sums[centre * width..][..width];
                sums.iter_mut().zip(&points.values[row * width..]).for_each(|(sum, &x)| *sum += x);
                counts[centre] += 1.0;
                moved |= std::mem::replace(&mut before[row], centre) != centre;
            });
            if !moved {
                break;
            }
            for ((centre, sum), &count) in centres.chunks_exact_mut(width).zip(sums.chunks_exact(width)).zip(&counts) {
                if count > 0.0 {
                    centre.iter_mut().zip(sum).for_each(|(x, sum)| *x = self.euclid.rounded(sum / count));
                }
            }
        }
        centres
    }

    /// Calls `found(row, centre, squared distance)` for every row, with the nearest centre, the first of several.
    fn nearest(
        &self,
        rows: &[f32],
        centres: &[f32],
        distances: &mut Vec<f32>,
        mut found: impl FnMut(usize, usize, f32),
    ) {
        let width = self.euclid.width();
        let centres = self.euclid.rows(centres);
        for (chunk, rows) in rows.chunks(CHUNK * width).enumerate() {
            let rows = self.euclid.rows(rows);
            distances.resize(rows.len() * centres.len(), 0.0);
            self.euclid.squared.tile(rows, centres, distances);
            for (i, line) in distances.chunks_exact(centres.len()).enumerate() {
                let (mut nearest, mut least) = (0, f32::INFINITY);
                for (centre, &distance) in line.iter().enumerate() {
                    if distance < least {
                        (nearest, least) = (centre, distance);
                    }
                }
                found(chunk * CHUNK + i, nearest, least);
            }
        }
    }
}

impl Centres {
    /// Lays clusters out level by level; gives the place that each row came from.
    fn of(top: Vec<Cluster>) -> (Self, Vec<u32>) {
        let (mut cells, mut order) = (Self::default(), Vec::new());
        cells.firsts.push(0);
        cells.starts.push(0);
        if top.is_empty() {
            return (cells, order);
        }
        let (mut level, mut nodes) = (vec![top], 1);
        while !level.is_empty() {
            let mut below = Vec::new();
            for branches in level {
                for Cluster { centre, spread, mut members, below: clusters } in branches {
                    cells.centres.extend_from_slice(&centre);
                    // What overflowed is wide enough.
                    cells.spreads.push(spread.min(f32::MAX));
                    if clusters.is_empty() {
                        cells.links.push((cells.starts.len() as u32 - 1) | LEAF);
                        members.sort_unstable();
                        order.extend_from_slice(&members);
                        cells.starts.push(order.len() as u32);
                    } else {
                        cells.links.push(nodes);
                        nodes += 1;
                        below.push(clusters);
                    }
                }
                cells.firsts.push(cells.links.len() as u32);
            }
            level = below;
        }
        (cells, order)
    }
}
