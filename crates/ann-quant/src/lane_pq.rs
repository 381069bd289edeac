//! Product codes of rows relative to another row, sixteen lanes side by side: the lists of IVFADC without a table per list.
//!
//! Jégou, Douze and Schmid, *Product quantization for nearest neighbor search*, TPAMI 2011, encode what a row adds to the
//! centre of its list. For a row `o + r` with code `r̂` the squared distance to a query is that to `o`, and `‖r‖² + 2⟨r̂, o⟩` which
//! does not depend on the query, and `-2⟨q, r̂⟩` which does not depend on the centre: one table serves all lists. *Where we
//! differ*: the product with `r̂` is multiplied by `‖r‖² / ⟨r, r̂⟩`, which makes it an unbiased estimate of that with `r` as in RaBitQ
//! (arXiv:2405.12497), where squared distances to `r̂` are too small; inner products have a factor of their own (`factors.rs`). Rows may be turned before they are grouped (OPQ, [`Opq`]), and
//! codes chosen by their anisotropic loss ([`Anisotropic`](crate::Anisotropic)), both as for whole rows.
//!
//! Cost: `⌈m / 8⌉ · 4` bytes per lane at 4 bits, `m` bytes at 8, and 4 bytes of factors; a query `2^nbits dim` multiply-adds,
//! and `dim²` more where rows are turned.

use crate::anisotropic::choose;
use crate::factors::{Products, half};
use crate::floats::{largest, nearest, product};
use crate::pq::Pq;
use crate::{Opq, OpqParams, PqParams, Quantizer, TrainError};
use ann_core::simd::lanes::{FACTORS, LANES, LaneKernel, TableQuery, block_len, place};
use ann_core::simd::{Arch, Kernel, Op, Rows, f16};
use ann_core::{LaneCodec, MatrixView, Metric, Par, prepare_dense};

#[cfg(feature = "persist")]
mod persist;
#[cfg(test)]
mod tests;

/// Largest half-precision number that factors are scaled to.
const LARGEST: f32 = 60_000.0;

/// How to train a [`LanePq`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LanePqParams {
    /// Groups, and bits per group: 4 or 8.
    pub pq: PqParams,
    /// Rounds that turn rows for better groups ([`OpqParams::rounds`]); `None` leaves them as they are.
    pub rotate: Option<usize>,
    /// How much more an error along the row counts than one across it, at least 1; 1 under `L2`.
    pub eta: f32,
}

impl Default for LanePqParams {
    fn default() -> Self {
        Self { pq: PqParams { nbits: 4, ..PqParams::default() }, rotate: None, eta: 1.0 }
    }
}

/// A trained codec of rows relative to others.
///
/// ```
/// use ann_core::simd::lanes::LANES;
/// use ann_core::{LaneCodec, Matrix, Metric, Par};
/// use ann_quant::{LanePq, LanePqParams, PqParams};
/// let rows = Matrix::new((0..600).map(|i| (i * i % 97) as f32).collect(), 6)?;
/// let params = LanePqParams { pq: PqParams { m: 3, nbits: 4, ..Default::default() }, ..Default::default() };
/// let codec = LanePq::train(rows.view(), &[0.0; 6], 250.0, Metric::L2, &params, Par::Serial)?;
/// // Row 1 relative to the origin.
/// let mut codes = vec![0; codec.codes_len(LANES)];
/// codec.encode(&[0.0; 6], &[rows.row(1)], LANES, &mut codes);
/// let (mut query, mut out) = (Default::default(), [0.0; LANES]);
/// codec.prepare(&[50.0; 6], &mut query);
/// codec.score(&query, 6.0 * 50.0 * 50.0, &codes, 0.0, &mut out);
/// let exact: f32 = rows.row(1).iter().map(|x| (x - 50.0) * (x - 50.0)).sum();
/// assert!((out[0] - exact).abs() < 0.2 * exact);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct LanePq {
    metric: Metric,
    mean: Vec<f32>,
    radius: f32,
    eta: f32,
    /// `(dim, dim)` or nothing.
    rotation: Vec<f32>,
    pq: Pq,
    /// Codebooks turned: for every column the value of each centroid of its group, `(dim, 2^nbits)`.
    columns: Vec<f32>,
    arch: Arch,
    lanes: LaneKernel,
    dot: Kernel<f32, f32>,
}

