//! What a KD-tree is cut by: the median of the widest column; and the boxes around what that gives.
//!
//! Values are ordered with the number of their row behind them, so that there are no ties, and the rows of a leaf are in the order of their numbers.

use super::KdTree;
use super::columns::{self, MAX_COLUMNS};
use crate::BuildError;
use crate::cells::{Cut, by_keys, sort_out};
use crate::pending::ordered;
use crate::shape::{FAN, LEAF, Shape};
use ann_core::simd::Buffer;
use ann_core::{Metric, Monitor, Par, ReadRow, Reorder, ScratchPool, prepare_dense};

/// Rows that a thread takes at a time where many share a cell.
const CHUNK: usize = 8192;

/// The values of all rows, by their numbers.
pub(crate) struct Values {
    dim: usize,
    values: Vec<f32>,
}

/// Memory of a cut: values with the rows they are of, and the ends of columns.
#[derive(Default)]
pub(crate) struct Cutter {
    keys: Vec<u64>,
    ends: Vec<[f32; 2]>,
}

impl<S: ReadRow + Reorder> KdTree<S> {
    /// Builds the tree over all rows that the store holds.
    pub(super) fn rebuild(&mut self, par: Par, monitor: Monitor<'_>) -> Result<(), BuildError> {
        let len = self.store.len();
        monitor.report(0, len as u64)?;
        let all = Values::of(&self.store, self.order.places(), par);
        let shape = Shape::new(len);
        let mut rows: Vec<u32> = (0..len as u32).collect();
        sort_out(&all, &mut rows, par, monitor)?;
        let boxes = all.boxes(&rows, &shape, par);
        let by_columns = self.keeps_columns();
        let columns = if by_columns { all.columns(&rows) } else { Buffer::new() };
        drop(all);
        monitor.report(len as u64, len as u64)?;
        let places: Vec<u32> = rows.iter().map(|&row| self.order.places()[row as usize]).collect();
        self.store.reorder(&places);
        self.order.reorder(&places);
        (self.shape, self.boxes, self.columns) = (shape, boxes, columns);
        Ok(())
    }

    /// Whether leaves are compared column by column.
    pub(super) fn keeps_columns(&self) -> bool {
        let Self { arch, store, .. } = self;
        store.sums_columns() && store.dim() <= MAX_COLUMNS && columns::holds(store.metric()) && columns::agrees(*arch)
    }
}

impl Values {
    /// The values of all rows as their distances mean them: normalised under cosine. Row `i` is at place `places[i]` of the store.
    pub(crate) fn of<S: ReadRow>(store: &S, places: &[u32], par: Par) -> Self {
        let (dim, metric) = (store.dim(), store.metric());
        let mut values = vec![0.0; places.len() * dim];
        let pool = ScratchPool::<(Vec<f32>, Vec<f32>)>::default();
        par.for_each_chunk_mut(&mut values, CHUNK * dim, &pool, |(row, unit), start, values| {
            for (i, to) in values.chunks_exact_mut(dim).enumerate() {
                store.read(places[start / dim + i], row);
                if metric == Metric::Cosine {
                    prepare_dense(row, metric, dim, unit);
                    to.copy_from_slice(unit);
                } else {
                    to.copy_from_slice(row);
                }
            }
        });
        Self { dim, values }
    }

    pub(crate) fn row(&self, row: u32) -> &[f32] {
        &self.values[row as usize * self.dim..][..self.dim]
    }

    /// The least and the largest value of every column among these rows.
    fn ends(&self, rows: &[u32], ends: &mut Vec<[f32; 2]>) {
        ends.clear();
        ends.resize(self.dim, [f32::INFINITY, f32::NEG_INFINITY]);
        for &row in rows {
            for ([low, high], &value) in ends.iter_mut().zip(self.row(row)) {
                (*low, *high) = (low.min(value), high.max(value));
            }
        }
    }

