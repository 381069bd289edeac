//! The catalogue: every data set that has a name, read from `datasets/catalogue.json`.
//!
//! The file is compiled in, so that the tool and its catalogue cannot disagree. What ann-benchmarks does not publish
//! about a set is absent rather than guessed.

use std::fmt;

use serde::{Deserialize, Serialize};

const CATALOGUE: &str = include_str!("../../../datasets/catalogue.json");

/// The data set that comes with the project.
pub(crate) const BUNDLED: &str = "wordnet-10k-384-angular";

/// One data set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    /// Name without ending, as ann-benchmarks calls it.
    pub name: String,
    /// Metric of the ground truth, in the words of `ann_core::Metric`.
    pub metric: String,
    /// How rows are laid out.
    pub layout: Layout,
    /// Base rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n: Option<usize>,
    /// Dimension; for sets the size of the universe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dim: Option<usize>,
    /// Query rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queries: Option<usize>,
    /// Published size in units of 2^20 bytes, good to a few per cent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub megabytes: Option<u64>,
    /// Licence as its publisher states it.
    pub licence: String,
    /// Where the data come from.
    pub source: String,
    /// Address of the HDF5 file; absent for a bundled one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// File in `datasets/`; absent for one to download.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// SHA-256 in hexadecimal, where it is known beforehand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Anything a user must know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// How the rows of a data set are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Layout {
    /// `(n, dim)` numbers.
    Dense,
    /// `(n, dim)` booleans.
    Bits,
    /// Sorted lists of different lengths.
    Sets,
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Dense => "dense",
            Self::Bits => "bits",
            Self::Sets => "sets",
        })
    }
}

/// Why a name leads to no data set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CatalogueError {
    /// No set begins like that.
    #[error("no data set or file is called `{name}`; `cargo xtask data list` shows the names{}", near(.similar))]
    Unknown {
        /// What was asked for.
        name: String,
        /// Names that contain it.
        similar: Vec<String>,
    },
    /// Several do.
    #[error("`{name}` may be any of {}; give more of the name", .candidates.join(", "))]
    Ambiguous {
        /// What was asked for.
        name: String,
        /// Names that begin with it.
        candidates: Vec<String>,
    },
    /// The file itself is at fault.
    #[error("datasets/catalogue.json: {0}")]
    Malformed(String),
}

fn near(similar: &[String]) -> String {
    if similar.is_empty() { String::new() } else { format!(". Similar: {}", similar.join(", ")) }
}

/// All data sets, in the order of the file.
#[derive(Debug, Clone)]
pub(crate) struct Catalogue {
    entries: Vec<Entry>,
}

impl Catalogue {
    /// The catalogue of the project.
    ///
    /// # Errors
    /// [`CatalogueError::Malformed`] if the file was edited wrongly; a test keeps that from being committed.
    pub(crate) fn bundled() -> Result<Self, CatalogueError> {
        let entries = serde_json::from_str(CATALOGUE).map_err(|error| CatalogueError::Malformed(error.to_string()))?;
        Ok(Self { entries })
    }

    /// Every data set.
    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The data set called `name`, or the only one whose name goes on after `name` with a hyphen: `glove-25` finds
    /// `glove-25-angular`. The ending `.hdf5` is ignored.
    ///
    /// # Errors
    /// If there is none, or more than one.
    pub(crate) fn find(&self, name: &str) -> Result<&Entry, CatalogueError> {
        let wanted = name.strip_suffix(".hdf5").unwrap_or(name).to_ascii_lowercase();
        if let Some(entry) = self.entries.iter().find(|entry| entry.name == wanted) {
            return Ok(entry);
        }
        let prefix = format!("{wanted}-");
        let candidates: Vec<&Entry> = self.entries.iter().filter(|entry| entry.name.starts_with(&prefix)).collect();
        match candidates[..] {
            [entry] => Ok(entry),
            [] => {
                let similar = self.entries.iter().filter(|entry| entry.name.contains(&wanted) && !wanted.is_empty());
                Err(CatalogueError::Unknown { name: name.to_owned(), similar: names(similar) })
            }
            _ => Err(CatalogueError::Ambiguous { name: name.to_owned(), candidates: names(candidates.into_iter()) }),
        }
    }
}

fn names<'a>(entries: impl Iterator<Item = &'a Entry>) -> Vec<String> {
    entries.map(|entry| entry.name.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_is_bundled_or_has_an_address() {
        let catalogue = Catalogue::bundled().unwrap();
        for entry in catalogue.entries() {
            assert_ne!(entry.url.is_some(), entry.file.is_some(), "{}", entry.name);
            let url = entry.url.as_deref().unwrap_or("http://");
            assert!(url.starts_with("http://") || url.starts_with("https://"), "{url}");
            entry.metric.parse::<ann_core::Metric>().unwrap();
            assert!(!entry.licence.is_empty() && !entry.source.is_empty(), "{}", entry.name);
        }
        let mut names = names(catalogue.entries().iter());
        names.sort();
        names.dedup();
        assert_eq!(names.len(), catalogue.entries().len(), "names are unique");
    }

    #[test]
    fn published_sizes_hold_the_rows_they_name() {
        // The published files are not compressed, but for COCO; a slip in a digit would show here.
        for entry in Catalogue::bundled().unwrap().entries() {
            let (Layout::Dense, Some(n), Some(dim), Some(queries), Some(megabytes)) =
                (entry.layout, entry.n, entry.dim, entry.queries, entry.megabytes)
            else {
                continue;
            };
            if entry.name.starts_with("coco") || entry.file.is_some() {
                continue;
            }
            let bytes = 4.0 * (n * dim + queries * dim + 2 * queries * 100) as f64;
            let ratio = megabytes as f64 * f64::from(1 << 20) / bytes;
            assert!((0.98..1.12).contains(&ratio), "{}: {ratio}", entry.name);
        }
    }

    #[test]
    fn beginning_of_a_name_is_enough_if_it_is_unique() {
        let catalogue = Catalogue::bundled().unwrap();
        for (short, full) in [
            ("glove-25", "glove-25-angular"),
            ("mnist", "mnist-784-euclidean"),
            ("sift-128-euclidean.hdf5", "sift-128-euclidean"),
            ("Fashion-MNIST", "fashion-mnist-784-euclidean"),
            (BUNDLED, BUNDLED),
        ] {
            assert_eq!(catalogue.find(short).unwrap().name, full);
        }
    }

    #[test]
    fn ambiguous_and_unknown_names_list_what_there_is() {
        let catalogue = Catalogue::bundled().unwrap();
        let error = catalogue.find("glove").unwrap_err().to_string();
        assert!(error.contains("glove-25-angular") && error.contains("glove-200-angular"), "{error}");
        let error = catalogue.find("ove-25").unwrap_err().to_string();
        assert!(error.contains("Similar: glove-25-angular"), "{error}");
        assert!(matches!(catalogue.find(""), Err(CatalogueError::Unknown { .. })));
    }
}
