//! The nearest centroid of every row again and again while centroids move a little, without most of the distances.
//!
//! A row keeps an upper bound of the distance to its centroid and, for each group of near centroids, a lower bound of the
//! distances to all others of the group. When centroids move, bounds move by as much; only groups whose lower bound is
//! below the upper one are looked at, group by group for many rows at once, as a matrix product. Elkan, *Using the
//! triangle inequality to accelerate k-means*, ICML 2003, with the groups of Ding et al., *Yinyang k-means*, ICML 2015,
//! but for these differences: groups are of one size, what fills the registers of a tile; they are halves of halves of
//! the centroids, made anew after the first iteration, which moves centroids farthest; and who is nearest is decided by
//! distances from differences, which do not cancel. Products only say who is worth one, with a margin for their rounding.
//!
//! Cost: 4 bytes for each row and group, which are at most [`MOST_GROUPS`]; from a third of the products of all pairs
//! (few centroids) to a tenth (thousands) over 25 iterations.

use crate::nearest::Table;
use ann_core::simd::{Arch, Kernel, Op};
use ann_core::{Par, ScratchPool};
use std::cmp::Ordering;

/// Groups of centroids.
const MOST_GROUPS: usize = 64;
/// Rows of a task.
const CHUNK: usize = 512;
/// Rows whose values of a group are computed together.
const BATCH: usize = 64;
/// Columns from which bounds are cheaper than products.
const LEAST_DIM: usize = 24;
/// The centroid of a row that has none yet.
pub(super) const NONE: u32 = u32::MAX;
/// Distances are known to somewhat less than this part of themselves.
const ROUNDING: f32 = 1e-6;

/// Rows with bounds.
pub(super) struct Bounds<'a> {
    rows: &'a [f32],
    dim: usize,
    arch: Arch,
    kernel: Kernel<f32, f32>,
    chunks: Vec<Chunk>,
    /// Centroids of a group.
    size: usize,
    /// The centroids group by group.
    order: Vec<u32>,
    /// The place of each in `order`.
    places: Vec<u32>,
    /// How often rows were assigned.
    rounds: usize,
}

/// [`CHUNK`] rows.
#[derive(Default)]
struct Chunk {
    labels: Vec<u32>,
    /// Squared norms.
    norms: Vec<f32>,
    /// Not less than the distance to the own centroid.
    upper: Vec<f32>,
    /// `(rows, groups)`, not more than the distance to any other centroid.
    lower: Vec<f32>,
}

#[derive(Default)]
struct Scratch {
    /// Rows that may change their centroid.
    active: Vec<u32>,
    /// Their squared distances to their centroids.
    squared: Vec<f32>,
    /// Those of them that may find a nearer one in a group.
    which: Vec<u32>,
    least: Vec<f32>,
    values: Vec<f32>,
}

/// Where centroids are now.
struct Moved<'a> {
    centroids: &'a [f32],
    table: Table,
    /// The norm of the longest.
    reach: f32,
    /// How far each went.
    drifts: &'a [f32],
    /// How far any of a group went.
    group_drifts: Vec<f32>,
}

impl<'a> Bounds<'a> {
    /// For `rows` and `k` centroids; `None` if products are cheaper or do not fit in `f32`.
    pub(super) fn new(rows: &'a [f32], dim: usize, k: usize, arch: Arch) -> Option<Self> {
        const LARGE: f32 = 1e30;
        if dim < LEAST_DIM || k < 2 {
            return None;
        }
        let kernel = Kernel::new(arch, Op::SquaredL2)?;
        let unit = Table::width(k);
        let size = unit * k.div_ceil(unit * MOST_GROUPS);
        let groups = k.div_ceil(size);
        let chunks: Vec<Chunk> = rows.chunks(CHUNK * dim).map(|rows| Chunk::new(rows, dim, groups)).collect();
        let fits = chunks.iter().flat_map(|chunk| &chunk.norms).all(|&norm| norm < LARGE);
        fits.then(|| Self { rows, dim, arch, kernel, chunks, size, order: Vec::new(), places: Vec::new(), rounds: 0 })
    }

