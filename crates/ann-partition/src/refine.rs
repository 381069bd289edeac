//! What codes let through, measured by the store: nearest estimates first, until the rest cannot be among the results.
//!
//! How far estimates are off differs from query to query, and shows in the rows that are measured first. What follows is left out once the
//! next estimate, less what they were off by, is beyond the farthest result. (With a bound from the codes in its place: Gao and Long,
//! *RaBitQ*, SIGMOD 2024, section 3.3.) Behind codes, a store that estimates is asked for its own estimates first: rows in halves are read
//! whole only where their upper halves leave it open whether they are results.

use crate::search::Found;
use ann_core::{DistanceOracle, Neighbor, SearchStats};
use std::cmp::Ordering;

/// Rows that are measured together.
const CHUNK: usize = 16;

/// Whose estimates they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Estimates {
    Codes,
    Store,
}

impl Found {
    /// Replaces `out` by the `k` nearest of `self.estimated`, which is in order: estimates of `by`. All of them are measured where `slack` is
    /// infinite, else those whose estimates are within so many root mean square errors of the results.
    pub(crate) fn refine<O: DistanceOracle>(
        &mut self,
        k: usize,
        slack: f32,
        by: Estimates,
        oracle: &O,
        stats: &mut SearchStats,
        out: &mut Vec<Neighbor>,
    ) {
        let Self { estimated, rows, distances, top, .. } = self;
        top.reset(k);
        let (mut threshold, mut errors) = (f32::INFINITY, 0.0);
        let asks_first = O::ESTIMATES && by == Estimates::Codes;
        let prefetch = |chunk: &[Neighbor]| chunk.iter().take(CHUNK).for_each(|n| oracle.prefetch(n.id));
        prefetch(estimated);
        for (i, chunk) in estimated.chunks(CHUNK).enumerate() {
            let at = i * CHUNK;
            let error = (errors / at.max(1) as f32).sqrt();
            if at >= k && chunk[0].distance - slack * error > threshold {
                break;
            }
            prefetch(&estimated[at + chunk.len()..]);
            rows.clear();
            rows.extend(chunk.iter().map(|n| n.id));
            distances.resize(rows.len(), 0.0);
            if asks_first {
                oracle.distances(rows, distances)
            } else {
                oracle.exact(rows, distances)
            }
            errors += chunk.iter().zip(&*distances).map(|(n, d)| (n.distance - d) * (n.distance - d)).sum::<f32>();
            if asks_first {
                rows.clear();
                let open = |estimate: f32| oracle.floor(estimate).partial_cmp(&threshold) != Some(Ordering::Greater);
                rows.extend(chunk.iter().zip(&*distances).filter(|&(_, &d)| open(d)).map(|(n, _)| n.id));
                distances.truncate(rows.len());
                oracle.exact(rows, distances);
            }
            stats.refined += rows.len() as u64;
            for (&id, &distance) in rows.iter().zip(&*distances) {
                if distance <= threshold {
                    top.push(Neighbor::new(id, distance));
                    threshold = top.threshold();
                }
            }
        }
        out.clear();
        top.drain_sorted(out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ann_core::TopK;
    use proptest::prelude::*;

    /// Row `id` is at `exact[id]`, which its estimate misses by `off[id]`.
    struct Line<'a>(&'a [(f32, f32)]);

    impl DistanceOracle for Line<'_> {
        fn distances(&self, ids: &[u32], out: &mut [f32]) {
            ids.iter().zip(out).for_each(|(&id, out)| *out = self.0[id as usize].0);
        }
    }

