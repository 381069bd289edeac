//! The nearest of many centroids, for many points.
//!
//! A matrix product in registers. Centroids are turned so that those of a *panel* lie side by side, column after column:
//! one vector of an instruction set then holds a part of many sums, no sum is ever folded across lanes, and rows of four
//! columns are as cheap for each multiplication as rows of four hundred: what product quantizers need, whose rows are
//! short. A tile of a few points by a panel stays in registers over all columns; of many panels as many as a cache holds
//! are finished for a batch of points before the next ones are read.
//!
//! What is compared is `‖c‖² / 2 - ⟨x, c⟩`, so callers compute the distance to the winner anew where they need it.
//!
//! Cost: `dim` multiply-adds for each pair, one sixteenth of an instruction each on AVX-512; 4 bytes for each value of
//! the centroids.

use ann_core::simd::{Arch, Level};
use pulp::{Simd, WithSimd};

/// Most centroids: indices are kept as `f32` beside the values that they belong to.
pub(crate) const MAX_CENTROIDS: usize = 1 << 24;

/// Most centroids side by side.
pub(crate) const PANEL: usize = 32;
/// Points for which panels are kept in a cache.
const BATCH: usize = 64;
/// Numbers of the panels that are kept in a cache.
const CACHED: usize = 1 << 15;

/// Centroids laid out for [`Table::nearest`].
#[derive(Debug, Clone)]
pub(crate) struct Table {
    arch: Arch,
    dim: usize,
    /// Centroids of a panel: half of [`PANEL`] if that holds them all.
    width: usize,
    /// `(panels, dim, width)`, zeros where there is no centroid.
    columns: Vec<f32>,
    /// What is added to each negated product, infinite where there is no centroid.
    offsets: Vec<f32>,
}

impl Table {
    /// For squared distances to `centroids`, `(k, dim)`.
    pub(crate) fn l2(arch: Arch, centroids: &[f32], dim: usize) -> Self {
        Self::new(arch, centroids, dim, centroids.chunks_exact(dim).map(half_norm))
    }

    /// Nearest is what has the least `offset - ⟨x, centroid⟩`; one offset for each centroid.
    pub(crate) fn new(arch: Arch, centroids: &[f32], dim: usize, offsets: impl Iterator<Item = f32>) -> Self {
        let k = centroids.len() / dim;
        let width = Self::width(k);
        let panels = k.div_ceil(width);
        let mut columns = vec![0.0; panels * dim * width];
        for (c, centroid) in centroids.chunks_exact(dim).enumerate() {
            let panel = &mut columns[c / width * dim * width..][..dim * width];
            for (column, &value) in panel.chunks_exact_mut(width).zip(centroid) {
                column[c % width] = value;
            }
        }
        let mut offsets: Vec<f32> = offsets.collect();
        offsets.resize(panels * width, f32::INFINITY);
        Self { arch, dim, width, columns, offsets }
    }

    /// `labels[i]` becomes the centroid nearest to row `i` of `rows`, `(labels.len(), dim)`; the lowest of equal ones.
    pub(crate) fn nearest(&self, rows: &[f32], labels: &mut [u32]) {
        self.vectorize(Nearest { table: self, rows, labels });
    }

    /// `values` becomes what is compared, `(which.len(), centroids)`, for the rows `which` of `rows` and as many
    /// centroids from `first` on, both in whole panels; `least` the least of each row. Infinite where there is no
    /// centroid.
    pub(crate) fn values(&self, rows: &[f32], which: &[u32], first: usize, values: &mut [f32], least: &mut [f32]) {
        self.vectorize(Values { table: self, rows, which, first, values, least });
    }

    /// How many of `k` centroids make a panel.
    pub(crate) fn width(k: usize) -> usize {
        if k > PANEL / 2 { PANEL } else { PANEL / 2 }
    }

    /// Centroids, and places where there is none.
    pub(crate) fn places(&self) -> usize {
        self.offsets.len()
    }

