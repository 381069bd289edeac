//! From a spec to an index: the one match that knows every structure.

use super::{Hierarchy, Spec, Structure, auto};
use crate::any::{AnyIndex, Dense, Erased, SearchParams};
use crate::{Error, Index};
use ann_core::{
    Batch, ElementKind, Exact, Filter, FlatStore, MatrixView, Metric, Monitor, Par, PushVector, RowError, RowSet,
    Scalar, narrowest,
};
use half::{bf16, f16};

/// How to build, whatever is built.
///
/// ```
/// use ann::prelude::*;
/// let vectors = Matrix::from_rows(&[[1.0, 0.0], [0.6, 0.8]])?;
/// let options = BuildOptions { metric: Metric::Cosine, labels: Some(&[10, 20]), ..BuildOptions::default() };
/// let index = "HNSW16".parse::<Spec>()?.build(&vectors, &options)?;
/// assert_eq!(index.search(&[0.0, 2.0], 1)?[0].label, 20);
/// # Ok::<(), ann::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct BuildOptions<'a> {
    /// The metric, unless the spec names one.
    pub metric: Metric,
    /// Labels of the rows; their positions if `None`.
    pub labels: Option<&'a [u64]>,
    /// Element type of the stored rows; the narrowest that holds them exactly if `None`.
    pub element: Option<ElementKind>,
    /// Graphs: candidates considered per inserted row.
    pub ef_construction: usize,
    /// NSW and Vamana: how much to do for good links when all rows are linked at once, by partitions ([`ann_graph::Pipnn`]). `None` inserts row by row, as
    /// HNSW always does and rows that come later are: three times as long or more, for links that take about as many distances for the same recall.
    #[cfg(feature = "graph")]
    pub quality: Option<ann_graph::Quality>,
    /// Everything drawn at random depends on it and the rows alone.
    pub seed: u64,
    /// On which threads; the index is the same on any.
    pub par: Par,
    /// Whom to tell of progress, and who may cancel.
    pub monitor: Monitor<'a>,
}

impl Default for BuildOptions<'_> {
    fn default() -> Self {
        Self {
            metric: Metric::L2,
            labels: None,
            element: None,
            ef_construction: 200,
            #[cfg(feature = "graph")]
            quality: Some(ann_graph::Quality::Balanced),
            seed: 0,
            par: Par::default(),
            monitor: Monitor::new(),
        }
    }
}

impl Spec {
    /// Builds the index over `vectors`, `(n, dim)`, finite.
    ///
    /// # Errors
    /// [`Error::Row`] names the first row that does not belong; [`Error::Metric`] if spec and options disagree;
    /// [`Error::Store`] if the metric is none of dense rows; [`Error::Cancelled`].
    pub fn build<'a>(
        &self,
        vectors: impl Into<MatrixView<'a, f32>>,
        options: &BuildOptions<'_>,
    ) -> Result<Index, Error> {
        let vectors = vectors.into();
        let default = BuildOptions::default().metric;
        let metric = self.metric.unwrap_or(options.metric);
        if metric != options.metric && options.metric != default {
            return Err(Error::Metric { spec: metric, options: options.metric });
        }
        let options = BuildOptions { metric, ..*options };
        // Nothing is known of the rows to come, so an empty index takes any.
        let element = options.element.unwrap_or(match vectors.is_empty() {
            true => ElementKind::F32,
            false => narrowest(vectors),
        });
        let (structure, report) = match self.structure {
            Structure::Auto(profile) => {
                let choice = auto::choose(profile, element, vectors, &options)?;
                (choice.structure, Some(choice.report))
            }
            ref named => (named.clone(), None),
        };
        let any = build(&structure, element, vectors, &options, None)?;
        Ok(Index { report, ..Index::new(any, options.labels)? })
    }
}

/// The structure over `vectors` kept as `element`, with the links of another index over the same rows where there is one.
pub(super) fn build(
    structure: &Structure,
    element: ElementKind,
    vectors: MatrixView<'_, f32>,
    options: &BuildOptions<'_>,
    ready: Option<&Hierarchy>,
) -> Result<Box<dyn AnyIndex>, Error> {
    match element {
        ElementKind::F16 => build_over::<f16>(structure, vectors, options, ready),
        ElementKind::Bf16 => build_over::<bf16>(structure, vectors, options, ready),
        ElementKind::U8 => build_over::<u8>(structure, vectors, options, ready),
        ElementKind::I8 => build_over::<i8>(structure, vectors, options, ready),
        _ => build_over::<f32>(structure, vectors, options, ready),
    }
}