    /// As [`Line`], by a store that estimates itself, off by half at the most.
    struct Halves<'a>(Line<'a>);

    impl DistanceOracle for Halves<'_> {
        const ESTIMATES: bool = true;

        fn distances(&self, ids: &[u32], out: &mut [f32]) {
            self.0.distances(ids, out);
            ids.iter().zip(out).for_each(|(&id, out)| *out += if id % 2 == 0 { 0.5 } else { -0.5 });
        }

        fn exact(&self, ids: &[u32], out: &mut [f32]) {
            self.0.distances(ids, out);
        }

        fn floor(&self, estimate: f32) -> f32 {
            estimate - 0.5
        }
    }

    fn refine(rows: &[(f32, f32)], k: usize, slack: f32) -> (Vec<Neighbor>, u64) {
        refine_by(&Line(rows), rows, k, slack)
    }

    fn refine_by(oracle: &impl DistanceOracle, rows: &[(f32, f32)], k: usize, slack: f32) -> (Vec<Neighbor>, u64) {
        let estimates = (0u32..).zip(rows).map(|(id, &(exact, off))| Neighbor::new(id, exact + off));
        let mut found = Found::default();
        found.estimated.extend(estimates);
        found.estimated.sort_unstable();
        let (mut stats, mut out) = (SearchStats::default(), Vec::new());
        found.refine(k, slack, Estimates::Codes, oracle, &mut stats, &mut out);
        (out, stats.refined)
    }

    fn sorted(rows: &[(f32, f32)], k: usize) -> Vec<Neighbor> {
        let mut all: Vec<_> = (0u32..).zip(rows).map(|(id, &(exact, _))| Neighbor::new(id, exact)).collect();
        all.sort_unstable();
        all.truncate(k);
        all
    }

    proptest! {
        #[test]
        fn without_an_end_every_row_is_measured(
            rows in proptest::collection::vec((0u8..50, -20i8..20), 0..120),
            k in 0usize..40,
        ) {
            let rows: Vec<_> = rows.iter().map(|&(exact, off)| (f32::from(exact), f32::from(off))).collect();
            let (out, refined) = refine(&rows, k, f32::INFINITY);
            prop_assert_eq!(out, sorted(&rows, k));
            prop_assert_eq!(refined, rows.len() as u64);
        }

        #[test]
        fn a_store_that_estimates_measures_exactly_what_may_be_near(
            rows in proptest::collection::vec((0u8..50, -20i8..20), 0..120),
            k in 1usize..40,
        ) {
            let rows: Vec<_> = rows.iter().map(|&(exact, off)| (f32::from(exact), f32::from(off))).collect();
            let (out, refined) = refine_by(&Halves(Line(&rows)), &rows, k, f32::INFINITY);
            prop_assert_eq!(&out, &sorted(&rows, k));
            // Until there are `k` nothing is too far, and then what is a whole distance farther than the farthest so far.
            let mut near = TopK::new(k);
            let mut order: Vec<_> = (0u32..).zip(&rows).map(|(id, row)| Neighbor::new(id, row.0 + row.1)).collect();
            order.sort_unstable();
            let mut most = 0;
            for chunk in order.chunks(CHUNK) {
                let threshold = near.threshold();
                let exact = |n: &Neighbor| rows[n.id as usize].0;
                most += chunk.iter().filter(|n| exact(n) - 1.0 <= threshold).count();
                chunk.iter().for_each(|n| near.push(Neighbor::new(n.id, exact(n))));
            }
            prop_assert!(refined <= most as u64, "{} of {}", refined, most);
        }

        #[test]
        fn estimates_without_errors_leave_the_far_rows_alone(
            rows in proptest::collection::vec(0u8..200, 100..300),
            k in 1usize..16,
        ) {
            let rows: Vec<_> = rows.iter().map(|&exact| (f32::from(exact), 0.0)).collect();
            let (out, refined) = refine(&rows, k, 2.0);
            let last = out.last().map_or(0.0, |n| n.distance);
            let within = rows.iter().filter(|row| row.0 <= last).count();
            prop_assert_eq!(out, sorted(&rows, k));
            prop_assert!(refined <= (within + CHUNK) as u64);
        }
    }

    #[test]
    fn errors_beyond_numbers_end_nothing_early() {
        // The first sixteen hold ten that are told exactly and six by far too near, whose squared errors overflow. The nearest come after them.
        let row = |i: u32| match i {
            0..10 => (1.0, 0.0),
            10..16 => (f32::MAX, -f32::MAX),
            _ => (0.5, 30.0),
        };
        let rows: Vec<_> = (0..64).map(row).collect();
        let (out, _) = refine(&rows, 10, 2.0);
        assert_eq!(out, sorted(&rows, 10));
    }
}