    /// `labels` become the nearest of `centroids`, each of which went as far as `drifts` say since the last call.
    pub(super) fn assign(&mut self, centroids: &[f32], drifts: &[f32], labels: &mut [u32], par: Par) {
        let dim = self.dim;
        if self.rounds < 2 {
            self.group(centroids);
        }
        self.rounds += 1;
        let ordered: Vec<f32> =
            self.order.iter().flat_map(|&c| &centroids[c as usize * dim..][..dim]).copied().collect();
        let largest = |group: &[u32]| group.iter().map(|&c| drifts[c as usize]).fold(0.0, f32::max);
        let moved = Moved {
            centroids,
            table: Table::l2(self.arch, &ordered, dim),
            reach: centroids.chunks_exact(dim).map(norm).fold(0.0, f32::max).sqrt(),
            drifts,
            group_drifts: self.order.chunks(self.size).map(largest).collect(),
        };
        let mut chunks = std::mem::take(&mut self.chunks);
        par.for_each_chunk_mut(&mut chunks, 1, &ScratchPool::<Scratch>::default(), |scratch, at, chunks| {
            for (chunk, at) in chunks.iter_mut().zip(at..) {
                self.settle(&self.rows[at * CHUNK * dim..], chunk, &moved, scratch);
            }
        });
        self.chunks = chunks;
        let settled = self.chunks.iter().flat_map(|chunk| &chunk.labels);
        labels.iter_mut().zip(settled).for_each(|(label, settled)| *label = *settled);
    }

    /// Groups centroids, and forgets the lower bounds.
    fn group(&mut self, centroids: &[f32]) {
        let k = centroids.len() / self.dim;
        self.order = (0..k as u32).collect();
        halve(&mut self.order, self.size, centroids, self.dim);
        self.places = vec![0; k];
        self.order.iter().zip(0..).for_each(|(&c, place)| self.places[c as usize] = place);
        self.chunks.iter_mut().for_each(|chunk| chunk.lower.fill(0.0));
    }

    fn settle(&self, rows: &[f32], chunk: &mut Chunk, moved: &Moved<'_>, scratch: &mut Scratch) {
        let groups = moved.group_drifts.len();
        let Scratch { active, squared, which, least, values } = scratch;
        active.clear();
        squared.resize(CHUNK, f32::INFINITY);
        for (i, &label) in chunk.labels.iter().enumerate() {
            let mut nearest = f32::INFINITY;
            for (lower, drift) in chunk.lower[i * groups..][..groups].iter_mut().zip(&moved.group_drifts) {
                *lower = ((*lower - drift) * (1.0 - ROUNDING)).max(0.0);
                nearest = if *lower < nearest { *lower } else { nearest };
            }
            squared[i] = f32::INFINITY;
            if label != NONE {
                let upper = (chunk.upper[i] + moved.drifts[label as usize]) * (1.0 + ROUNDING);
                chunk.upper[i] = upper;
                if upper > nearest {
                    squared[i] = self.squared(rows, i, label, moved);
                    chunk.upper[i] = squared[i].sqrt() * (1.0 + ROUNDING);
                }
            }
            if chunk.upper[i] > nearest {
                active.push(i as u32);
            }
        }
        for group in 0..groups {
            let first = group * self.size;
            let size = self.size.min(moved.table.places() - first);
            which.clear();
            let may = |&&i: &&u32| chunk.lower[i as usize * groups + group] < chunk.upper[i as usize];
            which.extend(active.iter().filter(may));
            for which in which.chunks(BATCH) {
                least.resize(which.len(), 0.0);
                values.resize(which.len() * size, 0.0);
                moved.table.values(rows, which, first, values, least);
                for ((&i, values), &least) in which.iter().zip(values.chunks_exact_mut(size)).zip(&*least) {
                    self.visit(rows, chunk, i as usize, group, values, least, &mut squared[i as usize], moved);
                }
            }
        }
    }