#[cfg_attr(not(feature = "graph"), expect(unused_variables))]
fn build_over<T: Element>(
    structure: &Structure,
    vectors: MatrixView<'_, f32>,
    options: &BuildOptions<'_>,
    ready: Option<&Hierarchy>,
) -> Result<Box<dyn AnyIndex>, Error> {
    #[cfg(feature = "graph")]
    let linking = |links| super::graph::Linking { links, vectors, element: T::KIND, options, ready };
    match *structure {
        Structure::Flat => Ok(Box::new(Erased::new(Exact::new(FlatStore::<T>::from_rows(vectors, options.metric)?)))),
        #[cfg(feature = "quant")]
        Structure::Codes(code) => super::quant::flat(code, vectors, options),
        #[cfg(not(feature = "quant"))]
        Structure::Codes(_) => Err(Error::Feature { what: structure.to_string(), feature: "quant" }),
        #[cfg(feature = "graph")]
        Structure::Deg { degree } => super::deg::deg::<T>(degree, vectors, options),
        #[cfg(feature = "graph")]
        Structure::Graph { links, codes: None } => super::graph::graph::<T>(&linking(links)),
        #[cfg(all(feature = "graph", feature = "quant"))]
        Structure::Graph { links, codes: Some(codes) } => super::quant::graph::<T>(codes, &linking(links)),
        #[cfg(all(feature = "graph", not(feature = "quant")))]
        Structure::Graph { codes: Some(_), .. } => {
            Err(Error::Feature { what: structure.to_string(), feature: "quant" })
        }
        #[cfg(all(feature = "graph", feature = "quant"))]
        Structure::Blocks { links, bits } => super::blocks::blocks::<T>(bits, &linking(links)),
        #[cfg(all(feature = "graph", not(feature = "quant")))]
        Structure::Blocks { .. } => Err(Error::Feature { what: structure.to_string(), feature: "quant" }),
        #[cfg(feature = "ivf_pq")]
        Structure::Ivf { nlist, list, soar, refine } => {
            super::ivf::ivf::<T>((nlist, soar), list, refine, vectors, options)
        }
        #[cfg(not(feature = "ivf_pq"))]
        Structure::Ivf { .. } => Err(Error::Feature { what: structure.to_string(), feature: "ivf_pq" }),
        Structure::Auto(_) => unreachable!("settled by the caller"),
        #[cfg(feature = "tree")]
        Structure::KdTree => super::tree::kd::<T>(vectors, options),
        #[cfg(feature = "tree")]
        Structure::BallTree => super::tree::ball::<T>(vectors, options),
        #[cfg(feature = "tree")]
        Structure::KdForest { trees } => super::tree::forest::<T>(trees, vectors, options),
        #[cfg(feature = "tree")]
        Structure::RpForest { trees } => super::cells::forest::<T>(trees, vectors, options),
        #[cfg(feature = "tree")]
        Structure::KMeansTree { branching } => super::cells::kmeans::<T>(branching, vectors, options),
        #[cfg(not(feature = "tree"))]
        Structure::KdTree
        | Structure::BallTree
        | Structure::KdForest { .. }
        | Structure::RpForest { .. }
        | Structure::KMeansTree { .. } => Err(Error::Feature { what: structure.to_string(), feature: "tree" }),
        #[cfg(not(feature = "graph"))]
        Structure::Graph { .. } | Structure::Deg { .. } | Structure::Blocks { .. } => {
            Err(Error::Feature { what: structure.to_string(), feature: "graph" })
        }
    }
}

/// Element types of rows: what a store needs, and what a file needs where there are files.
#[cfg(feature = "io")]
pub(crate) trait Element: Scalar + ann_io::container::Stored {}
#[cfg(feature = "io")]
impl<T: Scalar + ann_io::container::Stored> Element for T {}
#[cfg(not(feature = "io"))]
pub(crate) trait Element: Scalar {}
#[cfg(not(feature = "io"))]
impl<T: Scalar> Element for T {}

impl<T: Element> Dense for Exact<FlatStore<T>> {
    type Store = FlatStore<T>;
    type Wide = Exact<FlatStore<f32>>;

    fn structure(&self) -> Structure {
        Structure::Flat
    }

    fn store(&self) -> &FlatStore<T> {
        self.store()
    }

    fn params(_: &SearchParams) -> Self::Params {
        Self::Params::default()
    }

    fn batch(
        &self,
        queries: MatrixView<'_, f32>,
        k: usize,
        _: &Self::Params,
        filter: &(impl Filter + Sync),
        par: Par,
    ) -> Result<Batch, RowError> {
        self.search_batch(queries, k, filter, par)
    }

    fn extend(&mut self, rows: MatrixView<'_, f32>, _: Par, _: Monitor<'_>) -> Result<(), Error> {
        Ok(self.store_mut().push_all(rows.rows())?)
    }

    fn purge(&mut self, dead: &RowSet, _: Par) -> Vec<u32> {
        self.store_mut().remove_rows(dead)
    }

    fn with_store(&self, store: FlatStore<f32>) -> Option<Self::Wide> {
        Some(Exact::new(store))
    }

    #[cfg(feature = "io")]
    fn save<'a>(&'a self, writer: &mut ann_io::container::Writer<'a>) -> Result<(), ann_io::container::SaveError> {
        writer.part("index", self.store())
    }
}
