//! Sums over bytes, written once: [`Isa`] says what an instruction set does with one vector of bytes, [`Measure`] which of
//! it an operation needs, and [`Sums`] puts the loop around it.
//!
//! Every vector lane counts in 32 bits. A row is cut into blocks so short that even the total of all lanes fits, the
//! totals of blocks are added in 64 bits, and the result is rounded to `f32` once: the same value on every instruction
//! set, at any length. Four rows go side by side, because a sum is a chain of dependent additions, because they share the
//! loads of the query, and because reducing four vectors together costs little more than reducing one.

use std::marker::PhantomData;

use crate::doors::Pairs;
use crate::element::Element;

/// Bytes of a row that are summed in 32 bits: at most 255² each, and 2^15 · 255² < 2^31. A multiple of every step.
pub(super) const BLOCK: usize = 1 << 15;

/// Any 64 bytes that begin at n end in n bytes of ones.
pub(super) static MASKS: [u8; 128] = {
    let mut masks = [0; 128];
    let mut i = 64;
    while i < 128 {
        masks[i] = 0xff;
        i += 1;
    }
    masks
};

/// What an instruction set does with vectors of [`Isa::STEP`] bytes.
///
/// # Safety
/// All functions but [`Isa::run`] are inlined into what `run` calls, and `unsafe` for one common reason: the caller sees
/// to it that the processor has the instruction set. Loads ask for more, which is said there.
#[allow(clippy::missing_safety_doc, reason = "said once, for the whole trait")]
pub(super) trait Isa: Copy + 'static {
    /// `STEP` bytes of a row.
    type Vector: Copy;
    /// Partial sums: lanes whose total is the sum.
    type Lanes: Copy;
    /// Bytes in a vector; a power of two, at most 64.
    const STEP: usize;
    /// Whether dot products come out too large by [`Isa::excess_u8`] or [`Isa::excess_i8`].
    const EXCESS: bool = false;

    /// Runs `body` inside a function compiled for the instruction set.
    unsafe fn run<R>(body: impl FnOnce() -> R) -> R;

    /// The `STEP` bytes at `start`, which must be readable; aligned or not.
    unsafe fn load(start: *const u8) -> Self::Vector;
    /// The bytes `done..len` of the `len` readable bytes at `start`, in any fixed places, and zeros elsewhere; `done` is
    /// `len` rounded down to a multiple of `STEP`, and less than `len`.
    #[inline(always)]
    unsafe fn load_tail(start: *const u8, done: usize, len: usize) -> Self::Vector {
        let rest = len - done;
        // SAFETY: with a whole vector before the tail, the last STEP bytes of the row are readable, and of the masks the
        // STEP bytes that end in `rest` < STEP ones. Otherwise all of the row's bytes fit the copy, which has 64 >= STEP.
        unsafe {
            if done > 0 {
                Self::and(
                    Self::load(start.add(len - Self::STEP)),
                    Self::load(MASKS.as_ptr().add(64 + rest - Self::STEP)),
                )
            } else {
                let mut bytes = [0; 64];
                start.copy_to_nonoverlapping(bytes.as_mut_ptr(), rest);
                Self::load(bytes.as_ptr())
            }
        }
    }
    /// The bits set in both.
    unsafe fn and(a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// Turns the top bit of each byte: maps `i8` to `u8` so that differences stay.
    unsafe fn flip(bytes: Self::Vector) -> Self::Vector;

    /// Zeros.
    unsafe fn zero() -> Self::Lanes;
    /// `a + b`, lane by lane.
    unsafe fn add(a: Self::Lanes, b: Self::Lanes) -> Self::Lanes;
    /// `a - b`, lane by lane.
    unsafe fn sub(a: Self::Lanes, b: Self::Lanes) -> Self::Lanes;
    /// The total.
    unsafe fn total(sums: Self::Lanes) -> i32;
    /// The totals of four.
    unsafe fn totals(sums: [Self::Lanes; 4]) -> [i32; 4];

    /// `sums` plus the squared differences of `u8`.
    unsafe fn squared_l2(sums: Self::Lanes, q: Self::Vector, x: Self::Vector) -> Self::Lanes;
    /// `sums` plus the absolute differences of `u8`.
    unsafe fn l1(sums: Self::Lanes, q: Self::Vector, x: Self::Vector) -> Self::Lanes;
    /// `sums` plus the products of `u8`, plus the excess.
    unsafe fn dot_u8(sums: Self::Lanes, q: Self::Vector, x: Self::Vector) -> Self::Lanes;
    /// `sums` plus the products of `i8`, plus the excess.
    unsafe fn dot_i8(sums: Self::Lanes, q: Self::Vector, x: Self::Vector) -> Self::Lanes;
    /// `sums` plus the products of `i8` and bytes of 0 to 15.
    #[inline(always)]
    unsafe fn dot_small(sums: Self::Lanes, q: Self::Vector, x: Self::Vector) -> Self::Lanes {
        // SAFETY: as the caller says.
        unsafe { Self::dot_i8(sums, q, x) }
    }
    /// Shifts bytes right by `bits` < 8. What comes in from above is anything.
    unsafe fn shift(bytes: Self::Vector, bits: i32) -> Self::Vector;
    /// `sums` plus the number of bits that differ.
    unsafe fn hamming(sums: Self::Lanes, q: Self::Vector, x: Self::Vector) -> Self::Lanes;

    /// `sums` plus what [`Isa::dot_u8`] gives too much for this part of the query.
    #[inline(always)]
    unsafe fn excess_u8(sums: Self::Lanes, _q: Self::Vector) -> Self::Lanes {
        sums
    }
    /// `sums` plus what [`Isa::dot_i8`] gives too much for this part of the query.
    #[inline(always)]
    unsafe fn excess_i8(sums: Self::Lanes, _q: Self::Vector) -> Self::Lanes {
        sums
    }
}

