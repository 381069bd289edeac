//! Criterion benchmarks of the ann workspace.
