//! The cells of an RP-forest in the container. Version 1.

use super::{Forest, LEAF, RpForestParams};
use crate::euclid::Euclid;
use crate::persist::{Stored, rising};
use ann_core::padded_len;
use ann_io::container::{Archive, LoadError, SaveError, Writer};

impl Stored for Forest {
    const KIND: &'static str = "rp-forest";

    fn save<'a>(&'a self, writer: &mut Writer<'a>) -> Result<(), SaveError> {
        writer.section("roots", &self.roots)?;
        writer.section("normals", &self.normals)?;
        writer.section("planes", &self.planes)?;
        writer.section("children", &self.children)?;
        writer.section("starts", &self.starts)?;
        writer.section("places", &self.places)
    }

    fn load(archive: &Archive, params: &RpForestParams, euclid: &Euclid, rows: usize) -> Result<Self, LoadError> {
        let children = archive.section::<u32>("children")?;
        let nodes = children.len() / 2;
        // Products that overflow are the lengths of no section.
        let stride = padded_len::<i8>(euclid.width());
        let forest = Self {
            roots: archive.section_of("roots", params.trees)?,
            normals: archive.section_of("normals", nodes.saturating_mul(stride))?,
            planes: archive.section_of("planes", children.len())?,
            children,
            starts: archive.section("starts")?,
            places: archive.section_of("places", rows.saturating_mul(params.trees))?,
        };
        let corrupt = |section, what| Err(archive.corrupt(section, what));
        let leaves = forest.starts.len().wrapping_sub(1);
        if !forest.children.len().is_multiple_of(2) {
            return corrupt("children", "a node has one child");
        }
        if !rising(&forest.starts, forest.places.len()) {
            return corrupt("starts", "a leaf begins before the last, or behind all places");
        }
        if forest.places.iter().any(|&place| place as usize >= rows) {
            return corrupt("places", "a place that no row is at");
        }
        let there = |from: Option<usize>, to: u32| match to & LEAF {
            0 => from.is_none_or(|from| to as usize > from) && (to as usize) < nodes,
            _ => ((to & !LEAF) as usize) < leaves,
        };
        if !forest.roots.iter().all(|&root| there(None, root)) {
            return corrupt("roots", "a tree that begins nowhere");
        }
        if !forest.children.iter().enumerate().all(|(i, &child)| there(Some(i / 2), child)) {
            return corrupt("children", "a child that is no leaf, or no node below");
        }
        Ok(forest)
    }
}
