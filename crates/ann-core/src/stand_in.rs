//! Stand-ins for rows of floats: bytes to build a graph on or to find candidates by, halves to walk on or to compare the rows of cells by.
//!
//! Building and walking wait for memory, so fewer bytes per row are time. A stand-in is used where it tells neighbours
//! apart as the rows do, which a sample shows; rows that crowd together far from the origin, or whose few large values
//! drown the others, are compared as they are.

use crate::{
    DistanceOracle, FlatStore, Matrix, MatrixView, Metric, Neighbor, PushVector, SplitStore, TopK, VectorStore,
};

/// Fewer rows lie near the processor anyway.
const MIN_ROWS: usize = 4096;
/// Shorter rows gain less from being halved than it costs to put them together again.
const MIN_SPLIT_DIM: usize = 96;

/// Rows of the sample, and how many of them ask for their nearest.
const SAMPLE: usize = 4096;
const PROBES: usize = 64;
const NEAREST: usize = 10;
/// Share of the nearest by stand-in that must be among the nearest.
const AGREED: f64 = 0.9;

/// `vectors`, `(n, dim)`, as bytes, if these rank neighbours nearly as the vectors do: of the ten nearest in a sample of 4,096 rows nine in ten are the same. `None` also where there are fewer than
/// 4,096 rows, or one does not fit the metric.
///
/// Cost: 64 queries of the sample and one pass over the rows.
///
/// ```
/// use ann_core::{Matrix, Metric, VectorStore, split_mix, stand_in, unit};
/// let rows = Matrix::new((0..5000 * 8).map(|i| unit(split_mix(7, i)) as f32 - 0.5).collect(), 8)?;
/// let bytes = stand_in::bytes(rows.view(), Metric::L2);
/// assert_eq!(bytes.map(|rows| (rows.len(), rows.memory_usage() / rows.len())), Some((5000, 8)));
/// assert!(stand_in::bytes(rows.view().slice(0..100), Metric::L2).is_none());
/// # Ok::<(), ann_core::ShapeError>(())
/// ```
pub fn bytes(vectors: MatrixView<'_, f32>, metric: Metric) -> Option<FlatStore<i8>> {
    let largest = |row: &[f32]| row.iter().fold(0f32, |most, x| most.max(x.abs()));
    // Direction alone counts under cosine, so that every row may use the whole range.
    let common = (metric != Metric::Cosine).then(|| largest(vectors.as_slice()));
    let code = |rows: MatrixView<'_, f32>| {
        let mut codes = FlatStore::<i8>::new(rows.dim(), metric).ok()?;
        codes.reserve(rows.len());
        let mut code = Vec::with_capacity(rows.dim());
        for row in rows.rows() {
            let scale = 127.0 / common.unwrap_or_else(|| largest(row));
            code.clear();
            code.extend(row.iter().map(|x| (x * scale).round()));
            codes.push(&code).ok()?;
        }
        Some(codes)
    };
    if vectors.len() < MIN_ROWS || !agrees(vectors, metric, code) { None } else { code(vectors) }
}

/// `vectors`, `(n, dim)`, in halves, if these rank neighbours nearly as the vectors do, as [`bytes`] tells it, and hold every value. `None` also where there are fewer than 4,096 rows, or these have less than 96
/// columns: shorter ones gain less than it costs to put them together again.
///
/// Cost: as [`bytes`].
pub fn halves(vectors: MatrixView<'_, f32>, metric: Metric) -> Option<SplitStore> {
    let split = |rows: MatrixView<'_, f32>| SplitStore::from_rows(rows, metric).ok();
    let serve = vectors.len() >= MIN_ROWS && vectors.dim() >= MIN_SPLIT_DIM && agrees(vectors, metric, split);
    if serve { split(vectors) } else { None }
}