/// A query of a [`LanePq`].
#[derive(Debug, Default)]
pub struct LanePqQuery {
    centred: Vec<f32>,
    turned: Vec<f32>,
    /// `(m, 2^nbits)`.
    tables: Vec<f32>,
    /// The same for 4 bits, as bytes: whole groups of half bytes.
    bytes: Vec<u8>,
    step: f32,
    offset: f32,
}

impl LanePq {
    /// Trains codebooks on `rows`, `(n, dim)`: what rows add to others. Rows are taken relative to `mean`, from which they lie `radius` away at most
    /// (under cosine after normalising them).
    ///
    /// # Errors
    /// As [`Pq::train`]; [`TrainError::Param`] also if `nbits` is neither 4 nor 8, `eta` is out of range or not 1 under `L2`, or the mean is
    /// of another dimension.
    pub fn train(
        rows: MatrixView<'_, f32>,
        mean: &[f32],
        radius: f32,
        metric: Metric,
        params: &LanePqParams,
        par: Par,
    ) -> Result<Self, TrainError> {
        crate::training::check_metric(metric, Pq::NAME)?;
        let (pq, rotation) = match params.rotate {
            None => (Pq::train(rows, Metric::L2, &params.pq, par)?, Vec::new()),
            Some(rounds) => {
                let opq = Opq::train(rows, Metric::L2, &OpqParams { pq: params.pq, rounds }, par)?;
                (opq.pq().clone(), opq.rotation().to_vec())
            }
        };
        Self::from_parts(pq, rotation, mean.to_vec(), radius, params.eta, metric)
    }

    /// A codec of what [`Self::pq`], [`Self::rotation`], [`Self::mean`], [`Self::radius`], [`Self::eta`] and the metric were.
    ///
    /// # Errors
    /// As [`Self::train`].
    pub fn from_parts(
        pq: Pq,
        rotation: Vec<f32>,
        mean: Vec<f32>,
        radius: f32,
        eta: f32,
        metric: Metric,
    ) -> Result<Self, TrainError> {
        crate::training::check_metric(metric, Pq::NAME)?;
        let (dim, nbits) = (pq.dim(), pq.nbits());
        if nbits != 4 && nbits != 8 {
            return Err(TrainError::Param { name: "nbits", found: nbits, must: "4 or 8" });
        }
        if mean.len() != dim || mean.iter().any(|x| !x.is_finite()) {
            return Err(TrainError::Param {
                name: "numbers of the mean",
                found: mean.len(),
                must: "finite, one for each column",
            });
        }
        if !(radius.is_finite() && radius >= 0.0) {
            return Err(TrainError::Param { name: "radius", found: radius as usize, must: "finite and not negative" });
        }
        if !(eta.is_finite() && eta >= 1.0) || (metric == Metric::L2 && eta != 1.0) {
            return Err(TrainError::Param {
                name: "eta",
                found: eta as usize,
                must: "finite and at least 1, 1 under l2",
            });
        }
        if !rotation.is_empty() {
            // Whoever holds a rotation of an `Opq` knows; a file may not.
            Opq::from_parts(rotation.clone(), pq.clone())?;
        }
        let arch = Arch::detect()?;
        let dot = Kernel::new(arch, Op::Dot).ok_or(TrainError::Metric { metric, kind: Pq::NAME })?;
        let k = 1 << nbits;
        let mut columns = vec![0.0; dim * k];
        let mut first = 0;
        for (width, book) in pq.groups() {
            for (index, centroid) in book.chunks_exact(width).enumerate() {
                for (column, &x) in centroid.iter().enumerate() {
                    columns[(first + column) * k + index] = x;
                }
            }
            first += width;
        }
        let radius = radius.clamp(1e-15, 1e15);
        Ok(Self { metric, mean, radius, eta, rotation, pq, columns, arch, lanes: LaneKernel::new(arch), dot })
    }

    /// The codebooks, of turned rows.
    pub fn pq(&self) -> &Pq {
        &self.pq
    }

