//! From "one pair" to the four doors of a kernel: the loops over rows, written once for all kernels.
//!
//! A [`Pairs`] says how one operation compares one query with one row, and with four rows at once, on one instruction set.
//! [`Doors::of`] puts the loops around it. Each door enters code compiled for the instruction set once ([`Pairs::run`]) and
//! everything below is inlined there.

use crate::rows::{LINE, Rows};

/// One operation on one pair of element types on one instruction set.
///
/// Implementations are zero-sized tokens. `one` and `four` must be `#[inline(always)]` and must give bit-identical values
/// for the same pair, which the doors rest on.
pub(crate) trait Pairs<Q, T>: Copy + 'static {
    /// Elements of a query to one of a row.
    const PARTS: usize = 1;

    /// The token.
    ///
    /// # Safety
    /// - The processor has the instruction set that this type is compiled for.
    unsafe fn new() -> Self;

    /// Runs `body` inside a function compiled for the instruction set.
    fn run<R>(self, body: impl FnOnce() -> R) -> R;

    /// The value for one pair.
    ///
    /// # Safety
    /// - `q` is [`Pairs::PARTS`] times as long as `x`.
    unsafe fn one(self, q: &[Q], x: &[T]) -> f32;

    /// The values for four rows.
    ///
    /// # Safety
    /// - `q` is [`Pairs::PARTS`] times as long as every row.
    #[inline(always)]
    unsafe fn four(self, q: &[Q], rows: [&[T]; 4]) -> [f32; 4] {
        let [a, b, c, d] = rows;
        // SAFETY: lengths as the caller says.
        let a = unsafe { self.one(q, a) };
        // SAFETY: as above.
        let b = unsafe { self.one(q, b) };
        // SAFETY: as above.
        let c = unsafe { self.one(q, c) };
        // SAFETY: as above.
        let d = unsafe { self.one(q, d) };
        [a, b, c, d]
    }
}

