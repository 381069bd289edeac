//! One bit of every value: on which side of the centre it lies.
//!
//! A row is `centre + scale * signs`. With a scale of its own (the norm of what is left after centring, over the root of
//! the dimension, behind the code) a row has a norm; without, all rows have the same, and a comparison is a count of bits
//! alone. A query is kept in more bits than a row ([`SignQuery`](crate::SignQuery)), which is worth more than twice the
//! bits of the rows. A random rotation first spreads what few columns hold over all, where columns differ in spread.
//!
//! The scale is not the one that makes estimates of products right on average (as RaBitQ does); it ranks better in few
//! dimensions, worse in many.
//!
//! Bytes per row: `dim / 8` in whole words of 8, and 4 for the scale; with it, 4 more under the inner product for what the row
//! less the centre and the centre have in common. Under cosine that follows from the scale, for rows are of norm 1.

use crate::floats::{are_finite, float, product};
use crate::signs::{self, SignQuery};
use crate::training::{check_metric, mean};
use crate::{Quantizer, Rotation, TrainError};
use ann_core::simd::{Arch, ArchError, Kernel, Op, Rows};
use ann_core::{MAX_DIM, MatrixView, Metric, Par, prepare_dense};

/// How rows become signs and what they are compared with.
///
/// ```
/// use ann_quant::BinaryParams;
/// assert!(BinaryParams::default().check().is_ok());
/// assert!(BinaryParams { planes: 9, ..BinaryParams::default() }.check().is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BinaryParams {
    /// Whether values are compared with the mean of their column rather than with 0.
    pub centred: bool,
    /// Seed of a random rotation before; none if `None`.
    pub rotation: Option<u64>,
    /// Whether every row has a scale of its own.
    pub scaled: bool,
    /// Bits of a value of the query, 1 to 8; 1 compares signs with signs.
    pub planes: usize,
}

impl Default for BinaryParams {
    fn default() -> Self {
        Self { centred: true, rotation: Some(0), scaled: true, planes: 6 }
    }
}

impl BinaryParams {
    /// Whether the values are within their ranges.
    ///
    /// # Errors
    /// [`TrainError::Param`].
    pub fn check(&self) -> Result<(), TrainError> {
        match self.planes {
            1..=8 => Ok(()),
            found => Err(TrainError::Param { name: "planes", found, must: "1 to 8" }),
        }
    }
}

/// A trained binary quantizer for `L2`, `InnerProduct` or `Cosine`.
///
/// ```
/// use ann_core::{DistanceOracle, Matrix, Metric, Par, VectorStore};
/// use ann_quant::{Binary, BinaryParams, CodeStore};
/// let rows = Matrix::from_rows(&[[1.0, -1.0, 1.0], [-1.0, 1.0, -1.0]])?;
/// let params = BinaryParams { rotation: None, ..BinaryParams::default() };
/// let store = CodeStore::from_rows(Binary::train(rows.view(), Metric::L2, &params)?, rows.view(), Par::Serial)?;
/// let mut scratch = Default::default();
/// assert!((store.oracle(&[1.0, -1.0, 1.0], &mut scratch).distance(1) - 12.0).abs() < 1e-3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Binary {
    params: BinaryParams,
    metric: Metric,
    centre: Vec<f32>,
    rotation: Option<Rotation>,
    /// Signs of a code: columns once rotated.
    signs: usize,
    /// Scale of rows that have none of their own.
    scale: f32,
    /// Squared norm of the centre.
    norm: f64,
    kernel: Kernel<u64, u64>,
}

