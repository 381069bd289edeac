//! RaBitQ codes of neighbours relative to the node that links to them, and eight-bit codes of the node itself.
//!
//! Gou, Gao, Xu, Long, *SymphonyQG*, SIGMOD 2025, arXiv:2411.12229, on the codes of Gao and Long, *RaBitQ*, SIGMOD 2024,
//! arXiv:2405.12497. Rows are centred and rotated at random; what a neighbour adds to its node is kept as one sign (or a
//! few bits) per coordinate and two factors that make the estimate of a product unbiased (`factors.rs`; inner products differ there). *Where we differ*: the node's
//! own row is kept in eight bits, the factors in half precision, and a query is looked up in exact integer sums.
//!
//! Cost: `planes / 8` bytes per coordinate and neighbour and 4 bytes of factors; one byte per coordinate of the own row.

use crate::factors::{Products, half};
use crate::floats::{float, largest};
use crate::g4::STEPS;
use crate::training::{check_metric, mean};
use crate::{Rotation, TrainError};
use ann_core::simd::lanes::{GROUP, LANES, LaneKernel, TableQuery, block_len, place};
use ann_core::simd::{Arch, Kernel, Op, f16};
use ann_core::{LaneCodec, MatrixView, Metric, NodeCodec, Par, prepare_dense};
use planes::{dot, dot_code, pack, tables, total, whole, widest};

#[cfg(feature = "persist")]
mod persist;
mod planes;

/// What errors call the codes.
const NAME: &str = "RaBitQ";

/// Largest half-precision number that factors are scaled to.
const LARGEST: f32 = 60_000.0;

/// What [`NodeRabitq::train`] wants to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeRabitqParams {
    /// Bits per coordinate of a neighbour, 1 to 8.
    pub planes: usize,
    /// Of the random rotation.
    pub seed: u64,
}

impl Default for NodeRabitqParams {
    fn default() -> Self {
        Self { planes: 1, seed: 0 }
    }
}

/// A trained codec of nodes and their neighbours.
#[derive(Debug, Clone)]
pub struct NodeRabitq {
    metric: Metric,
    planes: usize,
    mean: Vec<f32>,
    /// How far the rows of the training lie from the mean, at most.
    radius: f32,
    rotation: Rotation,
    arch: Arch,
    lanes: LaneKernel,
    own: Kernel<i8, i8>,
}

/// A query of [`NodeRabitq`].
#[derive(Debug, Default)]
pub struct NodeRabitqQuery {
    centred: Vec<f32>,
    rotated: Vec<f32>,
    whole: Vec<i32>,
    tables: Vec<u8>,
    step: f32,
    /// What is added to every sum, for codes whose middle is 1.
    offset: f32,
    own: Vec<i8>,
    own_step: f32,
    /// What is added to every own distance: the query's squared norm, or its product with the mean.
    base: f32,
}

impl NodeRabitq {
    /// Learns the mean of `rows`, `(n, dim)`, finite, and the range of what is kept of them.
    ///
    /// # Errors
    /// [`TrainError`] if there is no row or one cannot be used, `planes` is not 1 to 8, or the metric is none of `L2`, `InnerProduct` and `Cosine`.
    pub fn train(rows: MatrixView<'_, f32>, metric: Metric, params: &NodeRabitqParams) -> Result<Self, TrainError> {
        let mean = mean(rows, metric, NAME, Par::Serial)?;
        let (mut farthest, mut row) = (0f32, Vec::new());
        for vector in rows.rows() {
            prepare_dense(vector, metric, rows.dim(), &mut row);
            farthest = farthest.max(row.iter().zip(&mean).map(|(x, m)| (x - m).powi(2)).sum());
        }
        // Squares of a radius near either end of the range would leave it.
        let radius = farthest.sqrt().clamp(1e-15, 1e15);
        Self::with_mean(mean, radius, metric, params)
    }

