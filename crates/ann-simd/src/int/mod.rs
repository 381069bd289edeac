//! Kernels on integer rows: `u8`, `i8` and bits, exact on every level and at any length, rounded once to `f32`.
//!
//! Rows are taken as bytes. [`sums`] has the loops, once; the other files say what an instruction set does with a vector
//! of bytes.

use crate::arch::Level;
use crate::doors::Doors;
use crate::element::Element;
use crate::kernel::Op;
use sums::{Dot, Hamming, Isa, L1, SquaredL2, Sums};

#[cfg(target_arch = "aarch64")]
mod neon;
mod packed;
mod scalar;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod simd128;
mod sums;
#[cfg(test)]
mod tests;
#[cfg(target_arch = "x86_64")]
mod v3;
#[cfg(target_arch = "x86_64")]
mod v4;
#[cfg(target_arch = "x86_64")]
mod v4x;

/// Kernels between two rows of `u8`.
pub(crate) fn doors_u8(level: Level, op: Op) -> Option<Doors<u8, u8>> {
    doors(level, op)
}

/// Kernels between two rows of `i8`.
pub(crate) fn doors_i8(level: Level, op: Op) -> Option<Doors<i8, i8>> {
    doors(level, op)
}

/// Kernels between two rows of bits.
pub(crate) fn doors_u64(level: Level, op: Op) -> Option<Doors<u64, u64>> {
    doors(level, op)
}

/// Kernels between queries of `i8` and rows of packed numbers of 1, 2 or 4 bits.
pub(crate) fn doors_packed(level: Level, bits: u32) -> Option<Doors<i8, u8>> {
    match level {
        Level::Scalar => packed::doors::<scalar::Scalar>(bits),
        #[cfg(target_arch = "x86_64")]
        Level::V3 => packed::doors::<v3::V3>(bits),
        #[cfg(target_arch = "x86_64")]
        Level::V4 => packed::doors::<v4::V4>(bits),
        #[cfg(target_arch = "x86_64")]
        Level::V4x => packed::doors::<v4x::V4x>(bits),
        #[cfg(target_arch = "aarch64")]
        Level::Neon => packed::doors::<neon::Neon>(bits),
        #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
        Level::Simd128 => packed::doors::<simd128::Simd128>(bits),
        // Levels of other targets.
        #[allow(unreachable_patterns, reason = "every target lacks some level, but which differs")]
        _ => None,
    }
}

fn doors<E: Integer>(level: Level, op: Op) -> Option<Doors<E, E>> {
    match level {
        Level::Scalar => E::doors::<scalar::Scalar>(op),
        #[cfg(target_arch = "x86_64")]
        Level::V3 => E::doors::<v3::V3>(op),
        #[cfg(target_arch = "x86_64")]
        Level::V4 => E::doors::<v4::V4>(op),
        #[cfg(target_arch = "x86_64")]
        Level::V4x => E::doors::<v4x::V4x>(op),
        #[cfg(target_arch = "aarch64")]
        Level::Neon => E::doors::<neon::Neon>(op),
        #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
        Level::Simd128 => E::doors::<simd128::Simd128>(op),
        // Levels of other targets.
        #[allow(unreachable_patterns, reason = "every target lacks some level, but which differs")]
        _ => None,
    }
}

/// An element with exact kernels.
trait Integer: Element {
    /// The doors of `op` on an instruction set.
    fn doors<I: Isa>(op: Op) -> Option<Doors<Self, Self>>;
}

impl Integer for u8 {
    fn doors<I: Isa>(op: Op) -> Option<Doors<u8, u8>> {
        match op {
            Op::SquaredL2 => Some(Doors::of::<Sums<I, SquaredL2>>()),
            Op::Dot => Some(Doors::of::<Sums<I, Dot>>()),
            Op::L1 => Some(Doors::of::<Sums<I, L1>>()),
            Op::Hamming => None,
        }
    }
}

impl Integer for i8 {
    fn doors<I: Isa>(op: Op) -> Option<Doors<i8, i8>> {
        match op {
            Op::SquaredL2 => Some(Doors::of::<Sums<I, SquaredL2>>()),
            Op::Dot => Some(Doors::of::<Sums<I, Dot>>()),
            Op::L1 => Some(Doors::of::<Sums<I, L1>>()),
            Op::Hamming => None,
        }
    }
}

impl Integer for u64 {
    fn doors<I: Isa>(op: Op) -> Option<Doors<u64, u64>> {
        (op == Op::Hamming).then(Doors::of::<Sums<I, Hamming>>)
    }
}
