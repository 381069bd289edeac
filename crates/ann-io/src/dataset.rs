//! A benchmark's data set: base rows, queries, a metric and the exact neighbours.
//!
//! Three kinds of points occur in ann-benchmarks (M. Aumüller, E. Bernhardsson, A. Faithfull, *ANN-Benchmarks*,
//! Information Systems 87, 2020, arXiv:1807.05614): dense vectors, bit vectors under Hamming distance, and sets under
//! Jaccard distance. Reading and writing their HDF5 files is in `hdf5`.

use ann_core::{GroundTruth, Matrix, Metric, ShapeError};

/// Base rows, queries and, where known, the nearest base rows of every query.
///
/// ```
/// use ann_core::{Matrix, Metric};
/// use ann_io::{Dataset, Points};
/// let rows = |values: Vec<f32>| Matrix::new(values, 2).map(Points::Dense);
/// let dataset = Dataset {
///     name: "tiny".to_owned(),
///     metric: Metric::L2,
///     train: rows(vec![0.0, 0.0, 3.0, 4.0])?,
///     test: rows(vec![0.0, 1.0])?,
///     truth: None,
/// };
/// assert_eq!((dataset.train.len(), dataset.train.dim()), (2, 2));
/// # Ok::<(), ann_core::ShapeError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    /// The file's name without extension, `sift-128-euclidean` for instance.
    pub name: String,
    /// How points are compared.
    pub metric: Metric,
    /// The base rows, which an index is built over.
    pub train: Points,
    /// The queries, of the same kind and dimension.
    pub test: Points,
    /// Base rows nearest to each query, with distances as [`Metric::reported`] gives them.
    pub truth: Option<GroundTruth>,
}

/// Points of one of the kinds that the metrics compare.
///
/// ```
/// use ann_io::{IdSets, Points};
/// let sets = Points::Sets(IdSets::from_sets(&[vec![3, 1], vec![]]));
/// assert_eq!((sets.len(), sets.dim()), (2, 4));
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Points {
    /// Vectors of floats.
    Dense(Matrix<f32>),
    /// Vectors of bits, for Hamming distance.
    Bits(BitRows),
    /// Sets of ids, for Jaccard distance.
    Sets(IdSets),
}

impl Points {
    /// Number of points.
    pub fn len(&self) -> usize {
        match self {
            Self::Dense(matrix) => matrix.len(),
            Self::Bits(bits) => bits.words().len(),
            Self::Sets(sets) => sets.len(),
        }
    }

    /// Whether there are no points.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Columns of vectors, bits of bit vectors, one more than the greatest id of sets.
    pub fn dim(&self) -> usize {
        match self {
            Self::Dense(matrix) => matrix.dim(),
            Self::Bits(bits) => bits.bits(),
            Self::Sets(sets) => sets.universe(),
        }
    }

    /// The float vectors, if these are such.
    pub fn dense(&self) -> Option<&Matrix<f32>> {
        match self {
            Self::Dense(matrix) => Some(matrix),
            _ => None,
        }
    }
}

/// Rows of bits, packed: bit `j` of a row is bit `j % 64` of its word `j / 64`; bits beyond the last are 0.
///
/// ```
/// use ann_io::BitRows;
/// let rows = BitRows::pack(&[1, 0, 1, 0, 1, 1], 3)?;
/// assert_eq!(rows.words().as_slice(), [0b101, 0b110]);
/// assert_eq!(rows.unpack(1).collect::<Vec<_>>(), [false, true, true]);
/// # Ok::<(), ann_core::ShapeError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct BitRows {
    words: Matrix<u64>,
    bits: usize,
}

impl BitRows {
    /// Packs rows of `bits` bytes, where 0 is a 0 and everything else a 1.
    ///
    /// # Errors
    /// [`ShapeError`] if the bytes do not form whole rows.
    pub fn pack(bytes: &[u8], bits: usize) -> Result<Self, ShapeError> {
        let rows = ann_core::MatrixView::new(bytes, bits)?;
        let mut words = Vec::with_capacity(rows.len() * bits.div_ceil(64));
        rows.rows().for_each(|row| pack_row(row, &mut words));
        Self::from_words(words, bits)
    }

