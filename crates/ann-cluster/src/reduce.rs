//! Where a layout starts: at that of a coarser graph.
//!
//! Label propagation divides the graph into parts; the parts are the nodes of a smaller graph that is laid out in the
//! same way, and every node then starts near its own part and those of its neighbours. The smallest graph starts at the
//! principal components of the mean rows of its nodes. The multilevel scheme of the Python package `evoc`; compare
//! Walshaw, *A multilevel algorithm for force-directed graph drawing*, GD 2000.
//!
//! Cost: two passes over the edges a level, and the layout of the coarser graphs, which together have a fraction of the
//! nodes.

use crate::layout::{Schedule, lay_out};
use crate::points::{Point, padded};
use crate::propagation::parts;
use crate::sparse::{CHUNK, Edges};
use crate::{Embeddings, EvocError};
use ann_core::{Matrix, Monitor, Par, ScratchPool, split_mix};
use ann_quant::Pca;

/// Graphs of fewer nodes are not reduced.
const FEWEST: usize = 64;
/// Passes over the edges of a coarser graph.
const EPOCHS: usize = 50;
/// The first step of a coarser layout.
const ALPHA: f32 = 0.05;
/// By how much a starting layout is shrunk towards its middle.
const SCALING: f32 = 0.5;

/// What is the same on every level.
#[derive(Clone, Copy)]
pub(crate) struct Start<'a> {
    /// Dimensions of the layout.
    pub dim: usize,
    pub noise_level: f32,
    pub rounds: usize,
    pub par: Par,
    pub monitor: Monitor<'a>,
}

impl Start<'_> {
    /// Where the nodes of `edges` start, which stand for `rows`.
    pub(crate) fn of<const P: usize>(
        self,
        edges: &Edges,
        rows: &Embeddings<'_>,
        seed: u64,
    ) -> Result<Vec<Point<P>>, EvocError> {
        let most = (8.0 * (edges.len() as f64).sqrt()) as usize;
        self.level(edges, rows, most.clamp(256, 16_384), seed)
    }

    fn level<const P: usize>(
        self,
        edges: &Edges,
        rows: &Embeddings<'_>,
        most: usize,
        seed: u64,
    ) -> Result<Vec<Point<P>>, EvocError> {
        self.monitor.report(0, edges.len() as u64)?;
        if edges.len() < FEWEST {
            return components(rows, self.dim);
        }
        let (part_of, count) = parts(edges, most, self.rounds, split_mix(seed, 0), self.par);
        let parts = Parts::new(part_of, count);
        let coarse = parts.reduced(edges, self.par);
        let means = parts.means(rows, self.par);
        let start = self.level(&coarse, &(&means).into(), most / 4, split_mix(seed, 1))?;
        let schedule =
            Schedule { epochs: EPOCHS, alpha: ALPHA, noise_level: self.noise_level, seed: split_mix(seed, 2) };
        let layout = lay_out(&coarse, start, schedule, self.par, self.monitor.silent())?;
        Ok(parts.expanded(edges, &layout, self.par))
    }
}

/// Nodes by their parts.
struct Parts {
    part_of: Vec<u32>,
    /// Where the nodes of a part start in `nodes`; one more than there are parts.
    starts: Vec<usize>,
    nodes: Vec<u32>,
}

impl Parts {
    fn new(part_of: Vec<u32>, count: usize) -> Self {
        let mut starts = vec![0; count + 1];
        part_of.iter().for_each(|&part| starts[part as usize + 1] += 1);
        for part in 0..count {
            starts[part + 1] += starts[part];
        }
        let (mut next, mut nodes) = (starts.clone(), vec![0; part_of.len()]);
        for (node, &part) in part_of.iter().enumerate() {
            // Stores number rows by u32.
            nodes[next[part as usize]] = node as u32;
            next[part as usize] += 1;
        }
        Self { part_of, starts, nodes }
    }

    fn len(&self) -> usize {
        self.starts.len() - 1
    }

    fn nodes(&self, part: usize) -> &[u32] {
        &self.nodes[self.starts[part]..self.starts[part + 1]]
    }

