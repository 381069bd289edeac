//! A graph on disk in the container: codes as a part, entries as a section, nodes as pages.
//!
//! Version 1.

use super::cache::Cache;
use super::layout::{Layout, MAX_DEGREE};
use super::write::add;
use super::{DiskGraph, Measure};
use ann_core::simd::Buffer;
use ann_core::{MAX_DIM, MAX_ROWS, Metric, VectorError, VectorStore};
use ann_io::container::{Archive, LoadError, Persist, SaveError, Writer};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
pub(super) struct Meta {
    nodes: u32,
    dim: u32,
    max_degree: u32,
    metric: String,
}

impl Meta {
    /// Everything below 2³² has been checked: `MAX_ROWS`, `MAX_DIM`, [`MAX_DEGREE`].
    pub(super) fn new(layout: Layout, metric: Metric) -> Self {
        let Layout { nodes, dim, max_degree, .. } = layout;
        Self { nodes: nodes as u32, dim: dim as u32, max_degree: max_degree as u32, metric: metric.to_string() }
    }

    fn layout(&self) -> Result<Layout, String> {
        let Self { nodes, dim, max_degree, .. } = *self;
        if nodes > MAX_ROWS || !(1..=MAX_DIM).contains(&(dim as usize)) || max_degree as usize > MAX_DEGREE {
            return Err(format!("{nodes} nodes of {dim} columns and up to {max_degree} links"));
        }
        Ok(Layout::new(nodes as usize, dim as usize, max_degree as usize))
    }
}

impl<C: VectorStore<Vector = [f32]> + Persist> Persist for DiskGraph<C> {
    const KIND: &'static str = "disk";
    const VERSION: u16 = 1;

    /// The pages are copied from where they are; what is cached, and threads, are no part of the file.
    fn save<'a>(&'a self, writer: &mut Writer<'a>) -> Result<(), SaveError> {
        let meta = Meta::new(self.layout, self.measure.metric);
        add(writer, &meta, &self.codes, &self.entries, self.layout, &self.pages)
    }

    /// With [`OpenMode::OnDemand`](ann_io::container::OpenMode::OnDemand) the pages stay on disk, and each is checked when it is
    /// read; with the other modes they are in memory, or mapped.
    fn load(archive: &Archive) -> Result<Self, LoadError> {
        let meta: Meta = archive.meta()?;
        let layout = archive.valid("layout", meta.layout())?;
        let metric: Metric = archive.valid("metric", meta.metric.parse())?;
        let measure = archive.valid("metric", Measure::new(layout.dim, metric))?;
        let pages = archive.pages("pages", layout.page_bytes, layout.pages())?;
        let codes: C = archive.part("codes")?;
        if codes.len() != layout.nodes {
            return Err(archive.corrupt("codes", format!("{} rows, expected {}", codes.len(), layout.nodes)));
        }
        if let Err(VectorError::Dimension { expected, .. }) = codes.check(&[])
            && expected != layout.dim
        {
            return Err(archive.corrupt("codes", format!("{expected} columns, expected {}", layout.dim)));
        }
        let entries: Buffer<u32> = archive.section("entries")?;
        let inside = entries.iter().all(|&entry| (entry as usize) < layout.nodes);
        if !inside || entries.is_empty() != (layout.nodes == 0) {
            return Err(archive.corrupt("entries", "an entry is no node, or there is none"));
        }
        let (entries, cache) = (entries.to_vec(), Cache::default());
        Ok(Self { codes, measure, layout, pages, entries, cache, threads: None })
    }
}