    fn vectorize(&self, op: impl WithSimd<Output = ()>) {
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

/// Half of the squared norm.
pub(crate) fn half_norm(x: &[f32]) -> f32 {
    (x.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>() / 2.0) as f32
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
        // As many sums at a time as there are registers for, beside those of a few columns.
        match (S::F32_LANES, table.width) {
            (16, PANEL) => nearest::<S, 8, 2>(simd, table, rows, labels),
            (16, _) => nearest::<S, 8, 1>(simd, table, rows, labels),
            (8, _) => nearest::<S, 6, 2>(simd, table, rows, labels),
            _ => nearest::<S, 4, 4>(simd, table, rows, labels),
        }
    }
}

struct Values<'a> {
    table: &'a Table,
    rows: &'a [f32],
    which: &'a [u32],
    first: usize,
    values: &'a mut [f32],
    least: &'a mut [f32],
}

impl WithSimd for Values<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match (S::F32_LANES, self.table.width) {
            (16, PANEL) => values::<S, 8, 2>(simd, self),
            (16, _) => values::<S, 8, 1>(simd, self),
            (8, _) => values::<S, 6, 2>(simd, self),
            _ => values::<S, 4, 4>(simd, self),
        }
    }
}

/// `offset - ⟨x, centroid⟩` of `P` points and `V` vectors of centroids, from vector `at` of a panel on.
#[inline(always)]
fn tile<S: Simd, const P: usize, const V: usize>(
    simd: S,
    panel: &[S::f32s],
    offsets: &[S::f32s],
    per_panel: usize,
    at: usize,
    points: [&[f32]; P],
    dim: usize,
) -> [[S::f32s; V]; P] {
    let points = points.map(|point| &point[..dim]);
    let start: [S::f32s; V] = std::array::from_fn(|v| offsets[at + v]);
    let mut sums = [start; P];
    let mut columns = panel.chunks_exact(per_panel);
    for j in 0..dim {
        let Some(column) = columns.next() else { break };
        let column: [S::f32s; V] = std::array::from_fn(|v| column[at + v]);
        for (sums, point) in sums.iter_mut().zip(points) {
            let x = simd.splat_f32s(point[j]);
            for (sum, column) in sums.iter_mut().zip(column) {
                *sum = simd.negate_mul_add_e_f32s(x, column, *sum);
            }
        }
    }
    sums
}

#[inline(always)]
fn nearest<S: Simd, const P: usize, const V: usize>(simd: S, table: &Table, rows: &[f32], labels: &mut [u32]) {
    let (dim, width) = (table.dim, table.width);
    let panels = (CACHED / (dim * width)).max(1);
    for (rows, labels) in rows.chunks(BATCH * dim).zip(labels.chunks_mut(BATCH)) {
        let mut least = [f32::INFINITY; BATCH];
        labels.fill(0);
        let parts = table.columns.chunks(panels * dim * width).zip(table.offsets.chunks(panels * width));
        for (part, (columns, offsets)) in parts.enumerate() {
            let first = part * panels * width;
            let mut blocks = labels.chunks_exact_mut(P);
            let mut at = 0;
            for labels in &mut blocks {
                let points: [&[f32]; P] = std::array::from_fn(|p| &rows[(at + p) * dim..][..dim]);
                let found = block::<S, P, V>(simd, columns, offsets, width, points, dim);
                for ((label, least), (value, index)) in labels.iter_mut().zip(&mut least[at..]).zip(found) {
                    // Strictly less: of equal ones the first stays.
                    if value < *least {
                        (*least, *label) = (value, first as u32 + index);
                    }
                }
                at += P;
            }
            for label in blocks.into_remainder() {
                let [(value, index)] = block::<S, 1, V>(simd, columns, offsets, width, [&rows[at * dim..][..dim]], dim);
                if value < least[at] {
                    (least[at], *label) = (value, first as u32 + index);
                }
                at += 1;
            }
        }
    }
}