    /// What rows are multiplied with, `(dim, dim)`; empty where they stay as they are.
    pub fn rotation(&self) -> &[f32] {
        &self.rotation
    }

    /// What rows are taken relative to.
    pub fn mean(&self) -> &[f32] {
        &self.mean
    }

    /// How far rows lie from the mean.
    pub fn radius(&self) -> f32 {
        self.radius
    }

    /// How much more an error along a row counts.
    pub fn eta(&self) -> f32 {
        self.eta
    }

    /// As [`LaneCodec::transform`], for a vector that is taken as it is also under cosine: the centre of many rows.
    pub fn transform_prepared(&self, vector: &[f32], out: &mut [f32]) {
        let centred: Vec<f32> = vector.iter().zip(&self.mean).map(|(x, mean)| x - mean).collect();
        self.turn(&centred, out);
    }

    /// The row that lane `lane` of a block of [`LANES`] stands for, of a list whose transformed centre is `owner`; under cosine its direction.
    ///
    /// # Panics
    /// If `block` is not one block, or `lane` is none of its lanes.
    pub fn decode_lane(&self, owner: &[f32], block: &[u8], lane: usize) -> Vec<f32> {
        assert!(block.len() == self.codes_len(LANES) && lane < LANES, "lane {lane} of {} bytes", block.len());
        let (dim, m) = (self.pq.dim(), self.pq.m());
        let index = |at: usize| {
            if self.is_fast() {
                let (byte, shift) = place(m, 0, lane, at);
                u32::from(block[byte] >> shift & 15)
            } else {
                u32::from(block[lane * m + at])
            }
        };
        let (mut code, mut turned) = (vec![0; self.pq.code_len()], vec![0.0; dim]);
        self.pq.pack((0..m).map(index), &mut code);
        self.pq.decode(&code, &mut turned);
        turned.iter_mut().zip(owner).for_each(|(x, owner)| *x += owner);
        let mut row = self.mean.clone();
        if self.rotation.is_empty() {
            row.iter_mut().zip(&turned).for_each(|(x, t)| *x += t);
        } else {
            // Back by the transposed rotation: a sum of its rows.
            for (line, &weight) in self.rotation.chunks_exact(dim).zip(&turned) {
                row.iter_mut().zip(line).for_each(|(x, r)| *x += weight * r);
            }
        }
        row
    }

    fn is_squared(&self) -> bool {
        self.metric != Metric::InnerProduct
    }

    fn is_fast(&self) -> bool {
        self.pq.nbits() == 4
    }

    /// Bytes of the codes of [`LANES`] lanes, without their factors; whole lines.
    fn block_len(&self) -> usize {
        if self.is_fast() { block_len(self.pq.m(), 1) } else { LANES * self.pq.m() }.next_multiple_of(64)
    }

    /// What the first factors are multiplied by.
    fn add_scale(&self) -> f32 {
        10.0 * self.radius * self.radius / LARGEST
    }

    fn turn(&self, centred: &[f32], out: &mut [f32]) {
        if self.rotation.is_empty() {
            out.copy_from_slice(centred);
        } else {
            let dim = self.pq.dim();
            self.dot.scan(centred, Rows::new(&self.rotation, dim, dim), out);
        }
    }

    /// The indices of the codes of `residuals`, row after row, for rows that are `residuals` and `owner` together.
    fn indices(&self, owner: &[f32], residuals: &[f32], out: &mut Vec<u32>) {
        let (dim, m) = (self.pq.dim(), self.pq.m());
        let count = residuals.len() / dim;
        out.clear();
        out.resize(count * m, 0);
        if self.eta > 1.0 {
            let (mut scratch, mut whole) = (Vec::new(), Vec::new());
            for (residual, out) in residuals.chunks_exact(dim).zip(out.chunks_exact_mut(m)) {
                whole.clear();
                whole.extend(residual.iter().zip(owner).map(|(r, o)| r + o));
                out.copy_from_slice(&choose(&self.pq, self.eta, residual, &whole, &mut scratch));
            }
            return;
        }
        let (mut part, mut labels) = (Vec::with_capacity(residuals.len()), vec![0; count]);
        for (group, range) in self.pq.ranges().enumerate() {
            part.clear();
            residuals.chunks_exact(dim).for_each(|row| part.extend_from_slice(&row[range.clone()]));
            self.pq.nearest_in(group, &part, &mut labels);
            labels.iter().zip(out.chunks_exact_mut(m)).for_each(|(&label, row)| row[group] = label);
        }
    }

