//! How an index is built, and how it is searched.

use crate::IvfError;
use ann_core::Limits;

/// What lies in a list for each of its rows.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "persist", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum ListCode {
    /// Its number alone: the store measures every row of a list.
    Rows,
    /// RaBitQ codes relative to the centre.
    Rabitq {
        /// Bits per coordinate, 1 to 8.
        bits: usize,
    },
    /// Product codes of what it adds to the centre.
    Pq {
        /// Groups of columns.
        m: usize,
        /// Bits per group: 4, which are scanned through registers, or 8.
        nbits: usize,
        /// Rounds that turn rows for better groups; `None` leaves them as they are.
        rotate: Option<usize>,
        /// How much more an error along a row counts than one across it, at least 1, and 1 under `L2`; `None` counts all alike.
        eta: Option<f32>,
    },
}

/// How an [`Ivf`](crate::Ivf) is built.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "persist", derive(serde::Serialize, serde::Deserialize))]
pub struct IvfParams {
    /// Lists, 1 to 16,777,216; as many as there are rows, if those are fewer.
    pub nlist: usize,
    /// What lies in them.
    pub code: ListCode,
    /// Iterations of k-means.
    pub iterations: usize,
    /// Rows that centres are learnt from, for each list.
    pub sample_per_list: usize,
    /// Most bytes of a copy of these rows: the budget of the training, beside its result.
    pub training_bytes: usize,
    /// Whether full lists are made dearer while rows are divided, so that lists stay alike.
    pub balanced: bool,
    /// Whether every row lies in a second list, whose error is none of the first one's, and how much dearer an error
    /// along the first one is: 1 to 1.5 in SOAR (Sun et al., arXiv:2404.00774). Rows have two codes then, and of the
    /// same number of lists a search scans twice the rows; half the lists find about as much.
    pub soar: Option<f32>,
    /// Where random choices come from.
    pub seed: u64,
}

impl Default for IvfParams {
    fn default() -> Self {
        Self {
            nlist: 1024,
            code: ListCode::Rabitq { bits: 2 },
            iterations: 10,
            sample_per_list: 64,
            training_bytes: 1 << 29,
            balanced: false,
            soar: None,
            seed: 0,
        }
    }
}

impl IvfParams {
    /// Lists of a row at the most.
    pub(crate) fn copies(&self) -> u8 {
        1 + u8::from(self.soar.is_some())
    }

    /// Whether every parameter is in its range.
    ///
    /// # Errors
    /// [`IvfError::Param`] for the first that is not. What codes ask of rows is checked when they are trained.
    pub fn check(&self) -> Result<(), IvfError> {
        let param = |name, found, must| Err(IvfError::Param { name, found, must });
        if !(1..=1 << 24).contains(&self.nlist) {
            return param("nlist", self.nlist, "1 to 16,777,216");
        }
        if self.sample_per_list == 0 {
            return param("sample_per_list", 0, "at least 1");
        }
        if self.soar.is_some_and(|lambda| !(0.0..=1e6).contains(&lambda)) {
            return param("soar", 0, "a number from 0 to 1,000,000");
        }
        match self.code {
            ListCode::Rabitq { bits } if !(1..=8).contains(&bits) => param("bits", bits, "1 to 8"),
            ListCode::Pq { nbits, .. } if nbits != 4 && nbits != 8 => param("nbits", nbits, "4 or 8"),
            _ => Ok(()),
        }
    }
}

/// How hard to look.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct IvfSearch {
    /// Lists that are scanned, at least 1; more where these hold fewer than `k` rows that may be returned.
    pub nprobe: usize,
    /// Whether `nprobe` is a mean: queries with many centres about as near look through up to twice as many lists, others through as few as half. That finds as much in fewer
    /// rows. All lists are all lists.
    pub adaptive: bool,
    /// Rows that the store measures, the nearest by code; `None` for what suits `k` and the codes, and of these only as many as the errors of
    /// estimates seen so far in a search ask for. Nothing without codes or without rows.
    pub rerank: Option<usize>,
    /// What a search may cost.
    pub limits: Limits,
}

impl Default for IvfSearch {
    fn default() -> Self {
        Self { nprobe: 8, adaptive: true, rerank: None, limits: Limits::default() }
    }
}
