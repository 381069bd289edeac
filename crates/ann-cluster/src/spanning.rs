//! The minimum spanning tree under mutual reachability.
//!
//! Two points are as far apart as their distance, or as the `min_samples`-th other of either, whatever is most
//! (Campello, Moulavi & Sander, PAKDD 2013): sparse points are pushed away from all. With `min_samples` 1 distances are
//! plain. Borůvka's rounds over a KD-tree (March, Ram & Gray, KDD 2010): every component looks for its nearest other
//! point, skipping subtrees of its own and what is farther than it has found.
//!
//! Of edges of one length the one with the smaller points counts as shorter, so there is one answer on any number of
//! threads. At first every point is linked to its nearest that is no less dense: no edge of it can be shorter. What a
//! point has found stays true until its component takes it in.
//!
//! Cost: some rounds of up to `n` searches; 40 bytes per point.

use crate::kdtree::KdTree;
use crate::points::{Point, squared};
use ann_core::{Cancelled, Monitor, Par, ScratchPool};
use std::sync::atomic::{AtomicU32, Ordering};

/// Two points, the smaller first, and how far apart they are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Link {
    pub a: u32,
    pub b: u32,
    pub distance: f32,
}

impl Link {
    fn new(a: u32, b: u32, distance: f32) -> Self {
        Self { a: a.min(b), b: a.max(b), distance }
    }

    fn key(&self) -> (u32, u32, u32) {
        // Distances are not negative: their bits are in their order.
        (self.distance.to_bits(), self.a, self.b)
    }
}

/// The tree over `points`, shortest links first: `n - 1` of them.
pub(crate) fn spanning_tree<const P: usize>(
    points: &[Point<P>],
    min_samples: usize,
    par: Par,
    monitor: Monitor<'_>,
) -> Result<Vec<Link>, Cancelled> {
    let n = points.len();
    let mut search = Boruvka::new(points, min_samples, par);
    while search.links.len() + 1 < n {
        monitor.report(search.links.len() as u64, n as u64)?;
        search.round(par);
    }
    let ids = &search.tree.ids;
    let id = |place: u32| ids[place as usize];
    let mut links: Vec<Link> =
        search.links.iter().map(|link| Link::new(id(link.a), id(link.b), link.distance.sqrt())).collect();
    links.sort_unstable_by_key(Link::key);
    Ok(links)
}

/// Who is connected with whom. Roots are the smallest of their set.
pub(crate) struct Sets(Vec<u32>);

impl Sets {
    pub(crate) fn new(n: usize) -> Self {
        // Stores number rows by u32.
        Self((0..n as u32).collect())
    }

    pub(crate) fn root(&mut self, mut x: u32) -> u32 {
        while self.0[x as usize] != x {
            let above = self.0[self.0[x as usize] as usize];
            self.0[x as usize] = above;
            x = above;
        }
        x
    }

    /// Whether they were apart.
    pub(crate) fn join(&mut self, a: u32, b: u32) -> bool {
        let (a, b) = (self.root(a), self.root(b));
        self.0[a.max(b) as usize] = a.min(b);
        a != b
    }
}

/// Points are known by their places in the tree.
struct Boruvka<const P: usize> {
    tree: KdTree<P>,
    /// The squared distance to the `min_samples`-th other.
    core: Vec<f32>,
    sets: Sets,
    /// The component of every point.
    component: Vec<u32>,
    /// The component of every node of the tree whose points are of one.
    whole: Vec<Option<u32>>,
    /// The nearest point of another component, if it is known.
    found: Vec<Option<Link>>,
    links: Vec<Link>,
}

impl<const P: usize> Boruvka<P> {
    fn new(points: &[Point<P>], min_samples: usize, par: Par) -> Self {
        let n = points.len();
        let tree = KdTree::new(points);
        let near = tree.nearest_others(min_samples, par);
        // One other says nothing of density.
        let farthest = |near: &Vec<(f32, u32)>| near.last().filter(|_| min_samples > 1).map_or(0.0, |last| last.0);
        let core: Vec<f32> = near.iter().map(farthest).collect();
        let mut sets = Sets::new(n);
        let mut links = Vec::with_capacity(n.saturating_sub(1));
        for (place, near) in near.iter().enumerate() {
            let denser = near.iter().find(|other| core[other.1 as usize] <= core[place]);
            if let Some(&(distance, other)) = denser
                && sets.join(place as u32, other)
            {
                links.push(Link::new(place as u32, other, distance.max(core[place])));
            }
        }
        let whole = vec![None; tree.nodes.len()];
        Self { tree, core, sets, component: vec![0; n], whole, found: vec![None; n], links }
    }

    /// Every component takes the shortest link out of it.
    fn round(&mut self, par: Par) {
        const CHUNK: usize = 128;
        let n = self.component.len();
        for place in 0..n {
            self.component[place] = self.sets.root(place as u32);
        }
        for node in (0..self.tree.nodes.len()).rev() {
            let second = self.tree.nodes[node].second as usize;
            self.whole[node] = if second == 0 {
                let places = self.tree.nodes[node].places();
                let first = self.component[places.start];
                self.component[places].iter().all(|&component| component == first).then_some(first)
            } else {
                self.whole[node + 1].filter(|&component| self.whole[second] == Some(component))
            };
        }
        let bounds: Vec<AtomicU32> = (0..n).map(|_| AtomicU32::new(f32::INFINITY.to_bits())).collect();
        let mut found = std::mem::take(&mut self.found);
        let pool = ScratchPool::<Vec<(f32, usize)>>::default();
        par.for_each_chunk_mut(&mut found, CHUNK, &pool, |stack, at, found| {
            for (place, found) in (at..).zip(found) {
                *found = self.search(place, *found, &bounds[self.component[place] as usize], stack);
            }
        });
        self.found = found;
        let mut shortest: Vec<Option<Link>> = vec![None; n];
        for (&component, found) in self.component.iter().zip(&self.found) {
            let best = &mut shortest[component as usize];
            if let Some(found) = found
                && best.is_none_or(|best| found.key() < best.key())
            {
                *best = Some(*found);
            }
        }
        for link in shortest.into_iter().flatten() {
            if self.sets.join(link.a, link.b) {
                self.links.push(link);
            }
        }
    }

