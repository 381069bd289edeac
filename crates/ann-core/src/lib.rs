//! ann-core
