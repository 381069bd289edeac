//! Covariance, principal components, the nearest rotation, and products of tall matrices.
//!
//! Pearson, *On lines and planes of closest fit to systems of points in space*, Phil. Mag. 1901; Schönemann, *A
//! generalized solution of the orthogonal Procrustes problem*, Psychometrika 1966. Decompositions are those of
//! `nalgebra`, in f64. Tall products are cut into at most sixteen pieces whose borders depend on the number of rows alone,
//! and whose sums are added in order: the same result on any number of threads.
//!
//! Cost: `n dim²` multiply-adds and `16 · 8 dim²` bytes for a covariance, some `10 dim³` for a decomposition.

use crate::TrainError;
use crate::training::check;
use ann_core::{MatrixView, Metric, Par, ScratchPool};
use nalgebra::{DMatrix, DMatrixView, DMatrixViewMut};
use std::ops::Range;

/// Sweeps after which a decomposition gives up.
const MAX_SWEEPS: usize = 1000;

/// The principal components of rows: orthogonal directions, the one of largest variance first.
///
/// ```
/// use ann_core::{Matrix, Par};
/// use ann_quant::Pca;
/// let rows = Matrix::from_rows(&[[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]])?;
/// let pca = Pca::fit(rows.view(), Par::Serial)?;
/// assert_eq!(pca.mean, [2.0, 3.0]);
/// assert!(pca.eigenvalues[1].abs() < 1e-9);
/// let mut projected = [0.0; 2];
/// pca.project(rows.row(2), &mut projected);
/// assert!((projected[0].abs() - 8.0_f32.sqrt()).abs() < 1e-5 && projected[1].abs() < 1e-5);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Pca {
    /// Mean of the rows.
    pub mean: Vec<f32>,
    /// `(dim, dim)`, row-major: one direction of norm 1 after the other. Its largest value is positive.
    pub components: Vec<f32>,
    /// Variances along the directions, descending, none negative.
    pub eigenvalues: Vec<f64>,
}

impl Pca {
    /// The principal components of `rows`, `(n, dim)`.
    ///
    /// # Errors
    /// [`TrainError::Row`] for a row that is not finite, [`TrainError::TooFew`] without rows,
    /// [`TrainError::NotConverged`] if magnitudes are beyond what f64 can square.
    pub fn fit(rows: MatrixView<'_, f32>, par: Par) -> Result<Self, TrainError> {
        check(rows, Metric::L2, "principal component")?;
        par.install(|par| Self::of(rows.as_slice(), rows.dim(), par))
    }

    /// [`Self::fit`] of finite rows.
    pub(crate) fn of(rows: &[f32], dim: usize, par: Par) -> Result<Self, TrainError> {
        let mean = mean(rows, dim, par);
        let covariance = cross(rows, &mean, rows, &mean, dim, par) / (rows.len() / dim) as f64;
        let eigen = nalgebra::SymmetricEigen::try_new(covariance, f64::EPSILON, MAX_SWEEPS * dim)
            .filter(|eigen| eigen.eigenvalues.iter().all(|value| value.is_finite()))
            .ok_or(TrainError::NotConverged { what: "the principal components" })?;
        let mut order: Vec<usize> = (0..dim).collect();
        order.sort_by(|&a, &b| eigen.eigenvalues[b].total_cmp(&eigen.eigenvalues[a]));
        let mut components = Vec::with_capacity(dim * dim);
        for &at in &order {
            let direction = eigen.eigenvectors.column(at);
            // Directions are unique up to their sign.
            let sign = if direction[direction.iamax()] < 0.0 { -1.0 } else { 1.0 };
            components.extend(direction.iter().map(|&x| (sign * x) as f32));
        }
        let eigenvalues = order.iter().map(|&at| eigen.eigenvalues[at].max(0.0)).collect();
        Ok(Self { mean: mean.into_iter().map(|x| x as f32).collect(), components, eigenvalues })
    }

    /// Columns of a row.
    pub fn dim(&self) -> usize {
        self.mean.len()
    }

