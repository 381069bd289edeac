//! Rows as codes: alone, or walked on and refined by rows that know better.
//!
//! Links are chosen on the rows, as without codes; what is walked on changes the distances and nothing else.

use super::build::BuildOptions;
use super::{Code, Structure};
use super::{Codes, Refine};
use crate::Error;
use crate::any::{AnyIndex, Dense, Erased, RowStore, SearchParams};
use ann_core::{ElementKind, Exact, FlatError, Matrix, MatrixView, Metric, Monitor, Par, PushVector, Rerank, RowSet};
use ann_quant::{CodeStore, Quantizer, Sq, SqParams};

/// Codes that are walked on and rows that measure what is returned.
pub(super) type Refined<R> = Rerank<CodeStore<Sq>, R>;

/// Every code is compared.
pub(super) fn flat(
    code: Code,
    vectors: MatrixView<'_, f32>,
    options: &BuildOptions<'_>,
) -> Result<Box<dyn AnyIndex>, Error> {
    Ok(Box::new(Erased::new(Exact::new(encode(code, vectors, options)?))))
}

pub(super) fn encode(
    code: Code,
    vectors: MatrixView<'_, f32>,
    options: &BuildOptions<'_>,
) -> Result<CodeStore<Sq>, Error> {
    let bits = match code {
        Code::Sq8 => 8,
        Code::Sq6 => 6,
        Code::Sq4 => 4,
    };
    let sq = Sq::train(vectors, options.metric, &SqParams { bits, ..SqParams::default() }, options.par)?;
    Ok(CodeStore::from_rows(sq, vectors, options.par)?)
}

#[cfg(feature = "graph")]
mod graphs {
    use super::*;
    use crate::factory::build::Element;
    use crate::factory::graph::Linking;
    use ann_core::FlatStore;
    use half::{bf16, f16};

    /// A graph over codes of the vectors, which `T` holds, with what refines them.
    pub(crate) fn graph<T: Element>(codes: Codes, linking: &Linking<'_>) -> Result<Box<dyn AnyIndex>, Error> {
        let (vectors, options) = (linking.vectors, linking.options);
        let (store, metric) = (encode(codes.code, vectors, options)?, options.metric);
        match codes.refine {
            None => over::<T, _>(linking, store),
            Some(Refine::Sq8) => refined::<T, _>(linking, store, encode(Code::Sq8, vectors, options)?),
            Some(Refine::F16) => refined::<T, _>(linking, store, FlatStore::<f16>::rounded(vectors, metric)?),
            Some(Refine::Bf16) => refined::<T, _>(linking, store, FlatStore::<bf16>::rounded(vectors, metric)?),
            Some(Refine::Flat) => match T::KIND {
                ElementKind::F32 => refined::<T, _>(linking, store, FlatStore::<f32>::from_rows(vectors, metric)?),
                ElementKind::Bf16 => refined::<T, _>(linking, store, FlatStore::<bf16>::from_rows(vectors, metric)?),
                // Bytes are exact in halves.
                _ => refined::<T, _>(linking, store, FlatStore::<f16>::from_rows(vectors, metric)?),
            },
        }
    }

    fn refined<T: Element, R: RowStore>(
        linking: &Linking<'_>,
        codes: CodeStore<Sq>,
        rows: R,
    ) -> Result<Box<dyn AnyIndex>, Error> {
        over::<T, _>(linking, Rerank::new(codes, rows, linking.options.metric, linking.vectors)?)
    }

    fn over<T: Element, S: RowStore>(linking: &Linking<'_>, store: S) -> Result<Box<dyn AnyIndex>, Error> {
        Ok(Box::new(Erased::new(linking.over_codes::<T, S>(store)?)))
    }
}

#[cfg(feature = "graph")]
pub(super) use graphs::graph;

impl RowStore for CodeStore<Sq> {
    const NAME: &'static str = "codes";
    const ELEMENT: ElementKind = ElementKind::U8;
    type Wide = Self;

    fn metric(&self) -> Metric {
        self.quantizer().metric()
    }

    fn dim(&self) -> usize {
        self.quantizer().dim()
    }

    fn widened(&self) -> Result<Option<Self>, FlatError> {
        Ok(None)
    }

    #[cfg(any(feature = "graph", feature = "ivf_pq"))]
    fn codes(&self) -> Option<Codes> {
        Some(Codes { code: code(self), refine: None })
    }

    fn refine(&self) -> Refine {
        Refine::Sq8
    }
}

fn code(store: &CodeStore<Sq>) -> Code {
    match store.quantizer().params().bits {
        4 => Code::Sq4,
        6 => Code::Sq6,
        _ => Code::Sq8,
    }
}

