//! ann-benchmarks' HDF5 files: reading and writing a [`Dataset`].
//!
//! Layout: arrays `train`, `test`, `neighbors` (queries, k), `distances` (queries, k); attributes `distance`
//! (`euclidean`, `angular`, `hamming`, `jaccard`, …), `dimension`, `point_type`, `type` (`dense` or `sparse`; old files
//! lack it). Bits are stored a byte each, fractions of differing bits as Hamming distances; sets as one flat array of
//! ids with their sizes in `size_train` and `size_test`. Source: ann-benchmarks, `datasets.py` and `distance.py`.
//!
//! Parsing is by `hdf5-pure`. A declared shape is believed only once the stored bytes can account for it, see
//! [`Part::open`]. Cost: the values once, plus a batch of 1 MiB or one chunk, whichever is larger.

use std::path::Path;

use ann_core::{GroundTruth, Metric};
use hdf5_pure::{AttrValue, FileAccessProperties, FileLocking, FormatError};

use self::part::Part;
use crate::dataset::{Dataset, Points};
use crate::sink::WriteError;
use crate::source::{ReadError, ReadOptions};

mod part;
mod write;

/// Attribute `type` of files that hold sets.
const SPARSE: &str = "sparse";

impl Dataset {
    /// Reads an ann-benchmarks HDF5 file.
    ///
    /// ```
    /// # use ann_core::{GroundTruth, Matrix, Metric};
    /// # use ann_io::{Dataset, Points};
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("tiny-2-euclidean.hdf5");
    /// let dataset = Dataset {
    ///     name: "tiny-2-euclidean".to_owned(),
    ///     metric: Metric::L2,
    ///     train: Points::Dense(Matrix::new(vec![0.0, 0.0, 3.0, 4.0], 2)?),
    ///     test: Points::Dense(Matrix::new(vec![0.0, 0.0], 2)?),
    ///     truth: Some(GroundTruth::new(2, vec![0, 1], vec![0.0, 5.0])?),
    /// };
    /// dataset.write(&path)?;
    /// assert_eq!(Dataset::read(&path)?, dataset);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn read(path: impl AsRef<Path>) -> Result<Self, ReadError> {
        Self::read_with(path, ReadOptions::default())
    }

    /// [`Dataset::read`] with options. A limit applies to the base rows; where it cuts some off, the ground truth no
    /// longer holds and is left out.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn read_with(path: impl AsRef<Path>, options: ReadOptions) -> Result<Self, ReadError> {
        let path = path.as_ref();
        let len = std::fs::metadata(path).map_err(|source| ReadError::Open { path: path.to_owned(), source })?.len();
        let properties = FileAccessProperties::new().with_locking(FileLocking::BestEffort);
        let file = hdf5_pure::File::open_streaming_with_options(path, properties).map_err(failed("file"))?;
        let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        read(file, len, name, options)
    }

    /// [`Dataset::read_with`] for the bytes of a file that is in memory already.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn from_bytes(name: &str, bytes: Vec<u8>, options: ReadOptions) -> Result<Self, ReadError> {
        let len = bytes.len() as u64;
        let file = hdf5_pure::File::from_bytes(bytes).map_err(failed("file"))?;
        read(file, len, name.to_owned(), options)
    }

    /// Writes an ann-benchmarks HDF5 file, uncompressed; it appears whole or not at all.
    ///
    /// # Errors
    /// [`WriteError`], in particular where points and metric do not belong together; the file is then as it was.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<(), WriteError> {
        write::write(self, path.as_ref())
    }
}

fn read(file: hdf5_pure::File, len: u64, name: String, options: ReadOptions) -> Result<Dataset, ReadError> {
    // Parts that the parser never visits may be cut off all the same.
    let expected = file.superblock().eof_address;
    if expected > len {
        return Err(ReadError::Truncated { offset: len, expected, what: "the superblock's end of file" });
    }
    let file = Container { file, len };
    let attributes = Attributes::read(&file)?;
    let train = file.part("train")?.ok_or(ReadError::Missing { what: "array `train`" })?;
    let test = file.part("test")?.ok_or(ReadError::Missing { what: "array `test`" })?;
    let points = |part: &Part, sizes, limit: u64| file.points(part, sizes, &attributes, limit, options.check_finite);
    let limit = options.limit.map_or(u64::MAX, |limit| limit as u64);
    let train_len = file.count(&train, "size_train", &attributes)?;
    let train = points(&train, "size_train", limit)?;
    let test = points(&test, "size_test", u64::MAX)?;
    if !matches!(train, Points::Sets(_)) && train.dim() != test.dim() {
        return Err(mismatch("dimension of `test`", train.dim() as u64, test.dim() as u64));
    }
    let whole = train.len() as u64 == train_len;
    let truth = if whole { file.truth(attributes.metric, &train, &test)? } else { None };
    Ok(Dataset { name, metric: attributes.metric, train, test, truth })
}

