//! Data sets: what there is, how to get it, and how to read it.

pub(crate) mod catalogue;
pub(crate) mod commands;
pub(crate) mod convert;
pub(crate) mod download;
pub(crate) mod files;
pub(crate) mod lock;
