//! Product quantization: columns in `m` groups, each group of a row replaced by the nearest of a small codebook.
//!
//! Jégou, Douze and Schmid, *Product quantization for nearest neighbor search*, TPAMI 2011, doi:10.1109/TPAMI.2010.57. A
//! query becomes a table of its distances to every centroid of every group, and the distance to a code is a sum of `m`
//! entries (asymmetric computation); [`Pq::symmetric`] gives the tables for two codes. Squared distances so estimated are
//! too small by the error of the code on average; adding it would make their order worse, so we do not. Under cosine
//! distances are half the squared ones: a product would take no notice of the norm that a code has lost, and finds 0.02
//! fewer of the nearest ten. Groups differ by at most one column where `m` does not divide their number.
//!
//! Cost: training `25 · 256 · 2^nbits · 2^nbits · dim` multiply-adds at the most, encoding `2^nbits dim`, a query the
//! same, a distance `m` additions; `⌈m nbits / 8⌉` bytes per row.

use crate::bits::{packed_len, read, write};
use crate::kmeans::{KMeansParams, lloyd, start};
use crate::nearest::Table;
use crate::training::{check_metric, check_rows, prepared};
use crate::{Quantizer, TrainError};
use ann_core::simd::{Arch, Kernel, Op, Rows};
use ann_core::{MAX_DIM, MatrixView, Metric, Par, ScratchPool, split_mix};
use std::borrow::Cow;

mod symmetric;
#[cfg(test)]
pub(crate) mod tests;

pub use symmetric::Symmetric;

/// How to train a [`Pq`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PqParams {
    /// Groups of columns, 1 to the number of columns.
    pub m: usize,
    /// Bits per group, 4 to 12: the codebooks have `2^nbits` centroids.
    pub nbits: usize,
    /// Iterations of k-means.
    pub iterations: usize,
    /// Where random choices come from.
    pub seed: u64,
    /// Most rows to train on; `None` for 256 of each centroid.
    pub sample: Option<usize>,
}

impl Default for PqParams {
    fn default() -> Self {
        Self { m: 8, nbits: 8, iterations: 25, seed: 0, sample: None }
    }
}

impl PqParams {
    /// Whether every parameter is in its range, for rows of `dim` columns.
    ///
    /// # Errors
    /// [`TrainError::Param`] for the first that is not.
    pub fn check(&self, dim: usize) -> Result<(), TrainError> {
        if dim == 0 || dim > MAX_DIM {
            return Err(TrainError::Param { name: "dim", found: dim, must: "1 to 1,048,576" });
        }
        if self.m == 0 || self.m > dim {
            return Err(TrainError::Param { name: "m", found: self.m, must: "1 to the number of columns" });
        }
        if !(4..=12).contains(&self.nbits) {
            return Err(TrainError::Param { name: "nbits", found: self.nbits, must: "4 to 12" });
        }
        Ok(())
    }

    /// Most rows to train on.
    pub(crate) fn sample_len(&self) -> usize {
        self.sample.unwrap_or(256 << self.nbits)
    }
}

/// A product quantizer.
///
/// ```
/// use ann_core::{Matrix, Metric, Par};
/// use ann_quant::{CodeStore, Pq, PqParams, Quantizer};
/// let rows = Matrix::new((0..600).map(|i| (i % 97) as f32).collect(), 6)?;
/// let pq = Pq::train(rows.view(), Metric::L2, &PqParams { m: 3, nbits: 4, ..Default::default() }, Par::Serial)?;
/// assert_eq!(pq.code_len(), 2);
/// let codes = CodeStore::from_rows(pq, rows.view(), Par::Serial)?;
/// let mut distances = vec![0.0; 100];
/// codes.scan(rows.row(7), &mut Default::default(), &mut distances);
/// assert!(distances[7] < 100.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Pq {
    metric: Metric,
    nbits: usize,
    /// First column of every group, and the number of columns.
    starts: Vec<usize>,
    /// Codebooks one after the other, each `(2^nbits, columns of the group)`.
    centroids: Vec<f32>,
    /// The same, to encode with.
    tables: Vec<Table>,
    /// Between a query and centroids.
    kernel: Kernel<f32, f32>,
    arch: Arch,
}