    /// `vector` less the mean, along the first directions: as many as `out` has room for.
    ///
    /// # Panics
    /// If `vector` has not [`Self::dim`] values or `out` has more.
    pub fn project(&self, vector: &[f32], out: &mut [f32]) {
        assert!(vector.len() == self.dim() && out.len() <= self.dim(), "{} values", vector.len());
        for (out, direction) in out.iter_mut().zip(self.components.chunks_exact(self.dim())) {
            let along = vector.iter().zip(&self.mean).zip(direction);
            *out = along.map(|((&x, &mean), &d)| (f64::from(x) - f64::from(mean)) * f64::from(d)).sum::<f64>() as f32;
        }
    }
}

/// `len` sums over `n` rows: `add` adds what a range of rows contributes. At most sixteen ranges, since each has sums of its
/// own, which are added in order.
pub(crate) fn pieces(n: usize, len: usize, par: Par, add: impl Fn(Range<usize>, &mut [f64]) + Sync) -> Vec<f64> {
    let piece = n.div_ceil(16).max(256);
    let parts = par.map_chunks(n, piece, &ScratchPool::<()>::default(), |(), range| {
        let mut sums = vec![0.0; len];
        add(range, &mut sums);
        sums
    });
    let mut sums = vec![0.0; len];
    for part in parts {
        sums.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
    }
    sums
}

/// Mean of every column.
pub(crate) fn mean(rows: &[f32], dim: usize, par: Par) -> Vec<f64> {
    let n = rows.len() / dim;
    let mut mean = pieces(n, dim, par, |range, sums| {
        for row in rows[range.start * dim..range.end * dim].chunks_exact(dim) {
            sums.iter_mut().zip(row).for_each(|(sum, &x)| *sum += f64::from(x));
        }
    });
    mean.iter_mut().for_each(|mean| *mean /= n as f64);
    mean
}

/// `Σ (xᵢ - mean_x) (yᵢ - mean_y)ᵀ` over the rows, `(dim, dim)`.
pub(crate) fn cross(x: &[f32], mean_x: &[f64], y: &[f32], mean_y: &[f64], dim: usize, par: Par) -> DMatrix<f64> {
    /// Rows that are widened at a time.
    const BLOCK: usize = 256;
    let n = x.len() / dim;
    let centred = |rows: &[f32], mean: &[f64], out: &mut Vec<f64>| {
        out.clear();
        for row in rows.chunks_exact(dim) {
            out.extend(row.iter().zip(mean).map(|(&x, mean)| f64::from(x) - mean));
        }
    };
    let pool = ScratchPool::<(Vec<f64>, Vec<f64>)>::default();
    let sums = pieces(n, dim * dim, par, |range, sum| {
        let mut scratch = pool.take();
        let (a, b) = &mut scratch;
        let mut sum = DMatrixViewMut::from_slice(sum, dim, dim);
        let range = range.start * dim..range.end * dim;
        for (x, y) in x[range.clone()].chunks(BLOCK * dim).zip(y[range].chunks(BLOCK * dim)) {
            centred(x, mean_x, a);
            centred(y, mean_y, b);
            // Rows one after the other are the columns of nalgebra.
            let (a, b) =
                (DMatrixView::from_slice(a, dim, a.len() / dim), DMatrixView::from_slice(b, dim, b.len() / dim));
            sum.gemm(1.0, &a, &b.transpose(), 1.0);
        }
        pool.give(scratch);
    });
    DMatrix::from_vec(dim, dim, sums)
}

/// The rotation `R`, row-major, for which `Σ ‖R xᵢ - yᵢ‖²` is least, from `Σ xᵢ yᵢᵀ`; `None` if it was not found.
pub(crate) fn procrustes(cross: DMatrix<f64>) -> Option<Vec<f32>> {
    let dim = cross.nrows();
    let svd = nalgebra::SVD::try_new(cross, true, true, f64::EPSILON, MAX_SWEEPS * dim)?;
    // R = V Uᵀ; its rows are the columns of U Vᵀ.
    let turned = svd.u? * svd.v_t?;
    turned.iter().all(|x| x.is_finite()).then(|| turned.iter().map(|&x| x as f32).collect())
}

