//! Sorting rows out into leaves, whatever decides on which side a row belongs.
//!
//! The cells of one level are cut side by side, each by one thread; what a cut gives depends on the rows of the cell alone, and so does the whole.

use crate::BuildError;
use crate::shape::{FAN, LEAF, Shape};
use ann_core::{Monitor, Par, ScratchPool};

/// Cells that threads take one by one.
const CELLS: usize = 64;

/// Decides on which side of a cell a row belongs.
pub(crate) trait Cut: Sync {
    /// Memory of a cut.
    type Scratch: Default + Send;

    /// Brings the `left` rows before the others that belong to the left of a cell.
    fn cut(&self, rows: &mut [u32], left: usize, scratch: &mut Self::Scratch, par: Par);

    /// Brings the rows of a leaf into their order.
    fn settle(&self, rows: &mut [u32], scratch: &mut Self::Scratch);
}

/// A part of the tree that is to be cut.
struct Cell<'a> {
    rows: &'a mut [u32],
    leaves: usize,
}

/// Brings `rows` into the order of leaves.
pub(crate) fn sort_out<K: Cut>(how: &K, rows: &mut [u32], par: Par, monitor: Monitor<'_>) -> Result<(), BuildError> {
    let pool = ScratchPool::<K::Scratch>::default();
    let (total, leaves) = (rows.len() as u64, Shape::new(rows.len()).leaves());
    let mut cells = vec![Cell { rows, leaves }];
    while cells.len() < CELLS && cells.iter().any(|cell| cell.leaves > FAN) {
        monitor.report(0, total)?;
        match &mut cells[..] {
            // A cell alone is cut by all threads, as far as they can.
            [cell] => cell.cut(how, &mut pool.take(), par),
            cells => par.for_each_chunk_mut(cells, 1, &pool, |scratch, _, cells| {
                cells.iter_mut().for_each(|cell| cell.cut(how, scratch, Par::Serial));
            }),
        }
        cells = cells.into_iter().flat_map(Cell::parts).collect();
    }
    par.for_each_chunk_mut(&mut cells, 1, &pool, |scratch, _, cells| {
        cells.iter_mut().for_each(|Cell { rows, leaves }| finish(how, rows, *leaves, scratch));
    });
    Ok(())
}

/// Cuts a cell into leaves.
fn finish<K: Cut>(how: &K, rows: &mut [u32], leaves: usize, scratch: &mut K::Scratch) {
    if leaves <= 1 {
        how.settle(rows, scratch);
        return;
    }
    let mut cell = Cell { rows, leaves };
    cell.cut(how, scratch, Par::Serial);
    for Cell { rows, leaves } in cell.parts() {
        finish(how, rows, leaves, scratch);
    }
}

impl<'a> Cell<'a> {
    fn cut<K: Cut>(&mut self, how: &K, scratch: &mut K::Scratch, par: Par) {
        if self.leaves > 1 {
            how.cut(self.rows, Shape::left(self.leaves) * LEAF, scratch, par);
        }
    }

    /// What a cut has made of it.
    fn parts(self) -> impl Iterator<Item = Cell<'a>> {
        let Self { rows, leaves } = self;
        let left = if leaves > 1 { Shape::left(leaves) } else { 0 };
        let (a, b) = rows.split_at_mut(left * LEAF);
        let parts = [Cell { rows: a, leaves: left }, Cell { rows: b, leaves: leaves - left }];
        parts.into_iter().filter(|part| part.leaves > 0)
    }
}

/// Brings the `left` smallest keys before the others, and gives every row the place of its key. A key is a value above the number of its row: there are no ties.
pub(crate) fn by_keys(rows: &mut [u32], keys: &mut [u64], left: usize) {
    keys.select_nth_unstable(left);
    rows.iter_mut().zip(keys.iter()).for_each(|(row, &key)| *row = key as u32);
}
