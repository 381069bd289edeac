//! Codes of the principal components of a vector: fewer columns before any other scheme.
//!
//! A row less the mean of all is projected on the directions of largest variance (Pearson, *On lines and planes of closest fit to
//! systems of points in space*, Phil. Mag. 1901), and what is left of it is coded. Under L2 queries are projected alike. For
//! products they are projected as they are, since `⟨q, x⟩ = ⟨q, mean⟩ + ⟨q, x - mean⟩`: the first is the same for all rows and
//! known exactly. Of a distance only what lies across all directions that are kept is lost.
//!
//! Cost: `dim * kept` multiply-adds per row and query, 4 bytes for each once; per row what the scheme within takes.

use crate::training::{check, check_metric, prepared};
use crate::{Pca, Quantizer, TrainError};
use ann_core::simd::Rows;
use ann_core::{MAX_DIM, Matrix, MatrixView, Metric, Par, ScratchPool, unit_distance};

/// How many principal components are kept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Keep {
    /// That many, 1 to the columns of the rows.
    Columns(usize),
    /// As many as hold this share of the variance, above 0 and at most 1.
    Energy(f32),
}

/// A quantizer for the principal components of longer vectors.
///
/// ```
/// use ann_core::{DistanceOracle, Matrix, Metric, Par, VectorStore};
/// use ann_quant::{CodeStore, Keep, Reduced, Sq, SqParams};
/// let rows = Matrix::from_rows(&[[0.9, 0.3, 1.2], [-0.5, 0.8, 0.3], [0.1, 0.7, 0.8], [0.2, 0.2, 0.4]])?;
/// let train = |rows: ann_core::MatrixView<'_, f32>, metric| Sq::train(rows, metric, &SqParams::default(), Par::Serial);
/// // The third column is the sum of the others.
/// let reduced = Reduced::train(rows.view(), Metric::L2, Keep::Columns(2), Par::Serial, train)?;
/// assert!(reduced.energy() > 0.999);
/// let store = CodeStore::from_rows(reduced, rows.view(), Par::Serial)?;
/// let mut scratch = Default::default();
/// assert!(store.oracle(rows.row(0), &mut scratch).distance(0) < 0.001);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Reduced<Q> {
    inner: Q,
    metric: Metric,
    energy: f32,
    mean: Vec<f32>,
    /// `(dim, kept)`, row-major: what every column adds to the components.
    directions: Vec<f32>,
}

/// The metric of components: products are made cosines again with the mean.
fn inner_metric(metric: Metric) -> Metric {
    if metric == Metric::Cosine { Metric::InnerProduct } else { metric }
}