/// Whether a stand-in names the nearest rows of a sample.
fn agrees<S: VectorStore<Vector = [f32]>>(
    vectors: MatrixView<'_, f32>,
    metric: Metric,
    stand_in: impl Fn(MatrixView<'_, f32>) -> Option<S>,
) -> bool {
    let count = SAMPLE.min(vectors.len());
    let at = |i: usize| vectors.row(i * vectors.len() / count);
    let rows: Vec<&[f32]> = (0..count).map(at).collect();
    let Ok(rows) = Matrix::from_rows(&rows) else { return false };
    let (Ok(whole), Some(stand_in)) = (FlatStore::<f32>::from_rows(rows.view(), metric), stand_in(rows.view())) else {
        return false;
    };
    let (mut agreed, mut asked) = (0, 0);
    for probe in 0..PROBES {
        let probe = (probe * count / PROBES) as u32;
        let (found, _) = nearest(&stand_in, probe);
        let (truth, distances) = nearest(&whole, probe);
        let farthest = truth.last().map_or(0.0, |n| n.distance);
        asked += truth.len();
        agreed += found.iter().filter(|n| distances[n.id as usize] <= farthest).count();
    }
    agreed as f64 >= AGREED * asked as f64
}

/// The nearest other rows of row `probe`, and the distances to all.
fn nearest<S: VectorStore>(rows: &S, probe: u32) -> (Vec<Neighbor>, Vec<f32>) {
    let mut scratch = S::Scratch::default();
    let ids: Vec<u32> = (0..rows.len() as u32).collect();
    let mut distances = vec![0.0; ids.len()];
    rows.oracle_at(probe, &mut scratch).distances(&ids, &mut distances);
    let mut top = TopK::new(NEAREST);
    let others = ids.iter().zip(&distances).filter(|&(&id, _)| id != probe);
    others.for_each(|(&id, &distance)| top.push(Neighbor::new(id, distance)));
    (top.into_sorted(), distances)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{split_mix, unit};

    /// Rows around `offset`, spread by `spread`, in 100 dimensions.
    fn rows(count: usize, offset: f32, spread: f32) -> Matrix<f32> {
        let value = |i: usize| offset + spread * (unit(split_mix(7, i as u64)) as f32 - 0.5);
        Matrix::new((0..count * 100).map(value).collect(), 100).unwrap()
    }

    #[test]
    fn ordinary_rows_have_stand_ins() {
        let rows = rows(MIN_ROWS, 0.0, 2.0);
        for metric in [Metric::L2, Metric::Cosine, Metric::InnerProduct] {
            assert_eq!(halves(rows.view(), metric).map(|halves| halves.len()), Some(MIN_ROWS), "{metric}");
            assert_eq!(bytes(rows.view(), metric).map(|codes| codes.len()), Some(MIN_ROWS), "{metric}");
        }
    }

    #[test]
    fn rows_that_bytes_or_halves_cannot_tell_apart_have_none() {
        let crowded = rows(MIN_ROWS, 1000.0, 0.01);
        assert!(halves(crowded.view(), Metric::L2).is_none());
        assert!(bytes(crowded.view(), Metric::L2).is_none());
        let mut drowned = rows(MIN_ROWS, 0.0, 2.0);
        drowned.as_mut_slice()[17] = 1e6;
        assert!(halves(drowned.view(), Metric::L2).is_some());
        assert!(bytes(drowned.view(), Metric::L2).is_none());
    }

    #[test]
    fn few_short_or_broken_rows_have_none() {
        assert!(bytes(rows(MIN_ROWS - 1, 0.0, 2.0).view(), Metric::L2).is_none());
        let mut broken = rows(MIN_ROWS, 0.0, 2.0);
        broken.as_mut_slice()[0] = f32::NAN;
        assert!(bytes(broken.view(), Metric::L2).is_none());
        let short = Matrix::new(vec![0.5; MIN_ROWS * 8], 8).unwrap();
        assert!(halves(short.view(), Metric::L2).is_none());
    }

    #[test]
    fn equal_rows_are_told_apart_as_little_by_bytes() {
        let equal = Matrix::new(vec![0.37; MIN_ROWS * 100], 100).unwrap();
        assert!(bytes(equal.view(), Metric::L2).is_some());
    }
}
