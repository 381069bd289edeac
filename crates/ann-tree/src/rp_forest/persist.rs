//! The cells of an RP-forest in the container. Version 1.

use super::{Planes, RpForestParams};
use crate::euclid::Euclid;
use crate::persist::{Stored, is_tree, rising};
use ann_core::padded_len;
use ann_io::container::{Archive, LoadError, SaveError, Writer};

impl Stored for Planes {
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
        let roots = forest.roots.iter().map(|&root| (None, root));
        let links = roots.chain(forest.children.iter().enumerate().map(|(i, &child)| (Some(i / 2), child)));
        if !is_tree(links, nodes, leaves) {
            return corrupt("children", "a child is no leaf and no node below, or the child of another, too");
        }
        Ok(forest)
    }
}
