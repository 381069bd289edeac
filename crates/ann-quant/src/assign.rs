//! Rows to their nearest centres, without training anything.

use crate::TrainError;
use crate::nearest::{MAX_CENTROIDS, Table};
use ann_core::simd::Arch;
use ann_core::{MatrixView, Metric, Par, ScratchPool, prepare_dense};

/// `labels[i]` becomes the number of the centre that row `i` is nearest to in squared distance, the lowest of equal ones; under cosine rows are normalised
/// first. `centres`: `(k, dim)`, `rows`: `(n, dim)`, all finite. The same on any number of threads.
///
/// Cost: `n k dim` multiply-adds.
///
/// # Errors
/// [`TrainError::Param`] if there is no centre or there are more than 16,777,216, or `rows` or `labels` do not fit.
///
/// ```
/// use ann_core::{Matrix, Metric, Par};
/// let (rows, centres) = (Matrix::new(vec![0.0, 1.0, 9.0], 1)?, Matrix::new(vec![10.0, 0.0], 1)?);
/// let mut labels = [0; 3];
/// ann_quant::assign(rows.view(), centres.view(), Metric::L2, &mut labels, Par::Serial)?;
/// assert_eq!(labels, [1, 1, 0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn assign(
    rows: MatrixView<'_, f32>,
    centres: MatrixView<'_, f32>,
    metric: Metric,
    labels: &mut [u32],
    par: Par,
) -> Result<(), TrainError> {
    /// Rows per task.
    const CHUNK: usize = 512;
    if centres.is_empty() || centres.len() > MAX_CENTROIDS {
        return Err(TrainError::Param { name: "centres", found: centres.len(), must: "1 to 16,777,216" });
    }
    if rows.dim() != centres.dim() {
        return Err(TrainError::Param { name: "columns", found: rows.dim(), must: "those of the centres" });
    }
    if labels.len() != rows.len() {
        return Err(TrainError::Param { name: "labels", found: labels.len(), must: "as many as rows" });
    }
    let table = Table::l2(Arch::detect()?, centres.as_slice(), centres.dim());
    let pool = ScratchPool::<(Vec<f32>, Vec<f32>)>::default();
    par.install(|par| {
        par.for_each_chunk_mut(labels, CHUNK, &pool, |(unit, block), at, labels| {
            let rows = rows.slice(at..at + labels.len());
            if metric != Metric::Cosine {
                return table.nearest(rows.as_slice(), labels);
            }
            block.clear();
            for row in rows.rows() {
                prepare_dense(row, metric, row.len(), unit);
                block.extend_from_slice(unit);
            }
            table.nearest(block, labels);
        });
    });
    Ok(())
}
