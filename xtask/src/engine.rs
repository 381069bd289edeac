//! The library as the benchmark sees it: a named index is built, searched, weighed and saved, and exact neighbours are
//! found.

use std::path::Path;

use ann::core::{Exact, FlatError, FlatStore, GroundTruth, RowError};
use ann::factory::Structure;
use ann::{Batch, BuildOptions, Index, MatrixView, Metric, Monitor, Neighbor, Par, SearchParams, Spec};

/// What the library refused, and what about.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EngineError {
    /// Not an index of this library.
    #[error("--index:\n{0}")]
    Spec(ann::SpecError),
    /// An index for another metric than the data.
    #[error("the index {spec} is for {asked}, the data are compared by {found}")]
    Metric {
        /// What was asked for.
        spec: String,
        /// Its metric.
        asked: Metric,
        /// Metric of the data.
        found: Metric,
    },
    /// Building, searching or saving failed.
    #[error("{spec}: {source}")]
    Index {
        /// The index in question.
        spec: String,
        /// What the library says.
        source: Box<ann::Error>,
    },
    /// Base rows that cannot be compared.
    #[error("base rows: {0}")]
    Base(#[from] FlatError),
    /// Queries that cannot be compared.
    #[error("queries: {0}")]
    Queries(#[from] RowError),
}

/// As many threads as the machine offers.
pub(crate) fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The `k` nearest rows of every query, with distances as data sets report them.
///
/// # Errors
/// [`EngineError`] for rows that are not finite, or zero under cosine.
pub(crate) fn exact(
    train: MatrixView<'_, f32>,
    test: MatrixView<'_, f32>,
    metric: Metric,
    k: usize,
    threads: usize,
) -> Result<GroundTruth, EngineError> {
    let store = FlatStore::<f32>::from_rows(train, metric)?;
    Ok(Exact::new(store).ground_truth(test, k, Par::Threads(threads))?)
}

/// An index that has a name but no rows yet.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    spec: Spec,
}

impl Plan {
    /// Reads the grammar of the factory.
    ///
    /// # Errors
    /// [`EngineError::Spec`], which points at the column.
    pub(crate) fn parse(text: &str) -> Result<Self, EngineError> {
        Ok(Self { spec: text.parse().map_err(EngineError::Spec)? })
    }

    /// The name in its shortest form.
    pub(crate) fn name(&self) -> String {
        self.spec.to_string()
    }

    /// Builds the index over `rows`, telling `progress` of rows done and rows in all.
    ///
    /// # Errors
    /// [`EngineError`] if the metric is another one, or a row does not belong in the index.
    pub(crate) fn build(
        &self,
        rows: MatrixView<'_, f32>,
        metric: Metric,
        threads: usize,
        progress: &(dyn Fn(u64, u64) + Sync),
    ) -> Result<Engine, EngineError> {
        if let Some(asked) = self.spec.metric.filter(|&asked| asked != metric) {
            return Err(EngineError::Metric { spec: self.name(), asked, found: metric });
        }
        let monitor = Monitor::new().on_progress(progress);
        let options = BuildOptions { metric, par: Par::Threads(threads), monitor, ..BuildOptions::default() };
        match self.spec.build(rows, &options) {
            Ok(index) => Ok(Engine { index, spec: self.spec.clone() }),
            Err(source) => Err(EngineError::Index { spec: self.name(), source: Box::new(source) }),
        }
    }
}

/// A built index.
#[derive(Debug)]
pub(crate) struct Engine {
    index: Index,
    spec: Spec,
}

impl Engine {
    /// Whether more effort gives more recall.
    pub(crate) fn has_effort(&self) -> bool {
        !matches!(self.spec.structure, Structure::Flat | Structure::Codes(_))
    }

    /// What was built, where the name left it open.
    pub(crate) fn name(&self) -> String {
        self.index.spec().to_string()
    }

    /// Why it was chosen.
    pub(crate) fn report(&self) -> Option<&str> {
        self.index.report()
    }

    /// Bytes that the index says it holds.
    pub(crate) fn bytes(&self) -> u64 {
        self.index.memory_usage().total() as u64
    }

