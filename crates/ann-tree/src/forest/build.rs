//! Cuts the cells of randomised trees.

use super::{KdForest, KdForestParams, levels, nodes};
use crate::BuildError;
use crate::kd::Values;
use crate::pending::{ordered, unordered};
use ann_core::simd::Buffer;
use ann_core::{Monitor, Par, ReadRow, ScratchPool, split_mix};

/// Rows of a cell whose variance stands for that of all.
const SAMPLE: usize = 100;
/// Columns among which the one that a cell is cut in is drawn.
const WIDEST: usize = 5;

/// A tree as it grows.
struct Tree {
    columns: Vec<u32>,
    values: Vec<f32>,
    ids: Vec<u32>,
}

/// Memory of a cut.
#[derive(Default)]
struct Cutter {
    keys: Vec<u64>,
    sums: Vec<f64>,
    squares: Vec<f64>,
}

impl<S: ReadRow> KdForest<S> {
    /// Builds the trees over all rows that the store holds.
    pub(super) fn rebuild(&mut self, par: Par, monitor: Monitor<'_>) -> Result<(), BuildError> {
        let Self { params, store, .. } = self;
        let len = store.len();
        monitor.report(0, len as u64)?;
        let all: Vec<u32> = (0..len as u32).collect();
        let rows = Values::of(store, &all, par);
        let pool = ScratchPool::<Cutter>::default();
        let trees =
            par.map_chunks(params.trees, 1, &pool, |cutter, range| cutter.grow(&rows, &all, params, range.start));
        drop(rows);
        monitor.report(len as u64, len as u64)?;
        let all_of = |part: fn(&Tree) -> &[u32]| {
            let mut all = Buffer::with_capacity(trees.iter().map(|tree| part(tree).len()).sum());
            trees.iter().for_each(|tree| all.extend_from_slice(part(tree)));
            all
        };
        (self.columns, self.ids) = (all_of(|tree| &tree.columns), all_of(|tree| &tree.ids));
        let values: Vec<f32> = trees.iter().flat_map(|tree| tree.values.iter().copied()).collect();
        (self.values, self.rows) = (Buffer::from_slice(&values), len);
        Ok(())
    }
}

impl Cutter {
    fn grow(&mut self, rows: &Values, all: &[u32], params: &KdForestParams, tree: usize) -> Tree {
        let (levels, nodes) = (levels(all.len(), params.leaf), nodes(all.len(), params.leaf));
        let mut grown = Tree { columns: vec![0; nodes], values: vec![0.0; nodes], ids: all.to_vec() };
        for level in 0..levels {
            let first = (1 << level) - 1;
            for cell in 0..1 << level {
                // All leaves of a cell, and of its left half.
                let place = |of: usize, level: u32| super::leaf(all.len(), level, of).start;
                let (start, end) = (place(cell, level), place(cell + 1, level));
                let middle = place(2 * cell + 1, level + 1) - start;
                let node = first + cell;
                let draw = split_mix(params.seed, (tree as u64) << 32 | node as u64);
                let cut = self.cut(rows, &mut grown.ids[start..end], middle, draw);
                (grown.columns[node], grown.values[node]) = cut;
            }
        }
        grown
    }

    /// Brings the first half of the rows before the others by a column that varies much; gives the column and the value between the halves.
    fn cut(&mut self, rows: &Values, ids: &mut [u32], middle: usize, draw: u64) -> (u32, f32) {
        if ids.is_empty() {
            return (0, 0.0);
        }
        let column = self.column(rows, ids, draw);
        self.keys.clear();
        let key = |&row: &u32| u64::from(ordered(rows.row(row)[column])) << 32 | u64::from(row);
        self.keys.extend(ids.iter().map(key));
        let (before, &mut least, _) = self.keys.select_nth_unstable(middle.min(ids.len() - 1));
        let value = |key: u64| unordered((key >> 32) as u32);
        let last = before.iter().copied().max().unwrap_or(least);
        // Halfway between the two halves, so that a query goes to the row that is nearer: the last cells have two.
        let between = value(last) / 2.0 + value(least) / 2.0;
        ids.iter_mut().zip(&self.keys).for_each(|(id, &key)| *id = key as u32);
        (column as u32, between)
    }

    /// One of the columns that vary most.
    fn column(&mut self, rows: &Values, ids: &[u32], draw: u64) -> usize {
        let Self { sums, squares, .. } = self;
        let dim = rows.row(ids[0]).len();
        let count = ids.len().min(SAMPLE);
        sums.clear();
        sums.resize(dim, 0.0);
        squares.clear();
        squares.resize(dim, 0.0);
        let sample = || (0..count).map(|i| rows.row(ids[i * ids.len() / count]));
        for row in sample() {
            sums.iter_mut().zip(row).for_each(|(sum, &x)| *sum += f64::from(x));
        }
        for row in sample() {
            for ((square, &sum), &x) in squares.iter_mut().zip(sums.iter()).zip(row) {
                *square += (f64::from(x) - sum / count as f64).powi(2);
            }
        }
        let mut widest = [(f64::NEG_INFINITY, 0); WIDEST];
        for (column, &square) in squares.iter().enumerate() {
            let mut next = (square, column);
            for kept in &mut widest {
                if next.0 > kept.0 {
                    std::mem::swap(kept, &mut next);
                }
            }
        }
        widest[draw as usize % WIDEST.min(dim)].1
    }
}
