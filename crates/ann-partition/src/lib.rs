//! Partition indexes: rows in lists by their nearest centre, scanned as codes.

#![forbid(unsafe_code)]
