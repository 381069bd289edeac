//! Optimised product quantization: rows are turned before their columns are grouped.
//!
//! Ge, He, Ke and Sun, *Optimized product quantization*, TPAMI 2014, doi:10.1109/TPAMI.2013.240. The rotation starts as
//! their parametric solution, best for normal data: principal components, each given to the group whose variances have
//! the smallest product so far. Then it alternates (non-parametric): codebooks for the turned rows, from where they were,
//! and the rotation that brings the rows nearest to their decoded codes; neither step makes the error larger. Rows are
//! not centred, so that inner products stay what they are.
//!
//! Cost: as [`Pq`], and for each round `2 n dim²` multiply-adds and a singular value decomposition; `dim²` for every row
//! that is encoded and every query; `4 dim²` bytes for the rotation, none per row.

use crate::linalg::{Pca, cross, procrustes, rotate};
use crate::pq::{PqQuery, codebooks, starts, training_rows};
use crate::{Pq, PqParams, Quantizer, TrainError};
use ann_core::simd::{Arch, Kernel, Op, Rows};
use ann_core::{MatrixView, Metric, Par, ScratchPool};

#[cfg(test)]
mod tests;

/// How to train an [`Opq`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpqParams {
    /// Groups, bits and sample of the codes.
    pub pq: PqParams,
    /// Rounds that change codebooks and rotation in turn; 0 for the parametric solution.
    pub rounds: usize,
}

impl Default for OpqParams {
    fn default() -> Self {
        Self { pq: PqParams::default(), rounds: 20 }
    }
}

/// A rotation and a product quantizer.
///
/// ```
/// use ann_core::{Matrix, Metric, Par};
/// use ann_quant::{CodeStore, Opq, OpqParams, PqParams, Quantizer};
/// let rows = Matrix::new((0..600).map(|i| (i % 97) as f32).collect(), 6)?;
/// let pq = PqParams { m: 3, nbits: 4, ..Default::default() };
/// let opq = Opq::train(rows.view(), Metric::L2, &OpqParams { pq, rounds: 5 }, Par::Serial)?;
/// assert_eq!((opq.code_len(), opq.rotation().len()), (2, 36));
/// let codes = CodeStore::from_rows(opq, rows.view(), Par::Serial)?;
/// assert_eq!(codes.code(0).len(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Opq {
    /// `(dim, dim)`, row-major.
    rotation: Vec<f32>,
    pq: Pq,
    kernel: Kernel<f32, f32>,
}

/// Iterations of k-means in a round, and in the first one, which has no codebooks to start from.
const ITERATIONS: (usize, usize) = (4, 25);

impl Opq {
    /// Trains rotation and codebooks on `rows`, `(n, dim)`, on the threads of `par`; the same on any number of them.
    ///
    /// # Errors
    /// As [`Pq::train`], and [`TrainError::NotConverged`] if magnitudes are beyond what f64 can square.
    pub fn train(rows: MatrixView<'_, f32>, metric: Metric, params: &OpqParams, par: Par) -> Result<Self, TrainError> {
        let sample = training_rows(rows, metric, &params.pq)?;
        let dim = rows.dim();
        let (rotation, centroids) = par.install(|par| optimise(&sample, dim, metric, params, par))?;
        Self::from_parts(rotation, Pq::from_codebooks(centroids, dim, params.pq.m, params.pq.nbits, metric)?)
    }

    /// A quantizer of what [`Self::rotation`] and [`Self::pq`] gave.
    ///
    /// # Errors
    /// [`TrainError::Param`] if the rotation is not `(dim, dim)` or none at all.
    pub fn from_parts(rotation: Vec<f32>, pq: Pq) -> Result<Self, TrainError> {
        /// Rounding leaves a millionth.
        const SLACK: f32 = 1e-4;
        let (dim, metric) = (pq.dim(), pq.metric());
        if rotation.len() != dim * dim {
            let found = rotation.len();
            return Err(TrainError::Param { name: "numbers of the rotation", found, must: "the square of dim" });
        }
        let gram = rotate(&rotation, &rotation, dim, Par::Serial);
        let is_one = |(i, x): (usize, &f32)| (x - if i % (dim + 1) == 0 { 1.0 } else { 0.0 }).abs() <= SLACK;
        if let Some(found) = gram.iter().enumerate().position(|entry| !is_one(entry)) {
            return Err(TrainError::Param { name: "place in the rotation", found, must: "of orthogonal rows" });
        }
        let refused = TrainError::Metric { metric, kind: Self::NAME };
        let kernel = Kernel::new(Arch::detect()?, Op::Dot).ok_or(refused)?;
        Ok(Self { rotation, pq, kernel })
    }

    /// What rows are multiplied with: `(dim, dim)`, row-major, orthogonal.
    pub fn rotation(&self) -> &[f32] {
        &self.rotation
    }

    /// The quantizer of turned rows.
    pub fn pq(&self) -> &Pq {
        &self.pq
    }

    fn turn(&self, vector: &[f32], out: &mut Vec<f32>) {
        let dim = self.pq.dim();
        out.resize(dim, 0.0);
        self.kernel.scan(vector, Rows::new(&self.rotation, dim, dim), out);
    }
}