/// Every row of `rows` turned by `rotation`, `(dim, dim)` row-major.
pub(crate) fn rotate(rows: &[f32], rotation: &[f32], dim: usize, par: Par) -> Vec<f32> {
    const BLOCK: usize = 512;
    let mut out = vec![0.0; rows.len()];
    // A row-major rotation is the transposed one of nalgebra.
    let turned = DMatrixView::from_slice(rotation, dim, dim).transpose();
    par.for_each_chunk_mut(&mut out, BLOCK * dim, &ScratchPool::<()>::default(), |(), at, out| {
        let rows = DMatrixView::from_slice(&rows[at..at + out.len()], dim, out.len() / dim);
        DMatrixViewMut::from_slice(out, dim, rows.ncols()).gemm(1.0, &turned, &rows, 0.0);
    });
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use ann_core::Matrix;
    use ann_testkit::portable::{mix128, mrl256};

    #[test]
    fn components_are_orthogonal_and_carry_their_eigenvalues() {
        let set = mix128(2000, 0);
        let pca = Pca::fit(set.base.view(), Par::Serial).unwrap();
        let (dim, mut squares) = (pca.dim(), vec![0.0; 128]);
        for a in pca.components.chunks(dim) {
            let ones = pca
                .components
                .chunks(dim)
                .filter(|b| (-ann_testkit::distance(Metric::InnerProduct, a, b)).abs() > 1e-5);
            assert_eq!(ones.count(), 1);
        }
        let mut projected = vec![0.0; dim];
        for row in set.base.rows() {
            pca.project(row, &mut projected);
            squares.iter_mut().zip(&projected).for_each(|(sum, &x)| *sum += f64::from(x) * f64::from(x) / 2000.0);
        }
        for (square, value) in squares.iter().zip(&pca.eigenvalues) {
            assert!((square / value - 1.0).abs() < 1e-3, "{square} {value}");
        }
        // Sixteen latent dimensions and small noise.
        assert!(pca.eigenvalues[15] > 10.0 * pca.eigenvalues[16]);
        assert!(pca.eigenvalues.windows(2).all(|pair| pair[0] >= pair[1]));
    }

    #[test]
    fn components_are_the_same_on_any_number_of_threads() {
        let set = mrl256(3000, 0);
        let serial = Pca::fit(set.base.view(), Par::Serial).unwrap();
        assert_eq!(serial, Pca::fit(set.base.view(), Par::Threads(2)).unwrap());
        assert_eq!(serial, Pca::fit(set.base.view(), Par::Threads(8)).unwrap());
    }

    #[test]
    fn procrustes_finds_the_rotation_that_was_there() {
        let set = mix128(1000, 0);
        let dim = 128;
        let rotation = Pca::fit(set.base.view(), Par::Serial).unwrap().components;
        let turned = rotate(set.base.as_slice(), &rotation, dim, Par::Serial);
        let zeros = vec![0.0; dim];
        let found = procrustes(cross(set.base.as_slice(), &zeros, &turned, &zeros, dim, Par::Serial)).unwrap();
        for (a, b) in rotation.iter().zip(&found) {
            assert!((a - b).abs() < 1e-3);
        }
    }

    #[test]
    fn constant_rows_have_no_variance_and_bad_rows_are_named() {
        let rows = Matrix::new(vec![3.0; 40], 4).unwrap();
        let pca = Pca::fit(rows.view(), Par::Serial).unwrap();
        assert_eq!((pca.mean, pca.eigenvalues), (vec![3.0; 4], vec![0.0; 4]));
        let rows = Matrix::new(vec![1.0, f32::INFINITY], 1).unwrap();
        assert!(matches!(Pca::fit(rows.view(), Par::Serial), Err(TrainError::Row(error)) if error.row == 1));
        let rows = Matrix::new(Vec::new(), 3).unwrap();
        assert!(matches!(Pca::fit(rows.view(), Par::Serial), Err(TrainError::TooFew { .. })));
    }
}
