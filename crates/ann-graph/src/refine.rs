//! Results of a walk on estimates: exact distances for as many nodes as may be among the nearest.

use crate::search::Walk;
use ann_core::{DistanceOracle, Neighbor};

/// An oracle whose distances are the exact ones of another.
pub(crate) struct ExactOracle<'a, O>(pub(crate) &'a O);

impl<O: DistanceOracle> DistanceOracle for ExactOracle<'_, O> {
    fn distances(&self, ids: &[u32], out: &mut [f32]) {
        self.0.exact(ids, out);
    }

    fn prefetch(&self, id: u32) {
        self.0.prefetch(id);
    }
}

impl Walk {
    /// Replaces `out` by the `k` nearest of the rows found on a graph whose nodes are rows.
    ///
    /// On estimates, the first `k` are measured exactly, then those that may be nearer than the farthest of these. Says
    /// no if the estimates of a full frontier lie so close together that its last node may be the nearest of all: then
    /// nodes may have been turned away that belong in it, and the walk should be done again on exact distances.
    pub(crate) fn take_nearest<O: DistanceOracle>(&mut self, oracle: &O, k: usize, out: &mut Vec<Neighbor>) -> bool {
        out.clear();
        // As many as a later search may need, so that it does not allocate.
        let most = self.frontier.capacity();
        out.reserve(most);
        if !O::ESTIMATES {
            out.extend(self.frontier.neighbors().take(k));
            return true;
        }
        self.nodes.clear();
        self.nodes.reserve(most);
        self.distances.clear();
        self.distances.reserve(most);
        self.estimated.clear();
        self.estimated.extend(self.frontier.neighbors());
        let (first, rest) = self.estimated.split_at(k.min(self.estimated.len()));
        let last = self.estimated.last().map_or(f32::INFINITY, |n| oracle.floor(n.distance));
        measure(oracle, first.iter().copied(), &mut self.nodes, &mut self.distances, out);
        let farthest = out.iter().max().map_or(f32::INFINITY, |n| n.distance);
        let near = rest.partition_point(|n| oracle.floor(n.distance) <= farthest);
        measure(oracle, rest[..near].iter().copied(), &mut self.nodes, &mut self.distances, out);
        self.stats.refined += out.len() as u64;
        out.sort_unstable();
        out.truncate(k);
        !self.frontier.is_full() || out.first().is_none_or(|nearest| last > nearest.distance)
    }
}

/// Adds `estimated` with exact distances to `out`.
pub(crate) fn measure(
    oracle: &impl DistanceOracle,
    estimated: impl Iterator<Item = Neighbor>,
    ids: &mut Vec<u32>,
    distances: &mut Vec<f32>,
    out: &mut Vec<Neighbor>,
) {
    ids.clear();
    ids.extend(estimated.map(|n| n.id));
    distances.resize(ids.len(), 0.0);
    oracle.exact(ids, distances);
    out.extend(ids.iter().zip(distances).map(|(&id, &mut distance)| Neighbor::new(id, distance)));
}
