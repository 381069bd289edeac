//! Writing the file of a graph, one page in memory at a time.

use super::layout::{Layout, MAX_DEGREE};
use super::persist::Meta;
use super::{DiskError, DiskGraph};
use crate::Hierarchy;
use ann_core::{MAX_DIM, ReadRow, VectorError, VectorStore, prepare_dense};
use ann_io::container::{FillPage, Persist, SaveError, Writer};
use std::io;
use std::path::Path;

impl<C: VectorStore<Vector = [f32]> + Persist> DiskGraph<C> {
    /// Writes layer 0 of `graph` (graphs of one layer suit it best, [`HnswParams::vamana`](crate::HnswParams::vamana) first of
    /// all) with `rows` and `codes` of the same rows as one index file at `path`, which is replaced as a whole or not at all.
    ///
    /// Rows are written as `f32`, normalised under cosine. Takes one page of memory, and reads every row twice.
    ///
    /// # Errors
    /// [`DiskError::Parts`] if the parts differ in length or dimension; [`DiskError::Save`].
    pub fn write<R: ReadRow>(path: impl AsRef<Path>, graph: &Hierarchy, rows: &R, codes: &C) -> Result<(), DiskError> {
        let same = |what, found| match graph.len() == found {
            true => Ok(()),
            false => Err(DiskError::Parts { what, expected: graph.len(), found }),
        };
        same("rows", rows.len())?;
        same("codes", codes.len())?;
        let entries: Vec<u32> = graph.entry().into_iter().collect();
        // Lists are seldom full everywhere, and shorter records mean more of them in a page.
        let max_degree = (0..graph.len() as u32).map(|node| graph.base().neighbors(node).count()).max().unwrap_or(0);
        let links = |node: u32, out: &mut Vec<u32>| {
            out.extend(graph.base().neighbors(node));
            Ok(())
        };
        write_links(path.as_ref(), Links { of: &links, max_degree, entries: &entries }, rows, codes)
    }
}

/// Links from wherever they are kept.
pub(super) struct Links<'l> {
    /// Appends the links of a node, at most `max_degree` of them, to a list that is empty.
    pub(super) of: &'l (dyn Fn(u32, &mut Vec<u32>) -> io::Result<()> + Send + Sync),
    pub(super) max_degree: usize,
    pub(super) entries: &'l [u32],
}

/// Writes the file of `links` between `rows`.
pub(super) fn write_links<R: ReadRow, C: VectorStore<Vector = [f32]> + Persist>(
    path: &Path,
    links: Links<'_>,
    rows: &R,
    codes: &C,
) -> Result<(), DiskError> {
    let limit = |what, expected, found| match found > expected {
        true => Err(DiskError::Parts { what, expected, found }),
        false => Ok(()),
    };
    limit("columns", MAX_DIM, rows.dim())?;
    limit("links of a node", MAX_DEGREE, links.max_degree)?;
    // A vector without columns fits no store, and is refused with the columns that would.
    if let Err(VectorError::Dimension { expected: found, .. }) = codes.check(&[])
        && found != rows.dim()
    {
        return Err(DiskError::Parts { what: "columns of the codes", expected: rows.dim(), found });
    }
    let layout = Layout::new(rows.len(), rows.dim(), links.max_degree);
    let fill = |page: u64, body: &mut [u8]| {
        let (mut row, mut prepared, mut list) = (Vec::new(), Vec::new(), Vec::new());
        for node in layout.nodes_of(page) {
            rows.read(node, &mut row);
            prepare_dense(&row, rows.metric(), row.len(), &mut prepared);
            list.clear();
            (links.of)(node, &mut list)?;
            layout.put(node, &prepared, &list, body);
        }
        Ok(())
    };
    let meta = Meta::new(layout, rows.metric());
    let mut writer = Writer::new(DiskGraph::<C>::KIND, DiskGraph::<C>::VERSION)?;
    add(&mut writer, &meta, codes, links.entries, layout, &fill)?;
    Ok(writer.write(path)?)
}

/// Adds everything that a file has to the current part.
pub(super) fn add<'a, C: Persist>(
    writer: &mut Writer<'a>,
    meta: &Meta,
    codes: &'a C,
    entries: &'a [u32],
    layout: Layout,
    fill: &'a dyn FillPage,
) -> Result<(), SaveError> {
    writer.meta(meta)?;
    writer.part("codes", codes)?;
    writer.section("entries", entries)?;
    writer.pages("pages", layout.page_bytes, layout.pages(), fill)
}
