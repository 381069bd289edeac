//! A ball tree in the container: the store as a part in the order of leaves, that order, the balls and the reaches as sections.
//!
//! Version 1.

use super::BallTree;
use crate::order::LeafOrder;
use crate::shape::FAN;
use ann_core::{Reorder, VectorStore};
use ann_io::container::{Archive, LoadError, Persist, SaveError, Writer};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Meta {
    /// Rows in the tree; those behind them are beside it.
    rows: u64,
}

impl<S: VectorStore + Reorder + Persist> Persist for BallTree<S> {
    const KIND: &'static str = "ball-tree";
    const VERSION: u16 = 1;

    fn save<'a>(&'a self, writer: &mut Writer<'a>) -> Result<(), SaveError> {
        writer.meta(&Meta { rows: self.shape.rows() as u64 })?;
        writer.part("store", &self.store)?;
        writer.section("rows", self.order.rows())?;
        writer.section("centers", &self.centers)?;
        writer.section("radii", &self.radii)?;
        writer.section("reaches", &self.reaches)
    }

    fn load(archive: &Archive) -> Result<Self, LoadError> {
        let Meta { rows } = archive.meta()?;
        let store: S = archive.part("store")?;
        let gauge =
            store.gauge().ok_or_else(|| archive.corrupt("store", "distances that keep no triangle inequality"))?;
        let (shape, order) = LeafOrder::load(archive, rows, store.len())?;
        let balls = shape.groups().saturating_mul(FAN);
        let centers = archive.section_of::<u32>("centers", balls)?;
        if centers.iter().any(|&center| center as usize >= store.len().max(1)) {
            return Err(archive.corrupt("centers", "a center that is no row"));
        }
        let radii = archive.section_of("radii", balls)?;
        let reaches = archive.section_of("reaches", shape.rows())?;
        Ok(Self { gauge, shape, order, centers, radii, reaches, store })
    }
}