    /// A codec for rows within `radius` of `mean`.
    fn with_mean(mean: Vec<f32>, radius: f32, metric: Metric, params: &NodeRabitqParams) -> Result<Self, TrainError> {
        let NodeRabitqParams { planes, seed } = *params;
        if !(1..=8).contains(&planes) {
            return Err(TrainError::Param { name: "planes", found: planes, must: "1 to 8" });
        }
        check_metric(metric, NAME)?;
        let arch = Arch::detect()?;
        let own = Kernel::new(arch, Op::Dot).ok_or(TrainError::Metric { metric, kind: NAME })?;
        let (rotation, lanes) = (Rotation::new(mean.len(), seed), LaneKernel::new(arch));
        Ok(Self { metric, planes, mean, radius, rotation, arch, lanes, own })
    }

    /// What the first factors are multiplied by: a difference of two rows is at most twice the radius long, see `encode` for
    /// what the factors are made of.
    fn add_scale(&self) -> f32 {
        10.0 * self.radius * self.radius / LARGEST
    }

    /// What the second factors are multiplied by.
    fn rescale_scale(&self) -> f32 {
        8.0 * self.radius / LARGEST
    }

    /// Bits per coordinate of a neighbour.
    pub fn planes(&self) -> usize {
        self.planes
    }

    /// The same codec for neighbours of `planes` bits, 1 to 8: queries made ready for one are ready for the other.
    ///
    /// # Errors
    /// [`TrainError::Param`] if `planes` is out of range.
    pub fn with_planes(&self, planes: usize) -> Result<Self, TrainError> {
        if !(1..=8).contains(&planes) {
            return Err(TrainError::Param { name: "planes", found: planes, must: "1 to 8" });
        }
        Ok(Self { planes, ..self.clone() })
    }

    /// The mean of the rows of the training.
    pub fn mean(&self) -> &[f32] {
        &self.mean
    }

    /// How far these rows lie from their mean at most.
    pub fn radius(&self) -> f32 {
        self.radius
    }

    /// As [`LaneCodec::transform`], for a vector that is taken as it is also under cosine: the centre of many rows.
    pub fn transform_prepared(&self, vector: &[f32], out: &mut [f32]) {
        let centred: Vec<f32> = vector.iter().zip(&self.mean).map(|(x, mean)| x - mean).collect();
        let mut rotated = Vec::new();
        self.rotation.apply(&centred, &mut rotated);
        let (values, padding) = out.split_at_mut(rotated.len());
        values.copy_from_slice(&rotated);
        padding.fill(0.0);
    }

    /// The row that lane `lane` of a block of [`LANES`] stands for, of a list or node whose transformed row is `owner`; under cosine its direction.
    ///
    /// # Panics
    /// If `block` is not one block, or `lane` is none of its lanes.
    pub fn decode_lane(&self, owner: &[f32], block: &[u8], lane: usize) -> Vec<f32> {
        assert!(block.len() == self.codes_len(LANES) && lane < LANES, "lane {lane} of {} bytes", block.len());
        let (half_bytes, codes_len) = (self.half_bytes(), block_len(self.half_bytes(), self.planes));
        let factor =
            f16::from_le_bytes([block[codes_len + 2 * (LANES + lane)], block[codes_len + 2 * (LANES + lane) + 1]]);
        let factor = factor.to_f32() * self.rescale_scale() / if self.is_squared() { -2.0 } else { -1.0 };
        let value = |at: usize| {
            let bit = |plane: usize| {
                let (byte, shift) = place(half_bytes, plane, lane, at / 4);
                block[byte] >> shift >> (at % 4) & 1
            };
            (0..self.planes).fold(0u32, |code, plane| code << 1 | u32::from(bit(plane)))
        };
        let coordinates = owner.iter().take(self.rotation.padded_dim()).enumerate();
        let mut rotated: Vec<f32> =
            coordinates.map(|(at, owner)| owner + factor * (value(at) as f32 - self.middle())).collect();
        let mut row = vec![0.0; self.mean.len()];
        self.rotation.invert(&mut rotated, &mut row);
        row.iter_mut().zip(&self.mean).for_each(|(x, mean)| *x += mean);
        row
    }

    /// Values of a rotated row, with zeros behind it that fill whole groups of half bytes.
    fn width(&self) -> usize {
        self.rotation.padded_dim().next_multiple_of(4 * GROUP)
    }

    fn half_bytes(&self) -> usize {
        self.width() / 4
    }

