//! Three values, -1, 0 and 1, for every value of a row: 0 for the small ones.
//!
//! A row is `centre + scale * t`, where `t` has as many places that are not 0 as are asked for, those of the largest
//! magnitude, or as many as make the angle to the row smallest. `t` is half the sum of two vectors of signs (of `1` and `1`
//! for 1, of `1` and `-1` for 0), so that the two planes of a code are compared as binary codes are.
//!
//! Bytes per row: `dim / 4` in whole words of 8, 4 for the scale, and 4 for the squared norm of the code under L2, else for
//! the product of the centre and the row less the centre.

use crate::binary::{centre, check_parts, hamming};
use crate::floats::{are_finite, float, product};
use crate::signs::{self, SignQuery};
use crate::{Quantizer, TrainError};
use ann_core::simd::{Kernel, Rows};
use ann_core::{MatrixView, Metric};

/// How rows become ternary and what they are compared with.
///
/// ```
/// use ann_quant::TernaryParams;
/// assert!(TernaryParams::default().check(16).is_ok());
/// assert!(TernaryParams { nonzero: Some(17), ..TernaryParams::default() }.check(16).is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TernaryParams {
    /// Whether values are compared with the mean of their column rather than with 0.
    pub centred: bool,
    /// Places that are not 0, 1 to `dim`; `None` is half of them.
    pub nonzero: Option<usize>,
    /// Whether every row has as many such places as make its angle to the code smallest, whatever `nonzero` says.
    pub optimal: bool,
    /// Bits of a value of the query, 1 to 8; 1 compares ternary with ternary.
    pub planes: usize,
}

impl Default for TernaryParams {
    fn default() -> Self {
        Self { centred: true, nonzero: None, optimal: false, planes: 6 }
    }
}

impl TernaryParams {
    /// Whether the values are within their ranges for rows of `dim` columns.
    ///
    /// # Errors
    /// [`TrainError::Param`].
    pub fn check(&self, dim: usize) -> Result<(), TrainError> {
        match (self.planes, self.nonzero) {
            (1..=8, None) => Ok(()),
            (1..=8, Some(found)) if (1..=dim).contains(&found) => Ok(()),
            (1..=8, Some(found)) => Err(TrainError::Param { name: "nonzero", found, must: "1 to the dimension" }),
            (found, _) => Err(TrainError::Param { name: "planes", found, must: "1 to 8" }),
        }
    }
}

/// A trained ternary quantizer for `L2`, `InnerProduct` or `Cosine`.
///
/// ```
/// use ann_core::{DistanceOracle, Matrix, Metric, Par, VectorStore};
/// use ann_quant::{CodeStore, Ternary, TernaryParams};
/// let rows = Matrix::from_rows(&[[1.0, 0.0, 0.1, -1.0], [-1.0, 0.0, -0.1, 1.0]])?;
/// let store = CodeStore::from_rows(
///     Ternary::train(rows.view(), Metric::L2, &TernaryParams::default())?, rows.view(), Par::Serial)?;
/// let mut scratch = Default::default();
/// assert!((store.oracle(&[1.0, 0.0, 0.0, -1.0], &mut scratch).distance(1) - 8.0).abs() < 0.1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Ternary {
    params: TernaryParams,
    metric: Metric,
    centre: Vec<f32>,
    kernel: Kernel<u64, u64>,
}

impl Ternary {
    /// Learns the centre of `rows`, `(n, dim)` with `n` at least 1.
    ///
    /// # Errors
    /// As [`Binary::train`](crate::Binary::train).
    pub fn train(rows: MatrixView<'_, f32>, metric: Metric, params: &TernaryParams) -> Result<Self, TrainError> {
        params.check(rows.dim())?;
        let (centre, _) = centre(rows, metric, params.centred, Self::NAME)?;
        Self::from_parts(*params, metric, centre)
    }

    /// Puts a quantizer together from what [`Self::params`], [`Quantizer::metric`] and [`Self::centre`] gave.
    ///
    /// # Errors
    /// [`TrainError`] if they are out of range.
    pub fn from_parts(params: TernaryParams, metric: Metric, centre: Vec<f32>) -> Result<Self, TrainError> {
        params.check(centre.len())?;
        check_parts(metric, &centre, Self::NAME)?;
        Ok(Self { params, metric, centre, kernel: hamming()? })
    }

    /// What rows are taken apart around, per column.
    pub fn centre(&self) -> &[f32] {
        &self.centre
    }

    /// How it was trained.
    pub fn params(&self) -> &TernaryParams {
        &self.params
    }

