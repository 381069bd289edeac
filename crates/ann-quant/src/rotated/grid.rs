//! Numbers of a few bits packed into planes, and their products with a rounded query.
//!
//! A code is its planes, each `width` bits of every number, the highest bits first; whoever makes it adds factors. In a plane
//! of `n` bytes, number `i` lies in byte `i % n`, part `i / n`: so the rounded query serves every width as it is. Queries
//! are rounded to 8 bits, so that all sums are exact integers.

use crate::TrainError;
use crate::floats::{float, largest, nearest};
use ann_core::simd::{Arch, Kernel, Op, PackedDot, Rows};
use std::ops::Range;

/// Planes of codes of `len` numbers, which stand for `u - (2^bits - 1) / 2`.
#[derive(Debug, Clone)]
pub(crate) struct Grid {
    bits: u32,
    len: usize,
    planes: Vec<Plane>,
}

#[derive(Debug, Clone)]
pub(super) struct Plane {
    width: u32,
    /// Bits of a number below those of this plane.
    shift: u32,
    /// Where it lies in a code.
    bytes: Range<usize>,
    kernel: PlaneKernel,
}

#[derive(Debug, Clone, Copy)]
enum PlaneKernel {
    Packed(PackedDot),
    /// Whole bytes, less 128.
    Bytes(Kernel<i8, i8>),
}

/// A query rounded to bytes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rounded {
    pub(crate) numbers: Vec<i8>,
    /// What one of the numbers stands for.
    pub(crate) scale: f32,
    /// Sum of the numbers.
    pub(crate) sum: f32,
}

/// Ids that are under way at once where several planes are summed.
pub(crate) const BLOCK: usize = 64;

/// Widths of the planes for numbers of `bits` bits, the highest first; `staged`: the first holds a single bit.
fn widths(bits: u32, staged: bool) -> impl Iterator<Item = u32> {
    let (mut left, mut first) = (bits, staged);
    std::iter::from_fn(move || {
        let width = if std::mem::take(&mut first) { left.min(1) } else { 1 << left.checked_ilog2()? };
        left -= width;
        Some(width)
    })
}

/// Bytes of the planes of `len` numbers of `bits` bits that are not staged.
pub(crate) fn bytes_of(len: usize, bits: u32) -> usize {
    widths(bits, false).map(|width| len.div_ceil(8 / width as usize)).sum()
}

impl Grid {
    /// Planes from byte `start` of a code on.
    ///
    /// # Errors
    /// [`TrainError`] if `bits` is not 1 to 8.
    pub(crate) fn new(len: usize, bits: u32, staged: bool, start: usize) -> Result<Self, TrainError> {
        let arch = Arch::detect()?;
        if !(1..=8).contains(&bits) {
            return Err(TrainError::Param { name: "bits", found: bits as usize, must: "1 to 8" });
        }
        let (mut left, mut start) = (bits, start);
        let planes = widths(bits, staged).map(|width| {
            left -= width;
            let bytes = start..start + len.div_ceil(8 / width as usize);
            start = bytes.end;
            let kernel = match PackedDot::new(arch, width) {
                Some(kernel) => PlaneKernel::Packed(kernel),
                None => PlaneKernel::Bytes(
                    Kernel::new(arch, Op::Dot).unwrap_or_else(|| unreachable!("offered for i8 on every level")),
                ),
            };
            Plane { width, shift: left, bytes, kernel }
        });
        Ok(Self { bits, len, planes: planes.collect() })
    }

    /// Where the planes end.
    pub(crate) fn end(&self) -> usize {
        self.planes.last().map_or(0, |plane| plane.bytes.end)
    }

    /// What the number 0 stands for.
    pub(crate) fn lowest(&self) -> f32 {
        -(((1_u32 << self.bits) - 1) as f32) / 2.0
    }

    pub(super) fn planes(&self) -> &[Plane] {
        &self.planes
    }

    /// Writes whole numbers of `bits` bits into the planes of `code`.
    pub(crate) fn pack(&self, numbers: &[f32], code: &mut [u8]) {
        for plane in &self.planes {
            plane.pack(numbers, &mut code[plane.bytes.clone()]);
        }
    }