/// One operation on rows of `E`.
///
/// # Safety
/// As for [`Isa`].
#[allow(clippy::missing_safety_doc, reason = "said once, for the whole trait")]
pub(super) trait Measure<I: Isa, E>: Copy + 'static {
    /// Whether [`Measure::excess`] does anything.
    const EXCESS: bool = false;
    /// `sums` plus the terms of one vector, plus the excess.
    unsafe fn step(sums: I::Lanes, q: I::Vector, x: I::Vector) -> I::Lanes;
    /// `sums` plus the part of `step` that is too much and depends on the query alone.
    #[inline(always)]
    unsafe fn excess(sums: I::Lanes, _q: I::Vector) -> I::Lanes {
        sums
    }
}

/// Squared Euclidean distance.
#[derive(Clone, Copy)]
pub(super) struct SquaredL2;

/// Inner product.
#[derive(Clone, Copy)]
pub(super) struct Dot;

/// Sum of absolute differences.
#[derive(Clone, Copy)]
pub(super) struct L1;

/// Number of different bits.
#[derive(Clone, Copy)]
pub(super) struct Hamming;

impl<I: Isa> Measure<I, u8> for SquaredL2 {
    #[inline(always)]
    unsafe fn step(sums: I::Lanes, q: I::Vector, x: I::Vector) -> I::Lanes {
        // SAFETY: the instruction set is present, by the caller.
        unsafe { I::squared_l2(sums, q, x) }
    }
}

impl<I: Isa> Measure<I, i8> for SquaredL2 {
    #[inline(always)]
    unsafe fn step(sums: I::Lanes, q: I::Vector, x: I::Vector) -> I::Lanes {
        // SAFETY: the instruction set is present, by the caller.
        unsafe { I::squared_l2(sums, I::flip(q), I::flip(x)) }
    }
}

impl<I: Isa> Measure<I, u8> for L1 {
    #[inline(always)]
    unsafe fn step(sums: I::Lanes, q: I::Vector, x: I::Vector) -> I::Lanes {
        // SAFETY: the instruction set is present, by the caller.
        unsafe { I::l1(sums, q, x) }
    }
}

impl<I: Isa> Measure<I, i8> for L1 {
    #[inline(always)]
    unsafe fn step(sums: I::Lanes, q: I::Vector, x: I::Vector) -> I::Lanes {
        // SAFETY: the instruction set is present, by the caller.
        unsafe { I::l1(sums, I::flip(q), I::flip(x)) }
    }
}

impl<I: Isa> Measure<I, u8> for Dot {
    const EXCESS: bool = I::EXCESS;
    #[inline(always)]
    unsafe fn step(sums: I::Lanes, q: I::Vector, x: I::Vector) -> I::Lanes {
        // SAFETY: the instruction set is present, by the caller.
        unsafe { I::dot_u8(sums, q, x) }
    }
    #[inline(always)]
    unsafe fn excess(sums: I::Lanes, q: I::Vector) -> I::Lanes {
        // SAFETY: the instruction set is present, by the caller.
        unsafe { I::excess_u8(sums, q) }
    }
}

impl<I: Isa> Measure<I, i8> for Dot {
    const EXCESS: bool = I::EXCESS;
    #[inline(always)]
    unsafe fn step(sums: I::Lanes, q: I::Vector, x: I::Vector) -> I::Lanes {
        // SAFETY: the instruction set is present, by the caller.
        unsafe { I::dot_i8(sums, q, x) }
    }
    #[inline(always)]
    unsafe fn excess(sums: I::Lanes, q: I::Vector) -> I::Lanes {
        // SAFETY: the instruction set is present, by the caller.
        unsafe { I::excess_i8(sums, q) }
    }
}

impl<I: Isa> Measure<I, u64> for Hamming {
    #[inline(always)]
    unsafe fn step(sums: I::Lanes, q: I::Vector, x: I::Vector) -> I::Lanes {
        // SAFETY: the instruction set is present, by the caller.
        unsafe { I::hamming(sums, q, x) }
    }
}

/// The measure `M` on the instruction set `I`; having one proves that the processor has it.
#[derive(Clone, Copy)]
pub(super) struct Sums<I, M>(PhantomData<(I, M)>);

