//! The cells of a k-means tree in the container. Version 1.

use super::{Centres, KMeansTreeParams};
use crate::euclid::Euclid;
use crate::persist::{Stored, is_tree, rising};
use ann_io::container::{Archive, LoadError, SaveError, Writer};

impl Stored for Centres {
    const KIND: &'static str = "k-means-tree";

    fn save<'a>(&'a self, writer: &mut Writer<'a>) -> Result<(), SaveError> {
        writer.section("centres", &self.centres)?;
        writer.section("spreads", &self.spreads)?;
        writer.section("links", &self.links)?;
        writer.section("firsts", &self.firsts)?;
        writer.section("starts", &self.starts)
    }

    fn load(archive: &Archive, _: &KMeansTreeParams, euclid: &Euclid, rows: usize) -> Result<Self, LoadError> {
        let links = archive.section("links")?;
        let cells = Self {
            // A product that overflows is the length of no section.
            centres: archive.section_of("centres", links.len().saturating_mul(euclid.width()))?,
            spreads: archive.section_of("spreads", links.len())?,
            links,
            firsts: archive.section("firsts")?,
            starts: archive.section("starts")?,
        };
        let corrupt = |section, what| Err(archive.corrupt(section, what));
        let (nodes, leaves) = (cells.firsts.len().wrapping_sub(1), cells.starts.len().wrapping_sub(1));
        if !rising(&cells.firsts, cells.links.len()) {
            return corrupt("firsts", "the branches of a node begin before or behind all branches");
        }
        if !rising(&cells.starts, rows) {
            return corrupt("starts", "a leaf begins before the last, or behind all rows");
        }
        let branches = |node: usize| cells.firsts[node] as usize..cells.firsts[node + 1] as usize;
        let links = (0..nodes).flat_map(|node| cells.links[branches(node)].iter().map(move |&link| (Some(node), link)));
        if !is_tree(links, nodes, leaves) {
            return corrupt("links", "a branch leads to no leaf and to no node below, or to one that another leads to");
        }
        Ok(cells)
    }
}
