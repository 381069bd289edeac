//! A view of rows in one slice: `n` rows, `stride` elements apart, of which the first `dim` count.

use std::ops::Range;

/// Bytes in a cache line, as far as prefetching is concerned.
pub(crate) const LINE: usize = 64;

/// `n` rows of `dim` elements, each beginning `stride` elements after the one before it. `Copy`, two words and a slice.
///
/// Elements between `dim` and `stride` are never read.
///
/// ```
/// let table = [1, 2, 0, 3, 4, 0];
/// let rows = ann_simd::Rows::new(&table, 2, 3);
/// assert_eq!((rows.len(), rows.row(1)), (2, &[3, 4][..]));
/// ```
#[derive(Debug)]
pub struct Rows<'a, T> {
    data: &'a [T],
    dim: usize,
    stride: usize,
    len: usize,
}

impl<'a, T> Rows<'a, T> {
    /// Views `data` as rows of `dim` elements, `stride` apart.
    ///
    /// # Panics
    /// When `stride` is zero or less than `dim`, or does not divide the length of `data`.
    #[must_use]
    pub fn new(data: &'a [T], dim: usize, stride: usize) -> Rows<'a, T> {
        assert!(stride > 0 && stride >= dim, "stride {stride} is less than the dimension {dim}, or zero");
        let len = data.len() / stride;
        assert!(len * stride == data.len(), "{} elements are not a multiple of the stride {stride}", data.len());
        Rows { data, dim, stride, len }
    }

    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Elements of a row that count.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Elements from the beginning of a row to the beginning of the next.
    #[must_use]
    pub fn stride(&self) -> usize {
        self.stride
    }

    /// The `i`-th row: `dim` elements.
    ///
    /// # Panics
    /// When `i` is not less than the number of rows.
    #[must_use]
    pub fn row(&self, i: usize) -> &'a [T] {
        assert!(i < self.len, "row {i} of {} rows", self.len);
        // SAFETY: i < len, asserted above.
        unsafe { self.row_unchecked(i) }
    }

    /// The rows of a range, without copying.
    ///
    /// # Panics
    /// When the range does not lie within the rows.
    #[must_use]
    pub fn slice(&self, range: Range<usize>) -> Rows<'a, T> {
        assert!(range.start <= range.end && range.end <= self.len, "rows {range:?} of {} rows", self.len);
        // The last row may end before its stride does, see `columns`.
        let ends = |row: usize| (row * self.stride).min(self.data.len());
        let data = &self.data[ends(range.start)..ends(range.end)];
        Rows { data, dim: self.dim, stride: self.stride, len: range.len() }
    }

    /// The columns of a range of every row, without copying.
    ///
    /// ```
    /// let table = [1, 2, 3, 4, 5, 6];
    /// let rows = ann_simd::Rows::new(&table, 3, 3).columns(1..3);
    /// assert_eq!((rows.len(), rows.row(0), rows.row(1)), (2, &[2, 3][..], &[5, 6][..]));
    /// ```
    ///
    /// # Panics
    /// When the range does not lie within the elements that count.
    #[must_use]
    pub fn columns(&self, range: Range<usize>) -> Rows<'a, T> {
        assert!(range.start <= range.end && range.end <= self.dim, "columns {range:?} of {} columns", self.dim);
        // The last row ends `start` elements early, but not before `range.end` <= stride.
        let data = &self.data[range.start.min(self.data.len())..];
        Rows { data, dim: range.len(), stride: self.stride, len: self.len }
    }

    /// Asks the processor to bring the first `lines` cache lines of row `id` near. A hint without effect on any result: an
    /// id out of range is allowed and wasted, lines past the row's end are not fetched.
    #[inline(always)]
    pub fn prefetch(self, id: u32, lines: usize) {
        self.prefetch_lines(id, 0..lines);
    }

    /// As [`Rows::prefetch`], for the cache lines `lines` of the row: a long row is better asked for little by little, since a
    /// processor keeps few lines under way and waits while it can take no more.
    #[inline(always)]
    pub fn prefetch_lines(self, id: u32, lines: Range<usize>) {
        // The address may lie outside of the slice; it is never dereferenced, so wrapping arithmetic is all it needs.
        let start = self.data.as_ptr().wrapping_add((id as usize).wrapping_mul(self.stride)).cast::<u8>();
        let end = lines.end.min((self.dim * size_of::<T>()).div_ceil(LINE));
        for line in lines.start..end {
            prefetch_line(start.wrapping_add(line * LINE));
        }
    }

    /// The `i`-th row, unchecked.
    ///
    /// # Safety
    /// - `i` is less than the number of rows.
    #[inline(always)]
    pub(crate) unsafe fn row_unchecked(&self, i: usize) -> &'a [T] {
        let start = i * self.stride;
        // SAFETY: start + dim <= (len - 1) * stride + dim <= data.len(), by i < len and `Rows::new`; `columns` takes as many
        // elements off the front as `dim` loses at least, `slice` ends with whole strides or where the data did.
        unsafe { self.data.get_unchecked(start..start + self.dim) }
    }
}

