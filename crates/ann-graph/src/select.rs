//! Which candidates become neighbours.
//!
//! All graphs of this crate keep a candidate only if no neighbour kept before occludes it (the relative neighbourhood
//! rule); they differ in what occluding means. Malkov & Yashunin, TPAMI 2018, Alg. 4. Where we differ: a tie occludes
//! (`<=`, so that copies of one point do not fill each other's lists), and a copy of the base point occludes nothing but
//! further copies (it is as near to every candidate as the base itself and would leave it no other neighbour).

use ann_core::{DistanceOracle, Neighbor, VectorStore};

/// When a kept neighbour `s` of base `p` makes candidate `c` superfluous.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[cfg_attr(feature = "persist", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum OcclusionRule {
    /// `c` is no farther from `s` than from `p`: the relative neighbourhood graph, HNSW's heuristic.
    #[default]
    Nearest,
    /// `c` is `alpha` times nearer to `s` than to `p` (on the stored distance, squared for L2): keeps more, longer
    /// links for `alpha > 1`.
    Relaxed {
        /// At least 1.
        alpha: f32,
    },
    /// The angle at `p` between `s` and `c` is smaller than this. For L2 and cosine distances.
    Angle {
        /// Between 0 and 180.
        min_degrees: f32,
    },
    /// As `Nearest`, and then, while there is room, as `Relaxed` among the candidates left: what the code of DiskANN does
    /// (`occlude_list`), where its paper relaxes at once. Candidates are then all nodes that a walk expanded, which
    /// keeps links to far rows in graphs of one layer.
    Staged {
        /// At least 1; 1 is `Nearest`.
        alpha: f32,
    },
}

impl OcclusionRule {
    /// Whether `s` occludes `c`, from the distances base–candidate, base–kept and kept–candidate.
    fn occludes(self, pc: f32, ps: f32, sc: f32) -> bool {
        match self {
            Self::Nearest | Self::Staged { .. } => sc <= pc,
            // Of two negated products the nearer is the larger in size.
            Self::Relaxed { alpha } if pc < 0.0 => sc <= alpha * pc,
            Self::Relaxed { alpha } => sc * alpha <= pc,
            Self::Angle { min_degrees } => {
                let cosine = (pc + ps - sc) / (2.0 * (pc * ps).sqrt());
                cosine > min_degrees.to_radians().cos()
            }
        }
    }
}

/// How a list of neighbours is chosen.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Selection {
    pub(crate) rule: OcclusionRule,
    /// Fill the list with the nearest occluded candidates.
    pub(crate) keep_pruned: bool,
}

/// Memory of a selection.
#[derive(Debug)]
pub(crate) struct SelectScratch<S: VectorStore> {
    oracle: S::Scratch,
    /// Rows kept, parallel to the kept neighbours.
    rows: Vec<u32>,
    distances: Vec<f32>,
    pruned: Vec<Neighbor>,
}

impl<S: VectorStore> Default for SelectScratch<S> {
    fn default() -> Self {
        Self { oracle: S::Scratch::default(), rows: Vec::new(), distances: Vec::new(), pruned: Vec::new() }
    }
}

/// The base whose neighbours are chosen.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Base {
    /// Its distance to itself, by which copies of it are known.
    pub(crate) itself: f32,
    /// Most neighbours it may have.
    pub(crate) degree: usize,
}

/// Replaces `kept` by at most `base.degree` of `candidates` (ascending, no duplicates, without the base), ascending
/// except for what `keep_pruned` adds. `row` tells the row of a node.
pub(crate) fn select_neighbors<S: VectorStore>(
    store: &S,
    selection: Selection,
    row: impl Fn(u32) -> u32,
    base: Base,
    candidates: &[Neighbor],
    kept: &mut Vec<Neighbor>,
    scratch: &mut SelectScratch<S>,
) {
    kept.clear();
    scratch.rows.clear();
    scratch.pruned.clear();
    let keeps = selection.keep_pruned || matches!(selection.rule, OcclusionRule::Staged { .. });
    for &candidate in candidates {
        if kept.len() >= base.degree {
            break;
        }
        let candidate_row = row(candidate.id);
        let oracle = store.oracle_at(candidate_row, &mut scratch.oracle);
        if !is_occluded(&oracle, selection.rule, base, candidate, kept, &scratch.rows, &mut scratch.distances) {
            kept.push(candidate);
            scratch.rows.push(candidate_row);
        } else if keeps {
            scratch.pruned.push(candidate);
        }
    }
    if let OcclusionRule::Staged { alpha } = selection.rule {
        let SelectScratch { oracle, rows, distances, pruned } = scratch;
        pruned.retain(|&candidate| {
            if kept.len() >= base.degree {
                return true;
            }
            let candidate_row = row(candidate.id);
            let oracle = store.oracle_at(candidate_row, oracle);
            let occluded =
                is_occluded(&oracle, OcclusionRule::Relaxed { alpha }, base, candidate, kept, rows, distances);
            if !occluded {
                kept.push(candidate);
                rows.push(candidate_row);
            }
            occluded
        });
        kept.sort_unstable();
    }
    if selection.keep_pruned {
        let room = base.degree.saturating_sub(kept.len());
        kept.extend(scratch.pruned.iter().take(room));
    }
}

/// Neighbours tested per call of the oracle: most candidates fall to the first few.
const BLOCK: usize = 4;

fn is_occluded(
    oracle: &impl DistanceOracle,
    rule: OcclusionRule,
    base: Base,
    candidate: Neighbor,
    kept: &[Neighbor],
    rows: &[u32],
    distances: &mut Vec<f32>,
) -> bool {
    for (kept, rows) in kept.chunks(BLOCK).zip(rows.chunks(BLOCK)) {
        distances.resize(rows.len(), 0.0);
        oracle.distances(rows, distances);
        for (s, &sc) in kept.iter().zip(distances.iter()) {
            // What was kept in an earlier stage may be farther than the candidate, and does not stand in its way.
            if *s > candidate {
                continue;
            }
            let copy = s.distance == base.itself;
            let occluded = match copy {
                true => candidate.distance == base.itself,
                false => rule.occludes(candidate.distance, s.distance, sc),
            };
            if occluded {
                return true;
            }
        }
    }
    false
}
