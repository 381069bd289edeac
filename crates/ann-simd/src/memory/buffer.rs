//! The vector of numbers all stores are made of.

use super::{
    mapping::Mapping,
    storage::{LINE, Line, Storage},
};
use bytemuck::Pod;
use std::{fmt, marker::PhantomData, mem::size_of, ops::Deref, ops::Range, ptr::NonNull, slice};

/// Bytes from which unused memory is given back.
const LARGE: usize = 1 << 12;

/// A vector of plain numbers, either owned (aligned to 64 bytes; to 2 MiB and on huge pages from 2 MiB on) or a window
/// of a shared [`Mapping`]. Reading is the same for both; the first write to a window copies it into owned memory.
///
/// `T` has a size of at least one byte and an alignment of at most 64, checked when compiling.
///
/// ```
/// use ann_simd::Buffer;
/// let mut rows = Buffer::zeroed(16);
/// rows.extend_from_slice(&[1.0f32; 16]);
/// assert_eq!((rows.len(), rows[15], rows[16]), (32, 0.0, 1.0));
/// assert_eq!(rows.as_ptr().addr() % 64, 0);
/// ```
pub struct Buffer<T> {
    /// First element: of `owner`'s memory, or dangling but aligned while `owner` is `Nothing`.
    start: NonNull<T>,
    /// Elements in use; all of them initialised, as is all memory of `owner` behind them.
    len: usize,
    owner: Owner,
    numbers: PhantomData<T>,
}

/// What keeps the memory behind [`Buffer::start`] alive.
enum Owner {
    Nothing,
    Storage(Storage),
    Mapping(Mapping),
}

// SAFETY: a buffer owns its numbers alone, or shares memory that nobody writes; `start` points to nothing else.
unsafe impl<T: Send> Send for Buffer<T> {}
// SAFETY: as above; `&Buffer` gives out `&[T]` only.
unsafe impl<T: Sync> Sync for Buffer<T> {}

impl<T: Pod> Buffer<T> {
    const SHAPE: () = assert!(size_of::<T>() > 0 && align_of::<T>() <= LINE);

    /// No elements and no allocation.
    pub const fn new() -> Buffer<T> {
        let () = Self::SHAPE;
        // Dangling, but aligned to 64 bytes like any other: an empty window of these bytes is aligned for every type.
        let start = NonNull::<Line>::dangling().cast();
        Buffer { start, len: 0, owner: Owner::Nothing, numbers: PhantomData }
    }

    /// No elements, and room for `capacity` of them.
    ///
    /// # Panics
    /// When `capacity` elements take more than `isize::MAX` bytes.
    pub fn with_capacity(capacity: usize) -> Buffer<T> {
        let mut buffer = Buffer::new();
        buffer.reserve(capacity);
        buffer
    }

    /// `len` zeros.
    ///
    /// # Panics
    /// When `len` elements take more than `isize::MAX` bytes.
    pub fn zeroed(len: usize) -> Buffer<T> {
        let mut buffer = Buffer::with_capacity(len);
        // Fresh storage is zero throughout, and zero bytes are a valid `Pod`.
        buffer.len = len;
        buffer
    }

    /// An owned copy of `elements`.
    pub fn from_slice(elements: &[T]) -> Buffer<T> {
        let mut buffer = Buffer::new();
        buffer.extend_from_slice(elements);
        buffer
    }

    /// The bytes of `byte_range` in `mapping`; conditions at [`Mapping::buffer`].
    pub(super) fn window(mapping: Mapping, byte_range: Range<usize>) -> Option<Buffer<T>> {
        let () = Self::SHAPE;
        let elements: &[T] = bytemuck::try_cast_slice(mapping.bytes().get(byte_range)?).ok()?;
        let (start, len) = (NonNull::from(elements).cast(), elements.len());
        Some(Buffer { start, len, owner: Owner::Mapping(mapping), numbers: PhantomData })
    }

    /// All elements.
    pub fn as_slice(&self) -> &[T] {
        self
    }

