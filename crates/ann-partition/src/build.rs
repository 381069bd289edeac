//! How an index comes to be: centres by k-means of a sample, codes of what rows add to their centres.

use crate::coarse::{Centres, without_codes};
use crate::codec::Codec;
use crate::lists::Lists;
use crate::probing::Margins;
use crate::soar::{NO_LIST, second_lists};
use crate::{Ivf, IvfError, IvfParams, ListCode, ListRows};
use ann_core::simd::lanes::LANES;
use ann_core::{
    Matrix, MatrixView, Metric, Monitor, Par, RowError, ScratchPool, VectorError, check_dense, prepare_dense, split_mix,
};
use ann_quant::{
    KMeans, KMeansParams, LanePq, LanePqParams, NodeRabitq, NodeRabitqParams, PqParams, TrainError, assign,
};

/// Blocks that are encoded between two reports.
const REPORT: usize = 1 << 12;
/// Blocks that a thread encodes at a time.
const CHUNK: usize = 32;
/// Fewest rows that the store measures beside those for each result.
const DEPTH: usize = 20;

/// What is learnt from a sample.
struct Trained {
    centres: Matrix<f32>,
    codec: Codec,
    /// Of centres.
    coarse: Option<NodeRabitq>,
    margins: Margins,
}

impl<S: ListRows> Ivf<S> {
    /// Divides the rows of `store` into lists. `vectors`: `(n, dim)`, the same rows, which are learnt from and encoded.
    ///
    /// The same on any number of threads.
    ///
    /// # Errors
    /// [`IvfError`] if a parameter is out of range, there is no row, the store holds another number of rows, the metric has no codes, or the monitor
    /// cancels.
    pub fn build(
        store: S,
        vectors: MatrixView<'_, f32>,
        metric: Metric,
        params: &IvfParams,
        par: Par,
        monitor: Monitor<'_>,
    ) -> Result<Self, IvfError> {
        params.check()?;
        if store.len() != vectors.len() {
            return Err(IvfError::Param { name: "rows", found: vectors.len(), must: "those of the store" });
        }
        for (row, vector) in vectors.rows().enumerate() {
            check_dense(vector, vectors.dim(), metric).map_err(|source| RowError { row, source })?;
        }
        par.install(|par| {
            let total = vectors.len() as u64;
            monitor.report(0, total)?;
            let Trained { centres, codec, coarse, margins } = train(vectors, metric, params, par)?;
            monitor.report(0, total)?;
            let mut labels = vec![0; vectors.len()];
            assign(vectors, centres.view(), metric, &mut labels, par)?;
            monitor.report(0, total)?;
            let seconds = seconds(vectors, &centres, metric, &labels, params, par)?;
            let places = (0u32..).zip(&labels).flat_map(|(row, &list)| {
                let second = seconds.get(row as usize).copied().filter(|&list| list != NO_LIST);
                std::iter::once((row, list)).chain(second.map(|list| (row, list)))
            });
            let mut lists = Lists::new(places, centres.len(), codec.block_len());
            encode(&mut lists, &codec, &centres, vectors, par, monitor)?;
            let centres = Centres::new(centres.view(), metric, coarse.as_ref(), margins, par)?;
            Ok(Self { params: *params, metric, centres, codec, lists, store, depth: DEPTH })
        })
    }

    /// Checks rows that are to come.
    pub(crate) fn check_rows(&self, rows: MatrixView<'_, f32>) -> Result<(), RowError> {
        rows.rows()
            .enumerate()
            .try_for_each(|(row, vector)| self.store.check(vector).map_err(|source| RowError { row, source }))
    }
}

/// Second lists of rows, where they have any.
pub(crate) fn seconds(
    vectors: MatrixView<'_, f32>,
    centres: &Matrix<f32>,
    metric: Metric,
    labels: &[u32],
    params: &IvfParams,
    par: Par,
) -> Result<Vec<u32>, TrainError> {
    match params.soar {
        Some(lambda) => second_lists(vectors, centres, metric, labels, lambda, par),
        None => Ok(Vec::new()),
    }
}

