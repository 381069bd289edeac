//! When a search ends before it has looked at everything that its effort allows.

use crate::SearchStats;
use std::time::Instant;

/// What a search may cost. Where it reaches a limit it returns the best so far, which may be fewer than `k`, and
/// [`SearchStats::cut_short`] says so.
///
/// ```
/// use ann_core::{Limits, SearchStats};
/// let limits = Limits { evaluations: Some(100), deadline: None };
/// assert!(limits.reached(&SearchStats { evaluations: 100, ..SearchStats::default() }));
/// assert!(!Limits::default().reached(&SearchStats { evaluations: u64::MAX, ..SearchStats::default() }));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Distances after which a search ends; walks over blocks finish a hop that is under way.
    pub evaluations: Option<u64>,
    /// When a search ends; a hop that is under way is finished. The clock makes results depend on the machine.
    pub deadline: Option<Instant>,
}

impl Limits {
    /// Whether a search that did what `stats` says should end.
    #[inline]
    pub fn reached(&self, stats: &SearchStats) -> bool {
        self.evaluations.is_some_and(|most| stats.evaluations >= most)
            || self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }
}

/// How far beyond the `k`-th nearest row found a walk looks: it ends when the next node to expand is farther, which hard queries put off by
/// themselves. Al-Jazzazi et al., *Distance adaptive beam search for provably accurate graph-based nearest neighbor search*, 2025,
/// arXiv:2505.15636; `factor` is their (1 + gamma), squared where distances are squared.
///
/// ```
/// let reach = ann_core::Reach { factor: 1.5, offset: 0.0 };
/// assert_eq!(reach.beyond(2.0), 3.0);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reach {
    /// The largest distance that matters, over that of the `k`-th, above 0; below 1 a walk ends before it can be sure of the `k`-th.
    pub factor: f32,
    /// Added to distances before they are multiplied: what makes products, which may be negative, distances.
    pub offset: f32,
}

impl Reach {
    /// The largest distance that matters where the `k`-th row found is at `distance`.
    #[inline]
    pub fn beyond(self, distance: f32) -> f32 {
        let from_zero = distance + self.offset;
        // Of distances below zero, too, those that are a little farther.
        from_zero + (self.factor - 1.0) * from_zero.abs() - self.offset
    }
}