    /// Takes rows of `bits.div_ceil(64)` words, whose surplus bits the caller has left 0.
    pub(crate) fn from_words(words: Vec<u64>, bits: usize) -> Result<Self, ShapeError> {
        Ok(Self { words: Matrix::new(words, bits.div_ceil(64))?, bits })
    }

    /// The packed rows, `(n, bits.div_ceil(64))`.
    pub fn words(&self) -> &Matrix<u64> {
        &self.words
    }

    /// Bits per row.
    pub fn bits(&self) -> usize {
        self.bits
    }

    /// The bits of row `i`, first to last.
    ///
    /// # Panics
    /// If there is no row `i`.
    pub fn unpack(&self, i: usize) -> impl Iterator<Item = bool> + '_ {
        let words = self.words.row(i).iter();
        words.flat_map(|&word| (0..64).map(move |bit| word >> bit & 1 == 1)).take(self.bits)
    }
}

/// Appends the words of one row of bytes.
pub(crate) fn pack_row(bytes: &[u8], words: &mut Vec<u64>) {
    let word = |bytes: &[u8]| bytes.iter().rev().fold(0, |word, &byte| word << 1 | u64::from(byte != 0));
    words.extend(bytes.chunks(64).map(word));
}

/// Sets of ids, each sorted and without repetitions, in one piece of memory.
///
/// ```
/// use ann_io::IdSets;
/// let sets = IdSets::from_sets(&[vec![5, 2, 2], vec![], vec![9]]);
/// assert_eq!(sets.get(0), Some([2, 5].as_slice()));
/// assert_eq!(sets.iter().map(<[u32]>::len).collect::<Vec<_>>(), [2, 0, 1]);
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct IdSets {
    ids: Vec<u32>,
    /// Where each set ends in `ids`.
    ends: Vec<usize>,
}

impl IdSets {
    /// Copies `sets`, in any order and with repetitions.
    pub fn from_sets<S: AsRef<[u32]>>(sets: &[S]) -> Self {
        let mut all = Self::default();
        sets.iter().for_each(|set| all.push(set.as_ref()));
        all
    }

    /// Appends a set, in any order and with repetitions.
    pub fn push(&mut self, ids: &[u32]) {
        let mut set = ids.to_vec();
        set.sort_unstable();
        set.dedup();
        self.ids.append(&mut set);
        self.ends.push(self.ids.len());
    }

    /// Number of sets.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are no sets.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Set `i`, ascending.
    pub fn get(&self, i: usize) -> Option<&[u32]> {
        let end = *self.ends.get(i)?;
        let start = i.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        self.ids.get(start..end)
    }

    /// All sets in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u32]> {
        (0..self.len()).map(|i| self.get(i).unwrap_or_default())
    }

    /// The ids of all sets, one set after another.
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// One more than the greatest id, 0 if there are none.
    pub fn universe(&self) -> usize {
        self.ids.iter().max().map_or(0, |&id| id as usize + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packing_and_unpacking_agree_across_word_boundaries() {
        for bits in [1, 63, 64, 65, 128, 130] {
            let bytes: Vec<u8> = (0..3 * bits).map(|i| u8::from(i * i % 7 < 3)).collect();
            let rows = BitRows::pack(&bytes, bits).unwrap();
            assert_eq!((rows.words().len(), rows.words().dim()), (3, bits.div_ceil(64)));
            let unpacked: Vec<u8> = (0..3).flat_map(|i| rows.unpack(i)).map(u8::from).collect();
            assert_eq!(unpacked, bytes, "{bits} bits");
        }
    }

    #[test]
    fn bits_beyond_the_last_are_zero() {
        let rows = BitRows::pack(&[1; 70], 70).unwrap();
        assert_eq!(rows.words().as_slice(), [u64::MAX, 0b11_1111]);
    }

    #[test]
    fn bytes_that_form_no_rows_are_refused() {
        assert!(BitRows::pack(&[1; 70], 64).is_err());
    }
}
