//! Products of signed bytes with numbers of 1, 2 or 4 bits: several of them in a byte of the row.
//!
//! The query comes in as many parts as a byte of the row holds numbers, each as long as the row: part 0 belongs to the lowest
//! bits of every byte. So a vector of any width is unpacked by shifting and masking alone, and rows look the same to
//! every instruction set.

use std::marker::PhantomData;

use super::sums::{BLOCK, Isa};
use crate::doors::{Doors, Pairs};

/// The doors for numbers of `bits` bits.
pub(super) fn doors<I: Isa>(bits: u32) -> Option<Doors<i8, u8>> {
    match bits {
        1 => Some(Doors::of::<Packed<I, 1>>()),
        2 => Some(Doors::of::<Packed<I, 2>>()),
        4 => Some(Doors::of::<Packed<I, 4>>()),
        _ => None,
    }
}

/// Numbers of `BITS` bits on the instruction set `I`; having one proves that the processor has it.
#[derive(Clone, Copy)]
struct Packed<I, const BITS: usize>(PhantomData<I>);

impl<I: Isa, const BITS: usize> Pairs<i8, u8> for Packed<I, BITS> {
    const PARTS: usize = 8 / BITS;

    #[inline(always)]
    unsafe fn new() -> Self {
        Packed(PhantomData)
    }

    #[inline(always)]
    fn run<R>(self, body: impl FnOnce() -> R) -> R {
        // SAFETY: the instruction set is present, by the contract of `new`.
        unsafe { I::run(body) }
    }

    #[inline(always)]
    unsafe fn one(self, q: &[i8], x: &[u8]) -> f32 {
        // SAFETY: lengths as the caller says; the instruction set is present, by the contract of `new`.
        let [sum] = unsafe {
            sums::<I, BITS, 1>(
                q,
                [x],
                #[inline(always)]
                |[sums]| [I::total(sums)],
            )
        };
        sum
    }

    #[inline(always)]
    unsafe fn four(self, q: &[i8], rows: [&[u8]; 4]) -> [f32; 4] {
        // SAFETY: as above.
        unsafe {
            sums::<I, BITS, 4>(
                q,
                rows,
                #[inline(always)]
                |sums| I::totals(sums),
            )
        }
    }
}

/// The products of one query with each row; `totals_of` gives the total of each row's lanes.
///
/// # Safety
/// - The processor has the instruction set.
/// - `q` is `8 / BITS` times as long as every row.
#[inline(always)]
unsafe fn sums<I: Isa, const BITS: usize, const ROWS: usize>(
    q: &[i8],
    rows: [&[u8]; ROWS],
    totals_of: impl Fn([I::Lanes; ROWS]) -> [i32; ROWS],
) -> [f32; ROWS] {
    let (query, len) = (q.as_ptr().cast::<u8>(), rows[0].len());
    let rows = rows.map(
        #[inline(always)]
        |row| row.as_ptr(),
    );
    let (mut totals, mut done) = ([0_i64; ROWS], 0);
    loop {
        let block = BLOCK.min(len - done);
        let parts = rows.map(
            #[inline(always)]
            // SAFETY: done <= len, the size of every row.
            |row| unsafe { row.add(done) },
        );
        // SAFETY: done + block <= len, the size of all rows and of every part of the query.
        let sums = totals_of(unsafe { block_sums::<I, BITS, ROWS>(query.add(done), len, parts, block) });
        if len <= BLOCK {
            return sums.map(
                #[inline(always)]
                |sum| sum as f32,
            );
        }
        for (total, sum) in totals.iter_mut().zip(sums) {
            *total += i64::from(sum);
        }
        done += block;
        if done == len {
            return totals.map(
                #[inline(always)]
                |total| total as f32,
            );
        }
    }
}

/// The sums of one query, whose parts are `apart` bytes apart, and rows of `len` bytes.
///
/// # Safety
/// - The processor has the instruction set.
/// - `len` bytes are readable at `rows`, and at the beginning of every part; `len` is at most [`BLOCK`], where 8 products of at
///   most 128, or 2 of 15 · 128, for each byte stay below 2^31.
#[inline(always)]
unsafe fn block_sums<I: Isa, const BITS: usize, const ROWS: usize>(
    q: *const u8,
    apart: usize,
    rows: [*const u8; ROWS],
    len: usize,
) -> [I::Lanes; ROWS] {
    let whole = len - len % I::STEP;
    let ones = [(1_u8 << BITS) - 1; 64];
    // SAFETY: i + STEP <= whole <= len, and the tail is not empty; `ones` is as long as the longest vector; the instruction
    // set is present, by the caller.
    unsafe {
        let mask = I::load(ones.as_ptr());
        // Each row's parts take turns in two sums, so that one addition need not wait for the one before it.
        let mut sums = [[I::zero(); 2]; ROWS];
        let mut i = 0;
        while i < whole {
            let mut left = rows.map(
                #[inline(always)]
                |row| I::load(row.add(i)),
            );
            for part in 0..8 / BITS {
                let query = I::load(q.add(part * apart + i));
                for (sums, left) in sums.iter_mut().zip(&mut left) {
                    sums[part % 2] = I::dot_small(sums[part % 2], query, I::and(*left, mask));
                    *left = I::shift(*left, BITS as i32);
                }
            }
            i += I::STEP;
        }
        if whole < len {
            let mut left = rows.map(
                #[inline(always)]
                |row| I::load_tail(row, whole, len),
            );
            for part in 0..8 / BITS {
                let query = I::load_tail(q.add(part * apart), whole, len);
                for (sums, left) in sums.iter_mut().zip(&mut left) {
                    sums[part % 2] = I::dot_small(sums[part % 2], query, I::and(*left, mask));
                    *left = I::shift(*left, BITS as i32);
                }
            }
        }
        sums.map(
            #[inline(always)]
            |[a, b]| I::add(a, b),
        )
    }
}
