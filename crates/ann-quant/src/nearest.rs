//! The nearest of many centroids, for many points.
//!
//! Centroids are turned so that sixteen of them lie side by side, column after column. One vector of an instruction set
//! then holds a part of sixteen sums, no sum is ever folded across lanes, and rows of four columns are as cheap for each
//! multiplication as rows of four hundred: what product quantizers need, whose rows are short. The smallest value and
//! its index stay in registers; what is compared is `‖c‖² / 2 - ⟨x, c⟩`, so callers compute the distance to the winner
//! anew where they need it.
//!
//! Cost: `dim` multiply-adds for each pair, one sixteenth of an instruction each on AVX-512; 4 bytes for each value of
//! the centroids.

use ann_core::simd::{Arch, Level};
use pulp::{Simd, WithSimd};

/// Centroids side by side.
const GROUP: usize = 16;

/// Most centroids: indices are kept as `f32` beside the values that they belong to.
pub(crate) const MAX_CENTROIDS: usize = 1 << 24;

/// Centroids laid out for [`Table::nearest`].
#[derive(Debug, Clone)]
pub(crate) struct Table {
    arch: Arch,
    dim: usize,
    /// `(groups, dim, GROUP)`, zeros where there is no centroid.
    columns: Vec<f32>,
    /// What is added to each negated product, infinite where there is no centroid.
    offsets: Vec<f32>,
}

impl Table {
    /// For squared distances to `centroids`, `(k, dim)`.
    pub(crate) fn l2(arch: Arch, centroids: &[f32], dim: usize) -> Self {
        let half = |x: &[f32]| (x.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>() / 2.0) as f32;
        Self::new(arch, centroids, dim, centroids.chunks_exact(dim).map(half))
    }

    /// Nearest is what has the least `offset - ⟨x, centroid⟩`; one offset for each centroid.
    pub(crate) fn new(arch: Arch, centroids: &[f32], dim: usize, offsets: impl Iterator<Item = f32>) -> Self {
        let groups = (centroids.len() / dim).div_ceil(GROUP);
        let mut columns = vec![0.0; groups * dim * GROUP];
        for (c, centroid) in centroids.chunks_exact(dim).enumerate() {
            let group = &mut columns[c / GROUP * dim * GROUP..][..dim * GROUP];
            for (column, &value) in group.chunks_exact_mut(GROUP).zip(centroid) {
                column[c % GROUP] = value;
            }
        }
        let mut offsets: Vec<f32> = offsets.collect();
        offsets.resize(groups * GROUP, f32::INFINITY);
        Self { arch, dim, columns, offsets }
    }

    /// `labels[i]` becomes the centroid nearest to row `i` of `rows`, `(labels.len(), dim)`; the lowest of equal ones.
    pub(crate) fn nearest(&self, rows: &[f32], labels: &mut [u32]) {
        let op = Nearest { table: self, rows, labels };
        // The level is present, since there is an `Arch`: asking again only makes the tokens of `pulp`.
        #[cfg(target_arch = "x86_64")]
        match self.arch.level() {
            Level::V4 | Level::V4x => {
                if let Some(simd) = pulp::x86::V4::try_new() {
                    return Simd::vectorize(simd, op);
                }
            }
            Level::V3 => {
                if let Some(simd) = pulp::x86::V3::try_new() {
                    return Simd::vectorize(simd, op);
                }
            }
            _ => {}
        }
        #[cfg(target_arch = "aarch64")]
        if let (Level::Neon, Some(simd)) = (self.arch.level(), pulp::aarch64::Neon::try_new()) {
            return Simd::vectorize(simd, op);
        }
        Simd::vectorize(pulp::Scalar, op);
    }
}

struct Nearest<'a> {
    table: &'a Table,
    rows: &'a [f32],
    labels: &'a mut [u32],
}

impl WithSimd for Nearest<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { table, rows, labels } = self;
        // As many points at a time as there are registers for: three each, and one for the centroids.
        if S::F32_LANES == GROUP {
            points::<S, 8>(simd, table, rows, labels);
        } else {
            points::<S, 4>(simd, table, rows, labels);
        }
    }
}

