//! From a name or a path to a data set in memory.

use std::path::{Path, PathBuf};

use ann_core::{GroundTruth, Matrix, Metric};
use ann_io::{Dataset, Points};
use indicatif::{ProgressBar, ProgressStyle};

use super::catalogue::{BUNDLED, Catalogue, Entry, Layout};
use super::download::{Outcome, Patience, Target, ensure};
use crate::args::Source;
use crate::error::Error;

/// Root of the workspace.
pub(crate) fn root() -> &'static Path {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own)
}

/// The file of a data set: `given` as a path if there is such a file, else as a name of the catalogue, which is
/// downloaded if need be; the bundled set if nothing is given.
///
/// # Errors
/// If there is no such file or name, or the download fails.
pub(crate) fn locate(given: Option<&str>, source: &Source) -> Result<PathBuf, Error> {
    let given = given.unwrap_or(BUNDLED);
    if Path::new(given).is_file() {
        return Ok(given.into());
    }
    let looks_like_a_path = given.contains(['/', '\\']);
    if looks_like_a_path {
        return Err(Error::Usage(format!("there is no file {given}")));
    }
    let catalogue = Catalogue::bundled()?;
    Ok(fetch(catalogue.find(given)?, source)?.0)
}

/// Makes sure that a data set is here, and verified.
///
/// # Errors
/// If it is not and cannot be downloaded, or is not what the catalogue says.
pub(crate) fn fetch(entry: &Entry, source: &Source) -> Result<(PathBuf, Outcome), Error> {
    let target = target(entry, source);
    let bar = ProgressBar::new(entry.megabytes.unwrap_or(0) << 20).with_message(entry.name.clone());
    bar.set_style(style("{msg} {bar:30} {bytes}/{total_bytes} {bytes_per_sec} eta {eta}"));
    let check = |path: &Path| check(entry, path);
    let outcome = ensure(&target, &check, &Patience::default(), &bar);
    bar.finish_and_clear();
    Ok((target.path, outcome?))
}

/// A style that `indicatif` knows; a template with a slip falls back to the default one.
pub(crate) fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// Where a data set is or will be.
pub(crate) fn path(entry: &Entry, source: &Source) -> PathBuf {
    match &entry.file {
        Some(file) => root().join("datasets").join(file),
        None => {
            let cache = source.cache.clone().unwrap_or_else(|| root().join("datasets/cache"));
            cache.join(format!("{}.hdf5", entry.name))
        }
    }
}

fn target(entry: &Entry, source: &Source) -> Target {
    let mut mirrors = source.base_urls.clone();
    if mirrors.is_empty() {
        let variable = std::env::var("ANN_DATA_URL").unwrap_or_default();
        mirrors.extend(variable.split_whitespace().map(str::to_owned));
    }
    let mut urls: Vec<String> =
        mirrors.iter().map(|base| format!("{}/{}.hdf5", base.trim_end_matches('/'), entry.name)).collect();
    if urls.is_empty() {
        urls.extend(entry.url.clone());
    }
    Target { urls, path: path(entry, source), megabytes: entry.megabytes, sha256: entry.sha256.clone() }
}

/// Whether a file opens as the data set that the catalogue describes.
fn check(entry: &Entry, path: &Path) -> Result<(), String> {
    let dataset = Dataset::read(path).map_err(|error| error.to_string())?;
    let layout = match &dataset.train {
        Points::Bits(_) => Layout::Bits,
        Points::Sets(_) => Layout::Sets,
        _ => Layout::Dense,
    };
    if layout != entry.layout {
        return Err(format!("holds {layout} rows, {} expected", entry.layout));
    }
    if dataset.metric.name() != entry.metric {
        return Err(format!("its metric is {}, {} expected", dataset.metric, entry.metric));
    }
    // The universe of sets counts numbers that no set need hold.
    let dim = entry.dim.filter(|_| layout != Layout::Sets);
    let shapes = [
        ("rows", dataset.train.len(), entry.n),
        ("columns", dataset.train.dim(), dim),
        ("queries", dataset.test.len(), entry.queries),
    ];
    for (what, found, expected) in shapes {
        if let Some(expected) = expected.filter(|&expected| expected != found) {
            return Err(format!("{found} {what}, {expected} expected"));
        }
    }
    Ok(())
}

