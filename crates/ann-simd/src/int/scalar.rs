//! Integer kernels as plain loops, for whatever the compilation target guarantees.

use crate::doors::{Doors, Pairs};
use crate::kernel::Op;

/// The doors of `op` between rows of `u8`.
pub(super) fn doors_u8(op: Op) -> Option<Doors<u8, u8>> {
    match op {
        Op::SquaredL2 => Some(Doors::of::<SquaredL2>()),
        Op::Dot => Some(Doors::of::<Dot>()),
        Op::L1 => Some(Doors::of::<L1>()),
        Op::Hamming => None,
    }
}

/// The doors of `op` between rows of `i8`.
pub(super) fn doors_i8(op: Op) -> Option<Doors<i8, i8>> {
    match op {
        Op::SquaredL2 => Some(Doors::of::<SquaredL2>()),
        Op::Dot => Some(Doors::of::<Dot>()),
        Op::L1 => Some(Doors::of::<L1>()),
        Op::Hamming => None,
    }
}

/// The doors of `op` between rows of bits.
pub(super) fn doors_u64(op: Op) -> Option<Doors<u64, u64>> {
    (op == Op::Hamming).then(Doors::of::<Hamming>)
}

#[derive(Clone, Copy)]
struct SquaredL2;

#[derive(Clone, Copy)]
struct Dot;

#[derive(Clone, Copy)]
struct L1;

#[derive(Clone, Copy)]
struct Hamming;

macro_rules! plain {
    ($name:ident, $type:ty, |$a:ident, $b:ident| $term:expr) => {
        impl Pairs<$type, $type> for $name {
            #[inline(always)]
            unsafe fn new() -> Self {
                $name
            }

            #[inline(always)]
            fn run<R>(self, body: impl FnOnce() -> R) -> R {
                body()
            }

            #[inline(always)]
            unsafe fn one(self, q: &[$type], x: &[$type]) -> f32 {
                q.iter().zip(x).map(|(&$a, &$b)| $term).sum::<i32>() as f32
            }
        }
    };
}

plain!(SquaredL2, u8, |a, b| (i32::from(a) - i32::from(b)).pow(2));
plain!(Dot, u8, |a, b| i32::from(a) * i32::from(b));
plain!(L1, u8, |a, b| (i32::from(a) - i32::from(b)).abs());
plain!(SquaredL2, i8, |a, b| (i32::from(a) - i32::from(b)).pow(2));
plain!(Dot, i8, |a, b| i32::from(a) * i32::from(b));
plain!(L1, i8, |a, b| (i32::from(a) - i32::from(b)).abs());
plain!(Hamming, u64, |a, b| (a ^ b).count_ones() as i32);
