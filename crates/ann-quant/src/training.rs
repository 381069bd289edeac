//! What trainings have in common: the rows that they refuse, a sample of them as the metric keeps them, and the mean.

use crate::TrainError;
use crate::kmeans::sample;
use ann_core::{MatrixView, Metric, Par, RowError, ScratchPool, check_dense, prepare_dense};
use std::borrow::Cow;

/// Whether codes have distances of this kind.
pub(crate) fn check_metric(metric: Metric, kind: &'static str) -> Result<(), TrainError> {
    match metric {
        Metric::L2 | Metric::InnerProduct | Metric::Cosine => Ok(()),
        _ => Err(TrainError::Metric { metric, kind }),
    }
}

/// Whether every row can be trained on.
pub(crate) fn check_rows(rows: MatrixView<'_, f32>, metric: Metric) -> Result<(), TrainError> {
    for (row, vector) in rows.rows().enumerate() {
        check_dense(vector, rows.dim(), metric).map_err(|source| RowError { row, source })?;
    }
    Ok(())
}

/// Whether `kind` codes can be trained on `rows`: one at least, all of them good, and a metric that codes have.
pub(crate) fn check(rows: MatrixView<'_, f32>, metric: Metric, kind: &'static str) -> Result<(), TrainError> {
    check_metric(metric, kind)?;
    if rows.is_empty() {
        return Err(TrainError::TooFew { found: 0, needed: 1 });
    }
    check_rows(rows, metric)
}

/// At most `limit` of `rows` chosen at random, normalised under cosine.
pub(crate) fn prepared<'a>(rows: MatrixView<'a, f32>, metric: Metric, limit: usize, seed: u64) -> Cow<'a, [f32]> {
    let mut chosen = sample(rows, limit, seed).map_or(Cow::Borrowed(rows.as_slice()), Cow::Owned);
    if metric == Metric::Cosine {
        let mut unit = Vec::new();
        for row in chosen.to_mut().chunks_exact_mut(rows.dim()) {
            prepare_dense(row, metric, row.len(), &mut unit);
            row.copy_from_slice(&unit);
        }
    }
    chosen
}

/// The mean of rows as the metric keeps them, after [`check`].
pub(crate) fn mean(
    rows: MatrixView<'_, f32>,
    metric: Metric,
    kind: &'static str,
    par: Par,
) -> Result<Vec<f32>, TrainError> {
    const CHUNK: usize = 1024;
    check(rows, metric, kind)?;
    let dim = rows.dim();
    let pool = ScratchPool::<Vec<f32>>::default();
    let parts = par.install(|par| {
        par.map_chunks(rows.len(), CHUNK, &pool, |row, range| {
            let mut sum = vec![0.0_f64; dim];
            for i in range {
                prepare_dense(rows.row(i), metric, dim, row);
                sum.iter_mut().zip(&*row).for_each(|(sum, &x)| *sum += f64::from(x));
            }
            sum
        })
    });
    let mut total = vec![0.0; dim];
    for part in parts {
        total.iter_mut().zip(part).for_each(|(total, sum)| *total += sum);
    }
    Ok(total.into_iter().map(|sum| (sum / rows.len() as f64) as f32).collect())
}