    /// All elements, for writing. Copies first if this is a window of a mapping.
    pub fn as_mut_slice(&mut self) -> &mut [T] {
        self.own(0);
        // SAFETY: `own` left us with storage of at least `len` initialised elements that nobody else refers to (or with
        // `len` zero), borrowed as long as `self` is.
        unsafe { slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }

    /// Appends one element; amortised constant time. Copies first if this is a window of a mapping.
    ///
    /// # Panics
    /// When the elements come to more than `isize::MAX` bytes.
    pub fn push(&mut self, element: T) {
        self.extend_from_slice(slice::from_ref(&element));
    }

    /// Appends `elements`; amortised linear in their number. Copies first if this is a window of a mapping.
    ///
    /// # Panics
    /// When the elements come to more than `isize::MAX` bytes.
    pub fn extend_from_slice(&mut self, elements: &[T]) {
        self.own(elements.len());
        // SAFETY: `own` left room for `elements.len()` more behind `len`, in storage that only `self` refers to, so
        // that the two ranges cannot overlap.
        unsafe { self.start.add(self.len).copy_from_nonoverlapping(NonNull::from(elements).cast(), elements.len()) };
        self.len += elements.len();
    }

    /// Makes the length `len`: drops elements from the end or appends copies of `value`. Growing copies first if this
    /// is a window of a mapping; shrinking only narrows the window.
    ///
    /// # Panics
    /// When `len` elements take more than `isize::MAX` bytes.
    pub fn resize(&mut self, len: usize, value: T) {
        let old = self.len;
        if len > old {
            self.own(len - old);
            // Memory behind the old length is initialised (zeros or earlier elements), so the length may go first.
            self.len = len;
            self.as_mut_slice()[old..].fill(value);
        }
        self.len = len;
    }

    /// Drops all elements behind the first `len`, if there are so many. Of a large buffer, gives memory back once more than a quarter
    /// would be unused: amortised constant time per element.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
        let (held, used) = (self.capacity_bytes(), size_of_val(self.as_slice()));
        if held >= LARGE && used < held / 4 * 3 {
            *self = Self::from_slice(self.as_slice());
        }
    }

    /// Drops all elements. Keeps the memory.
    pub fn clear(&mut self) {
        self.len = 0;
    }

    /// Makes room for `additional` more elements, so that appending them does not move the others. Copies first if this
    /// is a window of a mapping.
    ///
    /// # Panics
    /// When the elements come to more than `isize::MAX` bytes.
    pub fn reserve(&mut self, additional: usize) {
        self.own(additional);
    }

    /// Whether this is a window of a [`Mapping`], to be copied at the first write.
    pub fn is_mapped(&self) -> bool {
        matches!(self.owner, Owner::Mapping(_))
    }

    /// Bytes of memory this buffer owns; 0 for a window of a mapping. Of a large buffer only the pages ever written
    /// are backed by memory.
    pub fn capacity_bytes(&self) -> usize {
        match &self.owner {
            Owner::Storage(storage) => storage.bytes(),
            Owner::Nothing | Owner::Mapping(_) => 0,
        }
    }

    /// Bytes of memory that are there for this buffer: what it owns, or its part of a [`Mapping`] that was read into
    /// memory; 0 for a window of a mapped file.
    pub fn memory_bytes(&self) -> usize {
        match &self.owner {
            Owner::Mapping(mapping) if mapping.is_in_memory() => size_of_val(self.as_slice()),
            _ => self.capacity_bytes(),
        }
    }

    /// Afterwards the buffer is not a window, and has room for `additional` more elements.
    fn own(&mut self, additional: usize) {
        let room = self.capacity_bytes() / size_of::<T>();
        // A window has no room of its own but owes a copy even when nothing is appended.
        if additional <= room.saturating_sub(self.len) && !(self.is_mapped() && self.len > 0) {
            if self.is_mapped() {
                *self = Buffer::new();
            }
            return;
        }
        self.relocate(additional);
    }