    /// Whether distances are squared ones; products otherwise.
    fn is_squared(&self) -> bool {
        self.metric != Metric::InnerProduct
    }

    /// The middle of the codes 0 to 2^planes - 1.
    fn middle(&self) -> f32 {
        ((1u32 << self.planes) - 1) as f32 / 2.0
    }

    /// What [`LaneCodec::encode`] does, for the compiler to vectorise.
    #[inline(always)]
    fn encode_in(&self, owner: &[f32], neighbors: &[&[f32]], lanes: usize, codes: &mut [u8]) {
        assert!(neighbors.len() <= lanes, "{} neighbours for {lanes} lanes", neighbors.len());
        codes.fill(0);
        let half_bytes = self.half_bytes();
        let block = block_len(half_bytes, self.planes);
        let (codes, factors) = codes.split_at_mut(lanes / LANES * block);
        let factors: &mut [f16] = bytemuck::cast_slice_mut(&mut factors[..lanes * 2 * size_of::<f16>()]);
        let (add, rescale) = factors.split_at_mut(lanes);
        add.fill(f16::INFINITY);
        let owner_total = self.middle() * total(owner);
        let mut difference = vec![0f32; owner.len()];
        let mut code = vec![0u8; owner.len()];
        for (lane, neighbor) in neighbors.iter().enumerate() {
            difference.iter_mut().zip(*neighbor).zip(owner).for_each(|((d, x), o)| *d = x - o);
            let norm = dot(&difference, &difference);
            let deviation = (norm / self.rotation.padded_dim() as f32).sqrt();
            let scale = if deviation > 0.0 { 1.0 / (deviation * STEPS[self.planes - 1] as f32) } else { 0.0 };
            let (centre, top) = (self.middle() + 0.5, 2.0 * self.middle());
            // Truncation rounds down what is not negative.
            code.iter_mut().zip(&difference).for_each(|(code, d)| *code = (d * scale + centre).clamp(0.0, top) as u8);
            let with_difference = dot_code(&code, &difference) - self.middle() * total(&difference);
            let with_owner = dot_code(&code, owner) - owner_total;
            let codes = &mut codes[lane / LANES * block..][..block];
            pack(&code, self.planes, lane % LANES, codes);
            let products = Products {
                norm: norm.into(),
                code: with_difference.into(),
                owner: dot(&difference, owner).into(),
                owner_code: with_owner.into(),
            };
            let factor = products.factor(self.is_squared());
            let (first, second) =
                if self.is_squared() { (norm + 2.0 * factor * with_owner, -2.0 * factor) } else { (0.0, -factor) };
            add[lane] = half(first / self.add_scale());
            rescale[lane] = half(second / self.rescale_scale());
        }
    }

    /// What [`LaneCodec::prepare`] does, for the compiler to vectorise.
    #[inline(always)]
    fn prepare_in(&self, out: &mut NodeRabitqQuery) {
        if self.is_squared() {
            out.centred.iter_mut().zip(&self.mean).for_each(|(x, mean)| *x -= mean);
        } else {
            out.base = -dot(&out.centred, &self.mean);
        }
        self.rotation.apply(&out.centred, &mut out.rotated);
        out.rotated.resize(self.width(), 0.0);
        if !out.rotated.iter().all(|x| x.is_finite()) {
            // Beyond what numbers hold all rows are as far.
            out.rotated.fill(0.0);
        }
        if self.is_squared() {
            out.base = dot(&out.rotated, &out.rotated);
        }
        let largest = largest(&out.rotated);
        out.own_step = if largest > 0.0 { largest / 127.0 } else { 1.0 };
        out.own.iter_mut().zip(whole(&out.rotated, 1.0 / out.own_step)).for_each(|(own, x)| *own = x as i8);
        let widest = widest(&out.rotated);
        // Rounding moves four numbers by two at most.
        let step = if widest > 0.0 { widest / 253.0 } else { 1.0 };
        out.whole.iter_mut().zip(whole(&out.rotated, 1.0 / step)).for_each(|(to, x)| *to = x);
        let least = tables(&out.whole, &mut out.tables);
        // A code stands for what lies between -middle and middle; tables count from their least entry.
        let sum: i32 = out.whole.iter().sum();
        out.step = step * self.rescale_scale();
        out.offset = (2 * least - sum) as f32 * out.step;
    }