impl<I: Isa, M: Measure<I, E>, E: Element> Pairs<E, E> for Sums<I, M> {
    #[inline(always)]
    unsafe fn new() -> Self {
        Sums(PhantomData)
    }

    #[inline(always)]
    fn run<R>(self, body: impl FnOnce() -> R) -> R {
        // SAFETY: the instruction set is present, by the contract of `new`.
        unsafe { I::run(body) }
    }

    #[inline(always)]
    unsafe fn one(self, q: &[E], x: &[E]) -> f32 {
        let (query, row, len) = (q.as_ptr().cast::<u8>(), x.as_ptr().cast::<u8>(), size_of_val(q));
        let (mut total, mut done) = (0, 0);
        loop {
            let block = BLOCK.min(len - done);
            // SAFETY: done + block <= len, the size of both rows.
            let sum = unsafe { one_block::<I, M, E>(query.add(done), row.add(done), block) };
            if len <= BLOCK {
                return sum as f32;
            }
            total += i64::from(sum);
            done += block;
            if done == len {
                return total as f32;
            }
        }
    }

    #[inline(always)]
    unsafe fn four(self, q: &[E], rows: [&[E]; 4]) -> [f32; 4] {
        let (query, len) = (q.as_ptr().cast::<u8>(), size_of_val(q));
        let rows = rows.map(
            #[inline(always)]
            |row| row.as_ptr().cast::<u8>(),
        );
        let (mut totals, mut done) = ([0; 4], 0);
        loop {
            let block = BLOCK.min(len - done);
            let parts = rows.map(
                #[inline(always)]
                // SAFETY: done <= len, the size of every row.
                |row| unsafe { row.add(done) },
            );
            // SAFETY: done + block <= len, the size of all rows.
            let sums = unsafe { four_block::<I, M, E>(query.add(done), parts, block) };
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
                    |total: i64| total as f32,
                );
            }
        }
    }
}

/// The sums of one query and four rows, `len` bytes each.
///
/// # Safety
/// - The processor has the instruction set.
/// - `len` bytes are readable at all pointers, and at most [`BLOCK`].
#[inline(always)]
unsafe fn four_block<I: Isa, M: Measure<I, E>, E>(q: *const u8, rows: [*const u8; 4], len: usize) -> [i32; 4] {
    let whole = len - len % I::STEP;
    // SAFETY: i + STEP <= whole <= len, and the tail is not empty; the instruction set is present, by the caller.
    unsafe {
        let (mut sums, mut excess) = ([I::zero(); 4], I::zero());
        let mut i = 0;
        while i < whole {
            let part = I::load(q.add(i));
            for (sum, row) in sums.iter_mut().zip(rows) {
                *sum = M::step(*sum, part, I::load(row.add(i)));
            }
            excess = M::excess(excess, part);
            i += I::STEP;
        }
        if whole < len {
            let part = I::load_tail(q, whole, len);
            for (sum, row) in sums.iter_mut().zip(rows) {
                *sum = M::step(*sum, part, I::load_tail(row, whole, len));
            }
            excess = M::excess(excess, part);
        }
        if M::EXCESS {
            for sum in &mut sums {
                *sum = I::sub(*sum, excess);
            }
        }
        I::totals(sums)
    }
}

/// The sum of one query and one row, `len` bytes each. Four sums take turns, so that one addition need not wait for the
/// one before it.
///
/// # Safety
/// - The processor has the instruction set.
/// - `len` bytes are readable at both pointers, and at most [`BLOCK`].
#[inline(always)]
unsafe fn one_block<I: Isa, M: Measure<I, E>, E>(q: *const u8, x: *const u8, len: usize) -> i32 {
    let whole = len - len % I::STEP;
    // SAFETY: every load ends at or before `whole` <= len, and the tail is not empty; the instruction set is present, by
    // the caller.
    unsafe {
        let (mut sums, mut excess) = ([I::zero(); 4], [I::zero(); 4]);
        let mut i = 0;
        while i + 4 * I::STEP <= whole {
            for (turn, (sum, excess)) in sums.iter_mut().zip(&mut excess).enumerate() {
                let part = I::load(q.add(i + turn * I::STEP));
                *sum = M::step(*sum, part, I::load(x.add(i + turn * I::STEP)));
                *excess = M::excess(*excess, part);
            }
            i += 4 * I::STEP;
        }
        let ([first, ..], [too_much, ..]) = (&mut sums, &mut excess);
        while i < whole {
            let part = I::load(q.add(i));
            *first = M::step(*first, part, I::load(x.add(i)));
            *too_much = M::excess(*too_much, part);
            i += I::STEP;
        }
        if whole < len {
            let part = I::load_tail(q, whole, len);
            *first = M::step(*first, part, I::load_tail(x, whole, len));
            *too_much = M::excess(*too_much, part);
        }
        let mut sum = I::add(I::add(sums[0], sums[1]), I::add(sums[2], sums[3]));
        if M::EXCESS {
            sum = I::sub(sum, I::add(I::add(excess[0], excess[1]), I::add(excess[2], excess[3])));
        }
        I::total(sum)
    }
}