    /// What [`LaneCodec::prepare`] does with the centred query, for the compiler to vectorise.
    #[inline(always)]
    fn tables_in<const K: usize>(&self, out: &mut LanePqQuery) {
        let columns = self.columns.as_chunks::<K>().0;
        let tables = out.tables.as_chunks_mut::<K>().0;
        for (table, range) in tables.iter_mut().zip(self.pq.ranges()) {
            let mut sums = [0f32; K];
            for (&x, column) in out.turned[range.clone()].iter().zip(&columns[range]) {
                sums.iter_mut().zip(column).for_each(|(sum, c)| *sum += x * c);
            }
            *table = sums;
        }
    }

    /// The tables as bytes: 128 is nothing, so that no least entry has to be looked for.
    #[inline(always)]
    fn bytes_in(&self, out: &mut LanePqQuery) {
        let largest = largest(&out.tables);
        out.step = if largest > 0.0 { largest / 127.0 } else { 1.0 };
        let scale = 1.0 / out.step;
        for (bytes, table) in out.bytes.as_chunks_mut::<16>().0.iter_mut().zip(out.tables.as_chunks::<16>().0) {
            bytes.iter_mut().zip(table).for_each(|(byte, x)| *byte = (nearest(x * scale) + 128) as u8);
        }
        out.offset = -128.0 * self.pq.m() as f32 * out.step;
    }

    fn table_query<'a>(&self, query: &'a LanePqQuery) -> TableQuery<'a> {
        let (step, offset, add_scale) = (query.step, query.offset, self.add_scale());
        TableQuery { tables: &query.bytes, planes: 1, step, offset, add_scale }
    }

    /// Estimates of a block of 8 bits.
    fn score_slowly(&self, query: &LanePqQuery, owner: f32, block: &[u8], bound: f32, out: &mut [f32]) -> u64 {
        let (codes, factors) = block.split_at(self.block_len());
        let factor = |i: usize| f16::from_le_bytes([factors[2 * i], factors[2 * i + 1]]).to_f32();
        let mut near = 0;
        for (lane, (out, code)) in out.iter_mut().zip(codes.chunks_exact(self.pq.m())).enumerate() {
            let entries = query.tables.as_chunks::<256>().0.iter().zip(code);
            let product = entries.fold(0.0, |sum: f32, (table, &index)| sum + table[usize::from(index)]);
            *out = factor(LANES + lane) * product + (factor(lane) * self.add_scale() + owner);
            near |= u64::from(*out <= bound) << lane;
        }
        near
    }
}

impl LaneCodec for LanePq {
    type Query = LanePqQuery;

    fn dim(&self) -> usize {
        self.pq.dim()
    }

    fn metric(&self) -> Metric {
        self.metric
    }

    fn transformed_len(&self) -> usize {
        self.pq.dim()
    }

    fn transform(&self, row: &[f32], out: &mut [f32]) {
        let mut unit = Vec::new();
        prepare_dense(row, self.metric, row.len(), &mut unit);
        self.transform_prepared(&unit, out);
    }

    fn codes_len(&self, lanes: usize) -> usize {
        lanes / LANES * (self.block_len() + FACTORS)
    }