impl<R: RowStore> RowStore for Refined<R> {
    const NAME: &'static str = R::NAME;
    const ELEMENT: ElementKind = R::ELEMENT;
    type Wide = Refined<R::Wide>;

    fn metric(&self) -> Metric {
        self.metric()
    }

    fn dim(&self) -> usize {
        self.fine().dim()
    }

    fn widened(&self) -> Result<Option<Self::Wide>, FlatError> {
        let Some(wide) = self.fine().widened()? else { return Ok(None) };
        Rerank::from_parts(self.coarse().clone(), wide, self.metric(), self.slack()).map(Some)
    }

    fn vectors(&self) -> Option<Matrix<f32>> {
        self.fine().vectors()
    }

    #[cfg(any(feature = "graph", feature = "ivf_pq"))]
    fn codes(&self) -> Option<Codes> {
        Some(Codes { code: code(self.coarse()), refine: Some(self.fine().refine()) })
    }
}

impl Dense for Exact<CodeStore<Sq>> {
    type Store = CodeStore<Sq>;
    type Wide = Self;

    fn structure(&self) -> Structure {
        Structure::Codes(code(self.store()))
    }

    fn store(&self) -> &CodeStore<Sq> {
        self.store()
    }

    fn params(_: &SearchParams) -> Self::Params {
        Self::Params::default()
    }

    fn extend(&mut self, rows: MatrixView<'_, f32>, par: Par, _: Monitor<'_>) -> Result<(), Error> {
        Ok(self.store_mut().extend(rows, par)?)
    }

    fn purge(&mut self, dead: &RowSet, _: Par) -> Vec<u32> {
        self.store_mut().remove_rows(dead)
    }

    fn with_store(&self, store: CodeStore<Sq>) -> Option<Self> {
        Some(Exact::new(store))
    }

    #[cfg(feature = "io")]
    fn save<'a>(&'a self, writer: &mut ann_io::container::Writer<'a>) -> Result<(), ann_io::container::SaveError> {
        writer.part("index", self.store())
    }
}

/// Reads an index on codes, whose rows the file calls `rows`.
#[cfg(feature = "io")]
pub(crate) fn load(
    archive: &ann_io::container::Archive,
    structure: &Structure,
    rows: &str,
) -> Result<Box<dyn AnyIndex>, Error> {
    match structure {
        Structure::Codes(_) if rows == <CodeStore<Sq> as RowStore>::NAME => {
            Ok(Box::new(Erased::new(Exact::new(archive.part::<CodeStore<Sq>>("index")?))))
        }
        #[cfg(feature = "graph")]
        Structure::Graph { codes: Some(codes), .. } => graph_files::load(archive, codes, rows),
        #[cfg(not(feature = "graph"))]
        Structure::Graph { .. } => Err(Error::Feature { what: structure.to_string(), feature: "graph" }),
        _ => Err(archive.corrupt("rows", format!("`{rows}`")).into()),
    }
}

#[cfg(all(feature = "io", feature = "graph"))]
mod graph_files {
    use super::*;
    use ann_core::FlatStore;
    use ann_graph::Hnsw;
    use ann_io::container::Archive;
    use half::{bf16, f16};

    pub(super) fn load(archive: &Archive, codes: &Codes, rows: &str) -> Result<Box<dyn AnyIndex>, Error> {
        let is = |name: &str| rows == name;
        match codes.refine {
            None if is(<CodeStore<Sq> as RowStore>::NAME) => {
                Ok(Box::new(Erased::new(archive.part::<Hnsw<CodeStore<Sq>>>("index")?)))
            }
            Some(Refine::Sq8) if is(<CodeStore<Sq> as RowStore>::NAME) => refined::<CodeStore<Sq>>(archive),
            Some(Refine::Flat) if is(ElementKind::F32.name()) => refined::<FlatStore<f32>>(archive),
            Some(Refine::Flat | Refine::F16) if is(ElementKind::F16.name()) => refined::<FlatStore<f16>>(archive),
            Some(Refine::Flat | Refine::Bf16) if is(ElementKind::Bf16.name()) => refined::<FlatStore<bf16>>(archive),
            _ => Err(archive.corrupt("rows", format!("`{rows}`")).into()),
        }
    }

    fn refined<R: RowStore>(archive: &Archive) -> Result<Box<dyn AnyIndex>, Error> {
        let index = archive.part::<Hnsw<Refined<R>>>("index")?;
        let store = index.store();
        let (codes, rows) = (store.coarse(), store.fine());
        let same = |metric: Metric, dim: usize| metric == store.metric() && dim == RowStore::dim(rows);
        if !same(RowStore::metric(codes), RowStore::dim(codes)) || !same(rows.metric(), rows.dim()) {
            return Err(archive.corrupt("index", "codes and rows differ in metric or dimension").into());
        }
        Ok(Box::new(Erased::new(index)))
    }
}
