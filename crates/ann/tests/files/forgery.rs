//! A file taken apart into its numbers, each free to lie, and put together again with checksums that are right.

use ann::graph::HnswParams;
use ann::io::container::{Archive, LoadError, Persist, SaveError, Stored, Writer};
use half::bf16;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The whole file: an index with its labels.
pub(crate) struct Forgery<I = Graph> {
    pub(crate) kind: &'static str,
    pub(crate) version: u16,
    pub(crate) meta: Meta,
    pub(crate) labels: Option<Vec<u64>>,
    /// A bit per row that was removed.
    pub(crate) dead: Option<Vec<u64>>,
    pub(crate) index: I,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Meta {
    pub(crate) spec: String,
    pub(crate) element: String,
    pub(crate) labelled: bool,
}

/// The part `index`.
pub(crate) struct Graph {
    pub(crate) meta: GraphMeta,
    pub(crate) links: Vec<u32>,
    pub(crate) parents: Vec<u32>,
    pub(crate) layers: Vec<Layer>,
    pub(crate) store: Rows,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct GraphMeta {
    pub(crate) params: HnswParams,
    pub(crate) root: u32,
    pub(crate) upper: u8,
}

#[derive(Clone)]
pub(crate) struct Layer {
    pub(crate) links: Vec<u32>,
    pub(crate) rows: Vec<u32>,
    pub(crate) below: Vec<u32>,
}

/// The part `index.store`.
pub(crate) struct Rows {
    pub(crate) meta: RowsMeta,
    pub(crate) values: Values,
    pub(crate) inverse_norms: Vec<f32>,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct RowsMeta {
    pub(crate) metric: String,
    pub(crate) dim: u64,
    pub(crate) len: u64,
}

pub(crate) enum Values {
    U8(Vec<u8>),
    Bf16(Vec<bf16>),
    F32(Vec<f32>),
}

impl<I: Persist> Forgery<I> {
    /// Takes the file at `path` apart.
    pub(crate) fn of(path: &Path) -> Self {
        let archive = Archive::open(path, ann::io::container::OpenMode::Read).unwrap();
        let labels = archive.has_section("labels").then(|| numbers(&archive, "labels").unwrap());
        let (meta, index) = (archive.meta().unwrap(), archive.part("index").unwrap());
        Self { kind: "ann", version: archive.version(), meta, labels, dead: None, index }
    }

    /// Puts it together again.
    pub(crate) fn write(&self, path: &Path) {
        let mut writer = Writer::new(self.kind, self.version).unwrap();
        writer.meta(&self.meta).unwrap();
        if let Some(labels) = &self.labels {
            writer.section("labels", labels).unwrap();
        }
        if let Some(dead) = &self.dead {
            writer.section("dead", dead).unwrap();
        }
        writer.part("index", &self.index).unwrap();
        writer.write(path).unwrap();
    }
}

fn numbers<T: Stored>(archive: &Archive, name: &str) -> Result<Vec<T>, LoadError> {
    Ok(archive.section::<T>(name)?.to_vec())
}

impl Persist for Graph {
    const KIND: &'static str = "hnsw";
    const VERSION: u16 = 1;

    fn save<'a>(&'a self, writer: &mut Writer<'a>) -> Result<(), SaveError> {
        writer.meta(&self.meta)?;
        writer.part("store", &self.store)?;
        writer.section("links", &self.links)?;
        writer.section("parents", &self.parents)?;
        for (layer, number) in self.layers.iter().zip(1..) {
            writer.section(&format!("layer{number}.links"), &layer.links)?;
            writer.section(&format!("layer{number}.rows"), &layer.rows)?;
            writer.section(&format!("layer{number}.below"), &layer.below)?;
        }
        Ok(())
    }

    fn load(archive: &Archive) -> Result<Self, LoadError> {
        let meta: GraphMeta = archive.meta()?;
        let layer = |number| {
            let part = |what| numbers(archive, &format!("layer{number}.{what}"));
            Ok(Layer { links: part("links")?, rows: part("rows")?, below: part("below")? })
        };
        let layers = (1..=meta.upper).map(layer).collect::<Result<_, LoadError>>()?;
        let (links, parents) = (numbers(archive, "links")?, numbers(archive, "parents")?);
        Ok(Self { meta, links, parents, layers, store: archive.part("store")? })
    }
}

impl Persist for Rows {
    const KIND: &'static str = "rows";
    const VERSION: u16 = 1;

    fn save<'a>(&'a self, writer: &mut Writer<'a>) -> Result<(), SaveError> {
        writer.meta(&self.meta)?;
        match &self.values {
            Values::U8(values) => writer.section("values", values)?,
            Values::Bf16(values) => writer.section("values", values)?,
            Values::F32(values) => writer.section("values", values)?,
        }
        writer.section("inverse_norms", &self.inverse_norms)
    }

    fn load(archive: &Archive) -> Result<Self, LoadError> {
        let values = numbers(archive, "values")
            .map(Values::U8)
            .or_else(|_| numbers(archive, "values").map(Values::Bf16))
            .or_else(|_| numbers(archive, "values").map(Values::F32))?;
        Ok(Self { meta: archive.meta()?, values, inverse_norms: numbers(archive, "inverse_norms")? })
    }
}