/// What vectors are taken apart around: the mean of the rows, or 0; and the root of their mean squared distance to it.
pub(crate) fn centre(
    rows: MatrixView<'_, f32>,
    metric: Metric,
    centred: bool,
    kind: &'static str,
) -> Result<(Vec<f32>, f64), TrainError> {
    let mut centre = mean(rows, metric, kind, Par::Serial)?;
    if !centred {
        centre.fill(0.0);
    }
    let (mut squares, mut vector) = (0.0, Vec::new());
    for values in rows.rows() {
        prepare_dense(values, metric, rows.dim(), &mut vector);
        squares += vector.iter().zip(&centre).map(|(&x, &c)| (f64::from(x) - f64::from(c)).powi(2)).sum::<f64>();
    }
    Ok((centre, (squares / rows.len() as f64).sqrt()))
}

/// Whether a quantizer can be put together around `centre`.
pub(crate) fn check_parts(metric: Metric, centre: &[f32], kind: &'static str) -> Result<(), TrainError> {
    check_metric(metric, kind)?;
    if !(1..=MAX_DIM).contains(&centre.len()) {
        return Err(TrainError::Param { name: "columns", found: centre.len(), must: "1 to the largest dimension" });
    }
    match centre.iter().find(|x| !x.is_finite()) {
        Some(&found) => Err(TrainError::Value { name: "centre", found, must: "finite" }),
        None => Ok(()),
    }
}

/// The kernel that counts bits.
pub(crate) fn hamming() -> Result<Kernel<u64, u64>, TrainError> {
    let missing = || ArchError::Unknown { name: "hamming".to_owned() };
    Ok(Kernel::new(Arch::detect()?, Op::Hamming).ok_or_else(missing)?)
}

impl Binary {
    /// Learns the centre of `rows`, `(n, dim)` with `n` at least 1.
    ///
    /// # Errors
    /// [`TrainError::Row`] for the first row that is not finite, or is zero under cosine; [`TrainError::Metric`] unless the
    /// metric is `L2`, `InnerProduct` or `Cosine`; [`TrainError::TooFew`] without rows; [`TrainError::Param`].
    pub fn train(rows: MatrixView<'_, f32>, metric: Metric, params: &BinaryParams) -> Result<Self, TrainError> {
        params.check()?;
        let (centre, norm) = centre(rows, metric, params.centred, Self::NAME)?;
        let mut binary = Self::from_parts(*params, metric, centre, 0.0)?;
        binary.scale = (norm / (binary.signs as f64).sqrt()) as f32;
        Ok(binary)
    }

    /// Puts a quantizer together from what [`Self::params`], [`Quantizer::metric`], [`Self::centre`] and [`Self::scale`] gave.
    ///
    /// # Errors
    /// [`TrainError`] if they are out of range.
    pub fn from_parts(params: BinaryParams, metric: Metric, centre: Vec<f32>, scale: f32) -> Result<Self, TrainError> {
        params.check()?;
        check_parts(metric, &centre, Self::NAME)?;
        if !(scale.is_finite() && scale >= 0.0) {
            return Err(TrainError::Value { name: "scale", found: scale, must: "finite and not negative" });
        }
        let rotation = params.rotation.map(|seed| Rotation::new(centre.len(), seed));
        let signs = rotation.as_ref().map_or(centre.len(), Rotation::padded_dim);
        let norm = product(&centre, &centre);
        Ok(Self { params, metric, centre, rotation, signs, scale, norm, kernel: hamming()? })
    }

    /// What rows are taken apart around, per column.
    pub fn centre(&self) -> &[f32] {
        &self.centre
    }

    /// The scale of rows that have none of their own.
    pub fn scale(&self) -> f32 {
        self.scale
    }

    /// How it was trained.
    pub fn params(&self) -> &BinaryParams {
        &self.params
    }

    /// `values`, rotated if they are to be.
    fn turn(&self, values: impl Iterator<Item = f32>, out: &mut Vec<f32>) {
        match &self.rotation {
            None => {
                out.clear();
                out.extend(values);
            }
            Some(rotation) => rotation.apply(&values.collect::<Vec<_>>(), out),
        }
    }

    fn words_len(&self) -> usize {
        8 * signs::words(self.signs)
    }

