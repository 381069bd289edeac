//! A [`CellTree`] in the container: the store as a part in the order of cells, that order as a section, and what the cells add.

use crate::euclid::Euclid;
use crate::order::LeafOrder;
use crate::places::{CellTree, Cells, LEAF};
use ann_core::{Metric, ReadRow, Reorder};
use ann_io::container::{Archive, LoadError, Persist, SaveError, Writer};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Cells as sections.
pub trait Stored: Cells<Params: Serialize + DeserializeOwned> {
    #[doc(hidden)]
    const KIND: &'static str;
    #[doc(hidden)]
    fn save<'a>(&'a self, writer: &mut Writer<'a>) -> Result<(), SaveError>;
    /// Reads cells of `rows` rows, in which no search goes astray.
    #[doc(hidden)]
    fn load(archive: &Archive, params: &Self::Params, euclid: &Euclid, rows: usize) -> Result<Self, LoadError>;
}

#[derive(Serialize, Deserialize)]
struct Meta<P> {
    params: P,
    /// Rows in cells; those behind them are beside the tree.
    rows: u64,
    /// Norm of all points under inner products.
    norm: f32,
}

impl<C: Stored, S: ReadRow + Reorder + Persist> Persist for CellTree<C, S> {
    const KIND: &'static str = C::KIND;
    const VERSION: u16 = 1;

    fn save<'a>(&'a self, writer: &mut Writer<'a>) -> Result<(), SaveError> {
        writer.meta(&Meta { params: self.params.clone(), rows: self.rows as u64, norm: self.euclid.norm() })?;
        writer.part("store", &self.store)?;
        writer.section("rows", self.order.rows())?;
        self.cells.save(writer)
    }

    fn load(archive: &Archive) -> Result<Self, LoadError> {
        let Meta { params, rows, norm } = archive.meta::<Meta<C::Params>>()?;
        archive.valid("params", C::check(&params))?;
        if !(0.0..=f32::MAX).contains(&norm) {
            return Err(archive.corrupt("norm", format!("{norm} is not the norm of a point")));
        }
        let store: S = archive.part("store")?;
        let (shape, order) = LeafOrder::load(archive, rows, store.len())?;
        let rows = shape.rows();
        let (metric, dim): (Metric, usize) = (store.metric(), store.dim());
        let euclid = archive.valid("arch", Euclid::with_norm(metric, dim, norm))?;
        let cells = C::load(archive, &params, &euclid, rows)?;
        Ok(Self { params, euclid, cells, rows, order, store })
    }
}

/// Whether these are the beginnings of parts of `all`, one after another from 0 on, and the end of the last.
pub(crate) fn rising(starts: &[u32], all: usize) -> bool {
    let ends = starts.first() == Some(&0) && starts.last().is_some_and(|&end| end as usize == all);
    ends && starts.is_sorted()
}

/// Whether every link leads to a leaf or to a node behind the one it comes from, and to each but once: so a search ends.
pub(crate) fn is_tree(links: impl IntoIterator<Item = (Option<usize>, u32)>, nodes: usize, leaves: usize) -> bool {
    let mut met = vec![false; nodes.saturating_add(leaves)];
    links.into_iter().all(|(from, to)| {
        let number = (to & !LEAF) as usize;
        let (there, at) = match to & LEAF {
            0 => (number < nodes && from.is_none_or(|from| number > from), number),
            _ => (number < leaves, nodes + number),
        };
        there && !std::mem::replace(&mut met[at], true)
    })
}
