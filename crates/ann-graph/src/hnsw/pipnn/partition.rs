//! Randomised ball carving: rows are divided among random leaders, each to its nearest few, until parts are small.
//!
//! A row near the border between two leaders goes to both, so that its neighbours on the other side meet it in one of the
//! leaves. On the first two levels every row goes to several leaders, below to one.

use crate::frontier::{Frontier, Key};
use ann_core::{Par, ScratchPool, VectorStore, split_mix};

/// Most leaders of a part.
const MOST_LEADERS: usize = 1000;

/// Rows that are measured against the leaders at a time, and by one task.
const TILE: usize = 64;
const CHUNK: usize = 1024;

/// The deepest level; what is still too large is cut, as is what hardly shrinks from this level on.
const DEEPEST: usize = 8;
const SHRINKING: usize = 2;

/// Keeps the draws of cuts apart from those of leaders.
const CUT_STREAM: u64 = 0x6375_7421;

/// How to divide rows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Carving {
    /// Most rows of a leaf.
    pub(super) most: usize,
    /// Leaders that a row goes to, on the first two levels.
    pub(super) fanout: [usize; 2],
    pub(super) seed: u64,
}

/// What a thread needs to divide a part.
struct Scratch<S: VectorStore> {
    oracle: S::Scratch,
    distances: Vec<f32>,
    best: Frontier,
}

impl<S: VectorStore> Default for Scratch<S> {
    fn default() -> Self {
        Self { oracle: S::Scratch::default(), distances: Vec::new(), best: Frontier::default() }
    }
}

/// Rows in ascending order, on their way to becoming leaves.
struct Part {
    rows: Vec<u32>,
    level: usize,
    /// Rows of the part that it comes from.
    parent: usize,
    seed: u64,
}

impl Carving {
    /// So many rows are a leaf by themselves.
    pub(super) fn single(&self) -> usize {
        4 * self.most
    }

    /// The leaves of `rows`: every row in at least one, ascending in each, at most [`Self::most`] (but four times as many if they are all
    /// rows).
    pub(super) fn leaves<S: VectorStore>(&self, store: &S, rows: &[u32], par: Par) -> Vec<Vec<u32>> {
        if rows.len() <= self.single() {
            return vec![rows.to_vec()];
        }
        let pool = ScratchPool::<Scratch<S>>::default();
        // The first division is shared by all threads, those below are one task for each part.
        let (leaders, fanout) = self.leaders(rows, 0, self.seed);
        let chosen = par.map_chunks(rows.len(), CHUNK, &pool, |scratch, range| {
            nearest_leaders(store, &rows[range], &leaders, fanout, scratch)
        });
        let parts = divide(rows, leaders.len(), fanout, chosen.iter().flatten());
        let (len, mut leaves) = (rows.len(), Vec::new());
        let parts = self.gathered(parts, 1, len, self.seed, &mut leaves);
        drop(chosen);
        let below = par.map_chunks(parts.len(), 1, &pool, |scratch, range| {
            let mut leaves = Vec::new();
            self.carve(store, &parts[range.start], scratch, &mut leaves);
            leaves
        });
        leaves.extend(below.into_iter().flatten());
        leaves
    }

    /// Divides a part until all of it lies in leaves.
    fn carve<S: VectorStore>(&self, store: &S, part: &Part, scratch: &mut Scratch<S>, leaves: &mut Vec<Vec<u32>>) {
        let Part { rows, level, parent, seed } = part;
        let stuck = *level > SHRINKING && 5 * rows.len() > 4 * parent;
        if stuck || *level > DEEPEST {
            self.cut(rows, *seed, leaves);
            return;
        }
        let (leaders, fanout) = self.leaders(rows, *level, *seed);
        let chosen = nearest_leaders(store, rows, &leaders, fanout, scratch);
        let parts = divide(rows, leaders.len(), fanout, chosen.iter());
        for part in self.gathered(parts, level + 1, rows.len(), *seed, leaves) {
            self.carve(store, &part, scratch, leaves);
        }
    }

    /// Random rows of a part, and how many of them each row goes to.
    fn leaders(&self, rows: &[u32], level: usize, seed: u64) -> (Vec<u32>, usize) {
        let fanout = self.fanout.get(level).copied().unwrap_or(1);
        // Parts that are divided once more are a few leaves large, others well below one: sizes vary by a factor of three.
        let size = if level + 1 < self.fanout.len() { 4 * self.most } else { 2 * self.most / 5 };
        let count = (rows.len() * fanout).div_ceil(size).clamp(2 * fanout, MOST_LEADERS).min(rows.len());
        // One from each of as many equal stretches: different, without a list of those taken.
        let end = |i: usize| i * rows.len() / count;
        let draw = |i: usize| end(i) + (split_mix(seed, i as u64) % (end(i + 1) - end(i)) as u64) as usize;
        ((0..count).map(|i| rows[draw(i)]).collect(), fanout)
    }