/// The attributes of the root group.
struct Attributes {
    metric: Metric,
    dimension: Option<u64>,
    sparse: bool,
}

impl Attributes {
    fn read(file: &Container) -> Result<Self, ReadError> {
        let all = file.file.root().attrs().map_err(failed("attributes"))?;
        let text = |name| all.get(name).and_then(AttrValue::as_str);
        let distance = text("distance").ok_or(ReadError::Missing { what: "attribute `distance`" })?;
        let metric = distance.parse().map_err(|_| ReadError::Unsupported {
            what: format!("distance {distance:?}"),
            hint: "expected euclidean, angular, dot, manhattan, hamming or jaccard",
        })?;
        let dimension = all.get("dimension").and_then(AttrValue::as_u64);
        Ok(Self { metric, dimension, sparse: text("type") == Some(SPARSE) })
    }
}

/// An open file and its length.
struct Container {
    file: hdf5_pure::File,
    len: u64,
}

impl Container {
    fn part(&self, name: &'static str) -> Result<Option<Part>, ReadError> {
        match self.file.dataset(name) {
            Ok(dataset) => Part::open(dataset, name, self.len).map(Some),
            Err(hdf5_pure::Error::Format(FormatError::PathNotFound(_))) => Ok(None),
            Err(error) => Err(failed(name)(error)),
        }
    }

    fn count(&self, part: &Part, sizes: &'static str, attributes: &Attributes) -> Result<u64, ReadError> {
        let sets = part.is_flat(attributes).then(|| self.part(sizes)).transpose()?.flatten();
        Ok(sets.map_or(part.rows, |sizes| sizes.rows))
    }

    fn points(
        &self,
        part: &Part,
        sizes: &'static str,
        attributes: &Attributes,
        limit: u64,
        check_finite: bool,
    ) -> Result<Points, ReadError> {
        let metric = attributes.metric;
        if part.is_flat(attributes) {
            if metric != Metric::Jaccard {
                return Err(ReadError::Unsupported {
                    what: format!("flat `{}` under {metric}", part.name),
                    hint: "only sets under jaccard are stored so",
                });
            }
            let sizes = self.part(sizes)?.ok_or(ReadError::Missing { what: "array `size_train` or `size_test`" })?;
            return part.sets(&sizes, limit).map(Points::Sets);
        }
        if let Some(expected) = attributes.dimension.filter(|&dimension| dimension != part.columns) {
            return Err(mismatch("columns of an array against attribute `dimension`", expected, part.columns));
        }
        match metric {
            Metric::Hamming => part.bits(limit).map(Points::Bits),
            Metric::Jaccard => part.indicators(limit).map(Points::Sets),
            _ => part.dense(limit, check_finite).map(Points::Dense),
        }
    }

    fn truth(&self, metric: Metric, train: &Points, test: &Points) -> Result<Option<GroundTruth>, ReadError> {
        let (neighbors, distances) = match (self.part("neighbors")?, self.part("distances")?) {
            (None, None) => return Ok(None),
            (None, Some(_)) => return Err(ReadError::Missing { what: "array `neighbors`" }),
            (Some(_), None) => return Err(ReadError::Missing { what: "array `distances`" }),
            (Some(neighbors), Some(distances)) => (neighbors, distances),
        };
        for (what, expected, found) in [
            ("rows of `neighbors`", test.len() as u64, neighbors.rows),
            ("rows of `distances`", neighbors.rows, distances.rows),
            ("columns of `distances`", neighbors.columns, distances.columns),
        ] {
            if expected != found {
                return Err(mismatch(what, expected, found));
            }
        }
        let ids = neighbors.ids(train.len() as u64)?;
        let mut distances = distances.dense(u64::MAX, false)?.into_vec();
        if metric == Metric::Hamming {
            distances.iter_mut().for_each(|distance| *distance = (*distance * train.dim() as f32).round());
        }
        let (expected, found) = (ids.len() as u64, distances.len() as u64);
        let truth = GroundTruth::new(neighbors.columns as usize, ids, distances);
        truth.map(Some).map_err(|_| mismatch("number of distances", expected, found))
    }
}

fn failed(what: &'static str) -> impl FnOnce(hdf5_pure::Error) -> ReadError {
    move |error| damaged(what, error.to_string())
}

fn damaged(what: &'static str, problem: String) -> ReadError {
    ReadError::Hdf5 { what: what.to_owned(), problem }
}

fn mismatch(what: &'static str, expected: u64, found: u64) -> ReadError {
    ReadError::Mismatch { what, expected, found }
}

#[cfg(test)]
mod tests;