impl<Q: Quantizer> Reduced<Q> {
    /// Learns the principal components of `rows`, `(n, dim)` with `n` at least 1, and has `train` learn from what they leave of
    /// these, under the metric that it is given: the inner product for cosine. The same on any number of threads.
    ///
    /// # Errors
    /// [`TrainError::Row`] for the first row that is not finite, or is zero under cosine; [`TrainError::Metric`] unless the
    /// metric is `L2`, `InnerProduct` or `Cosine`; [`TrainError::TooFew`] without rows; [`TrainError::Param`] or
    /// [`TrainError::Value`] if `keep` is out of range; [`TrainError::NotConverged`]; what `train` gives.
    pub fn train(
        rows: MatrixView<'_, f32>,
        metric: Metric,
        keep: Keep,
        par: Par,
        train: impl FnOnce(MatrixView<'_, f32>, Metric) -> Result<Q, TrainError>,
    ) -> Result<Self, TrainError> {
        check(rows, metric, Q::NAME)?;
        let dim = rows.dim();
        match keep {
            Keep::Columns(found) if !(1..=dim).contains(&found) => {
                return Err(TrainError::Param { name: "columns", found, must: "1 to the dimension" });
            }
            Keep::Energy(found) if !(found > 0.0 && found <= 1.0) => {
                return Err(TrainError::Value { name: "energy", found, must: "above 0, at most 1" });
            }
            _ => {}
        }
        let rows = prepared(rows, metric, usize::MAX, 0);
        let pca = par.install(|par| Pca::of(&rows, dim, par))?;
        let total: f64 = pca.eigenvalues.iter().sum();
        let share = |kept: usize| if total > 0.0 { pca.eigenvalues[..kept].iter().sum::<f64>() / total } else { 1.0 };
        let kept = match keep {
            Keep::Columns(kept) => kept,
            // Sums of all values may differ from their total by rounding.
            Keep::Energy(least) => (1..dim).find(|&kept| share(kept) >= f64::from(least)).unwrap_or(dim),
        };
        let directions =
            (0..dim).flat_map(|i| (0..kept).map(move |j| j * dim + i)).map(|at| pca.components[at]).collect();
        let energy = share(kept).min(1.0) as f32;
        let mut left = vec![0.0; rows.len() / dim * kept];
        let (mean, directions): (_, Vec<f32>) = (pca.mean, directions);
        par.install(|par| {
            const ROWS: usize = 256;
            par.for_each_chunk_mut(&mut left, ROWS * kept, &ScratchPool::<Vec<f32>>::default(), |part, at, left| {
                let rows = rows[at / kept * dim..].chunks_exact(dim);
                for (left, row) in left.chunks_exact_mut(kept).zip(rows) {
                    project(row.iter().zip(&mean).map(|(x, mean)| x - mean), &directions, kept, part);
                    left.copy_from_slice(part);
                }
            });
        });
        let left = Matrix::new(left, kept).map_err(|_| TrainError::Param {
            name: "columns",
            found: kept,
            must: "1 to the dimension",
        })?;
        let inner = train(left.view(), inner_metric(metric))?;
        Self::from_parts(inner, metric, energy, mean, directions)
    }

    /// Puts a quantizer together from what [`Self::inner`], [`Quantizer::metric`], [`Self::energy`], [`Self::mean`] and
    /// [`Self::directions`] gave.
    ///
    /// # Errors
    /// [`TrainError`] if they do not fit together.
    pub fn from_parts(
        inner: Q,
        metric: Metric,
        energy: f32,
        mean: Vec<f32>,
        directions: Vec<f32>,
    ) -> Result<Self, TrainError> {
        /// Directions have norm 1.
        const MOST: f32 = 1.001;
        check_metric(metric, Q::NAME)?;
        if inner.metric() != inner_metric(metric) {
            return Err(TrainError::Metric { metric: inner.metric(), kind: "reduced" });
        }
        if !(1..=MAX_DIM).contains(&mean.len()) || !(1..=mean.len()).contains(&inner.dim()) {
            return Err(TrainError::Param { name: "columns", found: inner.dim(), must: "1 to the dimension" });
        }
        if directions.len() != mean.len() * inner.dim() {
            let found = directions.len();
            return Err(TrainError::Param { name: "numbers of the directions", found, must: "dim for each" });
        }
        if let Some(&found) = mean.iter().find(|x| !x.is_finite()) {
            return Err(TrainError::Value { name: "mean", found, must: "finite" });
        }
        if let Some(&found) = directions.iter().find(|x| x.is_nan() || x.abs() > MOST) {
            return Err(TrainError::Value { name: "direction", found, must: "within ±1" });
        }
        if !(0.0..=1.0).contains(&energy) {
            return Err(TrainError::Value { name: "energy", found: energy, must: "0 to 1" });
        }
        Ok(Self { inner, metric, energy, mean, directions })
    }

    /// What codes the components.
    pub fn inner(&self) -> &Q {
        &self.inner
    }

    /// Share of the variance of the rows that the components keep.
    pub fn energy(&self) -> f32 {
        self.energy
    }

    /// Mean of the rows.
    pub fn mean(&self) -> &[f32] {
        &self.mean
    }

    /// `(dim, kept)`, row-major: what every column adds to the components.
    pub fn directions(&self) -> &[f32] {
        &self.directions
    }

    fn project(&self, vector: &[f32], around: bool, out: &mut Vec<f32>) {
        let less = |(&x, &mean): (&f32, &f32)| if around { x - mean } else { x };
        project(vector.iter().zip(&self.mean).map(less), &self.directions, self.inner.dim(), out);
    }

    fn finish(&self, bias: f32, out: &mut [f32]) {
        match self.metric {
            Metric::InnerProduct => out.iter_mut().for_each(|x| *x -= bias),
            Metric::Cosine => out.iter_mut().for_each(|x| *x = unit_distance(bias - *x)),
            _ => {}
        }
    }
}

/// `out` becomes the `kept` sums of `directions`, each times its value.
fn project(values: impl Iterator<Item = f32>, directions: &[f32], kept: usize, out: &mut Vec<f32>) {
    out.clear();
    out.resize(kept, 0.0);
    for (x, adds) in values.zip(directions.chunks_exact(kept)) {
        out.iter_mut().zip(adds).for_each(|(out, add)| *out += x * add);
    }
}

/// A query made ready for [`Reduced`].
#[derive(Debug, Clone, Default)]
pub struct ReducedQuery<P> {
    components: Vec<f32>,
    /// The product with the mean.
    bias: f32,
    inner: P,
}

impl<Q: Quantizer> Quantizer for Reduced<Q> {
    const NAME: &'static str = Q::NAME;
    type Prepared = ReducedQuery<Q::Prepared>;