    /// Parts that are to be divided further. Those small enough become leaves, the smallest of them together.
    fn gathered(
        &self,
        parts: Vec<Vec<u32>>,
        level: usize,
        parent: usize,
        seed: u64,
        leaves: &mut Vec<Vec<u32>>,
    ) -> Vec<Part> {
        let (mut large, mut rest) = (Vec::new(), Vec::new());
        for (i, rows) in parts.into_iter().enumerate() {
            if rows.len() > self.most {
                large.push(Part { rows, level, parent, seed: split_mix(seed, i as u64) });
            } else if rows.len() >= self.most / 8 {
                leaves.push(rows);
            } else {
                rest.extend(rows);
                if rest.len() >= self.most / 2 {
                    leaves.push(ascending(std::mem::take(&mut rest)));
                }
            }
        }
        if !rest.is_empty() {
            leaves.push(ascending(rest));
        }
        large
    }

    /// Leaves at random from rows that leaders cannot tell apart, each with the first row of the next.
    fn cut(&self, rows: &[u32], seed: u64, leaves: &mut Vec<Vec<u32>>) {
        let mut shuffled = rows.to_vec();
        shuffled.sort_unstable_by_key(|&row| (split_mix(seed ^ CUT_STREAM, u64::from(row)), row));
        let step = self.most - 1;
        for start in (0..shuffled.len()).step_by(step) {
            let end = (start + self.most).min(shuffled.len());
            leaves.push(ascending(shuffled[start..end].to_vec()));
        }
    }
}

fn ascending(mut rows: Vec<u32>) -> Vec<u32> {
    rows.sort_unstable();
    rows.dedup();
    rows
}

/// For each row the places of its `fanout` nearest among the leaders, one row after another.
fn nearest_leaders<S: VectorStore>(
    store: &S,
    rows: &[u32],
    leaders: &[u32],
    fanout: usize,
    scratch: &mut Scratch<S>,
) -> Vec<u32> {
    let Scratch { oracle, distances, best } = scratch;
    let mut chosen = Vec::with_capacity(rows.len() * fanout);
    for rows in rows.chunks(TILE) {
        distances.resize(rows.len() * leaders.len(), 0.0);
        store.tile(rows, leaders, oracle, distances);
        for line in distances.chunks_exact(leaders.len()) {
            best.reset(fanout);
            let mut bound = f32::INFINITY;
            for (leader, &distance) in line.iter().enumerate() {
                if distance > bound {
                    continue;
                }
                best.insert(Key::new(leader as u32, distance));
                bound = best.bound();
            }
            chosen.extend(best.neighbors().map(|n| n.id));
        }
    }
    chosen
}

/// The rows of each leader.
fn divide<'a>(rows: &[u32], leaders: usize, fanout: usize, chosen: impl Iterator<Item = &'a u32>) -> Vec<Vec<u32>> {
    let mut parts = vec![Vec::new(); leaders];
    let rows = rows.iter().flat_map(|&row| std::iter::repeat_n(row, fanout));
    for (row, &leader) in rows.zip(chosen) {
        parts[leader as usize].push(row);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use ann_core::{FlatStore, Matrix, Metric};

    fn leaves(rows: Matrix<f32>, seed: u64) -> Vec<Vec<u32>> {
        let store = FlatStore::<f32>::from_rows(rows.view(), Metric::L2).unwrap_or_else(|error| panic!("{error}"));
        Carving { most: 100, fanout: [4, 2], seed }.leaves(
            &store,
            &(0..store.len() as u32).collect::<Vec<_>>(),
            Par::Serial,
        )
    }

    fn uniform(count: usize) -> Matrix<f32> {
        let values = (0..4 * count as u64).map(|i| ann_core::unit(split_mix(7, i)) as f32).collect();
        Matrix::new(values, 4).unwrap_or_default()
    }

    #[test]
    fn every_row_lies_in_several_small_leaves() {
        let leaves = leaves(uniform(5_000), 1);
        let mut copies = vec![0; 5_000];
        for leaf in &leaves {
            assert!(leaf.len() <= 150 && leaf.is_sorted_by(|a, b| a < b), "{leaf:?}");
            leaf.iter().for_each(|&row| copies[row as usize] += 1);
        }
        // Where small parts are put together a row may be in two of them.
        let mean = copies.iter().sum::<usize>() as f64 / 5_000.0;
        assert!(copies.iter().all(|&count| (1..=8).contains(&count)) && mean > 7.5, "{mean}");
    }

    #[test]
    fn few_rows_are_one_leaf() {
        assert_eq!(leaves(uniform(400), 1), [(0..400).collect::<Vec<u32>>()]);
        assert!(leaves(uniform(401), 1).len() > 1);
    }

    #[test]
    fn equal_rows_are_cut_into_leaves_that_hold_together() {
        let leaves = leaves(Matrix::new(vec![3.0; 2_000], 1).unwrap_or_default(), 1);
        assert!(leaves.iter().all(|leaf| leaf.len() <= 150));
        let mut group: Vec<usize> = (0..leaves.len()).collect();
        let mut first = vec![None; 2_000];
        for (i, leaf) in leaves.iter().enumerate() {
            for &row in leaf {
                let (old, new) = (group[i], group[*first[row as usize].get_or_insert(i)]);
                group.iter_mut().filter(|g| **g == old).for_each(|g| *g = new);
            }
        }
        assert!(group.iter().all(|&g| g == group[0]) && first.iter().all(Option::is_some), "{group:?}");
    }

    #[test]
    fn the_seed_decides_the_leaves() {
        assert_ne!(leaves(uniform(1_000), 1), leaves(uniform(1_000), 2));
    }
}