    fn encode(&self, owner: &[f32], neighbors: &[&[f32]], lanes: usize, codes: &mut [u8]) {
        assert!(neighbors.len() <= lanes, "{} neighbours for {lanes} lanes", neighbors.len());
        codes.fill(0);
        let (dim, m, codes_len) = (self.pq.dim(), self.pq.m(), self.block_len());
        let (mut residuals, mut indices, mut decoded) = (Vec::new(), Vec::new(), vec![0.0; dim]);
        let mut code = vec![0; self.pq.code_len()];
        let blocks = codes.chunks_exact_mut(codes_len + FACTORS).enumerate();
        for (start, block) in blocks.map(|(b, block)| (b * LANES, block)) {
            let near = &neighbors[start.min(neighbors.len())..(start + LANES).min(neighbors.len())];
            residuals.clear();
            residuals.extend(near.iter().flat_map(|row| row.iter().zip(owner).map(|(x, o)| x - o)));
            self.indices(owner, &residuals, &mut indices);
            let (codes, factors) = block.split_at_mut(codes_len);
            let mut write = |lane: usize, add: f16, rescale: f16| {
                factors[2 * lane..][..2].copy_from_slice(&add.to_le_bytes());
                factors[2 * (LANES + lane)..][..2].copy_from_slice(&rescale.to_le_bytes());
            };
            (near.len()..LANES).for_each(|lane| write(lane, f16::INFINITY, f16::ZERO));
            let rows = residuals.chunks_exact(dim).zip(indices.chunks_exact(m));
            for (lane, (residual, indices)) in rows.enumerate() {
                for (at, &index) in indices.iter().enumerate() {
                    if self.is_fast() {
                        let (byte, shift) = place(m, 0, lane, at);
                        codes[byte] |= (index as u8) << shift;
                    } else {
                        codes[lane * m + at] = index as u8;
                    }
                }
                self.pq.pack(indices.iter().copied(), &mut code);
                self.pq.decode(&code, &mut decoded);
                let products = Products {
                    norm: product(residual, residual),
                    code: product(residual, &decoded),
                    owner: product(residual, owner),
                    owner_code: product(&decoded, owner),
                };
                let factor = products.factor(self.is_squared());
                let (first, second) = match self.is_squared() {
                    true => (products.norm + 2.0 * f64::from(factor) * products.owner_code, -2.0 * factor),
                    false => (0.0, -factor),
                };
                write(lane, half(first as f32 / self.add_scale()), half(second));
            }
        }
    }

    fn prepare(&self, query: &[f32], out: &mut LanePqQuery) {
        prepare_dense(query, self.metric, query.len(), &mut out.centred);
        if self.is_squared() {
            out.centred.iter_mut().zip(&self.mean).for_each(|(x, mean)| *x -= mean);
        }
        out.turned.resize(self.pq.dim(), 0.0);
        self.turn(&out.centred, &mut out.turned);
        out.tables.resize(self.pq.m() << self.pq.nbits(), 0.0);
        if self.is_fast() {
            out.bytes.resize(block_len(self.pq.m(), 1) / 64 * 128, 0);
            self.arch.run(
                #[inline(always)]
                || {
                    self.tables_in::<16>(out);
                    self.bytes_in(out);
                },
            );
        } else {
            self.arch.run(
                #[inline(always)]
                || self.tables_in::<256>(out),
            );
        }
    }

    fn score(&self, query: &LanePqQuery, owner: f32, codes: &[u8], bound: f32, out: &mut [f32]) -> u64 {
        let mut near = 0;
        let blocks = codes.chunks_exact(self.codes_len(LANES)).zip(out.as_chunks_mut::<LANES>().0);
        for (b, (block, out)) in blocks.enumerate() {
            let mask = if self.is_fast() {
                let mut mask = [0];
                self.score_blocks(query, owner, block, bound, std::slice::from_mut(out), &mut mask);
                u64::from(mask[0])
            } else {
                self.score_slowly(query, owner, block, bound, out)
            };
            near |= mask << (b * LANES);
        }
        near
    }

    fn score_blocks(
        &self,
        query: &LanePqQuery,
        owner: f32,
        codes: &[u8],
        bound: f32,
        out: &mut [[f32; LANES]],
        near: &mut [u16],
    ) {
        if self.is_fast() {
            return self.lanes.estimate_blocks(&self.table_query(query), codes, owner, bound, out, near);
        }
        assert!(codes.len() == out.len() * self.codes_len(LANES) && near.len() == out.len(), "blocks of one number");
        for ((block, out), near) in codes.chunks_exact(self.codes_len(LANES)).zip(out).zip(near) {
            *near = self.score_slowly(query, owner, block, bound, out) as u16;
        }
    }
}