    #[cold]
    fn relocate(&mut self, additional: usize) {
        let bytes = self.len.checked_add(additional).and_then(|needed| needed.checked_mul(size_of::<T>()));
        let Some(needed) = bytes.filter(|&bytes| isize::try_from(bytes).is_ok()) else {
            panic!("capacity overflow: {} + {additional} elements of {} bytes", self.len, size_of::<T>());
        };
        // Doubling makes appending amortised constant. It cannot overflow: allocations are at most isize::MAX bytes.
        let mut storage = Storage::zeroed(needed.max(2 * self.capacity_bytes()));
        let start = storage.start().cast::<T>();
        // SAFETY: the new memory is ours alone, aligned for `T` (`SHAPE`) and holds at least `len` elements; the old
        // memory holds `len` initialised elements and is released only below.
        unsafe { start.copy_from_nonoverlapping(self.start, self.len) };
        self.start = start;
        self.owner = Owner::Storage(storage);
    }
}

impl<T> Deref for Buffer<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        // SAFETY: `start` is aligned and has `len` initialised elements behind it, kept alive by `owner` and written by
        // nobody while `self` is borrowed.
        unsafe { slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

/// A copy of an owned buffer, without its spare room; another reference to a mapped one.
impl<T: Pod> Clone for Buffer<T> {
    fn clone(&self) -> Buffer<T> {
        match &self.owner {
            Owner::Mapping(mapping) => Buffer {
                start: self.start,
                len: self.len,
                owner: Owner::Mapping(mapping.clone()),
                numbers: PhantomData,
            },
            Owner::Nothing | Owner::Storage(_) => Buffer::from_slice(self),
        }
    }
}

impl<T: Pod> Default for Buffer<T> {
    fn default() -> Buffer<T> {
        Buffer::new()
    }
}

impl<T: PartialEq> PartialEq for Buffer<T> {
    fn eq(&self, other: &Buffer<T>) -> bool {
        **self == **other
    }
}

/// Shows the length only.
impl<T> fmt::Debug for Buffer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffer").field("len", &self.len).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::storage::HUGE_PAGE;
    use proptest::prelude::*;

    #[test]
    fn growth_keeps_contents_and_alignment_across_the_huge_page_boundary() {
        let mut buffer = Buffer::new();
        let mut moves = 0;
        let mut before = buffer.as_ptr();
        let count = 3 * HUGE_PAGE / 8 + 5;
        for value in 0..count as u64 {
            buffer.push(value);
            moves += usize::from(buffer.as_ptr() != before);
            before = buffer.as_ptr();
        }
        assert_eq!(buffer.len(), count);
        assert!(buffer.iter().copied().eq(0..count as u64));
        assert!(moves < 24, "{moves} moves are not amortised");
        if cfg!(not(any(target_arch = "wasm32", miri))) {
            assert_eq!(buffer.as_ptr().addr() % HUGE_PAGE, 0);
        }
    }

    #[test]
    fn large_zeroed_buffers_are_zero_and_aligned() {
        let buffer = Buffer::<f32>::zeroed(HUGE_PAGE / 4 + 1);
        assert!(buffer.iter().all(|&x| x.to_bits() == 0));
        assert_eq!(buffer.as_ptr().addr() % 64, 0);
        assert!(buffer.capacity_bytes() >= HUGE_PAGE + 4);
    }

    #[test]
    fn an_empty_buffer_allocates_nothing_and_is_usable() {
        let mut buffer = Buffer::<u64>::new();
        assert_eq!((buffer.len(), buffer.capacity_bytes(), buffer.is_mapped()), (0, 0, false));
        assert!(buffer.as_mut_slice().is_empty());
        buffer.extend_from_slice(&[]);
        buffer.resize(0, 1);
        assert!(buffer.clone().is_empty() && Buffer::<u64>::zeroed(0).is_empty());
        assert_eq!(format!("{buffer:?}"), "Buffer { len: 0, .. }");
    }

    #[test]
    #[should_panic(expected = "capacity overflow")]
    fn capacity_overflow_panics() {
        Buffer::<u64>::zeroed(usize::MAX / 8 + 1);
    }

    #[test]
    #[should_panic(expected = "capacity overflow")]
    fn length_overflow_panics() {
        let mut buffer = Buffer::from_slice(&[1u8, 2, 3]);
        buffer.reserve(usize::MAX - 1);
    }

    #[test]
    fn resize_after_shrinking_writes_the_value_not_the_old_elements() {
        let mut buffer = Buffer::from_slice(&[1u32, 2, 3, 4]);
        buffer.resize(1, 0);
        buffer.resize(4, 9);
        assert_eq!(buffer[..], [1, 9, 9, 9]);
    }

    #[test]
    fn a_clone_is_independent() {
        let mut one = Buffer::from_slice(&[1u8, 2, 3]);
        let two = one.clone();
        one.as_mut_slice()[0] = 9;
        assert_ne!(one, two);
        assert_eq!(two[..], [1, 2, 3]);
    }

    #[test]
    fn an_emptied_window_can_be_written() {
        let mapping = Mapping::from_bytes(Buffer::from_slice(&[7u8; 64]));
        let mut window: Buffer<u16> = mapping.buffer(0..64).unwrap();
        window.truncate(2);
        assert!(window.is_mapped());
        window.clear();
        assert!(window.as_mut_slice().is_empty());
        window.push(5);
        assert_eq!(window[..], [5]);
        assert_eq!(mapping.bytes(), [7; 64]);
    }

    #[test]
    fn buffers_cross_threads() {
        let buffer = Buffer::from_slice(&[1u64, 2, 3]);
        let sum: u64 = std::thread::scope(|scope| scope.spawn(|| buffer.iter().sum()).join().unwrap());
        assert_eq!(sum, 6);
        assert_eq!(std::thread::spawn(move || buffer.len()).join().unwrap(), 3);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Push(u32),
        Extend(Vec<u32>),
        Resize(usize, u32),
        Truncate(usize),
        Reserve(usize),
        Set(usize, u32),
        Clone,
        Share,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            any::<u32>().prop_map(Step::Push),
            prop::collection::vec(any::<u32>(), 0..50).prop_map(Step::Extend),
            (0..200usize, any::<u32>()).prop_map(|(len, value)| Step::Resize(len, value)),
            (0..200usize).prop_map(Step::Truncate),
            (0..200usize).prop_map(Step::Reserve),
            (0..200usize, any::<u32>()).prop_map(|(at, value)| Step::Set(at, value)),
            Just(Step::Clone),
            Just(Step::Share),
        ]
    }

    #[test]
    fn a_large_buffer_gives_back_what_it_does_not_use() {
        let mut buffer = Buffer::from_slice(&vec![7u64; 100_000]);
        buffer.truncate(80_000);
        assert!(buffer.capacity_bytes() >= 800_000, "a copy for a fifth");
        buffer.truncate(20_000);
        assert!(buffer.capacity_bytes() < 200_000 && buffer.as_slice() == [7; 20_000], "{}", buffer.capacity_bytes());
        buffer.push(8);
        assert_eq!((buffer.len(), buffer[20_000]), (20_001, 8));
    }

    proptest! {
        #[test]
        fn a_buffer_behaves_like_a_vector(steps in prop::collection::vec(step(), 0..60)) {
            let (mut buffer, mut vector) = (Buffer::new(), Vec::new());
            for step in steps {
                match step {
                    Step::Push(value) => (buffer.push(value), vector.push(value)).0,
                    Step::Extend(values) => (buffer.extend_from_slice(&values), vector.extend(values)).0,
                    Step::Resize(len, value) => (buffer.resize(len, value), vector.resize(len, value)).0,
                    Step::Truncate(len) => (buffer.truncate(len), vector.truncate(len)).0,
                    Step::Reserve(additional) => {
                        buffer.reserve(additional);
                        prop_assert!(buffer.capacity_bytes() >= 4 * (buffer.len() + additional));
                    }
                    Step::Set(at, value) if at < vector.len() => (buffer.as_mut_slice()[at] = value, vector[at] = value).0,
                    Step::Set(..) => {}
                    Step::Clone => buffer = buffer.clone(),
                    Step::Share => {
                        let bytes = Buffer::from_slice(bytemuck::cast_slice(&buffer));
                        buffer = Mapping::from_bytes(bytes).buffer(0..4 * buffer.len()).unwrap();
                    }
                }
                prop_assert_eq!(&buffer[..], &vector[..]);
                prop_assert_eq!(buffer.as_ptr().addr() % align_of::<u32>(), 0);
            }
        }
    }
}
