//! The index.

use crate::coarse::Centres;
use crate::codec::Codec;
use crate::lists::Lists;
use crate::{IvfParams, ListRows};
use ann_core::simd::lanes::LANES;
use ann_core::{Matrix, Metric, VectorStore};

/// Rows in lists by their nearest centre, of which a search looks through the nearest few.
///
/// Sivic and Zisserman, *Video Google*, ICCV 2003; with codes of what rows add to centres, Jégou, Douze and Schmid, *Product
/// quantization for nearest neighbor search*, TPAMI 2011 (IVFADC). Codes say which rows may be near, `S` measures those.
///
/// ```
/// use ann_core::{FlatStore, Matrix, Metric, Monitor, Par, Searcher};
/// use ann_partition::{Ivf, IvfParams, IvfSearch};
/// let rows = Matrix::new((0..4000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 22) as f32).collect(), 4)?;
/// let store = FlatStore::<f32>::from_rows(rows.view(), Metric::L2)?;
/// let params = IvfParams { nlist: 16, ..IvfParams::default() };
/// let index = Ivf::build(store, rows.view(), Metric::L2, &params, Par::Serial, Monitor::new())?;
/// let mut searcher = Searcher::new(&index, IvfSearch { nprobe: 4, ..IvfSearch::default() });
/// assert_eq!(searcher.search(rows.row(7), 1)?[0].id, 7);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Ivf<S> {
    pub(crate) params: IvfParams,
    pub(crate) metric: Metric,
    pub(crate) centres: Centres,
    pub(crate) codec: Codec,
    pub(crate) lists: Lists,
    pub(crate) store: S,
    /// Rows that the store is to measure for a search, beside those for each result.
    pub(crate) depth: usize,
}

impl<S: ListRows> Ivf<S> {
    /// How it was built.
    pub fn params(&self) -> &IvfParams {
        &self.params
    }

    /// The metric of its rows.
    pub fn metric(&self) -> Metric {
        self.metric
    }

    /// The rows behind the lists.
    pub fn store(&self) -> &S {
        &self.store
    }

    /// Number of lists.
    pub fn nlist(&self) -> usize {
        self.lists.len()
    }

    /// The centres of the lists, `(nlist, dim)`; under cosine those of normalised rows.
    pub fn centres(&self) -> Matrix<f32> {
        let rows = &self.centres.rows;
        let values = (0..rows.len() as u32).flat_map(|id| rows.row(id).iter().copied()).collect();
        Matrix::new(values, rows.dim()).unwrap_or_default()
    }

    /// The rows of list `list`, in no order that means anything.
    ///
    /// # Panics
    /// If there are not so many lists.
    pub fn list(&self, list: usize) -> impl Iterator<Item = u32> + '_ {
        self.lists.rows(list)
    }

    /// Rows of every list.
    pub fn list_sizes(&self) -> &[u32] {
        &self.lists.lens
    }

    /// `nlist Σ (size / n)²`, where `n` is the sum of sizes: 1 where all lists are equally long, `nlist` where one has every row.
    pub fn imbalance(&self) -> f64 {
        let squares: f64 = self.lists.lens.iter().map(|&len| f64::from(len) * f64::from(len)).sum();
        let n = self.lists.lens.iter().map(|&len| f64::from(len)).sum::<f64>();
        if n > 0.0 { squares / (n * n) * self.lists.len() as f64 } else { 1.0 }
    }

    /// The row `row` as its code has it, under cosine its direction; `None` without codes, or if there is no such row. Looks through all lists.
    pub fn reconstruct(&self, row: u32) -> Option<Vec<f32>> {
        let block_len = self.codec.block_len();
        for list in 0..self.nlist() {
            for run in self.lists.runs(list, usize::MAX) {
                let ids = &self.lists.ids[run.first * LANES..][..run.rows];
                let Some(at) = ids.iter().position(|&id| id == row) else { continue };
                let mut centre = vec![0.0; self.codec.transformed_len()];
                self.codec.transform_centre(self.centres.rows.row(list as u32), &mut centre);
                let block = &self.lists.codes[(run.first + at / LANES) * block_len..][..block_len];
                return self.codec.decode(&centre, block, at % LANES);
            }
        }
        None
    }

    /// The same lists over other rows of the same vectors; `None` if these are more or fewer.
    pub fn with_store<R: ListRows>(&self, store: R) -> Option<Ivf<R>> {
        let Self { params, metric, depth, .. } = *self;
        (store.len() == self.store.len()).then(|| Ivf {
            params,
            metric,
            depth,
            store,
            centres: self.centres.clone(),
            codec: self.codec.clone(),
            lists: self.lists.clone(),
        })
    }
}