impl Pq {
    /// Trains codebooks on `rows`, `(n, dim)`, on the threads of `par`; the same on any number of them.
    ///
    /// # Errors
    /// [`TrainError`] if a parameter is out of range, the metric is none of `L2`, `InnerProduct` and `Cosine`, a row
    /// cannot be trained on, or there are fewer rows than centroids in a codebook.
    pub fn train(rows: MatrixView<'_, f32>, metric: Metric, params: &PqParams, par: Par) -> Result<Self, TrainError> {
        let sample = training_rows(rows, metric, params)?;
        let arch = Arch::detect()?;
        let starts = starts(rows.dim(), params.m);
        let centroids = par.install(|par| codebooks(&sample, &starts, params, None, arch, par));
        Self::from_codebooks(centroids, rows.dim(), params.m, params.nbits, metric)
    }

    /// A quantizer of codebooks as [`Self::codebooks`] gives them.
    ///
    /// # Errors
    /// [`TrainError`] if `m` or `nbits` are out of range for `dim` columns, the metric does not apply, or the codebooks
    /// are not `2^nbits dim` finite numbers.
    pub fn from_codebooks(
        centroids: Vec<f32>,
        dim: usize,
        m: usize,
        nbits: usize,
        metric: Metric,
    ) -> Result<Self, TrainError> {
        PqParams { m, nbits, ..PqParams::default() }.check(dim)?;
        if centroids.len() != dim << nbits {
            let found = centroids.len();
            return Err(TrainError::Param { name: "numbers of the codebooks", found, must: "2^nbits for each column" });
        }
        if let Some(found) = centroids.iter().position(|x| !x.is_finite()) {
            return Err(TrainError::Param { name: "place in the codebooks", found, must: "a finite number" });
        }
        let (arch, refused) = (Arch::detect()?, TrainError::Metric { metric, kind: Self::NAME });
        let op = match metric {
            Metric::L2 | Metric::Cosine => Op::SquaredL2,
            Metric::InnerProduct => Op::Dot,
            _ => return Err(refused),
        };
        let kernel = Kernel::new(arch, op).ok_or(refused)?;
        let starts = starts(dim, m);
        let tables = groups(&starts, &centroids, nbits).map(|(width, book)| Table::l2(arch, book, width)).collect();
        Ok(Self { metric, nbits, starts, centroids, tables, kernel, arch })
    }

    /// Groups of columns.
    pub fn m(&self) -> usize {
        self.starts.len() - 1
    }

    /// Bits per group.
    pub fn nbits(&self) -> usize {
        self.nbits
    }

    /// The codebooks one after the other, each `(2^nbits, columns of the group)`, row-major.
    pub fn codebooks(&self) -> &[f32] {
        &self.centroids
    }

    /// The centroids that a code names, in order of the groups.
    pub fn indices(&self, code: &[u8]) -> impl Iterator<Item = usize> {
        (0..self.m()).map(move |group| read(code, self.nbits, group))
    }

    /// The instruction set it was made for.
    pub(crate) fn arch(&self) -> Arch {
        self.arch
    }

    /// Columns and codebook of every group.
    pub(crate) fn groups(&self) -> impl Iterator<Item = (usize, &[f32])> {
        groups(&self.starts, &self.centroids, self.nbits)
    }

    /// The nearest centroid of every group.
    pub(crate) fn nearest(&self, vector: &[f32]) -> impl Iterator<Item = u32> {
        self.starts.windows(2).zip(&self.tables).map(|(range, table)| {
            let mut label = [0];
            table.nearest(&vector[range[0]..range[1]], &mut label);
            label[0]
        })
    }