    fn dim(&self) -> usize {
        self.mean.len()
    }

    fn metric(&self) -> Metric {
        self.metric
    }

    fn code_len(&self) -> usize {
        self.inner.code_len()
    }

    fn encode(&self, vector: &[f32], scratch: &mut Vec<f32>, code: &mut [u8]) {
        let mut components = Vec::new();
        self.project(vector, true, &mut components);
        self.inner.encode(&components, scratch, code);
    }

    fn is_code(&self, code: &[u8]) -> bool {
        self.inner.is_code(code)
    }

    /// The nearest row among those that lie within the components.
    fn decode(&self, code: &[u8], vector: &mut [f32]) {
        let mut components = vec![0.0; self.inner.dim()];
        self.inner.decode(code, &mut components);
        let columns = self.directions.chunks_exact(components.len()).zip(&self.mean);
        for (x, (adds, mean)) in vector.iter_mut().zip(columns) {
            *x = mean + components.iter().zip(adds).map(|(x, add)| x * add).sum::<f32>();
        }
    }

    fn prepare(&self, query: &[f32], out: &mut Self::Prepared) {
        let l2 = self.metric == Metric::L2;
        self.project(query, l2, &mut out.components);
        let product = || query.iter().zip(&self.mean).map(|(&x, &mean)| f64::from(x) * f64::from(mean)).sum::<f64>();
        out.bias = if l2 { 0.0 } else { product() as f32 };
        self.inner.prepare(&out.components, &mut out.inner);
    }

    fn gather(&self, query: &Self::Prepared, codes: Rows<'_, u8>, ids: &[u32], out: &mut [f32]) {
        self.inner.gather(&query.inner, codes, ids, out);
        self.finish(query.bias, out);
    }

