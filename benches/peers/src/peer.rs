//! The peers behind one door: build from rows, search one query into a buffer of ids.

use std::error::Error;

use anndists::dist::Distance;
use hnsw_rs::prelude::Hnsw;
use vicinity::DistanceMetric;
use vicinity::hnsw::HNSWIndex;

use crate::data::Data;

/// Stands where a peer returned fewer than k neighbours.
pub const NO_ROW: u32 = u32::MAX;

const M: usize = 16;
const EF_CONSTRUCTION: usize = 200;

pub trait Peer: Sized {
    fn build(data: &Data, threads: usize) -> Result<Self, Box<dyn Error>>;

    /// Writes the `ids.len()` nearest rows, nearest first.
    fn search(&self, query: &[f32], ef: usize, ids: &mut [u32]) -> Result<(), Box<dyn Error>>;
}

/// `hnsw_rs` with its SIMD feature. Angular data goes through `DistDot` on unit rows: `DistCosine` would compute both
/// norms at every distance.
pub struct HnswRs<D: Distance<f32> + Send + Sync>(Hnsw<'static, f32, D>);

impl<D: Distance<f32> + Default + Send + Sync> Peer for HnswRs<D> {
    fn build(data: &Data, threads: usize) -> Result<Self, Box<dyn Error>> {
        const MAX_LAYER: usize = 16;
        let mut index = Hnsw::new(M, data.rows(), MAX_LAYER, EF_CONSTRUCTION, D::default());
        let rows: Vec<(&[f32], usize)> = data.train.chunks_exact(data.dim).zip(0..).collect();
        if threads == 1 {
            rows.iter().for_each(|&row| index.insert_slice(row));
        } else {
            index.parallel_insert_slice(&rows);
        }
        index.set_searching_mode(true);
        Ok(Self(index))
    }

    fn search(&self, query: &[f32], ef: usize, ids: &mut [u32]) -> Result<(), Box<dyn Error>> {
        let found = self.0.search(query, ids.len(), ef);
        fill(ids, found.iter().map(|n| n.d_id as u32));
        Ok(())
    }
}

/// `vicinity`, whose cosine is one minus the plain product and expects unit rows.
pub struct Vicinity(HNSWIndex);

impl Peer for Vicinity {
    fn build(data: &Data, threads: usize) -> Result<Self, Box<dyn Error>> {
        /// Rows inserted against one frozen graph: small enough that recall stays that of its serial build.
        const BATCH: usize = 256;
        let metric = if data.angular { DistanceMetric::Cosine } else { DistanceMetric::L2 };
        let mut index =
            HNSWIndex::builder(data.dim).m(M).m_max(2 * M).ef_construction(EF_CONSTRUCTION).metric(metric).build()?;
        let ids: Vec<u32> = (0..data.rows() as u32).collect();
        index.add_batch(&ids, &data.train)?;
        if threads == 1 {
            index.build()?;
        } else {
            index.build_parallel(BATCH)?;
        }
        Ok(Self(index))
    }

    fn search(&self, query: &[f32], ef: usize, ids: &mut [u32]) -> Result<(), Box<dyn Error>> {
        let found = self.0.search(query, ids.len(), ef)?;
        fill(ids, found.iter().map(|&(id, _)| id));
        Ok(())
    }
}

fn fill(ids: &mut [u32], found: impl Iterator<Item = u32>) {
    ids.fill(NO_ROW);
    for (slot, id) in ids.iter_mut().zip(found) {
        *slot = id;
    }
}