fn train(vectors: MatrixView<'_, f32>, metric: Metric, params: &IvfParams, par: Par) -> Result<Trained, IvfError> {
    let nlist = params.nlist.min(vectors.len());
    let sample = sample(vectors, metric, nlist, params);
    let kmeans = KMeansParams {
        k: nlist,
        iterations: params.iterations,
        seed: params.seed,
        sample_per_centroid: usize::MAX >> 32,
        ..KMeansParams::default()
    };
    let found = match params.balanced {
        true => KMeans::balanced(sample.view(), &kmeans, par)?,
        false => KMeans::train(sample.view(), &kmeans, par)?,
    };
    let rabitq = NodeRabitqParams { planes: 4, seed: params.seed };
    let coarse = NodeRabitq::train(sample.view(), metric, &rabitq);
    let codec = match params.code {
        ListCode::Rows => Codec::Rows,
        ListCode::Rabitq { bits } => Codec::Rabitq(Box::new(coarse.clone()?.with_planes(bits)?)),
        ListCode::Pq { m, nbits, rotate, eta } => {
            let pq = PqParams { m, nbits, seed: params.seed, ..PqParams::default() };
            let pq = LanePqParams { pq, rotate, eta: eta.unwrap_or(1.0) };
            let like = coarse.as_ref().map_err(TrainError::clone)?;
            let residuals = residuals(&sample, &found, 256 << nbits);
            let (mean, radius) = (like.mean(), like.radius());
            Codec::Pq(Box::new(LanePq::train(residuals.view(), mean, radius, metric, &pq, par)?))
        }
    };
    let margins = Margins::learn(sample.view(), found.centroids.view(), metric, par)?;
    Ok(Trained { centres: found.centroids, codec, coarse: without_codes(coarse)?, margins })
}

/// Some rows as the metric keeps them, evenly spread with a random shift within each stretch.
fn sample(vectors: MatrixView<'_, f32>, metric: Metric, nlist: usize, params: &IvfParams) -> Matrix<f32> {
    let (n, dim) = (vectors.len(), vectors.dim());
    let budget = params.training_bytes / (dim * size_of::<f32>()).max(1);
    let count = nlist.saturating_mul(params.sample_per_list).min(budget).max(nlist).min(n);
    let mut values = Vec::with_capacity(count * dim);
    let mut row = Vec::new();
    for i in 0..count {
        let (start, end) = (i * n / count, (i + 1) * n / count);
        let at = start + (split_mix(params.seed, i as u64) % (end - start).max(1) as u64) as usize;
        prepare_dense(vectors.row(at), metric, dim, &mut row);
        values.extend_from_slice(&row);
    }
    Matrix::new(values, dim).unwrap_or_default()
}

/// What some rows of the sample add to their centres.
fn residuals(sample: &Matrix<f32>, found: &KMeans, most: usize) -> Matrix<f32> {
    let count = sample.len().min(most);
    let rows = (0..count).map(|i| i * sample.len() / count.max(1));
    let values = rows.flat_map(|row| {
        let centre = found.centroids.row(found.labels[row] as usize);
        sample.row(row).iter().zip(centre).map(|(x, c)| x - c)
    });
    Matrix::new(values.collect(), sample.dim()).unwrap_or_default()
}

/// Centres as codecs know them, one after the other.
pub(crate) fn transformed_centres<'a>(codec: &Codec, centres: impl ExactSizeIterator<Item = &'a [f32]>) -> Vec<f32> {
    let width = codec.transformed_len();
    let mut out = vec![0.0; centres.len() * width];
    if width > 0 {
        centres.zip(out.chunks_exact_mut(width)).for_each(|(centre, out)| codec.transform_centre(centre, out));
    }
    out
}