    /// The columns of every group.
    pub(crate) fn ranges(&self) -> impl Iterator<Item = std::ops::Range<usize>> {
        self.starts.windows(2).map(|range| range[0]..range[1])
    }

    /// The nearest centroids of `group` for the columns of many rows that lie in it.
    pub(crate) fn nearest_in(&self, group: usize, columns: &[f32], labels: &mut [u32]) {
        self.tables[group].nearest(columns, labels);
    }

    /// `tables`, `(m, 2^nbits)`, become `times` what `kernel` gives for the parts of a query and centroids.
    pub(crate) fn tables(&self, query: &[f32], kernel: Kernel<f32, f32>, times: f32, tables: &mut Vec<f32>) {
        tables.resize(self.m() << self.nbits, 0.0);
        let by_group = tables.chunks_exact_mut(1 << self.nbits);
        for (((width, book), table), range) in self.groups().zip(by_group).zip(self.starts.windows(2)) {
            kernel.scan(&query[range[0]..range[1]], Rows::new(book, width, width), table);
            if times != 1.0 {
                table.iter_mut().for_each(|x| *x *= times);
            }
        }
    }

    /// Writes a code that names the given centroids.
    pub(crate) fn pack(&self, indices: impl Iterator<Item = u32>, code: &mut [u8]) {
        code.fill(0);
        for (group, index) in indices.enumerate() {
            write(code, self.nbits, group, index);
        }
    }
}

/// The rows to train on: checked, a sample, normalised under cosine.
pub(crate) fn training_rows<'a>(
    rows: MatrixView<'a, f32>,
    metric: Metric,
    params: &PqParams,
) -> Result<Cow<'a, [f32]>, TrainError> {
    params.check(rows.dim())?;
    check_metric(metric, Pq::NAME)?;
    check_rows(rows, metric)?;
    let found = rows.len().min(params.sample_len());
    if found < 1 << params.nbits {
        return Err(TrainError::TooFew { found, needed: 1 << params.nbits });
    }
    Ok(prepared(rows, metric, found, params.seed))
}

/// First column of each of `m` groups that differ by at most one column, and the number of columns.
pub(crate) fn starts(dim: usize, m: usize) -> Vec<usize> {
    (0..=m).map(|group| group * dim / m).collect()
}

fn groups<'a>(starts: &'a [usize], centroids: &'a [f32], nbits: usize) -> impl Iterator<Item = (usize, &'a [f32])> {
    starts.windows(2).map(move |range| (range[1] - range[0], &centroids[range[0] << nbits..range[1] << nbits]))
}

/// Codebooks for `rows`, group by group; from `warm` on if there are any.
pub(crate) fn codebooks(
    rows: &[f32],
    starts: &[usize],
    params: &PqParams,
    warm: Option<&[f32]>,
    arch: Arch,
    par: Par,
) -> Vec<f32> {
    let (m, dim) = (starts.len() - 1, starts[starts.len() - 1]);
    let pool = ScratchPool::<Vec<f32>>::default();
    let books = par.map_chunks(m, 1, &pool, |part, group| {
        let range = starts[group.start]..starts[group.end];
        part.clear();
        rows.chunks_exact(dim).for_each(|row| part.extend_from_slice(&row[range.clone()]));
        let width = range.len();
        let mut book = match warm {
            Some(warm) => warm[range.start << params.nbits..range.end << params.nbits].to_vec(),
            None => {
                let seed = split_mix(params.seed, group.start as u64);
                let params = KMeansParams { k: 1 << params.nbits, seed, ..KMeansParams::default() };
                start(part, width, &params, arch, par)
            }
        };
        lloyd(part, width, &mut book, params.iterations, false, arch, par);
        book
    });
    books.concat()
}

/// A query as tables of its distances to all centroids.
#[derive(Debug, Clone, Default)]
pub struct PqQuery {
    /// `(m, 2^nbits)`, what a centroid adds to the distance.
    pub(crate) tables: Vec<f32>,
    /// The distance of a code whose entries are all 0.
    pub(crate) base: f32,
}

