//! Grows trees, each by one thread: what a node does depends on its rows, the seed and its way from the root alone.
//!
//! Near the root rows are read from the store, in the order of places; a node of few rows has them all read into memory that is near the processor, and goes on there.

use super::{Planes, RpForestParams};
use crate::euclid::{Euclid, Points};
use crate::places::LEAF;
use crate::{BuildError, ParamError};
use ann_core::{Monitor, Par, ReadRow, ScratchPool, padded_len, split_mix};

/// Rows of which the two centres are found, and how often.
const SAMPLE: usize = 100;
const ROUNDS: usize = 4;
/// Pairs of rows to begin with that are tried before rows are halved anyhow.
const TRIES: u64 = 3;
/// Share of the rows on one side beyond which another pair is tried, and beyond which halves are better.
const UNEVEN: f64 = 0.95;
const USELESS: f64 = 0.99;
/// Nodes so deep are halved: rows whose distances grow by factors make no deeper trees.
const DEEP: usize = 60;
/// Bytes of rows that are read into memory together.
const BLOCK_BYTES: usize = 2 << 20;
/// Rows that are read at a time where they are more.
const CHUNK: usize = 64;

/// A tree while it grows.
enum Node {
    Leaf(Vec<u32>),
    Split(Box<Split>),
}

struct Split {
    plane: Plane,
    children: [Node; 2],
}

/// Bytes in the place of a normal; `scale * product - offset` is the distance.
#[derive(Default)]
struct Plane {
    normal: Vec<i8>,
    scale: f32,
    offset: f32,
}

/// Rows in memory, and their places.
struct Block {
    values: Vec<f32>,
    names: Vec<u32>,
}

/// What a thread needs to grow trees.
#[derive(Default)]
struct Memory {
    points: Points,
    sample: Points,
    margins: Vec<f32>,
    aside: Vec<u32>,
    centres: [Vec<f32>; 2],
    wide: Vec<f32>,
}

struct Grower<'a, S> {
    store: &'a S,
    euclid: &'a Euclid,
    leaf: usize,
    memory: Memory,
}

pub(super) fn grow<S: ReadRow>(
    store: &S,
    params: &RpForestParams,
    euclid: &Euclid,
    par: Par,
    monitor: Monitor<'_>,
) -> Result<(Planes, Vec<u32>), BuildError> {
    let (len, trees) = (store.len(), params.trees);
    check_places(len, trees)?;
    let pool = ScratchPool::<Memory>::default();
    let mut roots = Vec::with_capacity(trees);
    // Trees between two reports: enough for all threads of most machines.
    let round = if monitor.can_cancel() { 8 } else { trees };
    for first in (0..trees).step_by(round) {
        monitor.report((len * first / trees) as u64, len as u64)?;
        let count = round.min(trees - first);
        roots.extend(par.map_chunks(count, 1, &pool, |memory, range| {
            let mut grower = Grower { store, euclid, leaf: params.leaf, memory: std::mem::take(memory) };
            let mut members: Vec<u32> = (0..len as u32).collect();
            let root = grower.grow(&mut members, None, 0, split_mix(params.seed, (first + range.start) as u64));
            *memory = grower.memory;
            root
        }));
    }
    monitor.report(len as u64, len as u64)?;
    Ok(Planes::of(roots, euclid.width(), len))
}

/// Leaves of all trees hold each row once per tree, and places in them are counted by u32.
fn check_places(len: usize, trees: usize) -> Result<(), ParamError> {
    let fits = len.checked_mul(trees).is_some_and(|places| u32::try_from(places).is_ok());
    ParamError::unless(fits, "trees", trees, "so few that there are less than 2^32 rows in all trees together")
}

