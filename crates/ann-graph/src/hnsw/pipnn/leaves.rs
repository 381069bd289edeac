//! All pairs of a leaf, and the nearest of each of its rows.

use super::candidates::{Candidates, Offers};
use super::copies::Copies;
use super::partition::Carving;
use crate::frontier::Key;
use ann_core::{Cancelled, Neighbor, Par, ScratchPool, VectorStore};

/// Rows of a leaf that are measured against those before them at a time.
const TILE: usize = 32;

/// Leaves per unit of parallel work, and offers that are brought together before lists take them.
const CHUNK: usize = 16;
const BATCH: usize = 1 << 22;

/// What a thread needs to find the nearest rows of a leaf.
struct Scratch<S: VectorStore> {
    oracle: S::Scratch,
    distances: Vec<f32>,
    /// The nearest of every row met so far by their places in the leaf, `nearest` each, ascending.
    found: Vec<Key>,
    /// For every row the distance beyond which it takes no other; below all distances for copies.
    bounds: Vec<f32>,
}

impl<S: VectorStore> Default for Scratch<S> {
    fn default() -> Self {
        Self { oracle: S::Scratch::default(), distances: Vec::new(), found: Vec::new(), bounds: Vec::new() }
    }
}

/// Divides the rows of `candidates` into leaves, and offers to every row of each its `nearest` rows there, and it to them; gives the rows that are equal, which `candidates` know by the first of
/// their kind.
pub(super) fn offer_nearest<S: VectorStore>(
    store: &S,
    carving: Carving,
    nearest: usize,
    candidates: &mut Candidates,
    par: Par,
    progress: impl Fn(f64) -> Result<(), Cancelled>,
) -> Result<Copies, Cancelled> {
    let leaves = carving.leaves(store, candidates.rows(), par);
    let mut copies = Copies::none(store.len());
    // A single leaf has all the neighbours there are.
    let nearest = if leaves.len() == 1 { candidates.width() } else { nearest };
    let pool = ScratchPool::<Scratch<S>>::default();
    let mut rest = &leaves[..];
    while !rest.is_empty() {
        let mut rows = 0;
        let fits = rest.iter().take_while(|leaf| {
            rows += leaf.len();
            2 * rows * nearest <= BATCH
        });
        let (batch, after) = rest.split_at(fits.count().max(1));
        let parts: Vec<Offers> = par.map_chunks(batch.len(), CHUNK, &pool, |scratch, range| {
            let mut offers = candidates.offers();
            batch[range].iter().for_each(|leaf| offer(store, leaf, nearest, candidates, scratch, &mut offers));
            offers
        });
        candidates.take(&parts, par);
        copies.join(parts.iter().flat_map(Offers::copies));
        rest = after;
        progress(1.0 - rest.len() as f64 / leaves.len() as f64)?;
    }
    candidates.unite(&copies, par);
    Ok(copies)
}

/// Offers the nearest of one leaf. Of copies of a row the first alone takes part, which is offered as such.
fn offer<S: VectorStore>(
    store: &S,
    leaf: &[u32],
    nearest: usize,
    candidates: &Candidates,
    scratch: &mut Scratch<S>,
    offers: &mut Offers,
) {
    let Scratch { oracle, distances, found, bounds } = scratch;
    let nearest = nearest.min(leaf.len().saturating_sub(1));
    if nearest == 0 {
        return;
    }
    found.clear();
    found.resize(leaf.len() * nearest, Key::NONE);
    bounds.clear();
    // What has no place in a list now will have none later.
    bounds.extend(leaf.iter().map(|&row| candidates.bound(row)));
    for start in (0..leaf.len()).step_by(TILE) {
        let end = (start + TILE).min(leaf.len());
        distances.resize((end - start) * end, 0.0);
        store.tile(&leaf[start..end], &leaf[..end], oracle, distances);
        for (i, line) in (start..end).zip(distances.chunks_exact(end)) {
            if let Some(first) = first_copy(&line[..i], line[i], bounds) {
                bounds[i] = f32::NEG_INFINITY;
                offers.push_copy(leaf[first], leaf[i]);
            } else {
                compare(i, &line[..i], nearest, found, bounds);
            }
        }
    }
    for (i, keys) in found.chunks_exact(nearest).enumerate() {
        for key in keys.iter().take_while(|&&key| key != Key::NONE) {
            let j = key.node() as usize;
            let itself = Key::new(i as u32, key.distance());
            // Of two rows that met each other the earlier one says so.
            if i < j || !found[j * nearest..][..nearest].contains(&itself) {
                offers.push(leaf[i], Neighbor::new(leaf[j], key.distance()));
                offers.push(leaf[j], Neighbor::new(leaf[i], key.distance()));
            }
        }
    }
}

/// Lets row `i` of a leaf and the rows before it, whose distances to it are `line`, take each other among their nearest.
fn compare(i: usize, line: &[f32], nearest: usize, found: &mut [Key], bounds: &mut [f32]) {
    /// Nearly nothing enters, so sixteen are dismissed at a time, in a form that compiles to vector compares.
    const LANES: usize = 16;
    let mut bound = bounds[i];
    for (c, chunk) in line.chunks(LANES).enumerate() {
        let others = &bounds[LANES * c..][..chunk.len()];
        let near = |any, (&distance, &other): (&f32, &f32)| any | (distance <= bound) | (distance <= other);
        if !chunk.iter().zip(others).fold(false, near) {
            continue;
        }
        for (j, &distance) in (LANES * c..).zip(chunk) {
            if distance <= bound && bounds[j] > f32::NEG_INFINITY {
                bound = insert(&mut found[i * nearest..][..nearest], Key::new(j as u32, distance), bound);
            }
            if distance <= bounds[j] {
                bounds[j] = insert(&mut found[j * nearest..][..nearest], Key::new(i as u32, distance), bounds[j]);
            }
        }
    }
    bounds[i] = bound;
}

/// The first row that one is a copy of, from the distances to the rows before it and to itself; copies do not count.
fn first_copy(line: &[f32], itself: f32, bounds: &[f32]) -> Option<usize> {
    if !line.iter().fold(false, |any, &distance| any | (distance == itself)) {
        return None;
    }
    (0..line.len()).find(|&j| line[j] == itself && bounds[j] > f32::NEG_INFINITY)
}

/// Puts a new key in its place among as many as there were; gives the distance beyond which nothing enters, which was `bound`.
fn insert(keys: &mut [Key], key: Key, bound: f32) -> f32 {
    let (at, last) = (keys.partition_point(|&other| other < key), keys.len() - 1);
    if at <= last {
        keys.copy_within(at..last, at + 1);
        keys[at] = key;
    }
    if keys[last] == Key::NONE { bound } else { keys[last].distance() }
}