    /// What the numbers of a code stand for.
    pub(crate) fn values(&self, code: &[u8]) -> Vec<f32> {
        let mut values = vec![self.lowest(); self.len];
        for plane in &self.planes {
            plane.unpack(&code[plane.bytes.clone()], &mut values);
        }
        values
    }

    /// Products of the numbers with the query.
    pub(crate) fn gather(&self, query: &Rounded, codes: Rows<'_, u8>, ids: &[u32], out: &mut [f32]) {
        products(&self.planes, query, codes, ids, out);
    }
}

impl Rounded {
    /// Rounds `values`.
    #[inline(always)]
    pub(crate) fn set(&mut self, values: &[f32]) {
        let largest = largest(values);
        self.scale = largest / 127.0;
        let inverse = if largest > 0.0 { 127.0 / largest } else { 0.0 };
        self.numbers.clear();
        self.numbers.extend(values.iter().map(|x| nearest(x * inverse) as i8));
        self.numbers.resize(values.len().next_multiple_of(8), 0);
        self.sum = self.numbers.iter().map(|&x| i32::from(x)).sum::<i32>() as f32;
    }
}

/// Products of `planes` with the query, as numbers of that many bits.
pub(super) fn products(planes: &[Plane], query: &Rounded, codes: Rows<'_, u8>, ids: &[u32], out: &mut [f32]) {
    let mut block = [0.0; BLOCK];
    let Some((first, rest)) = planes.split_first() else { return out.fill(0.0) };
    let least = planes.last().map_or(0, |plane| plane.shift);
    first.gather(query, codes, ids, out);
    if rest.is_empty() {
        return;
    }
    for (ids, out) in ids.chunks(BLOCK).zip(out.chunks_mut(BLOCK)) {
        let times = (1_u32 << (first.shift - least)) as f32;
        out.iter_mut().for_each(|out| *out *= times);
        for plane in rest {
            let (block, times) = (&mut block[..ids.len()], (1_u32 << (plane.shift - least)) as f32);
            plane.gather(query, codes, ids, block);
            out.iter_mut().zip(block).for_each(|(out, more)| *out += times * *more);
        }
    }
}

impl Plane {
    /// What the lowest bit of this plane is worth.
    pub(super) fn unit(&self) -> f32 {
        (1_u32 << self.shift) as f32
    }

    fn mask(&self) -> u32 {
        (1 << self.width) - 1
    }

    fn pack(&self, numbers: &[f32], bytes: &mut [u8]) {
        bytes.fill(0);
        for (part, numbers) in numbers.chunks(bytes.len()).enumerate() {
            for (byte, &number) in bytes.iter_mut().zip(numbers) {
                // Whole numbers of at most 8 bits.
                let number = number as u32 >> self.shift & self.mask();
                *byte |= (number << (part as u32 * self.width)) as u8;
            }
        }
        if let PlaneKernel::Bytes(_) = self.kernel {
            bytes.iter_mut().for_each(|byte| *byte ^= 128);
        }
    }

    /// Adds the numbers to `values`.
    fn unpack(&self, bytes: &[u8], values: &mut [f32]) {
        let flip = if let PlaneKernel::Bytes(_) = self.kernel { 128 } else { 0 };
        for (part, values) in values.chunks_mut(bytes.len()).enumerate() {
            for (value, &byte) in values.iter_mut().zip(bytes) {
                let number = u32::from(byte ^ flip) >> (part as u32 * self.width) & self.mask();
                *value += (number << self.shift) as f32;
            }
        }
    }

    /// Products with the query of the numbers of this plane alone.
    pub(super) fn gather(&self, query: &Rounded, codes: Rows<'_, u8>, ids: &[u32], out: &mut [f32]) {
        let rows = codes.columns(self.bytes.clone());
        match self.kernel {
            PlaneKernel::Packed(kernel) => {
                kernel.gather(&query.numbers[..rows.dim() * (8 / self.width as usize)], rows, ids, out);
            }
            PlaneKernel::Bytes(kernel) => {
                kernel.gather(&query.numbers[..rows.dim()], rows.signed(rows.dim()), ids, out);
                out.iter_mut().for_each(|out| *out += 128.0 * query.sum);
            }
        }
    }
}

/// Factor `index` of a code; 0 where there is none.
#[inline(always)]
pub(crate) fn factor(factors: &[u8], index: usize) -> f32 {
    float(factors, 4 * index)
}