impl<S: ReadRow> Grower<'_, S> {
    /// The tree over `members`: places, or rows of the block where there is one.
    fn grow(&mut self, members: &mut [u32], block: Option<&Block>, depth: usize, draw: u64) -> Node {
        if members.len() <= self.leaf {
            return Node::Leaf(match block {
                Some(block) => members.iter().map(|&row| block.names[row as usize]).collect(),
                None => members.to_vec(),
            });
        }
        let width = self.euclid.width();
        if block.is_none() && members.len() * width * size_of::<f32>() <= BLOCK_BYTES {
            let mut points = std::mem::take(&mut self.memory.points);
            self.euclid.read_all(self.store, members, &mut points);
            let block = Block { values: std::mem::take(&mut points.values), names: members.to_vec() };
            let mut rows: Vec<u32> = (0..members.len() as u32).collect();
            let node = self.grow(&mut rows, Some(&block), depth, draw);
            points.values = block.values;
            self.memory.points = points;
            return node;
        }
        let (plane, left) = self.split(members, block, depth, draw);
        let (low, high) = members.split_at_mut(left);
        let children =
            [(low, 0), (high, 1)].map(|(members, side)| self.grow(members, block, depth + 1, split_mix(draw, side)));
        Node::Split(Box::new(Split { plane, children }))
    }

    /// A plane, and how many members are before it; these come first then.
    fn split(&mut self, members: &mut [u32], block: Option<&Block>, depth: usize, draw: u64) -> (Plane, usize) {
        let len = members.len();
        for attempt in 2..2 + TRIES {
            let Some(plane) = self.plane(members, block, split_mix(draw, attempt)) else { break };
            self.margins(&plane, members, block);
            let left = self.memory.margins.iter().filter(|&&margin| margin < 0.0).count();
            let share = left.max(len - left) as f64 / len as f64;
            let last = attempt + 1 == 2 + TRIES;
            if depth < DEEP && (share < UNEVEN || last && share < USELESS) {
                self.part(members);
                return (plane, left);
            }
        }
        (Plane { normal: vec![0; self.euclid.width()], ..Plane::default() }, len / 2)
    }

    /// The plane between two centres of some members; `None` if there are no two.
    fn plane(&mut self, members: &[u32], block: Option<&Block>, draw: u64) -> Option<Plane> {
        let (len, width) = (members.len(), self.euclid.width());
        let count = SAMPLE.min(len);
        // One member from each of so many equal parts.
        let at = |i: usize| {
            i * len / count + split_mix(draw, i as u64) as usize % ((i + 1) * len / count - i * len / count).max(1)
        };
        let Memory { sample, centres, wide, margins, .. } = &mut self.memory;
        match block {
            Some(block) => {
                sample.values.clear();
                for i in 0..count {
                    let row = members[at(i)] as usize;
                    sample.values.extend_from_slice(&block.values[row * width..][..width]);
                }
            }
            None => {
                let places: Vec<u32> = (0..count).map(|i| members[at(i)]).collect();
                self.euclid.read_all(self.store, &places, sample);
            }
        }
        let rows = self.euclid.rows(&sample.values);
        let first = split_mix(draw, u64::MAX) as usize % count;
        let other = (first + 1 + split_mix(draw, u64::MAX - 1) as usize % (count - 1)) % count;
        for (centre, row) in centres.iter_mut().zip([first, other]) {
            centre.clear();
            centre.extend_from_slice(rows.row(row));
        }
        margins.resize(count, 0.0);
        let mut plane = Plane::between(centres, wide)?;
        for _ in 0..ROUNDS {
            self.euclid.dot.scan(wide, rows, margins);
            let mut counts = [0f32; 2];
            let [a, b] = &mut *centres;
            a.fill(0.0);
            b.fill(0.0);
            for (i, &product) in margins.iter().enumerate() {
                let side = usize::from(plane.scale * product - plane.offset >= 0.0);
                let centre = &mut *if side == 0 { &mut *a } else { &mut *b };
                centre.iter_mut().zip(rows.row(i)).for_each(|(sum, &x)| *sum += x);
                counts[side] += 1.0;
            }
            if counts.contains(&0.0) {
                break;
            }
            for (centre, count) in centres.iter_mut().zip(counts) {
                centre.iter_mut().for_each(|sum| *sum /= count);
            }
            plane = Plane::between(centres, wide)?;
        }
        Some(plane)
    }

    /// How far every member is from a plane, with a sign.
    fn margins(&mut self, plane: &Plane, members: &[u32], block: Option<&Block>) {
        let Memory { points, margins, wide, .. } = &mut self.memory;
        wide.clear();
        wide.extend(plane.normal.iter().map(|&x| f32::from(x)));
        margins.resize(members.len(), 0.0);
        match block {
            Some(block) => self.euclid.dot.gather(wide, self.euclid.rows(&block.values), members, margins),
            None => {
                for (places, margins) in members.chunks(CHUNK).zip(margins.chunks_mut(CHUNK)) {
                    self.euclid.read_all(self.store, places, points);
                    self.euclid.dot.scan(wide, self.euclid.rows(&points.values), margins);
                }
            }
        }
        margins.iter_mut().for_each(|margin| *margin = plane.scale * *margin - plane.offset);
    }

    /// Brings members before the plane before the others, in their order.
    fn part(&mut self, members: &mut [u32]) {
        let Memory { margins, aside, .. } = &mut self.memory;
        aside.clear();
        let mut left = 0;
        for i in 0..members.len() {
            if margins[i] < 0.0 {
                members[left] = members[i];
                left += 1;
            } else {
                aside.push(members[i]);
            }
        }
        members[left..].copy_from_slice(aside);
    }
}

