//! Partitions behind the door of every index: which codes lie in their lists, and which rows behind them.

use super::build::{BuildOptions, Element};
use super::quant::{Refined, encode};
use super::{Code, Codes, ListCode, Refine, Structure};
use crate::Error;
use crate::any::{AnyIndex, Dense, Effort, Erased, RowStore, SearchParams, compare_all};
use ann_core::{
    ElementKind, Filter, FlatError, FlatStore, Index, MatrixView, Metric, Monitor, Neighbor, Par, Rerank, RowSet,
    SearchStats, SplitStore, stand_in,
};
use ann_partition::{Ivf, IvfParams, IvfSearch, NoRows};
use ann_quant::{CodeStore, Sq};
use half::{bf16, f16};

/// Rounds of OPQ where rows are turned: the first few bring most.
const ROTATE: usize = 8;
/// How much more an error along a row counts under products. Guo et al. (arXiv:1908.10396) take 2 to 4; our factors correct most of that error already.
const ETA: f32 = 1.2;

/// How much dearer an error along that of the first list is where rows have a second one (Sun et al., arXiv:2404.00774).
const SOAR: f32 = 1.0;

/// Lists of the vectors, which `T` holds, in halves where these serve; with `soar` every row lies in two.
pub(super) fn ivf<T: Element>(
    (nlist, soar): (usize, bool),
    list: ListCode,
    refine: Option<Refine>,
    vectors: MatrixView<'_, f32>,
    options: &BuildOptions<'_>,
) -> Result<Box<dyn AnyIndex>, Error> {
    let metric = options.metric;
    let making = Making { nlist, list, soar, vectors, options };
    if matches!(list, ListCode::Scann { .. }) && !cfg!(feature = "scann") {
        return Err(Error::Feature { what: list.to_string(), feature: "scann" });
    }
    let whole = matches!(list, ListCode::Flat) || refine == Some(Refine::Flat) && !matches!(list, ListCode::Codes(_));
    if whole
        && T::KIND == ElementKind::F32
        && let Some(halves) = stand_in::halves(vectors, metric)
    {
        return making.over(halves);
    }
    match (list, refine) {
        (ListCode::Flat, _) => making.over(FlatStore::<T>::from_rows(vectors, metric)?),
        (ListCode::Codes(code), None) => making.over(encode(code, vectors, options)?),
        (_, None) => making.over(NoRows::new(vectors.dim(), metric)?.with_len(vectors.len())),
        (_, Some(Refine::Flat)) => making.refined(FlatStore::<T>::from_rows(vectors, metric)?),
        (_, Some(Refine::F16)) => making.refined(FlatStore::<f16>::rounded(vectors, metric)?),
        (_, Some(Refine::Bf16)) => making.refined(FlatStore::<bf16>::rounded(vectors, metric)?),
        (_, Some(Refine::Sq8)) => making.refined(encode(Code::Sq8, vectors, options)?),
    }
}

/// What an index is made from.
struct Making<'a> {
    nlist: usize,
    list: ListCode,
    soar: bool,
    vectors: MatrixView<'a, f32>,
    options: &'a BuildOptions<'a>,
}

impl Making<'_> {
    /// Codes of rows, or codes in the lists, before `rows`.
    fn refined<R: RowStore>(&self, rows: R) -> Result<Box<dyn AnyIndex>, Error> {
        let ListCode::Codes(code) = self.list else { return self.over(rows) };
        let codes = encode(code, self.vectors, self.options)?;
        self.over(Rerank::new(codes, rows, self.options.metric, self.vectors)?)
    }

    fn over<S: RowStore>(&self, store: S) -> Result<Box<dyn AnyIndex>, Error> {
        let &BuildOptions { metric, seed, par, monitor, .. } = self.options;
        let (code, soar) = (code(self.list, metric), self.soar.then_some(SOAR));
        let params = IvfParams { nlist: self.nlist, code, soar, seed, ..IvfParams::default() };
        Ok(Box::new(Erased::new(Ivf::build(store, self.vectors, metric, &params, par, monitor)?)))
    }
}

/// What the crate of partitions calls it.
fn code(list: ListCode, metric: Metric) -> ann_partition::ListCode {
    match list {
        ListCode::Flat | ListCode::Codes(_) => ann_partition::ListCode::Rows,
        ListCode::Rabitq { bits } => ann_partition::ListCode::Rabitq { bits },
        ListCode::Pq { m, bits, turned } => {
            ann_partition::ListCode::Pq { m, nbits: bits, rotate: turned.then_some(ROTATE), eta: None }
        }
        ListCode::Scann { m } => {
            // Under cosine distances of normalised rows are estimated, to which all errors are alike.
            let eta = if metric == Metric::InnerProduct { ETA } else { 1.0 };
            ann_partition::ListCode::Pq { m, nbits: 4, rotate: None, eta: Some(eta) }
        }
    }
}

impl RowStore for NoRows {
    const NAME: &'static str = "none";
    const ELEMENT: ElementKind = ElementKind::U8;
    type Wide = Self;

    fn metric(&self) -> Metric {
        self.metric()
    }

    fn dim(&self) -> usize {
        self.dim()
    }

    fn widened(&self) -> Result<Option<Self>, FlatError> {
        Ok(None)
    }
}

impl<S: RowStore> Dense for Ivf<S> {
    type Store = S;
    type Wide = Ivf<S::Wide>;