impl Quantizer for Pq {
    const NAME: &'static str = "product quantizer";
    type Prepared = PqQuery;

    fn dim(&self) -> usize {
        self.starts[self.m()]
    }

    fn metric(&self) -> Metric {
        self.metric
    }

    fn code_len(&self) -> usize {
        packed_len(self.m(), self.nbits)
    }

    fn encode(&self, vector: &[f32], _: &mut Vec<f32>, code: &mut [u8]) {
        self.pack(self.nearest(vector), code);
    }

    fn decode(&self, code: &[u8], vector: &mut [f32]) {
        for (((width, book), index), range) in self.groups().zip(self.indices(code)).zip(self.starts.windows(2)) {
            vector[range[0]..range[1]].copy_from_slice(&book[index * width..][..width]);
        }
    }

    fn prepare(&self, query: &[f32], out: &mut PqQuery) {
        let times = match self.metric {
            Metric::L2 => 1.0,
            Metric::Cosine => 0.5,
            _ => -1.0,
        };
        self.tables(query, self.kernel, times, &mut out.tables);
        out.base = 0.0;
    }

    fn gather(&self, query: &PqQuery, codes: Rows<'_, u8>, ids: &[u32], out: &mut [f32]) {
        const AHEAD: usize = 32;
        assert!(ids.len() == out.len(), "{} ids, room for {} values", ids.len(), out.len());
        for (ids, out) in ids.chunks(AHEAD).zip(out.chunks_mut(AHEAD)) {
            ids.iter().for_each(|&id| codes.prefetch(id, 2));
            self.each(query, |i| codes.row(ids[i] as usize), out);
        }
    }

    fn scan(&self, query: &PqQuery, codes: Rows<'_, u8>, out: &mut [f32]) {
        assert!(codes.len() == out.len(), "{} rows, room for {} values", codes.len(), out.len());
        self.each(query, |i| codes.row(i), out);
    }
}

impl AsRef<Pq> for Pq {
    fn as_ref(&self) -> &Pq {
        self
    }
}

impl Pq {
    /// `out[i]` becomes the distance to `code(i)`: four codes at a time, since additions wait for one another, each in
    /// the order of its groups.
    fn each<'a>(&self, query: &PqQuery, code: impl Fn(usize) -> &'a [u8], out: &mut [f32]) {
        let (fours, rest) = out.as_chunks_mut::<4>();
        let done = fours.len() * 4;
        for (i, out) in fours.iter_mut().enumerate() {
            *out = self.sums(query, std::array::from_fn(|p| code(4 * i + p)));
        }
        for (i, out) in rest.iter_mut().enumerate() {
            [*out] = self.sums(query, [code(done + i)]);
        }
    }

    #[inline(always)]
    fn sums<const P: usize>(&self, query: &PqQuery, codes: [&[u8]; P]) -> [f32; P] {
        let mut sums = [query.base; P];
        let codes = codes.map(|code| &code[..self.code_len()]);
        match self.nbits {
            8 => {
                for (group, table) in query.tables.as_chunks::<256>().0.iter().enumerate() {
                    sums.iter_mut().zip(codes).for_each(|(sum, code)| *sum += table[usize::from(code[group])]);
                }
            }
            4 => {
                for (pair, table) in query.tables.chunks(32).enumerate() {
                    let (low, high) = table.split_at(16);
                    for (sum, code) in sums.iter_mut().zip(codes) {
                        *sum += low[usize::from(code[pair] & 15)];
                        // An odd group at the end has no partner.
                        if !high.is_empty() {
                            *sum += high[usize::from(code[pair] >> 4)];
                        }
                    }
                }
            }
            nbits => {
                for (group, table) in query.tables.chunks_exact(1 << nbits).enumerate() {
                    sums.iter_mut().zip(codes).for_each(|(sum, code)| *sum += table[read(code, nbits, group)]);
                }
            }
        }
        sums
    }
}