/// Fills the codes of all blocks.
fn encode(
    lists: &mut Lists,
    codec: &Codec,
    centres: &Matrix<f32>,
    vectors: MatrixView<'_, f32>,
    par: Par,
    monitor: Monitor<'_>,
) -> Result<(), IvfError> {
    let (block_len, width, total) = (codec.block_len(), codec.transformed_len(), vectors.len() as u64);
    if block_len == 0 {
        monitor.report(total, total)?;
        return Ok(());
    }
    let owners = transformed_centres(codec, centres.rows());
    let mut list_of = vec![0; lists.ids.len() / LANES];
    for (list, blocks) in lists.blocks.iter().enumerate() {
        blocks.iter().for_each(|&block| list_of[block as usize] = list);
    }
    let ids = &lists.ids;
    let pool = ScratchPool::<Vec<f32>>::default();
    for (part, codes) in lists.codes.as_mut_slice().chunks_mut(REPORT * block_len).enumerate() {
        par.for_each_chunk_mut(codes, CHUNK * block_len, &pool, |transformed, at, codes| {
            transformed.resize(LANES * width, 0.0);
            for (b, out) in codes.chunks_exact_mut(block_len).enumerate() {
                let block = part * REPORT + at / block_len + b;
                let rows = ids[block * LANES..][..LANES].iter().take_while(|&&id| (id as usize) < vectors.len());
                let mut count = 0;
                for (&id, out) in rows.zip(transformed.chunks_exact_mut(width)) {
                    codec.transform(vectors.row(id as usize), out);
                    count += 1;
                }
                let near: Vec<&[f32]> = transformed.chunks_exact(width).take(count).collect();
                codec.encode(&owners[list_of[block] * width..][..width], &near, out);
            }
        });
        monitor.report(((part + 1) * REPORT * LANES).min(vectors.len()) as u64, total)?;
    }
    Ok(())
}

/// Codes of rows that are to come, each list's sixteen at a time: for every group its list, its rows and their block.
pub(crate) struct Encoded {
    pub(crate) groups: Vec<(usize, Vec<u32>)>,
    pub(crate) codes: Vec<u8>,
}

/// Encodes rows by their lists and, where there are any, second ones.
pub(crate) fn encode_new<'a>(
    codec: &Codec,
    centre: impl Fn(usize) -> &'a [f32] + Sync,
    rows: MatrixView<'_, f32>,
    labels: &[u32],
    seconds: &[u32],
    par: Par,
) -> Encoded {
    let (block_len, width) = (codec.block_len(), codec.transformed_len());
    let places = |lists: &[u32]| lists.iter().copied().zip(0u32..).collect::<Vec<_>>();
    let mut order = places(labels);
    order.extend(places(seconds).into_iter().filter(|&(list, _)| list != NO_LIST));
    order.sort_unstable();
    let same = order.chunk_by(|a, b| a.0 == b.0).flat_map(|same| same.chunks(LANES));
    let groups = same.map(|same| (same[0].0 as usize, same.iter().map(|&(_, row)| row).collect()));
    let groups: Vec<(usize, Vec<u32>)> = groups.collect();
    let mut codes = vec![0; groups.len() * block_len];
    if block_len > 0 {
        par.for_each_chunk_mut(&mut codes, block_len, &ScratchPool::<Vec<f32>>::default(), |scratch, at, out| {
            let (list, new) = &groups[at / block_len];
            scratch.resize((LANES + 1) * width, 0.0);
            let (owner, transformed) = scratch.split_at_mut(width);
            codec.transform_centre(centre(*list), owner);
            for (&row, out) in new.iter().zip(transformed.chunks_exact_mut(width)) {
                codec.transform(rows.row(row as usize), out);
            }
            let near: Vec<&[f32]> = transformed.chunks_exact(width).take(new.len()).collect();
            codec.encode(owner, &near, out);
        });
    }
    Encoded { groups, codes }
}

/// As many rows as an index can still take.
pub(crate) fn room(len: usize, more: usize) -> Result<(), RowError> {
    let limit = ann_core::MAX_ROWS;
    let room = (limit as usize).saturating_sub(len);
    if more > room { Err(RowError { row: room, source: VectorError::Full { limit } }) } else { Ok(()) }
}
