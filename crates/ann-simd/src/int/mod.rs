//! Kernels on integer rows: `u8`, `i8` and bits, exact on every level.

use crate::arch::Level;
use crate::doors::Doors;
use crate::kernel::Op;

mod scalar;

/// Kernels between two rows of `u8`.
pub(crate) fn doors_u8(_level: Level, op: Op) -> Option<Doors<u8, u8>> {
    scalar::doors_u8(op)
}

/// Kernels between two rows of `i8`.
pub(crate) fn doors_i8(_level: Level, op: Op) -> Option<Doors<i8, i8>> {
    scalar::doors_i8(op)
}

/// Kernels between two rows of bits.
pub(crate) fn doors_u64(_level: Level, op: Op) -> Option<Doors<u64, u64>> {
    scalar::doors_u64(op)
}