    /// By the root of their size parts count for less than their nodes.
    fn damping(&self, part: usize) -> f32 {
        1.0 / (self.nodes(part).len() as f32).sqrt()
    }

    /// The graph of the parts: the edges from one into another, damped, at most 1. A part has an edge to itself.
    fn reduced(&self, edges: &Edges, par: Par) -> Edges {
        #[derive(Default)]
        struct Sums {
            weights: Vec<f64>,
            met: Vec<u32>,
        }
        Edges::build(self.len(), par, |sums: &mut Sums, part, out| {
            sums.weights.resize(self.len(), 0.0);
            for &node in self.nodes(part) {
                for (target, weight) in edges.of(node as usize) {
                    let other = self.part_of[target as usize];
                    let sum = &mut sums.weights[other as usize];
                    if *sum == 0.0 {
                        sums.met.push(other);
                    }
                    *sum += f64::from(weight);
                }
            }
            sums.met.sort_unstable();
            let damping = f64::from(self.damping(part));
            out.extend(sums.met.drain(..).map(|other| {
                let sum = std::mem::take(&mut sums.weights[other as usize]);
                (other, (sum * damping).min(1.0) as f32)
            }));
        })
    }

    /// The mean row of every part.
    fn means(&self, rows: &Embeddings<'_>, par: Par) -> Matrix<f32> {
        let chunks = par.map_chunks(self.len(), 16, &ScratchPool::<Vec<f64>>::default(), |sums, range| {
            let mut means = Vec::with_capacity(range.len() * rows.dim());
            for part in range {
                sums.clear();
                sums.resize(rows.dim(), 0.0);
                self.nodes(part).iter().for_each(|&node| rows.add_to(node as usize, sums));
                let count = self.nodes(part).len() as f64;
                means.extend(sums.iter().map(|sum| (sum / count) as f32));
            }
            means
        });
        Matrix::new(chunks.concat(), rows.dim()).unwrap_or_else(|_| unreachable!("whole rows"))
    }

    /// Every node half at its own part and half among the parts of its neighbours, about the middle of all.
    fn expanded<const P: usize>(&self, edges: &Edges, layout: &[Point<P>], par: Par) -> Vec<Point<P>> {
        let chunks = par.map_chunks(edges.len(), CHUNK, &ScratchPool::<()>::default(), |(), range| {
            let place = |node: usize| {
                let (mut place, mut total) = ([0.0; P], 0.0);
                for (target, weight) in edges.of(node) {
                    let part = self.part_of[target as usize] as usize;
                    let weight = weight * weight * self.damping(part);
                    total += weight;
                    place.iter_mut().zip(&layout[part]).for_each(|(x, y)| *x += weight * y);
                }
                let own = &layout[self.part_of[node] as usize];
                let scale = if total > 0.0 { 1.0 / total } else { 0.0 };
                std::array::from_fn(|d| (place[d] * scale + own[d]) / 2.0)
            };
            range.map(place).collect::<Vec<Point<P>>>()
        });
        let mut places = chunks.concat();
        let mut mean = [0.0f64; P];
        for place in &places {
            mean.iter_mut().zip(place).for_each(|(mean, &x)| *mean += f64::from(x) / edges.len() as f64);
        }
        for place in &mut places {
            place.iter_mut().zip(&mean).for_each(|(x, &mean)| *x = SCALING * (*x - mean as f32));
        }
        places
    }
}

/// Up to [`FEWEST`] rows along the first `dim` of their principal components, such that all values span 2.
fn components<const P: usize>(rows: &Embeddings<'_>, dim: usize) -> Result<Vec<Point<P>>, EvocError> {
    let spanned = in_own_span(rows);
    if spanned.is_empty() {
        return Ok(vec![[0.0; P]; rows.len()]);
    }
    let pca = Pca::fit(spanned.view(), Par::Serial).map_err(|_| EvocError::Start { rows: rows.len() })?;
    let mut place = vec![0.0; dim.min(pca.dim())];
    let mut places: Vec<Point<P>> = Vec::with_capacity(rows.len());
    for row in spanned.rows() {
        pca.project(row, &mut place);
        places.push(padded(&place));
    }
    let values = || places.iter().flat_map(|place| &place[..dim]);
    let (low, high) = values().fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), &x| (low.min(x), high.max(x)));
    let scale = if high > low { 2.0 / (high - low) } else { 0.0 };
    places.iter_mut().flatten().for_each(|x| *x *= scale);
    Ok(places)
}

