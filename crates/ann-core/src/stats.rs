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
}

impl AddAssign for SearchStats {
    fn add_assign(&mut self, other: Self) {
        self.hops += other.hops;
        self.evaluations += other.evaluations;
        self.refined += other.refined;
        self.reads += other.reads;
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