    /// The boxes of all groups, leaves first.
    fn boxes(&self, rows: &[u32], shape: &Shape, par: Par) -> Buffer<f32> {
        let width = self.dim * 2 * FAN;
        let mut boxes = Buffer::zeroed(shape.groups() * width);
        if shape.levels() == 0 {
            return boxes;
        }
        let all = boxes.as_mut_slice();
        let (leaves, above) = all.split_at_mut(shape.level(0).end * width);
        let pool = ScratchPool::<Vec<[f32; 2]>>::default();
        par.for_each_chunk_mut(leaves, 16 * width, &pool, |ends, start, groups| {
            for (i, group) in groups.chunks_exact_mut(width).enumerate() {
                let first = (start / width + i) * FAN;
                for branch in 0..FAN.min(shape.leaves() - first) {
                    self.ends(&rows[shape.leaf(first + branch)], ends);
                    put(group, branch, ends);
                }
            }
        });
        let mut below: &[f32] = leaves;
        let mut rest = above;
        for level in 1..shape.levels() {
            let (groups, above) = rest.split_at_mut(shape.level(level).len() * width);
            for (number, box_of) in below.chunks_exact(width).enumerate() {
                let branches = FAN.min(shape.branches(level - 1) - number * FAN);
                let of_column = |column: &[f32]| {
                    let (low, high) = column.split_at(FAN);
                    let low = low[..branches].iter().copied().fold(f32::INFINITY, f32::min);
                    [low, high[..branches].iter().copied().fold(f32::NEG_INFINITY, f32::max)]
                };
                let ends: Vec<[f32; 2]> = box_of.chunks_exact(2 * FAN).map(of_column).collect();
                put(&mut groups[number / FAN * width..][..width], number % FAN, &ends);
            }
            (below, rest) = (groups, above);
        }
        boxes
    }

    /// The values of every leaf column by column; zeros where the last has no rows.
    fn columns(&self, rows: &[u32]) -> Buffer<f32> {
        let width = self.dim * LEAF;
        let mut columns = Buffer::zeroed(rows.len().div_ceil(LEAF) * width);
        for (leaf, rows) in columns.as_mut_slice().chunks_exact_mut(width).zip(rows.chunks(LEAF)) {
            for (i, &row) in rows.iter().enumerate() {
                leaf.iter_mut().skip(i).step_by(LEAF).zip(self.row(row)).for_each(|(to, &value)| *to = value);
            }
        }
        columns
    }

    /// The column whose values are farthest apart; the first of several.
    fn widest(&self, rows: &[u32], ends: &mut Vec<[f32; 2]>, par: Par) -> usize {
        if rows.len() > CHUNK {
            let parts = par.map_chunks(rows.len(), CHUNK, &ScratchPool::<()>::default(), |(), range| {
                let mut ends = Vec::new();
                self.ends(&rows[range], &mut ends);
                ends
            });
            self.ends(&[], ends);
            for part in parts {
                for (to, from) in ends.iter_mut().zip(part) {
                    *to = [to[0].min(from[0]), to[1].max(from[1])];
                }
            }
        } else {
            self.ends(rows, ends);
        }
        let mut widest = (0, f64::NEG_INFINITY);
        for (column, &[low, high]) in ends.iter().enumerate() {
            // In f64, where no difference overflows.
            let width = f64::from(high) - f64::from(low);
            if width > widest.1 {
                widest = (column, width);
            }
        }
        widest.0
    }
}

impl Cut for Values {
    type Scratch = Cutter;

    fn cut(&self, rows: &mut [u32], left: usize, Cutter { keys, ends }: &mut Cutter, par: Par) {
        let column = self.widest(rows, ends, par);
        keys.clear();
        keys.resize(rows.len(), 0);
        let of = &*rows;
        par.for_each_chunk_mut(keys, CHUNK, &ScratchPool::<()>::default(), |(), start, keys| {
            for (key, &row) in keys.iter_mut().zip(&of[start..]) {
                *key = u64::from(ordered(self.row(row)[column])) << 32 | u64::from(row);
            }
        });
        by_keys(rows, keys, left);
    }

    fn settle(&self, rows: &mut [u32], _: &mut Cutter) {
        rows.sort_unstable();
    }
}

/// Writes the box of a branch into its group.
fn put(group: &mut [f32], branch: usize, ends: &[[f32; 2]]) {
    for (column, &[low, high]) in group.chunks_exact_mut(2 * FAN).zip(ends) {
        (column[branch], column[FAN + branch]) = (low, high);
    }
}
