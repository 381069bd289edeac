//! Estimates for many codes at once: sums of table entries, sixteen lanes side by side.
//!
//! A code is a row of half bytes in `planes` planes, and a query a table of 16 values for every half byte. The sum of the
//! entries that a code picks, plane by plane with weights 2, is the product of query and code; two factors per lane
//! turn it into a distance. Lanes are laid out so that one instruction looks up 64 entries and another adds them to the
//! sums of 16 lanes, without any step across lanes at the end (André, Kermarrec, Le Scouarnec, *Quicker ADC*, TPAMI 2021,
//! look up with byte shuffles and add in 16 bits; here the entries of four half bytes lie in one register).
//!
//! Integer sums are the same on every level, and [`LaneKernel::sums`] gives them as they are; the last three operations of
//! an estimate are in `f32` and may differ by rounding.

use crate::arch::{Arch, Level};
use half::f16;
use std::fmt;

#[cfg(target_arch = "aarch64")]
mod neon;
mod scalar;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod simd128;
#[cfg(target_arch = "x86_64")]
mod v3;
#[cfg(target_arch = "x86_64")]
mod v4x;

/// Lanes that share the 64 bytes of a group.
pub const LANES: usize = 16;
/// Half bytes of every lane in a group of 64 bytes.
pub const GROUP: usize = 8;
/// Entries of the tables for one group of half bytes.
const TABLES: usize = GROUP * 16;
/// Bytes of the two factors of [`LANES`] lanes.
pub const FACTORS: usize = 2 * LANES * size_of::<f16>();
/// Most lanes of one call: bits of the answer.
const MOST: usize = 64;

/// A query as tables, and how its sums become numbers.
///
/// The estimate of a lane with factors `add` and `rescale` and sum `s` is
/// `base + add_scale * add + rescale * (step * s + offset)`.
#[derive(Debug, Clone, Copy)]
pub struct TableQuery<'a> {
    /// 16 entries for every half byte of a plane; as many tables as fill whole groups of [`GROUP`].
    pub tables: &'a [u8],
    /// Planes of a code, the first with the largest weight.
    pub planes: usize,
    /// What one unit of a sum is worth.
    pub step: f32,
    /// What is added to every sum.
    pub offset: f32,
    /// What the first factor of a lane is multiplied by.
    pub add_scale: f32,
}

impl TableQuery<'_> {
    /// Bytes of the codes of [`LANES`] lanes.
    #[must_use]
    pub fn block_len(&self) -> usize {
        block_len(self.tables.len() / 16, self.planes)
    }
}

/// Bytes of the codes of [`LANES`] lanes with `half_bytes` half bytes per plane.
#[must_use]
pub fn block_len(half_bytes: usize, planes: usize) -> usize {
    half_bytes.div_ceil(GROUP) * planes * LANES * GROUP / 2
}

/// Where half byte `at` of plane `plane` of `lane` lies among the codes of its block of [`LANES`] lanes: the byte, and by
/// how many bits it is shifted there. `half_bytes` is how many a plane has.
///
/// A group is one dword per lane; byte `b` of it holds half byte `8g + b` below and `8g + 4 + b` above.
#[must_use]
pub fn place(half_bytes: usize, plane: usize, lane: usize, at: usize) -> (usize, u32) {
    let group = plane * half_bytes.div_ceil(GROUP) + at / GROUP;
    let within = at % GROUP;
    (group * LANES * GROUP / 2 + lane % LANES * 4 + within % 4, if within < 4 { 0 } else { 4 })
}

