//! Target recall: how hard a search must look, learnt from queries whose answers are known.
//!
//! An index is asked the same queries with growing [`Effort`] (the [`Reach`] of a graph, the lists of a partition), and what recall each gave is kept, as a bound that holds for queries of the same kind:
//! the mean less [`STANDARD_ERRORS`], and no more than conformal risk control allows with so few queries (Angelopoulos et al., *Conformal risk
//! control*, ICLR 2024, arXiv:2208.02814). A search that names a recall gets the effort that lies between the two nearest measurements. Curves are
//! concave, so a straight line between measurements promises too little rather than too much.
//!
//! Cost: one exact search of the queries, then some 20 searches of all of them per `k`.

use crate::any::{Effort, SearchParams};
use crate::factory::Structure;
use crate::{Error, Index};
use ann_core::{Exact, FlatStore, MatrixView, Metric, Neighbor, Par, Predicate, Reach, ScratchPool};

/// The numbers of results that reaches are measured for; between them they are interpolated.
const KS: [usize; 3] = [1, 10, 100];
/// The most candidates of a walk that ends by its reach.
const POOL: usize = 2048;
/// Below this recall nobody needs a better answer than the smallest reach measured.
const LEAST: f64 = 0.8;
/// Above this recall a search costs several times more for next to nothing.
const ENOUGH: f64 = 0.997;
/// How often an effort may be put between two whose recall differs much.
const ROUNDS: usize = 3;
/// Distances that differ by less than this share differ by rounding.
const SLACK: f32 = 1e-5;
/// How far below the mean of the queries a promise lies. The mean of as many other queries varies as much, so that the difference of the two has 1.41 standard
/// errors: with 3 of them 98 of 100 such means are above what was promised (with 2.5 it was 96, and 17 of 20 splits of one set; with 2 it was 92).
const STANDARD_ERRORS: f64 = 3.0;
/// Queries that a thread takes at a time.
const CHUNK: usize = 16;

/// The efforts that are measured.
#[derive(Debug, Clone, Copy)]
struct Scale {
    /// Where to begin, the least and the most.
    start: f32,
    least: f32,
    most: f32,
    /// Neighbouring efforts before any are put between them.
    step: f32,
    /// Whether efforts are numbers of something.
    whole: bool,
}

impl Scale {
    /// For an index of `len` rows.
    fn of(effort: Effort, len: usize) -> Self {
        let most = len.clamp(2, 1 << 23) as f32;
        match effort {
            Effort::Nprobe => Self { start: 1.0, least: 1.0, most, step: 1.25, whole: true },
            Effort::Checks => Self { start: 16.0, least: 1.0, most, step: 1.25, whole: true },
            _ => Self { start: 1.0, least: 0.4, most: 40.0, step: 1.15, whole: false },
        }
    }

    fn above(self, effort: f32) -> f32 {
        if self.whole { (effort * self.step).round().max(effort + 1.0) } else { effort * self.step }
    }

    fn below(self, effort: f32) -> f32 {
        if self.whole { (effort / self.step).round().min(effort - 1.0) } else { effort / self.step }
    }

    /// An effort between two, if there is one.
    fn between(self, a: f32, b: f32) -> Option<f32> {
        let middle = (a * b).sqrt();
        let middle = if self.whole { middle.round() } else { middle };
        (a < middle && middle < b).then_some(middle)
    }
}

/// What recall an effort gives, for an index and queries of one kind.
#[derive(Debug, Clone, PartialEq)]
pub struct Calibration {
    /// The largest squared norm of a row, where distances are products; else 0.
    norm: f32,
    /// Ascending in `k`.
    curves: Vec<Curve>,
}

#[derive(Debug, Clone, PartialEq)]
struct Curve {
    k: usize,
    /// Factors, ascending, and the recall that they give at least, ascending too.
    points: Vec<(f32, f64)>,
}

impl Calibration {
    /// The largest [`SearchParams::target_recall`] for searches of the `k` nearest.
    pub fn reachable(&self, k: usize) -> f64 {
        let [low, high] = self.around(k);
        let most = |curve: &Curve| curve.points.last().map_or(0.0, |point| point.1);
        most(low).min(most(high))
    }

    /// The factor that gives a mean recall of `target` for the `k` nearest; `None` beyond [`Self::reachable`].
    fn factor(&self, k: usize, target: f64) -> Option<f32> {
        let [low, high] = self.around(k);
        let (a, b) = (low.factor(target)?, high.factor(target)?);
        if low.k == high.k {
            return Some(a);
        }
        let log = |k: usize| (k as f32).ln();
        let share = ((log(k) - log(low.k)) / (log(high.k) - log(low.k))).clamp(0.0, 1.0);
        Some(a + (b - a) * share)
    }