    /// The places of `vector` that are not 0, and the scale.
    fn choose(&self, vector: &[f32]) -> (Vec<bool>, f64, usize) {
        let mut order: Vec<usize> = (0..vector.len()).collect();
        order.sort_unstable_by(|&a, &b| vector[b].abs().total_cmp(&vector[a].abs()).then(a.cmp(&b)));
        let sum = |count: usize| order[..count].iter().map(|&i| f64::from(vector[i].abs())).sum::<f64>();
        let count = if self.params.optimal {
            // The cosine to the code is the sum of the chosen over the root of their number and the norm.
            let (mut best, mut at, mut sum) = (0.0, 1, 0.0);
            for (i, &place) in order.iter().enumerate() {
                sum += f64::from(vector[place].abs());
                let gain = sum * sum / (i + 1) as f64;
                if gain > best {
                    (best, at) = (gain, i + 1);
                }
            }
            at
        } else {
            self.params.nonzero.unwrap_or(vector.len().div_ceil(2))
        };
        let mut chosen = vec![false; vector.len()];
        order[..count].iter().for_each(|&i| chosen[i] = true);
        (chosen, sum(count) / count as f64, count)
    }

    /// The scale that estimates are made with: under L2 that of least error. What rows add to products is exact, so that there the
    /// rest must not come out too short: the product of a vector and its code is to be its squared norm.
    fn scale(&self, vector: &[f32], scale: f64, count: usize) -> f64 {
        if self.metric == Metric::L2 || scale == 0.0 { scale } else { product(vector, vector) / (scale * count as f64) }
    }

    /// The two vectors of signs whose half sum is -1, 0 and 1.
    fn halves<'a>(vector: &'a [f32], chosen: &'a [bool]) -> impl Iterator<Item = bool> + 'a {
        let one = vector.iter().zip(chosen).map(|(&x, &chosen)| chosen && x > 0.0);
        one.chain(vector.iter().zip(chosen).map(|(&x, &chosen)| !chosen || x > 0.0))
    }

    fn words_len(&self) -> usize {
        8 * signs::words(2 * self.dim())
    }

    fn finish<'a>(&self, query: &SignQuery, code: impl Fn(usize) -> &'a [u8], out: &mut [f32]) {
        let at = self.words_len();
        for (i, x) in out.iter_mut().enumerate() {
            let code = code(i);
            let (scale, own) = (f64::from(float(code, at)), f64::from(float(code, at + 4)));
            *x = query.distance(self.metric, own, f64::from(*x) / 2.0 * scale);
        }
    }
}

impl Quantizer for Ternary {
    const NAME: &'static str = "ternary";
    type Prepared = SignQuery;

    fn dim(&self) -> usize {
        self.centre.len()
    }

    fn metric(&self) -> Metric {
        self.metric
    }

    fn code_len(&self) -> usize {
        self.words_len() + 8
    }

    fn encode(&self, vector: &[f32], scratch: &mut Vec<f32>, code: &mut [u8]) {
        scratch.clear();
        scratch.extend(vector.iter().zip(&self.centre).map(|(x, centre)| x - centre));
        let (chosen, scale, count) = self.choose(scratch);
        let own = match self.metric {
            Metric::L2 => scale * scale * count as f64,
            _ => product(scratch, &self.centre),
        };
        let scale = self.scale(scratch, scale, count);
        let (words, factors) = code.split_at_mut(self.words_len());
        signs::write(Self::halves(scratch, &chosen), words);
        for (to, factor) in factors.as_chunks_mut::<4>().0.iter_mut().zip([scale, own]) {
            *to = (factor as f32).to_le_bytes();
        }
    }

    fn is_code(&self, code: &[u8]) -> bool {
        let len = self.words_len();
        code.len() == self.code_len() && signs::is_clean(code, 2 * self.dim()) && are_finite(&code[len..])
    }

    fn decode(&self, code: &[u8], vector: &mut [f32]) {
        let scale = float(code, self.words_len());
        let dim = self.dim();
        for (i, (x, centre)) in vector.iter_mut().zip(&self.centre).enumerate() {
            *x = centre + scale * (signs::read(code, i) + signs::read(code, dim + i)) / 2.0;
        }
    }

    fn prepare(&self, query: &[f32], out: &mut SignQuery) {
        out.reset(2 * self.dim());
        out.set_bias(self.metric, query, &self.centre);
        out.vector.clear();
        out.vector.extend(query.iter().zip(&self.centre).map(|(x, centre)| x - centre));
        if self.params.planes == 1 {
            let vector = std::mem::take(&mut out.vector);
            let (chosen, scale, count) = self.choose(&vector);
            let scale = self.scale(&vector, scale, count);
            let dim = self.dim();
            let both: Vec<bool> = Self::halves(&vector, &chosen).collect();
            for half in [&both[..dim], &both[dim..]] {
                out.add(scale / 2.0, half.iter().chain(half).copied());
            }
            out.vector = vector;
        } else {
            out.round(self.params.planes, 2);
        }
    }

    fn gather(&self, query: &SignQuery, codes: Rows<'_, u8>, ids: &[u32], out: &mut [f32]) {
        assert!(ids.len() == out.len(), "{} ids, room for {} values", ids.len(), out.len());
        query.products(self.kernel, codes, |i| ids[i], out);
        self.finish(query, |i| codes.row(ids[i] as usize), out);
    }
}