type Gather<Q, T> = unsafe fn(&[Q], Rows<'_, T>, &[u32], &mut [f32]);

/// The four functions of a kernel. Calling one needs the instruction set it was compiled for; shapes are checked inside.
pub(crate) struct Doors<Q, T> {
    pub(crate) pair: unsafe fn(&[Q], &[T]) -> f32,
    pub(crate) gather: Gather<Q, T>,
    pub(crate) scan: unsafe fn(&[Q], Rows<'_, T>, &mut [f32]),
    pub(crate) tile: unsafe fn(Rows<'_, Q>, Rows<'_, T>, &mut [f32]),
}

impl<Q, T> Doors<Q, T> {
    /// The doors around `P`.
    pub(crate) const fn of<P: Pairs<Q, T>>() -> Doors<Q, T> {
        Doors { pair: pair::<P, Q, T>, gather: gather::<P, Q, T>, scan: scan::<P, Q, T>, tile: tile::<P, Q, T> }
    }
}

impl<Q, T> Clone for Doors<Q, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<Q, T> Copy for Doors<Q, T> {}

/// Bytes of rows that every query of a tile visits before the next rows come: half of a first-level cache of 32 KiB.
const TILE_BYTES: usize = 16 * 1024;

/// # Safety
/// - The processor has the instruction set of `P`.
unsafe fn pair<P: Pairs<Q, T>, Q, T>(q: &[Q], x: &[T]) -> f32 {
    assert!(q.len() == P::PARTS * x.len(), "query of dimension {}, row of dimension {}", q.len(), x.len());
    // SAFETY: the instruction set is present, by the caller.
    let p = unsafe { P::new() };
    p.run(
        #[inline(always)]
        // SAFETY: fitting lengths, asserted above.
        || unsafe { p.one(q, x) },
    )
}

/// # Safety
/// - The processor has the instruction set of `P`.
unsafe fn gather<P: Pairs<Q, T>, Q, T>(q: &[Q], rows: Rows<'_, T>, ids: &[u32], out: &mut [f32]) {
    check_query::<P, Q, T>(q, rows);
    assert!(ids.len() == out.len(), "{} ids, room for {} values", ids.len(), out.len());
    // SAFETY: the instruction set is present, by the caller.
    let p = unsafe { P::new() };
    p.run(
        #[inline(always)]
        || gather_in(p, q, rows, ids, out),
    );
}

/// # Safety
/// - The processor has the instruction set of `P`.
unsafe fn scan<P: Pairs<Q, T>, Q, T>(q: &[Q], rows: Rows<'_, T>, out: &mut [f32]) {
    check_query::<P, Q, T>(q, rows);
    assert!(rows.len() == out.len(), "{} rows, room for {} values", rows.len(), out.len());
    // SAFETY: the instruction set is present, by the caller.
    let p = unsafe { P::new() };
    p.run(
        #[inline(always)]
        || scan_in(p, q, rows, out),
    );
}

/// # Safety
/// - The processor has the instruction set of `P`.
unsafe fn tile<P: Pairs<Q, T>, Q, T>(queries: Rows<'_, Q>, rows: Rows<'_, T>, out: &mut [f32]) {
    assert!(
        queries.dim() == P::PARTS * rows.dim(),
        "queries of dimension {}, rows of dimension {}",
        queries.dim(),
        rows.dim()
    );
    let room = queries.len().checked_mul(rows.len());
    assert!(room == Some(out.len()), "{} queries, {} rows, room for {}", queries.len(), rows.len(), out.len());
    // SAFETY: the instruction set is present, by the caller.
    let p = unsafe { P::new() };
    p.run(
        #[inline(always)]
        || tile_in(p, queries, rows, out),
    );
}

/// How a gather prefetches: this many rows before a row is needed, this many of its cache lines.
///
/// About a hundred lines under way keep the memory busy without pushing one another out. Measured on Zen 5 (`measure cold`,
/// 32 ids a call, ns per distance without and with): `u8` 128 dimensions 98 and 13, `bf16` 384 dimensions 64 and 36, `f32`
/// 25 dimensions 19 and 14. Long rows of `f32` are so little work for each line that the processor runs ahead far enough
/// alone, and prefetching only delays its own loads: 384 dimensions 55 and 60.
struct Ahead {
    rows: usize,
    lines: usize,
}

impl Ahead {
    #[inline(always)]
    fn of<T>(rows: Rows<'_, T>) -> Ahead {
        let (rows, lines) = match (rows.dim() * size_of::<T>()).div_ceil(LINE) {
            0..=2 => (32, 2),
            lines @ 3..=4 => (24, lines),
            lines @ 5..=8 => (12, lines),
            lines @ 9..=12 => (8, lines),
            _ if size_of::<T>() >= 4 => (0, 0),
            lines => (4, lines.min(16)),
        };
        Ahead { rows, lines }
    }
}

fn check_query<P: Pairs<Q, T>, Q, T>(q: &[Q], rows: Rows<'_, T>) {
    assert!(q.len() == P::PARTS * rows.dim(), "query of dimension {}, rows of dimension {}", q.len(), rows.dim());
}

#[inline(always)]
fn gather_in<Q, T, P: Pairs<Q, T>>(p: P, q: &[Q], rows: Rows<'_, T>, ids: &[u32], out: &mut [f32]) {
    let largest = ids.iter().fold(0, |a, &b| a.max(b));
    assert!(ids.is_empty() || (largest as usize) < rows.len(), "id {largest} of {} rows", rows.len());
    // SAFETY: every id is less than the number of rows, asserted above.
    let row = |id: u32| unsafe { rows.row_unchecked(id as usize) };
    let ahead = Ahead::of(rows);
    let (soon, later) = ids.split_at(ahead.rows.min(ids.len()));
    for &id in soon {
        rows.prefetch(id, ahead.lines);
    }
    let mut later = if ahead.lines > 0 { later } else { &[] }.chunks(4);
    let (fours, rest) = ids.as_chunks::<4>();
    let (out_fours, out_rest) = out.as_chunks_mut::<4>();
    for (ids, out) in fours.iter().zip(out_fours) {
        for &id in later.next().unwrap_or_default() {
            rows.prefetch(id, ahead.lines);
        }
        // SAFETY: rows are as long as the query asks, checked by `check_query`.
        *out = unsafe { p.four(q, ids.map(row)) };
    }
    for (&id, out) in rest.iter().zip(out_rest) {
        // SAFETY: as above.
        *out = unsafe { p.one(q, row(id)) };
    }
}

#[inline(always)]
fn scan_in<Q, T, P: Pairs<Q, T>>(p: P, q: &[Q], rows: Rows<'_, T>, out: &mut [f32]) {
    // SAFETY: called below for i < out.len(), which equals the number of rows, asserted in `scan` and kept by `tile_in`.
    let row = |i: usize| unsafe { rows.row_unchecked(i) };
    let (fours, rest) = out.as_chunks_mut::<4>();
    let done = fours.len() * 4;
    for (i, out) in fours.iter_mut().enumerate() {
        let i = 4 * i;
        // SAFETY: rows are as long as the query asks, checked by `check_query` or in `tile`.
        *out = unsafe { p.four(q, [row(i), row(i + 1), row(i + 2), row(i + 3)]) };
    }
    for (i, out) in rest.iter_mut().enumerate() {
        // SAFETY: as above.
        *out = unsafe { p.one(q, row(done + i)) };
    }
}

#[inline(always)]
fn tile_in<Q, T, P: Pairs<Q, T>>(p: P, queries: Rows<'_, Q>, rows: Rows<'_, T>, out: &mut [f32]) {
    let block = ((TILE_BYTES / (rows.stride() * size_of::<T>())) & !3).max(4);
    let mut start = 0;
    while start < rows.len() {
        let end = rows.len().min(start + block);
        for i in 0..queries.len() {
            let line = &mut out[i * rows.len()..][start..end];
            scan_in(p, queries.row(i), rows.slice(start..end), line);
        }
        start = end;
    }
}