    /// The table query of a prepared one.
    fn tables<'a>(&self, query: &'a NodeRabitqQuery) -> TableQuery<'a> {
        TableQuery {
            tables: &query.tables,
            planes: self.planes,
            step: query.step,
            offset: self.middle() * query.offset,
            add_scale: self.add_scale(),
        }
    }
}

/// Bytes of the two factors behind a node's own row.
const OWN_FACTORS: usize = 8;

impl LaneCodec for NodeRabitq {
    type Query = NodeRabitqQuery;

    fn dim(&self) -> usize {
        self.mean.len()
    }

    fn metric(&self) -> Metric {
        self.metric
    }

    fn transformed_len(&self) -> usize {
        self.width()
    }

    fn transform(&self, row: &[f32], out: &mut [f32]) {
        let mut unit = Vec::new();
        prepare_dense(row, self.metric, row.len(), &mut unit);
        self.transform_prepared(&unit, out);
    }

    fn codes_len(&self, lanes: usize) -> usize {
        let codes = lanes / LANES * block_len(self.half_bytes(), self.planes);
        codes + (lanes * 2 * size_of::<f16>()).next_multiple_of(64)
    }

    fn encode(&self, owner: &[f32], neighbors: &[&[f32]], lanes: usize, codes: &mut [u8]) {
        self.arch.run(
            #[inline(always)]
            || self.encode_in(owner, neighbors, lanes, codes),
        );
    }

    fn prepare(&self, query: &[f32], out: &mut NodeRabitqQuery) {
        prepare_dense(query, self.metric, query.len(), &mut out.centred);
        // Room once, so that nothing below allocates.
        out.own.resize(self.width(), 0);
        out.whole.resize(self.width(), 0);
        out.tables.resize(4 * self.width(), 0);
        self.arch.run(
            #[inline(always)]
            || self.prepare_in(out),
        );
    }

    fn score(&self, query: &NodeRabitqQuery, owner: f32, codes: &[u8], bound: f32, out: &mut [f32]) -> u64 {
        let query = self.tables(query);
        let (codes, factors) = codes.split_at(out.len() / LANES * query.block_len());
        let factors = bytemuck::cast_slice(&factors[..out.len() * 2 * size_of::<f16>()]);
        self.lanes.estimate(&query, codes, factors, owner, bound, out)
    }

    fn score_blocks(
        &self,
        query: &NodeRabitqQuery,
        owner: f32,
        codes: &[u8],
        bound: f32,
        out: &mut [[f32; LANES]],
        near: &mut [u16],
    ) {
        self.lanes.estimate_blocks(&self.tables(query), codes, owner, bound, out, near);
    }
}

impl NodeCodec for NodeRabitq {
    fn own_len(&self) -> usize {
        self.width() + OWN_FACTORS
    }

    fn encode_own(&self, owner: &[f32], own: &mut [u8]) {
        let (codes, factors) = own.split_at_mut(owner.len());
        let largest = largest(owner);
        let scale = if largest > 0.0 { 127.0 / largest } else { 0.0 };
        let (mut norm, mut product) = (0f32, 0f32);
        for (code, &x) in codes.iter_mut().zip(owner) {
            let value = (x * scale).round();
            *code = value as i8 as u8;
            norm += x * x;
            product += value * x;
        }
        let factor = if product > 0.0 { norm / product } else { 0.0 };
        factors[..4].copy_from_slice(&factor.to_le_bytes());
        factors[4..].copy_from_slice(&norm.to_le_bytes());
    }

    fn own(&self, query: &NodeRabitqQuery, own: &[u8]) -> f32 {
        let (codes, factors) = own.split_at(query.own.len());
        let (factor, norm) = (float(factors, 0), float(factors, 4));
        let product = self.own.pair(&query.own, bytemuck::cast_slice(codes)) * query.own_step * factor;
        if self.is_squared() { query.base + norm - 2.0 * product } else { query.base - product }
    }

    fn origin(&self, query: &NodeRabitqQuery) -> f32 {
        query.base
    }
}

#[cfg(test)]
mod tests;