/// Rotation and codebooks for `rows`.
fn optimise(
    rows: &[f32],
    dim: usize,
    metric: Metric,
    params: &OpqParams,
    par: Par,
) -> Result<(Vec<f32>, Vec<f32>), TrainError> {
    let arch = Arch::detect()?;
    let (starts, zeros) = (starts(dim, params.pq.m), vec![0.0; dim]);
    let mut rotation = parametric(&Pca::of(rows, dim, par)?, &starts);
    let mut books: Option<Vec<f32>> = None;
    for _ in 0..params.rounds {
        let turned = rotate(rows, &rotation, dim, par);
        let iterations = if books.is_some() { ITERATIONS.0 } else { ITERATIONS.1 };
        let trained = codebooks(&turned, &starts, &PqParams { iterations, ..params.pq }, books.as_deref(), arch, par);
        let pq = Pq::from_codebooks(trained.clone(), dim, params.pq.m, params.pq.nbits, metric)?;
        books = Some(trained);
        let decoded = decoded(&pq, turned, par);
        match procrustes(cross(rows, &zeros, &decoded, &zeros, dim, par)) {
            Some(better) => rotation = better,
            None => break,
        }
    }
    let turned = rotate(rows, &rotation, dim, par);
    let centroids = codebooks(&turned, &starts, &params.pq, books.as_deref(), arch, par);
    Ok((rotation, centroids))
}

/// Principal components divided among the groups so that the products of their variances are alike.
fn parametric(pca: &Pca, starts: &[usize]) -> Vec<f32> {
    let dim = pca.dim();
    // A variance of nothing must not have an infinite logarithm, or groups with one would be full of them.
    let floor = pca.eigenvalues.first().copied().unwrap_or_default().max(f64::MIN_POSITIVE) * 1e-12;
    let mut groups: Vec<(f64, Vec<usize>)> = vec![(0.0, Vec::new()); starts.len() - 1];
    for (direction, &variance) in pca.eigenvalues.iter().enumerate() {
        let free =
            groups.iter_mut().zip(starts.windows(2)).filter(|(group, range)| group.1.len() < range[1] - range[0]);
        if let Some((group, _)) = free.min_by(|(a, _), (b, _)| a.0.total_cmp(&b.0)) {
            // In units of the least variance, so that every direction makes a product larger.
            group.0 += (variance.max(floor) / floor).ln();
            group.1.push(direction);
        }
    }
    let order = groups.into_iter().flat_map(|(_, directions)| directions);
    order.flat_map(|direction| pca.components[direction * dim..][..dim].iter().copied()).collect()
}

/// What the codes of `rows` stand for, in their place.
fn decoded(pq: &Pq, mut rows: Vec<f32>, par: Par) -> Vec<f32> {
    const BLOCK: usize = 256;
    let dim = pq.dim();
    par.for_each_chunk_mut(&mut rows, BLOCK * dim, &ScratchPool::<Vec<u8>>::default(), |code, _, rows| {
        code.resize(pq.code_len(), 0);
        for row in rows.chunks_exact_mut(dim) {
            pq.encode(row, &mut Vec::new(), code);
            pq.decode(code, row);
        }
    });
    rows
}

/// A query of an [`Opq`]: turned, then as tables.
#[derive(Debug, Clone, Default)]
pub struct OpqQuery {
    turned: Vec<f32>,
    tables: PqQuery,
}

impl OpqQuery {
    /// The tables, for [`FastQuery`](crate::FastQuery).
    pub fn tables(&self) -> &PqQuery {
        &self.tables
    }
}

impl Quantizer for Opq {
    const NAME: &'static str = "optimised product quantizer";
    type Prepared = OpqQuery;

    fn dim(&self) -> usize {
        self.pq.dim()
    }

    fn metric(&self) -> Metric {
        self.pq.metric()
    }

    fn code_len(&self) -> usize {
        self.pq.code_len()
    }

    fn encode(&self, vector: &[f32], scratch: &mut Vec<f32>, code: &mut [u8]) {
        self.turn(vector, scratch);
        self.pq.encode(scratch, &mut Vec::new(), code);
    }

    fn decode(&self, code: &[u8], vector: &mut [f32]) {
        let dim = self.dim();
        let mut turned = vec![0.0; dim];
        self.pq.decode(code, &mut turned);
        vector.fill(0.0);
        // Back by the transposed rotation: a sum of its rows.
        for (row, &weight) in self.rotation.chunks_exact(dim).zip(&turned) {
            vector.iter_mut().zip(row).for_each(|(x, &r)| *x += weight * r);
        }
    }

    fn prepare(&self, query: &[f32], out: &mut OpqQuery) {
        self.turn(query, &mut out.turned);
        self.pq.prepare(&out.turned, &mut out.tables);
    }

    fn gather(&self, query: &OpqQuery, codes: Rows<'_, u8>, ids: &[u32], out: &mut [f32]) {
        self.pq.gather(&query.tables, codes, ids, out);
    }

    fn scan(&self, query: &OpqQuery, codes: Rows<'_, u8>, out: &mut [f32]) {
        self.pq.scan(&query.tables, codes, out);
    }
}

impl AsRef<Pq> for Opq {
    fn as_ref(&self) -> &Pq {
        &self.pq
    }
}
