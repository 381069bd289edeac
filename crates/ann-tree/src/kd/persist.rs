//! A KD-tree in the container: the store as a part in the order of leaves, that order and the boxes as sections.
//!
//! Version 1.

use super::KdTree;
use crate::order::LeafOrder;
use crate::shape::{FAN, Shape};
use ann_core::simd::Arch;
use ann_core::{ReadRow, Reorder};
use ann_io::container::{Archive, LoadError, Persist, SaveError, Writer};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Meta {
    /// Rows in the tree; those behind them are beside it.
    rows: u64,
}

impl<S: ReadRow + Reorder + Persist> Persist for KdTree<S> {
    const KIND: &'static str = "kd-tree";
    const VERSION: u16 = 1;

    fn save<'a>(&'a self, writer: &mut Writer<'a>) -> Result<(), SaveError> {
        writer.meta(&Meta { rows: self.shape.rows() as u64 })?;
        writer.part("store", &self.store)?;
        writer.section("rows", self.order.rows())?;
        writer.section("boxes", &self.boxes)
    }

    fn load(archive: &Archive) -> Result<Self, LoadError> {
        let Meta { rows } = archive.meta()?;
        let arch = archive.valid("arch", Arch::detect())?;
        let store: S = archive.part("store")?;
        let rows = usize::try_from(rows).ok().filter(|&rows| rows <= store.len());
        let rows = rows.ok_or_else(|| archive.corrupt("rows", "more rows in the tree than there are"))?;
        let shape = Shape::new(rows);
        let order = LeafOrder::from_rows(archive.section_of("rows", store.len())?)
            .ok_or_else(|| archive.corrupt("rows", "a row is missing, or there twice"))?;
        // A product that overflows is the length of no section.
        let values = shape.groups().saturating_mul(store.dim().saturating_mul(2 * FAN));
        let boxes = archive.section_of("boxes", values)?;
        Ok(Self { arch, shape, order, boxes, store })
    }
}