    /// The shortest link from a point to another component; nothing if `bound`, the length of one that another point of
    /// the component has found, is less.
    ///
    /// The bound is shared between threads. Who sees it early or late searches less or more, but only links that are
    /// longer than the shortest are ever lost.
    fn search(
        &self,
        place: usize,
        before: Option<Link>,
        bound: &AtomicU32,
        stack: &mut Vec<(f32, usize)>,
    ) -> Option<Link> {
        let (component, core, point) = (self.component[place], self.core[place], &self.tree.points[place]);
        let limit = || f32::from_bits(bound.load(Ordering::Relaxed));
        let foreign = |link: &Link| self.component[link.a as usize] != self.component[link.b as usize];
        if let Some(link) = before.filter(foreign) {
            bound.fetch_min(link.distance.to_bits(), Ordering::Relaxed);
            return before;
        }
        let mut best: Option<Link> = None;
        stack.clear();
        stack.push((core, 0));
        while let Some((nearest, node)) = stack.pop() {
            let limit = best.map_or(f32::INFINITY, |best| best.distance).min(limit());
            if nearest.max(core) > limit || self.whole[node] == Some(component) {
                continue;
            }
            if self.tree.nodes[node].second != 0 {
                stack.extend(self.tree.children(node, point));
                continue;
            }
            for other in self.tree.nodes[node].places() {
                if self.component[other] == component || self.core[other] > limit {
                    continue;
                }
                let distance = squared(point, &self.tree.points[other]).max(core).max(self.core[other]);
                let link = Link::new(place as u32, other as u32, distance);
                if best.is_none_or(|best| link.key() < best.key()) {
                    best = Some(link);
                }
            }
        }
        let best = best.filter(|best| best.distance <= limit())?;
        bound.fetch_min(best.distance.to_bits(), Ordering::Relaxed);
        Some(best)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::scattered;

    /// Total length by Prim's algorithm over all pairs.
    fn prim<const P: usize>(points: &[Point<P>], min_samples: usize) -> f64 {
        let n = points.len();
        let core: Vec<f32> = (0..n)
            .map(|i| {
                let mut all: Vec<f32> = (0..n).filter(|&j| j != i).map(|j| squared(&points[i], &points[j])).collect();
                all.sort_by(f32::total_cmp);
                let farthest = all.get(min_samples - 1).or(all.last()).copied().unwrap_or(0.0);
                if min_samples > 1 { farthest } else { 0.0 }
            })
            .collect();
        let (mut inside, mut reach, mut total) = (vec![false; n], vec![f32::INFINITY; n], 0.0);
        let mut current = 0;
        for _ in 1..n {
            inside[current] = true;
            for j in (0..n).filter(|&j| !inside[j]) {
                reach[j] = reach[j].min(squared(&points[current], &points[j]).max(core[current]).max(core[j]));
            }
            current = (0..n).filter(|&j| !inside[j]).min_by(|&a, &b| reach[a].total_cmp(&reach[b])).unwrap();
            total += f64::from(reach[current].sqrt());
        }
        total
    }

    fn tree(points: &[Point<4>], min_samples: usize, par: Par) -> Vec<Link> {
        par.install(|par| spanning_tree(points, min_samples, par, Monitor::new()).unwrap())
    }

    #[test]
    fn the_tree_is_as_short_as_that_of_all_pairs() {
        let mut hostile = scattered::<4>(300, 4, 2);
        hostile.extend([[0.5, 0.0, 0.0, 0.0]; 40]);
        hostile.extend((0..60).map(|i| [i as f32, 0.0, 0.0, 0.0]));
        hostile.extend((0..64).map(|i| [(i % 8) as f32, (i / 8) as f32, 5.0, 0.0]));
        for (points, min_samples) in
            [(scattered::<4>(700, 2, 1), 5), (hostile.clone(), 5), (hostile, 1), (vec![[1.0; 4]; 90], 3)]
        {
            for n in [1, 2, 3, 7, 50, points.len()] {
                let links = tree(&points[..n], min_samples, Par::Ambient);
                assert_eq!(links.len(), n - 1);
                let mut sets = Sets::new(n);
                assert!(links.iter().all(|link| sets.join(link.a, link.b)), "a cycle");
                let (total, truth) =
                    (links.iter().map(|link| f64::from(link.distance)).sum::<f64>(), prim(&points[..n], min_samples));
                assert!((total - truth).abs() <= 1e-5 * truth, "{n}: {total} {truth}");
            }
        }
        assert!(tree(&[], 5, Par::Serial).is_empty());
    }

    #[test]
    fn links_are_the_same_on_any_number_of_threads() {
        let mut points = scattered::<4>(4000, 4, 3);
        points.extend((0..1000).map(|i| [(i % 10) as f32, (i / 10 % 10) as f32, (i / 100) as f32, 0.0]));
        let serial = tree(&points, 5, Par::Serial);
        assert_eq!(serial, tree(&points, 5, Par::Threads(2)));
        assert_eq!(serial, tree(&points, 5, Par::Threads(8)));
    }
}
