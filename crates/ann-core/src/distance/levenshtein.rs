//! Levenshtein distance: insertions, deletions and substitutions that turn one sequence into the other.
//!
//! A column of the edit-distance table changes by -1, 0 or +1 from cell to cell, so it is kept as two bit vectors and
//! advanced by word arithmetic: 64 cells in about fifteen instructions. Patterns up to 64 symbols take one word and no
//! allocation; longer ones take a column of words, the horizontal change being carried from each to the next.
//!
//! Sources: Myers, *A fast bit-vector algorithm for approximate string matching based on dynamic programming*, J. ACM
//! 46(3), 1999; in the form of Hyyrö, *A bit-vector algorithm for computing Levenshtein and Damerau edit distances*,
//! Nordic J. Computing 10, 2003. Common prefixes and suffixes are cut off first. Normalised form: Li and Liu,
//! *A normalized Levenshtein distance metric*, IEEE TPAMI 29(6), 2007.
//! Cost: ⌈m/64⌉·n word steps for lengths m ≤ n.

use super::Distance;

/// Number of edits between two sequences. A metric; exact up to 2^24 edits.
///
/// On `str` an edit changes one Unicode scalar value (`char`); nothing is normalised, so "é" as one `char` and as "e"
/// with a combining accent differ. On slices of a [`Symbol`] an edit changes one element; for bytes of text, use
/// `str::as_bytes`.
///
/// ```
/// use ann_core::distance::{Distance, Levenshtein};
///
/// assert_eq!(Levenshtein.eval("kitten", "sitting"), 3.0);
/// assert_eq!(Levenshtein.eval("Škoda", "Skoda"), 1.0);
/// assert_eq!(Levenshtein.eval("Škoda".as_bytes(), "Skoda".as_bytes()), 2.0);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Levenshtein;

/// 2·e/(m+n+e) for e edits between sequences of m and n symbols, in 0..=1. A metric, which e/max(m,n) is not.
///
/// ```
/// use ann_core::distance::{Distance, NormalizedLevenshtein};
///
/// assert_eq!(NormalizedLevenshtein.eval("ab", "ac"), 2.0 / 5.0);
/// assert_eq!(NormalizedLevenshtein.eval("", "ac"), 1.0);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NormalizedLevenshtein;

/// An element of a sequence that [`Levenshtein`] compares: `char` and the integers.
///
/// ```
/// use ann_core::distance::Symbol;
///
/// assert_ne!((-1i16).code(), (-2i16).code());
/// ```
pub trait Symbol: Copy + Eq + Send + Sync + 'static {
    /// A number that is equal for equal symbols alone.
    fn code(self) -> u64;
}

macro_rules! symbols {
    ($($t:ty)*) => {$(impl Symbol for $t { fn code(self) -> u64 { self as u64 } })*};
}
symbols!(char u8 i8 u16 i16 u32 i32 u64 i64);

impl<T: Symbol> Distance<[T]> for Levenshtein {
    fn is_metric(&self) -> bool {
        true
    }

    fn eval(&self, a: &[T], b: &[T]) -> f32 {
        edits(a, b) as f32
    }
}

impl Distance<str> for Levenshtein {
    fn is_metric(&self) -> bool {
        true
    }

    fn eval(&self, a: &str, b: &str) -> f32 {
        str_edits(a, b).0 as f32
    }
}

impl<T: Symbol> Distance<[T]> for NormalizedLevenshtein {
    fn is_metric(&self) -> bool {
        true
    }

    fn eval(&self, a: &[T], b: &[T]) -> f32 {
        normalize(edits(a, b), a.len() + b.len())
    }
}

impl Distance<str> for NormalizedLevenshtein {
    fn is_metric(&self) -> bool {
        true
    }

    fn eval(&self, a: &str, b: &str) -> f32 {
        let (edits, lengths) = str_edits(a, b);
        normalize(edits, lengths)
    }
}

fn normalize(edits: usize, lengths: usize) -> f32 {
    if edits == 0 { 0.0 } else { (2.0 * edits as f64 / (lengths + edits) as f64) as f32 }
}

/// Edits between two strings, and the sum of their lengths in `char`s.
fn str_edits(a: &str, b: &str) -> (usize, usize) {
    // ASCII bytes are their own scalar values.
    if a.is_ascii() && b.is_ascii() {
        return (edits(a.as_bytes(), b.as_bytes()), a.len() + b.len());
    }
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    (edits(&a, &b), a.len() + b.len())
}

fn edits<T: Symbol>(a: &[T], b: &[T]) -> usize {
    let (pattern, text) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    let (pattern, text) = without_common_ends(pattern, text);
    match pattern.len() {
        0 => text.len(),
        1..=64 => edits_in_one_word(pattern, text),
        _ => edits_in_words(pattern, text),
    }
}