/// Few rows, less their mean and with the longest of length 1, by coordinates in the space that they span, which has
/// fewer dimensions than there are rows: a decomposition of many columns would take far longer. No column if all rows
/// are the same.
fn in_own_span(rows: &Embeddings<'_>) -> Matrix<f32> {
    /// What is left of a row that is shorter than this part of the longest lies in the span of the others.
    const NOTHING: f64 = 1e-6;
    let (n, dim) = (rows.len(), rows.dim());
    let mut mean = vec![0.0; dim];
    (0..n).for_each(|row| rows.add_to(row, &mut mean));
    mean.iter_mut().for_each(|sum| *sum /= n as f64);
    let centred: Vec<Vec<f64>> = (0..n)
        .map(|row| {
            let mut values = vec![0.0; dim];
            rows.add_to(row, &mut values);
            values.iter_mut().zip(&mean).for_each(|(x, mean)| *x -= mean);
            values
        })
        .collect();
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
    let longest = centred.iter().map(|row| dot(row, row).sqrt()).fold(0.0, f64::max);
    let mut basis: Vec<Vec<f64>> = Vec::new();
    for row in &centred {
        let mut rest = row.clone();
        // Twice is enough (Giraud et al., 2005).
        for direction in basis.iter().chain(&basis) {
            let along = dot(&rest, direction);
            rest.iter_mut().zip(direction).for_each(|(x, d)| *x -= along * d);
        }
        let length = dot(&rest, &rest).sqrt();
        if length > NOTHING * longest {
            rest.iter_mut().for_each(|x| *x /= length);
            basis.push(rest);
        }
    }
    // In lengths of the longest row, which `f32` holds whatever the magnitudes were.
    let coordinates = centred.iter().flat_map(|row| basis.iter().map(|d| (dot(row, d) / longest) as f32));
    Matrix::new(coordinates.collect(), basis.len()).unwrap_or_else(|_| unreachable!("whole rows"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ann_testkit::portable::mix128;

    #[test]
    fn few_rows_keep_their_distances_in_their_own_span() {
        let rows = mix128(20, 0).base;
        let spanned = in_own_span(&(&rows).into());
        assert_eq!((spanned.len(), spanned.dim()), (20, 19));
        let squared = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| f64::from(x - y).powi(2)).sum::<f64>();
        let ratio = |a, b| squared(rows.row(a), rows.row(b)) / squared(spanned.row(a), spanned.row(b));
        for (a, b) in [(3, 17), (18, 19), (0, 9)] {
            assert!((ratio(a, b) / ratio(0, 1) - 1.0).abs() < 1e-4);
        }
    }

    #[test]
    fn components_span_two_and_are_those_of_all_columns() {
        let rows = mix128(40, 0).base;
        let found = components::<4>(&(&rows).into(), 4).unwrap();
        let pca = Pca::fit(rows.view(), Par::Serial).unwrap();
        let mut place = [0.0; 4];
        let scale = {
            pca.project(rows.row(0), &mut place);
            found[0][0] / place[0]
        };
        for (row, found) in rows.rows().zip(&found) {
            pca.project(row, &mut place);
            assert!(
                (found[0] - scale * place[0]).abs() < 1e-4 && (found[1].abs() - (scale * place[1]).abs()).abs() < 1e-4
            );
        }
        let (low, high) = found.iter().flatten().fold((0.0f32, 0.0f32), |(low, high), &x| (low.min(x), high.max(x)));
        assert!((high - low - 2.0).abs() < 1e-5);
    }

    #[test]
    fn equal_rows_start_at_one_place() {
        let rows = Matrix::new(vec![2.5f32; 30], 3).unwrap();
        assert_eq!(components::<4>(&(&rows).into(), 4).unwrap(), vec![[0.0; 4]; 10]);
    }
}