    /// The curves for the next smaller and the next larger `k`, or the same twice.
    fn around(&self, k: usize) -> [&Curve; 2] {
        let above = self.curves.partition_point(|curve| curve.k < k).min(self.curves.len() - 1);
        let below = if self.curves[above].k > k { above.saturating_sub(1) } else { above };
        [&self.curves[below], &self.curves[above]]
    }

    /// As numbers for a file.
    #[cfg(feature = "io")]
    pub(crate) fn to_values(&self) -> Vec<f64> {
        let mut values = vec![f64::from(self.norm)];
        for curve in &self.curves {
            values.extend([curve.k as f64, curve.points.len() as f64]);
            values.extend(curve.points.iter().flat_map(|&(factor, recall)| [f64::from(factor), recall]));
        }
        values
    }

    /// Takes what [`Self::to_values`] gave; `None` if that cannot have been.
    #[cfg(feature = "io")]
    pub(crate) fn from_values(values: &[f64]) -> Option<Self> {
        let (&norm, mut rest) = values.split_first()?;
        let mut curves: Vec<Curve> = Vec::new();
        while let [k, count, tail @ ..] = rest {
            let points = tail.get(..(*count as usize).checked_mul(2)?)?;
            rest = &tail[points.len()..];
            let points: Vec<_> = points.chunks_exact(2).map(|point| (point[0] as f32, point[1])).collect();
            let ascending = points.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1);
            let sound =
                points.iter().all(|point| point.0 > 0.0 && point.0.is_finite() && (0.0..=1.0).contains(&point.1));
            let next = *k >= 1.0 && curves.last().is_none_or(|before| (before.k as f64) < *k);
            if points.is_empty() || !ascending || !sound || !next {
                return None;
            }
            curves.push(Curve { k: *k as usize, points });
        }
        (norm >= 0.0 && norm.is_finite() && rest.is_empty() && !curves.is_empty())
            .then_some(Self { norm: norm as f32, curves })
    }
}

impl Curve {
    fn factor(&self, target: f64) -> Option<f32> {
        let at = self.points.partition_point(|point| point.1 < target);
        let &(factor, recall) = self.points.get(at)?;
        let Some(&(before, less)) = at.checked_sub(1).and_then(|at| self.points.get(at)) else { return Some(factor) };
        Some(before + (factor - before) * ((target - less) / (recall - less)) as f32)
    }
}