    /// Answers every query.
    ///
    /// # Errors
    /// [`EngineError::Index`] for a query that does not fit.
    pub(crate) fn search(
        &self,
        queries: MatrixView<'_, f32>,
        k: usize,
        effort: usize,
        threads: usize,
    ) -> Result<Batch, EngineError> {
        let params = SearchParams::effort(effort);
        // Labels are the rows themselves: none were given.
        let neighbor = |hit: &ann::Hit| Neighbor::new(hit.label as u32, hit.distance);
        let (mut batch, mut row) = (Batch::default(), Vec::with_capacity(k));
        let mut push = |hits: &[ann::Hit]| {
            row.clear();
            row.extend(hits.iter().map(neighbor));
            batch.push(&row);
        };
        if threads == 1 {
            let mut searcher = self.index.searcher();
            for query in queries.rows() {
                push(searcher.search(query, k, &params).map_err(|source| self.failed(source))?);
            }
        } else {
            let found = self.index.search_batch(queries, k, &params, Par::Threads(threads));
            found.map_err(|source| self.failed(source))?.iter().for_each(|hits| push(hits));
        }
        Ok(batch)
    }

    /// Writes the index to a file.
    ///
    /// # Errors
    /// [`EngineError::Index`] if the file cannot be written.
    pub(crate) fn save(&self, path: &Path) -> Result<(), EngineError> {
        self.index.save(path).map_err(|source| self.failed(source))
    }

    fn failed(&self, source: ann::Error) -> EngineError {
        EngineError::Index { spec: self.spec.to_string(), source: Box::new(source) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ann::Matrix;

    fn rows() -> Matrix<f32> {
        let value = |i: u32| f32::from((i.wrapping_mul(2_654_435_761) >> 24) as u8) + 1.0;
        Matrix::new((0..600 * 4).map(value).collect(), 4).unwrap()
    }

    fn build(spec: &str, metric: Metric) -> Result<Engine, EngineError> {
        Plan::parse(spec)?.build(rows().view(), metric, 1, &|_, _| ())
    }

    #[test]
    fn every_index_finds_the_exact_neighbours_with_effort() {
        let rows = rows();
        let queries = rows.view().slice(0..20);
        for metric in [Metric::L2, Metric::Cosine] {
            let truth = exact(rows.view(), queries, metric, 3, 1).unwrap();
            for (spec, has_effort) in [("Flat", false), ("HNSW16", true)] {
                let engine = build(spec, metric).unwrap();
                assert_eq!(engine.has_effort(), has_effort);
                assert!(engine.bytes() > 600 * 4);
                let one = engine.search(queries, 3, 600, 1).unwrap();
                let two = engine.search(queries, 3, 600, 2).unwrap();
                assert_eq!(one.iter().collect::<Vec<_>>(), two.iter().collect::<Vec<_>>(), "threads do not matter");
                for (i, found) in one.iter().enumerate() {
                    // Rows may coincide; distances then agree where ids need not.
                    let reported: Vec<f32> = found.iter().map(|n| n.distance).collect();
                    for (a, b) in reported.iter().zip(truth.distances(i)) {
                        assert!((a - b).abs() < 1e-3, "{spec} {metric} query {i}: {reported:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn another_metric_than_that_of_the_data_is_refused() {
        assert!(matches!(build("HNSW16@cosine", Metric::L2), Err(EngineError::Metric { .. })));
        assert!(matches!(build("Flat@l2", Metric::Cosine), Err(EngineError::Metric { .. })));
        assert!(build("HNSW16@l2", Metric::L2).is_ok());
    }

    #[test]
    fn slip_in_a_name_points_at_its_column() {
        let error = Plan::parse("HNSW16,x").unwrap_err().to_string();
        assert!(error.contains("column 8"), "{error}");
    }

    #[test]
    fn saved_index_opens_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.ann");
        build("HNSW16", Metric::L2).unwrap().save(&path).unwrap();
        assert_eq!(ann::open(&path).unwrap().len(), 600);
    }
}