/// A data set of float vectors.
#[derive(Debug)]
pub(crate) struct Dense {
    /// Base name of its file.
    pub name: String,
    /// How rows are compared.
    pub metric: Metric,
    /// Base rows.
    pub train: Matrix<f32>,
    /// Queries.
    pub test: Matrix<f32>,
    /// Nearest rows of the queries, if the file has them.
    pub truth: Option<GroundTruth>,
}

impl Dense {
    /// Reads an ann-benchmarks HDF5 file.
    ///
    /// # Errors
    /// If it cannot be read, or its points are no float vectors.
    pub(crate) fn read(path: &Path) -> Result<Self, Error> {
        let dataset = Dataset::read(path).map_err(|source| read_error(path, source))?;
        let (Points::Dense(train), Points::Dense(test)) = (dataset.train, dataset.test) else {
            let metric = dataset.metric;
            return Err(Error::Usage(format!(
                "{}: points under {metric} distance are no float vectors; only those can be searched here",
                path.display()
            )));
        };
        let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        Ok(Self { name, metric: dataset.metric, train, test, truth: dataset.truth })
    }

    /// Keeps only the first `queries` queries.
    pub(crate) fn truncate(&mut self, queries: usize) -> Result<(), Error> {
        if queries < self.test.len() {
            let dim = self.test.dim();
            self.test = Matrix::new(self.test.as_slice()[..queries * dim].to_vec(), dim)?;
            if let Some(truth) = &mut self.truth {
                truth.ids.truncate(queries * truth.k);
                truth.distances.truncate(queries * truth.k);
            }
        }
        Ok(())
    }
}

/// Says which file could not be read.
pub(crate) fn read_error(path: &Path, source: ann_io::ReadError) -> Error {
    Error::Read { path: path.display().to_string(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bundled() -> Entry {
        Catalogue::bundled().unwrap().find(BUNDLED).unwrap().clone()
    }

    #[test]
    fn bundled_file_is_what_the_catalogue_says() {
        let entry = bundled();
        let path = locate(None, &Source::default()).unwrap();
        assert_eq!(check(&entry, &path), Ok(()));
        let lock = super::super::lock::Lock::of(&path, None).unwrap();
        assert_eq!(Some(lock.sha256), entry.sha256);
    }

    #[test]
    fn another_shape_or_metric_is_refused() {
        let (entry, path) = (bundled(), path(&bundled(), &Source::default()));
        for (wrong, text) in [
            (Entry { n: Some(9), ..entry.clone() }, "10000 rows, 9 expected"),
            (Entry { dim: Some(9), ..entry.clone() }, "384 columns, 9 expected"),
            (Entry { queries: Some(9), ..entry.clone() }, "1000 queries, 9 expected"),
            (Entry { metric: "l2".to_owned(), ..entry.clone() }, "its metric is cosine, l2 expected"),
            (Entry { layout: Layout::Bits, ..entry.clone() }, "holds dense rows, bits expected"),
        ] {
            assert_eq!(check(&wrong, &path), Err(text.to_owned()));
        }
    }

    #[test]
    fn mirrors_replace_the_address_in_order() {
        let entry = Catalogue::bundled().unwrap().find("glove-25").unwrap().clone();
        let source =
            Source { base_urls: vec!["http://a/".to_owned(), "http://b/x".to_owned()], cache: Some("c".into()) };
        let target = target(&entry, &source);
        assert_eq!(target.urls, ["http://a/glove-25-angular.hdf5", "http://b/x/glove-25-angular.hdf5"]);
        assert_eq!(target.path, Path::new("c/glove-25-angular.hdf5"));
    }

    #[test]
    fn missing_files_and_names_are_told_apart() {
        let source = Source::default();
        let error = locate(Some("./no/such.hdf5"), &source).unwrap_err();
        assert!(matches!(error, Error::Usage(_)), "{error}");
        assert!(matches!(locate(Some("no-such-set"), &source), Err(Error::Catalogue(_))));
    }

    #[test]
    fn fewer_queries_keep_their_truth() {
        let mut dense = Dense::read(&locate(None, &Source::default()).unwrap()).unwrap();
        let truth = dense.truth.clone().unwrap();
        dense.truncate(7).unwrap();
        let fewer = dense.truth.unwrap();
        assert_eq!((dense.test.len(), fewer.len()), (7, 7));
        assert_eq!(fewer.ids(6), truth.ids(6));
    }
}
