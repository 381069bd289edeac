//! A KD-forest in the container: the store as a part, nodes and rows of all trees as sections.
//!
//! Version 1.

use super::{KdForest, KdForestParams, nodes};
use ann_core::ReadRow;
use ann_io::container::{Archive, LoadError, Persist, SaveError, Writer};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Meta {
    params: KdForestParams,
    /// Rows in the trees; those behind them are beside them.
    rows: u64,
}

impl<S: ReadRow + Persist> Persist for KdForest<S> {
    const KIND: &'static str = "kd-forest";
    const VERSION: u16 = 1;

    fn save<'a>(&'a self, writer: &mut Writer<'a>) -> Result<(), SaveError> {
        writer.meta(&Meta { params: self.params, rows: self.rows as u64 })?;
        writer.part("store", &self.store)?;
        writer.section("columns", &self.columns)?;
        writer.section("values", &self.values)?;
        writer.section("ids", &self.ids)
    }

    fn load(archive: &Archive) -> Result<Self, LoadError> {
        let Meta { params, rows } = archive.meta()?;
        archive.valid("params", params.check())?;
        let store: S = archive.part("store")?;
        let rows = usize::try_from(rows).ok().filter(|&rows| rows <= store.len());
        let rows = rows.ok_or_else(|| archive.corrupt("ids", "more rows in the trees than there are"))?;
        // Rows are at most as many as ids, and trees are few.
        let all = params.trees.saturating_mul(nodes(rows, params.leaf));
        let columns = archive.section_of::<u32>("columns", all)?;
        if columns.iter().any(|&column| column as usize >= store.dim()) {
            return Err(archive.corrupt("columns", "a column that no row has"));
        }
        let values = archive.section_of("values", all)?;
        let ids = archive.section_of::<u32>("ids", params.trees.saturating_mul(rows))?;
        if ids.iter().any(|&id| id as usize >= rows) {
            return Err(archive.corrupt("ids", "a row that is not there"));
        }
        Ok(Self { params, rows, columns, values, ids, store })
    }
}
