//! A partition index in the container: rows, centres and codec as parts, lists as sections that are used where they lie.
//!
//! Version 1.

use crate::coarse::{Centres, plain};
use crate::codec::Codec;
use crate::lists::Lists;
use crate::probing::Margins;
use crate::{Ivf, IvfParams, ListCode, ListRows};
use ann_core::{FlatStore, LaneCodec, Metric, Par, VectorStore};
use ann_io::container::{Archive, LoadError, Persist, SaveError, Writer};
use ann_quant::{LanePq, NodeRabitq};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Meta {
    params: IvfParams,
    metric: String,
    depth: u64,
}

impl<S: ListRows + Persist> Persist for Ivf<S> {
    const KIND: &'static str = "ivf";
    const VERSION: u16 = 1;

    fn save<'a>(&'a self, writer: &mut Writer<'a>) -> Result<(), SaveError> {
        let (params, metric, depth) = (self.params, self.metric.to_string(), self.depth as u64);
        writer.meta(&Meta { params, metric, depth })?;
        writer.part("store", &self.store)?;
        writer.part("centres", &self.centres.rows)?;
        writer.section("margins", self.centres.margins.parts())?;
        match &self.codec {
            Codec::Rows => {}
            Codec::Rabitq(codec) => writer.part("codec", &**codec)?,
            Codec::Pq(codec) => writer.part("codec", &**codec)?,
        }
        // Codes of lists tell how centres were encoded, where they are of that kind.
        if let (Codec::Rows | Codec::Pq(_), Some(codec)) = (&self.codec, self.centres.codec()) {
            writer.part("coarse", codec)?;
        }
        writer.section("lens", &self.lists.lens)?;
        if self.lists.is_compact() {
            writer.section_owned("blocks", self.lists.blocks.concat())?;
            writer.section("ids", &self.lists.ids)?;
            return writer.section("codes", &self.lists.codes);
        }
        let Lists { ids, codes, blocks, .. } = self.lists.compacted(self.codec.block_len());
        writer.section_owned("blocks", blocks.concat())?;
        writer.section_owned("ids", ids.to_vec())?;
        writer.section_owned("codes", codes.to_vec())
    }

    fn load(archive: &Archive) -> Result<Self, LoadError> {
        let Meta { params, metric, depth } = archive.meta()?;
        archive.valid("params", params.check())?;
        let metric: Metric = archive.valid("metric", metric.parse())?;
        let store: S = archive.part("store")?;
        let centres: FlatStore<f32> = archive.part("centres")?;
        let codec = match params.code {
            ListCode::Rows => Codec::Rows,
            ListCode::Rabitq { .. } => Codec::Rabitq(Box::new(archive.part::<NodeRabitq>("codec")?)),
            ListCode::Pq { .. } => Codec::Pq(Box::new(archive.part::<LanePq>("codec")?)),
        };
        let coarse: Option<NodeRabitq> = match &codec {
            Codec::Rabitq(codec) => Some((**codec).clone()),
            _ if archive.has_part("coarse") => Some(archive.part("coarse")?),
            _ => None,
        };
        // Whatever is scored together must agree.
        let dim = centres.dim();
        let fits = |codec_dim: usize, codec_metric: Metric| codec_dim == dim && codec_metric == metric;
        let sound = match &codec {
            Codec::Rows => true,
            Codec::Rabitq(codec) => {
                fits(codec.dim(), codec.metric()) && params.code == (ListCode::Rabitq { bits: codec.planes() })
            }
            Codec::Pq(codec) => {
                let asked = matches!(params.code, ListCode::Pq { m, nbits, .. } if m == codec.pq().m() && nbits == codec.pq().nbits());
                fits(codec.dim(), codec.metric()) && asked
            }
        };
        if !sound || coarse.as_ref().is_some_and(|codec| !fits(codec.dim(), codec.metric())) {
            return Err(archive.corrupt("codec", "codes that do not fit the centres"));
        }
        let expected = params.nlist.min(store.len().max(centres.len()));
        if centres.metric() != plain(metric) || centres.is_empty() || centres.len() > expected {
            return Err(archive.corrupt("centres", format!("{} centres of {}", centres.len(), centres.metric())));
        }
        // A vector without columns fits no store, and is refused with the columns that would.
        if !matches!(store.check(&[]), Err(ann_core::VectorError::Dimension { expected, .. }) if expected == dim) {
            return Err(archive.corrupt("store", format!("rows that have not the {dim} columns of the centres")));
        }
        let (lens, blocks) = (archive.section_of::<u32>("lens", centres.len())?, archive.section::<u32>("blocks")?);
        let (ids, codes) = (archive.section("ids")?, archive.section("codes")?);
        let lists = Lists::from_parts(ids, codes, &blocks, &lens, (store.len(), params.copies(), codec.block_len()))
            .ok_or_else(|| archive.corrupt("lists", "a row is in no list, in too many, or not there"))?;
        let depth = usize::try_from(depth).unwrap_or(usize::MAX).min(1 << 20);
        let margins = Margins::from_parts(archive.section::<f32>("margins")?.to_vec(), centres.len())
            .ok_or_else(|| archive.corrupt("margins", "no ascending numbers, one for every step"))?;
        let centres = Centres::over(centres, metric, coarse.as_ref(), margins, Par::Ambient);
        Ok(Self { params, metric, centres, codec, lists, store, depth })
    }
}

#[derive(Serialize, Deserialize)]
struct NoRowsMeta {
    dim: u64,
    metric: String,
    len: u64,
}

impl Persist for crate::NoRows {
    const KIND: &'static str = "no-rows";
    const VERSION: u16 = 1;

    fn save<'a>(&'a self, writer: &mut Writer<'a>) -> Result<(), SaveError> {
        let (dim, metric, len) = (self.dim() as u64, self.metric().to_string(), self.len() as u64);
        writer.meta(&NoRowsMeta { dim, metric, len })
    }

    fn load(archive: &Archive) -> Result<Self, LoadError> {
        let NoRowsMeta { dim, metric, len } = archive.meta()?;
        let metric: Metric = archive.valid("metric", metric.parse())?;
        let size = |x: u64| usize::try_from(x).unwrap_or(usize::MAX);
        if size(len) > ann_core::MAX_ROWS as usize {
            return Err(archive.corrupt("len", format!("{len} rows")));
        }
        Ok(archive.valid("dim", Self::new(size(dim), metric))?.with_len(size(len)))
    }
}