    fn structure(&self) -> Structure {
        let nlist = self.params().nlist;
        let behind = if S::KEPT { Some(self.store().refine()) } else { None };
        let (list, refine) = match self.params().code {
            ann_partition::ListCode::Rabitq { bits } => (ListCode::Rabitq { bits }, behind),
            ann_partition::ListCode::Pq { m, eta: Some(_), .. } => (ListCode::Scann { m }, behind),
            ann_partition::ListCode::Pq { m, nbits, rotate, .. } => {
                (ListCode::Pq { m, bits: nbits, turned: rotate.is_some() }, behind)
            }
            _ => match self.store().codes() {
                Some(Codes { code, refine }) => (ListCode::Codes(code), refine),
                None => (ListCode::Flat, None),
            },
        };
        Structure::Ivf { nlist, list, soar: self.params().soar.is_some(), refine }
    }

    fn store(&self) -> &S {
        self.store()
    }

    fn seed(&self) -> u64 {
        self.params().seed
    }

    fn params(params: &SearchParams) -> IvfSearch {
        let nprobe = params.nprobe.unwrap_or(IvfSearch::default().nprobe);
        IvfSearch { nprobe, limits: params.limits, ..IvfSearch::default() }
    }

    fn effort(&self) -> Effort {
        Effort::Nprobe
    }

    fn search_row<F: Filter>(
        &self,
        row: u32,
        k: usize,
        params: &IvfSearch,
        filter: &F,
        scratch: &mut Self::Scratch,
        out: &mut Vec<Neighbor>,
    ) -> SearchStats {
        if S::KEPT {
            return compare_all(self.store(), row, k, filter, out);
        }
        out.clear();
        let query = self.reconstruct(row).unwrap_or_default();
        // A code that stands for no direction has no neighbours under cosine.
        self.search_with(&query, k, params, filter, scratch, out).unwrap_or_default()
    }

    fn extend(&mut self, rows: MatrixView<'_, f32>, par: Par, monitor: Monitor<'_>) -> Result<(), Error> {
        Ok(Ivf::extend(self, rows, par, monitor)?)
    }

    fn purge(&mut self, dead: &RowSet, _: Par) -> Vec<u32> {
        Ivf::purge(self, dead)
    }

    fn with_store(&self, store: S::Wide) -> Option<Self::Wide> {
        Ivf::with_store(self, store)
    }

    #[cfg(feature = "io")]
    fn save<'a>(&'a self, writer: &mut ann_io::container::Writer<'a>) -> Result<(), ann_io::container::SaveError> {
        writer.part("index", self)
    }
}

/// Reads a partition, whose rows the file calls `rows`.
#[cfg(feature = "io")]
pub(crate) fn load(
    archive: &ann_io::container::Archive,
    structure: &Structure,
    rows: &str,
) -> Result<Box<dyn AnyIndex>, Error> {
    let Structure::Ivf { list, refine, .. } = *structure else {
        return Err(archive.corrupt("spec", "no partition").into());
    };
    let is = |name: &str| rows == name;
    let rerank = matches!(list, ListCode::Codes(_));
    match refine {
        None if list == ListCode::Flat => flat(archive, rows),
        None if rerank && is(<CodeStore<Sq> as RowStore>::NAME) => part::<CodeStore<Sq>>(archive),
        None if !rerank && is(NoRows::NAME) => part::<NoRows>(archive),
        Some(Refine::Sq8) if is(<CodeStore<Sq> as RowStore>::NAME) => {
            if rerank {
                part::<Refined<CodeStore<Sq>>>(archive)
            } else {
                part::<CodeStore<Sq>>(archive)
            }
        }
        Some(Refine::Flat | Refine::F16 | Refine::Bf16) if rerank => refined(archive, rows),
        Some(Refine::Flat | Refine::F16 | Refine::Bf16) => flat(archive, rows),
        _ => Err(archive.corrupt("rows", format!("`{rows}`")).into()),
    }
}

#[cfg(feature = "io")]
fn part<S: RowStore>(archive: &ann_io::container::Archive) -> Result<Box<dyn AnyIndex>, Error> {
    let index = archive.part::<Ivf<S>>("index")?;
    if RowStore::metric(index.store()) != index.metric() {
        return Err(archive.corrupt("index", "rows of another metric than the lists").into());
    }
    Ok(Box::new(Erased::new(index)))
}

#[cfg(feature = "io")]
fn flat(archive: &ann_io::container::Archive, rows: &str) -> Result<Box<dyn AnyIndex>, Error> {
    match rows {
        name if name == ElementKind::F32.name() => part::<FlatStore<f32>>(archive),
        name if name == ElementKind::F16.name() => part::<FlatStore<f16>>(archive),
        name if name == ElementKind::Bf16.name() => part::<FlatStore<bf16>>(archive),
        name if name == ElementKind::U8.name() => part::<FlatStore<u8>>(archive),
        name if name == ElementKind::I8.name() => part::<FlatStore<i8>>(archive),
        SplitStore::NAME => part::<SplitStore>(archive),
        other => Err(archive.corrupt("rows", format!("`{other}`")).into()),
    }
}

#[cfg(feature = "io")]
fn refined(archive: &ann_io::container::Archive, rows: &str) -> Result<Box<dyn AnyIndex>, Error> {
    match rows {
        name if name == ElementKind::F32.name() => part::<Refined<FlatStore<f32>>>(archive),
        name if name == ElementKind::F16.name() => part::<Refined<FlatStore<f16>>>(archive),
        name if name == ElementKind::Bf16.name() => part::<Refined<FlatStore<bf16>>>(archive),
        name if name == ElementKind::U8.name() => part::<Refined<FlatStore<u8>>>(archive),
        name if name == ElementKind::I8.name() => part::<Refined<FlatStore<i8>>>(archive),
        other => Err(archive.corrupt("rows", format!("`{other}`")).into()),
    }
}
