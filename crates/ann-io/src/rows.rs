//! Stored rows in the container: values with their padding, and inverse norms where there are any.
//!
//! Version 1.

use crate::container::{Archive, LoadError, Persist, SaveError, Stored, Writer};
use ann_core::{FlatStore, Metric, Scalar, VectorStore};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Meta {
    metric: String,
    dim: u64,
    len: u64,
}

impl<T: Scalar + Stored> Persist for FlatStore<T> {
    const KIND: &'static str = "rows";
    const VERSION: u16 = 1;

    fn save<'a>(&'a self, writer: &mut Writer<'a>) -> Result<(), SaveError> {
        let (dim, len) = (self.dim() as u64, self.len() as u64);
        writer.meta(&Meta { metric: self.metric().to_string(), dim, len })?;
        writer.section("values", self.padded_rows())?;
        writer.section("inverse_norms", self.inverse_norms())
    }

    fn load(archive: &Archive) -> Result<Self, LoadError> {
        let Meta { metric, dim, len } = archive.meta()?;
        let metric: Metric = metric.parse().map_err(|error| archive.corrupt("metric", format!("{error}")))?;
        let (dim, len) = (usize::try_from(dim).unwrap_or(usize::MAX), usize::try_from(len).unwrap_or(usize::MAX));
        let (values, norms) = (archive.section("values")?, archive.section("inverse_norms")?);
        let store: Self = FlatStore::from_parts(dim, metric, len, values, norms)
            .map_err(|error| archive.corrupt("values", error.to_string()))?;
        let stride = store.kernel_rows().stride();
        if stride > dim {
            // Kernels read the padding; anything but zero there would change distances.
            let padded = store.padded_rows().chunks_exact(stride);
            if let Some(row) = padded.into_iter().position(|row| row[dim..].iter().any(|x| x.widen() != 0.0)) {
                return Err(archive.corrupt("values", format!("the padding of row {row} is not zero")));
            }
        }
        if let Some(row) = store.inverse_norms().iter().position(|norm| !norm.is_finite() || *norm <= 0.0) {
            return Err(archive.corrupt("inverse_norms", format!("row {row} has no positive norm")));
        }
        Ok(store)
    }
}
