//! What a search cost and what an index weighs.

use std::ops::AddAssign;

/// What one search (or the sum of several) did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SearchStats {
    /// Nodes expanded, lists scanned or leaves opened.
    pub hops: u64,
    /// Distances computed between the query and a row.
    pub evaluations: u64,
    /// Of these rows, how many were read once more for an exact distance in the place of an estimate.
    pub refined: u64,
    /// Pages read from disk, by an index whose rows are there.
    pub reads: u64,
    /// Whether one of [`Limits`](crate::Limits) ended it.
    pub cut_short: bool,
    /// How rows were looked for; of several searches, the last.
    pub route: Route,
}

/// How the rows that a filter accepts are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Route {
    /// A walk through all rows that keeps the accepted; without a filter the only one.
    #[default]
    Walk,
    /// A walk from accepted row to accepted row, one step or two apart.
    TwoHops,
    /// A comparison with every accepted row: exact.
    Scan,
}

impl AddAssign for SearchStats {
    fn add_assign(&mut self, other: Self) {
        self.hops += other.hops;
        self.evaluations += other.evaluations;
        self.refined += other.refined;
        self.reads += other.reads;
        self.cut_short |= other.cut_short;
        self.route = other.route;
    }
}

/// Bytes that an index holds, by part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MemoryUsage {
    /// The rows themselves (codes, norms and padding included).
    pub vectors: usize,
    /// Everything else: links, layers, lists, labels.
    pub structure: usize,
}

impl MemoryUsage {
    /// Both parts together.
    pub fn total(self) -> usize {
        self.vectors + self.structure
    }
}
