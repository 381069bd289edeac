//! A KD-tree in the container: the store as a part in the order of leaves, that order and the boxes as sections.
//!
//! Version 1.

use super::KdTree;
use crate::order::LeafOrder;
use crate::shape::{FAN, LEAF};
use ann_core::simd::{Arch, Buffer};
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
        writer.section("boxes", &self.boxes)?;
        if !self.columns.is_empty() {
            writer.section("columns", &self.columns)?;
        }
        Ok(())
    }

    fn load(archive: &Archive) -> Result<Self, LoadError> {
        let Meta { rows } = archive.meta()?;
        let arch = archive.valid("arch", Arch::detect())?;
        let store: S = archive.part("store")?;
        let (shape, order) = LeafOrder::load(archive, rows, store.len())?;
        // A product that overflows is the length of no section.
        let values = shape.groups().saturating_mul(store.dim().saturating_mul(2 * FAN));
        let boxes = archive.section_of("boxes", values)?;
        let mut tree = Self { arch, shape, order, boxes, columns: Buffer::new(), store };
        // What is not there, or not in the order in which this machine adds up, is compared row by row.
        if tree.keeps_columns() && archive.has_section("columns") {
            let values = shape.leaves().saturating_mul(LEAF * tree.store.dim());
            tree.columns = archive.section_of("columns", values)?;
        }
        Ok(tree)
    }
}
