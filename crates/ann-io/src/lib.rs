//! ann-io