fn without_common_ends<'a, T: Eq>(a: &'a [T], b: &'a [T]) -> (&'a [T], &'a [T]) {
    let prefix = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    let (a, b) = (&a[prefix..], &b[prefix..]);
    let suffix = a.iter().rev().zip(b.iter().rev()).take_while(|(x, y)| x == y).count();
    (&a[..a.len() - suffix], &b[..b.len() - suffix])
}

/// 64 cells of one column of the table: bit i of `plus` (`minus`) says that cell i exceeds (falls short of) the cell
/// above it by one.
#[derive(Clone, Copy)]
struct Cells {
    plus: u64,
    minus: u64,
}

impl Cells {
    /// The first column: every cell one above its upper neighbour.
    const FIRST: Self = Self { plus: !0, minus: 0 };

    /// Moves on to the next column. `equal`: which pattern symbols equal the text's; `carry`: the change from the last
    /// column to this one in the row above the first cell. Returns that change in each row, as plus and minus bits.
    fn advance(&mut self, equal: u64, carry: Carry) -> (u64, u64) {
        let Self { plus, minus } = *self;
        let vertical = equal | minus;
        let equal = equal | carry.minus;
        let zero_diagonal = (((equal & plus).wrapping_add(plus)) ^ plus) | equal;
        let row_plus = minus | !(zero_diagonal | plus);
        let row_minus = plus & zero_diagonal;
        let above_plus = (row_plus << 1) | carry.plus;
        let above_minus = (row_minus << 1) | carry.minus;
        self.plus = above_minus | !(vertical | above_plus);
        self.minus = above_plus & vertical;
        (row_plus, row_minus)
    }
}

/// A horizontal change of +1 (`plus` = 1), -1 (`minus` = 1) or 0.
#[derive(Clone, Copy)]
struct Carry {
    plus: u64,
    minus: u64,
}

impl Carry {
    /// Above the first row, the table counts text symbols: one more in every column.
    const TOP: Self = Self { plus: 1, minus: 0 };
}

/// `pattern` has 1 to 64 symbols.
fn edits_in_one_word<T: Symbol>(pattern: &[T], text: &[T]) -> usize {
    // Open addressing at most half full; a slot is free while its mask is 0.
    const SLOTS: usize = 128;
    let (mut codes, mut masks) = ([0u64; SLOTS], [0u64; SLOTS]);
    let slot_of = |codes: &[u64; SLOTS], masks: &[u64; SLOTS], code: u64| {
        // Fibonacci hashing: the upper seven bits of a multiplication by 2^64/φ.
        let mut slot = (code.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 57) as usize;
        while masks[slot] != 0 && codes[slot] != code {
            slot = (slot + 1) % SLOTS;
        }
        slot
    };
    for (i, symbol) in pattern.iter().enumerate() {
        let slot = slot_of(&codes, &masks, symbol.code());
        codes[slot] = symbol.code();
        masks[slot] |= 1 << i;
    }
    let last = pattern.len() - 1;
    let mut cells = Cells::FIRST;
    let mut edits = pattern.len();
    for symbol in text {
        let equal = masks[slot_of(&codes, &masks, symbol.code())];
        let (plus, minus) = cells.advance(equal, Carry::TOP);
        // Starts at |pattern| and falls at most once per column, from a cell that is never negative.
        edits = edits + (plus >> last & 1) as usize - (minus >> last & 1) as usize;
    }
    edits
}

/// `pattern` of any length above 0.
fn edits_in_words<T: Symbol>(pattern: &[T], text: &[T]) -> usize {
    let words = pattern.len().div_ceil(64);
    let mut codes: Vec<u64> = pattern.iter().map(|symbol| symbol.code()).collect();
    codes.sort_unstable();
    codes.dedup();
    // One row of `words` masks per distinct symbol, and a row of zeros for symbols that the pattern lacks.
    let mut masks = vec![0u64; (codes.len() + 1) * words];
    let row_of = |code: u64| codes.binary_search(&code).unwrap_or(codes.len()) * words;
    for (i, symbol) in pattern.iter().enumerate() {
        masks[row_of(symbol.code()) + i / 64] |= 1 << (i % 64);
    }
    let last = (pattern.len() - 1) % 64;
    let mut column = vec![Cells::FIRST; words];
    let mut edits = pattern.len();
    for symbol in text {
        let row = row_of(symbol.code());
        let mut carry = Carry::TOP;
        let (mut plus, mut minus) = (0, 0);
        for (cells, &equal) in column.iter_mut().zip(&masks[row..row + words]) {
            (plus, minus) = cells.advance(equal, carry);
            carry = Carry { plus: plus >> 63, minus: minus >> 63 };
        }
        edits = edits + (plus >> last & 1) as usize - (minus >> last & 1) as usize;
    }
    edits
}