impl Plane {
    /// The plane halfway between two centres; leaves its normal in `wide`. `None` if they are one.
    fn between([a, b]: &[Vec<f32>; 2], wide: &mut Vec<f32>) -> Option<Self> {
        let most = a.iter().zip(b).fold(0f32, |most, (x, y)| most.max((y - x).abs()));
        if most <= 0.0 || !most.is_finite() {
            return None;
        }
        let unit = 127.0 / f64::from(most);
        let normal: Vec<i8> =
            a.iter().zip(b).map(|(&x, &y)| ((f64::from(y) - f64::from(x)) * unit).round() as i8).collect();
        wide.clear();
        wide.extend(normal.iter().map(|&x| f32::from(x)));
        let squares: f64 = normal.iter().map(|&x| f64::from(x).powi(2)).sum();
        let product: f64 =
            a.iter().zip(b).zip(&normal).map(|((&x, &y), &n)| (f64::from(x) + f64::from(y)) / 2.0 * f64::from(n)).sum();
        let scale = 1.0 / squares.sqrt();
        Some(Self { normal, scale: scale as f32, offset: (product * scale) as f32 })
    }
}

impl Planes {
    /// Lays trees out, level by level, and puts rows in the order of the leaves of the first: gives the place that each came from.
    fn of(roots: Vec<Node>, width: usize, len: usize) -> (Self, Vec<u32>) {
        let mut forest = Self::default();
        let stride = padded_len::<i8>(width);
        let (mut order, mut place_of) = (Vec::new(), Vec::new());
        forest.starts.push(0);
        for (tree, root) in roots.into_iter().enumerate() {
            let mut leaves = Vec::new();
            let mut level = vec![root];
            let mut at = vec![None];
            while !level.is_empty() {
                let (mut below, mut slots) = (Vec::new(), Vec::new());
                for (node, slot) in level.into_iter().zip(at) {
                    let number = match node {
                        Node::Leaf(places) => {
                            leaves.push((slot, places));
                            continue;
                        }
                        Node::Split(split) => {
                            let Split { plane, children } = *split;
                            let node = forest.planes.len() / 2;
                            let start = forest.normals.len();
                            forest.normals.resize(start + stride, 0);
                            forest.normals.as_mut_slice()[start..][..width].copy_from_slice(&plane.normal);
                            forest.planes.extend_from_slice(&[plane.scale, plane.offset]);
                            forest.children.extend_from_slice(&[0, 0]);
                            for (side, child) in children.into_iter().enumerate() {
                                below.push(child);
                                slots.push(Some(2 * node + side));
                            }
                            node as u32
                        }
                    };
                    forest.link(slot, number);
                }
                (level, at) = (below, slots);
            }
            if tree == 0 {
                order = leaves.iter().flat_map(|(_, places)| places).copied().collect();
                place_of = vec![0u32; len];
                order.iter().enumerate().for_each(|(to, &from)| place_of[from as usize] = to as u32);
            }
            for (slot, mut places) in leaves {
                let leaf = forest.starts.len() as u32 - 1;
                forest.link(slot, leaf | LEAF);
                places.iter_mut().for_each(|place| *place = place_of[*place as usize]);
                places.sort_unstable();
                forest.places.extend_from_slice(&places);
                forest.starts.push(forest.places.len() as u32);
            }
        }
        (forest, order)
    }

    fn link(&mut self, slot: Option<usize>, node: u32) {
        match slot {
            Some(slot) => self.children.as_mut_slice()[slot] = node,
            None => self.roots.push(node),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::check_places;

    #[test]
    fn more_places_than_numbers_are_refused() {
        check_places(u32::MAX as usize, 1).unwrap();
        check_places(1 << 28, 15).unwrap();
        for (len, trees) in [(1 << 28, 16), (1 << 32, 1), (usize::MAX, 2)] {
            let error = check_places(len, trees).unwrap_err().to_string();
            assert!(error.starts_with(&format!("trees is {trees}, must be so few")), "{error}");
        }
    }
}