    fn scale_of(&self, code: &[u8]) -> f64 {
        f64::from(if self.params.scaled { float(code, self.words_len()) } else { self.scale })
    }

    /// Whether a code ends with the product of the centre and the row less the centre.
    fn has_product(&self) -> bool {
        self.params.scaled && self.params.centred && self.metric == Metric::InnerProduct
    }

    /// What a row adds to its distances.
    fn own(&self, code: &[u8], scale: f64) -> f64 {
        let norm = scale * scale * self.signs as f64;
        match self.metric {
            Metric::L2 => norm,
            _ if !self.params.scaled => 0.0,
            Metric::Cosine => (1.0 - self.norm - norm) / 2.0,
            _ => f64::from(float(code, self.words_len() + 4)),
        }
    }

    fn finish<'a>(&self, query: &SignQuery, code: impl Fn(usize) -> &'a [u8], out: &mut [f32]) {
        for (i, x) in out.iter_mut().enumerate() {
            let code = code(i);
            let scale = self.scale_of(code);
            *x = query.distance(self.metric, self.own(code, scale), f64::from(*x) * scale);
        }
    }
}

impl Quantizer for Binary {
    const NAME: &'static str = "binary";
    type Prepared = SignQuery;

    fn dim(&self) -> usize {
        self.centre.len()
    }

    fn metric(&self) -> Metric {
        self.metric
    }

    fn code_len(&self) -> usize {
        self.words_len() + 4 * (usize::from(self.params.scaled) + usize::from(self.has_product()))
    }

    fn encode(&self, vector: &[f32], scratch: &mut Vec<f32>, code: &mut [u8]) {
        self.turn(vector.iter().zip(&self.centre).map(|(x, centre)| x - centre), scratch);
        let (words, factors) = code.split_at_mut(self.words_len());
        signs::write(scratch.iter().map(|&x| x > 0.0), words);
        let scale = (product(scratch, scratch) / self.signs as f64).sqrt();
        let own = product(vector, &self.centre) - self.norm;
        for (to, factor) in factors.as_chunks_mut::<4>().0.iter_mut().zip([scale, own]) {
            *to = (factor as f32).to_le_bytes();
        }
    }

    fn is_code(&self, code: &[u8]) -> bool {
        let len = self.words_len();
        code.len() == self.code_len() && signs::is_clean(code, self.signs) && are_finite(&code[len..])
    }

    fn decode(&self, code: &[u8], vector: &mut [f32]) {
        let scale = self.scale_of(code) as f32;
        let mut turned: Vec<f32> = (0..self.signs).map(|i| scale * signs::read(code, i)).collect();
        match &self.rotation {
            None => vector.copy_from_slice(&turned),
            Some(rotation) => rotation.invert(&mut turned, vector),
        }
        vector.iter_mut().zip(&self.centre).for_each(|(x, centre)| *x += centre);
    }

    fn prepare(&self, query: &[f32], out: &mut SignQuery) {
        out.reset(self.signs);
        out.set_bias(self.metric, query, &self.centre);
        let mut vector = std::mem::take(&mut out.vector);
        // Where rows say nothing of their own, more is lost by centring the query than is won.
        if self.metric == Metric::L2 || self.params.planes == 1 || self.params.scaled {
            self.turn(query.iter().zip(&self.centre).map(|(x, centre)| x - centre), &mut vector);
        } else {
            self.turn(query.iter().copied(), &mut vector);
        }
        out.vector = vector;
        out.round(self.params.planes, 1);
    }

    fn gather(&self, query: &SignQuery, codes: Rows<'_, u8>, ids: &[u32], out: &mut [f32]) {
        assert!(ids.len() == out.len(), "{} ids, room for {} values", ids.len(), out.len());
        query.products(self.kernel, codes, |i| ids[i], out);
        self.finish(query, |i| codes.row(ids[i] as usize), out);
    }
}