/// The least value of `P` points in some panels, and its index.
#[inline(always)]
fn block<S: Simd, const P: usize, const V: usize>(
    simd: S,
    columns: &[f32],
    offsets: &[f32],
    width: usize,
    points: [&[f32]; P],
    dim: usize,
) -> [(f32, u32); P] {
    let lanes = S::F32_LANES;
    let per_panel = width / lanes;
    let columns = S::as_simd_f32s(columns).0;
    let offsets = S::as_simd_f32s(offsets).0;
    let infinity = simd.splat_f32s(f32::INFINITY);
    let mut best = [infinity; P];
    let mut index = [simd.splat_f32s(0.0); P];
    let first: [f32; 16] = std::array::from_fn(|lane| lane as f32);
    let mut at = S::as_simd_f32s(&first).0[0];
    for (panel, offsets) in columns.chunks_exact(dim * per_panel).zip(offsets.chunks_exact(per_panel)) {
        for part in (0..per_panel).step_by(V) {
            let sums = tile::<S, P, V>(simd, panel, offsets, per_panel, part, points, dim);
            for v in 0..V {
                for ((sums, best), index) in sums.iter().zip(&mut best).zip(&mut index) {
                    let less = simd.less_than_f32s(sums[v], *best);
                    *best = simd.select_f32s(less, sums[v], *best);
                    *index = simd.select_f32s(less, at, *index);
                }
                at = simd.add_f32s(at, simd.splat_f32s(lanes as f32));
            }
        }
    }
    std::array::from_fn(|p| {
        let value = simd.reduce_min_f32s(best[p]);
        let among = simd.less_than_or_equal_f32s(best[p], simd.splat_f32s(value));
        (value, simd.reduce_min_f32s(simd.select_f32s(among, index[p], infinity)) as u32)
    })
}

#[inline(always)]
fn values<S: Simd, const P: usize, const V: usize>(simd: S, op: Values<'_>) {
    let Values { table, rows, which, first, values, least } = op;
    let dim = table.dim;
    let Some(count) = values.len().checked_div(which.len()) else { return };
    let part = table.part::<S>(first, count);
    let (blocks, rest) = (which.chunks_exact(P), which.len() / P * P);
    for ((which, values), least) in blocks.zip(values.chunks_exact_mut(P * count)).zip(least.chunks_exact_mut(P)) {
        let points: [&[f32]; P] = std::array::from_fn(|p| &rows[which[p] as usize * dim..][..dim]);
        least.copy_from_slice(&part.values::<P, V>(simd, points, dim, values));
    }
    let values = values[rest * count..].chunks_exact_mut(count);
    for ((&which, values), least) in which[rest..].iter().zip(values).zip(&mut least[rest..]) {
        [*least] = part.values::<1, V>(simd, [&rows[which as usize * dim..][..dim]], dim, values);
    }
}

/// Some panels of a table, as vectors of an instruction set.
struct Part<'a, S: Simd> {
    columns: &'a [S::f32s],
    offsets: &'a [S::f32s],
    per_panel: usize,
}

impl Table {
    #[inline(always)]
    fn part<S: Simd>(&self, first: usize, count: usize) -> Part<'_, S> {
        Part {
            columns: S::as_simd_f32s(&self.columns[first * self.dim..][..count * self.dim]).0,
            offsets: S::as_simd_f32s(&self.offsets[first..][..count]).0,
            per_panel: self.width / S::F32_LANES,
        }
    }
}

impl<S: Simd> Part<'_, S> {
    /// Writes the values of `P` points, and gives the least of each.
    #[inline(always)]
    fn values<const P: usize, const V: usize>(
        &self,
        simd: S,
        points: [&[f32]; P],
        dim: usize,
        values: &mut [f32],
    ) -> [f32; P] {
        let per_panel = self.per_panel;
        let per_row = self.offsets.len();
        let values = S::as_mut_simd_f32s(values).0;
        let mut least = [simd.splat_f32s(f32::INFINITY); P];
        let panels = self.columns.chunks_exact(dim * per_panel).zip(self.offsets.chunks_exact(per_panel));
        for (i, (panel, offsets)) in panels.enumerate() {
            for at in (0..per_panel).step_by(V) {
                let sums = tile::<S, P, V>(simd, panel, offsets, per_panel, at, points, dim);
                for ((values, sums), least) in values.chunks_exact_mut(per_row).zip(sums).zip(&mut least) {
                    values[i * per_panel + at..][..V].copy_from_slice(&sums);
                    for sum in sums {
                        *least = simd.min_f32s(*least, sum);
                    }
                }
            }
        }
        least.map(|least| simd.reduce_min_f32s(least))
    }
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
