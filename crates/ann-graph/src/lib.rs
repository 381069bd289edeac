//! ann-graph