    /// What row `i` of a chunk learns from its `values` in a group.
    #[expect(clippy::too_many_arguments, reason = "the state of one row, in arrays of those of a chunk")]
    fn visit(
        &self,
        rows: &[f32],
        chunk: &mut Chunk,
        i: usize,
        group: usize,
        values: &mut [f32],
        mut least: f32,
        squared: &mut f32,
        moved: &Moved<'_>,
    ) {
        let groups = moved.group_drifts.len();
        let first = group * self.size;
        let norm = chunk.norms[i];
        // Rounding of a sum of `dim` products grows with its root if errors are independent; four times that.
        let slack = f32::EPSILON * 4.0 * (self.dim as f32).sqrt() * moved.reach * (norm.sqrt() + moved.reach);
        let limit = |squared: f32| (squared - norm) / 2.0 + slack;
        let own = |label: u32| (label != NONE).then(|| (self.places[label as usize] as usize).wrapping_sub(first));
        if let Some(value) = own(chunk.labels[i]).and_then(|lane| values.get_mut(lane)) {
            *value = f32::INFINITY;
            least = values.iter().copied().fold(f32::INFINITY, f32::min);
        }
        if least <= limit(*squared) {
            for (lane, &c) in self.order[first..].iter().take(self.size).enumerate() {
                if values[lane] > limit(*squared) {
                    continue;
                }
                let found = self.squared(rows, i, c, moved);
                let label = chunk.labels[i];
                if found.total_cmp(squared).then(c.cmp(&label)) != Ordering::Less {
                    continue;
                }
                // Who was nearest until now is one of the others of its group.
                match own(label) {
                    Some(lane) if lane < self.size => values[lane] = (*squared - norm) / 2.0,
                    Some(_) => {
                        let bound = &mut chunk.lower[i * groups + self.places[label as usize] as usize / self.size];
                        *bound = bound.min(squared.sqrt() * (1.0 - ROUNDING));
                    }
                    None => {}
                }
                values[lane] = f32::INFINITY;
                (*squared, chunk.labels[i]) = (found, c);
                chunk.upper[i] = found.sqrt() * (1.0 + ROUNDING);
            }
            least = values.iter().copied().fold(f32::INFINITY, f32::min);
        }
        let bound = (2.0 * (least - slack) + norm).max(0.0).sqrt() * (1.0 - ROUNDING);
        chunk.lower[i * groups + group] = bound;
    }

    /// The squared distance of row `i` of `rows` to centroid `c`.
    fn squared(&self, rows: &[f32], i: usize, c: u32, moved: &Moved<'_>) -> f32 {
        let dim = self.dim;
        self.kernel.pair(&rows[i * dim..][..dim], &moved.centroids[c as usize * dim..][..dim])
    }
}

impl Chunk {
    fn new(rows: &[f32], dim: usize, groups: usize) -> Self {
        let n = rows.len() / dim;
        Self {
            labels: vec![NONE; n],
            norms: rows.chunks_exact(dim).map(norm).collect(),
            upper: vec![f32::INFINITY; n],
            lower: vec![0.0; n * groups],
        }
    }
}

fn norm(x: &[f32]) -> f32 {
    x.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>() as f32
}

/// Sorts `ids` of centroids so that each `size` of them are near to each other: by their place on a line through two
/// that are far apart, then on one through the means of the halves, and both halves again.
fn halve(ids: &mut [u32], size: usize, centroids: &[f32], dim: usize) {
    const TURNS: usize = 4;
    if ids.len() <= size {
        return;
    }
    let centroid = |id: u32| &centroids[id as usize * dim..][..dim];
    let far = |from: &[f32]| {
        let distance = |&id: &u32| super::squared(from, centroid(id));
        ids.iter().copied().max_by(|a, b| distance(a).total_cmp(&distance(b)).then(b.cmp(a))).unwrap_or_default()
    };
    let a = far(centroid(ids[0]));
    let b = far(centroid(a));
    let mut line: Vec<f64> = centroid(a).iter().zip(centroid(b)).map(|(&a, &b)| f64::from(b) - f64::from(a)).collect();
    let half = ids.len().div_ceil(size).div_ceil(2) * size;
    for _ in 0..TURNS {
        let place = |id: u32| centroid(id).iter().zip(&line).map(|(&x, line)| f64::from(x) * line).sum::<f64>();
        let mut places: Vec<(f64, u32)> = ids.iter().map(|&id| (place(id), id)).collect();
        places.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        ids.iter_mut().zip(places).for_each(|(id, (_, sorted))| *id = sorted);
        line.fill(0.0);
        for (half, scale) in [(&ids[..half], -1.0 / half as f64), (&ids[half..], 1.0 / (ids.len() - half) as f64)] {
            for &id in half {
                let centroid = &centroids[id as usize * dim..][..dim];
                line.iter_mut().zip(centroid).for_each(|(line, &x)| *line += scale * f64::from(x));
            }
        }
    }
    let (left, right) = ids.split_at_mut(half);
    halve(left, size, centroids, dim);
    halve(right, size, centroids, dim);
}