impl Index {
    /// Learns how hard searches must look for a mean recall, so that [`SearchParams::target_recall`] can name one. `queries`: `(m, dim)`, of the kind that will be
    /// asked and not rows of the index, which are found too easily; 500 and more, since what is promised is the recall that so many are sure to show.
    ///
    /// The result goes into files with the index, and stays good while rows come and go in moderation: calibrate again when their number has doubled.
    /// Cost: one exact search of the queries, with the rows once more in memory, and about 60 searches of all of them.
    ///
    /// # Errors
    /// [`Error::Row`] for the first query that does not fit; [`Error::RowsGone`] if the index keeps codes or rounded rows alone, so that the true neighbours
    /// cannot be known; [`Error::Calibration`] without queries or rows. The index then keeps the calibration that it had.
    ///
    /// ```
    /// use ann::prelude::*;
    /// let value = |i: u32| (i.wrapping_mul(2_654_435_761) >> 8) as f32;
    /// let rows = Matrix::new((0..8_000).map(value).collect(), 4)?;
    /// let queries = Matrix::new((8_000..8_800).map(value).collect(), 4)?;
    /// let mut index = ann::index_factory("HNSW8", &rows, Metric::L2)?;
    /// index.calibrate(&queries, Par::default())?;
    /// let found = index.search_with(queries.row(0), 10, &SearchParams::target_recall(0.9))?;
    /// assert_eq!(found.len(), 10);
    /// # Ok::<(), ann::Error>(())
    /// ```
    pub fn calibrate<'a>(&mut self, queries: impl Into<MatrixView<'a, f32>>, par: Par) -> Result<(), Error> {
        let queries = queries.into();
        if queries.is_empty() || self.is_empty() {
            return Err(Error::Calibration { why: "there is nothing to learn from: it takes rows and queries" });
        }
        let calibration = par.install(|par| self.calibrated(queries, par))?;
        self.calibration = Some(calibration);
        Ok(())
    }

    /// What [`Self::calibrate`] learnt, if it was called.
    pub fn calibration(&self) -> Option<&Calibration> {
        self.calibration.as_ref()
    }

    fn calibrated(&self, queries: MatrixView<'_, f32>, par: Par) -> Result<Calibration, Error> {
        let vectors = self.any.vectors().ok_or_else(|| Error::RowsGone { spec: self.spec() })?;
        let norm = match self.metric() {
            Metric::InnerProduct => {
                let norms = vectors.rows().map(|row| row.iter().map(|x| x * x).sum::<f32>());
                norms.fold(0.0, f32::max)
            }
            _ => 0.0,
        };
        let exact = Exact::new(FlatStore::<f32>::from_rows(vectors.view(), self.metric())?);
        drop(vectors);
        let most = KS[KS.len() - 1].min(self.len());
        let left = Predicate(|row| !self.dead.contains(row));
        let truth = exact.search_batch(queries, most, &left, par)?;
        drop(exact);
        let mut curves = Vec::new();
        for k in KS.into_iter().filter(|&k| k <= self.len()) {
            let measure = |factor| {
                let recalls = self.recalls(queries, &|row| &truth.get(row)[..k], (norm, factor), par)?;
                Ok::<_, Error>((factor, surely(&recalls)))
            };
            curves.push(Curve { k, points: measured(Scale::of(self.any.effort(), self.any.len()), measure)? });
        }
        Ok(Calibration { norm, curves })
    }

    /// The recall of every query with this effort.
    fn recalls<'t>(
        &self,
        queries: MatrixView<'_, f32>,
        truth: &(impl Fn(usize) -> &'t [Neighbor] + Sync),
        (norm, factor): (f32, f32),
        par: Par,
    ) -> Result<Vec<f64>, Error> {
        let chunks = par.map_chunks(queries.len(), CHUNK, &ScratchPool::<()>::default(), |(), range| {
            range
                .map(|row| {
                    let (query, truth) = (queries.row(row), truth(row));
                    let params = self.looking(query, (norm, factor), SearchParams::default());
                    let found = self.find(query, truth.len(), &params, None).map_err(|error| error.of_row(row))?;
                    Ok(recall(&found, truth))
                })
                .collect::<Result<Vec<f64>, Error>>()
        });
        Ok(chunks.into_iter().collect::<Result<Vec<_>, _>>()?.concat())
    }

    /// `params` with the effort that its target recall takes.
    pub(crate) fn resolved(&self, query: &[f32], k: usize, params: &SearchParams) -> Result<SearchParams, Error> {
        let Some(target) = params.target_recall else { return Ok(*params) };
        if !(target > 0.0 && target < 1.0) {
            return Err(Error::Target { target });
        }
        let params = SearchParams { target_recall: None, ..*params };
        if self.is_empty() || k == 0 || self.any.structure() == Structure::Flat {
            return Ok(params);
        }
        let Some(calibration) = &self.calibration else {
            // Trees with bounds find everything unless they are told to stop.
            if matches!(self.any.structure(), Structure::KdTree | Structure::BallTree) {
                return Ok(SearchParams { checks: None, ..params });
            }
            let why = "a recall was named, but how to reach it is not known: call `calibrate` first";
            return Err(Error::Calibration { why });
        };
        let factor = calibration.factor(k, target);
        let factor = factor.ok_or_else(|| Error::OutOfReach { target, k, reachable: calibration.reachable(k) })?;
        Ok(self.looking(query, (calibration.norm, factor), params))
    }

    /// `params` with the calibrated effort set to `factor`.
    fn looking(&self, query: &[f32], (norm, factor): (f32, f32), params: SearchParams) -> SearchParams {
        match self.any.effort() {
            Effort::Nprobe => SearchParams { nprobe: Some(factor.ceil() as usize), ..params },
            Effort::Checks => SearchParams { checks: Some(factor.ceil() as usize), ..params },
            Effort::Reach => {
                let reach = Some(Reach { factor, offset: offset(self.metric(), norm, query) });
                SearchParams { ef: Some(params.ef.unwrap_or(POOL)), reach, ..params }
            }
        }
    }
}

/// What makes distances to `query` halves of squared Euclidean ones: products become those of rows with one more column, in which all have the same norm.
fn offset(metric: Metric, norm: f32, query: &[f32]) -> f32 {
    match metric {
        Metric::InnerProduct => 0.5 * (norm + query.iter().map(|x| x * x).sum::<f32>()),
        _ => 0.0,
    }
}

/// Share of `truth` that was found; a row as near as the last of them counts as one of them.
fn recall(found: &[Neighbor], truth: &[Neighbor]) -> f64 {
    let farthest = truth.last().map_or(f32::NEG_INFINITY, |n| n.distance);
    let near = |n: &&Neighbor| n.distance <= farthest + SLACK * farthest.abs();
    found.iter().filter(near).count().min(truth.len()) as f64 / truth.len().max(1) as f64
}

