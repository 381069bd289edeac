//! Saving and loading whole indexes: the trait that parts implement, and the two functions that users call.

use super::{Archive, LoadError, OpenOptions, SaveError, Writer};
use std::path::Path;

/// Something that can be kept in a container, alone or as a part of something larger.
///
/// The module documentation has an example. Numbers in bulk go into sections; `meta` takes parameters and counts. A
/// loader checks what the numbers mean (ids in range, lengths that fit each other) and reports a violation with
/// [`Archive::corrupt`], since a valid checksum does not make a file honest.
pub trait Persist: Sized {
    /// What this is, in the words of the file: `a-z`, `0-9`, `_`, `-` and dots between words. Never changed.
    const KIND: &'static str;
    /// Version of what [`Persist::save`] writes. Raised when older releases could not read it; files with a higher
    /// version are refused before [`Persist::load`] is called, which tells lower ones by [`Archive::version`].
    const VERSION: u16;

    /// Hands everything worth keeping to `writer`, which borrows it until the file is written.
    ///
    /// # Errors
    /// Those of the writer's methods, passed on.
    fn save<'a>(&'a self, writer: &mut Writer<'a>) -> Result<(), SaveError>;

    /// The inverse of [`Persist::save`]; `archive` shows the part that `save` wrote, and nothing around it.
    ///
    /// # Errors
    /// Those of the archive's methods, and [`LoadError::Corrupt`] for numbers that cannot be right.
    fn load(archive: &Archive) -> Result<Self, LoadError>;
}

/// Writes `index` to the file at `path`, see [`Writer::write`].
///
/// # Errors
/// See [`SaveError`].
pub fn save<P: Persist>(index: &P, path: impl AsRef<Path>) -> Result<(), SaveError> {
    Writer::of(index)?.write(path)
}

/// Reads the index in the file at `path`, see [`Archive::open`].
///
/// # Errors
/// See [`LoadError`]; [`LoadError::Kind`] if the file holds something else than a `P`.
pub fn load<P: Persist>(path: impl AsRef<Path>, options: impl Into<OpenOptions>) -> Result<P, LoadError> {
    Archive::open(path, options)?.load()
}
