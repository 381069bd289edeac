//! Plain loops over 16 bytes, for whatever the compilation target guarantees; the compiler may still find vectors in them.

use super::sums::Isa;

#[derive(Clone, Copy)]
pub(super) struct Scalar;

impl Isa for Scalar {
    type Vector = [u8; 16];
    type Lanes = [i32; 4];
    const STEP: usize = 16;

    #[inline(always)]
    unsafe fn run<R>(body: impl FnOnce() -> R) -> R {
        body()
    }

    #[inline(always)]
    unsafe fn load(start: *const u8) -> [u8; 16] {
        // SAFETY: 16 bytes are readable, by the caller.
        unsafe { start.cast::<[u8; 16]>().read() }
    }

    #[inline(always)]
    unsafe fn and(a: [u8; 16], b: [u8; 16]) -> [u8; 16] {
        std::array::from_fn(|i| a[i] & b[i])
    }

    #[inline(always)]
    unsafe fn flip(bytes: [u8; 16]) -> [u8; 16] {
        bytes.map(|byte| byte ^ 128)
    }

    #[inline(always)]
    unsafe fn zero() -> [i32; 4] {
        [0; 4]
    }

    #[inline(always)]
    unsafe fn add(a: [i32; 4], b: [i32; 4]) -> [i32; 4] {
        std::array::from_fn(|i| a[i] + b[i])
    }

    #[inline(always)]
    unsafe fn sub(a: [i32; 4], b: [i32; 4]) -> [i32; 4] {
        std::array::from_fn(|i| a[i] - b[i])
    }

    #[inline(always)]
    unsafe fn total([a, b, c, d]: [i32; 4]) -> i32 {
        a + b + (c + d)
    }

    #[inline(always)]
    unsafe fn totals(sums: [[i32; 4]; 4]) -> [i32; 4] {
        sums.map(|[a, b, c, d]| a + b + (c + d))
    }

    #[inline(always)]
    unsafe fn squared_l2(sums: [i32; 4], q: [u8; 16], x: [u8; 16]) -> [i32; 4] {
        add_terms(sums, |i| (i32::from(q[i]) - i32::from(x[i])).pow(2))
    }

    #[inline(always)]
    unsafe fn l1(sums: [i32; 4], q: [u8; 16], x: [u8; 16]) -> [i32; 4] {
        add_terms(sums, |i| i32::from(q[i].abs_diff(x[i])))
    }

    #[inline(always)]
    unsafe fn dot_u8(sums: [i32; 4], q: [u8; 16], x: [u8; 16]) -> [i32; 4] {
        add_terms(sums, |i| i32::from(q[i]) * i32::from(x[i]))
    }

    #[inline(always)]
    unsafe fn dot_i8(sums: [i32; 4], q: [u8; 16], x: [u8; 16]) -> [i32; 4] {
        add_terms(sums, |i| i32::from(q[i].cast_signed()) * i32::from(x[i].cast_signed()))
    }

    #[inline(always)]
    unsafe fn shift(bytes: [u8; 16], bits: i32) -> [u8; 16] {
        bytes.map(|byte| byte >> bits)
    }

    #[inline(always)]
    unsafe fn hamming([a, b, c, d]: [i32; 4], q: [u8; 16], x: [u8; 16]) -> [i32; 4] {
        let (q, x): ([u64; 2], [u64; 2]) = (bytemuck::cast(q), bytemuck::cast(x));
        [a + (q[0] ^ x[0]).count_ones().cast_signed(), b + (q[1] ^ x[1]).count_ones().cast_signed(), c, d]
    }
}

/// Adds sixteen terms to four lanes.
#[inline(always)]
fn add_terms(sums: [i32; 4], term: impl Fn(usize) -> i32) -> [i32; 4] {
    std::array::from_fn(|i| sums[i] + (term(i) + term(4 + i) + (term(8 + i) + term(12 + i))))
}
