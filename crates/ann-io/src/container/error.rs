//! What can go wrong when a container is read or written.

use super::ElementType;
use std::{io, path::PathBuf};

/// Why a file could not be opened as an index.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The file does not start with the eight bytes that every index file starts with.
    #[error("not an index file: it starts with {found:02x?}")]
    NotAnIndex {
        /// The first bytes of the file, at most eight.
        found: Vec<u8>,
    },
    /// The file was written by a newer release.
    #[error("{what} has version {found}, this release reads versions up to {supported}")]
    Newer {
        /// `container format`, or the kind of part.
        what: String,
        /// The version in the file.
        found: u16,
        /// The newest version this release reads.
        supported: u16,
    },
    /// The file is damaged or forged: a checksum, a length or a number in it cannot be right.
    #[error("corrupt index file: {section}: {reason}")]
    Corrupt {
        /// Full name of the section, or `header`, `manifest`, `file`, `meta of <part>`, `padding before <section>`.
        section: String,
        /// What was expected and what was found.
        reason: String,
    },
    /// The file lacks a section or part that an index of its kind has.
    #[error("the index file has no section or part `{section}`")]
    Missing {
        /// Full name of the section or part.
        section: String,
    },
    /// The file holds something else than was asked for.
    #[error("expected an index of kind `{expected}`, found `{found}`{}", Inside(part))]
    Kind {
        /// Full name of the part, empty for the index itself.
        part: String,
        /// The kind in the file.
        found: String,
        /// The kind that was asked for.
        expected: String,
    },
    /// A section holds numbers of another type than was asked for.
    #[error("section `{section}` holds {found}, expected {expected}")]
    Element {
        /// Full name of the section.
        section: String,
        /// The type in the file.
        found: ElementType,
        /// The type that was asked for.
        expected: ElementType,
    },
    /// The file could not be opened or read.
    #[error("cannot read {path:?}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
}

impl LoadError {
    /// [`LoadError::Corrupt`] with `section` taken as the full name. Loaders that know only the name within their part
    /// use [`Archive::corrupt`](super::Archive::corrupt).
    pub fn corrupt(section: impl Into<String>, reason: impl Into<String>) -> LoadError {
        LoadError::Corrupt { section: section.into(), reason: reason.into() }
    }
}

/// Why an index could not be written. An existing file under the same name is then untouched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SaveError {
    /// A name or kind has a form that is not allowed.
    #[error("name `{name}`: {reason}")]
    Name {
        /// The name of a section or part, or a kind.
        name: String,
        /// What it should look like.
        reason: &'static str,
    },
    /// Two sections, or two parts, have the same full name.
    #[error("two sections or two parts are called `{name}`")]
    Duplicate {
        /// The full name.
        name: String,
    },
    /// More of something than a file may have, see [`MAX_SECTIONS`](super::MAX_SECTIONS) and its neighbours.
    #[error("{found} {what}, at most {limit} fit into a file")]
    TooMany {
        /// `sections`, `parts`, `bytes of manifest`, or `bytes of file`.
        what: &'static str,
        /// How many there are.
        found: u64,
        /// How many there may be.
        limit: u64,
    },
    /// What makes the numbers of a section failed.
    #[error("cannot make section `{name}`: {source}")]
    Section {
        /// Its full name.
        name: String,
        /// What it says.
        source: io::Error,
    },
    /// The description of a part could not be serialised.
    #[error("cannot serialise the meta of part `{part}`: {reason}")]
    Meta {
        /// Full name of the part, empty for the index itself.
        part: String,
        /// The message of the serialiser.
        reason: String,
    },
    /// The file could not be written.
    #[error("cannot write {path:?}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The stream given to [`Writer::write_to`](super::Writer::write_to) failed.
    #[error("cannot write to the stream: {0}")]
    Stream(#[source] io::Error),
}

/// Says in which part, unless it is the index itself.
struct Inside<'a>(&'a str);

impl std::fmt::Display for Inside<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, " in part `{}`", self.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_say_what_was_expected_and_what_came() {
        let kind = |part: &str| LoadError::Kind { part: part.into(), found: "ivf".into(), expected: "hnsw".into() };
        assert_eq!(kind("").to_string(), "expected an index of kind `hnsw`, found `ivf`");
        assert_eq!(kind("base").to_string(), "expected an index of kind `hnsw`, found `ivf` in part `base`");
        let found = LoadError::NotAnIndex { found: b"CDF\x01".to_vec() };
        assert_eq!(found.to_string(), "not an index file: it starts with [43, 44, 46, 01]");
    }
}