#[inline(always)]
fn points<S: Simd, const P: usize>(simd: S, table: &Table, rows: &[f32], labels: &mut [u32]) {
    let dim = table.dim;
    let whole = labels.len() / P * P;
    let (blocks, rest) = labels.split_at_mut(whole);
    let mut turned = vec![[0.0; P]; if whole > 0 { dim } else { 0 }];
    for (rows, labels) in rows.chunks_exact(P * dim).zip(blocks.chunks_exact_mut(P)) {
        for (p, row) in rows.chunks_exact(dim).enumerate() {
            for (point, &x) in turned.iter_mut().zip(row) {
                point[p] = x;
            }
        }
        labels.copy_from_slice(&block::<S, P>(simd, table, &turned));
    }
    for (row, label) in rows[whole * dim..].chunks_exact(dim).zip(rest) {
        [*label] = block::<S, 1>(simd, table, row.as_chunks::<1>().0);
    }
}

/// The nearest centroids of `P` points, given column after column.
#[inline(always)]
fn block<S: Simd, const P: usize>(simd: S, table: &Table, points: &[[f32; P]]) -> [u32; P] {
    let lanes = S::F32_LANES;
    let per_group = GROUP / lanes;
    let columns = S::as_simd_f32s(&table.columns).0;
    let offsets = S::as_simd_f32s(&table.offsets).0;
    let infinity = simd.splat_f32s(f32::INFINITY);
    let mut best = [infinity; P];
    let mut index = [simd.splat_f32s(0.0); P];
    let first: [f32; GROUP] = std::array::from_fn(|lane| lane as f32);
    let mut at = S::as_simd_f32s(&first).0[0];
    for (group, offsets) in columns.chunks_exact(points.len() * per_group).zip(offsets.chunks_exact(per_group)) {
        for (part, &offset) in offsets.iter().enumerate() {
            let mut sums = [offset; P];
            for (column, point) in group.chunks_exact(per_group).zip(points) {
                for (sum, &x) in sums.iter_mut().zip(point) {
                    *sum = simd.negate_mul_add_e_f32s(simd.splat_f32s(x), column[part], *sum);
                }
            }
            for p in 0..P {
                // Strictly less: of equal ones the first stays.
                let less = simd.less_than_f32s(sums[p], best[p]);
                best[p] = simd.select_f32s(less, sums[p], best[p]);
                index[p] = simd.select_f32s(less, at, index[p]);
            }
            at = simd.add_f32s(at, simd.splat_f32s(lanes as f32));
        }
    }
    let mut labels = [0; P];
    for p in 0..P {
        let least = simd.splat_f32s(simd.reduce_min_f32s(best[p]));
        let among = simd.less_than_or_equal_f32s(best[p], least);
        labels[p] = simd.reduce_min_f32s(simd.select_f32s(among, index[p], infinity)) as u32;
    }
    labels
}

#[cfg(test)]
mod tests {
    use super::*;
    use ann_testkit::portable::iso64;

    #[test]
    fn nearest_is_that_of_the_plain_loop_at_every_level() {
        for (dim, k) in [(1, 1), (3, 7), (8, 16), (8, 256), (64, 100)] {
            let data: Vec<f32> = iso64(600, 0).base.into_vec();
            let (centroids, rows) = (&data[..k * dim], &data[k * dim..][..37 * dim]);
            for arch in Arch::available() {
                let mut labels = vec![0; 37];
                Table::l2(arch, centroids, dim).nearest(rows, &mut labels);
                for (row, &label) in rows.chunks(dim).zip(&labels) {
                    let distance =
                        |c: usize| ann_testkit::distance(ann_core::Metric::L2, row, &centroids[c * dim..][..dim]);
                    let least = (0..k).map(distance).fold(f64::INFINITY, f64::min);
                    assert!(distance(label as usize) <= least + 1e-4, "{dim} {k} {arch:?}");
                }
            }
        }
    }

    #[test]
    fn of_equal_centroids_the_first_wins_and_overflow_stays_in_range() {
        for arch in Arch::available() {
            let mut labels = [9; 9];
            Table::l2(arch, &[5.0, 1.0, 1.0, 1.0, 5.0], 1).nearest(&[1.0; 9], &mut labels);
            assert_eq!(labels, [1; 9]);
            Table::l2(arch, &[3e38; 40], 2).nearest(&[-3e38; 18], &mut labels);
            assert!(labels.iter().all(|&label| label < 20));
        }
    }
}