impl<'a> Rows<'a, u8> {
    /// The first `dim` bytes of every row, read as signed numbers.
    ///
    /// # Panics
    /// When `dim` is more than the rows have.
    ///
    /// ```
    /// let rows = ann_simd::Rows::new(&[255, 3, 9, 1, 254, 9], 3, 3).signed(2);
    /// assert_eq!((rows.row(0), rows.row(1)), (&[-1, 3][..], &[1, -2][..]));
    /// ```
    #[must_use]
    pub fn signed(self, dim: usize) -> Rows<'a, i8> {
        assert!(dim <= self.dim, "{dim} of {} bytes", self.dim);
        Rows { data: bytemuck::cast_slice(self.data), dim, stride: self.stride, len: self.len }
    }
}

impl<'a> Rows<'a, u8> {
    /// The first `dim` words of 64 bits of every row, lowest byte first; `None` if rows do not begin at words.
    ///
    /// # Panics
    /// When `8 * dim` is more than the bytes that the rows have.
    ///
    /// ```
    /// let table = ann_simd::Buffer::from_slice(&[1_u8, 0, 0, 0, 0, 0, 0, 0, 9, 9, 9, 9, 9, 9, 9, 9]);
    /// let rows = ann_simd::Rows::new(&table, 8, 16).words(1);
    /// assert_eq!(rows.map(|rows| rows.row(0)[0].to_le()), Some(1));
    /// ```
    #[must_use]
    pub fn words(self, dim: usize) -> Option<Rows<'a, u64>> {
        assert!(8 * dim <= self.dim, "{dim} words in {} bytes", self.dim);
        if !self.stride.is_multiple_of(8) {
            return None;
        }
        let data = bytemuck::try_cast_slice(self.data).ok()?;
        Some(Rows { data, dim, stride: self.stride / 8, len: self.len })
    }
}

impl<T> Clone for Rows<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Rows<'_, T> {}

/// Asks for the line that holds `address`.
#[inline(always)]
fn prefetch_line(address: *const u8) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch never faults, whatever the address; SSE is part of every x86-64 target.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) };
    }
    #[cfg(target_arch = "aarch64")]
    {
        // SAFETY: PRFM never faults, whatever the address, and changes neither registers nor memory.
        unsafe {
            std::arch::asm!("prfm pldl1keep, [{}]", in(reg) address, options(nostack, preserves_flags, readonly))
        };
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let _ = address;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slice_of_rows_keeps_stride_and_content() {
        let table: Vec<u8> = (0..20).collect();
        let rows = Rows::new(&table, 3, 5).slice(1..3);
        assert_eq!((rows.len(), rows.stride(), rows.row(0), rows.row(1)), (2, 5, &[5, 6, 7][..], &[10, 11, 12][..]));
    }

    #[test]
    fn columns_of_slices_and_slices_of_columns_agree() {
        let table: Vec<u8> = (0..20).collect();
        let rows = Rows::new(&table, 4, 5);
        let (a, b) = (rows.slice(1..4).columns(2..4), rows.columns(2..4).slice(1..4));
        for i in 0..3 {
            assert_eq!((a.row(i), a.row(i)), (b.row(i), &table[5 * i + 7..5 * i + 9]));
        }
        assert_eq!(rows.columns(3..4).signed(1).row(3), [18]);
        assert!(Rows::<u8>::new(&[], 4, 5).columns(2..4).is_empty());
    }

    #[test]
    fn prefetch_takes_any_id() {
        let rows = Rows::new(&[1.0_f32; 8], 4, 4);
        rows.prefetch(0, 1);
        rows.prefetch(u32::MAX, usize::MAX);
    }

    #[test]
    #[should_panic(expected = "row 2 of 2 rows")]
    fn row_past_the_end_panics() {
        let _ = Rows::new(&[0_u8; 8], 4, 4).row(2);
    }

    #[test]
    #[should_panic(expected = "not a multiple")]
    fn ragged_table_panics() {
        let _ = Rows::new(&[0_u8; 7], 2, 4);
    }
}