    fn scan(&self, query: &Self::Prepared, codes: Rows<'_, u8>, out: &mut [f32]) {
        self.inner.scan(&query.inner, codes, out);
        self.finish(query.bias, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CodeStore, Sq, SqParams};
    use ann_testkit::distance;

    const METRICS: [Metric; 3] = [Metric::L2, Metric::InnerProduct, Metric::Cosine];

    fn reduced(rows: MatrixView<'_, f32>, metric: Metric, keep: Keep, par: Par) -> Result<Reduced<Sq>, TrainError> {
        Reduced::train(rows, metric, keep, par, |rows, metric| Sq::train(rows, metric, &SqParams::default(), par))
    }

    fn distances(reduced: Reduced<Sq>, rows: MatrixView<'_, f32>, query: &[f32]) -> Vec<f32> {
        let store = CodeStore::from_rows(reduced, rows, Par::Serial).unwrap();
        let (mut scratch, mut out) = (Default::default(), vec![0.0; rows.len()]);
        store.scan(query, &mut scratch, &mut out);
        out
    }

    /// The distance to a row that is not coded.
    fn exact(metric: Metric, query: &[f32], row: &[f32]) -> f64 {
        let product = |a, b| -distance(Metric::InnerProduct, a, b);
        match metric {
            Metric::Cosine => 1.0 - product(query, row) / (product(query, query) * product(row, row)).sqrt(),
            _ => distance(metric, query, row),
        }
    }

    /// Rows of 40 columns that lie in a space of 5 dimensions away from the origin.
    fn flat() -> Matrix<f32> {
        let small = crate::tests::rows(5, Metric::Cosine);
        let wide = small.rows().flat_map(|row| {
            (0..40).map(|i| 0.2 + row.iter().enumerate().map(|(j, x)| x * ((i * (j + 2)) as f32).sin()).sum::<f32>())
        });
        Matrix::new(wide.collect(), 40).unwrap()
    }

    #[test]
    fn laws_of_quantizers_hold() {
        crate::tests::check_laws(|rows, metric, par| reduced(rows, metric, Keep::Energy(0.8), par));
    }

    #[test]
    fn distances_are_those_of_the_rows_if_all_components_are_kept() {
        for metric in METRICS {
            for (rows, keep) in [
                (crate::tests::rows(24, Metric::Cosine), Keep::Columns(24)),
                (crate::tests::rows(24, Metric::Cosine), Keep::Energy(1.0)),
                (flat(), Keep::Columns(5)),
                (flat(), Keep::Columns(9)),
            ] {
                let query = rows.row(30).to_vec();
                let quantizer = reduced(rows.view(), metric, keep, Par::Serial).unwrap();
                assert!(quantizer.energy() > 0.9999, "{}", quantizer.energy());
                for (found, row) in distances(quantizer, rows.view(), &query).into_iter().zip(rows.rows()) {
                    let (expected, unit) =
                        (exact(metric, &query, row), exact(Metric::L2, &query, &vec![0.0; query.len()]));
                    let off = (f64::from(found) - expected).abs();
                    assert!(off < if metric == Metric::Cosine { 0.01 } else { 0.02 * (unit + expected.abs()) + 0.01 });
                }
            }
        }
    }

    #[test]
    fn rows_of_low_rank_keep_their_order() {
        let rows = flat();
        for metric in METRICS {
            let found = distances(
                reduced(rows.view(), metric, Keep::Energy(0.9999), Par::Serial).unwrap(),
                rows.view(),
                rows.row(7),
            );
            let spread = rows.rows().map(|row| exact(metric, rows.row(7), row)).fold(0.0, |most, x| x.abs().max(most));
            for (i, a) in rows.rows().enumerate() {
                for (j, b) in rows.rows().enumerate().take(i) {
                    let gap = exact(metric, rows.row(7), a) - exact(metric, rows.row(7), b);
                    assert!(gap.abs() < 0.04 * spread || (found[i] > found[j]) == (gap > 0.0), "{metric}: {i}, {j}");
                }
            }
        }
    }

    #[test]
    fn energy_is_what_the_components_hold() {
        let rows = flat();
        let keep = |keep| reduced(rows.view(), Metric::L2, keep, Par::Serial).unwrap();
        let mut last = 0.0;
        // One of the five is constant.
        for kept in 1..=4 {
            let quantizer = keep(Keep::Columns(kept));
            assert!(quantizer.energy() > last && quantizer.inner().dim() == kept);
            assert_eq!(keep(Keep::Energy((last + quantizer.energy()) / 2.0)).inner().dim(), kept);
            last = quantizer.energy();
        }
        let one = Matrix::new(vec![0.5; 8], 8).unwrap();
        assert_eq!(reduced(one.view(), Metric::L2, Keep::Columns(3), Par::Serial).unwrap().energy(), 1.0);
    }

    #[test]
    fn what_is_out_of_range_is_refused() {
        let rows = flat();
        for keep in [Keep::Columns(0), Keep::Columns(41), Keep::Energy(0.0), Keep::Energy(1.5), Keep::Energy(f32::NAN)]
        {
            assert!(reduced(rows.view(), Metric::L2, keep, Par::Serial).is_err(), "{keep:?}");
        }
    }
}
