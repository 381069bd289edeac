//! Sorts rows out into leaves, and puts boxes around them.
//!
//! Cells of one level are cut side by side, each by one thread, and what a cut gives depends on its rows alone: values are ordered with the number of the row behind
//! them, so that there are no ties, and the rows of a leaf are in the order of their numbers.

use super::KdTree;
use crate::BuildError;
use crate::pending::ordered;
use crate::shape::{FAN, LEAF, Shape};
use ann_core::simd::Buffer;
use ann_core::{Metric, Monitor, Par, ReadRow, Reorder, ScratchPool, prepare_dense};

/// Cells that threads take one by one.
const CELLS: usize = 64;
/// Rows that a thread takes at a time where many share a cell.
const CHUNK: usize = 8192;

/// The values of all rows, by their numbers.
#[derive(Clone, Copy)]
struct Values<'a> {
    dim: usize,
    values: &'a [f32],
}

/// A part of the tree that is to be cut.
struct Cell<'a> {
    rows: &'a mut [u32],
    leaves: usize,
}

/// Memory of a cut: values with the rows they are of, and the ends of columns.
#[derive(Default)]
struct Cutter {
    keys: Vec<u64>,
    ends: Vec<[f32; 2]>,
}

impl<S: ReadRow + Reorder> KdTree<S> {
    /// Builds the tree over all rows that the store holds.
    pub(super) fn rebuild(&mut self, par: Par, monitor: Monitor<'_>) -> Result<(), BuildError> {
        let (len, dim) = (self.store.len(), self.store.dim());
        monitor.report(0, len as u64)?;
        let values = self.values(par);
        let all = Values { dim, values: &values };
        let shape = Shape::new(len);
        let mut rows: Vec<u32> = (0..len as u32).collect();
        all.sort_out(&mut rows, shape.leaves(), par, monitor)?;
        let boxes = all.boxes(&rows, &shape, par);
        monitor.report(len as u64, len as u64)?;
        let places: Vec<u32> = rows.iter().map(|&row| self.order.places()[row as usize]).collect();
        self.store.reorder(&places);
        self.order.reorder(&places);
        (self.shape, self.boxes) = (shape, boxes);
        Ok(())
    }

    /// The values of all rows as their distances mean them: normalised under cosine.
    fn values(&self, par: Par) -> Vec<f32> {
        let (len, dim, metric) = (self.store.len(), self.store.dim(), self.store.metric());
        let mut values = vec![0.0; len * dim];
        let pool = ScratchPool::<(Vec<f32>, Vec<f32>)>::default();
        par.for_each_chunk_mut(&mut values, CHUNK * dim, &pool, |(row, unit), start, values| {
            for (i, to) in values.chunks_exact_mut(dim).enumerate() {
                self.store.read(self.order.places()[start / dim + i], row);
                if metric == Metric::Cosine && !self.store.sums_columns() {
                    prepare_dense(row, metric, dim, unit);
                    to.copy_from_slice(unit);
                } else {
                    to.copy_from_slice(row);
                }
            }
        });
        values
    }
}

impl Values<'_> {
    /// Brings all rows into the order of leaves.
    fn sort_out(self, rows: &mut [u32], leaves: usize, par: Par, monitor: Monitor<'_>) -> Result<(), BuildError> {
        let pool = ScratchPool::<Cutter>::default();
        let total = rows.len() as u64;
        let mut cells = vec![Cell { rows, leaves }];
        while cells.len() < CELLS && cells.iter().any(|cell| cell.leaves > FAN) {
            monitor.report(0, total)?;
            match &mut cells[..] {
                // A cell alone is cut by all threads, as far as they can.
                [cell] => pool.take().cut(self, cell, par),
                cells => par.for_each_chunk_mut(cells, 1, &pool, |cutter, _, cells| {
                    cells.iter_mut().for_each(|cell| cutter.cut(self, cell, Par::Serial));
                }),
            }
            cells = cells.into_iter().flat_map(Cell::parts).collect();
        }
        par.for_each_chunk_mut(&mut cells, 1, &pool, |cutter, _, cells| {
            cells.iter_mut().for_each(|Cell { rows, leaves }| cutter.finish(self, rows, *leaves));
        });
        Ok(())
    }

    fn row(&self, row: u32) -> &[f32] {
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
}

/// Writes the box of a branch into its group.
fn put(group: &mut [f32], branch: usize, ends: &[[f32; 2]]) {
    for (column, &[low, high]) in group.chunks_exact_mut(2 * FAN).zip(ends) {
        (column[branch], column[FAN + branch]) = (low, high);
    }
}

impl<'a> Cell<'a> {
    /// What a cut has made of it.
    fn parts(self) -> impl Iterator<Item = Cell<'a>> {
        let Self { rows, leaves } = self;
        let left = if leaves > 1 { Shape::left(leaves) } else { 0 };
        let (a, b) = rows.split_at_mut(left * LEAF);
        let parts = [Cell { rows: a, leaves: left }, Cell { rows: b, leaves: leaves - left }];
        parts.into_iter().filter(|part| part.leaves > 0)
    }
}

impl Cutter {
    /// Brings the rows that belong to the left of a cell before the others: those with the smaller values of its widest column.
    fn cut(&mut self, all: Values<'_>, cell: &mut Cell<'_>, par: Par) {
        if cell.leaves <= 1 {
            return;
        }
        let column = self.widest(all, cell.rows, par);
        let Self { keys, .. } = self;
        keys.clear();
        keys.resize(cell.rows.len(), 0);
        let rows = &*cell.rows;
        par.for_each_chunk_mut(keys, CHUNK, &ScratchPool::<()>::default(), |(), start, keys| {
            for (key, &row) in keys.iter_mut().zip(&rows[start..]) {
                *key = u64::from(ordered(all.row(row)[column])) << 32 | u64::from(row);
            }
        });
        keys.select_nth_unstable(Shape::left(cell.leaves) * LEAF);
        cell.rows.iter_mut().zip(keys.iter()).for_each(|(row, &key)| *row = key as u32);
    }

    /// The column whose values are farthest apart; the first of several.
    fn widest(&mut self, all: Values<'_>, rows: &[u32], par: Par) -> usize {
        let Self { ends, .. } = self;
        if rows.len() > CHUNK {
            let parts = par.map_chunks(rows.len(), CHUNK, &ScratchPool::<()>::default(), |(), range| {
                let mut ends = Vec::new();
                all.ends(&rows[range], &mut ends);
                ends
            });
            ends.clear();
            ends.resize(all.dim, [f32::INFINITY, f32::NEG_INFINITY]);
            for part in parts {
                for (to, from) in ends.iter_mut().zip(part) {
                    *to = [to[0].min(from[0]), to[1].max(from[1])];
                }
            }
        } else {
            all.ends(rows, ends);
        }
        // In f64, where no difference overflows.
        let width = |&[low, high]: &[f32; 2]| f64::from(high) - f64::from(low);
        let mut widest = (0, f64::NEG_INFINITY);
        for (column, ends) in ends.iter().enumerate() {
            if width(ends) > widest.1 {
                widest = (column, width(ends));
            }
        }
        widest.0
    }

    /// Cuts a cell into leaves.
    fn finish(&mut self, all: Values<'_>, rows: &mut [u32], leaves: usize) {
        if leaves <= 1 {
            rows.sort_unstable();
            return;
        }
        let mut cell = Cell { rows, leaves };
        self.cut(all, &mut cell, Par::Serial);
        for Cell { rows, leaves } in cell.parts() {
            self.finish(all, rows, leaves);
        }
    }
}