/// The mean that queries of this kind reach, seen these recalls.
fn surely(recalls: &[f64]) -> f64 {
    let m = recalls.len() as f64;
    let mean = recalls.iter().sum::<f64>() / m;
    let variance = recalls.iter().map(|recall| (recall - mean).powi(2)).sum::<f64>() / (m - 1.0).max(1.0);
    (mean - STANDARD_ERRORS * (variance / m).sqrt()).min(mean * m / (m + 1.0)).max(0.0)
}

/// Efforts and the recall that `measure` finds for them: from where it is below [`LEAST`] to where it grows no more, closer together where it grows much.
fn measured(scale: Scale, measure: impl Fn(f32) -> Result<(f32, f64), Error>) -> Result<Vec<(f32, f64)>, Error> {
    let mut points = vec![measure(scale.start.min(scale.most))?];
    while points[0].1 > LEAST && scale.below(points[0].0) >= scale.least {
        points.insert(0, measure(scale.below(points[0].0))?);
    }
    // Where two steps gained nothing there is nothing to be gained.
    let grows = |points: &[(f32, f64)]| match points {
        [.., a, _, b] => b.1 > a.1 + 1e-4 && b.1 < ENOUGH,
        [.., b] => b.1 < ENOUGH,
        [] => true,
    };
    while grows(&points) && scale.above(points[points.len() - 1].0) < scale.most {
        points.push(measure(scale.above(points[points.len() - 1].0))?);
    }
    for _ in 0..ROUNDS {
        let steep = |pair: &[(f32, f64)]| pair[1].1 > LEAST && pair[1].1 - pair[0].1 > 0.25 * (1.0 - pair[0].1);
        let between =
            points.windows(2).filter(|pair| steep(pair)).filter_map(|pair| scale.between(pair[0].0, pair[1].0));
        let between = between.map(&measure).collect::<Result<Vec<_>, _>>()?;
        points.extend(between);
        points.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    }
    // More effort finds no less; what seems otherwise is chance.
    let mut most = 0f64;
    for point in &mut points {
        most = most.max(point.1);
        point.1 = most;
    }
    Ok(points)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calibration() -> Calibration {
        let curve =
            |k, shift: f32| Curve { k, points: vec![(1.0 + shift, 0.8), (1.5 + shift, 0.9), (3.0 + shift, 0.98)] };
        Calibration { norm: 0.0, curves: vec![curve(1, 0.0), curve(10, 1.0), curve(100, 2.0)] }
    }

    #[test]
    fn factors_lie_between_measurements() {
        let calibration = calibration();
        assert_eq!(calibration.factor(1, 0.8), Some(1.0));
        assert_eq!(calibration.factor(1, 0.5), Some(1.0));
        assert!((calibration.factor(1, 0.85).unwrap() - 1.25).abs() < 1e-6);
        assert!((calibration.factor(10, 0.9).unwrap() - 2.5).abs() < 1e-6);
        assert!((calibration.factor(32, 0.9).unwrap() - 3.0).abs() < 0.02);
        assert_eq!(calibration.factor(1000, 0.9), calibration.factor(100, 0.9));
        assert_eq!(calibration.factor(10, 0.99), None);
        assert_eq!(calibration.reachable(10), 0.98);
    }

    #[test]
    fn what_is_promised_is_less_than_the_mean() {
        assert_eq!(surely(&[1.0; 99]), 0.99);
        let recalls: Vec<f64> = (0..1000).map(|i| f64::from(i % 10 != 0)).collect();
        assert!((surely(&recalls) - (0.9 - STANDARD_ERRORS * (0.09f64 / 999.0).sqrt())).abs() < 1e-6);
        assert_eq!(surely(&[0.0]), 0.0);
    }

    #[cfg(feature = "io")]
    #[test]
    fn values_of_a_file_are_taken_back_or_refused() {
        let values = calibration().to_values();
        assert_eq!(Calibration::from_values(&values), Some(calibration()));
        for cut in 0..values.len() {
            let kept = Calibration::from_values(&values[..cut]);
            assert!(kept.is_none_or(|kept| kept.curves.len() < 3), "{cut}");
        }
        for (at, value) in
            [(0, f64::NAN), (1, 0.0), (2, 1e300), (2, -1.0), (3, 0.0), (3, f64::INFINITY), (4, 2.0), (9, 1.0)]
        {
            let mut values = values.clone();
            values[at] = value;
            assert_eq!(Calibration::from_values(&values), None, "{at}: {value}");
        }
    }
}