type Estimate = unsafe fn(&TableQuery<'_>, &[u8], &[f16], f32, f32, &mut [f32]) -> u64;
type Blocks = unsafe fn(&TableQuery<'_>, &[u8], f32, f32, &mut [[f32; LANES]], &mut [u16]);
type Sums = unsafe fn(&[u8], &[u8], &mut [[u32; LANES]]);

/// Sums and estimates for blocks of lanes, compiled for one instruction set. `Copy`; two function pointers.
///
/// ```
/// use ann_simd::Arch;
/// use ann_simd::lanes::{LANES, LaneKernel, block_len, place};
/// // Eight half bytes for each of sixteen lanes: lane 5 picks entry 3 of table 6, the others entry 0 of every table.
/// let mut codes = vec![0; block_len(8, 1)];
/// let (byte, shift) = place(8, 0, 5, 6);
/// codes[byte] |= 3 << shift;
/// let mut tables = [1; 8 * 16];
/// tables[6 * 16 + 3] = 200;
/// let mut sums = [0; LANES];
/// LaneKernel::new(Arch::detect()?).sums(&tables, &codes, &mut sums);
/// assert_eq!((sums[4], sums[5]), (8, 207));
/// # Ok::<(), ann_simd::ArchError>(())
/// ```
#[derive(Clone, Copy)]
pub struct LaneKernel {
    level: Level,
    /// Compiled for `level`, which the machine has: `new` took an `Arch`.
    estimate: Estimate,
    /// The same.
    blocks: Blocks,
    /// The same.
    sums: Sums,
}

impl LaneKernel {
    /// The kernel for the level of `arch`.
    #[must_use]
    pub fn new(arch: Arch) -> LaneKernel {
        let level = arch.level();
        let (estimate, blocks, sums): (Estimate, Blocks, Sums) = match level {
            #[cfg(target_arch = "x86_64")]
            Level::V4x => (v4x::estimate, v4x::estimate_blocks, v4x::sums_of),
            #[cfg(target_arch = "x86_64")]
            Level::V3 | Level::V4 => (v3::estimate, v3::estimate_blocks, v3::sums_of),
            #[cfg(target_arch = "aarch64")]
            Level::Neon => (neon::estimate, neon::estimate_blocks, neon::sums_of),
            #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
            Level::Simd128 => (simd128::estimate, simd128::estimate_blocks, simd128::sums_of),
            _ => (scalar::estimate, scalar::estimate_blocks, scalar::sums_of),
        };
        LaneKernel { level, estimate, blocks, sums }
    }

    /// `out[i]` becomes the estimate of lane `i`; bit `i` of the answer says whether it is at most `bound`.
    ///
    /// `codes` holds blocks of 16 lanes ([`place`]), `factors` the first factor of every lane, then the second.
    ///
    /// # Panics
    /// When `out` is not 16, 32, 48 or 64 lanes, or the lengths of tables, codes and factors do not fit it.
    #[inline]
    pub fn estimate(
        &self,
        query: &TableQuery<'_>,
        codes: &[u8],
        factors: &[f16],
        base: f32,
        bound: f32,
        out: &mut [f32],
    ) -> u64 {
        let lanes = out.len();
        assert!(lanes.is_multiple_of(LANES) && lanes <= MOST, "{lanes} lanes, must be a multiple of 16 up to 64");
        let entries = query.tables.len();
        assert!(entries > 0 && entries.is_multiple_of(TABLES), "{entries} table entries are no whole groups");
        let expected = lanes / LANES * query.block_len();
        assert!(codes.len() == expected, "{} bytes of codes for {lanes} lanes, expected {expected}", codes.len());
        assert!(factors.len() == 2 * lanes, "{} factors for {lanes} lanes", factors.len());
        // SAFETY: the level is present, see the field `estimate`; lengths are as asserted above.
        unsafe { (self.estimate)(query, codes, factors, base, bound, out) }
    }

    /// As [`Self::estimate`] for any number of blocks of 16 lanes, each of which is its codes and then [`FACTORS`] bytes: the first
    /// factors of its lanes, then the second. `out[b]` becomes the estimates of block `b`, and bit `i` of `near[b]` says
    /// whether lane `i` is at most `bound`.
    ///
    /// ```
    /// use ann_simd::Arch;
    /// use ann_simd::lanes::{FACTORS, LANES, LaneKernel, TableQuery, block_len};
    /// let blocks = vec![0; 3 * (block_len(8, 1) + FACTORS)];
    /// let query = TableQuery { tables: &[1; 8 * 16], planes: 1, step: 1.0, offset: 0.0, add_scale: 1.0 };
    /// let (mut out, mut near) = ([[0.0; LANES]; 3], [0; 3]);
    /// LaneKernel::new(Arch::detect()?).estimate_blocks(&query, &blocks, 5.0, 4.0, &mut out, &mut near);
    /// assert_eq!((out[2][15], near), (5.0, [0; 3]));
    /// # Ok::<(), ann_simd::ArchError>(())
    /// ```
    ///
    /// # Panics
    /// When `out`, `near` and `blocks` differ in the number of blocks, or the tables are not whole groups.
    #[inline]
    pub fn estimate_blocks(
        &self,
        query: &TableQuery<'_>,
        blocks: &[u8],
        base: f32,
        bound: f32,
        out: &mut [[f32; LANES]],
        near: &mut [u16],
    ) {
        let entries = query.tables.len();
        assert!(entries > 0 && entries.is_multiple_of(TABLES), "{entries} table entries are no whole groups");
        let expected = out.len() * (query.block_len() + FACTORS);
        assert!(blocks.len() == expected, "{} bytes of blocks, expected {expected}", blocks.len());
        assert!(near.len() == out.len(), "room for {} masks and {} blocks", near.len(), out.len());
        // SAFETY: the level is present, see the field `blocks`; lengths are as asserted above.
        unsafe { (self.blocks)(query, blocks, base, bound, out, near) }
    }

    /// `sums[i]` becomes the sum of the entries that lane `i` picks from `tables`, 16 for every half byte of its one plane;
    /// exact, hence the same on every level.
    ///
    /// `codes` holds blocks of 16 lanes ([`place`]).
    ///
    /// # Panics
    /// When `sums` are not whole blocks of lanes, `tables` not whole groups of [`GROUP`], or the codes do not fit both.
    #[inline]
    pub fn sums(&self, tables: &[u8], codes: &[u8], sums: &mut [u32]) {
        let (lanes, entries) = (sums.len(), tables.len());
        assert!(lanes.is_multiple_of(LANES), "{lanes} lanes, must be a multiple of 16");
        assert!(entries > 0 && entries.is_multiple_of(TABLES), "{entries} table entries are no whole groups");
        let expected = lanes / LANES * block_len(entries / 16, 1);
        assert!(codes.len() == expected, "{} bytes of codes for {lanes} lanes, expected {expected}", codes.len());
        // SAFETY: the level is present, see the field `sums`; lengths are as asserted above.
        unsafe { (self.sums)(tables, codes, sums.as_chunks_mut().0) }
    }
}

impl fmt::Debug for LaneKernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LaneKernel({})", self.level)
    }
}
